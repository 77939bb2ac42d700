"""The migrations make what the models say, once, whole, and never backwards by themselves."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from taskgraph.errors import DatabaseError, DatabaseVersionError
from taskgraph.records import CacheQuery
from taskgraph_backend import SqlBackend, schema
from taskgraph_backend.models import Base
from tests.rows import a_task, an_evaluation, key, together

REPOSITORY = Path(__file__).parents[2]


def _uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'taskgraph.db'}"


def _set_version(folder: Path, version: str) -> None:
    connection = sqlite3.connect(folder / "taskgraph.db")
    connection.execute(
        "INSERT INTO taskgraph_version (version, timestamp) VALUES (?, 1)", [version]
    )
    connection.commit()
    connection.close()


def test_models_and_migrations_agree(sql_backend: SqlBackend) -> None:
    with sql_backend.create_engine().connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: name != "alembic_version",
            },
        )
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


def test_tables_are_declared_alike_to_the_letter(sqlite_backend: SqlBackend) -> None:
    # What alembic does not compare: deferred foreign keys, primary keys, tables without rowid.
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        Base.metadata.create_all(connection)
        wanted = _declarations(connection.connection.driver_connection)
    engine.dispose()

    driver = sqlite_backend.database.connect()
    made = _declarations(driver)
    driver.close()

    del made["alembic_version"]
    assert made == wanted


@pytest.mark.parametrize("is_in_memory", [True, False])
def test_new_file_is_what_all_migrations_make_of_an_empty_one(
    is_in_memory: bool, tmp_path: Path
) -> None:
    if os.environ.get("TASKGRAPH_WRITE_SCHEMA"):
        _write_script(tmp_path)
    migrated = SqlBackend(f"sqlite:///{tmp_path / 'migrated.db'}")
    migrated.migrate()
    new = SqlBackend(None if is_in_memory else f"sqlite:///{tmp_path / 'new.db'}")
    new.load()

    found = [_all_of(each.database.connect()) for each in (new, migrated)]

    new.close()
    migrated.close()
    assert found[0] == found[1]
    assert found[0]["alembic_version"] == [(schema.CURRENT.migration_id,)]


def _all_of(driver: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a database but when it was made and the kind of its journal."""
    made: dict[str, list[tuple[object, ...]]] = {
        "": driver.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    }
    for kind, name, *_ in made[""]:
        if kind == "table":
            made[str(name)] = driver.execute(f"SELECT * FROM {name}").fetchall()
    made["taskgraph_version"] = [row[:2] for row in made["taskgraph_version"]]
    for setting in ("user_version", "application_id", "encoding", "auto_vacuum", "page_size"):
        made[f"PRAGMA {setting}"] = driver.execute(f"PRAGMA {setting}").fetchall()
    driver.close()
    return made


def _write_script(folder: Path) -> None:
    backend = SqlBackend(f"sqlite:///{folder / 'written.db'}")
    backend.migrate()
    driver = backend.database.connect()
    rows = driver.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    driver.close()
    backend.close()
    step = f"INSERT INTO alembic_version VALUES ('{schema.CURRENT.migration_id}')"
    text = "".join(f"{sql};\n" for sql in (*(sql for (sql,) in rows), step))
    (schema.migrations_folder() / "sqlite.sql").write_text(text)


def test_new_file_is_made_without_what_migrates(tmp_path: Path) -> None:
    program = (
        "import sys; from taskgraph_backend import SqlBackend; SqlBackend(sys.argv[1]).load();"
        " print(sorted({'alembic', 'sqlalchemy'} & sys.modules.keys()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, _uri(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "backend"])},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_new_file_is_made_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (schema.migrations_folder() / "sqlite.sql").read_text()
    (tmp_path / "sqlite.sql").write_text(script + "CREATE INDEX x ON nothing (y);\n")
    with monkeypatch.context() as patch, pytest.raises(DatabaseError, match="nothing"):
        patch.setattr(schema, "migrations_folder", lambda: tmp_path)
        SqlBackend(_uri(tmp_path)).load()

    with closing(sqlite3.connect(tmp_path / "taskgraph.db")) as connection:
        (left,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    assert left == 0
    with SqlBackend(_uri(tmp_path)) as backend:
        assert backend.is_db_compatible()


def _declarations(driver: sqlite3.Connection) -> dict[str, list[str]]:
    rows = driver.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    # A column that was added later stands on the line of the one before it.
    return {
        name: sorted(filter(None, (line.strip() for line in re.split(r"\n|,(?=\s)", sql))))
        for name, sql in rows
    }


def test_newest_migration_is_the_version_of_the_library() -> None:
    assert schema.all_versions()[-1] == schema.CURRENT
    assert schema.all_versions()[-1].migration_id == schema.CURRENT.migration_id


def test_fresh_file_is_created(tmp_path: Path) -> None:
    with SqlBackend(_uri(tmp_path)) as backend:
        assert backend.get_db_version() == backend.get_all_db_versions()[-1] == schema.CURRENT
        assert backend.is_db_compatible()


def test_empty_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "taskgraph.db").touch()

    with SqlBackend(_uri(tmp_path)) as backend:
        assert backend.get_db_version() == schema.CURRENT


def test_upgrading_again_changes_nothing(tmp_path: Path) -> None:
    with SqlBackend(_uri(tmp_path)) as backend:
        backend.record(together(a_task(), an_evaluation(1, 2)))
        before = backend.check_cache([CacheQuery(key(1))])

        backend.migrate()

        assert backend.check_cache([CacheQuery(key(1))]) == before
        with closing(backend.database.connect()) as connection:
            (count,) = connection.execute("SELECT count(*) FROM taskgraph_version").fetchone()
        assert count == 1


def test_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    SqlBackend(_uri(tmp_path)).__enter__().close()
    _set_version(tmp_path, "99.0")
    before = (tmp_path / "taskgraph.db").read_bytes()

    with pytest.raises(DatabaseVersionError, match=r"too new.*Upgrade taskgraph"):
        SqlBackend(_uri(tmp_path)).load()

    assert (tmp_path / "taskgraph.db").read_bytes() == before


def test_newer_minor_step_is_fine(tmp_path: Path) -> None:
    SqlBackend(_uri(tmp_path)).__enter__().close()
    _set_version(tmp_path, f"{schema.CURRENT.major}.{schema.CURRENT.minor + 1}")

    with SqlBackend(_uri(tmp_path)) as backend:
        assert backend.is_db_compatible()


def test_newer_schema_is_not_migrated_either(tmp_path: Path) -> None:
    SqlBackend(_uri(tmp_path)).__enter__().close()
    _set_version(tmp_path, "99.0")

    with (
        closing(SqlBackend(_uri(tmp_path))) as backend,
        pytest.raises(DatabaseVersionError, match="too new"),
    ):
        backend.migrate("1.0")


def test_without_leave_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(DatabaseVersionError, match="taskgraph db upgrade"):
        SqlBackend(_uri(tmp_path)).load(migrate=False)

    assert (tmp_path / "taskgraph.db").read_bytes() == b""


def test_unknown_version_is_named_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(DatabaseVersionError, match=r"no schema version 7\.3\. Known are 1\.0"):
        SqlBackend(_uri(tmp_path)).migrate("7.3")


def test_failed_creation_leaves_an_empty_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    scripts = (schema.migrations_folder() / "versions").glob("*.py")
    for name in ("env.py", "script.py.mako", *(f"versions/{each.name}" for each in scripts)):
        (folder / name).write_text((schema.migrations_folder() / name).read_text())
    broken = folder / "versions" / "0001_initial.py"
    broken.write_text(broken.read_text().replace('"ix_job_call_hash", "job"', '"x", "nothing"'))
    monkeypatch.setattr(schema, "migrations_folder", lambda: folder)

    with pytest.raises(Exception, match="nothing"):
        SqlBackend(_uri(tmp_path)).load()

    monkeypatch.undo()
    with SqlBackend(_uri(tmp_path)) as backend:
        assert backend.is_db_compatible()


def test_downgrade_of_the_first_migration_leaves_no_table(tmp_path: Path) -> None:
    from alembic import command

    backend = SqlBackend(_uri(tmp_path))
    backend.load()

    with backend.create_engine().begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    backend.close()
    driver = sqlite3.connect(tmp_path / "taskgraph.db")
    names = [name for (name,) in driver.execute("SELECT name FROM sqlite_master")]
    driver.close()
    assert [name for name in names if not name.startswith("sqlite_")] == ["alembic_version"]


def test_upgrade_and_downgrade_keep_the_rows_of_the_first_schema(tmp_path: Path) -> None:
    backend = SqlBackend(_uri(tmp_path))
    backend.migrate("1.0")
    driver = sqlite3.connect(tmp_path / "taskgraph.db")
    driver.executescript(
        "INSERT INTO value VALUES (x'01', 't', 'f', 1, 'p', x'00', 1, x'31');"
        "INSERT INTO task VALUES (x'01', 'f', 'ns', 'def f(): ...');"
        "INSERT INTO execution VALUES (x'02', '[]', x'03', 1, 'COMPLETED', 1, NULL);"
        "INSERT INTO job VALUES (x'03', x'02', NULL, x'01', NULL, NULL, 1, 2, 0, 'COMPLETED');"
    )
    before = driver.execute("SELECT * FROM job").fetchall()
    driver.commit()

    backend.migrate()
    upgraded = driver.execute("SELECT * FROM job").fetchall()
    backend.migrate("1.0")
    downgraded = driver.execute("SELECT * FROM job").fetchall()

    driver.close()
    backend.close()
    assert upgraded == [(*before[0], *[None] * 6)]
    assert downgraded == before


def test_two_processes_may_create_a_database_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from taskgraph_backend import SqlBackend\n"
        f"backend = SqlBackend({_uri(tmp_path)!r})\n"
        "print('ready', flush=True); input()\n"
        "backend.load(); print(backend.get_db_version()); backend.close()\n"
    )
    path = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'backend'}"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=path,
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

    answers = [each.communicate()[0] for each in both]
    assert answers == [f"{schema.CURRENT}\n"] * 2
    assert [each.returncode for each in both] == [0, 0]


@pytest.mark.parametrize(("text", "numbers"), [("2.0", (2, 0)), ("3", (3, 0)), ("1.12", (1, 12))])
def test_version_is_read_from_text(text: str, numbers: tuple[int, int]) -> None:
    version = schema.parse_db_version(text)

    assert (version.major, version.minor) == numbers


def test_latest_is_the_version_of_the_library() -> None:
    assert schema.parse_db_version("latest") == schema.CURRENT


@pytest.mark.parametrize("text", ["", "x", "1.", "1.x", ".1", "-1", "1.2.3"])
def test_text_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a schema version"):
        schema.parse_db_version(text)


def test_versions_are_ordered_by_their_numbers() -> None:
    old, new = schema.DBVersionInfo("b", 1, 9), schema.DBVersionInfo("a", 1, 10)

    assert old < new
