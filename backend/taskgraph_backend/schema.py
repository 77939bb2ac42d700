"""Schema versions and how a database gets from one to another: whole or not at all.

An embedded SQLite database is created and upgraded when it is opened, and never downgraded by
itself. Whether anything must be done is one small query; alembic is imported only if so, and not
for a new file: all migrations together are one text beside them, which a test holds against them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from taskgraph.errors import DatabaseError, DatabaseVersionError, ForeignDatabaseError
from taskgraph_backend.dialects import Database, Driver

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection


@dataclass(frozen=True, order=True, slots=True)
class DBVersionInfo:
    """A schema version; the greater one is the newer one."""

    migration_id: str = field(compare=False)
    major: int
    minor: int
    description: str = field(compare=False, default="")

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


#: What this library reads and writes; a test holds it against the newest migration.
CURRENT = DBVersionInfo(
    "0011",
    1,
    10,
    "Executions are routed to workers; notifications, packages of tasks, operations and people.",
)
#: Minor steps only add what older libraries may leave alone.
_NEWEST_MINOR = 999


def parse_db_version(text: str) -> DBVersionInfo:
    """Return the version that a text such as ``2.0``, ``3`` or ``latest`` stands for.

    Raises:
        ValueError: The text is none of these.
    """
    if text == "latest":
        return CURRENT
    major, dot, minor = text.partition(".")
    if not major.isdecimal() or (dot and not minor.isdecimal()):
        raise ValueError(f"{text!r} is not a schema version: write '2.0', '3' or 'latest'")
    return DBVersionInfo("", int(major), int(minor or 0))


def required_versions() -> tuple[DBVersionInfo, DBVersionInfo]:
    """Return the oldest and the newest schema version that this library works with."""
    return CURRENT, DBVersionInfo("", CURRENT.major, _NEWEST_MINOR)


def is_compatible(version: DBVersionInfo | None) -> bool:
    """Tell whether this library works with a schema."""
    oldest, newest = required_versions()
    return version is not None and oldest <= version <= newest


def migrations_folder() -> Path:
    """Return where the migrations lie: beside this module in a wheel, else in the checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "migrations", here.parent.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise FileNotFoundError(f"the migrations of taskgraph_backend are missing beside {here}")


def read_version(database: Database, driver: Driver) -> DBVersionInfo | None:
    """Return the schema version of a database, or None if it is empty.

    Raises:
        ForeignDatabaseError: It holds something else; nothing was changed.
    """
    try:
        tables, is_ours = database.count_tables(driver)
        if not tables:
            return None
        row = None
        if is_ours:
            row = driver.execute(
                "SELECT version FROM taskgraph_version ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except database.errors as error:
        raise database.translate(error) from error
    if row is None:
        raise ForeignDatabaseError(
            database.uri,
            "it is the database of another program. It was left as it is; name another "
            f"{database.other_place}.",
        )
    version = parse_db_version(row[0])
    return CURRENT if version == CURRENT else version


def prepare(database: Database, driver: Driver, migrate: bool | None = None) -> None:
    """Make a database ready for use: create or upgrade its schema where that is needed.

    Args:
        database: The database.
        driver: One of its connections.
        migrate: False to refuse where something would have to be done; None for False where others
            rely on the schema.

    Raises:
        DatabaseVersionError: The schema is too new, or too old and not to be upgraded.
    """
    may_migrate = not database.is_shared if migrate is None else migrate
    version = read_version(database, driver)
    if version is None and may_migrate:
        _create(database, driver)
        version = read_version(database, driver)
    if not is_compatible(version):
        refuse_newer(database, version)
        if not may_migrate:
            state = "it is empty" if version is None else f"its schema {version} is too old"
            raise DatabaseVersionError(
                database.uri,
                f"{state}: this library needs {CURRENT}. Run `taskgraph db upgrade`.",
            )
        migrate_to(database, CURRENT, upgrade_only=True)
    database.settle(driver)


def _create(database: Database, driver: Driver) -> None:
    """Make the newest schema at once, as text that all migrations come to, if there is one.

    That takes 4 ms; to import what migrates takes half a second, and to migrate 50 ms.
    """
    script = migrations_folder() / f"{database.dialect}.sql"
    if not script.is_file():
        return
    statements = script.read_text("utf-8").split(";\n")
    try:
        database.begin(driver, alone=True)
        try:
            # Asked again: another process may have done it while this one waited for its turn.
            if read_version(database, driver) is None:
                for statement in filter(None, statements):
                    driver.execute(statement)
                driver.execute(
                    "INSERT INTO taskgraph_version (version, timestamp) VALUES (?, ?)",
                    [str(CURRENT), time.time_ns() // 1000],
                )
            driver.execute("COMMIT")
        except BaseException:
            database.take_back(driver)
            raise
    except database.errors as error:
        raise database.translate(error) from error


def refuse_newer(database: Database, version: DBVersionInfo | None) -> None:
    """Raise the error that says what to do if a schema is newer than this library knows."""
    _, newest = required_versions()
    if version is not None and version > newest:
        raise DatabaseVersionError(
            database.uri,
            f"its schema {version} is too new: this library knows {CURRENT}. Upgrade taskgraph, or "
            f"let the newer one run `taskgraph db downgrade {CURRENT}`.",
        )


def refuse_changed(database: Database, seen: str) -> None:
    """Raise the error that says what to do if a schema was changed to one that is not known."""
    version = parse_db_version(seen)
    if is_compatible(version):
        return
    advice = (
        "Upgrade taskgraph"
        if version > CURRENT
        else "Run `taskgraph db upgrade`, if that was a slip"
    )
    raise DatabaseVersionError(
        database.uri,
        f"its schema was changed to {version} while it was open, and this library needs {CURRENT}. "
        f"Nothing of the last step was written. {advice}, and run again to go on from there.",
    )


def all_versions() -> list[DBVersionInfo]:
    """Return all schema versions there are migrations to, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    found = []
    for script in scripts.walk_revisions():
        version = parse_db_version(script.module.version)
        found.append(
            DBVersionInfo(script.revision, version.major, version.minor, script.doc.strip())
        )
    return sorted(found)


def find_losses(database: Database, driver: Driver, desired: DBVersionInfo) -> list[Loss]:
    """Return what bringing a database to an older version would lose; nothing changes.

    Raises:
        DatabaseVersionError: There is no such version.
    """
    from alembic.script import ScriptDirectory

    version = read_version(database, driver)
    goal = _known(database, desired, all_versions())
    found: list[Loss] = []
    if version is None:
        return found
    refuse_newer(database, version)
    scripts = ScriptDirectory.from_config(_config())
    for script in scripts.walk_revisions():
        step = parse_db_version(script.module.version)
        if not goal < step <= version:
            continue
        for what, query in getattr(script.module, "losses", ()):
            (count,) = driver.execute(query).fetchone()
            if count:
                found.append(Loss(what, count))
    return found


@dataclass(frozen=True, slots=True)
class Loss:
    """What a downgrade loses.

    Attributes:
        what: In words.
        count: How much of it there is.
    """

    what: str
    count: int

    def __str__(self) -> str:
        return f"{self.count:,} {self.what}"


def _known(
    database: Database, desired: DBVersionInfo, known: Sequence[DBVersionInfo]
) -> DBVersionInfo:
    for version in known:
        if version == desired:
            return version
    names = ", ".join(map(str, known))
    raise DatabaseVersionError(
        database.uri, f"there is no schema version {desired}. Known are {names}."
    )


def migrate_to(database: Database, desired: DBVersionInfo, upgrade_only: bool = False) -> None:
    """Bring a database to a schema version, in one transaction that no one else can disturb.

    Args:
        database: The database.
        desired: The version to bring it to.
        upgrade_only: Leave a database alone that is newer.

    Raises:
        DatabaseVersionError: There is no such version, or the database is newer than all of them.
    """
    known = all_versions()
    goal = _known(database, desired, known)
    from sqlalchemy.exc import DBAPIError

    try:
        with database.changing_schema() as connection:
            # Asked again: another process may have done it while this one waited for its turn.
            version = read_version(database, database.driver_of(connection))
            if version is not None and version > known[-1]:
                refuse_newer(database, version)
            if version == goal or (upgrade_only and version is not None and version > goal):
                return
            _run_alembic(connection, goal, down=version is not None and version > goal)
            _note_version(connection, goal)
    except DBAPIError as error:
        raise database.translate(error) from error
    except database.errors as error:
        raise database.translate(error) from error


def _note_version(connection: Connection, version: DBVersionInfo) -> None:
    from sqlalchemy import column, insert, table

    from taskgraph_backend.columns import DateTimeUTC, from_micros

    versions = table("taskgraph_version", column("version"), column("timestamp", DateTimeUTC))
    now = from_micros(time.time_ns() // 1000)
    connection.execute(insert(versions).values(version=str(version), timestamp=now))


_alembic = threading.Lock()


def _run_alembic(connection: Connection, goal: DBVersionInfo, *, down: bool) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    change = command.downgrade if down else command.upgrade
    # Alembic keeps the migration that runs in globals of its own: one at a time in a process.
    with _alembic:
        change(config, goal.migration_id)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # A percent sign means something in settings.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


__all__ = [
    "CURRENT",
    "DBVersionInfo",
    "DatabaseError",
    "Loss",
    "all_versions",
    "find_losses",
    "is_compatible",
    "migrate_to",
    "migrations_folder",
    "parse_db_version",
    "prepare",
    "read_version",
    "refuse_newer",
    "required_versions",
]
