"""What a scheduler is made of, and what all of its rooms ask of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taskgraph.config import Settings
from taskgraph.engine.loop import Engine
from taskgraph.engine.options import RunOptions
from taskgraph.engine.statuses import Counts
from taskgraph.errors import SchedulerError
from taskgraph.events import Event
from taskgraph.observers.given import GuardedObserver
from taskgraph.ports import Backend, Executor, Observer
from taskgraph.records import ExecutionId
from taskgraph.tasks.context import NO_CONTEXT, Context, checked_context, merge_context
from taskgraph.tasks.options import POOLS
from taskgraph.values import walk
from taskgraph.values.reading import ReadingPool
from taskgraph.worker import running_task

if TYPE_CHECKING:
    from taskgraph.app.scheduler import Scheduler
    from taskgraph.engine.trace import TaskTrace
    from taskgraph.values.places import FilePlaces


class Parts:
    """What a scheduler is made of, as the rooms around it know it: nothing of it is made here."""

    settings: Settings
    logger: logging.Logger
    ignore_warnings: frozenset[str]
    traceback: TaskTrace | None
    was_interrupted: bool
    observers: list[Observer]
    _guards: dict[int, GuardedObserver]
    executors: dict[str, Executor]
    default_executor: str
    backend: Backend
    _use_task_traceback: bool
    _interval: float
    _migrate: bool | None
    _has_looked_at_names: bool
    _counts: Counts
    _limits_used: dict[str, int]
    _serves: frozenset[str] | None
    _places: FilePlaces
    _executor_options: dict[str, Mapping[str, Any]]
    _settings_context: dict[str, Any]
    _in_memory: bool
    _pool: ReadingPool
    _one_run: threading.Lock
    _engine: Engine | None
    _run_thread: int | None
    _is_closed: bool

    if TYPE_CHECKING:

        @property
        def _scheduler(self) -> Scheduler: ...

    def _stand_ins(self) -> dict[str, str]:
        """Return by which names executors are known that bear others: those of old."""
        names = {"default": "", **POOLS}
        return {name: other for name, other in names.items() if name not in self.executors}

    def _options_of(
        self, execution_id: ExecutionId, cache: bool, context: Mapping[str, Any] | None
    ) -> RunOptions:
        """Return what holds for each run and each plan, however it is asked for."""
        return RunOptions(
            execution_id,
            use_cache=cache,
            context=self._context(context),
            default_executor=self.default_executor,
            executor_options=self._executor_options,
            stand_ins=self._stand_ins(),
            scheduler=self,
            serves=self._serves,
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have this thread be the one that runs or plans something, once no other one does."""
        with self._one_run:
            self._run_thread = threading.get_ident()
            try:
                yield
            finally:
                self._run_thread = None

    def _context(self, update: Mapping[str, Any] | None) -> Context:
        data = merge_context(self._settings_context, checked_context(update or {}))
        walk.refresh(data)  # files in it are those of now
        return Context(data) if data else NO_CONTEXT

    def _check_free(self) -> None:
        """Refuse what would wait for itself.

        Raises:
            SchedulerError: It is closed, or this thread is part of a run.
        """
        if self._is_closed:
            raise SchedulerError("This scheduler was closed. Make a new one.")
        if who := self._part_of_run():
            # This thread would wait for the run that waits for it.
            raise SchedulerError(
                f"{who} is part of a run of this scheduler and cannot start another run in it. "
                "Return the expression instead: it is evaluated as a child call."
            )

    def _check_is_no_part(self) -> None:
        """Refuse to be closed by a run that needs what would be closed.

        Raises:
            SchedulerError: This thread is part of a run.
        """
        if who := self._part_of_run():
            raise SchedulerError(
                f"{who} is part of a run of this scheduler and cannot close it. Close it when the "
                "run has ended."
            )

    def _part_of_run(self) -> str | None:
        """Return what runs on this thread as a part of a run of this scheduler, if anything."""
        outer = running_task()
        is_own_thread = self._run_thread == threading.get_ident()
        if is_own_thread or (outer is not None and self._one_run.locked()):
            return outer or "What runs on the scheduler's own thread"
        return None

    def _tell(self, event: Event) -> None:
        """Have observers told on the scheduler's thread; called by the pool that reads files."""
        engine = self._engine
        if engine is not None:
            engine.tell(event)

    def _notify(self, event: Event) -> None:
        for observer in self.observers:
            self._guarded(observer).notify(event)

    def _guarded(self, observer: Observer) -> Observer:
        """Return what tells an observer until it raises, for as long as this scheduler lives."""
        found = self._guards.get(id(observer))
        if found is None:
            found = self._guards[id(observer)] = GuardedObserver(observer, self.logger)
        return found
