"""Results that are not to be used any more: said once, undone exactly, and never by equal values.

A retraction is of an execution, a call, a file or a dataset. It takes all with it that came from
that: the calls that made it part of their results, those that were given its result, and those
that read a file that it made, in whatever execution. What is taken with it is looked up no more;
values are left alone, for content is not wrong, where it came from is.
"""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from taskgraph.catalog import told
from taskgraph.errors import (
    AmbiguousIdError,
    NotRetractableError,
    RetractionNotFoundError,
    ValidationError,
)
from taskgraph.jsontext import storable

_MOST_CHARACTERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Retraction:
    """That something is not to be used any more, and what came from it.

    Attributes:
        id: What it is taken back by.
        entity_type: What was retracted: Execution, CallNode, Value (a file) or Dataset.
        entity_id: Its id.
        target: What it is called.
        reason: Why.
        by: Who said so.
        at: When it was said first.
        cascade: Whether what came from it is meant as well.
        calls: The calls that are marked by it.
        executions: The executions that are marked by it.
        groups: The groups of these, which are dirty now; known when it is said.
        tasks: How many of the calls are of which task, the most frequent first; known when it is
            said.
        running: Executions that ran when it was said: what they had used already they may have
            made more of. Saying it once more marks that as well.
        is_new: Whether it was said for the first time.
        is_dry: Whether nothing was written.
        ended_at: When it was taken back, if it was.
    """

    id: str
    entity_type: str
    entity_id: str
    target: str
    reason: str
    by: str
    at: datetime
    cascade: bool = True
    calls: tuple[str, ...] = ()
    executions: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tasks: tuple[tuple[str, int], ...] = ()
    running: tuple[str, ...] = ()
    is_new: bool = False
    is_dry: bool = False
    ended_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "id": self.id,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "target": self.target,
            "reason": self.reason,
            "by": self.by,
            "at": self.at.isoformat(),
            "cascade": self.cascade,
            "calls": list(self.calls),
            "executions": list(self.executions),
            "groups": list(self.groups),
            "tasks": dict(self.tasks),
            "running": list(self.running),
            "is_new": self.is_new,
            "is_dry": self.is_dry,
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
        }


class Entity(NamedTuple):
    """What can be retracted, as it was found.

    Attributes:
        type: Execution, CallNode, Value or Dataset.
        id: Its id.
        name: What it is called.
    """

    type: str
    id: str
    name: str


class Wanted(NamedTuple):
    """What somebody asks to be retracted."""

    id: str
    entity_type: str
    entity_id: str
    target: str
    reason: str
    by: str
    cascade: bool
    dry_run: bool


class RetractionStore(Protocol):
    """What `RetractionManager` asks of a database."""

    def retract(self, wanted: Wanted) -> Retraction:
        """Mark what is wanted, with all that came from it: all, or nothing."""

    def unretract(self, retraction_id: str) -> tuple[int, int] | None:
        """Take a retraction back; returns how many calls and executions count again."""

    def retractions(self, *, include_ended: bool) -> list[Retraction]:
        """Return the retractions, the newest first."""


class RetractionManager:
    """What was retracted: ``archive.retractions``.

    Args:
        store: Where it is kept.
        find: Finds what somebody names.
        author: Returns who asks, where that is not said.
    """

    def __init__(
        self,
        store: RetractionStore,
        find: Callable[[Any], Entity],
        author: Callable[[], str],
    ) -> None:
        self._store = store
        self._find = find
        self._author = author

    def retract(
        self,
        target: Any,
        *,
        reason: str,
        by: str | None = None,
        cascade: bool = True,
        dry_run: bool = False,
    ) -> Retraction:
        """Have a result not be used any more, with all that came from it.

        Saying the same once more adds what has come from it since.

        Args:
            target: An execution, a job or its call, a dataset, or a file: as `Archive.find` gives
                them, by id, by name or by path. A path is the newest file that is known of it.
            reason: Why.
            by: Who says so; by default the user.
            cascade: Whether what came from it is meant as well.
            dry_run: Whether to say only what would be marked.

        Raises:
            UnknownRecordError: There is nothing of this name.
            AmbiguousIdError: More than one record starts so.
            NotRetractableError: It is nothing that can be retracted.
            ValidationError: There is no reason.
        """
        if target is None or isinstance(target, bool | int | float | bytes | tuple | dict | list):
            raise NotRetractableError(
                repr(target)[:80], f"it is of the type {type(target).__name__}"
            )
        entity = self._find(target)
        author = self._author() if by is None else _checked("by", by)
        made = self._store.retract(
            Wanted(
                uuid.uuid4().hex,
                entity.type,
                entity.id,
                storable(entity.name),
                _checked("reason", reason),
                author,
                cascade,
                dry_run,
            )
        )
        told.tell()
        return made

    def undo(self, ref: str | Retraction) -> Retraction:
        """Take a retraction back: exactly what it alone has marked counts again.

        Returns:
            The retraction, with the calls and executions that it had marked.

        Raises:
            RetractionNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.get(ref)
        if self._store.unretract(found.id) is None:
            raise RetractionNotFoundError(found.id)
        told.tell()
        return found

    def list(self, *, include_ended: bool = False) -> list[Retraction]:
        """Return the retractions that are in force, the newest first.

        Args:
            include_ended: Whether those are listed that were taken back.
        """
        return self._store.retractions(include_ended=include_ended)

    def get(self, ref: str | Retraction) -> Retraction:
        """Return a retraction by its id or the start of it, one that was taken back too.

        Raises:
            RetractionNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        text = ref.id if isinstance(ref, Retraction) else str(ref)
        start = text.lower()
        found: builtins.list[Retraction] = [
            each for each in self.list(include_ended=True) if start and each.id.startswith(start)
        ]
        if not found:
            raise RetractionNotFoundError(text)
        if len(found) > 1:
            raise AmbiguousIdError(text, [f"Retraction {each.id[:12]}" for each in found[:5]])
        return found[0]


def _checked(what: str, text: Any) -> str:
    is_text = isinstance(text, str) and "\0" not in text
    if not is_text or not text.strip() or len(text) > _MOST_CHARACTERS:
        raise ValidationError(
            what, f"it is text of 1 to {_MOST_CHARACTERS} characters, for those who ask later"
        )
    return storable(text.strip())


__all__ = ["Entity", "Retraction", "RetractionManager", "RetractionStore", "Wanted"]
