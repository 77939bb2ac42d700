"""A shared database: its schema is that of the models too, and changes only on command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from taskgraph.errors import DatabaseVersionError, ForeignDatabaseError
from taskgraph.records import RecordBatch
from taskgraph_backend import SqlBackend, schema
from taskgraph_backend.models import Base
from tests.postgres import Server
from tests.rows import a_value, key

REPOSITORY = Path(__file__).parents[2]

_COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, collation_name"
    " FROM information_schema.columns WHERE table_schema = 'public'"
)
_CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
)
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


@pytest.fixture
def unnamed(postgres_server: Server, empty_postgres_uri: str) -> Iterator[tuple[Server, str]]:
    """A server, and the name of an empty database on it."""
    yield postgres_server, empty_postgres_uri.partition("?")[0].rpartition("/")[2]


def _declarations(server: Server, database: str) -> list[set[tuple[object, ...]]]:
    found = []
    for query in (_COLUMNS, _CONSTRAINTS, _INDEXES):
        rows = server.execute(query, database=database)
        found.append({row for row in rows if "alembic_version" not in str(row[0])})
    return found


def test_tables_are_declared_alike_to_the_letter(
    unnamed: tuple[Server, str], own_postgres_uri: str
) -> None:
    server, name = unnamed
    engine = create_engine(f"postgresql+psycopg{server.uri(name).removeprefix('postgresql')}")
    Base.metadata.create_all(engine)
    engine.dispose()

    made = _declarations(server, own_postgres_uri.partition("?")[0].rpartition("/")[2])

    assert made == _declarations(server, name)
    assert len(made[0]) > 100


def test_an_empty_one_is_not_filled_by_itself(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed

    with pytest.raises(DatabaseVersionError, match=r"it is empty.*`taskgraph db upgrade`"):
        SqlBackend(server.uri(name)).load()

    assert _declarations(server, name) == [set(), set(), set()]


def test_an_older_schema_is_upgraded_on_command_only(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed
    backend = SqlBackend(server.uri(name))
    backend.migrate("1.3")

    with pytest.raises(DatabaseVersionError, match=r"1\.3 is too old.*`taskgraph db upgrade`"):
        backend.load()
    backend.migrate()
    backend.load()

    assert backend.get_db_version() == schema.CURRENT
    backend.close()


def test_it_may_be_upgraded_by_itself_if_the_settings_say_so(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed

    with SqlBackend(server.uri(name), {"automigrate": True}) as backend:
        assert backend.get_db_version() == schema.CURRENT


def test_a_newer_schema_is_refused(own_postgres_uri: str) -> None:
    with SqlBackend(own_postgres_uri) as backend:
        backend._connection().execute(
            "INSERT INTO taskgraph_version (version, timestamp) VALUES (?, ?)", ("99.0", 1)
        )

    with pytest.raises(DatabaseVersionError, match=r"too new.*Upgrade taskgraph"):
        SqlBackend(own_postgres_uri).load(migrate=True)


def test_the_database_of_another_program_is_left_alone(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed
    server.execute("CREATE TABLE theirs (id int)", database=name)

    with pytest.raises(ForeignDatabaseError, match=r"another database, or a schema of its own"):
        SqlBackend(server.uri(name)).load(migrate=True)

    assert len(_declarations(server, name)[0]) == 1


def test_a_schema_of_its_own_lies_beside_others(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed
    server.execute("CREATE TABLE value (theirs int)", 'CREATE SCHEMA "Mine"', database=name)
    uri = f"{server.uri(name)}&options=-csearch_path%3D%22Mine%22"

    with SqlBackend(uri, {"automigrate": True}) as backend:
        backend.record(RecordBatch(values=[a_value(1)]))

        assert set(backend.load_values([key(1)])) == {key(1)}
    assert server.execute("SELECT count(*) FROM public.value", database=name) == [(0,)]
    assert server.execute('SELECT count(*) FROM "Mine".value', database=name) == [(1,)]


def test_each_step_up_and_down_keeps_the_rows(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed
    backend = SqlBackend(server.uri(name))
    backend.migrate("1.0")
    server.execute(
        r"INSERT INTO value VALUES ('\x01', 't', 'f', 1, 'p', '\x00', true, '\x31')",
        r"INSERT INTO task VALUES ('\x01', 'f', 'ns', 'def f(): ...')",
        r"INSERT INTO execution VALUES ('\x02', '[]', '\x03', now(), 'COMPLETED', now(), NULL)",
        r"INSERT INTO job VALUES ('\x03', '\x02', NULL, '\x01', NULL, NULL, now(), now(), false,"
        " 'COMPLETED')",
        database=name,
    )
    before = server.execute("SELECT * FROM job", database=name)
    versions = [str(each) for each in schema.all_versions()]

    for version in versions[1:]:
        backend.migrate(version)
    upgraded = server.execute("SELECT * FROM job", database=name)
    for version in reversed(versions[:-1]):
        backend.migrate(version)
    downgraded = server.execute("SELECT * FROM job", database=name)

    backend.close()
    assert upgraded == [(*before[0], *[None] * 6)]
    assert downgraded == before


def test_downgrade_of_the_first_migration_leaves_no_table(own_postgres_uri: str) -> None:
    from alembic import command

    with SqlBackend(own_postgres_uri) as backend:
        with backend.create_engine().begin() as connection:
            config = schema._config()
            config.attributes["connection"] = connection
            command.downgrade(config, "base")

        assert backend.database.count_tables(backend._connection()) == (1, False)


def test_a_step_that_fails_leaves_the_schema_as_it_was(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed
    backend = SqlBackend(server.uri(name))
    backend.migrate("1.2")
    # In the way of the step to 1.3, after it has made another table.
    server.execute("CREATE TABLE foreign_evaluation (id int)", database=name)
    before = _declarations(server, name)

    with pytest.raises(Exception, match="foreign_evaluation"):
        backend.migrate()

    assert _declarations(server, name) == before
    assert str(backend.get_db_version()) == "1.2"
    backend.close()


def test_two_processes_may_upgrade_it_at_once(unnamed: tuple[Server, str]) -> None:
    server, name = unnamed
    program = (
        "import sys; from taskgraph_backend import SqlBackend\n"
        "backend = SqlBackend(sys.argv[1])\n"
        "print('ready', flush=True); input()\n"
        "backend.migrate(); backend.load(); print(backend.get_db_version()); backend.close()\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, server.uri(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'backend'}"},
        )
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"

    for each in both:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()

    assert [each.communicate()[0] for each in both] == [f"{schema.CURRENT}\n"] * 2
    (count,) = server.execute("SELECT count(*) FROM taskgraph_version", database=name)
    assert count == (1,)
