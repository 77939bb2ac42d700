"""From ready nodes to calls that run: weighed, looked up together, submitted together.

    take_ready           operators are applied; of calls the arguments are evaluated
      look_at            live values among these go to the pool, and come back here
    _find_results
      _weigh             the hashes of the call, by its code and arguments of now
      equal              there is such a call in this execution: what comes of it is copied
      lookup             one question for all: what is recorded, and may be used
      _take_decisions    hits are used, those with live values after the pool looked at these
    submit               those without a result
      _free_to_run       held back for temporary files; led by another process
      dry run, budget    perhaps it all ends here
      each call          its arguments are encoded
        scheduler task   stepped, here and now
        twin             waits for the body of an equal call in another context
        _admit           its executor is found; it waits for a limit, or is handed over
      send               each executor gets its calls
    take_outcome         what came of a body: another attempt, or an end (`engine.finishing`)
    start_due            what waited for time: other processes, other attempts, limits

All of it is for many calls at once, and none of it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taskgraph.engine import phases
from taskgraph.engine.awaiting import Asker, Awaiting
from taskgraph.engine.branches import Branches
from taskgraph.engine.cache import (
    ABSENT,
    BACKEND,
    NOWHERE,
    Hit,
    Miss,
    Reason,
    scope_of,
    unasked,
)
from taskgraph.engine.equals import Equals
from taskgraph.engine.executing import Batches, Executing
from taskgraph.engine.finishing import Finisher
from taskgraph.engine.holding import Holding
from taskgraph.engine.inbox import QueueInbox
from taskgraph.engine.jobs import Job, Node
from taskgraph.engine.leading import Leading
from taskgraph.engine.limits import Claims, Limits
from taskgraph.engine.looking import Looking
from taskgraph.engine.lookup import Lookup
from taskgraph.engine.missed import describe_miss
from taskgraph.engine.options import RunOptions
from taskgraph.engine.recorder import Recorder
from taskgraph.engine.reduction import Graph, ready_calls
from taskgraph.engine.retracted import Retractions
from taskgraph.engine.retrying import Retries, changed_argument
from taskgraph.engine.temporaries import Temporaries, is_passed_on
from taskgraph.engine.twins import Twins
from taskgraph.engine.weighing import evaluate_inputs, find_live_arguments, weigh
from taskgraph.errors import (
    DryRunResult,
    ExecutorError,
    LimitError,
    ResultLostError,
    TaskTimeoutError,
)
from taskgraph.events import CacheEntryRefused, Event, JobsSubmitted, Warned
from taskgraph.expression import SchedulerExpression
from taskgraph.hashing import CallHash, TaskHash, ValueHash
from taskgraph.ports import (
    Backend,
    Executor,
    Outcome,
    Raised,
    Returned,
)
from taskgraph.records import JobId
from taskgraph.tasks.standing import JobInfo
from taskgraph.tasks.task import Task
from taskgraph.values import files, handles, walk
from taskgraph.worker import now

if TYPE_CHECKING:
    from taskgraph.engine.budget import RerunBudget


class Dispatcher:
    """Decides for each ready call where its result comes from, and has it run if from nowhere.

    Attributes:
        submitted: Calls that executors have.
        retries: Calls that failed and wait for their next attempt.
        limits: Calls that wait because others use what they need.
        leading: Calls that wait because they run in other processes; None if none ever do.
        awaiting: Bodies that wait for calls.
        executing: The executors, and what they are given.
        is_draining: Whether nothing new is to be started but what is called after failures.
        is_stopping: Whether not even that.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        calls: dict[str, Job],
        options: RunOptions,
        hash_of: Callable[[Task[..., Any]], TaskHash],
        backend: Backend,
        lookup: Lookup,
        recorder: Recorder,
        finisher: Finisher,
        notify: Callable[[Event], None],
        executors: Mapping[str, Executor],
        inbox: QueueInbox,
        looking: Looking,
        branches: Branches,
        temporaries: Temporaries,
        budget: RerunBudget | None,
        lease: Claims | None,
        leading: Leading | None,
    ) -> None:
        self._graph = graph
        self._calls = calls
        self._options = options
        self._hash_of = hash_of
        self._backend = backend
        self._lookup = lookup
        self._recorder = recorder
        self._note_handed = recorder.announcing.note
        self._finisher = finisher
        self._notify = notify
        self._looking = looking
        self._branches = branches
        self._temporaries = temporaries
        self._budget = budget
        self.leading = leading
        self._damaged: set[ValueHash] = set()
        self.submitted: dict[JobId, Job] = {}
        self._equals = Equals(calls, temporaries, graph, finisher, lambda job: self.submit([job]))
        self._holding = Holding(temporaries, graph, finisher, looking, self)
        self.executing = Executing(executors, inbox, options, notify, backend.value_store)
        self.retries = Retries(notify)
        self.limits = Limits(options.limits, lease)
        self.awaiting = Awaiting(graph, self.limits, self.submitted, calls)
        self._twins = Twins(calls, self.submitted, self.awaiting)
        self._retractions = Retractions(backend)
        self.is_draining = False
        self.is_stopping = False

    def is_over(self, job: Job) -> bool:
        """Tell whether a call is not to be started any more."""
        return self.is_draining and (self.is_stopping or not job.is_aftermath)

    def take_ready(self, nodes: Sequence[Node]) -> None:
        """Move nodes whose inputs are all values: operators are applied, calls weighed."""
        to_weigh: list[Job] = []
        to_look_at: list[tuple[Job, list[Any]]] = []
        for job in ready_calls(nodes, self._finisher.compute):
            if self.is_draining and self.is_over(job):
                job.phase = phases.DROPPED
                continue
            try:
                evaluate_inputs(job)
                if self._options.executor_options:
                    self._options.add_executor_options(job)
                live = find_live_arguments(job)
            except Exception as error:
                # A container that refuses the value of an expression in it.
                self._finisher.fail(job, error, job)
                continue
            if live:
                to_look_at.append((job, live))
            else:
                to_weigh.append(job)
        if to_look_at:
            self.look_at(to_look_at)
        if to_weigh:
            self._find_results(to_weigh)

    def look_at(self, live: Sequence[tuple[Job, list[Any]]]) -> None:
        """Have the live values of calls looked at by the pool; then the calls go on."""
        jobs = [job for job, _ in live]
        values = [each for _, found in live for each in found]
        for job in jobs:
            job.phase = phases.AWAY

        def done(error: BaseException | None) -> None:
            for job in jobs:
                job.phase = phases.READY
                if error is not None:
                    self._finisher.fail(job, error, job)
            if error is None:
                self._find_results([job for job in jobs if not self.is_over(job)])

        self._looking.look(values, done)

    # Weighed: has this call been made before?

    def _find_results(self, jobs: Sequence[Job]) -> None:
        """Find results for calls whose arguments are there; those without any are to run."""
        to_ask: list[Job] = []
        to_run: list[Job] = []
        for job in jobs:
            if not self._weigh(job):
                continue
            scope = scope_of(job, self._options.use_cache)
            if scope is not BACKEND and not isinstance(job.expr, SchedulerExpression):
                job.note = unasked(job).note
            if scope is NOWHERE:
                to_run.append(job)
                continue
            assert job.call_key is not None
            first = self._calls.setdefault(job.call_key, job)
            if first is not job:
                # What was retracted meanwhile is not copied: this one is made in its place.
                if self._retractions.has(first.call_hash, self._made):
                    self._calls[job.call_key] = job
                elif self._equals.join(job, first):
                    continue
            (to_ask if scope is BACKEND else to_run).append(job)
        if to_ask:
            if any(map(self._twins.has_returned, to_ask)):
                self._recorder.flush()  # what it gave is among the rows that wait
            version = None if self.leading is None else self.leading.version()
            to_run += self._take_decisions(to_ask, self._lookup.ask(to_ask))
            if to_run:
                self.submit(to_run, version)
        elif to_run:
            self.submit(to_run)

    def _made(self) -> Iterator[CallHash]:
        """Yield the calls whose results others may share."""
        return (each.call_hash for each in self._calls.values() if each.call_hash is not None)

    def _weigh(self, job: Job) -> bool:
        """Make the hashes of a call, by its code and arguments of now; False if it failed."""
        try:
            job.task_hash = self._hash_of(job.task)
            weigh(job)
            if handles.met:
                self._branches.enter(job)
        except Exception as error:
            # A wrong call (TypeError), an argument without a hash, or a hook of a value that
            # raised: the call fails as if its body had, and is recorded where it can be.
            self._finisher.fail(job, error, job)
            return False
        if self.awaiting.askers and job.owner in self.awaiting:
            self.awaiting.trace_arguments(job)
        return True

    def _take_decisions(self, jobs: Sequence[Job], decisions: Sequence[Hit | Miss]) -> list[Job]:
        """Use the hits that are valid; returns the jobs that must run."""
        to_run: list[Job] = []
        to_check: list[tuple[Job, Hit]] = []
        for job, decision in zip(jobs, decisions, strict=True):
            if isinstance(decision, Miss):
                if decision is not ABSENT:
                    self._take_refused(job, decision)
                to_run.append(job)
            elif walk.find_live(decision.value):
                to_check.append((job, decision))
            elif not self._use(job, decision):
                to_run.append(job)
        if to_check:
            self._check(to_check)
        return to_run

    def _use(self, job: Job, hit: Hit) -> bool:
        self._give_back_lease(job)
        if hit.states:
            self._branches.use(hit.states)
        return self._finisher.take_hit(job, hit)

    def _check(self, to_check: Sequence[tuple[Job, Hit]]) -> None:
        """Have cached values compared with the world, by the pool that reads files."""
        for job, _ in to_check:
            job.phase = phases.AWAY

        find = self._temporaries.finder(to_check)

        def done(wrong: Sequence[str | None]) -> None:
            to_run: list[Job] = []
            for (job, hit), what in zip(to_check, wrong, strict=True):
                job.phase = phases.READY
                if self.is_over(job):
                    job.phase = phases.DROPPED
                elif what is not None:
                    self._refuse(job, Miss(Reason.INVALID, what))
                    to_run.append(job)
                elif job.id in find.lenient and not is_passed_on(job):
                    self._check([(job, hit)])  # somebody else asked for it meanwhile
                else:
                    self._temporaries.note(job, hit.value)
                    if not self._use(job, hit):
                        to_run.append(job)
            if to_run:
                self.submit(to_run)

        self._looking.find(to_check, find, done, walk.describe_change)

    def _take_refused(self, job: Job, miss: Miss) -> None:
        """Take note of a result that is there and is not used."""
        if miss.reason in {Reason.AGE, Reason.SCOPE}:
            job.note = miss.note  # no news: the task says so itself
            return
        if miss.retracted:
            self._finisher.again.known |= miss.retracted
        if miss.damaged is None:
            self._refuse(job, miss)
        elif miss.damaged in self._damaged:
            job.note = miss.note  # what many calls gave is damaged once
        else:
            self._damaged.add(miss.damaged)
            self._refuse(job, miss)
            self._backend.discard_values([miss.damaged])

    def _refuse(self, job: Job, miss: Miss) -> None:
        job.note = miss.note
        self._notify(CacheEntryRefused(job.task.fullname, miss.text))

    # Running

    def run_refuted(self, jobs: Sequence[Job]) -> None:
        """Run calls after all whose recorded results did not stand."""
        for job in jobs:
            if self.is_over(job):
                job.phase = phases.DROPPED
        self.submit([job for job in jobs if job.phase is not phases.DROPPED])

    def submit(self, jobs: Sequence[Job], seen: int | None = None) -> None:
        """Have calls run: what is given to them is there, or else they wait for it.

        Args:
            jobs: The calls.
            seen: What `Leading.version` said before they were looked up, if it was asked.
        """
        jobs = self._free_to_run(jobs, seen)
        if not jobs:
            return
        batches: Batches = {}
        handed: list[Job] = []
        begun: list[Job] = []
        are_told = False
        if self._options.is_dry:
            self._end_dry(jobs)
        if self._budget is not None:
            self._budget.charge(jobs)
        for job in jobs:
            job.started = now()
            self._recorder.pack_arguments(job)
            if job.task.binder.job_infos:
                self._tell_of_job(job)
                are_told = True
            if isinstance(job.expr, SchedulerExpression):
                self._finisher.stepper.begin(job)
                continue
            if self._twins.join(job):
                continue
            if job.handles is not None:
                begun.append(job)
            if self._options.tells_misses and job.is_recorded:
                # Before its body can change what it was given.
                self._notify_misses([job])
            self._admit(job, batches)
            if job.id in self.submitted:
                handed.append(job)
        if begun:
            # Committed before a body can change what a handle stands for: if it dies on the way,
            # nothing that came from there may be used any more.
            self._branches.begin(begun)
        if are_told:
            self._recorder.flush()  # what a body is told of is there to be found
        self.executing.send(batches)
        if handed:
            self._notify(_submitted(handed))

    def _free_to_run(self, jobs: Sequence[Job], seen: int | None) -> Sequence[Job]:
        """Return the calls that run here and now; others wait, or have been made meanwhile."""
        if files.temporary_met:
            jobs = self._holding.hold_back(jobs)
        if self.leading is None or not jobs or self.leading.leads_all_still():
            return jobs
        free, to_ask = self.leading.lead(jobs, seen)
        if to_ask:
            free += self._take_decisions(to_ask, self._lookup.ask(to_ask))
        return free

    def _give_back_lease(self, job: Job) -> None:
        """Let others run a call, once what is added to the rows by now is recorded."""
        if self.leading is not None and self.leading.held:
            self.leading.end(job)

    def in_flight(self) -> list[Job]:
        """Return the calls whose bodies were begun and have not ended, or are about to begin."""
        return [
            *self.submitted.values(),
            *self.retries.waiting(),
            *self.limits.waiting(),
        ]

    def _end_dry(self, jobs: Sequence[Job]) -> None:
        """End a dry run at the first call that would run."""
        calls = [each for each in jobs if not isinstance(each.expr, SchedulerExpression)]
        if calls:
            if self._options.tells_misses:
                self._notify_misses([each for each in calls if each.is_recorded])
            raise DryRunResult([repr(each.expr) for each in calls])

    def _tell_of_job(self, job: Job) -> None:
        """Give a body what it asked to know of its job, which is no argument of the call."""
        self._recorder.announcing.announce_all(job)
        options = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in job.options.items()
        }
        found = JobInfo(self._options.execution_id, job.id, job.eval_hash, job.args_hash, options)
        job.args, job.kwargs = job.task.binder.with_job_info(job.args, job.kwargs, found)

    def begin_aftermath(self, jobs: Sequence[Job]) -> None:
        """Begin what is called after failures: scheduler tasks below calls that have failed."""
        for job in jobs:
            evaluate_inputs(job)
            job.phase = phases.READY
        self._find_results(jobs)

    def _admit(self, job: Job, batches: Batches) -> None:
        """Hand a call that is to run to its executor, or have it wait for its limits."""
        try:
            name = self.executing.executor_of(job)
            job.phase = phases.AWAY
            is_free = "limits" not in job.options or self.limits.let_through(job)
        except (ExecutorError, LimitError) as error:
            self._finisher.fail(job, error, job)
            self._give_back_lease(job)
            return
        if is_free:
            self._hand_over(job, name, batches)

    def _hand_over(self, job: Job, name: str, batches: Batches) -> None:
        self.submitted[job.id] = job
        self._note_handed(job)
        self.executing.add(job, name, batches)

    def take_outcome(self, outcome: Outcome) -> None:
        """Take what came of a body: for its call, and for those that wait for the same body."""
        job = self.submitted.pop(outcome.job_id, None)
        if job is None:  # cancelled, and ended all the same
            return
        self.limits.release(job)
        if self.executing.resent:
            outcome = self.executing.receive(outcome)
        asker = self.awaiting.end(job) if self.awaiting.askers else None
        if job.id in self.awaiting.stopped:
            self._cancel_stopped(job)
        elif isinstance(outcome, Returned) or not self._try_again(job, outcome):
            self._finish(job, outcome, asker)
        elif asker is not None:
            job.children = ()  # the next attempt asks for its own

    def _cancel_stopped(self, job: Job) -> None:
        """Let a body end that got no answer: whatever it made of that is no result."""
        for each in [job, *self._twins.leave(job)]:
            each.phase = phases.DROPPED
            self._recorder.cancel(each)
            self._give_back_lease(each)

    def _finish(self, job: Job, outcome: Outcome, asker: Asker | None = None) -> None:
        if isinstance(outcome, Returned) and (job.handles is not None or handles.met):
            outcome = self._branches.leave(job, outcome, asker is not None)
        if isinstance(outcome, Raised):
            self._finisher.on_raised(job, outcome, asker is not None)
            self._give_back_lease(job)
            for twin in self._twins.leave(job):
                self._finisher.on_raised(twin, outcome)
                self._give_back_lease(twin)
            return
        kept = self._finisher.on_returned(job, outcome, () if asker is None else asker.steps())
        for twin in self._twins.leave(job):
            twin.phase = phases.READY
            if kept is not None:
                kept = kept._replace(states=self._branches.share(twin, job))
            if kept is None or not self._finisher.take_hit(twin, kept):
                self.submit([twin])
            else:
                self._give_back_lease(twin)
        self._give_back_lease(job)

    def _try_again(self, job: Job, outcome: Raised) -> bool:
        """Have a call that failed made again later; False if it has failed for good."""
        error = outcome.error
        if isinstance(error, TaskTimeoutError) and error.is_abandoned:
            self._notify(
                Warned(
                    f"{error}. A thread cannot be stopped: its body goes on, and nobody waits for "
                    "it. Processes can be."
                )
            )
        if self.is_over(job):
            return False
        if isinstance(error, ResultLostError) and self.executing.resend(job):
            self.retries.repeat(job, outcome)
            return True
        return self.retries.take(job, outcome)

    def start_due(self) -> None:
        """Begin the calls whose next attempt is due, and those that others made room for."""
        if self.leading is not None and self.leading.any_wait:
            free = self.leading.take_free()
            if free:
                self._look_again(free)
        batches: Batches = {}
        for job, outcome in self.retries.take_due():
            changed = changed_argument(job)
            if changed is None:
                self._admit(job, batches)
                continue
            outcome.error.add_note(
                f"It is not tried again, for the attempt that failed changed its argument "
                f"{changed!r} in place: what it would be given is not what it was asked with."
            )
            self._finish(job, outcome)
        through = [each for each in self.limits.take_free() if not self.awaiting.go_on(each)]
        for job in through:
            self._hand_over(job, self.executing.executor_of(job), batches)
        self.executing.send(batches)
        if through:
            self._notify(_submitted(through))

    def _look_again(self, jobs: Sequence[Job]) -> None:
        """Look up calls that others ran: there is a result now, or they run here."""
        version = None if self.leading is None else self.leading.version()
        to_run = self._take_decisions(jobs, self._lookup.ask(jobs))
        if to_run:
            self.submit(to_run, version)

    @property
    def waits_for_time(self) -> bool:
        """Whether any calls wait for what no outcome tells: `start_due` is to be called."""
        others = self.leading
        return bool(self.retries or self.limits or (others is not None and others.any_wait))

    def seconds_left(self, most: float) -> float:
        """Return how long it is until `start_due` may have something to do."""
        seconds = self.limits.seconds_left(self.retries.seconds_left(most))
        return seconds if self.leading is None else self.leading.seconds_left(seconds)

    def _notify_misses(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._notify(describe_miss(job, self._calls))

    def cancel_waiting(self) -> None:
        """Take back the calls that wait here, and those that no executor has started.

        They wait for a retry, a limit or another process.
        """
        dropped = [*self.retries.drop(self.is_over), *self.limits.drop(self.is_over)]
        if self.leading is not None:
            dropped += self.leading.drop(self.is_over)
        for job in dropped:
            if job not in self.awaiting:  # else its body runs, and waits for its limits alone
                self._recorder.cancel(job)
                self._give_back_lease(job)
        unwanted = [job.id for job in self.submitted.values() if self.is_over(job)]
        if not unwanted:
            return
        # Of these only what was announced has a row, which ends with the run.
        for job_id in self.executing.cancel(unwanted):
            job = self.submitted.pop(job_id)
            self.limits.release(job)
            self._give_back_lease(job)


def _submitted(jobs: Sequence[Job]) -> JobsSubmitted:
    return JobsSubmitted(
        tuple([each.task.fullname for each in jobs]),
        tuple([each.id for each in jobs]),
        tuple([None if each.owner is None else each.owner.id for each in jobs]),
    )
