"""Calls one at a time: weighed, looked up and recorded at once, without laziness or a loop.

    a call of somebody else's
      weigh            its arguments and its key; blocks on files
      look up          a recorded result that still matches the world, or why there is none
        hit            used: a row for the job
        miss           it runs, wherever the caller has it run
          returned     recorded, and committed before the caller sees it
          raised       recorded; nothing is kept in the cache

For those who run the code themselves: decorated functions, tasks of other tools. Any thread may
come with a call. What is written down waits for `flush`; no user code runs under the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.aliases import aliases_of
from taskgraph.engine.branches import refuse_handles, without_handles
from taskgraph.engine.cache import Hit, Miss, Reason, query_of, scope_of, unasked
from taskgraph.engine.finishing import Finisher
from taskgraph.engine.jobs import Job
from taskgraph.engine.kept import KeptAnswers
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.lookup import Lookup
from taskgraph.engine.making import JobMaker
from taskgraph.engine.options import RunOptions
from taskgraph.engine.reduction import Graph
from taskgraph.engine.taking import Mark, TakenRecorder
from taskgraph.engine.turns import Turns
from taskgraph.engine.weighing import evaluate_inputs, find_live_arguments, weigh
from taskgraph.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    LazyResultError,
)
from taskgraph.events import Event
from taskgraph.expression import find_expressions
from taskgraph.hashing import TaskHash
from taskgraph.ports import Backend, Outcome, Returned
from taskgraph.records import ExecutionRecord, JobId, PackedValue, State
from taskgraph.tasks.options import CacheScope
from taskgraph.tasks.task import Task
from taskgraph.values import walk
from taskgraph.worker import now


class EagerCalls:
    """The calls of one execution, as they come.

    Args:
        backend: Where they are recorded.
        options: What the execution was asked to do.
        notify: Told what happens, under the lock.
        lease: That of the execution, if calls that run in other processes are waited for.
    """

    def __init__(
        self,
        backend: Backend,
        options: RunOptions,
        notify: Callable[[Event], None],
        lease: ExecutionLease | None = None,
    ) -> None:
        self._turns = None if lease is None else Turns(backend, lease, notify)
        aliases = aliases_of(backend)
        self._backend = backend
        self._options = options
        self._make_job = JobMaker(options.options, aliases)
        self._graph = Graph(self._make_job)
        self._recorder = TakenRecorder(backend, options.execution_id, options.max_value_size)
        self._finisher = Finisher(self._graph, self._recorder, {}, notify)
        self._answers = KeptAnswers(backend)
        self._lookup = Lookup(self._answers, aliases)
        # Held by who adds rows or looks something up. A coroutine that nobody awaits any more may
        # end in any line of any thread, and then its call is cancelled there.
        self._lock = threading.RLock()
        self._writing = threading.Lock()  # held longer: batches are written in their order
        self._first: JobId | None = None

    def weigh(
        self,
        task: Task[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        owner: Job | None,
        code: TaskHash | None = None,
    ) -> Job:
        """Return the job of a call, with its hashes. Blocks on files.

        Args:
            task: What is called.
            args: The arguments by position.
            kwargs: The arguments by name.
            owner: The call that it is made in, if it is made in one.
            code: The hash of the code that runs, where that is not the task's as it is now.

        Raises:
            UnhashableValueError: An argument has no stable hash.
            TypeError: The arguments do not fit the signature.
        """
        expr = task.expression_type(task.fullname, args, dict(kwargs), task.call_options, task=task)
        job = self._make_job.make(task, code or task.get_hash(), expr, owner)
        evaluate_inputs(job)
        for each in find_live_arguments(job):
            walk.refresh(each)
        weigh(job)
        refuse_handles(job)
        job.phase = phases.READY
        return job

    def look_up(self, job: Job) -> Hit | Miss:
        """Return the recorded result of a call, or why none can be used. Blocks on files."""
        if scope_of(job, self._options.use_cache) is not CacheScope.BACKEND:
            return unasked(job)
        with self._lock:
            (decision,) = self._lookup.ask([job])
            if isinstance(decision, Miss) and decision.damaged is not None:
                self._backend.discard_values([decision.damaged])
                self._answers.forget(query_of(job).eval_hash)
        if isinstance(decision, Miss):
            return decision
        invalid = walk.find_invalid(decision.value)
        return decision if invalid is None else Miss(Reason.INVALID, walk.describe_change(invalid))

    def find_or_start(self, job: Job, may_wait: bool) -> Generator[float, None, Hit | None]:
        """Return the recorded result of a call; None if there is none, and it begins to run.

        Gives pauses while an equal call runs in another process.

        Args:
            job: The call.
            may_wait: Whether it may wait at all. One within a body that others may wait for does
                not: so nobody waits for ever.
        """
        turns = self._turns
        while True:
            version = None if turns is None else turns.version()
            found = self.look_up(job)
            in_the_way = None
            try:
                if turns is not None and isinstance(found, Miss):
                    in_the_way = turns.take(job)
                    if in_the_way is None and (version is None or version != turns.version()):
                        found = self.look_up(job)
                if isinstance(found, Hit):
                    self._end_turn(job)
                    return found
                if turns is None or in_the_way is None or not may_wait:
                    self.start(job, found)
                    return None
            except BaseException:
                self._end_turn(job)
                raise
            yield from turns.wait(job, in_the_way)

    def _end_turn(self, job: Job) -> None:
        """Let others run a call, as soon as what is written down by now is committed."""
        if self._turns is not None:
            with self._lock:
                self._turns.end(job, self._recorder)

    def use(self, job: Job, hit: Hit) -> None:
        """Write down that a recorded result was used."""
        with self._lock:
            try:
                self._join(job)
                job.started = job.ended = now()
                self._finisher.take_whole(job, hit)
            except BaseException:
                # The only rows are the job's and those of what is recorded already.
                self._drop(job, None)
                raise

    def start(self, job: Job, miss: Miss | None) -> None:
        """Take note that a call is about to run; one that takes long is shown as running."""
        with self._lock, self._whole(job):
            self._join(job)
            job.note = job.note if miss is None else miss.note
            if miss is not None and miss.retracted:
                self._finisher.again.known |= miss.retracted
            job.phase = phases.AWAY
            job.started = now()
            self._recorder.pack_arguments(job)
            self._recorder.announcing.note(job)

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Write down what came of a call that ran, and commit it."""
        lazy = find_expressions(outcome.value) if isinstance(outcome, Returned) else []
        if isinstance(outcome, Returned):
            outcome = without_handles(outcome)
        with self._lock, self._whole(job):
            if isinstance(outcome, Returned) and not lazy:
                self._finisher.on_returned(job, outcome)
            elif isinstance(outcome, Returned):
                # Nobody would ever reduce them.
                self._finisher.fail(job, LazyResultError(job.task.fullname, str(lazy[0])), job)
            else:
                self._finisher.on_raised(job, outcome)
            if job.eval_hash is not None:
                self._answers.forget(job.eval_hash)
            self._end_turn(job)
        self.flush()

    def copy(self, job: Job, first: Job) -> None:
        """Write down that a call has the result of an equal one that was not stored."""
        with self._lock, self._whole(job):
            self._join(job)
            self._finisher.copy(job, first)

    def cancel(self, job: Job) -> None:
        """Write down that a call was interrupted; committed with what comes next."""
        with self._lock:
            self._drop(job, None)

    @contextmanager
    def _whole(self, job: Job) -> Iterator[None]:
        """Have the rows of a call be added all, or none: a Ctrl-C may come at any time.

        So may the end of the stack, where a function calls itself. The job counts as cancelled
        then, and its call as one that nobody made.
        """
        mark = self._recorder.mark()
        try:
            yield
        except BaseException:
            self._drop(job, mark)
            raise

    def _drop(self, job: Job, mark: Mark | None) -> None:
        job.call_hash = None
        job.phase = phases.DROPPED
        self._recorder.roll_back(job, mark)
        mark = self._recorder.mark()
        try:
            self._recorder.cancel(job)
        except BaseException:  # at the end of the stack still: then there is no row of it
            self._recorder.roll_back(job, mark)
        self._end_turn(job)

    def _join(self, job: Job) -> None:
        """Make a call a child of the call that it was made in, if that is still running."""
        owner = job.owner
        if owner is not None and owner.phase is phases.AWAY:
            owner.add_children(job)
            return
        job.owner = None
        if self._first is None:
            # The execution is known by it: when it began, and what it was about.
            self._first = job.id
            self._recorder.add_execution(self._execution(State.RUNNING, None))

    # The execution

    def begin(self) -> None:
        """Write down that the execution has begun."""
        with self._lock:
            self._recorder.add_execution(self._execution(State.RUNNING, None))
        self.flush()

    def end(self, environment: PackedValue | None) -> None:
        """Write down that the execution has ended: what still runs will not be recorded."""
        with self._lock:
            self._recorder.cancel_open()
            if environment is not None:
                self._recorder.add_value(environment)
            self._recorder.add_execution(self._execution(State.COMPLETED, environment))
        self.flush()

    def flush(self) -> None:
        """Commit what was written down; others may go on meanwhile.

        Raises:
            DatabaseError: Nothing was written; it is tried again the next time.
        """
        with self._writing:
            is_left = self._recorder.is_taken  # from a time when it was interrupted
            self._write()
            if is_left:
                self._write()

    def _write(self) -> None:
        with self._lock:
            batch = self._recorder.take()
        if batch is None:
            return
        try:
            self._backend.record(batch)
        except (DatabaseBusyError, DatabaseFullError, DatabaseReadOnlyError):
            raise  # it may work the next time
        except DatabaseError:
            # It never will, and must not stand in the way of all that comes later.
            with self._lock:
                self._recorder.give_up(self._execution(State.RUNNING, None))
            raise
        self._recorder.written()

    def pause(self) -> None:
        """Wait until nobody is at the database, and have nobody be until `go_on`: for a fork."""
        self._writing.acquire()
        self._lock.acquire()

    def go_on(self) -> None:
        """Let rows be written and looked up again."""
        self._lock.release()
        self._writing.release()

    def _execution(self, state: State, environment: PackedValue | None) -> ExecutionRecord:
        moment = now()
        return ExecutionRecord(
            self._options.execution_id,
            self._options.command_line,
            self._first,
            moment,
            state,
            moment,
            environment.values[0].value_hash if environment is not None else None,
        )
