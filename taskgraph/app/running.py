"""How a scheduler runs: something by itself, below a job that is recorded, or on an event loop.

    run             an expression, as a new execution
    run_submitted   one that was written down before, perhaps by somebody else
    extend_run      below a job, in the execution of that
    arun            as `run`, for who must not block
      _run          all of them: a lease, what others have to see first, an Engine, the end

What is asked of a run are its `RunOptions`; what people know it by is `Wanted`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from taskgraph.app.current import current_scheduler
from taskgraph.app.questions import Questions
from taskgraph.app.reports import Reports
from taskgraph.app.roots import recorded_root_of, root_of
from taskgraph.app.submitting import (
    Wanted,
    settle,
    submitter_of,
    with_submission,
    write_ahead,
)
from taskgraph.app.working import at_work, is_at_work
from taskgraph.assembly.databases import has_others, output_place, take_lease
from taskgraph.assembly.managing import has_output, is_cancelled
from taskgraph.assembly.routing import queue_taken_by
from taskgraph.assembly.surroundings import in_force
from taskgraph.engine.environment import Environment
from taskgraph.engine.jobs import Job
from taskgraph.engine.leasing import Assigned, ExecutionLease
from taskgraph.engine.loop import Engine
from taskgraph.engine.options import Below, RunOptions
from taskgraph.engine.statuses import every
from taskgraph.errors import (
    ExecutionCancelledError,
    LeaseLostError,
    SchedulerError,
    UnknownRecordError,
)
from taskgraph.executors.eventloop import LoopExecutor
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.expression import TaskExpression
from taskgraph.outputs.keeping import sweep_if_due
from taskgraph.outputs.place import OutputPlace
from taskgraph.outputs.streams import captured
from taskgraph.ports import Backend, Executor, Observer
from taskgraph.records import ExecutionId, JobId, Submission
from taskgraph.tasks.context import defaults_path
from taskgraph.tasks.names import BUILT_IN
from taskgraph.tasks.options import checked_queue, known_options
from taskgraph.tasks.requests import Made, read_tags
from taskgraph.worker import describe_error, running_task

if TYPE_CHECKING:
    from taskgraph.app.workspaces import RunWorkspace
    from taskgraph.catalog.rows import Execution
    from taskgraph.provenance.explain import Explanation

T = TypeVar("T")


_NOTHING = Wanted()
_thread = threading.local()  # has the id of the run whose engine is at work on it, if one is


def _is_outermost() -> bool:
    """Tell whether nothing waits for what is run here: no body, and no scheduler's own thread.

    An observer is called on that, say. Who waited there for a call that is led by the very run that
    it is called in would wait for ever.
    """
    return running_task() is None and getattr(_thread, "run_id", None) is None


class _Cancelled:
    """Looks now and then whether somebody has cancelled a run, and has it end then.

    Args:
        backend: Where it is recorded.
        execution_id: The execution.
        engine: What runs it.

    Attributes:
        is_so: Whether somebody has.
    """

    def __init__(self, backend: Backend, execution_id: str, engine: Engine) -> None:
        self._backend = backend
        self._execution_id = execution_id
        self._engine = engine
        self.is_so = False

    def look(self) -> None:
        """Have the run end as after a Ctrl-C if it was cancelled; from any thread."""
        if self.is_so or not is_cancelled(self._backend, self._execution_id):
            return
        # One that stops by itself is cancelled as well, by its own word.
        if not self._engine.is_stopping:
            self.is_so = True
            self._engine.stop()


def _watch(
    lease: ExecutionLease, cancelled: _Cancelled, engine: Engine, wanted: Wanted, *, is_part: bool
) -> None:
    """Have a run end that somebody cancels, or that is somebody else's by now."""
    if wanted.assigned is not None and wanted.assigned.on_lost is None:
        lease.on_lost = engine.stop
    if not is_part:
        lease.on_beat = cancelled.look


class ExtendedRun(NamedTuple, Generic[T]):
    """What was added to a run.

    Attributes:
        value: The value.
        made: The call that gave it, as those around it need to know it.
    """

    value: T
    made: Made


class Running(Questions, Reports):
    """The ways in which a scheduler runs something; one run at a time."""

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
        name: str | None = None,
        study: str | None = None,
        workspace: str | os.PathLike[str] | None = None,
        idempotency_key: str | None = None,
        queue: str | None = None,
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
            name: What people call this execution; the name of the task by default.
            study: The name of the body of work that it is part of.
            workspace: Its folder, which no other execution has.
            idempotency_key: Under one key a task is run once: where it was, nothing runs.
            queue: The queue of calls for which no other one is named, where calls are sent to the
                workers of their queues.

        Raises:
            RerunLimitError: More would be made again. Nothing has run if that is known beforehand.
            TaskOptionError: An option is unknown, or cannot be said of all tasks.
            ExecutionCancelledError: Somebody has cancelled it while it ran.
            AlreadySubmittedError: Another execution has the key.
            WorkspaceInUseError: Another execution has the workspace.
            ValueError: A tag is none, or a name is blank.
            DryRunResult: A dry run came to a call that would run.
            Exception: The task's own, with a ``__taskgraph_trace__`` that names tasks and values;
                those of all calls that failed are in ``__taskgraph_failures__``.
            KeyboardInterrupt: A Ctrl-C: at the first nothing new is started and what runs is
                recorded, at the second what runs is ended.
            SchedulerError: The scheduler is closed, or is running already in this thread.
            ExecutorError: One of its executors is at work for another scheduler.
        """
        self._check_free()
        self._say_where_results_go()
        self._warn_of_names()
        root = root_of(expr)
        run_options = replace(
            self._options_of_run(
                ExecutionId(execution_id or uuid.uuid4().hex),
                sys.argv if exec_argv is None else exec_argv,
                is_dry=dryrun,
                cache=cache,
                context=context,
                options=options,
                queue=queue,
                fail_fast=fail_fast,
                tags=tags,
            ),
            tells_misses=explain is not None,
            max_rerun=max_rerun,
        )
        wanted = Wanted(
            name, study, workspace, idempotency_key, submitter_of(self.settings, self.backend)
        )
        run_options = with_submission(root, run_options, wanted)
        with self._alone():
            if max_rerun is not None:
                from taskgraph.engine.budget import check_plan

                check_plan(self._plan(root, run_options), max_rerun)
            with self._explaining(run_options, explain) as observers:
                return self._run(root, run_options, observers, wanted).value  # type: ignore[no-any-return]  # expr's value

    def run_submitted(
        self,
        expr: Any,
        made: Execution,
        *,
        cache: bool = True,
        options: Mapping[str, Any] | None = None,
        assigned: Assigned | None = None,
        writes_dataset: bool | None = None,
    ) -> Any:
        """Reduce an expression as an execution that was written down before.

        Args:
            expr: What to evaluate.
            made: The execution; what was said when it was created stays.
            cache: As of a run.
            options: As of a run.
            assigned: That a worker has taken it.
            writes_dataset: Whether there is a dataset that is to hold the files of its result; by
                default that is looked up.

        Raises:
            LeaseLostError: A worker took it, and somebody else has it by now.
            Exception: As of a run.
        """
        self._check_free()
        self._say_where_results_go()
        run_options = self._options_of_run(
            ExecutionId(made.id),
            # An empty one says that workers may take it (`catalog.queueing`): of what a worker runs
            # another one may have to run it once more.
            sys.argv if assigned is None else [],
            is_dry=False,
            cache=cache,
            context=None,
            options=options,
            queue=None if "queue" in (options or {}) else self._queue_of(made),
            fail_fast=True,
            tags=(),
        )
        if writes_dataset is None:
            writes_dataset = has_output(self.backend, made.id)
        if writes_dataset or made.group_id is not None:
            root = recorded_root_of(expr, run_options.options)
        else:
            root = root_of(expr)
        run_options = replace(
            run_options,
            in_group=made.group_id is not None,
            writes_dataset=writes_dataset,
            submission=Submission(made.name, root.task_name),
        )
        wanted = Wanted(
            study=made.study, workspace=made.workspace, is_submitted=True, assigned=assigned
        )
        with self._alone():
            return self._run(root, run_options, self.observers, wanted).value

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
        root = root_of(expr)
        execution_id, below = ExecutionId(uuid.uuid4().hex), None
        handed_on = known_options("What is handed to calls", exported or {})
        if parent_job_id is not None:
            with self.reading() as reader:
                job = reader.find(parent_job_id)
            if not hasattr(job, "execution_id"):
                raise UnknownRecordError(parent_job_id)
            execution_id, below = ExecutionId(job.execution_id), Below(JobId(job.id), handed_on)
        run_options = self._options_of_run(
            execution_id,
            sys.argv,
            is_dry=dryrun,
            cache=cache,
            context=context,
            options=options,
            fail_fast=fail_fast,
            tags=tags,
        )
        if parent_job_id is None:
            run_options = with_submission(root, run_options, _NOTHING)
        with self._alone():
            made = self._run(root, replace(run_options, below=below), self.observers)
        reads = made.reads
        if made.task.binder.has_defaults and made.task.namespace != BUILT_IN:
            reads |= {defaults_path(made.task.fullname)}
        found = Made(made.id, made.call_hash, made.is_cached, made.subtree, reads)
        return ExtendedRun(made.value, found)

    def _options_of_run(
        self,
        execution_id: ExecutionId,
        command_line: Sequence[str],
        *,
        is_dry: bool,
        cache: bool,
        context: Mapping[str, Any] | None,
        options: Mapping[str, Any] | None,
        queue: str | None = None,
        fail_fast: bool,
        tags: Iterable[tuple[str, Any]] | Mapping[str, Any],
    ) -> RunOptions:
        """Return what a run is asked to do, by itself or below a job."""
        # What is said of all calls goes before what each says, but for the queue.
        said = dict(options or {})
        is_named = queue is not None or "queue" in said
        other = said.pop("queue", None)
        return replace(
            self._options_of(execution_id, cache, context),
            command_line=json.dumps(list(command_line)),
            is_dry=is_dry,
            max_value_size=self.settings.backend.max_value_size,
            options=known_options("All tasks of this run", said),
            queue=checked_queue(other if queue is None else queue) if is_named else None,
            fail_fast=fail_fast,
            tags=read_tags(tags),
            limits=self.settings.limits,
            single_flight=cache and not is_dry and self._has_flights,
            may_wait=_is_outermost(),
            log=self.logger.info,
        )

    def _queue_of(self, made: Execution) -> str | None:
        """Return the queue by which an execution came here, or else the only one it names."""
        if self._serves is not None:
            return queue_taken_by(self.backend, made.id)
        return made.queues[0] if len(made.queues) == 1 else None

    @property
    def _has_flights(self) -> bool:
        """Whether calls that run in other processes are waited for."""
        return self.settings.scheduler.single_flight and has_others(self.backend)

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

    def _run(
        self,
        root: TaskExpression,
        run_options: RunOptions,
        observers: Sequence[Observer],
        wanted: Wanted = _NOTHING,
    ) -> Job:
        environment = Environment(self.settings.project_dir)
        is_part = run_options.below is not None  # another process holds the execution
        own = ExecutionId(uuid.uuid4().hex) if is_part else run_options.execution_id
        place = output_place(self.settings, self.backend, run_options.execution_id)
        # A run within a body leads call by call: the one around it may lead all, and goes on.
        leads = run_options.single_flight and run_options.may_wait
        lease = take_lease(self.backend, own, leads, wanted.assigned)
        run_options = replace(run_options, output=place, lease_id=own, held=lease.held)
        token = current_scheduler.set(self._scheduler)
        outer, _thread.run_id = getattr(_thread, "run_id", None), own
        is_written_ahead = False
        cancelled: _Cancelled | None = None
        workspace: RunWorkspace | None = None
        try:
            is_written_ahead = write_ahead(self.backend, run_options, wanted)
            if wanted.workspace is not None:
                from taskgraph.app.workspaces import workspace_of

                workspace = workspace_of(self.backend, run_options, wanted)
            if workspace is not None:
                workspace.begin()
                observers = [*observers, workspace.log]
            engine = self._engine = Engine(
                self.backend,
                self.executors,
                [self._guarded(each) for each in observers],
                self._pool,
                environment.packed,
                run_options,
                lease,
            )
            cancelled = _Cancelled(self.backend, own, engine)
            _watch(lease, cancelled, engine, wanted, is_part=is_part)
            if place is not None:
                sweep_if_due(os.path.dirname(place.folder), self.settings.logs.keep_days)
            statuses = every(self._shown_interval(), self.log_job_statuses)
            with (
                in_force(self.settings, self._places),
                statuses,
                self._capturing(place),
                at_work(self.executors.values()),
            ):
                return engine.run(root)
        except LeaseLostError:
            lease.on_lost()
            raise
        except KeyboardInterrupt as error:
            self._take_trace(error)
            if cancelled is not None and cancelled.is_so:
                raise ExecutionCancelledError(own) from None
            raise
        except BaseException as error:
            self._take_trace(error)
            raise
        finally:
            self._take_counts()
            _thread.run_id = outer
            current_scheduler.reset(token)
            self._stop_threads()
            ended = run_options.execution_id if is_written_ahead else None
            self._let_go(lease, ended, workspace)

    def _let_go(
        self, lease: ExecutionLease, ended: ExecutionId | None, workspace: RunWorkspace | None
    ) -> None:
        """Give back what a run held; one that was written ahead has ended first.

        Without its lease it would look as if it had crashed.
        """
        try:
            if ended is not None:
                settle(self.backend, ended, sys.exception())
        finally:
            lease.release()
            if workspace is not None:
                workspace.end()

    def _capturing(self, place: OutputPlace | None) -> AbstractContextManager[None]:
        """Have what calls print told apart, if it is kept."""
        return nullcontext() if place is None else captured()

    def _stop_threads(self) -> None:
        """Stop executors of threads: these are cheap, and a process may want to fork."""
        for executor in self.executors.values():
            is_cheap = isinstance(executor, ThreadExecutor | LoopExecutor)
            if is_cheap and not is_at_work(executor):  # for another scheduler
                self._stop_executor(executor)

    def _stop_executor(self, executor: Executor) -> None:
        """Stop an executor; one that raises is warned of, for what ran is recorded."""
        try:
            executor.stop()
        except Exception as error:  # of whatever is a stranger's
            said = describe_error(error)
            self.logger.warning("executor %r could not be stopped: %s", executor.name, said)

    def _take_counts(self) -> None:
        """Take note of what became of the jobs of a run that has ended."""
        engine, self._engine = self._engine, None
        if engine is not None:
            self._counts = engine.job_counts
            self.was_interrupted = engine.was_interrupted
            self._limits_used = dict.fromkeys(engine.limits_used, 0)

    def _take_trace(self, error: BaseException) -> None:
        """Take note of where a run failed."""
        self.traceback = getattr(error, "__taskgraph_trace__", None)
        if not self._use_task_traceback:
            with suppress(AttributeError):
                del error.__taskgraph_trace__, error.__taskgraph_failures__  # type: ignore[attr-defined]  # put there by the engine
