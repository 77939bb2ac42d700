"""Which aliases concern which tasks: they are moved together with these, and trusted with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from taskgraph_backend.serializers import Record, TaskAliasSerializer
from taskgraph_backend.walking import walk

_SIDES = ("old_hash", "new_hash")


@dataclass(frozen=True, slots=True)
class Aliases:
    """Aliases as records, with the tasks on either side of them.

    Attributes:
        records: The aliases, by their ids.
        tasks: The hashes of all tasks that they name.
    """

    records: Sequence[Record] = ()
    tasks: frozenset[str] = field(default=frozenset())

    @classmethod
    def read(cls, session: Session) -> Aliases:
        """Return all aliases that a database knows, those from elsewhere too."""
        return cls._of(TaskAliasSerializer().fetch_all(session))

    @classmethod
    def _of(cls, records: Sequence[Record]) -> Aliases:
        return cls(records, frozenset(each[side] for each in records for side in _SIDES))

    def among(self, ids: Iterable[str]) -> set[str]:
        """Return those of some ids that are tasks on a side of an alias."""
        return {each for each in ids if each in self.tasks} if self.tasks else set()

    def concerning(self, tasks: Iterable[str]) -> Aliases:
        """Return the aliases of some tasks, and those that make a chain with them.

        Code that was changed twice has its first results by two aliases.
        """
        reached = joined_with(
            tasks, [(each["old_hash"], each["new_hash"]) for each in self.records]
        )
        return self._of([each for each in self.records if each["old_hash"] in reached])


def joined_with(tasks: Iterable[str], pairs: Sequence[tuple[str, str]]) -> set[str]:
    """Return tasks and all that pairs join with them, at any distance."""
    beside: dict[str, set[str]] = {}
    for old, new in pairs:
        beside.setdefault(old, set()).add(new)
        beside.setdefault(new, set()).add(old)
    reached = set(tasks)
    waiting = [each for each in reached if each in beside]
    while waiting:
        for each in beside[waiting.pop()] - reached:
            reached.add(each)
            waiting.append(each)
    return reached


def with_aliases(session: Session, chosen: set[str]) -> Aliases:
    """Return the aliases of the tasks among some records; the other tasks are added to these."""
    every = Aliases.read(session)
    found = every.concerning(every.among(chosen))
    lacking = sorted(found.tasks - chosen)
    if lacking:
        chosen.update(walk(session, lacking))
    return found


__all__ = ["Aliases", "joined_with", "with_aliases"]
