"""Readers of what is recorded, and finding records by what people call them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgraph.assembly.databases import open_database, opened
from taskgraph.assembly.surroundings import author
from taskgraph.config import Settings
from taskgraph.errors import UnknownRecordError

if TYPE_CHECKING:
    from taskgraph.engine.releasing import Release
    from taskgraph.filters import RecordFilters
    from taskgraph.provenance.rows import Reader as AnyReader
    from taskgraph_backend.reader import Reader

_before_reading: list[Callable[[], object]] = []


def before_reading(write: Callable[[], object]) -> None:
    """Have something called before records are read: what this process did is to be among them."""
    _before_reading.append(write)


def finish_writing() -> None:
    """Have written what this process still has to write: what is read next is to be complete."""
    for write in _before_reading:
        write()


def open_reader(settings: Settings) -> Reader:
    """Open the project's database for reading: `log` and its like."""
    from taskgraph_backend.reader import Reader

    finish_writing()
    draw_records()
    return Reader(open_database(settings), owns_backend=True)


def draw_records() -> None:
    """Have records that are read drawn by notebooks, for as long as their reader is open."""
    from taskgraph_backend import models

    models.draw_by(_draw_record)


def _draw_record(session: Any, row: Any) -> str | None:
    from taskgraph.provenance.html import notebook
    from taskgraph.provenance.reading import look_at, page_of
    from taskgraph_backend.reader import Reader

    view = look_at(session, row) if isinstance(session, Reader) else None
    return None if view is None else notebook(page_of(view))


def repl_names(archive: Any) -> dict[str, Any]:
    """Return the names that somebody has at the prompt of ``taskgraph repl``.

    Args:
        archive: The records of the project. Any: archives are made of what is put together here.
    """
    from taskgraph_backend import models
    from taskgraph_backend.query import CallGraphQuery

    draw_records()

    def query() -> CallGraphQuery:
        """Return a query over executions, jobs, calls, tasks and values at once."""
        return CallGraphQuery(archive.backend.session)

    return {
        "archive": archive,
        "query": query,
        "backend": archive.backend,
        "session": archive.backend.session,
        "models": models,
        "executions": archive.executions,
        "history": archive.history,
        "find": archive.find,
        "lineage": archive.lineage,
    }


def release_files(
    settings: Settings, paths: Sequence[str], *, dry_run: bool, force: bool
) -> list[Release]:
    """Release files of the project; see `taskgraph.engine.releasing`."""
    from taskgraph.engine.releasing import release

    with opened(settings) as backend, closing(open_reader(settings)) as reader:
        return release(reader, backend, paths, by=author(settings), dry_run=dry_run, force=force)


def find_record(reader: AnyReader, settings: Settings, text: str) -> Any:
    """Return the row, or the file with its job, that a text stands for.

    Any: it may be of any table.

    Raises:
        UnknownRecordError: Nothing is recorded under it.
        AmbiguousIdError: More than one record starts so.
    """
    for root, path in places_named(settings, text):
        found = reader.find_file((root, path))
        if found is not None:
            return found
    return reader.find(text)


def find_tagged(reader: AnyReader, settings: Settings, text: str) -> tuple[str, str]:
    """Return the kind and the id of the record, that may have tags, which a text stands for.

    Raises:
        UnknownRecordError: Nothing is recorded under it, or what has no tags.
        AmbiguousIdError: More than one record starts so.
    """
    found = find_record(reader, settings, text)
    if isinstance(found, tuple):
        found = found[0]
    kind = type(found).__name__
    if kind == "File":
        return "Value", found.value_hash
    if kind not in {"Execution", "Job", "CallNode", "Task", "Value"}:
        raise UnknownRecordError(text)
    return kind, name_of_record(found)


def name_of_record(what: Any) -> str:
    """Return what a record, or what was read of one, can be found by."""
    if isinstance(what, str | os.PathLike):
        return str(os.fspath(what))
    names = (getattr(what, name, None) for name in ("id", "call_hash", "hash", "value_hash"))
    return next((name for name in names if isinstance(name, str)), str(what))


def located(settings: Settings, filters: RecordFilters) -> RecordFilters:
    """Return filters with the paths of files as they are recorded: below their roots.

    What is a path in the working directory is one below its root; as it was typed it is looked for
    below every root as well.
    """
    files: list[str | tuple[str, str]] = []
    for each in filters.files:
        files.append(each)
        if isinstance(each, str) and not each.startswith("*"):
            files += places_named(settings, each)
    return replace(filters, files=tuple(files))


def places_named(settings: Settings, text: str) -> Iterator[tuple[str, str]]:
    """Yield the roots and paths under which a file may be recorded, the nearest root first.

    What has neither a folder nor a suffix in its name and is no file here is no path.
    """
    if "://" in text or ("/" not in text and "." not in text and not Path(text).exists()):
        return
    path = Path(os.path.abspath(text))
    roots = {"project": settings.project_dir, **settings.roots}
    nearest = sorted(roots.items(), key=lambda each: len(each[1].parts), reverse=True)
    for root, folder in nearest:
        if path.is_relative_to(folder):
            yield root, path.relative_to(folder).as_posix()
    yield "", path.as_posix()


__all__ = [
    "before_reading",
    "draw_records",
    "find_record",
    "find_tagged",
    "finish_writing",
    "located",
    "name_of_record",
    "open_reader",
    "release_files",
    "repl_names",
]
