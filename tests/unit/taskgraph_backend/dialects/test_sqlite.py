from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    ForeignDatabaseError,
)
from taskgraph.records import RecordBatch
from taskgraph_backend import SqlBackend
from taskgraph_backend.dialects import open_database
from taskgraph_backend.dialects.sqlite import _pause_after
from tests.rows import a_value, key


def _made(folder: Path) -> str:
    uri = f"sqlite:///{folder / 'taskgraph.db'}"
    with SqlBackend(uri) as backend:
        backend.record(RecordBatch(values=[a_value(1)]))
    return uri


def _one_value() -> RecordBatch:
    return RecordBatch(values=[a_value(2)])


def test_file_uses_the_write_ahead_log_and_foreign_keys(sqlite_backend: SqlBackend) -> None:
    driver = sqlite_backend.database.connect()

    settings = [
        driver.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "foreign_keys", "synchronous")
    ]
    driver.close()

    assert settings == ["wal", 1, 1]


def test_synchronous_can_be_full(tmp_path: Path) -> None:
    with SqlBackend(f"sqlite:///{tmp_path}/x.db", {"synchronous": "full"}) as backend:
        driver = backend.database.connect()
        (level,) = driver.execute("PRAGMA synchronous").fetchone()
        driver.close()

    assert level == 2


def test_other_values_of_synchronous_are_refused() -> None:
    with pytest.raises(DatabaseError, match="one of normal, full, not 'off'"):
        SqlBackend("sqlite://", {"synchronous": "off"})


def test_relative_path_is_that_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///here.db")
    monkeypatch.chdir("/")

    assert database.path == str(tmp_path / "here.db")


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:", None])
def test_database_without_a_path_is_in_memory(uri: str | None) -> None:
    assert open_database(uri).in_memory


@pytest.mark.parametrize("name", ["a b.db", "a%20b.db", "ünï.db", "a#b.db", "a&b.db"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    quoted = name.replace("%", "%25")
    with SqlBackend(f"sqlite:///{tmp_path}/{quoted}"):
        pass

    assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mysql://host/x", "not a database URI that is known"),
        ("results.db", "not a database URI that is known"),
        ("sqlite://x.db", "three slashes"),
        ("sqlite:///x.db?colour=red", "unknown option 'colour'"),
    ],
)
def test_uri_that_is_not_known_says_what_is(uri: str, reason: str) -> None:
    with pytest.raises(DatabaseError, match=reason):
        open_database(uri)


def test_text_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Dear diary, " * 200)

    with pytest.raises(ForeignDatabaseError, match="file is not a database"):
        SqlBackend(f"sqlite:///{file}").load()

    assert file.read_text() == "Dear diary, " * 200
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "bookmarks.db"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE bookmark (url TEXT)")
    other.commit()
    other.close()
    before = file.read_bytes()

    with pytest.raises(ForeignDatabaseError, match="another program"):
        SqlBackend(f"sqlite:///{file}").load()

    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["bookmarks.db"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"folder .*/none does not exist\. Make it first"):
        SqlBackend(f"sqlite:///{tmp_path}/none/x.db").load()


def test_path_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseError, match="is no folder"):
        SqlBackend(f"sqlite:///{tmp_path}/file/x.db").load()


def test_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"it is a folder\. Name a file"):
        SqlBackend(f"sqlite:///{tmp_path}").load()


def test_database_to_read_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such file"):
        SqlBackend(f"sqlite:///{tmp_path}/x.db?mode=ro").load()

    assert os.listdir(tmp_path) == []


def test_read_only_database_can_be_read_and_not_written(tmp_path: Path) -> None:
    uri = _made(tmp_path)

    with SqlBackend(f"{uri}?mode=ro") as backend:
        found = backend.load_values([key(1)])
        with pytest.raises(DatabaseReadOnlyError, match=r"cannot be written to.*\?immutable=1"):
            backend.record(_one_value())

    assert set(found) == {key(1)}


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that even root cannot write to, with a database in it."""
    folder = tmp_path / "locked"
    folder.mkdir()
    _made(folder)
    bound = subprocess.run(
        ["mount", "--bind", "-o", "ro", str(folder), str(folder)], capture_output=True, check=False
    )
    remounted = bound.returncode == 0 and (
        subprocess.run(
            ["mount", "-o", "remount,bind,ro", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not remounted:
        if bound.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)
        pytest.skip("read-only mounts cannot be made here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_database_in_a_read_only_folder_says_what_to_do(read_only_folder: Path) -> None:
    with pytest.raises(DatabaseReadOnlyError, match="immutable=1"):
        SqlBackend(f"sqlite:///{read_only_folder}/taskgraph.db").load()


def test_database_in_a_read_only_folder_can_be_read_as_immutable(read_only_folder: Path) -> None:
    with SqlBackend(f"sqlite:///{read_only_folder}/taskgraph.db?immutable=1") as backend:
        assert set(backend.load_values([key(1)])) == {key(1)}


def test_full_database_keeps_what_it_had_and_goes_on_later(sqlite_backend: SqlBackend) -> None:
    sqlite_backend.record(RecordBatch(values=[a_value(1)]))
    driver = sqlite_backend._connection()
    (pages,) = driver.execute("PRAGMA page_count").fetchone()
    driver.execute(f"PRAGMA max_page_count={pages + 3}")
    large = RecordBatch(values=[a_value(2), a_value(3, b"x" * 100_000)])

    with pytest.raises(DatabaseFullError, match=r"disk is full.*Nothing.*was written"):
        sqlite_backend.record(large)
    while_full = sqlite_backend.load_values([key(1), key(2)])
    driver.execute("PRAGMA max_page_count=1000000")
    sqlite_backend.record(large)

    assert set(while_full) == {key(1)}
    assert set(sqlite_backend.load_values([key(1), key(2), key(3)])) == {key(1), key(2), key(3)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_named_and_what_was_written_stays(small_disk: Path) -> None:
    with SqlBackend(f"sqlite:///{small_disk}/x.db") as backend:
        backend.record(RecordBatch(values=[a_value(1)]))

        with pytest.raises(DatabaseFullError, match=f"disk is full.*{small_disk}"):
            backend.record(RecordBatch(values=[a_value(2, os.urandom(2_000_000))]))

        assert set(backend.load_values([key(1), key(2)])) == {key(1)}


def test_busy_database_says_so_after_the_timeout(tmp_path: Path) -> None:
    uri = _made(tmp_path)
    other = sqlite3.connect(tmp_path / "taskgraph.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with (
        SqlBackend(uri, {"busy_timeout": 0.05}) as backend,
        pytest.raises(DatabaseBusyError, match=r"locked for more than 0\.05 seconds"),
    ):
        backend.record(_one_value())

    other.close()


def test_writer_waits_for_another_one(tmp_path: Path) -> None:
    uri = _made(tmp_path)
    other = sqlite3.connect(
        tmp_path / "taskgraph.db", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")

    with SqlBackend(uri) as backend:
        release = threading.Timer(0.05, lambda: other.execute("COMMIT"))
        release.start()
        backend.record(_one_value())
        release.join()

        assert set(backend.load_values([key(2)])) == {key(2)}

    other.close()


def test_reader_does_not_hold_up_a_writer(sqlite_backend: SqlBackend) -> None:
    with sqlite_backend.create_engine().connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM value").scalar()

        sqlite_backend.record(_one_value())

        # It sees one state until it ends its transaction.
        assert reader.exec_driver_sql("SELECT count(*) FROM value").scalar() == 0


def test_reader_of_a_database_in_memory_ends_no_transaction_of_the_writer() -> None:
    with SqlBackend() as backend, backend._writing() as driver:
        with backend.create_engine().connect() as reader:
            reader.exec_driver_sql("SELECT 1")
            reader.rollback()

        still_open = driver.in_transaction

    assert still_open


def test_damaged_file_is_named(tmp_path: Path) -> None:
    uri = _made(tmp_path)
    file = tmp_path / "taskgraph.db"
    content = bytearray(file.read_bytes())
    content[100:4096] = os.urandom(3996)
    file.write_bytes(content)

    with pytest.raises(DatabaseError, match="damaged"):
        SqlBackend(uri).load()


def test_opening_and_writing_load_no_sqlalchemy(tmp_path: Path) -> None:
    import sys

    uri = _made(tmp_path)
    root = Path(__file__).parents[4]
    program = (
        "import sys\n"
        "from taskgraph_backend import SqlBackend\n"
        "from taskgraph.records import RecordBatch\n"
        f"with SqlBackend({uri!r}) as backend:\n"
        "    backend.record(RecordBatch()); backend.load_values(['00' * 16])\n"
        "print(sorted({'sqlalchemy', 'alembic'} & set(sys.modules)))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{root}:{root / 'backend'}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "[]\n"


def test_who_has_waited_longest_asks_most_often() -> None:
    young = [_pause_after(0.0) for _ in range(200)]
    old = [_pause_after(10.0) for _ in range(200)]

    assert max(old) < min(young)
    assert len(set(young)) > 1


def test_writers_wait_for_each_other_and_leave_the_timeout_as_it_was(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    with SqlBackend(uri) as first, SqlBackend(uri, {"busy_timeout": 7}) as second:
        second.load()
        writing = first._connection()
        first.database.begin(writing, alone=True)
        other = threading.Thread(target=second.record, args=(RecordBatch(values=[a_value(1)]),))
        other.start()
        writing.execute("COMMIT")
        other.join()

        assert second.load_values([key(1)])
        assert second._connection().execute("PRAGMA busy_timeout").fetchone() == (7000,)
