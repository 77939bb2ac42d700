"""The planner: goes as far as records lead, and says what would run from there.

    plan
      repeat           until nothing moves
        broken, reduced    as in a run
        ready              operators are applied, calls weighed and looked up, files looked at
          hit              its value is used, or what it calls is planted
          miss             it would run: its value is unknown from here on
      past             what is known of those that would run

An unknown value goes on through operators, containers and calls: a call that is given one waits,
and would run if the value turns out to be another one than the last time. No body is executed and
nothing is recorded. Scheduler tasks are stepped, as in every run, as long as they do not look at
what is unknown.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.aliases import aliases_of
from taskgraph.engine.answering import Answering
from taskgraph.engine.awaiting import Question
from taskgraph.engine.branches import Branches
from taskgraph.engine.cache import (
    ABSENT,
    Hit,
    Miss,
    Reason,
    miss_of,
    scope_of,
    unasked,
)
from taskgraph.engine.equals import Equals
from taskgraph.engine.finishing import Finisher
from taskgraph.engine.forking import Forks
from taskgraph.engine.jobs import Job, Node, Operation
from taskgraph.engine.looking import Looker
from taskgraph.engine.lookup import Lookup
from taskgraph.engine.making import JobMaker
from taskgraph.engine.options import RunOptions
from taskgraph.engine.past import Past
from taskgraph.engine.recorder import Recorder
from taskgraph.engine.reduction import Graph, inputs_of, ready_calls
from taskgraph.engine.temporaries import Temporaries
from taskgraph.engine.unknown import LookedAtUnknown, Unknown, UnknownKind
from taskgraph.engine.weighing import evaluate_inputs, find_live_arguments, weigh
from taskgraph.errors import CircularCallError
from taskgraph.events import Event
from taskgraph.expression import Expression, SchedulerExpression, TaskExpression, find_expressions
from taskgraph.hashing import TaskHash
from taskgraph.plans import WAITS, Plan, PlannedCall
from taskgraph.ports import Backend
from taskgraph.records import JobId, PackedValue, State
from taskgraph.tasks.options import CacheScope
from taskgraph.tasks.task import Task
from taskgraph.values import walk
from taskgraph.values.preview import preview
from taskgraph.values.temporaries import is_gone, temporaries_in
from taskgraph.worker import describe_error, now

_CALL_WIDTH = 200

# What stands for arguments that nothing is known of.
_NOT_KNOWN = "?"

# Calls of one task with arguments that were never seen, of which each is explained by itself.
_MOST_APART = 3

#: Says in a few words why calls would run, of those for which more is known than the plain reason.
Explain = Callable[[Sequence[Job]], Mapping[JobId, str]]


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where an unknown value comes from.

    Attributes:
        job: The call that would have to run; None for what is put together of other unknowns.
        miss: Why it would run; None if it only waits.
        sources: The numbers of the unknowns that it needs; all are smaller than its own.
    """

    job: Job | None
    miss: Miss | None
    sources: tuple[int, ...] = ()


@dataclass(slots=True)
class _Unknowns:
    """All that is unknown, in the order in which it came up."""

    origins: list[_Origin] = field(default_factory=list)
    #: Whether a scheduler task was given one, so that they may lie where no expression was.
    were_sent: bool = False

    def add(self, origin: _Origin, key: str) -> Unknown:
        """Return a new unknown value."""
        self.origins.append(origin)
        return Unknown(len(self.origins) - 1, key)

    def inside(self, values: Iterable[Any]) -> list[Unknown]:
        """Return the unknowns in values that were put together outside of the graph."""
        found: list[Unknown] = []
        for each in values if self.were_sent else ():
            found += walk.find_kind(each, lambda kind: isinstance(kind, UnknownKind))
        return found


class _NoRecorder(Recorder):
    """Writes nothing down, and puts no value in a value store."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.value_store = None

    def add_value(self, packed: PackedValue) -> None:
        """Do nothing."""

    def add_task(self, task: Task[..., Any], task_hash: TaskHash) -> None:
        """Do nothing."""

    def add_tags(self, entity_type: str, entity_id: str, tags: Sequence[tuple[str, Any]]) -> None:
        """Do nothing."""

    def add_finished(self, job: Job, state: State) -> None:
        """Do nothing."""


class _Foreseer(Finisher):
    """Takes nodes to values as in a run; what needs an unknown value is unknown itself."""

    def __init__(self, *args: Any, unknowns: _Unknowns, **others: Any) -> None:
        super().__init__(*args, **others)
        self._unknowns = unknowns
        self._guessing: dict[JobId, Sequence[Unknown]] = {}
        self.cached: Counter[str] = Counter()
        self.error: str | None = None

    def make_unknown(self, node: Node, origin: _Origin, key: str) -> None:
        """Settle a node with an unknown value."""
        value = self._unknowns.add(origin, key)
        node.value = node.template = value
        node.value_hash = value.value_hash
        if isinstance(node, Job):
            node.generator = None
        self._graph.settle(node)

    def derive(self, node: Node, sources: Sequence[Unknown]) -> None:
        """Settle a node with a value that is unknown because others are."""
        key = getattr(node, "eval_hash", None) or f"{type(node).__name__} {id(node)}"
        if isinstance(node, Operation):
            key = _key_of(node, sources)
        if isinstance(node.template, Expression) and len(sources) == 1:
            # Handed on as it is: calls that are given the one or the other are equal.
            (node.value,) = (node.template,) = sources
            node.value_hash = sources[0].value_hash
            self._graph.settle(node)
            return
        self.make_unknown(node, _Origin(None, None, tuple(each.number for each in sources)), key)

    def take_hit(self, job: Job, hit: Hit) -> bool:
        """Use a recorded result, and count it."""
        is_used = super().take_hit(job, hit)
        if is_used:
            self.cached[job.task.fullname] += 1
        return is_used

    def refute(self, job: Job) -> None:
        """Have a call wait for answers that are not known; one that has others now would run."""
        sources = self._guessing.get(job.id, ())
        numbers = tuple(each.number for each in sources)
        miss = None if sources else Miss(Reason.REFUTED)
        self.cached[job.task.fullname] -= 1
        self._forget_children(job)
        self.make_unknown(job, _Origin(job, miss, numbers), job.eval_hash or job.id)

    def compute(self, operation: Operation) -> None:
        """Apply an operator unless an operand is unknown."""
        sources = unknown_inputs(operation)
        if sources:
            self.derive(operation, sources)
        else:
            super().compute(operation)

    def reduce(self, node: Node) -> None:
        """Go on with a node; one that only collects what is unknown is unknown as a whole."""
        if node.phase is phases.REDUCING:
            sources = _unknown_among(node, find_expressions(node.template))
            asks = node.owner if isinstance(node, Question) else node
            if isinstance(asks, Job) and (asks is not node or asks.generator is not None):
                if sources:
                    self._unknowns.were_sent = True
                    self._guessing[asks.id] = sources
            elif sources:
                self.derive(node, sources)
                return
        super().reduce(node)

    def _finish(self, job: Job) -> None:
        sources = self._unknowns.inside([job.value])
        if sources:
            self.derive(job, sources)
        else:
            super()._finish(job)

    def fail(self, job: Job, error: BaseException, origin: Job) -> None:
        """Let a call fail as it would in the run; one that asked for what is unknown waits."""
        if isinstance(error, LookedAtUnknown) or (origin is job and job.id in self._guessing):
            # It looked, or did not like what stands for a value.
            sources = self._guessing.get(job.id) or _unknown_among(
                job, find_expressions(job.template)
            )
            numbers = tuple(each.number for each in sources)
            self.make_unknown(job, _Origin(job, None, numbers), job.eval_hash or job.id)
            return
        if job.owner is None:
            self.error = describe_error(error)
        super().fail(job, error, origin)


def _key_of(operation: Operation, sources: Sequence[Unknown]) -> str:
    """Return a key that is the same for equal operations on equal unknowns."""
    from taskgraph.values.weigh import hash_value

    expr = operation.expr
    assert operation.owner is not None
    try:
        operands = operation.owner.resolved(list(expr._inputs()))
        return hash_value([getattr(expr, "func_name", ""), operands], "operands")
    except Exception:
        return f"{id(operation)}"  # what has no hash is equal to nothing else


def unknown_inputs(node: Node) -> list[Unknown]:
    """Return the unknown values that a node is to be computed from."""
    if node.wait is None:
        return []
    return _unknown_among(node, inputs_of(node))


def _unknown_among(node: Node, expressions: Sequence[Expression]) -> list[Unknown]:
    place = node if isinstance(node, Job) and node.phase is phases.REDUCING else node.owner
    if place is None:
        return []
    values = [place.nodes[id(each)].value for each in expressions]
    return [each for each in values if type(each) is Unknown]


class Planner:
    """Makes a plan for one root expression; used once.

    Args:
        backend: What is recorded; it is only asked.
        looker: Looks at files.
        run_options: As of the run that is planned.
        explain: Says why a call would run, where more is known than the reason.
    """

    def __init__(
        self,
        backend: Backend,
        looker: Looker,
        run_options: RunOptions,
        explain: Explain | None = None,
    ) -> None:
        self._backend = backend
        self._looker = looker
        self._options = run_options
        self._explain = explain
        aliases = self._aliases = aliases_of(backend)
        self._make_job = JobMaker(run_options.options, aliases, run_options.context)
        self._graph = Graph(self._make_job)
        self._lookup = Lookup(backend, aliases)
        self._calls: dict[str, Job] = {}
        self._unknowns = _Unknowns()
        self._temporaries = Temporaries(self._make_job)
        recorder = _NoRecorder(backend, run_options.execution_id, None)
        self._branches = Branches(backend, recorder)
        self._finisher = _Foreseer(
            self._graph,
            recorder,
            self._calls,
            _tell_nobody,
            answering=Answering(recorder, run_options, Forks(self._graph, _tell_nobody)),
            unknowns=self._unknowns,
        )
        self._equals = Equals(
            self._calls, self._temporaries, self._graph, self._finisher, self._ask_for
        )

    def plan(self, root_expr: TaskExpression) -> Plan:
        """Return what a run of the root expression would do now."""
        root = self._make_job(root_expr, None)
        self._graph.ready.append(root)
        graph = self._graph
        while graph.may_move:
            broken, graph.broken = graph.broken, []
            for node, cause in broken:
                self._finisher.break_(node, cause)
            reduced, graph.reduced = graph.reduced, []
            for node in reduced:
                self._finisher.reduce(node)
            ready, graph.ready = graph.ready, []
            self._take_ready(ready)
        if root.phase not in phases.SETTLED:
            self._finisher.error = str(CircularCallError(root.task.fullname, root.eval_hash or ""))
        return self._summary()

    # From ready nodes to hits, misses and those that wait

    def _take_ready(self, nodes: Sequence[Node]) -> None:
        jobs: list[Job] = []
        live: list[Any] = []
        for job in ready_calls(nodes, self._finisher.compute):
            try:
                evaluate_inputs(job)
                self._options.add_executor_options(job)
                live += find_live_arguments(job)
            except Exception as error:
                self._fail(job, error)
                continue
            jobs.append(job)
        if live:
            self._look_at(live, jobs)
        self._find_results([job for job in jobs if job.phase is phases.READY])

    def _fail(self, job: Job, error: Exception) -> None:
        sources = unknown_inputs(job)
        if sources:
            # A container that refuses what stands for a value may take the value itself.
            self._wait_for(job, sources, job.id)
        else:
            self._finisher.fail(job, error, job)

    def _look_at(self, values: Sequence[Any], jobs: Sequence[Job]) -> None:
        """Look at files; an error is that of the calls that were given them."""
        (error,) = self._in_pool(lambda done: self._looker.submit(values, done))
        if error is None:
            return
        if len(jobs) == 1:
            self._finisher.fail(jobs[0], error, jobs[0])
            return
        for job in jobs:  # one of them is to blame: each by itself
            own = find_live_arguments(job)
            if own:
                self._look_at(own, [job])

    @staticmethod
    def _in_pool(submit: Callable[[Callable[..., None]], None]) -> tuple[Any, ...]:
        """Wait for what the pool that reads files says."""
        answered = threading.Event()
        answer: list[tuple[Any, ...]] = []

        def done(*given: Any) -> None:
            answer.append(given)
            answered.set()

        submit(done)
        answered.wait()
        return answer[0]

    def _find_results(self, jobs: Sequence[Job]) -> None:
        to_ask: list[Job] = []
        for job in jobs:
            sources = unknown_inputs(job) or self._unknowns.inside(
                [*job.args, *job.kwargs.values()]
                if not isinstance(job.expr, SchedulerExpression)
                else ()
            )
            try:
                weigh(job)
                self._branches.enter(job)
            except Exception as error:
                self._fail(job, error)
                continue
            scope = scope_of(job, self._options.use_cache)
            if scope is not CacheScope.NONE:
                assert job.call_key is not None
                first = self._calls.setdefault(job.call_key, job)
                if first is not job and self._equals.join(job, first):
                    continue
            if sources:
                key = None if scope is CacheScope.NONE else job.eval_hash
                self._wait_for(job, sources, key or job.id)
            elif scope is CacheScope.BACKEND:
                to_ask.append(job)
            else:
                self._run(job, unasked(job))
        if to_ask:
            self._take_decisions(to_ask, self._lookup.ask(to_ask))

    def _ask_for(self, job: Job) -> None:
        """Look a call up by itself whose first one was dropped, which may have been before that."""
        self._take_decisions([job], self._lookup.ask([job]))

    def _take_decisions(self, jobs: Sequence[Job], decisions: Sequence[Hit | Miss]) -> None:
        to_check: list[tuple[Job, Hit]] = []
        for job, decision in zip(jobs, decisions, strict=True):
            if isinstance(decision, Miss):
                self._run(job, decision)
            elif walk.find_live(decision.value):
                to_check.append((job, decision))
            else:
                self._use(job, decision)
        if not to_check:
            return
        find = self._temporaries.finder(to_check)
        invalid, error = self._in_pool(lambda done: self._looker.check(to_check, done, find))
        for (job, hit), wrong in zip(to_check, invalid, strict=True):
            found = wrong if error is None else error
            if found is None:
                self._temporaries.note(job, hit.value)
                self._use(job, hit)
            else:
                self._run(job, Miss(Reason.INVALID, walk.describe_change(found)))

    def _use(self, job: Job, hit: Hit) -> None:
        if not self._finisher.take_hit(job, hit):
            self._run(job, miss_of(job))

    def _run(self, job: Job, miss: Miss) -> None:
        """Take note that a call would run; a scheduler task is stepped instead."""
        if isinstance(job.expr, SchedulerExpression):
            job.started = now()
            try:
                self._finisher.stepper.begin(job)
            except LookedAtUnknown as error:
                self._finisher.fail(job, error, job)
            return
        self._make_again(job)
        key = job.id if job.eval_hash is None or _is_apart(job, self._options) else job.eval_hash
        self._finisher.make_unknown(job, _Origin(job, miss), key)

    def _make_again(self, job: Job) -> None:
        """Take note of the calls that give what a call would read and what is gone."""
        for file in temporaries_in([*job.args, *job.kwargs.values()]):
            if not is_gone(file) or self._temporaries.need(file, job) is None:
                continue
            for giver in self._temporaries.take_new():
                evaluate_inputs(giver)
                weigh(giver)
                self._finisher.cached[giver.task.fullname] -= 1
                self._run(giver, Miss(Reason.INVALID, walk.describe_change(file)))

    def _wait_for(self, job: Job, sources: Sequence[Unknown], key: str) -> None:
        numbers = tuple(each.number for each in sources)
        self._finisher.make_unknown(job, _Origin(job, None, numbers), key)

    # What is known of the past

    def _summary(self) -> Plan:
        origins = self._unknowns.origins
        past = Past(self._backend)
        past.learn([each.job for each in origins if each.job is not None])
        reasons = self._reasons(past)
        is_rerun: list[bool] = []
        calls: list[PlannedCall] = []
        for origin in origins:
            depends = any(is_rerun[number] for number in origin.sources)
            if origin.job is None:
                is_rerun.append(depends)
                continue
            call = self._planned(origin, past, depends, reasons)
            is_rerun.append(call.is_rerun)
            calls.append(call)
            if call.reason == WAITS and call.is_open and call.is_body:
                calls += self._below_recorded(origin.job, call, past)
        return Plan(tuple(calls), dict(+self._finisher.cached), self._finisher.error)

    def _reasons(self, past: Past) -> dict[JobId, str]:
        """Return what is known of calls beyond the plain reason.

        Calls of one task between the same two versions of its code have the same reason, and those
        with new arguments are explained where they are few: each explanation takes its time.
        """
        if self._explain is None:
            return {}
        groups: dict[tuple[str, TaskHash | None], list[Job]] = {}
        for origin in self._unknowns.origins:
            job = origin.job
            if job is None or origin.miss is not ABSENT or not _is_body(job):
                continue
            last = past.of(job)
            version = None if last is None else last.task_hash
            groups.setdefault((job.task.fullname, version), []).append(job)
        asked = [
            job
            for (_, version), jobs in groups.items()
            if version is not None or len(jobs) <= _MOST_APART
            for job in jobs[: 1 if version is not None else _MOST_APART]
            if past.usual(job.task.fullname) is not None
        ]
        told = self._explain(asked) if asked else {}
        reasons = dict(told)
        for (_, version), jobs in groups.items():
            if version is not None and jobs[0].id in told:
                reasons |= {job.id: told[jobs[0].id] for job in jobs}
        return reasons

    def _planned(
        self, origin: _Origin, past: Past, depends: bool, reasons: Mapping[JobId, str]
    ) -> PlannedCall:
        job, miss = origin.job, origin.miss
        assert job is not None
        is_body = _is_body(job)
        last = past.of(job) if miss is not None or not is_body else None
        below = tuple(past.without_steps(last.below)) if last is not None else ()
        usual = past.usual(job.task.fullname)
        if last is not None:
            is_open = bool(below)
        else:
            is_open = not is_body or (usual is not None and usual.makes_calls)
        if miss is None:
            reason, rerun = WAITS, depends and usual is not None
            why = "if its input changes" if depends else "when its input is there"
        else:
            reason, why = miss.reason.name, reasons.get(job.id) or past.why(job, miss)
            rerun = past.is_rerun(job, miss)
        seconds = last.seconds if last is not None else None
        if seconds is None and usual is not None:
            seconds = usual.seconds
        return PlannedCall(
            job.task.fullname,
            _written(job),
            reason,
            why,
            miss is not None,
            rerun,
            is_open,
            is_body,
            seconds if is_body else None,
            last.size if last is not None else None,
            below,
            job.task_hash,
            job.args_hash if miss is not None else None,
        )

    def _below_recorded(self, job: Job, call: PlannedCall, past: Past) -> Iterator[PlannedCall]:
        """Give what would run below a call that waits, if it turns out to be recorded already."""
        if scope_of(job, self._options.use_cache) is not CacheScope.BACKEND:
            return
        versions = self._aliases.with_earlier([job.task_hash])
        for name, calls, seconds in past.most_below(versions, self._is_now):
            found = self._make_job.find(name)
            if found is None:
                continue  # a result that calls it is not used
            below = replace(
                call,
                task=found.fullname,
                call=f"{found.fullname}({_NOT_KNOWN})",
                why=f"if {call.task} is answered from the cache: code below it changed",
                seconds=seconds / calls,
                task_hash=self._make_job.hash_of(found),
            )
            yield from [below] * calls

    def _is_now(self, name: str, task_hash: TaskHash) -> bool:
        """Tell whether a task has this code today, or code that it counts for."""
        found = self._make_job.find(name)
        if found is None:
            return False
        return task_hash in self._aliases.with_earlier([self._make_job.hash_of(found)])


def _tell_nobody(event: Event) -> None:
    """Observers are told of runs, not of plans."""


def _is_body(job: Job) -> bool:
    return not isinstance(job.expr, SchedulerExpression)


def _is_apart(job: Job, options: RunOptions) -> bool:
    """Tell whether equal calls would run one by one."""
    return scope_of(job, options.use_cache) is CacheScope.NONE


def _written(job: Job) -> str:
    """Return a call as it would be written, shortened."""
    if isinstance(job.expr, SchedulerExpression) or not job.arguments:
        given = preview(job.expr)
        return given if len(given) <= _CALL_WIDTH else given[: _CALL_WIDTH - 3] + "..."
    parts = [
        f"{each.key}={preview(each.value)}" if each.key else preview(each.value)
        for each in job.arguments
    ]
    text = f"{job.task.fullname}({', '.join(parts)})"
    return text if len(text) <= _CALL_WIDTH else text[: _CALL_WIDTH - 3] + "..."
