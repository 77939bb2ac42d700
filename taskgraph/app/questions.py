"""What a scheduler answers from the records: plans, explanations, and calls to be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from taskgraph.app.current import current_scheduler
from taskgraph.app.parts import Parts
from taskgraph.app.roots import awaits, root_of
from taskgraph.assembly.reading import draw_records, find_record, name_of_record
from taskgraph.assembly.surroundings import in_force
from taskgraph.engine.foretelling import Askable
from taskgraph.engine.jobs import Job
from taskgraph.engine.options import RunOptions
from taskgraph.engine.recorded import fitted, values_of
from taskgraph.errors import ExplanationError, RerunError
from taskgraph.events import Event, JobMissed, Warned
from taskgraph.expression import SchedulerExpression, TaskExpression
from taskgraph.hashing import CallHash, ValueHash
from taskgraph.ports import Observer
from taskgraph.records import ArgumentRecord, ExecutionId, JobId, State
from taskgraph.tasks.options import CacheScope
from taskgraph.tasks.registry import get_task_registry
from taskgraph.tasks.task import Task

if TYPE_CHECKING:
    from taskgraph.plans import Plan
    from taskgraph.provenance.explain import AnyExplanation, Explanation
    from taskgraph_backend.reader import Reader


class Questions(Parts):
    """The questions that a scheduler answers. Nothing runs."""

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
        root = root_of(expr)
        run_options = self._options_of(ExecutionId(""), cache, context)
        with self._alone():
            return self._plan(root, run_options)

    def _plan(self, root: TaskExpression, run_options: RunOptions) -> Plan:
        from taskgraph.engine.planner import Planner
        from taskgraph_backend import SqlBackend

        explain = self._why_run if isinstance(self.backend, SqlBackend) else None
        token = current_scheduler.set(self._scheduler)
        try:
            with in_force(self.settings, self._places):
                return Planner(self.backend, self._pool, run_options, explain).plan(root)
        finally:
            current_scheduler.reset(token)

    def _why_run(self, jobs: Sequence[Job]) -> dict[JobId, str]:
        """Say of calls that would run why, by what is recorded of earlier ones."""
        from taskgraph.engine.missed import describe_miss
        from taskgraph.provenance.explain_calls import Explainer
        from taskgraph.provenance.explain_runs import question_of_miss
        from taskgraph.provenance.explain_words import reason_of

        questions = [question_of_miss(describe_miss(job, ()), None) for job in jobs]
        with self.reading() as reader:
            explained = Explainer(reader, datetime.now(UTC)).explain(questions)
        both = zip(jobs, explained, strict=True)
        return {job.id: reason_of(each) for job, each in both if each.changes}

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
                found = what.ask()
                return explain_runs.explain_asked(reader, found.call, found.is_hit)
            task = getattr(what, "__taskgraph_task__", what)
            if isinstance(task, Task):
                return explain_runs.explain_task(reader, task.fullname)
            text = name_of_record(what)
            return explain_runs.explain_found(
                reader, find_record(reader, self.settings, text), text
            )

    def _explain_call(self, reader: Reader, expr: TaskExpression) -> Explanation:
        from taskgraph.engine.foretelling import foretell
        from taskgraph.provenance import explain_runs

        if isinstance(expr, SchedulerExpression) or awaits(expr):
            raise ExplanationError(
                expr.task_name,
                "its arguments are calls, whose values are not known before they run. Explain "
                "these first, or `taskgraph plan` the whole.",
            )
        found = foretell(expr, self.backend)
        return explain_runs.explain_asked(reader, found.call, found.is_hit)

    def recorded_call(self, job: str, *, is_forced: bool = True) -> Any:
        """Return the call of a recorded job, with what it was given, to be run once more.

        Args:
            job: The job's id, or the start of it.
            is_forced: Whether it runs whatever is stored.

        Returns:
            A lazy call of the task as it is defined now.

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
        again = task.options(cache_scope=CacheScope.NONE) if is_forced else task
        return (again.update_context(context) if context else again)(*args, **kwargs)

    def stored_value(self, value_hash: str, what: str) -> Any:
        """Return a stored value, as it is to be given to a call. Any: that value.

        Args:
            value_hash: The value.
            what: What it is, for the error.

        Raises:
            RerunError: It is not in the store, or files in it are not what they were.
        """
        record = ArgumentRecord("", CallHash(""), ValueHash(value_hash), None, what)
        with in_force(self.settings, self._places):
            found = values_of(self.backend, [record])
        if isinstance(found, str):
            raise RerunError(
                "the workflow",
                f"{found.removeprefix('its argument ')}. Put it back as it was; or register what "
                "is there now (`taskgraph dataset register`) and run that (`taskgraph execution "
                "rerun --today`).",
            )
        return found[record.value_hash]

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
