"""Earlier code that counts for later code: which hashes, and which names, stand for which others.

People say so from the outside (`taskgraph bless`, which is recorded), and tasks say so themselves
(``@task(compat=[...])``). Read once an execution, and only when a look-up found nothing or a name
is not defined: a run whose calls are all found never asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from taskgraph.errors import DamagedValueError
from taskgraph.hashing import TaskHash, ValueHash
from taskgraph.ports import Backend
from taskgraph.records import StoredResult, TaskAliasRecord
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.tasks.task import Task
from taskgraph.values import codec

#: What is noted with a job that uses a result of earlier code, in place of a reason to run.
EARLIER = "EARLIER"

#: Versions that one task's results are looked up under, nearest first: each costs a question.
MOST_EARLIER = 16


class Earlier(NamedTuple):
    """A version of a task whose results count for a later one.

    Attributes:
        task_hash: Its hash.
        fullname: Its name.
        is_declared: Whether the task itself says so, and nobody from the outside.
    """

    task_hash: TaskHash
    fullname: str
    is_declared: bool = False

    @property
    def note(self) -> str:
        """Why its result is used, as it is stored with the job."""
        return json.dumps({"reason": EARLIER, "detail": "compat" if self.is_declared else "bless"})


class Aliases:
    """The aliases that are in force.

    Args:
        load: Reads those that are recorded; called once, when they are first asked for.
        name: Returns the recorded names of versions; those without a record have none. Without it
            no task is asked for what it says of itself.
    """

    def __init__(
        self,
        load: Callable[[], Sequence[TaskAliasRecord]],
        name: Callable[[Collection[TaskHash]], Mapping[TaskHash, str]] | None = None,
    ) -> None:
        self._load = load
        self._name = name
        self._declaring: tuple[AnyTask, ...] = ()
        self._recorded: list[TaskAliasRecord] | None = None
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
        declaring = get_task_registry().compatible if self._name is not None else ()
        if self._earlier is None or declaring is not self._declaring:
            if self._recorded is None:
                self._recorded = [each for each in self._load() if each.end_time is None]
            self._earlier, self._later, self._declaring = {}, {}, declaring
            for alias in reversed(self._recorded):
                self._add(alias.new_hash, alias.new_name, alias.old_hash, alias.old_name)
            if self._name is not None and declaring:
                self._add_declared(declaring, self._name)
        return self._earlier

    def _add_declared(
        self,
        tasks: Sequence[AnyTask],
        name: Callable[[Collection[TaskHash]], Mapping[TaskHash, str]],
    ) -> None:
        """Add what tasks say of themselves; what was never recorded has no results to look for."""
        names = name({TaskHash(each) for task in tasks for each in task.compat})
        for task in tasks if names else ():
            try:
                task_hash = task.get_hash()
            except Exception:  # a task without a hash cannot run, and says so itself
                continue
            for old in map(TaskHash, task.compat):
                if old in names and old != task_hash:
                    self._add(task_hash, task.fullname, old, names[old], is_declared=True)

    def _add(
        self,
        new: TaskHash,
        new_name: str,
        old: TaskHash,
        old_name: str,
        *,
        is_declared: bool = False,
    ) -> None:
        assert self._earlier is not None
        known = self._earlier.setdefault(new, [])
        if all(each.task_hash != old for each in known):
            known.append(Earlier(old, old_name, is_declared))
        later = self._later.setdefault(old_name, [])
        if old_name != new_name and new_name not in later:
            later.append(new_name)


def aliases_of(backend: Backend) -> Aliases:
    """Return the aliases that are in force for what runs on a backend."""

    def names_of(hashes: Collection[TaskHash]) -> dict[TaskHash, str]:
        # A task is a value under its own hash, which tells its name and is quick to find.
        stored = backend.load_values([ValueHash(each) for each in sorted(hashes)])
        found = {TaskHash(each): _name_of(stored[each]) for each in stored}
        return {each: name for each, name in found.items() if name is not None}

    return Aliases(backend.load_aliases, names_of)


def _name_of(stored: StoredResult) -> str | None:
    try:
        task = codec.decode(*stored)
    except DamagedValueError:
        return None
    return task.fullname if isinstance(task, Task) else None


NO_ALIASES = Aliases(list)
