"""Eager tasks: functions whose bodies run whole, where they are called.

What such a body calls lies in its own result. So the code of tasks that it reaches counts as well,
while for a task these count by their names: their calls are looked up by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from taskgraph.errors import TaskOptionError
from taskgraph.fingerprint.parts import Fingerprint, Parts
from taskgraph.fingerprint.scope import module_label
from taskgraph.fingerprint.state import NO_CODES, Hold, Touch, is_disturbed
from taskgraph.hashing import TaskHash, hash_record
from taskgraph.tasks.names import compute_namespace, join_name, valid_name
from taskgraph.tasks.options import KNOWN_OPTIONS, checked_options, lazy_options
from taskgraph.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")


#: The options that mean something where nobody schedules the call.
EAGER_OPTIONS = {
    name: KNOWN_OPTIONS[name]
    for name in (
        *("cache", "cache_scope", "check_valid", "config_args", "load_module", "max_age", "nout"),
        *("packages", "strict", "tools"),
    )
}


class EagerTask(Task[P, R]):
    """A function that is called as it is, and whose calls are remembered."""

    _last: tuple[Fingerprint, tuple[TaskHash, ...], TaskHash] | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """What of the code counts, as it is now or was when the outermost call began."""
        return self.live_fingerprint

    def get_hash(self, found: Fingerprint | None = None) -> TaskHash:
        """Compute the hash from the code as it is now, with that of the tasks that it reaches.

        Raises:
            UnfollowedCodeError: The task is strict, and something it reaches cannot be followed.
            TaskOptionError: A package or tool that counts is not there.
        """
        if self.version is not None or self._code is None:
            return super().get_hash()
        found = found or self.fingerprint
        tasks = self._tasks_below(found)
        codes = frozenset(each.code for each in self._touches_with(tasks)) if tasks else NO_CODES
        if is_disturbed(codes):
            # What the calls within change is the doing of the call itself.
            found = self._code.fingerprint_within(codes)
        else:
            codes = NO_CODES
        hashes = [each.hash_within(codes) for each in tasks]
        below = tuple(sorted(hashes))
        last = self._last
        is_fixed = not self.hash_includes and not self.has_task_option("tools")
        if is_fixed and last is not None and last[0] is found and last[1] == below:
            return last[2]
        own = super().get_hash(found)
        made = TaskHash(hash_record("eager", own, *below)) if below else own
        if below:
            called = list(zip(tasks, hashes, strict=True))
            self._keep_counted(made, lambda: self._parts_with(own, called))
        self._last = (found, below, made)
        return made

    def _parts_with(
        self, own: TaskHash, called: Sequence[tuple[Task[..., Any], TaskHash]]
    ) -> Parts:
        """Return what counts in a hash of its own, and in those of the tasks that it calls."""
        found = {part.part_hash: part for part in Task.parts_of(self, own)}
        for task, task_hash in called:
            found.update((part.part_hash, part) for part in task.parts_of(task_hash))
        return tuple(found.values())

    @property
    def parts(self) -> Parts:
        """All that counts in the hash besides the full name, one by one."""
        own = super().parts
        if self.version is not None:
            return own
        found = {part.part_hash: part for part in own}
        for task in self._tasks_below(self.fingerprint):
            found.update((part.part_hash, part) for part in task.parts)
        return tuple(found.values())

    def hold(self) -> Hold:
        """Have what a call may change count for it as it is now, until the call has ended."""
        if self.version is not None:
            return Hold()
        return Hold(self._touches_with(self._tasks_below(self.fingerprint)))

    def _touches_with(self, tasks: Sequence[Task[..., Any]]) -> list[Touch]:
        return [*self.touches, *(each for task in tasks for each in task.touches)]

    def _tasks_below(self, found: Fingerprint) -> list[Task[..., Any]]:
        """Return the tasks that the body may call, and those that these may call."""
        if not found.tasks:
            return []
        below: dict[tuple[str, int], Task[..., Any]] = {}
        waiting = list(found.tasks)
        while waiting:
            task = waiting.pop()
            place = (task.fullname, id(task.func))
            if place in below or not task.is_defined:
                continue
            below[place] = task
            if task.version is None:
                waiting += task.live_fingerprint.tasks
        return list(below.values())


def eager_task(
    func: Callable[P, R],
    *,
    name: str | None = None,
    namespace: str | None = None,
    options: Mapping[str, Any] | None = None,
    **given: Any,
) -> EagerTask[P, R]:
    """Make an eager task of a function.

    Args:
        func: The function.
        name: By default that of the function.
        namespace: By default that of the module for tasks, else the module's name, with the names
            of classes and functions around the function.
        options: Those of a task that say what counts and what may be used.
        given: ``version``, ``hash_includes``, ``source``: as of a task.

    Raises:
        TaskOptionError: An option is unknown, has a value that it cannot have, or has no meaning
            for what is called as it is.
    """
    home, own = names_of_function(func)
    own = own if name is None else name
    home = home if namespace is None else namespace
    checked = checked_options(join_name(home, own), options or {}, EAGER_OPTIONS)
    for option in lazy_options(checked):
        raise TaskOptionError(join_name(home, own), option, "must be a value, and no lazy call")
    return EagerTask(
        func,
        name=own,
        namespace=home,
        options=options,
        **given,
    )


def names_of_function(func: Callable[..., Any]) -> tuple[str, str]:
    """Return namespace and name of a function: its module and what is around it, and its own."""
    qualname = getattr(func, "__qualname__", type(func).__qualname__)
    *around, name = [valid_name(each) for each in qualname.split(".") if each != "<locals>"]
    globals_ = getattr(func, "__globals__", {})
    module = module_label(getattr(func, "__module__", None) or "", globals_.get("__file__"))
    home = compute_namespace(func) or ".".join(map(valid_name, module.split(".")))
    return ".".join(each for each in (home, *around) if each), name
