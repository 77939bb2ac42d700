"""The conductor: takes one root expression to its value.

    run
      begin            the execution is written down; the job of the root is ready
      repeat           until the root is settled
        advance        a tick, as long as anything can move
          aftermath    what is called after failures begins
          broken       what was needed failed: the call fails too, or its generator is told
          reduced      what was awaited is there: the call is finished and recorded
          refuted      recorded results did not stand: their bodies are to run after all
          ready        inputs are values: weighed, looked up together, submitted together
        wait           for outcomes; before that, and every 20 ms, rows are committed
      drain            what still runs, after an error that was caught or not, ends and is recorded
      aftermath        what was called after failures ends
      end              the execution's state; everything is committed

One thread, and no step of it blocks on user code (but for the inline executor's), on a file, or on
the database for longer than a batch.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from taskgraph.engine import phases
from taskgraph.engine.aftermath import Aftermath
from taskgraph.engine.aliases import aliases_of
from taskgraph.engine.answering import Answering
from taskgraph.engine.branches import Branches
from taskgraph.engine.dispatch import Dispatcher
from taskgraph.engine.finishing import Finisher
from taskgraph.engine.forking import Forks
from taskgraph.engine.inbox import Message, QueueInbox
from taskgraph.engine.jobs import Job
from taskgraph.engine.leading import Leading
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.looking import Looker, Looking
from taskgraph.engine.lookup import Lookup
from taskgraph.engine.making import JobMaker
from taskgraph.engine.options import RunOptions
from taskgraph.engine.recorder import Recorder
from taskgraph.engine.reduction import Graph
from taskgraph.engine.statuses import Counts, count_jobs
from taskgraph.engine.temporaries import Temporaries
from taskgraph.engine.trace import traces_of
from taskgraph.errors import CircularCallError, DatabaseError, DryRunResult, RerunLimitError
from taskgraph.events import Event, ExecutionEnded, ExecutionStarted, JobWaits, RunStopping
from taskgraph.expression import TaskExpression
from taskgraph.garbage import rare_collections
from taskgraph.ports import Backend, Executor, Observer, Raised, Returned
from taskgraph.records import ExecutionRecord, Micros, PackedValue, State
from taskgraph.tasks.names import CARRIER
from taskgraph.tasks.options import NO_OPTIONS
from taskgraph.worker import now, running_task

if TYPE_CHECKING:
    from taskgraph.engine.budget import RerunBudget

_CHUNK = 1_000  # ready jobs that are looked up and submitted together
_GRACE = 0.002  # seconds to wait for the next outcome before rows are committed
_NAP = 0.100  # seconds to wait at most, so that slow jobs are written down as running
# A root that was dropped has ended without one: then the run was interrupted.
_WITH_RESULT = frozenset({phases.DONE, phases.FAILED})


class Engine:
    """Reduces one root expression; made for one execution and used once."""

    def __init__(
        self,
        backend: Backend,
        executors: Mapping[str, Executor],
        observers: Sequence[Observer],
        looker: Looker,
        environment: Callable[[], PackedValue | None],
        run_options: RunOptions,
        lease: ExecutionLease | None = None,
    ) -> None:
        self._observers = observers
        self._environment = environment
        self._options = run_options
        self._moment = Micros(0)  # when it was last written down
        self._backend = backend
        below = self._below = run_options.below
        self._root: Job | None = None
        self._is_waiting = False  # for messages: a second Ctrl-C ends that at once
        self._is_stopping = False  # a first Ctrl-C, or `stop`: nothing new is to begin
        self.was_interrupted = False  # a Ctrl-C, also one at which nothing was left to begin
        self._has_told_of_stop = False
        self._is_interrupted = False  # a second one, while rows were perhaps half added
        self._has_stepped = False  # a body was run on this very thread

        # What is known of the run: nodes, rows, and what came in. None of these moves anything.
        aliases = aliases_of(backend)
        handed_on = NO_OPTIONS if below is None else below.exported
        make_job = self._make_job = JobMaker(
            run_options.options, aliases, run_options.context, handed_on, run_options.queue
        )
        self._graph = Graph(make_job)
        self._calls: dict[str, Job] = {}
        self._inbox = QueueInbox()
        self._looking = Looking(looker, self._inbox)
        self._recorder = Recorder(
            backend,
            run_options.execution_id,
            run_options.max_value_size,
            None if below is None else below.job_id,
            run_options.held,
        )
        budget = self._make_budget()

        # Who moves nodes: the Finisher those with a result, the Dispatcher those without.
        self._forks = Forks(self._graph, self._notify)
        self._aftermath = Aftermath(make_job, run_options.execution_id, self._notify)
        self._finisher = Finisher(
            self._graph,
            self._recorder,
            self._calls,
            self._notify,
            budget=budget,
            hash_of=make_job.hash_of,
            answering=Answering(self._recorder, run_options, self._forks),
            is_fast=run_options.fail_fast,
            aftermath=None if run_options.is_dry else self._aftermath,
        )
        branches = Branches(backend, self._recorder)
        self._leading = self._make_leading(lease)
        self._dispatcher = Dispatcher(
            graph=self._graph,
            calls=self._calls,
            options=run_options,
            hash_of=make_job.hash_of,
            backend=backend,
            lookup=Lookup(backend, aliases, branches.spared),
            recorder=self._recorder,
            finisher=self._finisher,
            notify=self._notify,
            executors=executors,
            inbox=self._inbox,
            looking=self._looking,
            branches=branches,
            temporaries=Temporaries(make_job),
            budget=budget,
            lease=lease,
            leading=self._leading,
        )

        # What was made first asks what was made last.
        self._inbox.on_asked = self._dispatcher.awaiting.ask
        self._recorder.announcing.ask_not_begun = self._dispatcher.executing.not_begun

    def _make_budget(self) -> RerunBudget | None:
        limit = self._options.max_rerun
        if limit is None:
            return None
        from taskgraph.engine.budget import RerunBudget

        return RerunBudget(self._backend, limit)

    def _make_leading(self, lease: ExecutionLease | None) -> Leading | None:
        """Return what leads calls, which hears of it when the lease is wanted by others."""
        if lease is None or not self._options.single_flight:
            return None
        return Leading(
            self._backend,
            lease,
            self._recorder,
            self._tell_of_wait,
            self.tell,
            self._in_flight,
            use_cache=self._options.use_cache,
            may_wait=self._options.may_wait,
        )

    def _in_flight(self) -> list[Job]:
        return self._dispatcher.in_flight()  # which is made after what asks

    @property
    def limits_used(self) -> dict[str, int]:
        """How many units of each limit are in use."""
        return self._dispatcher.limits.used

    @property
    def job_counts(self) -> Counts:
        """How many jobs of each task are where; from any thread."""
        roots = [] if self._root is None else [self._root]
        submitted = list(self._dispatcher.submitted.values())
        running = {each.id for each in submitted}
        return count_jobs(self._recorder.ended, [*roots, *submitted], running)

    # The run as a whole

    def run(self, root_expr: TaskExpression) -> Job:
        """Reduce the root expression; returns its job, or raises the error of the task."""
        with (
            closing(self._inbox),
            rare_collections(),
            _interrupts(self._on_interrupt),
            self._guarded(),
        ):
            return self._run(root_expr)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Have nobody else look at what is in flight, but while this thread rests."""
        if self._leading is None:
            yield
            return
        with self._leading.guard:
            try:
                yield
            finally:
                self._leading.close()

    def stop(self) -> None:
        """Have the run end as after a Ctrl-C, once what runs has ended; from any thread."""
        self._is_stopping = True
        self._inbox.call_soon(lambda: None)

    @property
    def is_stopping(self) -> bool:
        """Whether it ends as after a Ctrl-C."""
        return self._is_stopping

    def tell(self, event: Event) -> None:
        """Have observers told of something that happened elsewhere; from any thread."""
        self._inbox.call_soon(lambda: self._notify(event))

    def _on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Let what runs end at the first Ctrl-C; end it at the second.

        A body or a wait is ended at once, but never the adding of rows half-way.
        """
        self.was_interrupted = True
        if not self._is_stopping:
            self._is_stopping = True
            if running_task() is not None:  # on this very thread, which says nothing before it ends
                self._tell_of_stop(1)
        elif self._is_waiting or running_task() is not None:
            raise KeyboardInterrupt
        else:
            self._is_interrupted = True

    def _run(self, root_expr: TaskExpression) -> Job:
        started = time.monotonic()
        root = self._root = self._make_job(root_expr, None)
        if self._options.writes_dataset or self._options.in_group:
            root.is_recorded = True  # what hangs on its end is written with that
        self._notify(ExecutionStarted(self._options.execution_id, root.task.fullname))
        if self._below is not None:
            self._recorder.has_execution = True  # that of the job
        elif root.is_recorded:
            if self._options.snapshot is not None:
                self._recorder.add_value(self._options.snapshot)
            self._recorder.add_execution(self._execution(root, State.RUNNING))
            self._recorder.add_tags("Execution", self._options.execution_id, self._options.tags)
        state = State.FAILED
        try:
            self._graph.ready.append(root)
            while self._goes_on(root):
                self._advance()
                if self._is_stopping:
                    self._stop(root)
                if self._goes_on(root):
                    self._wait(root)
            self._drain()
            self._await_aftermath(root)
            if root.phase is phases.DONE:
                state = State.COMPLETED
            self._end(root, state)
        except DatabaseError:
            # Nothing more can be written down. The rows that were, are whole, and the lease that
            # is left tells the next one who opens the database that this run crashed.
            self._give_up()
            raise
        except BaseException as error:
            # A dry run that came to a call, a limit that was reached, a Ctrl-C, or an error of
            # ours: what was finished until now is kept, the rest is written down as cancelled.
            is_wanted = isinstance(error, DryRunResult | RerunLimitError | KeyboardInterrupt)
            state = State.CANCELLED if is_wanted else State.FAILED
            if isinstance(error, KeyboardInterrupt) and self._dispatcher.submitted:
                self._dispatcher.executing.kill_running()
            self._is_interrupted = False
            self._give_up()
            self._receive(0)
            self._end(root, state)
            raise
        finally:
            self._notify(
                ExecutionEnded(self._options.execution_id, state, time.monotonic() - started)
            )
        if root.error is not None:
            self._raise(root)
        return root

    def _goes_on(self, root: Job) -> bool:
        """Tell whether there is anything to wait for: the root, or what was forked."""
        return root.phase not in _WITH_RESULT or (root.phase is phases.DONE and bool(self._forks))

    def _end(self, root: Job, state: State) -> None:
        """Write down how it ended. A run that did not get this far is found by its lease."""
        self._dispatcher.limits.close()
        if not self._recorder.has_execution:
            return
        if root.is_recorded and not root.is_announced:
            self._recorder.announcing.announce(root)
        self._recorder.cancel_open()
        if self._below is not None:  # whose execution goes on
            self._recorder.flush()
            return
        environment = self._environment()
        if environment is not None:
            self._recorder.add_value(environment)
        if self._options.writes_dataset and state is State.COMPLETED:
            self._recorder.write_dataset(root.value)
        self._recorder.add_execution(self._execution(root, state, environment))
        if self._options.in_group:
            self._recorder.end_in_group()
        self._recorder.flush()
        if self._may_be_retracted(root):
            self._backend.pass_retractions_on(self._options.execution_id)
        if state is not State.COMPLETED or any(map(_is_carrier, self._finisher.failed)):
            self._backend.close_jobs(self._options.execution_id, now())

    def _may_be_retracted(self, root: Job) -> bool:
        """Tell whether the root may be a call that was retracted, made once more.

        One that was not looked up has not been told so: then it is asked whether any ever was.
        """
        again = self._finisher.again
        if root.call_hash is None or root.call_hash in again.found:
            return root.call_hash is not None
        if again.known:
            return True
        return root.note is not None and self._backend.count_retractions() > 0

    def _execution(
        self, root: Job, state: State, environment: PackedValue | None = None
    ) -> ExecutionRecord:
        # It ends after it began, also if the clock has been set back meanwhile.
        moment = self._moment = max(now(), Micros(self._moment + 1))
        return ExecutionRecord(
            self._options.execution_id,
            self._options.command_line,
            root.id,
            moment,
            state,
            moment,
            environment.values[0].value_hash if environment is not None else None,
            *self._options.submission,
        )

    def _raise(self, root: Job) -> None:
        assert root.error is not None
        # Those whose errors were recovered from are no failures of the run.
        failed = [each for each in self._finisher.failed if not _is_recovered(each)]
        first = root.origin or root
        jobs = [first, *(each for each in failed if each is not first)]
        traces = traces_of([(each, each.error or root.error) for each in jobs])
        with suppress(Exception):  # a frozen exception goes without
            root.error.__taskgraph_trace__ = traces[0]  # type: ignore[attr-defined]  # for the front end
            root.error.__taskgraph_failures__ = traces  # type: ignore[attr-defined]  # the same
        raise root.error

    def _stop(self, root: Job) -> None:
        """Let what runs end and be recorded, and then the run, because of a Ctrl-C."""
        self._give_up()
        self._tell_of_stop(len(self._dispatcher.submitted))
        self._drain()
        if root.phase not in _WITH_RESULT or self._forks:
            raise KeyboardInterrupt

    def _give_up(self) -> None:
        """Start nothing any more, and nothing after failures either."""
        self._aftermath.close()
        self._dispatcher.is_draining = self._dispatcher.is_stopping = True
        self._dispatcher.cancel_waiting()

    def _await_aftermath(self, root: Job) -> None:
        """Wait for what is called after failures, which goes on when all else has ended."""
        while (job := self._aftermath.first_open()) is not None or self._forks.are_after:
            if self._is_stopping:
                self._stop(root)
                return
            self._wait(job or root)
            self._advance()

    def _tell_of_stop(self, running: int) -> None:
        if running and not self._has_told_of_stop:
            self._has_told_of_stop = True
            self._notify(RunStopping(running))

    def _drain(self) -> None:
        """Let what still runs end, and record it; from now on nothing new is started.

        After most runs that is nothing: only errors, caught or not, leave siblings that still run.
        """
        dispatcher = self._dispatcher
        dispatcher.is_draining = True
        dispatcher.cancel_waiting()
        self._advance()
        while dispatcher.submitted or self._looking.count:
            if dispatcher.waits_for_time:  # of what is called after failures
                dispatcher.start_due()
            elif dispatcher.awaiting.all_wait and not self._looking.count:
                dispatcher.awaiting.stop()
            if not self._run_here():
                self._receive(_NAP)
            self._receive(0)
            self._advance()
            self._recorder.flush_if_due()

    # One turn of the wheel

    def _advance(self) -> None:
        """Move all nodes that can move without waiting for anything outside."""
        graph = self._graph
        while graph.may_move or self._aftermath.due:
            if self._aftermath.due:
                self._dispatcher.begin_aftermath(self._aftermath.begin())
            if graph.broken:
                broken, graph.broken = graph.broken, []
                for node, cause in broken:
                    self._finisher.break_(node, cause)
            if graph.reduced:
                reduced, graph.reduced = graph.reduced, []
                for node in reduced:
                    self._finisher.reduce(node)
            if graph.refuted:
                refuted, graph.refuted = graph.refuted, []
                self._dispatcher.run_refuted(refuted)
            if graph.ready:
                ready, graph.ready = graph.ready[:_CHUNK], graph.ready[_CHUNK:]
                self._dispatcher.take_ready(ready)
                if graph.ready:  # there are more: what came back meanwhile must not pile up
                    self._receive(0)
            self._recorder.flush_if_due()
            if self._is_interrupted:
                raise KeyboardInterrupt

    def _wait(self, root: Job) -> None:
        """Wait for outcomes; rows are committed while there is nothing else to do."""
        if self._dispatcher.waits_for_time:
            self._dispatcher.start_due()
            if self._graph.may_move or not self._goes_on(root):  # one of them failed at once
                return
        if self._run_here():
            self._receive(0)
            self._recorder.flush_if_due()
            return
        if self._recorder.is_dirty:
            if self._receive(_GRACE):
                self._recorder.flush_if_due()
                return
            self._recorder.flush()
        dispatcher = self._dispatcher
        is_idle = not dispatcher.submitted and not self._looking.count
        if is_idle and not dispatcher.waits_for_time:
            if self._receive(0):
                return
            self._fail_stuck(root)
            return
        # Bodies that await calls may wait for each other: here, or across two processes.
        if not self._receive(dispatcher.seconds_left(_NAP)) and dispatcher.awaiting.all_wait:
            dispatcher.awaiting.break_circle()
        if self._leading is not None and dispatcher.awaiting.askers:
            all_wait = dispatcher.awaiting.all_wait and not self._looking.count
            askers = [each.job for each in dispatcher.awaiting.askers.values()]
            self._leading.yield_if_stuck(all_wait, askers)
        self._recorder.announcing.announce_slow()

    def _run_here(self) -> bool:
        """Run something on this very thread, if anything is to run here."""
        inbox = self._inbox
        if not inbox.has_steps:
            return False
        if not self._has_stepped:
            # A body here may take hours, and says nothing before it ends: that this execution
            # runs is written down first.
            self._has_stepped = True
            self._recorder.flush()
        if self._leading is None:
            return inbox.step()
        if self._recorder.has_released:
            self._recorder.flush()  # it may take hours, and others wait for that
        self._leading.rest()
        try:
            return inbox.step()
        finally:
            self._leading.resume()

    def _receive(self, timeout: float) -> bool:
        if self._is_interrupted:
            raise KeyboardInterrupt
        messages = self._inbox.take(0) if timeout <= 0 else self._rest(timeout)
        for message in messages:
            if not isinstance(message, Returned | Raised):
                message()
                continue
            self._dispatcher.take_outcome(message)
        return bool(messages)

    def _rest(self, timeout: float) -> list[Message]:
        if self._leading is None:
            return self._take(timeout)
        # A Ctrl-C may end the wait, but comes neither between rest and wait nor into resume.
        self._leading.rest()
        try:
            return self._take(timeout)
        finally:
            self._leading.resume()

    def _take(self, timeout: float) -> list[Message]:
        self._is_waiting = True
        try:
            return self._inbox.take(timeout)
        finally:
            self._is_waiting = False

    def _fail_stuck(self, root: Job) -> None:
        """Nothing runs and nothing is ready: a call waits for itself, by way of an equal one."""
        if root.phase in _WITH_RESULT:
            self._forks.forget()
            return
        stuck = root
        if not root.is_aftermath:
            reducing = (e for e in self._calls.values() if e.phase is phases.REDUCING)
            stuck = next(reducing, root)
        error = CircularCallError(stuck.task.fullname, stuck.eval_hash or "")
        self._finisher.fail(stuck, error, stuck)

    def _tell_of_wait(self, event: JobWaits) -> None:
        self._notify(event)
        if self._options.log is not None:
            self._options.log(f"{self._options.execution_id[:8]} {event.text}")

    def _notify(self, event: Event) -> None:
        for observer in self._observers:
            observer.notify(event)


def _is_carrier(job: Job) -> bool:
    """Tell whether a call was another scheduler at work, which may have been killed."""
    return job.task.fullname == CARRIER


def _is_recovered(job: Job) -> bool:
    """Tell whether some call around a failed one has ended well."""
    owner = job.owner
    while owner is not None and owner.phase is phases.FAILED:
        owner = owner.owner
    return owner is not None


@contextmanager
def _interrupts(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a Ctrl-C handled by the engine, where Python's own handler is in force."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
