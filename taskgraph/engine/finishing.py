"""What comes of a node: values, expressions and errors, from wherever they came.

    on_returned      a body returned: its single reduction is recorded
      take_result    so did a scheduler task: what it gave is planted below the job
    take_hit         a record was found: so is what is in that; or it is asked for again
    copy             an equal call has ended
    compute          an operator is applied
    on_raised        a body raised
      with expressions in it   the node waits; the graph says when these are values (`reduce`),
                               or that one of them failed (`break_`)
      without any              `_finish`: the final value gets its hashes, the call its rows, and
                               who waits for the node moves on
      an error                 `fail`: the call gets its rows, and who waits for the node breaks

The Finisher moves nodes from the moment that there is a result to DONE or FAILED. It starts
nothing: new nodes are planted in the graph and found there by the Dispatcher.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from taskgraph.engine import phases
from taskgraph.engine.awaiting import OTHERWISE, Awaited, Question, Step, replay
from taskgraph.engine.cache import Hit, Miss, Reason
from taskgraph.engine.jobs import HandleUse, Job, Node, Operation
from taskgraph.engine.recorder import Recorder, name_of_unstored
from taskgraph.engine.reduction import Graph
from taskgraph.engine.retracted import Again
from taskgraph.engine.stepping import Stepper
from taskgraph.events import (
    CacheEntryRefused,
    Event,
    JobCached,
    JobDone,
    JobFailed,
    ResultNotKept,
    ResultUnstored,
)
from taskgraph.expression import Expression, SchedulerExpression, TaskExpression
from taskgraph.fingerprint.parts import describe_change
from taskgraph.hashing import ATOMIC_TYPES, CallHash, TaskHash, hash_call
from taskgraph.ports import Raised, Returned
from taskgraph.records import PackedValue, State
from taskgraph.tasks.context import RECOVERED, defaults_path, handle_path
from taskgraph.tasks.names import BUILT_IN
from taskgraph.tasks.task import Task
from taskgraph.values.failures import ErrorValue
from taskgraph.values.pack import pack_unstored
from taskgraph.worker import describe_error, frames_of, now

if TYPE_CHECKING:
    from taskgraph.engine.aftermath import Aftermath
    from taskgraph.engine.answering import Answering
    from taskgraph.engine.budget import RerunBudget


_COMPLETED: Final = State.COMPLETED


class Finisher:
    """Takes results to final values and records them.

    Args:
        graph: Where nodes wait for each other.
        recorder: Where rows go.
        calls: The calls of this execution by ``call_key``, shared with the Dispatcher.
        notify: Tells the observers.
        budget: Follows what is made again, if that is limited.
        hash_of: Gives the hash of a task as it is now, where nobody else looks whether a body ran
            with what its job's hash says.
        answering: Does what scheduler tasks ask for; None where nothing is to be done.
        is_fast: Whether a call fails as soon as one that it needs has failed; otherwise what else
            it wrote down goes on first.
        aftermath: Told of calls that failed; None where nothing is called after that.

    Attributes:
        failed: The calls whose own bodies raised, recovered from or not.
        stepper: Runs scheduler tasks; their results and errors come here.
        again: Looks at calls whose results were retracted.
    """

    def __init__(
        self,
        graph: Graph,
        recorder: Recorder,
        calls: dict[str, Job],
        notify: Callable[[Event], None],
        *,
        budget: RerunBudget | None = None,
        hash_of: Callable[[Task[..., Any]], TaskHash] | None = None,
        answering: Answering | None = None,
        is_fast: bool = True,
        aftermath: Aftermath | None = None,
    ) -> None:
        self._aftermath = aftermath
        self._hash_of = hash_of
        self._is_fast = is_fast
        self.failed: list[Job] = []
        self._raised_by: dict[int, Job] = {}
        self._budget = budget
        self._graph = graph
        self._recorder = recorder
        self._calls = calls
        self._notify = notify
        self.stepper = Stepper(graph, answering, self)
        self.again = Again(notify)

    # Outcomes of bodies that ran

    def on_returned(
        self, job: Job, outcome: Returned, steps: tuple[Step, ...] | None = ()
    ) -> Hit | None:
        """Take what a body returned; from the next commit on it need not run again.

        Args:
            job: Its call.
            outcome: What it returned.
            steps: What it had asked for meanwhile: () is nothing, and None what cannot be kept.

        Returns:
            What was kept, as it would be found.
        """
        job.started, job.ended = outcome.started, outcome.ended
        if not job.is_recorded:
            self.take_result(job, outcome.value)
            return None
        job.reduction = outcome.packed
        if outcome.notes:
            self._recorder.add_tags("Job", job.id, outcome.notes)
        self._set_unstored(job, outcome.unstored)
        changed = outcome.changed or self._changed_under(job)
        if changed:
            job.is_uncacheable = True
            self._notify(ResultNotKept(job.id, job.task.fullname, changed))
        kept, packed = outcome.value, job.reduction
        if steps != () and packed is not None:
            self._recorder.add_value(packed)
            kept = Awaited(steps or (), outcome.value)
            packed = None if steps is None else self._recorder.pack_result(kept)[0]
        hit = None
        if packed is not None and not job.is_uncacheable:
            self._recorder.add_reduction(job, packed)
            hit = Hit(kept, packed.values[0].value_hash, None)
        self.take_result(job, outcome.value)
        return hit

    def on_raised(self, job: Job, outcome: Raised, has_asked: bool = False) -> None:
        """Take what a body raised, which may be the error of something that it had asked for."""
        job.started, job.ended = outcome.started, outcome.ended
        job.frames = outcome.frames
        error = outcome.error
        self.fail(job, error, self.origin_of(error, job) if has_asked else job)

    def origin_of(self, error: BaseException, job: Job) -> Job:
        """Return the call whose body raised an error that has come to a job; it may be that one."""
        return self._raised_by.get(id(error), job)

    def _changed_under(self, job: Job) -> str:
        """Return which variables its body may have seen otherwise than its hash says, in words."""
        if self._hash_of is None:
            return ""
        task = job.task
        if self._hash_of(task) == job.task_hash:
            return ""
        return describe_change(task.parts_of(job.task_hash), task.parts)

    def _set_unstored(self, job: Job, reason: str | None) -> None:
        if reason is not None:
            job.why_unstored = reason
            self._notify(ResultUnstored(job.id, job.task.fullname, reason))

    def take_result(self, job: Job, value: Any) -> None:
        """Take what a body gave: a value, or expressions that are child calls.

        Children that cannot be made (a task that is not defined, or that has no hash) fail the
        call that wrote them down.
        """
        job.phase = phases.REDUCING
        try:
            job.template = value = _to_reduce(job, value)
            is_waiting = self._graph.plant(value, job, job)
        except Exception as error:
            job.drop_waiting()
            self.fail(job, error, job)
            return
        if not is_waiting:
            job.value = value
            if job.reduction is not None:
                job.value_hash = job.reduction.values[0].value_hash
            self._finish(job)

    # Results that are there already

    def take_hit(self, job: Job, hit: Hit) -> bool:
        """Use a recorded result; False if it calls what is not there any more."""
        job.is_cached = True
        job.started = now()
        job.known_call = hit.call_hash
        if hit.subtree is not None:
            job.call_hash = hit.call_hash
            job.subtree = hit.subtree
            job.reads = frozenset(hit.reads)
        # Nothing is in it that is to be evaluated; but what a script task gave is a script to run.
        if type(hit.value) in ATOMIC_TYPES and "script" not in job.options:
            self._rest_on(job, hit)
            self._take_known(job, hit)
            return True
        if type(hit.value) is Awaited:
            self._begin_replay(job, hit, hit.value)
            return True
        job.phase = phases.REDUCING
        try:
            job.template = hit.value if hit.subtree is not None else _to_reduce(job, hit.value)
            is_waiting = self._graph.plant(job.template, job, job)
        except Exception as error:
            # The body runs again, and gives what can be called now or fails by itself.
            self._forget_children(job)
            miss = Miss(Reason.UNPLANTED, describe_error(error))
            job.note = miss.note
            self._notify(CacheEntryRefused(job.task.fullname, miss.text))
            return False
        self._rest_on(job, hit)
        if not is_waiting:
            self._take_known(job, hit)
        return True

    def _take_known(self, job: Job, hit: Hit) -> None:
        """Take a recorded value as it is: no call is in it that must be evaluated."""
        job.value, job.value_hash = hit.value, hit.value_hash
        job.is_reread = hit.bears_code
        job.ended = job.started
        self._finish(job)

    def _rest_on(self, job: Job, hit: Hit) -> None:
        """Take note of what a recorded result rests on: earlier code, states of handles."""
        if hit.earlier is not None:
            job.stand_in_for(hit.earlier)
            self._recorder.know_task(job.task_hash)
        if hit.states:
            job.handles = HandleUse(job.handles.forks if job.handles else (), hit.states)

    def _begin_replay(self, job: Job, hit: Hit, kept: Awaited) -> None:
        """Ask again for what a body had asked for, to see whether its result still stands."""

        def steps() -> Generator[Any, Any, Any]:
            result = yield from replay(job, kept)
            if result is not OTHERWISE:
                self._rest_on(job, hit)
            return result

        self.stepper.start(job, steps())

    def refute(self, job: Job) -> None:
        """Have the body of a call run after all: its recorded result rests on other answers."""
        self._forget_children(job)
        job.phase = phases.READY
        miss = Miss(Reason.REFUTED)
        job.note = miss.note
        self._notify(CacheEntryRefused(job.task.fullname, miss.text))
        self._graph.refuted.append(job)

    def take_whole(self, job: Job, hit: Hit) -> None:
        """Use a recorded result of a call that ran as a whole: nothing below is looked at.

        That is how `engine.eager` takes them. In a run such hits come by `take_hit`.
        """
        assert job.args_hash is not None
        self._rest_on(job, hit)
        job.is_cached = True
        job.value, job.value_hash = hit.value, hit.value_hash
        job.is_reread = hit.bears_code
        job.known_call = hit.call_hash
        job.call_hash = hit.call_hash or hash_call(job.task_hash, job.args_hash, hit.value_hash, ())
        job.subtree = hit.subtree or _subtree_of_one(job.task_hash)
        self._settle(job)

    def _forget_children(self, job: Job) -> None:
        job.drop_waiting()
        job.nodes = {}
        job.children = ()
        job.is_cached = False
        job.known_call = None
        job.wait = None
        job.phase = phases.READY

    def copy(self, job: Job, first: Job) -> None:
        """Take over what came of an equal call of this execution, an error as well."""
        if self._budget is not None:
            self._budget.pass_over(job, first)
        job.is_cached = True
        job.started = job.ended = now()
        job.value_hash = first.value_hash
        job.is_unstored, job.is_reread = first.is_unstored, first.is_reread
        job.task_hash, job.eval_hash = first.task_hash, first.eval_hash
        job.earlier = first.earlier
        job.call_hash = job.known_call = first.call_hash
        job.subtree = first.subtree
        job.reads = first.reads
        if first.phase is phases.FAILED:
            assert first.error is not None
            self._recorder.add_finished(job, State.FAILED)
            self._tell_of_failure(job, first.error)
            self._graph.fail(job, first.error, first.origin or first)
        else:
            job.value = first.value
            self._settle(job)

    def compute(self, operation: Operation) -> None:
        """Apply an operator; its errors are those of the call that wrote it down."""
        owner = operation.owner
        assert owner is not None
        try:
            value = operation.compute()
        except Exception as error:
            owner_frames = frames_of(error.__traceback__)
            owner.frames = owner.frames or owner_frames
            self._graph.fail(operation, error, owner)
            return
        self._take_value(operation, value)

    def _take_value(self, operation: Operation, value: Any) -> None:
        owner = operation.owner
        assert owner is not None
        operation.template = value
        operation.phase = phases.REDUCING
        try:
            is_waiting = self._graph.plant(value, owner, operation)
        except Exception as error:
            self._graph.fail(operation, error, owner)
            return
        if not is_waiting:
            operation.value = value
            self._graph.settle(operation)

    # Awaited values are there, or will never be

    def reduce(self, node: Node) -> None:
        """Go on with a node all of whose awaited expressions are values."""
        if node.phase is phases.FOLLOWING:
            assert isinstance(node, Job) and node.call_key is not None
            self.copy(node, self._calls[node.call_key])
            return
        if node.phase is not phases.REDUCING:
            return
        if isinstance(node, Operation):
            self._reduce_operation(node)
        elif isinstance(node, Question):
            _reduce_question(node)
        else:
            assert isinstance(node, Job)
            self._reduce_job(node)

    def _reduce_job(self, job: Job) -> None:
        if job.broken_by is not None:
            self.break_(job, job.broken_by)
            return
        try:
            value = job.resolved(job.template)
        except Exception as error:
            # A value that its container refuses: an unhashable one in a set, or a class's own
            # __new__ or __copy__ that raises.
            if job.generator is not None:
                self.stepper.throw(job, error)
            else:
                self.fail(job, error, job)
            return
        if job.generator is not None:
            self.stepper.send(job, value)
            return
        job.value = value
        if job.is_recorded:
            self._pack_final(job)
        self._finish(job)

    def _reduce_operation(self, operation: Operation) -> None:
        assert operation.owner is not None
        try:
            operation.value = operation.owner.resolved(operation.template)
        except Exception as error:
            self._graph.fail(operation, error, operation.owner)
            return
        self._graph.settle(operation)

    def _pack_final(self, job: Job) -> None:
        """Hash and pack a value that was put together from those of child calls."""
        template = job.template
        if isinstance(template, Expression):
            node = job.nodes[id(template)]
            if node.value_hash is not None:
                job.value_hash = node.value_hash
                job.is_unstored, job.is_reread = node.is_unstored, node.is_reread
                job.why_unstored = job.why_unstored or (
                    node.why_unstored if isinstance(node, Job) else None
                )
                return
        if any(each.is_unstored for each in job.nodes.values()):
            self._set_unstored(job, "it holds a result that could not be stored")
            return
        packed = self._pack_here(job, job.value)
        if packed is not None:
            job.value_hash = packed.values[0].value_hash
            self._recorder.add_value(packed)

    def _pack_here(self, job: Job, value: Any) -> PackedValue | None:
        packed, reason = self._recorder.pack_result(value)
        self._set_unstored(job, reason)
        return packed

    def break_(self, node: Node, cause: Node) -> None:
        """Go on with a node when something that it awaited failed: it fails too, or recovers."""
        error = cause.error
        assert error is not None
        if node.phase in phases.SETTLED:
            return
        if isinstance(node, Operation):
            self._graph.fail(node, error, cause.origin)
            return
        if isinstance(node, Question):
            node.settle(node, None, error)
            return
        assert isinstance(node, Job)
        if node.phase is phases.FOLLOWING:
            if cause.phase is phases.FAILED:
                self.copy(node, cause)  # type: ignore[arg-type]  # only jobs are followed
            else:
                self._graph.fail(node, error, cause.origin)
            return
        if not self._is_fast and node.broken_by is None and self._graph.wait_for_end(node):
            node.broken_by = cause
            return
        node.broken_by = None
        if node.generator is not None:
            node.error, node.origin = error, cause.origin
            self.stepper.throw(node, error)
        else:
            self.fail(node, error, cause.origin or node)

    def fail_after_rest(self, job: Job, error: BaseException, origin: Job) -> None:
        """Let a call fail; where all goes on, once the rest that it wrote down has ended."""
        if self._is_fast or not self._graph.wait_for_end(job):
            self.fail(job, error, origin)
            return
        job.broken_by = Node(job.expr, job)
        job.broken_by.error, job.broken_by.origin = error, origin

    # Finished

    def _finish(self, job: Job) -> None:
        """Give a job its final hashes, add its rows, and let those that wait for it go on."""
        if self._budget is not None:
            self._budget.pass_on(job)
        if job.is_recorded and (job.value_hash is None or job.is_uncacheable):
            self._name_result(job)
        if job.call_hash is None:
            inside: Sequence[CallHash] = ()
            if job.children:
                job.subtree, inside = _subtree_of(job), job.made_of
            else:
                job.subtree = _subtree_of_one(job.task_hash)
            if job.children or job.handles is not None:
                job.reads = _reads_of(job)
            if job.is_recorded:
                assert job.args_hash is not None and job.value_hash is not None
                job.call_hash = hash_call(job.task_hash, job.args_hash, job.value_hash, inside)
        if isinstance(job.expr, TaskExpression):
            job.expr.call_hash = job.call_hash
        if job.ended is None:
            job.ended = now()
        job.error = job.origin = None
        if job.children and isinstance(job.expr, SchedulerExpression):
            # Stepping through it again is no work: what counts is whether anything below ran.
            job.is_cached = all(each.is_cached for each in job.children)
        self._settle(job)

    def _name_result(self, job: Job) -> None:
        """See to it that a result has a hash, and is among the rows under it."""
        if job.value_hash is None and job.why_unstored is None:
            packed = self._pack_here(job, job.value)
            if packed is not None:
                job.value_hash = packed.values[0].value_hash
                self._recorder.add_value(packed)
        if job.value_hash is None:
            job.is_unstored = True
            job.value_hash = name_of_unstored(job.id)
            self._recorder.add_value(pack_unstored(job.value, job.value_hash))
        elif job.is_uncacheable and job.reduction is not None:
            self._recorder.add_value(job.reduction)

    def _settle(self, job: Job) -> None:
        if self.again.known:
            self.again.look_at(job)
        self._recorder.add_finished(job, _COMPLETED)
        caller = None if job.owner is None else job.owner.id
        if job.is_cached:
            self._notify(JobCached(job.id, job.task.fullname, caller))
        else:
            assert job.started is not None and job.ended is not None
            seconds = (job.ended - job.started) / 1e6
            self._notify(
                JobDone(job.id, job.task.fullname, seconds, job.started, job.ended, caller)
            )
        job.drop_inputs()
        self._graph.settle(job)

    def _tell_of_failure(self, job: Job, error: BaseException) -> None:
        caller = None if job.owner is None else job.owner.id
        name = job.task.fullname
        self._notify(JobFailed(job.id, name, describe_error(error), job.started, job.ended, caller))

    def fail(self, job: Job, error: BaseException, origin: Job) -> None:
        """Record a failure: the call gets a node of its own, but no cache entry."""
        job.started = job.started or now()
        job.ended = job.ended or now()
        if job.args_hash is not None:
            failure = ErrorValue(error)
            packed = self._pack_here(job, failure)
            job.value_hash = packed.values[0].value_hash if packed else name_of_unstored(job.id)
            self._recorder.add_value(packed or pack_unstored(failure, job.value_hash))
            job.call_hash = hash_call(job.task_hash, job.args_hash, job.value_hash, job.made_of)
        # Who recovers from this must not be used as a whole another time.
        job.subtree = _subtree_of(job)
        job.reads = _reads_of(job) | {RECOVERED}
        if origin is job:
            self.failed.append(job)
            self._raised_by[id(error)] = job
        self._recorder.add_finished(job, State.FAILED)
        self._tell_of_failure(job, error)
        self._graph.fail(job, error, origin)
        if self._aftermath is not None:
            self._aftermath.on_failed(job, error, origin)


def _reduce_question(question: Question) -> None:
    assert question.owner is not None
    try:
        value = question.owner.resolved(question.template)
    except Exception as error:
        question.settle(question, None, error)
    else:
        question.settle(question, value, None)


def _to_reduce(job: Job, value: Any) -> Any:
    """Return what is to be evaluated, of what a body gave: the run of a script, of its text.

    Its own inputs go on to the script, for what they hold counts for that as well.

    Raises:
        TypeError: A script task gave no text.
    """
    task = job.task
    if "script" not in job.options or not task.script:
        return value
    from taskgraph.scripting.calls import call_of_text

    named = {each.key or f"*{each.position}": each.value for each in job.arguments}
    counted = {name: each for name, each in named.items() if name not in task.binder.ignored}
    return call_of_text(task, value, counted, task.parts_of(job.task_hash))


def _subtree_of(job: Job) -> frozenset[TaskHash]:
    """Return the tasks of a call and of all below it; one set object serves many equal ones."""
    if not job.children:
        return _subtree_of_one(job.task_hash)
    largest = max((each.subtree for each in job.children), key=len, default=frozenset())
    others = [each.subtree for each in job.children if not each.subtree <= largest]
    if job.task_hash in largest and not others:
        return largest
    return largest.union([job.task_hash], *others)


def _reads_of(job: Job) -> frozenset[str]:
    """Return what was read of a call's context in it and below."""
    read = job.reads
    if job.handles is not None:
        read |= {handle_path(each) for each in job.handles.states}
    with_defaults = {
        child.task.fullname
        for child in job.children
        if child.task.binder.has_defaults and child.task.namespace != BUILT_IN
    }
    if with_defaults:
        read |= {defaults_path(each) for each in with_defaults}
    for child in job.children:
        if child.reads:
            is_same = child.context is job.context
            read |= {e for e in child.reads if is_same or child.context.comes_from_outside(e)}
    return read


@lru_cache(maxsize=4096)
def _subtree_of_one(task_hash: TaskHash) -> frozenset[TaskHash]:
    """Return the subtree of a call without children: one object for all calls of a task."""
    return frozenset([task_hash])
