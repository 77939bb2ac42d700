"""``pytest --taskgraph-replay``: recorded calls as tests of the code of now.

Each call is a test that passes if the function gives what it gave when the call was recorded.
Nothing is written to the database, which is not upgraded either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from taskgraph.assembly.databases import open_existing
from taskgraph.assembly.surroundings import in_force, places_of
from taskgraph.config import Settings, find_config_dir, load_settings
from taskgraph.engine.replaying import Replayed, ReplayPlan, plan_replay, replay
from taskgraph.errors import TaskgraphError
from taskgraph.ports import Backend
from taskgraph.provenance.difference import find_differences
from taskgraph.provenance.page import clean_text
from taskgraph.records import RecordedCall
from taskgraph.tasks.registry import AnyTask, get_task_registry

_STASH = pytest.StashKey["Replays"]()


class ChangedResult(Exception):
    """A call gave something else than it did when it was recorded."""

    def __init__(self, replayed: Replayed) -> None:
        super().__init__(replayed.call)
        self.replayed = replayed


class Replays:
    """The recorded calls of one session, and what became of them."""

    def __init__(self, settings: Settings, backend: Backend, *, everything: bool) -> None:
        self.settings = settings
        self.backend = backend
        self.everything = everything
        self.plans: list[ReplayPlan] = []
        self.words: dict[str, int] = {}

    def run(self, call: RecordedCall, task: AnyTask) -> Replayed:
        """Make a call again."""
        with in_force(self.settings, places_of(self.settings)):
            found = replay(self.backend, call, task, everything=self.everything)
        self.words[found.word] = self.words.get(found.word, 0) + 1
        return found

    def told(self) -> Iterator[str]:
        """Yield what is said of them at the end."""
        tasks = sum(1 for plan in self.plans if plan.calls)
        parts = [f"{count:,} {word}" for word, count in sorted(self.words.items())]
        if tasks:
            calls = sum(len(plan.calls) for plan in self.plans)
            nouns = f"{_many(calls, 'recorded call')} of {_many(tasks, 'task')}"
            yield f"{nouns} made again: {', '.join(parts) or 'none was run'}"
        elif not self.plans:
            yield "No task whose code changed has recorded calls: nothing was made again."
        for plan in self.plans:
            if plan.skipped:
                yield clean_text(f"{plan.task.fullname} was not made again: {plan.skipped}")


class ReplayCollector(pytest.Collector):
    """Where the tests of recorded calls belong."""

    def collect(self) -> Iterable[pytest.Item]:
        """Return nothing: they are made once all tasks are known."""
        return ()


class ReplayItem(pytest.Item):
    """A recorded call that is made again."""

    def __init__(
        self, *, replays: Replays, task: AnyTask, call: RecordedCall, **given: Any
    ) -> None:
        super().__init__(**given)
        self._replays = replays
        self._task = task
        self._call = call

    def runtest(self) -> None:
        """Make it again, and fail if it gives something else."""
        found = self._replays.run(self._call, self._task)
        if found.word == "skipped":
            pytest.skip(found.after)
        if found.word != "same":
            raise ChangedResult(found)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Say what differs."""
        if not isinstance(excinfo.value, ChangedResult):
            return super().repr_failure(excinfo, style)
        return clean_text("\n".join(_differences(excinfo.value.replayed, self._call)))

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the function is, and the name of the test."""
        code = getattr(self._task.func, "__code__", None)
        path = self.path if code is None else code.co_filename
        return path, None if code is None else code.co_firstlineno - 1, self.name


def add_replays(
    session: pytest.Session, items: list[pytest.Item], words: Sequence[str], count: int
) -> None:
    """Add a test for each recorded call that is to be made again.

    Args:
        session: Whose tests they are.
        items: Those that there are.
        words: Full names of tasks; all tasks whose code changed if there are none.
        count: So many calls of each task.
    """
    config = session.config
    everything = bool(config.getoption("taskgraph_replay_all"))
    start = config.invocation_params.dir
    try:
        settings = load_settings(find_config_dir(start=start, otherwise=config.rootpath))
        tasks = _tasks(words)
        backend = open_existing(settings, migrate=False)
        replays = Replays(settings, backend, everything=everything)
        config.add_cleanup(backend.close)
        with in_force(settings, places_of(settings)):
            replays.plans = plan_replay(
                backend, tasks, count, named=bool(words), everything=everything
            )
    except TaskgraphError as error:
        raise pytest.UsageError(f"--taskgraph-replay: {error}") from error
    config.stash[_STASH] = replays
    parent = ReplayCollector.from_parent(session, name="taskgraph-replay", nodeid="replay")
    for plan in replays.plans:
        for call in plan.calls:
            name = f"{plan.task.fullname}[{call.call_hash[:8]}]"
            given = {"replays": replays, "task": plan.task, "call": call}
            items.append(ReplayItem.from_parent(parent, name=name, **given))


def told(config: pytest.Config) -> list[str]:
    """Return what is said of the calls at the end of a session; nothing without any."""
    replays = config.stash.get(_STASH, None)
    return [] if replays is None else list(replays.told())


def _tasks(words: Sequence[str]) -> list[AnyTask]:
    registry = get_task_registry()
    if words:
        return [registry.get(each) for each in words]
    return sorted(registry, key=lambda each: each.fullname)


def _differences(found: Replayed, call: RecordedCall) -> Iterator[str]:
    yield f"{found.call}"
    yield f"  recorded: {found.before}"
    if found.word == "raised":
        yield f"  now raises: {found.after}"
    else:
        yield f"  now:      {found.after}"
        differences, is_cut = find_differences(found.old, found.new)
        for each in differences:
            if each.path:
                yield f"  at {each.path}: {each.old or 'nothing'} -> {each.new or 'nothing'}"
            if each.detail:
                yield f"    {each.detail}"
        if is_cut:
            yield "  and more"
    yield f"The call is recorded as {call.call_hash[:8]}: taskgraph log {call.call_hash[:8]}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
