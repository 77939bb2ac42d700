"""Records that move: to files and from them, to other databases and back, and whom to trust.

Nothing that comes in is loaded. What is new is untrusted until somebody says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgraph.assembly.databases import database_uri, open_database, open_existing
from taskgraph.assembly.reading import find_record, finish_writing
from taskgraph.assembly.surroundings import author, in_force, places_of
from taskgraph.config import (
    CONFIG_DIR_NAME,
    Settings,
    load_settings,
    write_default_config,
)
from taskgraph.errors import (
    RecordFileError,
    RepoExistsError,
    UnknownOriginError,
    UnknownRecordError,
)
from taskgraph.repos import Repo, find_repo
from taskgraph.urls import sqlite_url

if TYPE_CHECKING:
    from taskgraph_backend import SqlBackend
    from taskgraph_backend.moving import Moved

#: What is told on the way: how many records were looked at, and how many of them were new.
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What was moved.

    Attributes:
        place: The file or the repo.
        records: How many records were looked at, or written to a file.
        new: How many were not there before, by type.
        running: Executions that were left out, for they have not ended.
        dry_run: Whether nothing was written.
    """

    place: str
    records: int = 0
    new: dict[str, int] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Where records came from that are not trusted, and how many there are of each kind."""

    origin: str
    values: int
    calls: int
    executions: int
    evaluations: int
    aliases: int


def export(settings: Settings, what: Sequence[str], out: str, *, everything: bool) -> Exchanged:
    """Write records to a file.

    Args:
        settings: Those of the project.
        what: Records, as for ``taskgraph log``; none stands for all executions.
        out: A path, a URL, or ``-`` for standard output.
        everything: Whether all that is recorded is written, whether an execution used it or not.

    Raises:
        UnknownRecordError: Nothing is recorded under one of them.
        DatabaseError: There is no database.
    """
    from taskgraph_backend.exporting import all_records, records_below
    from taskgraph_backend.recordfiles import open_to_write, write_lines

    finish_writing()
    running: list[str] = []
    with closing(open_existing(settings)) as backend, backend.reader() as reader:
        roots = _roots(backend, settings, what) if what else None
        records = (
            all_records(reader, running) if everything else records_below(reader, roots, running)
        )
        with open_to_write(out) as stream:
            count = write_lines(stream, records)
    return Exchanged(out, count, running=tuple(running))


def import_file(
    settings: Settings, name: str, *, dry_run: bool, tell: Tell = lambda looked_at, new: None
) -> Exchanged:
    """Read a file of records into the project's database: all of it, or nothing.

    Raises:
        RecordFileError: There is no such file.
        InvalidRecordError: Something in it is not as it must be; nothing was written.
    """
    from taskgraph_backend.recordfiles import RecordFile, open_to_read, redun_rows
    from taskgraph_backend.redun import is_database

    _look_for_file(name)
    origin = "standard input" if name == "-" else name
    write_default_config(settings.config_dir)
    with closing(open_database(settings)) as backend, open_to_read(name) as stream:
        file = RecordFile(stream, origin)
        rows_of = redun_rows(name) if is_database(name) else file.rows()
        count = 0

        def counted() -> Any:
            nonlocal count
            for rows in rows_of:
                count += 1
                if count % 1000 == 0:
                    tell(count, 0)
                yield rows

        new = backend.put_rows(counted(), origin=origin, dry_run=dry_run)
    return Exchanged(origin, count, new, dry_run=dry_run)


def _look_for_file(name: str) -> None:
    """Look for a file before a database is made for what is in it."""
    if name == "-" or "://" in name:
        return
    if os.path.isdir(name):
        raise RecordFileError(name, "it is a folder")
    # Pipes are files too: `taskgraph import <(ssh lab taskgraph export)`.
    if not os.path.exists(name):
        raise RecordFileError(name)


def push(
    settings: Settings, repo: str, what: Sequence[str], tell: Tell = lambda looked_at, new: None
) -> Exchanged:
    """Write to a repo what it lacks of some records, by default of all executions.

    Raises:
        UnknownRepoError: There is no repo of this name.
    """
    finish_writing()
    place = find_repo(settings.config_dir, repo)
    with (
        closing(open_existing(settings)) as backend,
        closing(_open_repo(settings, place, migrate=None)) as other,
    ):
        roots = _roots(backend, settings, what) if what else None
        return _exchanged(repo, _move(backend, other, author(settings), roots, tell))


def pull(
    settings: Settings, repo: str, what: Sequence[str], tell: Tell = lambda looked_at, new: None
) -> Exchanged:
    """Read from a repo what is lacking here of some records, by default of all executions.

    Raises:
        UnknownRepoError: There is no repo of this name.
    """
    place = find_repo(settings.config_dir, repo)
    write_default_config(settings.config_dir)
    with (
        closing(_open_repo(settings, place, migrate=False)) as other,
        closing(open_database(settings)) as backend,
    ):
        roots = _roots(other, settings, what) if what else None
        return _exchanged(repo, _move(other, backend, repo, roots, tell))


def _move(
    source: SqlBackend, target: SqlBackend, origin: str, roots: Sequence[str] | None, tell: Tell
) -> Moved:
    from taskgraph_backend.moving import Mover

    return Mover(source, target, origin, tell).move(roots)


def _exchanged(repo: str, moved: Moved) -> Exchanged:
    return Exchanged(repo, moved.looked_at, moved.new, tuple(moved.running))


def add_repo(settings: Settings, name: str, place: str) -> Repo:
    """Write down a repo under a name; a path is kept as an absolute one.

    Raises:
        RepoExistsError: There is one of this name, elsewhere.
        ConfigError: The name or the place cannot be one.
    """
    from taskgraph import repos

    wanted = place if "://" in place else os.path.abspath(Path(place).expanduser())
    known = {each.name: each for each in repos.list_repos(settings.config_dir)}
    if name in known and known[name].place != wanted:
        raise RepoExistsError(name, known[name].place)
    return repos.add_repo(settings.config_dir, Repo(name, wanted))


@dataclass(frozen=True, slots=True)
class Trusting:
    """What is trusted now.

    Attributes:
        counts: How many of each kind were not before.
        left: How many of the records are left as they are, by who brought them.
    """

    counts: dict[str, int]
    left: dict[str, int] = field(default_factory=dict)


def trust(settings: Settings, what: Sequence[str], origins: Sequence[str] = ()) -> Trusting:
    """Trust records with all that they name, and with the aliases of their tasks.

    Args:
        settings: Those of the project.
        what: The records, as for ``taskgraph log``.
        origins: Only what came from there; by default from where the records themselves came.

    Raises:
        UnknownRecordError: Nothing is recorded under one of them.
        UnknownOriginError: Nothing that is not trusted came from one of the origins.
    """
    with closing(open_existing(settings)) as backend:
        _look_for_origins(backend, origins)
        counts, left = backend.trust_records(_roots(backend, settings, what), origins)
        return Trusting(counts._asdict(), left)


def trust_origins(settings: Settings, origins: Sequence[str]) -> Trusting:
    """Trust all that came from some places; without any, all there is.

    Raises:
        UnknownOriginError: Nothing that is not trusted came from one of them.
    """
    with closing(open_existing(settings)) as backend:
        _look_for_origins(backend, origins)
        if not origins:
            return Trusting(backend.trust_origin()._asdict())
        found = [backend.trust_origin(each)._asdict() for each in origins]
        return Trusting({kind: sum(each[kind] for each in found) for kind in found[0]})


def _look_for_origins(backend: SqlBackend, wanted: Sequence[str]) -> None:
    known = [each.origin for each in backend.list_origins()] if wanted else []
    for each in wanted:
        if each not in known:
            raise UnknownOriginError(each, known)


def list_untrusted(settings: Settings) -> list[Untrusted]:
    """Return where records came from that are not trusted."""
    with closing(open_existing(settings)) as backend:
        return [Untrusted(*each) for each in backend.list_origins()]


def _roots(backend: SqlBackend, settings: Settings, what: Sequence[str]) -> list[str]:
    with in_force(settings, places_of(settings)), backend.reader() as reader:
        return [_id_of(find_record(reader, settings, each), each) for each in what]


def _id_of(found: Any, text: str) -> str:
    if isinstance(found, tuple):
        # A file stands for the call that gave it; one that was given, for itself.
        file, job, role = found
        return str(job.call_hash if role == "result" and job.call_hash else file.value_hash)
    names = ("id", "call_hash", "hash", "value_hash", "tag_hash")
    for name in names:
        key = getattr(found, name, None)
        if isinstance(key, str):
            return key
    raise UnknownRecordError(text)


def _open_repo(settings: Settings, repo: Repo, migrate: bool | None) -> SqlBackend:
    """Open the database of a repo: a URL, the file of a database, or the folder of a project."""
    uri = repo.place
    if "://" not in uri:
        uri, store = _places_of(Path(uri))
        # Where that project keeps its large values, if it is one.
        backend = replace(settings.backend, db_uri=uri, value_store=store)
        settings = replace(settings, backend=backend)
    if migrate is False:
        return open_existing(
            settings,
            uri,
            missing=f"there is none: nothing was recorded there yet, or the repo {repo.name} is "
            f"elsewhere now. `taskgraph repo list` shows where it is looked for, `taskgraph push "
            f"{repo.name}` makes one.",
        )
    return open_database(settings, uri)


def _places_of(path: Path) -> tuple[str, str]:
    """Return the URL of the database, and the value store that is set for it."""
    if not path.is_dir():
        return sqlite_url(path), ""
    inner = path / CONFIG_DIR_NAME
    other = load_settings(inner if inner.is_dir() else path)
    return database_uri(other), other.backend.value_store


__all__ = [
    "Exchanged",
    "Trusting",
    "Untrusted",
    "add_repo",
    "export",
    "import_file",
    "list_untrusted",
    "pull",
    "push",
    "trust",
    "trust_origins",
]
