"""The Scheduler: made of settings, closed when done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from taskgraph.app.running import Running
from taskgraph.app.working import is_at_work
from taskgraph.assembly.databases import database_uri, open_database
from taskgraph.assembly.executors import make_executors, observers_of
from taskgraph.assembly.routing import call_queue
from taskgraph.assembly.surroundings import places_of
from taskgraph.config import (
    Settings,
    checked_seconds,
    context_of,
    find_config_dir,
    load_settings,
    settings_of,
)
from taskgraph.engine.callers import Job as SeenJob
from taskgraph.engine.loop import Engine
from taskgraph.engine.promising import evaluate_below
from taskgraph.engine.statuses import Counts
from taskgraph.errors import ExecutorError, SchedulerError
from taskgraph.events import Event, FilesRead, Warned
from taskgraph.expression import TaskExpression
from taskgraph.observers.given import as_observer
from taskgraph.ports import Backend, Executor, Observer
from taskgraph.promise import Promise
from taskgraph.tasks.context import context_of_paths
from taskgraph.tasks.options import checked_queue, known_options
from taskgraph.values.reading import ReadingPool
from taskgraph.values.registry import kind_of_class

if TYPE_CHECKING:
    from taskgraph.engine.trace import TaskTrace

T = TypeVar("T")


class Scheduler(Running):
    """Reduces expressions to values, remembers every result, and records where it came from.

    Args:
        settings: Where and how: of `load_settings`, or nested dicts of settings. By default those
            of the project, but with a database in memory, which ends with the process and says so
            once; so it is with dicts that name no database.
        config: Another name for ``settings``.
        backend: A backend, or the URL of a database, in place of the one in the settings.
        executor: The name of the executor of tasks that name none.
        serves: The queues whose calls run here, where this is a worker: those of other queues are
            sent to the workers of these. By default all calls run here.
        observers: Who is told what happens, besides those that the settings name: functions that
            are called with each event of `taskgraph.events`, or objects with a method ``notify``.
        logger: What `log`, and warnings of the scheduler itself, go to; by default ``taskgraph``.
        use_task_traceback: Whether an error that ends a run bears the trace of the tasks.
        job_status_interval: Seconds after which `log_job_statuses` is called during a run, where
            stderr is no terminal; by default as in the settings.
        migrate: Whether an old database may be upgraded; by default as in the settings.

    Attributes:
        settings: Where and how; ``config`` is the same.
        executors: Executors by name.
        backend: Where calls are remembered.
        observers: Who is told what happens.
        logger: What `log` goes to.
        ignore_warnings: What is not warned of.
        traceback: Where the last run that failed did so; None before that.
        was_interrupted: Whether a Ctrl-C came while the last run ran. At a first one that run may
            end well all the same, when nothing was left to begin; who runs several looks here.

    Use it as a context manager, or call `close` when done.
    """

    def __init__(
        self,
        settings: Settings | Mapping[str, Any] | None = None,
        *,
        config: Settings | Mapping[str, Any] | None = None,
        backend: Backend | str | None = None,
        executor: str | None = None,
        observers: Iterable[Observer | Callable[[Event], object]] = (),
        serves: Iterable[str] | None = None,
        logger: logging.Logger | None = None,
        use_task_traceback: bool = True,
        job_status_interval: float | None = None,
        migrate: bool | None = None,
    ) -> None:
        self.settings, is_given = _settings_given(settings, config)
        self.logger = logger or logging.getLogger("taskgraph")
        self.ignore_warnings = frozenset(self.settings.scheduler.ignore_warnings)
        self.traceback: TaskTrace | None = None
        self.was_interrupted = False
        self._use_task_traceback = use_task_traceback
        self._interval = (
            self.settings.scheduler.job_status_interval
            if job_status_interval is None
            else checked_seconds("job_status_interval", job_status_interval)
        )
        self._migrate = migrate
        self._has_looked_at_names = False
        self._counts: Counts = {}
        self._limits_used: dict[str, int] = {}
        given = [as_observer(each) for each in observers]
        self.observers = [*given, *observers_of(self.settings)]
        self._guards = {}
        self._serves = None if serves is None else frozenset(map(checked_queue, _listed(serves)))
        self.executors = make_executors(
            self.settings,
            lambda: call_queue(self.settings, self.backend),
            self._on_news,
        )
        self.default_executor = self._default_named(executor or self.settings.scheduler.executor)
        if self.default_executor not in self.executors:
            known = ", ".join(sorted(self.executors))
            raise ExecutorError(
                f"There is no executor named {self.default_executor!r}; there are: {known}."
            )
        self._places = places_of(self.settings)
        self._executor_options = {
            name: known_options(f"All tasks of executor {name}", context_of_paths(each.options))
            for name, each in self.settings.executors.items()
            if each.options
        }
        self._settings_context = context_of(self.settings)
        self._in_memory = backend is None and not is_given
        self.backend = self._open_backend(backend, is_given)
        self._pool = ReadingPool(progress=self._on_progress, announce=self._on_news)
        # What every run needs, loaded before the first one has to wait for it.
        kind_of_class(TaskExpression)
        # One run at a time: a second thread waits here until the first run is recorded.
        self._one_run = threading.Lock()
        self._engine: Engine | None = None
        self._run_thread: int | None = None
        self._is_closed = False

    @property
    def _scheduler(self) -> Scheduler:
        return self

    def _default_named(self, name: str) -> str:
        """Return the name of the executor that is to be the default one."""
        stand_ins = self._stand_ins()
        for each in (name, self.settings.scheduler.executor):
            if found := stand_ins.get(each, each):
                return found
        return "threads"

    def _open_backend(self, backend: Backend | str | None, is_given: bool) -> Backend:
        if backend is not None and not isinstance(backend, str):
            return backend
        uri = backend or (database_uri(self.settings) if is_given else "sqlite:///:memory:")
        return open_database(self.settings, uri, self._migrate)

    def _on_progress(self, done: int, total: int) -> None:
        self._tell(FilesRead(done, total))

    def _on_news(self, sentence: str) -> None:
        self._tell(Warned(sentence))

    def load(self, migrate: bool | None = None) -> None:
        """See to it that the database is open: it is, once the scheduler was made.

        Args:
            migrate: Whether its schema may be upgraded, if it must be opened.

        Raises:
            SchedulerError: The scheduler was closed.
            DatabaseError: The database cannot be opened.
        """
        if self._is_closed:
            raise SchedulerError("This scheduler was closed. Make a new one.")
        load = getattr(self.backend, "load", None)  # others than SQL backends need none
        if load is not None:
            load(self._migrate if migrate is None else migrate)

    def evaluate(self, expr: T, parent_job: SeenJob | None = None) -> Promise[T]:
        """Have an expression evaluated for a scheduler task in the style of callbacks.

        What it asks for is evaluated side by side, and recorded as calls below its own.

        Args:
            expr: What to evaluate: a lazy call, or any nested value of them.
            parent_job: What the scheduler task was given under that name. By default the one asks
                whose function, or callback, runs here.

        Returns:
            A promise that is settled as soon as this value, or its error, is there.

        Raises:
            SchedulerError: No scheduler task runs here, or its call has ended.
        """
        return evaluate_below(expr, parent_job)

    def add_executor(self, executor: Executor) -> None:
        """Add an executor under its name."""
        self.executors[executor.name] = executor

    def close(self) -> None:
        """Let go of workers and of the database. A second call does nothing.

        Raises:
            SchedulerError: This is part of a run of its own: an observer, say, or a task. Its rows
                could not be written, and others would wait for a lease that nobody gives back.
        """
        if self._is_closed:
            return
        self._check_is_no_part()
        self._is_closed = True
        for executor in self.executors.values():
            if self._run_thread is not None or not is_at_work(executor):  # for another scheduler
                self._stop_executor(executor)
        self._pool.stop()
        self.backend.close()

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _listed(names: Iterable[str]) -> list[str]:
    """Return names that were given, of which a text is one."""
    return [names] if isinstance(names, str) else list(names)


def _settings_given(
    settings: Settings | Mapping[str, Any] | None, config: Settings | Mapping[str, Any] | None
) -> tuple[Settings, bool]:
    """Return settings, and whether they say where the database is."""
    if settings is not None and config is not None:
        raise TypeError("settings and config are two names of the same: give one of them")
    given = config if settings is None else settings
    if given is None:
        return load_settings(find_config_dir()), False
    if isinstance(given, Settings):
        return given, True
    return settings_of(given), "db_uri" in given.get("backend", {}) or "backend.db_uri" in given
