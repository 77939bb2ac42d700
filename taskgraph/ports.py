"""The few batch-shaped verbs through which the engine meets the world.

A backend answers and remembers; an executor runs calls; an observer is told. Each is a Protocol:
whatever has these methods will do, and `tests/contracts` holds one suite for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from taskgraph.events import Event
from taskgraph.hashing import CallHash, EvalHash, TaskHash, ValueHash
from taskgraph.outputs.place import OutputPlace
from taskgraph.records import (
    BelowVersion,
    CacheAnswer,
    CacheQuery,
    ExecutionId,
    JobId,
    LeaseRecord,
    Micros,
    PackedValue,
    PastCall,
    RecordBatch,
    RecordedCall,
    RoutedAnswer,
    RoutedCall,
    StoredResult,
    TaskAliasRecord,
    TaskVersion,
)
from taskgraph.tags import Tags
from taskgraph.values.valuestore import ValueStore


class Backend(Protocol):
    """Where calls are remembered.

    One thread at a time calls its verbs: the engine's, and while that rests the heartbeat's. Those
    that may be called at any time, by any thread, say so.

    Attributes:
        value_store: Where the bytes of large values go before their rows come here, if anywhere.
    """

    value_store: ValueStore | None

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        """Answer all questions at once, in their order."""
        ...

    def record(self, batch: RecordBatch) -> None:
        """Write all rows of a batch in one transaction: all of them are kept, or none.

        Raises:
            DatabaseError: Nothing of the batch was written; the message says why.
        """
        ...

    def load_values(self, value_hashes: Sequence[ValueHash]) -> dict[ValueHash, StoredResult]:
        """Return the stored values that exist under these hashes."""
        ...

    def find_recorded(self, values: Sequence[ValueHash], calls: Sequence[CallHash]) -> set[str]:
        """Return those of some values and calls which a batch that has them would leave alone.

        They are recorded here, whole as far as anybody knows, or have come to be trusted.
        """
        ...

    def find_retracted(self, calls: Sequence[CallHash]) -> set[CallHash]:
        """Return those of some calls whose results are not to be used."""
        ...

    def count_retractions(self) -> int:
        """Return a number that is another one once something was retracted, or that taken back.

        It is 0 as long as nothing was.
        """
        ...

    def pass_retractions_on(self, execution_id: ExecutionId) -> None:
        """Have an execution be retracted as its root call is."""
        ...

    def find_valid_handles(self, hashes: Sequence[str]) -> set[str]:
        """Return those of the states of handles that are recorded and still valid."""
        ...

    def find_handles_below(self, hashes: Sequence[str]) -> set[str]:
        """Return all states that came from some states of handles, valid or not."""
        ...

    def find_handles_above(self, hashes: Sequence[str]) -> set[str]:
        """Return all states that some came from, back to the nearest branches that users named."""
        ...

    def load_aliases(self) -> list[TaskAliasRecord]:
        """Return all aliases of tasks, those that ended too, oldest first."""
        ...

    def find_versions(self, wanted: Sequence[str]) -> dict[str, list[TaskVersion]]:
        """Return the recorded versions of tasks, last run first.

        Args:
            wanted: Full names; where there is none, first digits of hashes.
        """
        ...

    def find_past(self, eval_hashes: Sequence[EvalHash]) -> dict[EvalHash, PastCall]:
        """Return the newest whole call of each cache key that has one."""
        ...

    def find_below(self, task_hash: TaskHash, count: int) -> list[tuple[BelowVersion, ...]]:
        """Return what calls of a version made at any depth, of those that made any, newest first.

        Of the calls with one cache key only the newest counts.

        Args:
            task_hash: The version.
            count: At most so many calls.
        """
        ...

    def sample_calls(self, task_hash: TaskHash, count: int) -> list[RecordedCall]:
        """Return calls of a version that may be made again: the same ones each time."""
        ...

    def discard_values(self, value_hashes: Sequence[ValueHash]) -> None:
        """Mark stored values as damaged: they are found no more, and replaced when made again."""
        ...

    def close_jobs(self, execution_id: ExecutionId, end: Micros) -> int:
        """Mark the jobs of an execution CANCELLED that still are RUNNING; returns how many.

        Those of a scheduler that worked for the execution in another process, and was killed.
        """
        ...

    def take(self, leases: Sequence[LeaseRecord]) -> list[LeaseRecord | None]:
        """Take each lease that is free, expired, or whose holder on this host is gone.

        That of all calls is in the way of that of a call, and the other way round, unless one
        holder has both. Who is refused a call because somebody leads all of them has thereby asked
        for an end of that: `CALLS_WANTED` is taken.

        Returns:
            For each lease, None if it was taken, else the lease that is in the way.
        """
        ...

    def find_leases(self, keys: Sequence[str]) -> dict[str, LeaseRecord]:
        """Return those of the leases that living processes hold. Callable by any thread."""
        ...

    def clock(self) -> Micros:
        """Return the time by which leases expire: the store's own. Callable by any thread."""
        ...

    def version(self) -> int | None:
        """Return a number that is another one once others wrote anything; cheap, for any thread.

        None where it takes a question to know.
        """
        ...

    def heartbeat(self, holder: str, expires: Micros) -> int:
        """Prolong all leases of a holder; returns how many it still has. Callable by any thread."""
        ...

    def release(self, holder: str, keys: Sequence[str]) -> None:
        """Give leases back; those that the holder does not have are left alone."""
        ...

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""
        ...


class Resources(NamedTuple):
    """What a call says that it needs: hints, of which an executor makes what it can."""

    cpus: float = 1
    gpus: float = 0
    memory: int | None = None  # bytes

    def slots(self, size: int) -> int:
        """Return how many workers of a pool it takes, which has so many."""
        return 1 if self.cpus <= 1 else min(size, math.ceil(self.cpus))


NO_RESOURCES = Resources()


class Route(NamedTuple):
    """Where a call goes that is sent to the workers of a queue.

    Attributes:
        execution_id: Whose lease says that somebody waits for it: the execution's, or of a run
            below a job an id of its own, which no execution has.
        queue: The queue.
    """

    execution_id: ExecutionId
    queue: str


class Command(NamedTuple):
    """A command line of ours, to be run elsewhere as it would be run here.

    Attributes:
        words: What follows ``taskgraph``.
        folder: The working directory.
        log: The file that its output goes to.
        resources: What it needs.
        python_path: The variable ``PYTHONPATH``.
    """

    words: tuple[str, ...]
    folder: str
    log: str
    resources: Resources = NO_RESOURCES
    python_path: str = ""


class Call(NamedTuple):
    """A call that is ready to run: all arguments are values."""

    job_id: JobId
    fullname: str
    func: Callable[..., Any]  # the user's own function: any arguments, any result
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    max_value_size: int | None = None  # bytes; larger results are returned and not stored
    timeout: float | None = None  # seconds; one that runs longer has failed
    resources: Resources = NO_RESOURCES
    is_recorded: bool = True  # if not, nobody asks for its result as it would be stored
    value_store: ValueStore | None = None  # where large results are put, where they are made
    output: OutputPlace | None = None  # where what it prints is kept
    key: str | None = None  # names it in every run, for executors that say ``resumes = True``
    route: Route | None = None  # of those whose executor says ``routes = True``


@dataclass(slots=True)  # a frozen one takes five times as long to make
class Returned:
    """A call that returned.

    Attributes:
        value: What it returned; it may hold expressions.
        packed: The same, hashed and encoded where the call ran; None if it cannot be stored.
        unstored: Why it cannot be stored, if it cannot.
        changed: What its code looks at and was something else there than its hash says.
        notes: What the body noted down about this call: tags of its job.
    """

    job_id: JobId
    value: Any
    packed: PackedValue | None
    unstored: str | None
    started: Micros
    ended: Micros
    changed: str = ""
    notes: Tags = ()


@dataclass(slots=True)
class Raised:
    """A call that raised."""

    job_id: JobId
    error: BaseException
    frames: tuple[FrameRecord, ...]
    started: Micros
    ended: Micros


class FrameRecord(NamedTuple):
    """One frame of a user's traceback, as text: it crosses processes and is stored."""

    filename: str
    lineno: int
    name: str
    line: str


Outcome = Returned | Raised


class Inbox(Protocol):
    """Where executors put what came of the calls that they were given."""

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Hand over outcomes; may be called from any thread."""
        ...

    def ask(
        self, job_id: JobId, asked: Any, answer: Callable[[Any, BaseException | None], None]
    ) -> None:
        """Have expressions evaluated for a call that runs; may be called from any thread.

        Args:
            job_id: The call.
            asked: A nested value of expressions.
            answer: Told the value, or the error, on the scheduler's thread.
        """
        ...

    def when_idle(self, step: Callable[[], bool]) -> None:
        """Have the scheduler's thread call ``step`` whenever it would otherwise wait.

        ``step`` returns False when it had nothing to do.
        """
        ...


class Executor(Protocol):
    """Where users' code runs. It knows neither the engine nor another executor.

    One that cannot end calls that take too long says ``has_timeouts = False``; one that leaves
    coroutines to another executor names it in ``gives_coroutines_to``; one that finds calls again
    which an earlier process has begun says ``resumes = True``, and is told the keys of calls; one
    that sends calls to the workers of queues says ``routes = True``, and is told their routes. One
    that knows which calls no worker has begun tells it by ``queued(job_ids)``, from any thread.

    What runs functions elsewhere is made an executor by `taskgraph.executors.pooled`.
    """

    name: str

    def start(self, inbox: Inbox) -> None:
        """Get ready; called before the first ``submit`` of each execution.

        It may be called once more in the same execution, by another name of the executor: with the
        same inbox it changes nothing.
        """
        ...

    def submit(self, calls: Sequence[Call]) -> None:
        """Accept calls; each will have exactly one outcome, unless cancelled before it starts."""
        ...

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Drop those of the calls that have not started; returns which will have no outcome."""
        ...

    def stop(self, is_now: bool = False) -> None:
        """Let go of threads and processes, after the calls that run. Twice is once.

        Args:
            is_now: Do not wait for these calls: kill what can be killed.
        """
        ...


class CallQueue(Protocol):
    """Where a run puts calls for the workers of queues, and finds what came of them.

    Callable by any thread. What is put stays until it is withdrawn, or until the lease of its run
    is over.
    """

    def put(self, calls: Sequence[RoutedCall]) -> None:
        """Have calls be there for workers; one that is there already stays as it is."""
        ...

    def answers(self, execution_ids: Sequence[ExecutionId]) -> list[RoutedAnswer]:
        """Return what came of the calls of some runs, as long as they are there."""
        ...

    def look(self, execution_ids: Sequence[ExecutionId]) -> dict[str, bool]:
        """Return which calls of some runs are there, and whether a worker has taken each."""
        ...

    def withdraw(self, ids: Sequence[str], *, also_taken: bool) -> set[str]:
        """Take calls away; of those that a worker has taken only where that is wanted.

        Returns:
            Those that will have no answer.
        """
        ...

    def give_back_lost(self, execution_ids: Sequence[ExecutionId]) -> None:
        """Have calls of some runs wait again that workers have which are gone."""
        ...

    def served(self) -> set[str]:
        """Return the queues that living workers serve."""
        ...

    def close(self) -> None:
        """Let go of the connection. A second call does nothing."""
        ...


class Launcher(Protocol):
    """An executor that runs a whole command, which goes on when the process that asks has ended."""

    def launch(self, command: Command) -> str:
        """Have a command begin; returns at once.

        Returns:
            What to find it by: the number of a process, or of a job.
        """
        ...


class Observer(Protocol):
    """Who is told what happened; called on the scheduler's thread, in order."""

    def notify(self, event: Event) -> None:
        """Take note of an event. Must not raise and must not block."""
        ...
