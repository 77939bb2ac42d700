"""Large values outside of the database, over whole runs: used, damaged, healed, moved, refused."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from taskgraph import File, Scheduler, exchange, task
from taskgraph.config import BackendSettings, Settings
from taskgraph.errors import DatabaseError, ResultLostError, ValueStoreError
from taskgraph.events import CacheEntryRefused, JobRetried, ResultUnstored
from taskgraph.executors import border
from taskgraph.hashing import ContentDigest
from taskgraph.ports import Call, Raised
from taskgraph.records import JobId
from taskgraph.testing import RecordingObserver
from taskgraph.values.valuestore import ValueStore, locate, name_of
from taskgraph.values.weigh import hash_value
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import Outside, check, repair
from taskgraph_backend.models import PreviewValue, Value
from taskgraph_backend.outside import count_outside, outside_values
from tests.forked import run_python, start_python
from tests.valuestores import FailingFileSystem, failing

ROOT = Path(__file__).resolve().parents[2]
SMALL = 20_000  # bytes from which on these tests keep values outside
KILLS = 60 if os.environ.get("TASKGRAPH_TORTURE") else 6

ran: list[str] = []

VALUES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: bytes(range(256)) * 100,
    "text": lambda: "grüße" * 5_000,
    "list": lambda: list(range(20_000)),
    "array": lambda: np.arange(10_000.0).reshape(100, 100),
    "transposed": lambda: np.arange(10_000.0).reshape(50, 200).T,
    "every second": lambda: np.arange(20_000, dtype="<i4")[::2],
    "records": lambda: np.zeros(3_000, [("a", "<f8"), ("b", "<i2")]),
    "objects": lambda: np.array([{"a": each} for each in range(3_000)], dtype=object),
    "arrays inside": lambda: {"a": np.arange(5_000), "b": [np.ones(3_000)]},
    "pandas": lambda: pd.DataFrame({"a": np.arange(5_000.0), "b": ["x"] * 5_000}),
    "pandas series": lambda: pd.Series(np.arange(5_000), name="s"),
    "polars": lambda: pl.DataFrame({"a": range(5_000), "b": ["x"] * 5_000}),
    "polars series": lambda: pl.Series("s", range(5_000)),
    "arrow": lambda: pa.table({"a": range(5_000), "b": ["x"] * 5_000}),
    "arrow array": lambda: pa.array(range(5_000)),
}


@task(namespace="large")
def make(name: str) -> Any:
    ran.append(name)
    return VALUES[name]()


@task(namespace="large", executor="processes")
def make_there(name: str) -> Any:
    return VALUES[name]()


@task(namespace="large")
def change(value: Any) -> float:
    ran.append("change")
    value[:] = 0
    return float(value.sum())


@task(namespace="large")
def gather(file: File, rest: Any) -> dict[str, Any]:
    return {"file": file, "rest": rest}


@task(namespace="large")
def hash_of(value: Any) -> str:
    ran.append("hash_of")
    return hash_value(value)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


def settings_at(folder: Path, uri: str = "", **others: Any) -> Settings:
    (folder / ".taskgraph").mkdir(parents=True, exist_ok=True)
    uri = uri or f"sqlite:///{folder / '.taskgraph' / 'taskgraph.db'}"
    given = {
        "db_uri": uri,
        "automigrate": True,
        "value_store": str(folder / "store"),
        "value_store_min_size": SMALL,
    }
    return Settings(folder / ".taskgraph", backend=BackendSettings(**{**given, **others}))


@pytest.fixture
def project(tmp_path: Path, database_uri: str) -> Settings:
    return settings_at(tmp_path, database_uri)


def store_of(project: Settings) -> ValueStore:
    return ValueStore(project.backend.value_store, SMALL)


def entries(project: Settings) -> list[Path]:
    root = Path(project.backend.value_store)
    return [root / name_of(each.digest) for each in store_of(project).entries()]


def backend_of(project: Settings) -> SqlBackend:
    return SqlBackend(project.backend.db_uri, project.backend)


@pytest.mark.parametrize("name", VALUES)
def test_a_large_value_comes_back_as_it_was(name: str, project: Settings) -> None:
    with Scheduler(project) as scheduler:
        first = scheduler.run(make(name))
    (entry,) = entries(project)

    with Scheduler(project) as scheduler:
        second = scheduler.run(make(name))

    assert ran == [name]
    assert entry.stat().st_size > SMALL
    assert type(second) is type(first)
    assert hash_value(second) == hash_value(first) == hash_value(VALUES[name]())


@pytest.mark.parametrize("name", ["array", "pandas", "list"])
def test_a_value_from_another_process_is_published_there(name: str, project: Settings) -> None:
    with Scheduler(project) as scheduler:
        first = scheduler.run(make_there(name))

    assert len(entries(project)) == 1
    assert hash_value(first) == hash_value(VALUES[name]())


def test_a_store_that_is_in_this_process_alone_takes_what_others_made(tmp_path: Path) -> None:
    project = settings_at(tmp_path, value_store=f"memory://{tmp_path.name}")

    with Scheduler(project) as scheduler:
        scheduler.run(make_there("list"))

    assert len(list(ValueStore(project.backend.value_store).entries())) == 1


def test_small_values_stay_in_their_rows(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(hash_of("x" * (SMALL // 2)))

    assert entries(project) == []
    assert not Path(project.backend.value_store).exists()


def test_the_row_says_what_the_entry_is(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(make("array"))
    (entry,) = entries(project)

    with backend_of(project) as backend, backend.reader() as reader:
        value = reader.get(Value, hash_value(VALUES["array"]()))
        assert value is not None
        assert value.value == b""
        assert value.in_value_store
        assert value.size == entry.stat().st_size
        assert value.type == "numpy.ndarray"
        assert value.format == "npy"
        assert value.preview.startswith("array(float64, shape=(100, 100), [0.0, 1.0")
        assert hash_value(value.value_parsed) == value.value_hash
        assert backend.get_value(value.value_hash)[1]


def test_lists_and_pages_never_read_the_store(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(make("array"))
    for each in entries(project):
        each.unlink()
    command = ["-m", "taskgraph.cli.main", "-c", str(project.config_dir)]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
        "TASKGRAPH_BACKEND__DB_URI": project.backend.db_uri,
        "TASKGRAPH_BACKEND__VALUE_STORE": project.backend.value_store,
    }

    for words in (["log"], ["log", "-"], ["log", hash_value(VALUES["array"]())]):
        done = run_python([*command, *words], ROOT, environment)
        assert done.code == 0, done.err
        if words != ["log"]:
            assert "array(float64" in done.out


# Damage

DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "bit-flipped": lambda path: path.write_bytes(
        path.read_bytes()[:-9] + bytes([path.read_bytes()[-9] ^ 1]) + path.read_bytes()[-8:]
    ),
    "deleted": lambda path: path.unlink(),
    "swapped": lambda path: path.write_bytes(b"another value" * 1_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["array", "pandas", "polars", "arrow", "list"])
def test_a_damaged_value_is_made_again_and_told_of_once(
    name: str, damage: str, project: Settings
) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(make(name))
    (entry,) = entries(project)
    DAMAGES[damage](entry)
    with backend_of(project) as backend:
        (problem,) = check(backend)
        assert problem.key == hash_value(VALUES[name]())
        assert "value store" in problem.detail
    observer = RecordingObserver()

    with Scheduler(project, observers=[observer]) as scheduler:
        found = scheduler.run(make(name))

    assert hash_value(found) == hash_value(VALUES[name]())
    assert ran == [name, name]
    assert len([each for each in observer.events if isinstance(each, CacheEntryRefused)]) == 1
    kept = [size for _, size in store_of(project).quarantined()]
    assert len(kept) == (0 if damage == "deleted" else 1)
    with backend_of(project) as backend:
        assert check(backend) == []
    observer.events.clear()
    with Scheduler(project, observers=[observer]) as scheduler:
        scheduler.run(make(name))
    assert ran == [name, name]
    assert not [each for each in observer.events if isinstance(each, CacheEntryRefused)]


def test_a_value_that_many_calls_gave_is_told_of_once(project: Settings) -> None:
    VALUES["same list"] = VALUES["list"]
    twins = [make("list"), make("same list"), make_there("list")]
    with Scheduler(project) as scheduler:
        scheduler.run(twins)
    with backend_of(project) as backend, backend.reader() as reader:
        value = reader.get(Value, hash_value(VALUES["list"]()))
        assert value is not None
        os.truncate(Path(store_of(project).url) / name_of(value.content_digest), 100)
    observer = RecordingObserver()

    with Scheduler(project, observers=[observer]) as scheduler:
        assert scheduler.run(twins) == [VALUES["list"]()] * 3

    assert len([each for each in observer.events if isinstance(each, CacheEntryRefused)]) == 1
    with backend_of(project) as backend:
        assert check(backend) == []
    del VALUES["same list"]


def test_a_body_may_change_what_it_was_given_from_the_store(project: Settings) -> None:
    """Warm runs do what cold ones do: a body that writes to its argument is none the wiser."""
    with Scheduler(project) as scheduler:
        assert scheduler.run(hash_of(make("array"))) == hash_value(VALUES["array"]())
        assert scheduler.run(change(make("array"))) == 0.0
    with Scheduler(project) as scheduler:
        assert hash_value(scheduler.run(make("array"))) == hash_value(VALUES["array"]())

    assert ran.count("array") == 1
    with backend_of(project) as backend:
        assert check(backend) == []


# Stores that cannot be reached


def test_a_result_whose_store_fails_is_used_and_said_not_to_be_kept(tmp_path: Path) -> None:
    project = settings_at(tmp_path, value_store=f"failing://{tmp_path.name}")
    observer = RecordingObserver()

    with failing(1), Scheduler(project, observers=[observer]) as scheduler:
        found = scheduler.run(make("list"))

    assert found == VALUES["list"]()
    (unstored,) = [each for each in observer.events if isinstance(each, ResultUnstored)]
    assert "was cut off" in unstored.reason
    assert "failing://" in unstored.reason
    with backend_of(project) as backend:
        assert check(backend) == []
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
        scheduler.run(make("list"))
    assert ran == ["list", "list"]


def test_each_call_of_a_store_that_fails_in_turn_leaves_a_sound_database(
    tmp_path: Path, database_uri: str
) -> None:
    number = 0
    while True:
        number += 1
        url = f"failing://{tmp_path.name}-{number}"
        project = settings_at(tmp_path, database_uri, value_store=url)
        named = f"list{number}"
        VALUES[named] = VALUES["list"]
        with failing(number), Scheduler(project) as scheduler:
            assert scheduler.run(make(named)) == VALUES["list"]()
            was_hit = FailingFileSystem.calls >= number
        with Scheduler(project) as scheduler:
            assert scheduler.run(make(named)) == VALUES["list"]()
        with backend_of(project) as backend:
            assert check(backend) == []
        with backend_of(project) as backend:
            backend.discard_values([hash_value(VALUES["list"]())])
        del VALUES[named]
        if not was_hit:
            break
    assert number > 2


def test_an_argument_whose_store_fails_is_used_and_kept_the_next_time(
    tmp_path: Path, database_uri: str
) -> None:
    project = settings_at(tmp_path, database_uri, value_store=f"failing://{tmp_path.name}")
    given = VALUES["list"]()

    with failing(1), Scheduler(project) as scheduler:
        assert scheduler.run(hash_of(given)) == hash_value(given)
    with backend_of(project) as backend:
        assert check(backend) == []
        assert backend.get_value(hash_value(given)) == (None, False)
    for _ in range(2):
        with Scheduler(project) as scheduler:
            # Equal to what is known by its name alone by now.
            assert scheduler.run(hash_of(make("list"))) == hash_value(given)

    assert ran == ["hash_of", "list"]
    with backend_of(project) as backend:
        assert check(backend, deep=True) == []
        assert backend.get_value(hash_value(given)) == (given, True)


@pytest.mark.parametrize("options", [{}, {"timeout": 60}], ids=["pool", "with a limit"])
@pytest.mark.parametrize("losses", [1, 2])
def test_a_result_that_is_damaged_on_its_way_from_a_worker_is_made_again_and_sent_by_itself(
    losses: int, options: dict[str, Any], project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[object] = []

    def damage_and_locate(value: bytes, digest: ContentDigest, store: ValueStore | None) -> object:
        looked_for.append(store)
        if len(looked_for) <= losses:
            for entry in entries(project):
                entry.write_bytes(b"other")
        return locate(value, digest, store)

    monkeypatch.setattr(border, "locate", damage_and_locate)
    observer = RecordingObserver()

    with Scheduler(project, observers=[observer]) as scheduler:
        found = scheduler.run(make_there.options(**options)("list"))

    assert found == VALUES["list"]()
    assert [store is None for store in looked_for] == [False, True]
    (again,) = [each for each in observer.events if isinstance(each, JobRetried)]
    assert again.attempt == 1
    assert "lost on its way" in again.error
    with backend_of(project) as backend:
        assert check(backend, deep=True) == []
        assert len(entries(project)) == 1


def test_a_result_that_is_lost_on_its_way_says_whose_it_was(project: Settings) -> None:
    call = Call(JobId("0" * 32), "large.make_there", make_there.func, ("list",), {})
    call = call._replace(value_store=store_of(project))
    message = border.run_batch([border.encode_call(call)])
    (entry,) = entries(project)
    entry.unlink()

    (outcome,) = border.decode_outcomes(message, [call])

    assert isinstance(outcome, Raised)
    assert isinstance(outcome.error, ResultLostError)
    assert "The result of large.make_there was lost" in str(outcome.error)


def test_a_result_that_travels_and_whose_store_fails_is_used_and_said_not_to_be_kept(
    tmp_path: Path,
) -> None:
    """The store is in this process alone, so that the worker sends the bytes."""
    project = settings_at(tmp_path, value_store=f"memory://{tmp_path.name}")
    observer = RecordingObserver()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryFileSystem, "pipe_file", _refuse)
        patch.setattr(MemoryFileSystem, "info", _refuse)
        with Scheduler(project, observers=[observer]) as scheduler:
            assert scheduler.run(make_there("list")) == VALUES["list"]()

    (unstored,) = [each for each in observer.events if isinstance(each, ResultUnstored)]
    assert "cut off" in unstored.reason
    with backend_of(project) as backend:
        assert check(backend) == []


def _refuse(*_: object, **__: object) -> None:
    raise ConnectionResetError("cut off")


def test_a_hit_whose_store_cannot_be_reached_is_an_error_and_runs_nothing(tmp_path: Path) -> None:
    project = settings_at(tmp_path, value_store=f"failing://{tmp_path.name}")
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))

    with failing(1), Scheduler(project) as scheduler, pytest.raises(ValueStoreError) as error:
        scheduler.run(make("list"))

    assert "was cut off" in str(error.value)
    assert "run again" in str(error.value)
    assert ran == ["list"]
    with Scheduler(project) as scheduler:
        assert scheduler.run(make("list")) == VALUES["list"]()
    assert ran == ["list"]
    assert list(ValueStore(project.backend.value_store).quarantined()) == []


def test_a_database_whose_store_is_not_known_says_so(tmp_path: Path) -> None:
    project = settings_at(tmp_path)
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
    without = replace(project, backend=replace(project.backend, value_store="none"))

    with Scheduler(without) as scheduler, pytest.raises(ValueStoreError, match="none is set here"):
        scheduler.run(make("list"))

    assert ran == ["list"]


def test_a_repair_that_knows_no_store_leaves_what_is_in_one(
    project: Settings, database_uri: str
) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run([make("list"), make("array")])
    ran.clear()

    with SqlBackend(database_uri, {"value_store": "none"}) as backend:
        found, left = repair(backend)

    assert [each.table for each in found] == ["value"] * len(found) and len(found) >= 2
    assert all("none is set here" in each.detail and not each.remedy for each in found)
    assert left == found
    with Scheduler(project) as scheduler:
        scheduler.run([make("list"), make("array")])
    assert ran == []
    with SqlBackend(database_uri, {"value_store": project.backend.value_store}) as backend:
        assert check(backend, deep=True) == []


def test_a_row_that_lost_its_bytes_is_no_value_in_a_store(
    tmp_path: Path, database_uri: str
) -> None:
    project = settings_at(tmp_path, database_uri, value_store="none")
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
    ran.clear()
    with SqlBackend(database_uri, {"value_store": "none"}) as backend:
        backend._connection().execute("UPDATE value SET value = ? WHERE size > ?", (b"", SMALL))

    with Scheduler(project) as scheduler:
        assert scheduler.run(make("list")) == VALUES["list"]()

    assert ran == ["list"]


@pytest.mark.parametrize("wrong", ["empty", "another's"])
def test_a_repair_with_the_wrong_store_says_so_and_marks_nothing(
    wrong: str, project: Settings, tmp_path: Path
) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run([make(name) for name in ("list", "array", "pandas")])
    ran.clear()
    other = replace(project.backend, value_store=str(tmp_path / "typo"))
    if wrong != "empty":
        ValueStore(other.value_store).publish("pickle", b"x" * SMALL)

    with SqlBackend(project.backend.db_uri, other) as backend:
        found, left = repair(backend)

    assert left == found
    doubts = [each for each in found if each.table == "value store"]
    assert len(doubts) == 1
    assert doubts[0].key == other.value_store
    assert "4 of 4 values" in doubts[0].detail
    assert "backend.value_store" in doubts[0].detail
    assert not any(each.remedy for each in found)
    with Scheduler(project) as scheduler:
        scheduler.run([make(name) for name in ("list", "array", "pandas")])
    assert ran == []
    with backend_of(project) as backend:
        assert check(backend, deep=True) == []


def test_a_store_that_is_lost_is_given_up_if_that_is_said(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run([make("list"), make("array")])
    shutil.rmtree(project.backend.value_store)
    ran.clear()

    with backend_of(project) as backend:
        found, left = repair(backend, values_lost=True)

    assert found and left == []
    with Scheduler(project) as scheduler:
        assert scheduler.run(make("list")) == VALUES["list"]()
    assert ran == ["list"]


def test_a_repair_marks_what_is_missing_where_most_is_there(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run([make(name) for name in ("list", "array", "pandas")])
    entries(project)[0].unlink()
    entries(project)[0].write_bytes(b"damaged")

    with backend_of(project) as backend:
        found, left = repair(backend)

    assert [each.table for each in found if each.table == "value"] == ["value"] * 2
    assert left == []


def test_a_repair_leaves_an_entry_that_was_made_again_since_it_looked(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
    ran.clear()
    store = store_of(project)
    (entry,) = store.entries()
    answers = iter(["it is damaged"])
    outside = Outside(lambda digest: next(answers, None), store.quarantine)

    with SqlBackend(project.backend.db_uri, {"value_store": store.url}) as backend:
        found, left = repair(backend, outside=outside)

    assert len(found) == 1 and left == []
    assert [each.digest for each in store.entries()] == [entry.digest]
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
    assert ran == []


def test_a_check_may_take_its_time_over_a_slow_store(postgres_uri: str, tmp_path: Path) -> None:
    """A server ends transactions that do nothing: those that others may wait for."""
    project = settings_at(tmp_path, postgres_uri)
    with Scheduler(project) as scheduler:
        scheduler.run([make("list"), make("array")])

    with (
        SqlBackend(postgres_uri, {"busy_timeout": 0.1}) as backend,
        SqlBackend(postgres_uri) as clock,
    ):
        # A third of the time-out is what a transaction of this backend's may idle.
        longer = "SELECT pg_sleep(0.4)"
        slow = Outside(lambda digest: clock._connection().execute(longer) and None)
        assert check(backend, deep=True, outside=slow) == []


def test_a_check_whose_server_goes_away_says_so(postgres_uri: str, tmp_path: Path) -> None:
    project = settings_at(tmp_path, postgres_uri)
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))

    with SqlBackend(postgres_uri) as backend, SqlBackend(postgres_uri) as other:
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND application_name = 'taskgraph'"
        )
        gone = Outside(lambda digest: other._connection().execute(end) and None)
        with pytest.raises(DatabaseError, match="connection"):
            check(backend, outside=gone)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_store_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    project = settings_at(tmp_path)
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
    (entry,) = entries(project)
    entry.chmod(0)

    with Scheduler(project) as scheduler, pytest.raises(ValueStoreError, match="Permission"):
        scheduler.run(make("list"))


def test_an_entry_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    project = settings_at(tmp_path)
    with Scheduler(project) as scheduler:
        scheduler.run(make("list"))
    (entry,) = entries(project)
    entry.unlink()
    entry.mkdir()  # which not even root can read

    with Scheduler(project) as scheduler, pytest.raises(ValueStoreError, match="directory"):
        scheduler.run(make("list"))


def test_more_than_the_largest_size_is_used_and_not_stored(tmp_path: Path) -> None:
    project = settings_at(tmp_path, max_value_size=20_000)
    observer = RecordingObserver()

    with Scheduler(project, observers=[observer]) as scheduler:
        for name in ("array", "pandas", "list"):
            scheduler.run(make(name))

    reasons = [each.reason for each in observer.events if isinstance(each, ResultUnstored)]
    assert len(reasons) == 3
    assert all("max_value_size" in each for each in reasons)
    assert entries(project) == []
    assert list(store_of(project).drafts()) == []


def test_values_are_compressed_if_that_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    project = settings_at(tmp_path, value_store_compression="zstd")

    for _ in range(2):
        with Scheduler(project) as scheduler:
            found = scheduler.run([make(each) for each in VALUES])
            hashes = [hash_value(each) for each in found]
            assert hashes == [hash_value(make()) for make in VALUES.values()]

    assert sorted(ran) == sorted(VALUES)
    with backend_of(project) as backend, backend.reader() as reader:
        value = reader.get(Value, hash_value(VALUES["array"]()))
        assert value is not None
        assert value.format == "npy+zstd"
        assert value.size < VALUES["array"]().nbytes
        assert check(backend) == []


# Without settings, and by hand


def test_a_sqlite_file_has_its_large_values_in_a_folder_beside_it(tmp_path: Path) -> None:
    with SqlBackend(f"sqlite:///{tmp_path / 'a.db'}") as backend:
        key = backend.record_value("x" * 2_000_000)
        small = backend.record_value("y" * 100_000)

        assert backend.get_value(key) == ("x" * 2_000_000, True)
        assert backend.get_value(small) == ("y" * 100_000, True)
        assert len(list((tmp_path / "a.db-values").iterdir())) == 2  # an entry, and drafts
        with backend.reader() as reader:
            of_key, of_small = reader.get(Value, key), reader.get(Value, small)
            assert of_key is not None and of_key.in_value_store
            assert of_small is not None and not of_small.in_value_store


def test_all_stays_in_the_database_if_there_is_no_store(postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend, SqlBackend() as in_memory:
        for each in (backend, in_memory):
            assert each.value_store is None
            key = each.record_value("x" * 2_000_000)
            assert each.get_value(key) == ("x" * 2_000_000, True)


def test_a_damaged_value_is_not_given(tmp_path: Path) -> None:
    with SqlBackend(f"sqlite:///{tmp_path / 'a.db'}") as backend:
        key = backend.record_value("x" * 2_000_000)
        assert backend.value_store is not None
        (entry,) = backend.value_store.entries()
        os.truncate(Path(backend.value_store.url) / name_of(entry.digest), 10)

        assert backend.get_value(key) == (None, False)
        with backend.reader() as reader:
            value = reader.get(Value, key)
            assert value is not None
            assert str(value.value_parsed) == str(PreviewValue(value, value.size))


def test_rows_outside_are_counted_and_listed(project: Settings) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(make("array"))
        scheduler.run(make("list"))

    with backend_of(project) as backend:
        driver = backend.database.connect()
        backend.database.begin_looking(driver)
        found = list(outside_values(backend.database, driver))
        assert {each.value_hash for each in found} == {
            hash_value(VALUES[name]()) for name in ("array", "list")
        }
        assert {each.digest for each in found} == {e.digest for e in store_of(project).entries()}
        assert count_outside(driver) == (2, sum(each.size for each in found))
        driver.close()


# Records that go elsewhere


def test_exports_carry_large_values_and_imports_put_them_outside(
    project: Settings, tmp_path: Path
) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run([make("array"), make("list")])
    other = settings_at(tmp_path / "other")
    path = tmp_path / "records.jsonl"

    exchange.export(project, (), str(path), everything=False)
    exchange.import_file(other, str(path), dry_run=False)
    exchange.trust_origins(other, ())
    exchange.export(other, (), str(tmp_path / "again.jsonl"), everything=False)

    assert {p.name for p in entries(other)} == {p.name for p in entries(project)}
    assert (tmp_path / "again.jsonl").read_bytes() == path.read_bytes()
    ran.clear()
    with Scheduler(other) as scheduler:
        found = scheduler.run([make("array"), make("list")])
    assert ran == []
    assert hash_value(found[0]) == hash_value(VALUES["array"]())


def test_an_export_says_of_a_damaged_value_that_it_is(project: Settings, tmp_path: Path) -> None:
    with Scheduler(project) as scheduler:
        scheduler.run(make("array"))
    for each in entries(project):
        os.truncate(each, 100)
    other = settings_at(tmp_path / "other")

    exchange.export(project, (), str(tmp_path / "records.jsonl"), everything=False)
    exchange.import_file(other, str(tmp_path / "records.jsonl"), dry_run=False)

    assert entries(other) == []
    with SqlBackend(other.backend.db_uri, other.backend) as backend, backend.reader() as reader:
        value = reader.get(Value, hash_value(VALUES["array"]()))
        assert value is not None
        assert value.format == "damaged"


def test_what_is_pushed_and_pulled_lies_outside_on_both_sides(tmp_path: Path) -> None:
    one, two = settings_at(tmp_path / "one"), settings_at(tmp_path / "two")
    (two.config_dir / "config.toml").write_text(
        f'[backend]\nvalue_store = "{two.backend.value_store}"\n'
    )
    with Scheduler(one) as scheduler:
        scheduler.run(make("array"))
    three = settings_at(tmp_path / "three")

    for settings in (one, three):
        exchange.add_repo(settings, "two", str(tmp_path / "two"))
    exchange.push(one, "two", ())
    exchange.pull(three, "two", ())

    assert len(entries(two)) == len(entries(three)) == 1
    with SqlBackend(two.backend.db_uri, two.backend) as backend:
        assert check(backend) == []


# Killed

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from taskgraph import Scheduler, task
from taskgraph.config import BackendSettings, Settings

@task(namespace="kill")
def make(number):
    return np.full(400_000, number, dtype=float)

@task(namespace="kill")
def first(array):
    return float(array[0])

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with Scheduler(Settings(folder / ".taskgraph"), executor=sys.argv[2]) as scheduler:
        print("begin", flush=True)
        found = scheduler.run([first(make(each)) for each in range(60)])
        assert found == [float(each) for each in range(60)]
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_kill_while_values_are_published_leaves_nothing_half(
    executor: str, tmp_path: Path
) -> None:
    chance = random.Random(executor)
    (tmp_path / ".taskgraph").mkdir()
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
    command = [str(script), str(tmp_path), executor]
    store = ValueStore(str(tmp_path / ".taskgraph" / "taskgraph.db-values"))

    for _ in range(KILLS):
        process = start_python(
            command, ROOT, environment, start_new_session=True, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        # At any moment of a run: this is what is tested, and not waited for.
        time.sleep(chance.uniform(0.0, 0.6))
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for entry in store.entries():
            assert entry.size == 3_200_128
            assert store.check(entry.digest) is None

    done = run_python(command, ROOT, environment)
    assert done.code == 0, done.err
    assert len(list(store.entries())) == 60
    assert list(store.quarantined()) == []
    with SqlBackend(f"sqlite:///{tmp_path / '.taskgraph' / 'taskgraph.db'}") as backend:
        assert check(backend) == []


def test_a_draft_of_a_killed_writer_is_no_entry(tmp_path: Path) -> None:
    store = ValueStore(str(tmp_path))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "4711-9f").write_bytes(b"half")

    assert list(store.entries()) == []
    assert [size for _, size in store.drafts()] == [4]
    assert store.read(ContentDigest("0" * 32)) is None


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """Of 64 KiB, a limit of the process that raises as a full disk does."""
    code = f"""
import resource, signal
from taskgraph.errors import ValueStoreError
from taskgraph.values.valuestore import ValueStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
store = ValueStore({str(tmp_path)!r})
def write(sink):
    sink.write(bytes(200_000))
    return "npy"
for publish in (lambda: store.publish("npy", bytes(200_000)), lambda: store.publish_stream(write)):
    try:
        publish()
    except ValueStoreError as error:
        print(error)
assert not list(store.entries()) and not list(store.drafts())
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"File too large") == 2


def test_the_settings_of_a_store_are_checked(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="unknown setting"):
        SqlBackend(config={"value_shop": "x"})
