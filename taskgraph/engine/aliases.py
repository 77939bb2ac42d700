"""Earlier code that counts for later code: which hashes, and which names, stand for which others.

Read once an execution, and only when a look-up found nothing or a name is not defined: a run whose
calls are all found never asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from taskgraph.hashing import TaskHash
from taskgraph.records import TaskAliasRecord

#: Versions that one task's results are looked up under, nearest first: each costs a question.
MOST_EARLIER = 16


class Earlier(NamedTuple):
    """A version of a task whose results count for a later one."""

    task_hash: TaskHash
    fullname: str


class Aliases:
    """The aliases that are in force.

    Args:
        load: Reads them; called once, when they are first asked for.
    """

    def __init__(self, load: Callable[[], Sequence[TaskAliasRecord]]) -> None:
        self._load = load
        self._earlier: dict[TaskHash, list[Earlier]] | None = None
        self._later: dict[str, list[str]] = {}

    @property
    def are_any(self) -> bool:
        """Whether any is in force."""
        return bool(self._all())

    def earlier_than(self, task_hash: TaskHash) -> list[Earlier]:
        """Return the versions whose results count for a task, nearest first; chains are followed.

        Those that were blessed last come before others that are as near.
        """
        direct = self._all()
        if task_hash not in direct:
            return []
        found: dict[TaskHash, Earlier] = {}
        level = [task_hash]
        while level and len(found) < MOST_EARLIER:
            nearer, level = level, []
            for each in nearer:
                for old in direct.get(each, ()):
                    if old.task_hash not in found and old.task_hash != task_hash:
                        found[old.task_hash] = old
                        level.append(old.task_hash)
        return list(found.values())[:MOST_EARLIER]

    def with_earlier(self, task_hashes: Iterable[TaskHash]) -> set[TaskHash]:
        """Return these hashes and those that count for one of them."""
        known = set(task_hashes)
        if self._all():
            known |= {old.task_hash for each in list(known) for old in self.earlier_than(each)}
        return known

    def names_after(self, fullname: str) -> list[str]:
        """Return what a task is called that was called so once, nearest first."""
        self._all()
        found: dict[str, None] = {fullname: None}
        level = [fullname]
        while level:
            nearer, level = level, []
            for each in nearer:
                for name in self._later.get(each, ()):
                    if name not in found:
                        found[name] = None
                        level.append(name)
        return list(found)[1:]

    def _all(self) -> dict[TaskHash, list[Earlier]]:
        if self._earlier is None:
            self._earlier = {}
            for alias in reversed(self._load()):
                if alias.end_time is not None:
                    continue
                old = Earlier(alias.old_hash, alias.old_name)
                self._earlier.setdefault(alias.new_hash, []).append(old)
                if alias.old_name != alias.new_name:
                    self._later.setdefault(alias.old_name, []).append(alias.new_name)
        return self._earlier


NO_ALIASES = Aliases(list)
