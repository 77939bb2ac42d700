"""The public Scheduler, and the functions that use one: run, plan, explain.

With `taskgraph.assembly`, which puts the parts together, it alone imports ``taskgraph_backend``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from taskgraph.assembly import (
    Environment,
    database_uri,
    draw_records,
    find_record,
    in_force,
    make_executors,
    name_of_record,
    open_database,
    open_reader,
    places_of,
    release_files,
    take_lease,
)
from taskgraph.config import (
    Settings,
    checked_seconds,
    context_of,
    find_config_dir,
    load_settings,
    settings_of,
    write_default_config,
)
from taskgraph.engine.asking import Askable
from taskgraph.engine.callers import Job as SeenJob
from taskgraph.engine.jobs import Job
from taskgraph.engine.loop import Engine
from taskgraph.engine.options import Below, RunOptions
from taskgraph.engine.promising import evaluate_below
from taskgraph.engine.recorded import fitted, values_of
from taskgraph.engine.releasing import Release
from taskgraph.engine.statuses import Counts, every, report_of
from taskgraph.errors import (
    ExecutorError,
    ExplanationError,
    NoCurrentSchedulerError,
    RerunError,
    SchedulerError,
    UnknownRecordError,
)
from taskgraph.events import Event, FilesRead, JobMissed, Warned
from taskgraph.executors.eventloop import LoopExecutor
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.expression import SchedulerExpression, TaskExpression, find_expressions, quote
from taskgraph.hashing import ArgsHash, EvalHash
from taskgraph.plans import Plan
from taskgraph.ports import Backend, Executor, Observer
from taskgraph.promise import Promise
from taskgraph.records import ArgumentRecord, ExecutionId, JobId, State
from taskgraph.tasks.context import (
    NO_CONTEXT,
    Context,
    checked_context,
    context_of_paths,
    defaults_path,
    merge_context,
)
from taskgraph.tasks.hashes import Hasher, hashes_of_call
from taskgraph.tasks.names import BUILT_IN
from taskgraph.tasks.options import POOLS, CacheScope, known_options, lazy_options
from taskgraph.tasks.registry import TaskRegistry, get_task_registry
from taskgraph.tasks.requests import Made, read_tags
from taskgraph.tasks.task import Task
from taskgraph.values import walk
from taskgraph.values.handles import Handle, judge_by
from taskgraph.values.reading import ReadingPool
from taskgraph.values.registry import kind_of_class
from taskgraph.worker import running_task

if TYPE_CHECKING:
    from taskgraph.engine.jobs import Job
    from taskgraph.engine.trace import TaskTrace
    from taskgraph.provenance.explain import AnyExplanation, Explanation
    from taskgraph.provenance.reading import Lineage
    from taskgraph.values.types import TypeRegistry
    from taskgraph_backend.reader import Reader

T = TypeVar("T")

# How many tasks a warning names.
_MOST_NAMES = 10

# A plan may have more calls than anybody reads.
_MOST_PLANNED = 200

_current: ContextVar[Scheduler | None] = ContextVar("taskgraph_scheduler", default=None)
_chosen: ContextVar[Scheduler | None] = ContextVar("taskgraph_chosen_scheduler", default=None)


class ExtendedRun(NamedTuple, Generic[T]):
    """What was added to a run.

    Attributes:
        value: The value.
        made: The call that gave it, as those around it need to know it.
    """

    value: T
    made: Made


class Scheduler:
    """Reduces expressions to values, remembers every result, and records where it came from.

    Args:
        settings: Where and how: of `load_settings`, or nested dicts of settings. By default those
            of the project, but with a database in memory, which ends with the process and says so
            once; so it is with dicts that name no database.
        config: Another name for ``settings``.
        backend: A backend, or the URL of a database, in place of the one in the settings.
        executor: The name of the executor of tasks that name none.
        observers: Who is told what happens.
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

    Use it as a context manager, or call `close` when done.
    """

    def __init__(
        self,
        settings: Settings | Mapping[str, Any] | None = None,
        *,
        config: Settings | Mapping[str, Any] | None = None,
        backend: Backend | str | None = None,
        executor: str | None = None,
        observers: Iterable[Observer] = (),
        logger: logging.Logger | None = None,
        use_task_traceback: bool = True,
        job_status_interval: float | None = None,
        migrate: bool | None = None,
    ) -> None:
        self.settings, is_given = _settings_given(settings, config)
        self.logger = logger or logging.getLogger("taskgraph")
        self.ignore_warnings = frozenset(self.settings.scheduler.ignore_warnings)
        self.traceback: TaskTrace | None = None
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
        self.observers = list(observers)
        self.executors = make_executors(self.settings)
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
        self._running = threading.Lock()
        self._engine: Engine | None = None
        self._runner: int | None = None
        self._is_closed = False

    def _default_named(self, name: str) -> str:
        """Return the name of the executor that is to be the default one."""
        stand_ins = self._stand_ins()
        for each in (name, self.settings.scheduler.executor):
            if found := stand_ins.get(each, each):
                return found
        return "threads"

    def _stand_ins(self) -> dict[str, str]:
        """Return by which names executors are known that bear others: those of old."""
        names = {"default": "", **POOLS}
        return {name: other for name, other in names.items() if name not in self.executors}

    def _set_up(self) -> dict[str, Any]:
        """Return what holds for each run, however it is asked for."""
        return {
            "default_executor": self.default_executor,
            "executor_options": self._executor_options,
            "stand_ins": self._stand_ins(),
            "scheduler": self,
        }

    def _open_backend(self, backend: Backend | str | None, is_given: bool) -> Backend:
        if backend is not None and not isinstance(backend, str):
            return backend
        uri = backend or (database_uri(self.settings) if is_given else "sqlite:///:memory:")
        return open_database(self.settings, uri, self._migrate)

    def run(
        self,
        expr: T,
        *,
        exec_argv: Sequence[str] | None = None,
        dryrun: bool = False,
        cache: bool = True,
        execution_id: str | None = None,
        explain: Callable[[Explanation], None] | None = None,
        max_rerun: int | timedelta | None = None,
        options: Mapping[str, Any] | None = None,
        tags: Iterable[tuple[str, Any]] | Mapping[str, Any] = (),
        context: Mapping[str, Any] | None = None,
        fail_fast: bool = True,
    ) -> T:
        """Reduce an expression, or any nested value of expressions, to its value.

        Args:
            expr: What to evaluate.
            exec_argv: The command line to record; by default that of this process.
            dryrun: Stop before the first call would run.
            cache: Whether results of earlier executions may be used.
            execution_id: 32 hex digits; by default a new one.
            explain: Told why, for each call that is about to run; each costs some milliseconds.
            max_rerun: How many calls that were made before may be made again, or how long these
                may have taken the last time.
            options: Options of all tasks in this run, whatever is said elsewhere.
            tags: Tags of the execution: keys with JSON values.
            context: What calls read with `get_context`: nested dicts, on top of what the settings
                say.
            fail_fast: Whether nothing new is started once something has failed; otherwise all
                goes on that does not depend on it. What runs ends and is recorded either way.

        Raises:
            RerunLimitError: More would be made again. Nothing has run if that is known beforehand.
            TaskOptionError: An option is unknown, or cannot be said of all tasks.
            ValueError: A tag is none.
            DryRunResult: A dry run came to a call that would run.
            Exception: The task's own, with a ``__taskgraph_trace__`` that names tasks and values;
                those of all calls that failed are in ``__taskgraph_failures__``.
            KeyboardInterrupt: A Ctrl-C: at the first nothing new is started and what runs is
                recorded, at the second what runs is ended.
            SchedulerError: The scheduler is closed, or is running already in this thread.
        """
        self._check_free()
        self._say_where_results_go()
        self._warn_of_names()
        root = _root_of(expr)
        run_options = RunOptions(
            execution_id=ExecutionId(execution_id or uuid.uuid4().hex),
            args=json.dumps(list(exec_argv if exec_argv is not None else sys.argv)),
            use_cache=cache,
            is_dry=dryrun,
            tells_misses=explain is not None,
            max_value_size=self.settings.backend.max_value_size,
            max_rerun=max_rerun,
            options=known_options("All tasks of this run", options or {}),
            tags=read_tags(tags),
            context=self._context(context),
            fail_fast=fail_fast,
            limits=self.settings.limits,
            **self._set_up(),
        )
        with self._running:
            self._runner = threading.get_ident()
            try:
                if max_rerun is not None:
                    from taskgraph.engine.budget import check_plan

                    check_plan(self._plan(root, run_options), max_rerun)
                with self._explaining(run_options, explain) as observers:
                    return self._run(root, run_options, observers).value  # type: ignore[no-any-return]  # expr's value
            finally:
                self._runner = None

    def extend_run(
        self,
        expr: T,
        parent_job_id: str | None,
        *,
        dryrun: bool = False,
        cache: bool = True,
        context: Mapping[str, Any] | None = None,
        exported: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        fail_fast: bool = True,
        tags: Iterable[tuple[str, Any]] | Mapping[str, Any] = (),
    ) -> ExtendedRun[T]:
        """Evaluate an expression below a job that is recorded, in the execution of that job.

        Another process may be running that execution, and may wait for this.

        Args:
            expr: What to evaluate.
            parent_job_id: The job; None for an execution by itself.
            dryrun: Stop before the first call would run.
            cache: Whether results of earlier executions may be used.
            context: As of a run.
            exported: Options that calls are handed as by those that they are called in.
            options: As of a run.
            fail_fast: As of a run.
            tags: Tags of the execution, if it is one by itself.

        Raises:
            UnknownRecordError: No job is recorded under the id.
            Exception: As of a run.
        """
        self._check_free()
        root = _root_of(expr)
        execution_id, below = ExecutionId(uuid.uuid4().hex), None
        handed_on = known_options("What is handed to calls", exported or {})
        if parent_job_id is not None:
            with self.reading() as reader:
                job = reader.find(parent_job_id)
            if not hasattr(job, "execution_id"):
                raise UnknownRecordError(parent_job_id)
            execution_id, below = ExecutionId(job.execution_id), Below(JobId(job.id), handed_on)
        run_options = RunOptions(
            execution_id=execution_id,
            args=json.dumps(sys.argv),
            use_cache=cache,
            is_dry=dryrun,
            max_value_size=self.settings.backend.max_value_size,
            tags=read_tags(tags),
            options=known_options("All tasks of this run", options or {}),
            fail_fast=fail_fast,
            context=self._context(context),
            limits=self.settings.limits,
            below=below,
            **self._set_up(),
        )
        with self._running:
            self._runner = threading.get_ident()
            try:
                made = self._run(root, run_options, self.observers)
            finally:
                self._runner = None
        reads = made.reads
        if made.task.binder.has_defaults and made.task.namespace != BUILT_IN:
            reads |= {defaults_path(made.task.fullname)}
        found = Made(made.id, made.call_hash, made.is_cached, made.subtree, reads)
        return ExtendedRun(made.value, found)

    async def arun(self, expr: T, **how: Any) -> T:
        """Reduce an expression without blocking the event loop that this is awaited on.

        ``async def`` tasks run on that very loop.

        Args:
            expr: What to evaluate.
            how: As of `run`.

        Raises:
            Exception: As `run`.
            CancelledError: It was cancelled; what ran was recorded first.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        executor = self.executors["async"]
        assert isinstance(executor, LoopExecutor)
        with executor.on(loop):
            running = asyncio.ensure_future(asyncio.to_thread(self._run_apart, expr, how))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                self._stop_engine()
                with suppress(BaseException):
                    await running
                raise

    def _run_apart(self, expr: Any, how: Mapping[str, Any]) -> Any:
        try:
            return self.run(expr, **how)
        except KeyboardInterrupt:  # which ends an event loop, and not only who awaits
            raise SchedulerError("The run was stopped before its end.") from None

    def _stop_engine(self) -> None:
        engine = self._engine
        if engine is not None:
            engine.stop()

    def _context(self, update: Mapping[str, Any] | None) -> Context:
        data = merge_context(self._settings_context, checked_context(update or {}))
        walk.refresh(data)  # files in it are those of now
        return Context(data) if data else NO_CONTEXT

    def plan(
        self, expr: Any, *, cache: bool = True, context: Mapping[str, Any] | None = None
    ) -> Plan:
        """Return what a run would do now, as far as the records tell. Nothing runs.

        Args:
            expr: What would be evaluated.
            cache: Whether results of earlier executions might be used.
            context: As of a run.

        Raises:
            SchedulerError: The scheduler is closed, or is running already in this thread.
        """
        self._check_free()
        root = _root_of(expr)
        run_options = RunOptions(
            ExecutionId(""),
            use_cache=cache,
            context=self._context(context),
            **self._set_up(),
        )
        with self._running:
            self._runner = threading.get_ident()
            try:
                return self._plan(root, run_options)
            finally:
                self._runner = None

    def _plan(self, root: TaskExpression, run_options: RunOptions) -> Plan:
        from taskgraph.engine.planner import Planner
        from taskgraph_backend import SqlBackend

        explain = self._why_run if isinstance(self.backend, SqlBackend) else None
        token = _current.set(self)
        try:
            with in_force(self.settings, self._places):
                return Planner(self.backend, self._pool, run_options, explain).plan(root)
        finally:
            _current.reset(token)

    def _why_run(self, jobs: Sequence[Job]) -> dict[JobId, str]:
        """Say of calls that would run why, by what is recorded of earlier ones."""
        from taskgraph.engine.telling import describe_miss
        from taskgraph.provenance.explain_calls import Explainer
        from taskgraph.provenance.explain_runs import question_of_miss
        from taskgraph.provenance.explain_words import reason_of

        questions = [question_of_miss(describe_miss(job, ()), None) for job in jobs]
        with self.reading() as reader:
            explained = Explainer(reader, datetime.now(UTC)).explain(questions)
        both = zip(jobs, explained, strict=True)
        return {job.id: reason_of(each) for job, each in both if each.changes}

    def _check_free(self) -> None:
        """Refuse what would wait for itself.

        Raises:
            SchedulerError: It is closed, or this thread is part of a run.
        """
        if self._is_closed:
            raise SchedulerError("This scheduler was closed. Make a new one.")
        outer = running_task()
        is_own_thread = self._runner == threading.get_ident()
        if is_own_thread or (outer is not None and self._running.locked()):
            # This thread would wait for the run that waits for it.
            who = outer or "What runs on the scheduler's own thread"
            raise SchedulerError(
                f"{who} is part of a run of this scheduler and cannot start another run in it. "
                "Return the expression instead: it is evaluated as a child call."
            )

    @contextmanager
    def _explaining(
        self, run_options: RunOptions, tell: Callable[[Explanation], None] | None
    ) -> Iterator[Sequence[Observer]]:
        """Give the observers of a run, with one that explains misses if somebody is to be told."""
        if tell is None:
            yield self.observers
            return
        with self.reading() as reader:
            explainer = _MissExplainer(reader, run_options.execution_id, tell, self._notify)
            yield [*self.observers, explainer]

    def _run(
        self, root: TaskExpression, run_options: RunOptions, observers: Sequence[Observer]
    ) -> Job:
        environment = Environment(self.settings.project_dir)
        is_part = run_options.below is not None  # another process holds the execution
        own = ExecutionId(uuid.uuid4().hex) if is_part else run_options.execution_id
        lease = take_lease(self.backend, own)
        token = _current.set(self)
        try:
            engine = self._engine = Engine(
                self.backend,
                self.executors,
                observers,
                self._pool,
                environment.packed,
                run_options,
                lease,
            )
            statuses = every(self._shown_interval(), self.log_job_statuses)
            with in_force(self.settings, self._places), statuses:
                return engine.reduce(root)
        except BaseException as error:
            self._take_trace(error)
            raise
        finally:
            self._take_counts()
            _current.reset(token)
            for executor in self.executors.values():
                if isinstance(executor, ThreadExecutor | LoopExecutor):
                    executor.stop()  # threads are cheap to make, and a process may want to fork
            lease.release()

    def _take_counts(self) -> None:
        """Take note of what became of the jobs of a run that has ended."""
        engine, self._engine = self._engine, None
        if engine is not None:
            self._counts = engine.job_counts
            self._limits_used = dict.fromkeys(engine.limits_used, 0)

    def _take_trace(self, error: BaseException) -> None:
        """Take note of where a run failed."""
        self.traceback = getattr(error, "__taskgraph_trace__", None)
        if not self._use_task_traceback:
            with suppress(AttributeError):
                del error.__taskgraph_trace__, error.__taskgraph_failures__  # type: ignore[attr-defined]  # put there by the engine

    def explain(self, what: Any) -> AnyExplanation:
        """Explain why something ran, or did not, or what would become of a call now.

        Args:
            what: A lazy call with values as arguments, or the key of a call: would it run now, and
                why? A task, a cached function, or a full name: its newest call. An id or the start
                of one, a record that was read, the path of a file, ``-`` for the newest execution
                and ``~2`` for the second newest.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            AmbiguousIdError: More than one record starts so.
            ExplanationError: The arguments are calls themselves, or the backend keeps no history.
        """
        from taskgraph.provenance import explain_runs

        with self.reading() as reader:
            if isinstance(what, TaskExpression):
                return self._explain_call(reader, what)
            if isinstance(what, Askable):
                asked = what.ask()
                return explain_runs.explain_asked(reader, asked.call, asked.is_hit)
            task = getattr(what, "__taskgraph_task__", what)
            if isinstance(task, Task):
                return explain_runs.explain_task(reader, task.fullname)
            text = name_of_record(what)
            return explain_runs.explain_found(
                reader, find_record(reader, self.settings, text), text
            )

    def recorded_call(self, job: str) -> Any:
        """Return the call of a recorded job, with what it was given, to be run once more.

        Args:
            job: The job's id, or the start of it.

        Returns:
            A lazy call of the task as it is defined now. It runs whatever is stored.

        Raises:
            UnknownRecordError: Nothing is recorded under it.
            UnknownTaskError: Its task is not defined here; import its module.
            RerunError: It is no job of a task, or what it was given is not in the store.
        """
        with self.reading() as reader:
            found = reader.find(job)
            node = getattr(found, "call_node", None)
            if node is None or not hasattr(found, "task_hash"):
                raise RerunError(job, "it is no job, or none whose arguments were recorded")
            name, context = node.task_name, found.context
            arguments = [
                ArgumentRecord(
                    each.arg_hash, each.call_hash, each.value_hash, each.arg_position, each.arg_key
                )
                for each in node.arguments
            ]
            arguments.sort(key=lambda each: (each.arg_position is None, each.arg_position or 0))
        task = get_task_registry().get(name)
        if issubclass(task.expression_type, SchedulerExpression):
            raise RerunError(job, f"{name} runs in the scheduler, and has no body of its own")
        with in_force(self.settings, self._places):
            values = values_of(self.backend, arguments)
        if isinstance(values, str):
            raise RerunError(job, values)
        args, kwargs, missing = fitted(arguments, values, task)
        if missing:
            raise RerunError(job, f"what was given for {', '.join(missing)} was not recorded")
        again = task.options(cache_scope=CacheScope.NONE)
        return (again.update_context(context) if context else again)(*args, **kwargs)

    def _explain_call(self, reader: Reader, expr: TaskExpression) -> Explanation:
        from taskgraph.engine.asking import ask
        from taskgraph.provenance import explain_runs

        if isinstance(expr, SchedulerExpression) or _awaits(expr):
            raise ExplanationError(
                expr.task_name,
                "its arguments are calls, whose values are not known before they run. Explain "
                "these first, or `taskgraph plan` the whole.",
            )
        asked = ask(expr, self.backend)
        return explain_runs.explain_asked(reader, asked.call, asked.is_hit)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open the records for reading, with files where this project has them."""
        from taskgraph_backend import SqlBackend

        if not isinstance(self.backend, SqlBackend):
            raise ExplanationError(
                type(self.backend).__name__,
                "it keeps no history. Use a database: Scheduler(load_settings()).",
            )
        draw_records()
        with in_force(self.settings, self._places), self.backend.reader() as reader:
            yield reader

    def _say_where_results_go(self) -> None:
        if self._in_memory:
            self._in_memory = False
            self._notify(
                Warned(
                    "Results are kept in memory and end with this process. Use taskgraph.run(), or "
                    "Scheduler(load_settings()), to keep them in the project's database."
                )
            )

    def _on_progress(self, done: int, total: int) -> None:
        self._tell(FilesRead(done, total))

    def _on_news(self, sentence: str) -> None:
        self._tell(Warned(sentence))

    def _tell(self, event: Event) -> None:
        """Have observers told on the scheduler's thread; called by the pool that reads files."""
        engine = self._engine
        if engine is not None:
            engine.tell(event)

    def _notify(self, event: Event) -> None:
        for observer in self.observers:
            observer.notify(event)

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

    @property
    def config(self) -> Settings:
        """The settings."""
        return self.settings

    @property
    def task_registry(self) -> TaskRegistry:
        """All tasks that are defined here."""
        return get_task_registry()

    @property
    def type_registry(self) -> TypeRegistry:
        """What is known of the values of each type."""
        from taskgraph.values.types import get_type_registry

        return get_type_registry()

    @property
    def limits(self) -> dict[str, int]:
        """How many units there are of each limit that the settings name; of others there is one."""
        return dict(self.settings.limits)

    @property
    def limits_used(self) -> dict[str, int]:
        """How many units of each limit calls of this scheduler hold; none when no run goes on."""
        engine = self._engine
        used = self._limits_used if engine is None else engine.limits_used
        return {**dict.fromkeys(self.settings.limits, 0), **used}

    def log(self, *messages: object, indent: int = 0, level: int = logging.INFO) -> None:
        """Log messages, one after the other on a line.

        Args:
            messages: What is said; lines of text stay lines.
            indent: How many spaces go before each line.
            level: The level of the logger that it has.
        """
        text = " ".join(map(str, messages))
        for line in text.split("\n"):
            self.logger.log(level, "%s%s", " " * indent, line)

    def get_job_status_report(self) -> list[str]:
        """Return the lines of a table: how many jobs are where, in all and of each task.

        They are those of the run that goes on, or else of the last one: PENDING, RUNNING, FAILED,
        CACHED or DONE.
        """
        engine = self._engine
        return report_of(self._counts if engine is None else engine.job_counts)

    def log_job_statuses(self) -> None:
        """Log how many jobs are where."""
        for line in self.get_job_status_report():
            self.log(line)

    def _shown_interval(self) -> float | None:
        """Return after how many seconds statuses are logged; None if nobody would see that."""
        is_seen = self.logger.isEnabledFor(logging.INFO) and not sys.stderr.isatty()
        return self._interval if is_seen else None

    def _warn_of_names(self) -> None:
        """Warn of tasks without a namespace, once: two of one name would be one task."""
        if self._has_looked_at_names or "namespace" in self.ignore_warnings:
            return
        self._has_looked_at_names = True
        names = sorted(each.name for each in get_task_registry() if not each.namespace)
        if names:
            shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
            self.logger.warning(
                "These tasks have no namespace: %s. Set taskgraph_namespace in their module, so "
                "that no other module's task of the same name takes their place, or "
                'ignore_warnings = "namespace" in the section [scheduler] of the settings.',
                shown,
            )

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
        """Let go of workers and of the database. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for executor in self.executors.values():
            executor.stop()
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


class _MissExplainer:
    """An observer that explains each miss of a run before the call runs."""

    def __init__(
        self,
        reader: Reader,
        execution_id: ExecutionId,
        tell: Callable[[Explanation], None],
        warn: Callable[[Event], None],
    ) -> None:
        from taskgraph.provenance.explain_calls import Explainer

        self._execution_id = execution_id
        self._tell = tell
        self._warn = warn
        self._explainer = Explainer(reader, datetime.now(UTC), execution_id)

    def notify(self, event: Event) -> None:
        """Explain a miss; all else is for others."""
        if type(event) is not JobMissed:
            return
        try:
            explanation = self._explain(event)
        except Exception as error:
            # The run is worth more than what is said of it.
            self._warn(Warned(f"Why {event.call.task.fullname} runs cannot be told: {error!r}"))
            return
        self._tell(explanation)

    def _explain(self, event: JobMissed) -> Explanation:
        from taskgraph.provenance.explain import ExplainedJob
        from taskgraph.provenance.explain_runs import question_of_miss

        job = ExplainedJob(
            event.call.job_id, self._execution_id, State.RUNNING, datetime.now(UTC), None
        )
        return self._explainer.explain([question_of_miss(event, job)])[0]


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


def _root_of(expr: Any) -> TaskExpression:
    """Return the root call: a plain call with values as arguments, or what stands in for it."""
    if isinstance(expr, TaskExpression) and not _awaits(expr):
        return expr
    from taskgraph.combinators.control import root_task

    root = root_task(quote(expr))
    assert isinstance(root, TaskExpression)
    return root


def _awaits(expr: TaskExpression) -> bool:
    """Tell whether others must be evaluated before a call can be made."""
    task = expr._task
    is_lazy = isinstance(expr, SchedulerExpression)
    if not is_lazy and find_expressions(list(expr._inputs())):
        return True
    if not isinstance(task, Task) or not task.is_defined:
        return False
    if lazy_options(task.all_options) or lazy_options(task.exports):
        return True
    return not is_lazy and bool(task.binder.missing_lazy_defaults(expr.args, expr.kwargs))


# The functions


_schedulers: dict[str, Scheduler] = {}
_schedulers_lock = threading.Lock()


def scheduler_for(config_dir: str | Path | None = None) -> Scheduler:
    """Return the scheduler of a config directory: made on demand and kept.

    Where none is named it is the one that was set, if one was.
    """
    chosen = _chosen.get()
    if config_dir is None and chosen is not None and not chosen._is_closed:
        return chosen
    folder = find_config_dir(given=config_dir)
    key = f"{os.getpid()}:{folder}"
    with _schedulers_lock:
        found = _schedulers.get(key)
        if found is None or found._is_closed:
            write_default_config(folder)
            found = _schedulers[key] = Scheduler(load_settings(folder))
    return found


def run(
    expr: T,
    config_dir: str | Path | None = None,
    *,
    exec_argv: Sequence[str] | None = None,
    dryrun: bool = False,
    cache: bool = True,
    execution_id: str | None = None,
    max_rerun: int | timedelta | None = None,
    options: Mapping[str, Any] | None = None,
    tags: Iterable[tuple[str, Any]] | Mapping[str, Any] = (),
    context: Mapping[str, Any] | None = None,
    fail_fast: bool = True,
) -> T:
    """Evaluate an expression with the scheduler of a config directory, or the one that was set.

    Args:
        expr: What to evaluate: a lazy call, or any nested value of them.
        config_dir: The folder of settings and database; by default that of the scheduler that was
            set with `set_current_scheduler`, else the nearest ``.taskgraph`` upward, or a new one
            in the working directory.
        exec_argv: The command line to record; by default that of this process.
        dryrun: Stop before the first call would run.
        cache: Whether results of earlier executions may be used.
        execution_id: 32 hex digits; by default a new one.
        max_rerun: How many calls that were made before may be made again, or how long these may
            have taken the last time.
        options: Options of all tasks in this run, whatever is said elsewhere.
        tags: Tags of the execution: keys with JSON values.
        context: What calls read with `get_context`: nested dicts, on top of what the settings say.
        fail_fast: Whether nothing new is started once something has failed.

    Raises:
        Exception: As `Scheduler.run`.
    """
    return scheduler_for(config_dir).run(
        expr,
        exec_argv=exec_argv,
        dryrun=dryrun,
        cache=cache,
        execution_id=execution_id,
        max_rerun=max_rerun,
        options=options,
        tags=tags,
        context=context,
        fail_fast=fail_fast,
    )


def explain(what: Any, config_dir: str | Path | None = None) -> AnyExplanation:
    """Explain why something ran, or did not, or what would become of a call now.

    Args:
        what: A lazy call with values as arguments, the key of a call, a task or cached function,
            an id, a path; see `Scheduler.explain`.
        config_dir: The folder of settings and database; by default as for `run`.

    Returns:
        An `Explanation` of one call, or an `ExecutionExplanation` of a whole run.

    Raises:
        UnknownRecordError: Nothing is recorded under it.
        AmbiguousIdError: More than one record starts so.
        ExplanationError: The arguments of a call are calls themselves.
    """
    return scheduler_for(config_dir).explain(what)


def lineage(
    what: Any,
    config_dir: str | Path | None = None,
    *,
    down: bool = False,
    all: bool = False,
    depth: int | None = None,
    types: Sequence[str] | None = None,
) -> Lineage:
    """Return how a file or a value came to be: the calls that led to it, each once.

    Args:
        what: The path of a file, a `File`, the hash of a value, or a record that was read.
        config_dir: The folder of settings and database; by default as for `run`.
        down: Whether the chart is of what was made of it.
        all: Whether the chart follows files from one execution to another.
        depth: The chart goes no further than so many calls.
        types: The chart has only values of these types, such as ``File``.

    Returns:
        What `print` shows as a page, and ``story.steps`` has as data: each step a call, with its
        arguments, the job that made it, and how far from the value it was. ``chart`` is the graph
        of calls and values, ``text`` the same as a tree; ``to_json()``, ``to_dot()`` and
        ``to_mermaid()`` are for other programs.

    Raises:
        UnknownRecordError: Nothing is recorded under it.
        AmbiguousIdError: More than one record starts so.
    """
    from taskgraph.provenance.reading import lineage_of

    settings = load_settings(find_config_dir(given=config_dir))
    with closing(open_reader(settings)) as reader:
        text = what.path if hasattr(what, "path") else name_of_record(what)
        found = find_record(reader, settings, text)
        return lineage_of(reader, found, text, down=down, all=all, depth=depth, types=types)


def hash_args_eval(
    type_registry: Hasher | None,
    task: Task[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[EvalHash, ArgsHash]:
    """Return the ``eval_hash`` and the ``args_hash`` of a call, as a run would record them now.

    Parameters that are named in ``config_args`` and those that are told of the job (`JobInfo`) do
    not count; items of ``*args`` and ``**kwargs`` do. The settings are those of the scheduler that
    runs here or was set, else of the nearest config directory.

    Args:
        type_registry: What hashes values, by its ``get_hash``; None for the library itself.
        task: The task.
        args: Positional arguments: values, and no lazy calls.
        kwargs: Arguments by name.

    Raises:
        TypeError: The arguments do not fit the signature, or one is a lazy call.
        UnhashableValueError: An argument has no stable hash.
    """
    scheduler = _current.get()
    settings = load_settings(find_config_dir()) if scheduler is None else scheduler.settings
    with in_force(settings, places_of(settings)):
        return hashes_of_call(type_registry, task, args, kwargs)


def release(
    *paths: str | os.PathLike[str],
    dry_run: bool = False,
    force: bool = False,
    config_dir: str | Path | None = None,
) -> list[Release]:
    """Delete temporary files, those that tasks gave as ``File(path, temp=True)``.

    No call is made again because of that, until one must run that reads such a file; then the call
    that gave it is made again first. How the file came to be can still be asked.

    Args:
        paths: Paths or URLs of files, and of folders in which all temporary files are meant.
        dry_run: Whether nothing is deleted.
        force: Whether files that are named are deleted whatever is known of them; what lies in a
            folder is not meant by that.
        config_dir: The folder of settings and database; by default as for `run`.

    Returns:
        What became of each file, or would.

    Raises:
        UnknownRecordError: Nothing is recorded of a path.
        ReleaseRefusedError: A file that is named is no temporary one, was changed, or was given by
            no call; or an execution is running. Nothing was deleted.
    """
    settings = load_settings(find_config_dir(given=config_dir))
    return release_files(settings, [os.fspath(p) for p in paths], dry_run=dry_run, force=force)


def plan(expr: Any, config_dir: str | Path | None = None, *, cache: bool = True) -> Plan:
    """Return what a run would do now, with the scheduler of a config directory. Nothing runs.

    Args:
        expr: What would be evaluated.
        config_dir: As for `run`.
        cache: Whether results of earlier executions might be used.
    """
    return scheduler_for(config_dir).plan(expr, cache=cache)


def _is_valid_handle(handle: Handle) -> bool:
    scheduler = _current.get()
    if scheduler is None:
        if running_task() is not None:  # in a worker process, where no records are
            raise NoCurrentSchedulerError()
        scheduler = scheduler_for()
    state = handle.__handle__
    return state.is_initial or bool(scheduler.backend.find_valid_handles([state.hash]))


judge_by(_is_valid_handle)


def get_current_scheduler(required: bool = True) -> Scheduler | None:
    """Return the scheduler that runs here, or was set.

    Raises:
        NoCurrentSchedulerError: There is none, and one is required.
    """
    scheduler = _current.get()
    if scheduler is None and required:
        raise NoCurrentSchedulerError()
    return scheduler


def set_current_scheduler(scheduler: Scheduler | None) -> None:
    """Set the scheduler of this context: what `run` and its like use where none is named."""
    _current.set(scheduler)
    _chosen.set(scheduler)
