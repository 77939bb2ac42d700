"""How a server is reached, and what is said when it is not."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from benchmarks.line import open_line
from taskgraph.errors import (
    DatabaseDriverError,
    DatabaseError,
    DatabaseReadOnlyError,
    DatabaseVersionError,
)
from taskgraph.records import RecordBatch
from taskgraph_backend import SqlBackend
from taskgraph_backend.dialects import open_database
from taskgraph_backend.dialects.postgres import database as module
from taskgraph_backend.dialects.postgres import errors
from tests.postgres import LOCKED, PASSWORD, Server
from tests.rows import a_job, a_lease, a_task, a_value, an_execution, key, together

REPOSITORY = Path(__file__).parents[5]


def _failure(uri: str) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        SqlBackend(uri, {"busy_timeout": 0.1}).load()
    return caught.value


def _name(uri: str) -> str:
    return uri.partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_uri_may_begin_as_users_know_it(postgres_uri: str, scheme: str) -> None:
    with SqlBackend(f"{scheme}{postgres_uri.removeprefix('postgresql')}") as backend:
        assert backend.is_db_compatible()


def test_what_a_uri_does_not_say_is_taken_from_the_environment(
    postgres_server: Server, postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", str(postgres_server.folder))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGDATABASE", _name(postgres_uri))

    with SqlBackend("postgresql://") as backend:
        assert backend.is_db_compatible()


def test_a_service_file_can_name_it(
    postgres_server: Server, postgres_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "services"
    file.write_text(
        f"[team]\nhost={postgres_server.folder}\nuser=postgres\ndbname={_name(postgres_uri)}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))

    with SqlBackend("postgresql:///?service=team") as backend:
        assert backend.is_db_compatible()
    assert "no service file names" in str(_failure("postgresql:///?service=nobody"))


@pytest.mark.parametrize("where", ["uri", "environment", "file"])
def test_a_password_is_taken_from_where_users_keep_it(
    postgres_server: Server, own_postgres_uri: str, where: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = _name(own_postgres_uri)
    grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {LOCKED}"
    postgres_server.execute(grant, database=name)
    given = PASSWORD if where == "uri" else ""
    if where == "environment":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    if where == "file":
        file = tmp_path / "pgpass"
        file.write_text(f"*:*:*:{LOCKED}:{PASSWORD}\n")
        file.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(file))

    with SqlBackend(postgres_server.uri(name, LOCKED, given)) as backend:
        backend.record(RecordBatch(values=[a_value(1)]))

        assert set(backend.load_values([key(1)])) == {key(1)}


def test_a_wrong_password_is_told_and_not_shown(postgres_server: Server) -> None:
    error = _failure(postgres_server.uri("postgres", LOCKED, "secret-9c1b"))

    assert "the password for its user is missing or wrong" in str(error)
    assert f"{LOCKED}:***@" in str(error)


def test_a_server_that_is_not_there_is_told_with_its_place() -> None:
    error = _failure("postgresql://me:secret-9c1b@127.0.0.1:1/records")

    assert "no server answers there" in str(error)
    assert "127.0.0.1:1/records" in str(error)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was connected to, each time that it was tried."""
    psycopg = pytest.importorskip("psycopg")
    connect, tried = psycopg.connect, []

    def counted(address: str, **given: Any) -> object:
        tried.append(address)
        return connect(address, **given)

    monkeypatch.setattr(psycopg, "connect", counted)
    return tried


@pytest.mark.parametrize("place", ["127.0.0.1:1", "localhost:1", "localhost:1,127.0.0.1:1"])
def test_a_port_of_this_machine_where_nobody_listens_is_told_at_once(
    place: str, attempts: list[str]
) -> None:
    error = _failure(f"postgresql://me@{place}/records")

    assert "no server answers there" in str(error)
    assert len(attempts) == 1


def test_a_server_of_this_machine_that_was_there_is_waited_for(
    postgres_server: Server, postgres_uri: str, attempts: list[str]
) -> None:
    with open_line(str(postgres_server.folder / ".s.PGSQL.5432")) as port:
        uri = f"postgresql://postgres@127.0.0.1:{port}/{_name(postgres_uri)}"
        database = open_database(uri, busy_timeout=0.2)
        database.connect().close()
    attempts.clear()

    with pytest.raises(DatabaseError, match="no server answers there"):
        database.connect()

    assert len(attempts) > 1


@pytest.mark.parametrize(
    ("text", "is_here"),
    [
        ('connection to server at "127.0.0.1", port 1 failed: Connection refused', True),
        ('connection to server at "localhost" (::1), port 1 failed: Connection refused', True),
        ('connection to server at "::1", port 1 failed: Connection refused\n\tIs it?', True),
        ('connection to server at "db" (10.0.0.1), port 1 failed: Connection refused', False),
        ('connection to server at "127.0.0.1", port 1 failed: timeout expired', False),
        ('connection to server on socket "/x/.s.PGSQL.1" failed: Connection refused', False),
        (
            'connection to server at "127.0.0.1", port 1 failed: Connection refused\n'
            'connection to server at "db" (10.0.0.1), port 1 failed: Connection refused',
            False,
        ),
    ],
)
def test_what_is_refused_elsewhere_may_be_restarted(text: str, is_here: bool) -> None:
    psycopg = pytest.importorskip("psycopg")

    assert errors.is_refused_here(psycopg.OperationalError(text)) is is_here


def test_a_database_that_is_not_there_is_to_be_created(postgres_server: Server) -> None:
    error = _failure(postgres_server.uri("nothing"))

    assert "no such database. Create it with createdb" in str(error)


def test_a_user_that_is_not_there_is_told(postgres_server: Server) -> None:
    assert "knows no such user" in str(_failure(postgres_server.uri("postgres", "nobody")))


def test_a_host_that_is_not_known_is_told() -> None:
    assert "its host is not known" in str(_failure("postgresql://host.invalid/x"))


def test_an_option_that_does_not_exist_is_refused() -> None:
    assert "Its options are those of libpq" in str(_failure("postgresql:///x?colour=red"))


def test_a_server_that_is_too_old_is_refused(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OLDEST_SERVER", 99)

    with pytest.raises(DatabaseVersionError, match=r"which is too old: 99 or newer"):
        SqlBackend(postgres_uri).load()


def test_without_its_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(DatabaseDriverError, match=r"pip install 'taskgraph\[postgres\]'"):
        SqlBackend("postgresql://host/x").load()


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me:secret-9c1b@127.0.0.1:1/x",
        "postgresql://me:secret%zz-9c1b@127.0.0.1:1/x",
        "postgresql://me:a:secret-9c1b@127.0.0.1:1/x",
        "postgresql://me:a@secret-9c1b@127.0.0.1:1/x",
        "postgresql://me:a/secret-9c1b@127.0.0.1:1/x",
        "postgresql://me:secret-9c1b/b@127.0.0.1:1/x",
        "postgresql://me:secret-9c1b?b@127.0.0.1:1/x",
        "postgresql://me:a?secret-9c1b@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?password=secret-9c1b",
        "postgresql://127.0.0.1:1/x?user=me&password=secret-9c1b&colour=red",
        "postgresql://127.0.0.1:1/x?sslpassword=secret-9c1b",
    ],
)
def test_no_password_is_ever_shown(uri: str) -> None:
    error = _failure(uri)

    told = "".join(traceback.format_exception(error))
    shown = (told, str(error), repr(error), repr(error.args), error.uri)
    assert not [each for each in shown if "secret" in each or "9c1b" in each]


def test_what_stands_for_a_database_does_not_show_its_password() -> None:
    database = open_database("postgresql://me:secret-9c1b@host/x")

    assert repr(database) == "PostgresDatabase('postgresql://me:***@host/x')"
    assert "9c1b" not in repr(database.engine)


def test_who_may_only_read_can_read(postgres_server: Server, own_postgres_uri: str) -> None:
    name = _name(own_postgres_uri)
    with SqlBackend(own_postgres_uri) as backend:
        # It looks crashed to who loads it, and cannot be marked so.
        backend.record(together(a_task(), an_execution(), a_job(1), RecordBatch([a_value(5)])))
        # So is a lease that nobody has.
        backend.take([a_lease("execution:1", expires=1)])
    grant = f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {LOCKED}"
    postgres_server.execute(grant, database=name)

    with SqlBackend(postgres_server.uri(name, LOCKED, PASSWORD)) as backend:
        assert set(backend.load_values([key(5)])) == {key(5)}
        with pytest.raises(DatabaseReadOnlyError, match=r"this user may not do that"):
            backend.record(RecordBatch(values=[a_value(6)]))


def test_a_copy_that_can_only_be_read_is_read(postgres_server: Server, postgres_uri: str) -> None:
    with SqlBackend(postgres_uri) as backend:
        backend.record(together(a_task(), an_execution(), a_job(1)))
    uri = f"{postgres_uri}&options=-cdefault_transaction_read_only%3Don"

    with SqlBackend(uri) as backend:
        assert backend.database.read_only
        with pytest.raises(DatabaseReadOnlyError, match="it can only be read"):
            backend.record(RecordBatch(values=[a_value(6)]))


def test_readers_are_told_in_the_same_words(own_postgres_uri: str, postgres_server: Server) -> None:
    with SqlBackend(own_postgres_uri) as backend, backend.reader() as reader:
        postgres_server.execute("DROP TABLE job CASCADE", database=_name(own_postgres_uri))

        with pytest.raises(DatabaseError, match='relation "job" does not exist'):
            reader.executions()


def test_what_only_sqlite_can_be_asked_is_told(postgres_uri: str) -> None:
    with (
        SqlBackend(postgres_uri) as backend,
        pytest.raises(DatabaseError, match="this cannot be asked of PostgreSQL"),
    ):
        backend._ask(lambda driver: driver.execute("PRAGMA page_count"))


def test_writing_and_looking_up_load_no_sqlalchemy(postgres_uri: str) -> None:
    program = (
        "import sys, taskgraph\n"
        "assert 'psycopg' not in sys.modules\n"
        "from taskgraph_backend import SqlBackend\n"
        "from taskgraph.records import RecordBatch\n"
        "from tests.rows import a_value\n"
        "with SqlBackend(sys.argv[1]) as backend:\n"
        "    backend.record(RecordBatch(values=[a_value(1)])); backend.load_values(['00' * 16])\n"
        "print(sorted({'sqlalchemy', 'alembic'} & set(sys.modules)))\n"
    )

    done: Any = subprocess.run(
        [sys.executable, "-c", program, postgres_uri],
        env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'backend'}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")
