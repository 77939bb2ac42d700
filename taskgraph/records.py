"""The plain data that crosses the border between the engine and a backend.

NamedTuples: cheap to make and ready for ``executemany``. Hashes and ids are 32 hex digits, times
are whole microseconds since 1970-01-01 UTC. The order of fields is the order of columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from taskgraph.hashing import (
    ArgsHash,
    CallHash,
    ContentDigest,
    EvalHash,
    TaskHash,
    ValueHash,
)
from taskgraph.tags import TagRecord
from taskgraph.values.stored import FileRecord, PackedValue, SubvalueRecord, ValueRecord
from taskgraph.values.valuestore import Outside

ExecutionId = NewType("ExecutionId", str)
JobId = NewType("JobId", str)
Micros = NewType("Micros", int)


class State(StrEnum):
    """The states of executions and jobs, as they are stored."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"


#: The states of what is on its way.
ACTIVE: Final = frozenset({State.SCHEDULED, State.PENDING, State.RUNNING})


def execution_lease(execution_id: ExecutionId) -> str:
    """Return the key of the lease that a running execution holds."""
    return f"execution:{execution_id}"


def assigned_holder(execution_id: ExecutionId, token: str) -> str:
    """Return by which name a worker holds the lease of an execution that it took.

    Each taking has a name of its own: who stood still while another one took it is no holder.
    """
    return f"{execution_id}:{token}"


def shown_host(host: str) -> str:
    """Return what people call the host of a lease, which says besides which machine that is."""
    return host.partition("/")[0]


def is_assigned(holder: str) -> bool:
    """Tell whether leases that are held by some name are of what a worker took."""
    return ":" in holder


_REVOKED: Final = ":revoked"


def revoked_holder(holder: str) -> str:
    """Return by which name leases are held that were taken from who held them, and lives.

    That one finds that they are none of its own, and nobody has them before it has ended.
    """
    return holder if is_revoked(holder) else f"{holder}{_REVOKED}"


def is_revoked(holder: str) -> bool:
    """Tell whether leases were taken from who held them."""
    return holder.endswith(_REVOKED)


def execution_of_holder(holder: str) -> str:
    """Return the execution that holds leases by some name."""
    return holder.partition(":")[0]


#: The key of the lease of who leads all calls: while a run is alone it writes down no others.
ALL_CALLS: Final = "calls"
#: The key of the lease of who asks the one above to say which calls it leads in truth.
CALLS_WANTED: Final = "calls:wanted"


def call_lease(eval_hash: EvalHash) -> str:
    """Return the key of the lease of who runs a call."""
    return f"call:{eval_hash}"


def is_call_lease(key: str) -> bool:
    """Tell whether a key is that of the lease of a call."""
    return key.startswith("call:")


_SERVER: Final = "server:"


def server_lease(holder: str) -> str:
    """Return the key of the lease of a process that runs calls of queues."""
    return f"{_SERVER}{holder}"


def is_server_lease(key: str) -> bool:
    """Tell whether a key is that of the lease of a process that runs calls of queues."""
    return key.startswith(_SERVER)


#: What keys of leases begin with that say which queues are served.
SERVING: Final = "serving:"


def serving_lease(holder: str, queue: str) -> str:
    """Return the key of the lease of a process that serves a queue."""
    return f"{SERVING}{holder}:{queue}"


def queue_of_lease(key: str) -> str:
    """Return the queue that a lease says to be served."""
    return key.split(":", 2)[2]


def stuck_lease(holder: str) -> str:
    """Return the key of the lease of who does nothing but wait for calls of others."""
    return f"stuck:{holder}"


class Submission(NamedTuple):
    """What is run and was asked for: the last fields of the record of an execution.

    Where somebody has created the execution before, what he said stays.
    """

    name: str = ""
    entrypoint: str = ""
    parameters: str = "{}"
    snapshot_hash: ValueHash | None = None
    created_at: Micros | None = None


class ExecutionRecord(NamedTuple):
    """One run of a root expression; ``args`` is the command line as a JSON list."""

    id: ExecutionId
    args: str
    job_id: JobId | None
    updated_time: Micros | None
    state_type: State
    state_time: Micros
    environment_hash: ValueHash | None
    name: str = ""
    entrypoint: str = ""
    parameters: str = "{}"
    snapshot_hash: ValueHash | None = None
    created_at: Micros | None = None


class JobRecord(NamedTuple):
    """One call in one execution, however often its body was tried.

    ``miss`` says why it ran although a result might have been there (or that a result of earlier
    code was used: the reason ``EARLIER``): JSON with a ``reason`` (the name of an
    ``engine.cache.Reason``) and a ``detail``; None if nothing was recorded of its call.
    """

    id: JobId
    execution_id: ExecutionId
    parent_id: JobId | None
    task_hash: TaskHash
    eval_hash: EvalHash | None
    call_hash: CallHash | None
    start_time: Micros
    end_time: Micros | None
    cached: bool
    state_type: State
    miss: str | None = None


class CallNodeRecord(NamedTuple):
    """What was computed: a task on arguments gave a result."""

    call_hash: CallHash
    eval_hash: EvalHash
    task_name: str
    task_hash: TaskHash
    args_hash: ArgsHash
    value_hash: ValueHash
    timestamp: Micros


class CallEdgeRecord(NamedTuple):
    """A call and its child call, in order."""

    parent_id: CallHash
    child_id: CallHash
    call_order: int


class ArgumentRecord(NamedTuple):
    """One argument of a call: a parameter has position and key, ``*args`` only the former."""

    arg_hash: str
    call_hash: CallHash
    value_hash: ValueHash
    arg_position: int | None
    arg_key: str | None


class ArgumentResultRecord(NamedTuple):
    """The call that an argument's value came from."""

    arg_hash: str
    result_call_hash: CallHash


class SubtreeTaskRecord(NamedTuple):
    """A task that ran in a call or anywhere below it."""

    call_hash: CallHash
    task_hash: TaskHash


class EvaluationRecord(NamedTuple):
    """A cache entry: what a single reduction of a call gave."""

    eval_hash: EvalHash
    task_hash: TaskHash
    args_hash: ArgsHash
    value_hash: ValueHash
    timestamp: Micros


class TaskRecord(NamedTuple):
    """A task's code at one time."""

    hash: TaskHash
    name: str
    namespace: str
    source: str


class PartRecord(NamedTuple):
    """A piece of code or a constant that counts in a task's hash."""

    part_hash: str
    kind: str
    name: str
    source: str


class TaskPartRecord(NamedTuple):
    """A part and the task that it counts for."""

    task_hash: TaskHash
    part_hash: str


class TaskAliasRecord(NamedTuple):
    """An earlier version of a task, whose results count for a later one as well.

    A row is never deleted: one that has an ``end_time`` says that they do not count any more.
    """

    old_hash: TaskHash
    new_hash: TaskHash
    timestamp: Micros
    old_name: str
    new_name: str
    author: str
    why: str
    end_time: Micros | None = None
    end_author: str | None = None


class CallContextRecord(NamedTuple):
    """A value of the context that was read in a call or below it."""

    call_hash: CallHash
    path: str
    value_hash: ValueHash


class HandleRecord(NamedTuple):
    """A state of a handle; one that is known already stays as valid as it is."""

    hash: str
    fullname: str
    key: str
    value_hash: ValueHash


class HandleEdgeRecord(NamedTuple):
    """A state of a handle and one that came from it."""

    parent_id: str
    child_id: str


class HandleRollbackRecord(NamedTuple):
    """A call begins with a state of a handle: what came from it before is not valid any more."""

    hash: str


class HandleSweepRecord(NamedTuple):
    """A call begins with a branch of a handle: what came from any branch of it is not valid."""

    hash: str


class HandleReachedRecord(NamedTuple):
    """The service is in a state: it is valid, whatever it was before."""

    hash: str


HandleStep = (
    HandleRecord | HandleEdgeRecord | HandleRollbackRecord | HandleSweepRecord | HandleReachedRecord
)


#: How long a lease lives without a heartbeat: seconds.
LEASE_SECONDS: Final = 30.0
#: How many workers may be lost with an execution before no other one is given it.
MAX_LOSSES: Final = 3


class LeaseRecord(NamedTuple):
    """A claim on ``key`` by a living process; ``started`` is the start time of that process."""

    key: str
    holder: str
    host: str
    pid: int
    started: Micros
    expires: Micros


class HeldLeaseRecord(NamedTuple):
    """A lease that the holder must still have, or nothing is written."""

    key: str
    holder: str


class LeaseEndRecord(NamedTuple):
    """A lease that is given back, if the holder still has it."""

    key: str
    holder: str


class OutputRecord(NamedTuple):
    """The content that an execution which ends has made of the dataset that it writes."""

    execution_id: ExecutionId
    value_hash: ValueHash


class JobQueueRecord(NamedTuple):
    """The queue of a job, of those that are of one by what was said."""

    queue: str
    job_id: JobId


class RoutedCall(NamedTuple):
    """A call on its way to the workers of a queue.

    Attributes:
        id: What it is withdrawn by.
        execution_id: Whose lease says that somebody waits for it: the execution's, or of a run
            below a job an id of its own, which no execution has.
        parcel: The call as it travels.
    """

    id: str
    execution_id: ExecutionId
    job_id: JobId
    queue: str
    task_name: str
    parcel: bytes


class RoutedAnswer(NamedTuple):
    """What came of a call that was sent to the workers of a queue.

    Attributes:
        id: The call.
        answer: What a worker said; None if each that took the call died of it.
        losses: How many have died.
    """

    id: str
    answer: bytes | None
    losses: int


class TakenCall(NamedTuple):
    """A call that a worker has taken.

    Attributes:
        id: What it is answered by.
        losses: How many workers that had taken it before have died.
        parcel: The call as it travels.
    """

    id: str
    queue: str
    task_name: str
    losses: int
    parcel: bytes


@dataclass(slots=True)
class RecordBatch:
    """All rows of one transaction.

    Content-addressed rows that exist are left alone; evaluations, executions, jobs and task aliases
    are upserted (a later row with the same key replaces the earlier one). Of ``handles`` the order
    counts: each is a step that is done to what the steps before it left. What is ``released`` is so
    with all else: nobody sees a call that is free and has no result yet. Of a run that a worker
    has, nothing is written once it has lost what is ``held``.
    """

    values: list[ValueRecord] = field(default_factory=list)
    subvalues: list[SubvalueRecord] = field(default_factory=list)
    files: list[FileRecord] = field(default_factory=list)
    tasks: list[TaskRecord] = field(default_factory=list)
    parts: list[PartRecord] = field(default_factory=list)
    task_parts: list[TaskPartRecord] = field(default_factory=list)
    call_nodes: list[CallNodeRecord] = field(default_factory=list)
    call_edges: list[CallEdgeRecord] = field(default_factory=list)
    arguments: list[ArgumentRecord] = field(default_factory=list)
    argument_results: list[ArgumentResultRecord] = field(default_factory=list)
    subtree_tasks: list[SubtreeTaskRecord] = field(default_factory=list)
    call_contexts: list[CallContextRecord] = field(default_factory=list)
    evaluations: list[EvaluationRecord] = field(default_factory=list)
    executions: list[ExecutionRecord] = field(default_factory=list)
    jobs: list[JobRecord] = field(default_factory=list)
    job_queues: list[JobQueueRecord] = field(default_factory=list)
    tags: list[TagRecord] = field(default_factory=list)
    task_aliases: list[TaskAliasRecord] = field(default_factory=list)
    handles: list[HandleStep] = field(default_factory=list)
    released: list[LeaseEndRecord] = field(default_factory=list)
    # What executions that end with this batch have made of the datasets that they write.
    outputs: list[OutputRecord] = field(default_factory=list)
    # Executions of groups that end with this batch.
    grouped: list[ExecutionId] = field(default_factory=list)
    held: list[HeldLeaseRecord] = field(default_factory=list)


class CacheQuery(NamedTuple):
    """A question to the cache: ``shallow`` asks for whole calls as well."""

    eval_hash: EvalHash
    shallow: bool = False


class StoredResult(NamedTuple):
    """A value as it was found in the store, not yet decoded and not yet checked.

    ``value`` is where a large value's bytes are, if these are not in its row.
    """

    value_hash: ValueHash
    type: str
    format: str
    value: bytes | Outside
    content_digest: ContentDigest


class EvaluationFound(NamedTuple):
    """The single reduction of a call.

    ``call_hash`` is that of the newest recorded call node with the same eval_hash, if there is one:
    a call that turns out to be this very one needs no second writing.
    """

    result: StoredResult
    timestamp: Micros
    call_hash: CallHash | None


class CallFound(NamedTuple):
    """A whole call: its final value, the tasks in it and below, and what was read of its context.

    Attributes:
        reads: Paths of the context, with the hashes of the values there.
    """

    call_hash: CallHash
    result: StoredResult
    timestamp: Micros
    subtree_tasks: frozenset[TaskHash]
    reads: tuple[tuple[str, ValueHash], ...] = ()


class RetractedFound(NamedTuple):
    """That what is recorded of a cache key is not to be used.

    Attributes:
        id: The retraction: the newest, of several.
        reason: Why.
        by: Who said so.
        at: When, as text.
        calls: All calls of the key that were retracted.
    """

    id: str
    reason: str
    by: str
    at: str
    calls: frozenset[CallHash] = frozenset()


class CacheAnswer(NamedTuple):
    """What the backend knows of one eval_hash; ``calls`` are newest first, for shallow queries.

    ``offered`` says where a result came from that is not trusted, if there is no other one;
    ``retracted`` that there was one which is not to be used any more.
    """

    evaluation: EvaluationFound | None
    calls: tuple[CallFound, ...] = ()
    offered: str | None = None
    retracted: RetractedFound | None = None


class TaskVersion(NamedTuple):
    """A task's code at one time, and what is known of its calls.

    Attributes:
        last_time: When a call of it was last asked for here, cached or not; None if never.
        seconds: How long a call of it usually took in its own function, if any is known.
        makes_calls: Whether calls of it made child calls.
        origin: Where the code came from, if that is elsewhere and it is not trusted.
    """

    hash: TaskHash
    fullname: str
    last_time: Micros | None
    seconds: float | None
    makes_calls: bool
    origin: str | None = None


class PastBelow(NamedTuple):
    """The calls of one task that were made below another call, and how long they took in all."""

    task: str
    calls: int
    seconds: float


class BelowVersion(NamedTuple):
    """The calls of one version of a task below another call, and how long they took in all."""

    task: str
    task_hash: TaskHash
    calls: int
    seconds: float


class PastCall(NamedTuple):
    """A call as it was made the last time.

    Attributes:
        seconds: How long its own function took, if that is known.
        size: How many bytes its result has as it is stored.
        below: The calls below it, at any depth.
    """

    call_hash: CallHash
    task_hash: TaskHash
    timestamp: Micros
    seconds: float | None
    size: int
    below: tuple[PastBelow, ...]


class RecordedCall(NamedTuple):
    """A call with its arguments and what its body returned, so that it can be made again."""

    call_hash: CallHash
    eval_hash: EvalHash
    arguments: tuple[ArgumentRecord, ...]
    result: StoredResult


__all__ = [
    "ACTIVE",
    "ALL_CALLS",
    "CALLS_WANTED",
    "ArgumentRecord",
    "ArgumentResultRecord",
    "BelowVersion",
    "CacheAnswer",
    "CacheQuery",
    "CallContextRecord",
    "CallEdgeRecord",
    "CallFound",
    "CallNodeRecord",
    "EvaluationFound",
    "EvaluationRecord",
    "ExecutionId",
    "ExecutionRecord",
    "FileRecord",
    "HandleEdgeRecord",
    "HandleReachedRecord",
    "HandleRecord",
    "HandleRollbackRecord",
    "HandleStep",
    "HandleSweepRecord",
    "HeldLeaseRecord",
    "JobId",
    "JobQueueRecord",
    "JobRecord",
    "LeaseEndRecord",
    "LeaseRecord",
    "Micros",
    "OutputRecord",
    "PackedValue",
    "PartRecord",
    "PastBelow",
    "PastCall",
    "RecordBatch",
    "RecordedCall",
    "RetractedFound",
    "RoutedAnswer",
    "RoutedCall",
    "State",
    "StoredResult",
    "Submission",
    "SubtreeTaskRecord",
    "SubvalueRecord",
    "TagRecord",
    "TakenCall",
    "TaskAliasRecord",
    "TaskPartRecord",
    "TaskRecord",
    "TaskVersion",
    "ValueRecord",
    "assigned_holder",
    "call_lease",
    "execution_lease",
    "execution_of_holder",
    "is_assigned",
    "is_call_lease",
    "is_revoked",
    "is_server_lease",
    "revoked_holder",
    "shown_host",
    "stuck_lease",
]
