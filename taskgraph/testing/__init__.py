"""What tests of workflows and of plugs need: a backend in memory, an observer and a clock.

`MemoryBackend` is held to the same contract as the database, references between rows included.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from taskgraph.errors import DatabaseError
from taskgraph.events import Event
from taskgraph.hashing import CallHash, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    ALL_CALLS,
    CALLS_WANTED,
    ArgumentRecord,
    ArgumentResultRecord,
    BelowVersion,
    CacheAnswer,
    CacheQuery,
    CallEdgeRecord,
    CallFound,
    CallNodeRecord,
    EvaluationFound,
    EvaluationRecord,
    ExecutionId,
    ExecutionRecord,
    FileRecord,
    HandleEdgeRecord,
    HandleReachedRecord,
    HandleRecord,
    HandleRollbackRecord,
    HandleStep,
    HandleSweepRecord,
    JobId,
    JobRecord,
    LeaseEndRecord,
    LeaseRecord,
    Micros,
    PartRecord,
    PastBelow,
    PastCall,
    RecordBatch,
    RecordedCall,
    State,
    StoredResult,
    SubtreeTaskRecord,
    SubvalueRecord,
    TagRecord,
    TaskAliasRecord,
    TaskPartRecord,
    TaskRecord,
    TaskVersion,
    ValueRecord,
    is_call_lease,
)
from taskgraph.values.failures import ERROR_TYPE
from taskgraph.values.stored import UNSTORED
from taskgraph.values.valuestore import ValueStore, locate

EventType = TypeVar("EventType", bound=Event)


def system_clock() -> Micros:
    """Return the time now, in whole microseconds since 1970."""
    return Micros(time.time_ns() // 1000)


class FixedClock:
    """A clock that stands still until it is told otherwise: call it for the time."""

    def __init__(self, now: int = 1_700_000_000_000_000) -> None:
        self.now = Micros(now)

    def __call__(self) -> Micros:
        """Return the time, in whole microseconds since 1970."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Micros(self.now + round(seconds * 1_000_000))


class RecordingObserver:
    """An observer that keeps what it was told, in order, in `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Take note of an event."""
        self.events.append(event)

    def of(self, kind: type[EventType]) -> list[EventType]:
        """Return the events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


class _Reference(NamedTuple):
    """A row's reference to another one, by table and key."""

    table: str
    key: object


class MemoryBackend:
    """The backend port in dictionaries, which tests may look into: one for each table.

    Args:
        clock: Gives the time by which leases expire.
        is_gone: Tells whether the process that holds a lease has ended.

    Attributes:
        value_store: Where large values are kept; None, and all have their bytes here.
    """

    def __init__(
        self,
        clock: Callable[[], Micros] = system_clock,
        is_gone: Callable[[LeaseRecord], bool] = lambda lease: False,
    ) -> None:
        self.value_store: ValueStore | None = None
        self.values: dict[ValueHash, ValueRecord] = {}
        self.subvalues: dict[SubvalueRecord, SubvalueRecord] = {}
        self.files: dict[ValueHash, FileRecord] = {}
        self.tasks: dict[TaskHash, TaskRecord] = {}
        self.parts: dict[str, PartRecord] = {}
        self.task_parts: dict[TaskPartRecord, TaskPartRecord] = {}
        self.call_nodes: dict[CallHash, CallNodeRecord] = {}
        self.call_edges: dict[CallEdgeRecord, CallEdgeRecord] = {}
        self.arguments: dict[str, ArgumentRecord] = {}
        self.argument_results: dict[ArgumentResultRecord, ArgumentResultRecord] = {}
        self.subtree_tasks: dict[SubtreeTaskRecord, SubtreeTaskRecord] = {}
        self.evaluations: dict[EvalHash, EvaluationRecord] = {}
        self.executions: dict[ExecutionId, ExecutionRecord] = {}
        self.jobs: dict[JobId, JobRecord] = {}
        self.tags: dict[str, TagRecord] = {}
        self.task_aliases: dict[tuple[TaskHash, TaskHash, Micros], TaskAliasRecord] = {}
        self.leases: dict[str, LeaseRecord] = {}
        self.handles: dict[str, HandleRecord] = {}
        self.handle_edges: dict[HandleEdgeRecord, HandleEdgeRecord] = {}
        self.valid_handles: set[str] = set()
        self._calls_of: dict[EvalHash, list[CallNodeRecord]] = {}
        self._tasks_of: dict[CallHash, set[TaskHash]] = {}
        self._reads_of: dict[CallHash, dict[str, ValueHash]] = {}
        self._damaged: set[ValueHash] = set()
        self._clock = clock
        self._is_gone = is_gone
        # Heartbeats come from a thread of their own.
        self._lock = threading.Lock()
        self._is_closed = False

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        """Answer all questions at once, in their order."""
        self._check_open()
        return [
            CacheAnswer(self._evaluation(key), self._calls(key) if shallow else ())
            for key, shallow in queries
        ]

    def find_retracted(self, calls: Sequence[CallHash]) -> set[CallHash]:
        """Return nothing: what is kept in memory is not managed."""
        return set()

    def count_retractions(self) -> int:
        """Return 0: nothing was ever retracted."""
        return 0

    def pass_retractions_on(self, execution_id: ExecutionId) -> None:
        """Do nothing: no call was retracted."""

    def record(self, batch: RecordBatch) -> None:
        """Keep all rows of a batch, or none.

        Raises:
            DatabaseError: A row refers to one that does not exist.
        """
        self._check_open()
        self._check_references(batch)
        for value in batch.values:
            old = self.values.get(value.value_hash)
            is_damaged = value.value_hash in self._damaged
            is_stored_now = old is not None and old.format == UNSTORED != value.format
            is_ours = old is None or (value.trusted and not old.trusted)
            if is_ours or is_damaged or is_stored_now:
                self.values[value.value_hash] = value
                self._damaged.discard(value.value_hash)
        _keep(self.subvalues, ((row, row) for row in batch.subvalues))
        _keep(self.files, ((row.value_hash, row) for row in batch.files))
        _keep(self.tasks, ((row.hash, row) for row in batch.tasks))
        _keep(self.parts, ((row.part_hash, row) for row in batch.parts))
        _keep(self.task_parts, ((row, row) for row in batch.task_parts))
        for node in batch.call_nodes:
            if node.call_hash not in self.call_nodes:
                self.call_nodes[node.call_hash] = node
                self._calls_of.setdefault(node.eval_hash, []).append(node)
        _keep(self.call_edges, ((row, row) for row in batch.call_edges))
        _keep(self.arguments, ((row.arg_hash, row) for row in batch.arguments))
        _keep(self.argument_results, ((row, row) for row in batch.argument_results))
        for row in batch.subtree_tasks:
            self.subtree_tasks[row] = row
            self._tasks_of.setdefault(row.call_hash, set()).add(row.task_hash)
        for read in batch.call_contexts:
            self._reads_of.setdefault(read.call_hash, {})[read.path] = read.value_hash
        self.evaluations.update((row.eval_hash, row) for row in batch.evaluations)
        self.executions.update((row.id, row) for row in batch.executions)
        self.jobs.update((row.id, row) for row in batch.jobs)
        _keep(self.tags, ((row.tag_hash, row) for row in batch.tags))
        self.task_aliases.update((row[:3], row) for row in batch.task_aliases)
        for step in batch.handles:
            self._take_step(step)
        with self._lock:
            self._release(batch.released)

    def load_values(self, value_hashes: Sequence[ValueHash]) -> dict[ValueHash, StoredResult]:
        """Return the stored values that exist under these hashes."""
        self._check_open()
        known = self.values.keys() - self._damaged
        return {key: self._stored(key) for key in value_hashes if key in known}

    def find_recorded(self, values: Sequence[ValueHash], calls: Sequence[CallHash]) -> set[str]:
        """Return those of some values and calls which a batch that has them would leave alone."""
        self._check_open()
        whole = {
            key
            for key in self.values.keys() & set(values) - self._damaged
            if self.values[key].trusted and self.values[key].format != UNSTORED
        }
        return whole | (self.call_nodes.keys() & set(calls))

    def find_valid_handles(self, hashes: Sequence[str]) -> set[str]:
        """Return those of the states of handles that are recorded and still valid."""
        self._check_open()
        return self.valid_handles.intersection(hashes)

    def _take_step(self, step: HandleStep) -> None:
        match step:
            case HandleRecord() if step.hash not in self.handles:
                self.handles[step.hash] = step
                self.valid_handles.add(step.hash)
            case HandleRecord():
                pass
            case HandleEdgeRecord():
                self.handle_edges[step] = step
            case HandleRollbackRecord():
                self.valid_handles -= self._handles_below({step.hash})
            case HandleSweepRecord():
                children = {e.child_id for e in self.handle_edges if e.parent_id == step.hash}
                forks = {each for each in children if self.handles[each].key.startswith("#")}
                self.valid_handles -= forks | self._handles_below(forks)
            case HandleReachedRecord():
                self.valid_handles |= {step.hash} & self.handles.keys()

    def find_handles_below(self, hashes: Sequence[str]) -> set[str]:
        """Return all states that came from some states of handles, valid or not."""
        self._check_open()
        return self._handles_below(hashes)

    def find_handles_above(self, hashes: Sequence[str]) -> set[str]:
        """Return all states that some came from, back to the nearest branches that users named."""
        self._check_open()
        above: set[str] = set()
        waiting = set(hashes)
        while waiting:
            above |= waiting
            keys = {each: self.handles[each].key for each in waiting if each in self.handles}
            open_ = {e for e, key in keys.items() if key in {"", "merged"} or key.startswith("#")}
            waiting = {e.parent_id for e in self.handle_edges if e.child_id in open_} - above
        return above - set(hashes)

    def _handles_below(self, hashes: Iterable[str]) -> set[str]:
        below: set[str] = set()
        waiting = set(hashes)
        while waiting:
            waiting = {e.child_id for e in self.handle_edges if e.parent_id in waiting} - below
            below |= waiting
        return below

    def load_aliases(self) -> list[TaskAliasRecord]:
        """Return all aliases of tasks, those that ended too, oldest first."""
        self._check_open()
        rows = self.task_aliases.values()
        return sorted(rows, key=lambda row: (row.timestamp, row.old_hash, row.new_hash))

    def find_versions(self, wanted: Sequence[str]) -> dict[str, list[TaskVersion]]:
        """Return the recorded versions of tasks, last run first.

        Args:
            wanted: Full names; where there is none, first digits of hashes.
        """
        self._check_open()
        return {each: self._versions(each) for each in wanted}

    def find_past(self, eval_hashes: Sequence[EvalHash]) -> dict[EvalHash, PastCall]:
        """Return the newest whole call of each cache key that has one."""
        self._check_open()
        newest = {
            key: max(calls, key=lambda call: (call.timestamp, -int(call.call_hash, 16)))
            for key in eval_hashes
            if (calls := self._calls_of.get(key))
        }
        return {key: self._past(call) for key, call in newest.items()}

    def find_below(self, task_hash: TaskHash, count: int) -> list[tuple[BelowVersion, ...]]:
        """Return what calls of a version made at any depth, of those that made any, newest first.

        Of the calls with one cache key only the newest counts.
        """
        self._check_open()
        newest: dict[EvalHash, CallNodeRecord] = {}
        for call in sorted(self.call_nodes.values(), key=lambda c: (-c.timestamp, c.call_hash)):
            if call.task_hash == task_hash:
                newest.setdefault(call.eval_hash, call)
        answer: list[tuple[BelowVersion, ...]] = []
        for call in newest.values():
            by_version: dict[tuple[str, TaskHash], list[CallHash]] = {}
            for call_hash in self._all_below(call.call_hash):
                made = self.call_nodes[call_hash]
                by_version.setdefault((made.task_name, made.task_hash), []).append(call_hash)
            if by_version and len(answer) < count:
                answer.append(
                    tuple(
                        BelowVersion(*key, len(calls), sum(self._seconds(c) or 0.0 for c in calls))
                        for key, calls in sorted(by_version.items())
                    )
                )
        return answer

    def sample_calls(self, task_hash: TaskHash, count: int) -> list[RecordedCall]:
        """Return calls of a version that may be made again: the same ones each time."""
        self._check_open()
        samples: dict[EvalHash, RecordedCall] = {}
        for call in sorted(self.call_nodes.values(), reverse=True):
            evaluation = self.evaluations.get(call.eval_hash)
            if call.task_hash != task_hash or evaluation is None:
                continue
            is_error = self.values[call.value_hash].type == ERROR_TYPE
            if not is_error and evaluation.value_hash not in self._damaged:
                samples[call.eval_hash] = self._sample(call, evaluation)
        return [samples[key] for key in sorted(samples)][:count]

    def discard_values(self, value_hashes: Sequence[ValueHash]) -> None:
        """Mark stored values as damaged: they are found no more, and replaced when made again."""
        self._check_open()
        self._damaged.update(value_hashes)

    def close_jobs(self, execution_id: ExecutionId, end: Micros) -> int:
        """Mark the jobs of an execution CANCELLED that still are RUNNING; returns how many."""
        self._check_open()
        with self._lock:
            running = [
                job
                for job in self.jobs.values()
                if job.execution_id == execution_id
                and job.state_type in (State.RUNNING, State.PENDING)
            ]
            for job in running:
                end_time = max(job.start_time, end)
                self.jobs[job.id] = job._replace(state_type=State.CANCELLED, end_time=end_time)
            return len(running)

    def take(self, leases: Sequence[LeaseRecord]) -> list[LeaseRecord | None]:
        """Take each lease that is free, expired, or whose holder on this host is gone.

        Returns:
            For each lease, None if it was taken, else the lease that is in the way.
        """
        self._check_open()
        with self._lock:
            answers: list[LeaseRecord | None] = []
            for lease in leases:
                in_the_way = self._in_the_way(lease)
                if in_the_way is None:
                    self.leases[lease.key] = lease
                elif in_the_way.key == ALL_CALLS:
                    wish = lease._replace(key=CALLS_WANTED)
                    if self._in_the_way(wish) is None:
                        self.leases[wish.key] = wish
                answers.append(in_the_way)
            return answers

    def _in_the_way(self, lease: LeaseRecord) -> LeaseRecord | None:
        others = [lease.key]
        if is_call_lease(lease.key):
            others.append(ALL_CALLS)
        elif lease.key == ALL_CALLS:
            others += filter(is_call_lease, self.leases)
        for key in others:
            other = self.leases.get(key)
            if other is not None and other.holder != lease.holder and self._is_alive(other):
                return other
        return None

    def _is_alive(self, lease: LeaseRecord) -> bool:
        return lease.expires >= self._clock() and not self._is_gone(lease)

    def find_leases(self, keys: Sequence[str]) -> dict[str, LeaseRecord]:
        """Return those of the leases that living processes hold. Callable by any thread."""
        self._check_open()
        with self._lock:
            found = [self.leases[key] for key in keys if key in self.leases]
            return {lease.key: lease for lease in found if self._is_alive(lease)}

    def clock(self) -> Micros:
        """Return the time by which leases expire. Callable by any thread."""
        return self._clock()

    def version(self) -> int | None:
        """Return None: nobody counts."""
        return None

    def heartbeat(self, holder: str, expires: Micros) -> int:
        """Prolong all leases of a holder; returns how many it still has. Callable by any thread."""
        self._check_open()
        with self._lock:
            held = [lease for lease in self.leases.values() if lease.holder == holder]
            for lease in held:
                self.leases[lease.key] = lease._replace(expires=expires)
            return len(held)

    def release(self, holder: str, keys: Sequence[str]) -> None:
        """Give leases back; those that the holder does not have are left alone."""
        self._check_open()
        with self._lock:
            self._release(LeaseEndRecord(key, holder) for key in keys)

    def _release(self, ended: Iterable[LeaseEndRecord]) -> None:
        for key, holder in ended:
            lease = self.leases.get(key)
            if lease is not None and lease.holder == holder:
                del self.leases[key]

    def close(self) -> None:
        """Refuse all further questions. A second call does nothing."""
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise DatabaseError("memory", "it is closed")

    def _stored(self, value_hash: ValueHash) -> StoredResult:
        value = self.values[value_hash]
        content = locate(value.value, value.content_digest, self.value_store)
        return StoredResult(
            value.value_hash, value.type, value.format, content, value.content_digest
        )

    def _versions(self, wanted: str) -> list[TaskVersion]:
        found = [each for each in self.tasks.values() if _fullname(each) == wanted]
        if not found and _is_prefix(wanted):
            found = [each for each in self.tasks.values() if each.hash.startswith(wanted.lower())]
        versions = [self._version(each) for each in found]
        return sorted(versions, key=lambda each: (-(each.last_time or 0), each.hash))

    def _version(self, task: TaskRecord) -> TaskVersion:
        calls = [each.call_hash for each in self.call_nodes.values() if each.task_hash == task.hash]
        known = set(calls)
        times = [each.start_time for each in self.jobs.values() if each.call_hash in known]
        seconds = [taken for each in calls if (taken := self._seconds(each)) is not None]
        return TaskVersion(
            task.hash,
            _fullname(task),
            max(times, default=None),
            sum(seconds) / len(seconds) if seconds else None,
            any(edge.parent_id in known for edge in self.call_edges),
        )

    def _seconds(self, call_hash: CallHash) -> float | None:
        taken = [
            (job.start_time, (job.end_time - job.start_time) / 1e6)
            for job in self.jobs.values()
            if job.call_hash == call_hash and not job.cached and job.end_time is not None
        ]
        return max(taken)[1] if taken else None

    def _all_below(self, call_hash: CallHash) -> set[CallHash]:
        children: dict[CallHash, list[CallHash]] = {}
        for edge in self.call_edges:
            children.setdefault(edge.parent_id, []).append(edge.child_id)
        below: set[CallHash] = set()
        waiting = [call_hash]
        while waiting:
            new = set(children.get(waiting.pop(), ())) - below
            below |= new
            waiting += new
        return below

    def _past(self, call: CallNodeRecord) -> PastCall:
        below = self._all_below(call.call_hash)
        by_task: dict[str, list[CallHash]] = {}
        for call_hash in below:
            by_task.setdefault(self.call_nodes[call_hash].task_name, []).append(call_hash)
        return PastCall(
            call.call_hash,
            call.task_hash,
            call.timestamp,
            self._seconds(call.call_hash),
            self.values[call.value_hash].size,
            tuple(
                PastBelow(name, len(calls), sum(self._seconds(each) or 0.0 for each in calls))
                for name, calls in sorted(by_task.items())
            ),
        )

    def _sample(self, call: CallNodeRecord, evaluation: EvaluationRecord) -> RecordedCall:
        arguments = [each for each in self.arguments.values() if each.call_hash == call.call_hash]
        arguments.sort(
            key=lambda each: (each.arg_position is None, each.arg_position or 0, each.arg_key or "")
        )
        result = self._stored(evaluation.value_hash)
        return RecordedCall(call.call_hash, call.eval_hash, tuple(arguments), result)

    def _evaluation(self, eval_hash: EvalHash) -> EvaluationFound | None:
        found = self.evaluations.get(eval_hash)
        if found is None or found.value_hash in self._damaged:
            return None
        calls = self._calls_of.get(eval_hash, ())
        newest = max(
            calls, key=lambda c: (c.value_hash == found.value_hash, c.timestamp), default=None
        )
        known = newest.call_hash if newest is not None else None
        return EvaluationFound(self._stored(found.value_hash), found.timestamp, known)

    def _calls(self, eval_hash: EvalHash) -> tuple[CallFound, ...]:
        calls = sorted(
            self._calls_of.get(eval_hash, ()), key=lambda call: (-call.timestamp, call.call_hash)
        )
        return tuple(
            CallFound(
                call.call_hash,
                self._stored(call.value_hash),
                call.timestamp,
                frozenset({call.task_hash, *self._tasks_of.get(call.call_hash, ())}),
                tuple(sorted(self._reads_of.get(call.call_hash, {}).items())),
            )
            for call in calls
            if call.value_hash not in self._damaged
        )

    def _check_references(self, batch: RecordBatch) -> None:
        there: dict[str, tuple[Iterable[object], set[object]]] = {
            "value": (self.values, {row.value_hash for row in batch.values}),
            "task": (self.tasks, {row.hash for row in batch.tasks}),
            "part": (self.parts, {row.part_hash for row in batch.parts}),
            "call_node": (self.call_nodes, {row.call_hash for row in batch.call_nodes}),
            "argument": (self.arguments, {row.arg_hash for row in batch.arguments}),
            "execution": (self.executions, {row.id for row in batch.executions}),
            "job": (self.jobs, {row.id for row in batch.jobs}),
            "handle": (self.handles, {e.hash for e in batch.handles if type(e) is HandleRecord}),
        }
        for rows, reference in _references(batch):
            old, new = there[reference.table]
            if reference.key is not None and reference.key not in new and reference.key not in old:
                raise DatabaseError(
                    "memory",
                    "a row refers to one that does not exist. Nothing of the batch was written."
                    f" Missing: one of {rows} to {reference.table}.",
                )


# For each kind of row in a batch its columns that refer to a row elsewhere, and to which table.
_REFERENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "tasks": {"hash": "value"},
    "subvalues": {"parent_value_hash": "value", "value_hash": "value"},
    "files": {"value_hash": "value"},
    "task_parts": {"task_hash": "task", "part_hash": "part"},
    "call_nodes": {"task_hash": "task", "value_hash": "value"},
    "call_edges": {"parent_id": "call_node", "child_id": "call_node"},
    "arguments": {"call_hash": "call_node", "value_hash": "value"},
    "argument_results": {"arg_hash": "argument", "result_call_hash": "call_node"},
    "subtree_tasks": {"call_hash": "call_node", "task_hash": "task"},
    "call_contexts": {"call_hash": "call_node", "value_hash": "value"},
    "evaluations": {"task_hash": "task", "value_hash": "value"},
    "executions": {"environment_hash": "value"},
    "jobs": {
        "execution_id": "execution",
        "parent_id": "job",
        "task_hash": "task",
        "call_hash": "call_node",
    },
    "task_aliases": {"old_hash": "task", "new_hash": "task"},
}


def _references(batch: RecordBatch) -> Iterable[tuple[str, _Reference]]:
    """Give each reference of the rows of a batch, with the rows that it is in."""
    for rows, columns in _REFERENCES.items():
        for row in getattr(batch, rows):
            for column, table in columns.items():
                yield rows, _Reference(table, getattr(row, column))
    for step in batch.handles:
        if isinstance(step, HandleRecord):
            yield "handles", _Reference("value", step.value_hash)
        elif isinstance(step, HandleEdgeRecord):
            yield "handle_edges", _Reference("handle", step.parent_id)
            yield "handle_edges", _Reference("handle", step.child_id)


def _fullname(task: TaskRecord) -> str:
    return f"{task.namespace}.{task.name}" if task.namespace else task.name


def _is_prefix(text: str) -> bool:
    return 4 <= len(text) <= 32 and set(text.lower()) <= set("0123456789abcdef")


Key = TypeVar("Key")
Row = TypeVar("Row")


def _keep(table: dict[Key, Row], rows: Iterable[tuple[Key, Row]]) -> None:
    """Add rows whose keys are new; content-addressed rows that exist are left alone."""
    for key, row in rows:
        table.setdefault(key, row)


__all__ = ["FixedClock", "MemoryBackend", "RecordingObserver", "system_clock"]
