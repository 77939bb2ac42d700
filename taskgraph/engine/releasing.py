"""Releasing temporary files: they are deleted, and a note stays with what is recorded of them.

What is decided is decided for all before anything is deleted. A file is only deleted if the newest
record says that it is temporary and that a call gave it, and if it still is as that call left it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from taskgraph.errors import DamagedValueError, ReleaseRefusedError, UnknownRecordError
from taskgraph.hashing import ValueHash
from taskgraph.ports import Backend
from taskgraph.records import RecordBatch
from taskgraph.tags import tag_record
from taskgraph.values import codec
from taskgraph.values.files import File
from taskgraph.values.places import Place, current_places, locate, printable

#: The tag of a value whose file was released.
TAG = "taskgraph.released"

NOT_TEMPORARY = "it is no temporary file; one is written as File(path, temp=True)"
NOT_GIVEN = "no recorded call gave it, so that nothing could make it again"
CHANGED = "it was changed since it was recorded"
DAMAGED = "its record is damaged"
_MOST_RUNNING = 50


class Fate(StrEnum):
    """What becomes of a file."""

    DELETED = "deleted"
    GONE = "gone already"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Release:
    """A file, and what becomes of it.

    Attributes:
        path: Where it is.
        fate: What became of it, or would.
        size: How many bytes it had when it was recorded.
        why: Why it is kept; or, of one that is deleted all the same, why it should be.
    """

    path: str
    fate: Fate
    size: int = 0
    why: str = ""


class Files(Protocol):
    """What is asked of the records."""

    def executions(self, limit: int = 50, offset: int = 0) -> Sequence[Any]:
        """Return the newest executions, each with its row as ``execution``."""
        ...

    def find_file(self, path: str | tuple[str, str]) -> tuple[Any, Any, str] | None:
        """Return the newest file of a root and path, a job, and ``result`` or ``arg``."""
        ...

    def paths_under(self, root: str, path: str) -> Sequence[str]:
        """Return the paths of the files that are recorded at a path or below it, sorted."""
        ...


class _Found:
    """A recorded file that is asked for."""

    def __init__(self, value_hash: ValueHash, file: File, why: str) -> None:
        self.value_hash = value_hash
        self.file = file
        self.why = why
        self.is_there = file.exists()
        self.size = 0 if file.seen is None else file.seen.size

    def release(self, *, is_kept: bool) -> Release:
        """Return what becomes of it."""
        fate = Fate.KEPT if is_kept else Fate.DELETED
        return Release(self.file.path, fate if self.is_there else Fate.GONE, self.size, self.why)


def release(
    files: Files,
    backend: Backend,
    paths: Sequence[str],
    *,
    by: str,
    dry_run: bool = False,
    force: bool = False,
) -> list[Release]:
    """Delete temporary files, and note that they were.

    Args:
        files: What is asked what is recorded.
        backend: Where it is recorded.
        paths: Paths or URLs of files, and of folders in which all temporary files are meant.
        by: Who does it.
        dry_run: Whether nothing is deleted.
        force: Whether files that are named are deleted whatever is known of them; what lies in a
            folder is not meant by that.

    Returns:
        The files that are meant, with what became of each, or would; in a folder, all that are
        recorded.

    Raises:
        UnknownRecordError: Nothing is recorded of a path.
        ReleaseRefusedError: A file that is named must not be deleted, or an execution is running;
            nothing was deleted.
    """
    named: list[_Found] = []
    listed: list[_Found] = []
    for each in paths:
        is_folder, found = _find(files, backend, each)
        (listed if is_folder else named).extend(found)
    if not force:
        _refuse(files, [each for each in named if each.is_there and each.why])
    kept = [each for each in listed if each.why]
    gone = [each for each in (*named, *listed) if each not in kept]
    if not dry_run:
        _delete(backend, [each for each in gone if each.is_there], by)
    return [
        *(each.release(is_kept=False) for each in gone),
        *(each.release(is_kept=True) for each in kept),
    ]


def _find(files: Files, backend: Backend, path: str) -> tuple[bool, list[_Found]]:
    """Return whether a path is that of a folder, and the recorded files that are meant by it."""
    root, name = current_places().name(locate(path))
    name = printable(name)
    names = files.paths_under(root, name)
    is_folder = names != [name]
    found = list(_recorded(files, backend, [(root, each) for each in names]))
    if not found:
        raise UnknownRecordError(path)
    return is_folder, found


def _recorded(
    files: Files, backend: Backend, places: Sequence[tuple[str, str]]
) -> Iterator[_Found]:
    rows = [(row[0], row[2]) for each in places if (row := files.find_file(each)) is not None]
    stored = backend.load_values([row.value_hash for row, _ in rows])
    for row, role in rows:
        try:
            file = codec.decode(*stored[row.value_hash])
        except (DamagedValueError, KeyError):
            path = current_places().find(Place(row.root, row.path))
            yield _Found(row.value_hash, File(path), DAMAGED)
            continue
        if isinstance(file, File):
            yield _Found(row.value_hash, file, _reason_to_keep(file, role))


def _reason_to_keep(file: File, role: str) -> str:
    if not file.temp:
        return NOT_TEMPORARY
    if role != "result":
        return NOT_GIVEN
    return "" if file.is_valid() or not file.exists() else CHANGED


def _refuse(files: Files, refused: Sequence[_Found]) -> None:
    reasons = [(each.file.path, each.why) for each in refused]
    executions = [each.execution for each in files.executions(_MOST_RUNNING)]
    running = [each.id[:8] for each in executions if each.status == "RUNNING"]
    reasons += [(f"execution {each}", "it is running") for each in running]
    if reasons:
        raise ReleaseRefusedError(reasons)


def _delete(backend: Backend, found: Sequence[_Found], by: str) -> None:
    note = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "by": by}
    batch = RecordBatch()
    try:
        for each in found:
            each.file.remove()
            batch.tags.append(tag_record("Value", each.value_hash, TAG, note))
    finally:
        # Also if one of them cannot be deleted: the others are gone.
        if batch.tags:
            backend.record(batch)
