"""The desk: settled jobs become rows, and the rows of a while one transaction.

    before a body runs    pack_arguments    what it could change is encoded
    it returned           add_reduction     the evaluation, with the value as it was returned
    a call has ended      add_finished      the job; a new call, too: its node, children, arguments
    until then            announcing        a row for those that take long
    now and then          flush             all rows in one transaction

The loop flushes when it would otherwise wait, when the oldest row is `MAX_DELAY` old, and before a
result is given to the caller.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from taskgraph.engine.announcing import Announcing
from taskgraph.engine.jobs import Job, WeighedArgument
from taskgraph.engine.made import files_made
from taskgraph.engine.reduction import upstream_of
from taskgraph.expression import SchedulerExpression
from taskgraph.hashing import (
    ATOMIC_TYPES,
    CallHash,
    TaskHash,
    ValueHash,
    hash_argument,
    hash_record,
)
from taskgraph.ports import Backend
from taskgraph.records import (
    ACTIVE,
    ArgumentRecord,
    ArgumentResultRecord,
    CallContextRecord,
    CallEdgeRecord,
    CallNodeRecord,
    EvaluationRecord,
    ExecutionId,
    ExecutionRecord,
    HandleEdgeRecord,
    HandleReachedRecord,
    HandleRecord,
    HandleRollbackRecord,
    HandleSweepRecord,
    HeldLeaseRecord,
    JobId,
    JobQueueRecord,
    JobRecord,
    LeaseEndRecord,
    OutputRecord,
    PackedValue,
    PartRecord,
    RecordBatch,
    State,
    SubtreeTaskRecord,
    TaskPartRecord,
    TaskRecord,
)
from taskgraph.tags import tag_record
from taskgraph.tasks.context import NO_CONTEXT, RECOVERED, TOLD, handle_of_path, task_of_path
from taskgraph.tasks.registry import get_task_registry
from taskgraph.tasks.task import Task
from taskgraph.values.handles import Handle, with_parents
from taskgraph.values.pack import pack, pack_or_name
from taskgraph.values.weigh import Weight
from taskgraph.worker import now, pack_result

MAX_DELAY = 0.020  # seconds from a result to its commit
_FAILED = State.FAILED
_MANY_CHILDREN = 50  # of the root: with fewer, asking whether it is recorded is no gain
_REMEMBERED = 20_000  # values that are known to be in the store, not to be packed again


class Recorder:
    """Collects the rows of one execution and writes them batch by batch.

    Attributes:
        has_execution: Whether the execution was written down; without, nothing of it is.
        ended: How many jobs of each task have failed, were cached, or ran; those too that leave no
            rows.
        value_store: Where the bytes of large values go before their rows are added.
        announcing: Which jobs have a row before they have ended.
    """

    def __init__(
        self,
        backend: Backend,
        execution_id: ExecutionId,
        max_value_size: int | None,
        parent_id: JobId | None = None,
        held: Sequence[HeldLeaseRecord] = (),
    ) -> None:
        self._parent_id = parent_id
        self._held = held
        self._max_size = max_value_size
        self._backend = backend
        self.value_store = backend.value_store
        self._execution_id = execution_id
        self.has_execution = False
        self.ended: dict[str, list[int]] = {}
        self._batch = RecordBatch()
        self._jobs: dict[JobId, JobRecord] = {}
        self._values: dict[ValueHash, None] = {}
        self._tasks: set[TaskHash] = set()
        self.announcing = Announcing(self._show)
        self._shown = self.announcing.shown
        self._oldest: float | None = None

    # What is added

    def add_execution(self, execution: ExecutionRecord) -> None:
        """Add or replace the row of the execution."""
        self.has_execution = True
        self._batch.executions.append(execution)
        self._touch()

    def write_dataset(self, value: Any) -> None:
        """Have the dataset that the execution writes hold the files of its result, if it has any.

        Raises:
            ValueStoreError: There are so many that they go to the store, which cannot be written.
        """
        files = files_made(value)
        if not files:
            return
        packed = pack(files, store=self.value_store)
        self.add_value(packed)
        self._batch.outputs.append(OutputRecord(self._execution_id, packed.values[0].value_hash))
        self._touch()

    def end_in_group(self) -> None:
        """Have the group of the execution know that it ends with this batch."""
        self._batch.grouped.append(self._execution_id)
        self._touch()

    def add_value(self, packed: PackedValue) -> None:
        """Add a value with all that is inside it."""
        value_hash = packed.values[0].value_hash
        if value_hash in self._values:
            return
        batch = self._batch
        batch.values += packed.values
        if packed.subvalues:
            batch.subvalues += packed.subvalues
        if packed.files:
            batch.files += packed.files
        self._remember(value_hash)
        self._touch()

    def add_handles(self, found: Sequence[Handle]) -> None:
        """Add states of handles with all that they came from; what is recorded stays as it is."""
        steps = self._batch.handles
        for each in with_parents(found):
            state = each.__handle__
            value_hash = ValueHash(state.hash)
            if value_hash not in self._values:
                self.add_value(self._pack(each.recorded(), Weight(value_hash)))
            steps.append(HandleRecord(state.hash, state.fullname, state.key, value_hash))
            for parent in state.parents:
                steps.append(HandleEdgeRecord(parent.__handle__.hash, state.hash))
        self._touch()

    def sweep_handle(self, handle_hash: str) -> None:
        """Add that all states are left that calls came to from a handle, on any branch."""
        self._batch.handles.append(HandleSweepRecord(handle_hash))
        self._touch()

    def roll_back_handles(self, hashes: Sequence[str]) -> None:
        """Add that all states are left that came from some others."""
        self._batch.handles += [HandleRollbackRecord(each) for each in hashes]
        self._touch()

    def reach_handles(self, hashes: Sequence[str]) -> None:
        """Add that services are in some states."""
        self._batch.handles += [HandleReachedRecord(each) for each in hashes]
        self._touch()

    def add_task(self, task: Task[..., Any], task_hash: TaskHash) -> None:
        """Add a task's code, with its parts, once an execution."""
        if task_hash in self._tasks:
            return
        add_task_rows(self._batch, task, task_hash)
        self._tasks.add(task_hash)

    def know_task(self, task_hash: TaskHash) -> None:
        """Take note that a version of a task is recorded already."""
        self._tasks.add(task_hash)

    def add_reduction(self, job: Job, packed: PackedValue) -> None:
        """Add what the body of a call returned: from here on it need not run again."""
        assert job.eval_hash is not None and job.args_hash is not None
        self.add_task(job.task, job.task_hash)
        self.add_value(packed)
        self._batch.evaluations.append(
            EvaluationRecord(
                job.eval_hash, job.task_hash, job.args_hash, packed.values[0].value_hash, now()
            )
        )
        self._touch()

    def pack_result(self, value: Any) -> tuple[PackedValue | None, str | None]:
        """Hash and encode a result that was made here; or say why it cannot be stored."""
        return pack_result(value, self._max_size, self.value_store)

    def _pack(self, value: Any, weight: Weight) -> PackedValue:
        return pack_or_name(value, weight, self._max_size, self.value_store)

    def pack_arguments(self, job: Job) -> None:
        """Encode what a body could change in place, before it has the chance to."""
        if not job.is_recorded:
            return
        if job.owner is None:
            self._know_arguments(job)
        for argument in job.arguments:
            weight = argument.weight
            if argument.is_stored or weight is None or type(argument.value) in ATOMIC_TYPES:
                continue
            if argument.packed is None and weight.value_hash not in self._values:
                argument.packed = self._pack(argument.value, weight)

    def _know_arguments(self, job: Job) -> None:
        """Find out which arguments of the root are recorded: often there are thousands of calls.

        Of all other calls that run the arguments are new, or came from others that ran before.
        """
        weights = [each.weight for each in job.arguments if type(each.value) not in ATOMIC_TYPES]
        hashes = [each.value_hash for each in weights if each is not None]
        if hashes:
            recorded = self._backend.find_recorded(hashes, ())
            self._values.update((key, None) for key in hashes if key in recorded)

    def add_finished(self, job: Job, state: State) -> None:
        """Add a finished job: its row, and the call that it was unless that is recorded already.

        Of one that leaves no rows only the code is added: the calls around it answer for that.
        """
        name = job.task.fullname
        ended = self.ended.get(name)
        if ended is None:
            ended = self.ended[name] = [0, 0, 0]
        ended[0 if state is _FAILED else 1 if job.is_cached else 2] += 1
        if not job.is_recorded:
            if self.has_execution:
                self.add_task(job.task, job.task_hash)
                self._touch()
            return
        if not job.is_cached or isinstance(job.expr, SchedulerExpression):
            # Where a result is recorded, so is the code that gave it; scheduler tasks have none.
            self.add_task(job.task, job.task_hash)
        owner = job.owner
        while owner is not None and not owner.is_announced:
            self.announcing.announce(owner)
            owner = owner.owner
        assert job.started is not None
        self._jobs[job.id] = JobRecord(
            job.id,
            self._execution_id,
            job.owner.id if job.owner is not None else self._parent_id,
            job.task_hash,
            job.eval_hash,
            job.call_hash,
            job.started,
            job.ended,
            job.is_cached,
            state,
            job.note,
        )
        if job.options:
            if "tags" in job.options:
                self.add_tags("Job", job.id, job.options["tags"])
            if "queue" in job.options and not job.is_announced:
                self._add_queue(job)
        job.is_announced = True
        if self._shown:
            self._shown.pop(job.id, None)
        if job.attempts > 1:
            self.add_tags("Job", job.id, [("taskgraph.attempts", job.attempts)])
        if job.context is not NO_CONTEXT:
            self._tag_with_context(job)
        if job.call_hash is not None:
            self._add_call(job, job.call_hash)
        self._touch()

    def _add_queue(self, job: Job) -> None:
        """Add the queue of a job, once, if it is a call that workers may run."""
        queue = job.options["queue"]
        if isinstance(queue, str) and not isinstance(job.expr, SchedulerExpression):
            self._batch.job_queues.append(JobQueueRecord(queue, job.id))

    def _tag_with_context(self, job: Job) -> None:
        """Tag the calls that have another context than their callers.

        So they can be made again as they were; what is no JSON is not at hand then.
        """
        data = job.context.data
        if data and (job.owner is None or job.context is not job.owner.context):
            with suppress(ValueError):
                self.add_tags("Job", job.id, [("taskgraph.context", dict(data))])

    def add_tags(self, entity_type: str, entity_id: str, tags: Sequence[tuple[str, Any]]) -> None:
        """Tag a record: each with a key and a JSON value."""
        for key, value in tags:
            self._batch.tags.append(tag_record(entity_type, entity_id, key, value))
            self._touch()

    def _add_call(self, job: Job, call_hash: CallHash) -> None:
        batch = self._batch
        is_new = job.known_call != call_hash
        if is_new and job.owner is None and len(job.children) >= _MANY_CHILDREN:
            # Nobody has looked the root up, and it has a row for each call that was written down.
            is_new = call_hash not in self._backend.find_recorded((), (call_hash,))
        if is_new:
            assert job.eval_hash is not None and job.args_hash is not None
            assert job.value_hash is not None
            batch.call_nodes.append(
                CallNodeRecord(
                    call_hash,
                    job.eval_hash,
                    job.recorded_name,
                    job.task_hash,
                    job.args_hash,
                    job.value_hash,
                    job.ended or now(),
                )
            )
            # Children that were dropped have no call; the others are numbered without a gap.
            for order, child in enumerate(job.child_calls):
                batch.call_edges.append(CallEdgeRecord(call_hash, child, order))
            for task_hash in job.subtree:
                batch.subtree_tasks.append(SubtreeTaskRecord(call_hash, task_hash))
            for path in sorted(job.reads):
                self._add_read(call_hash, path, job)
        for argument in job.arguments:
            if is_new or argument.upstream or argument.given is not argument.value:
                self._add_argument(job, call_hash, argument, is_new)

    def _add_read(self, call_hash: CallHash, path: str, job: Job) -> None:
        state = handle_of_path(path)
        if state is not None:  # recorded when it was reached
            self._batch.call_contexts.append(CallContextRecord(call_hash, path, ValueHash(state)))
            return
        name = task_of_path(path)
        task = None if name is None else get_task_registry().find(name)
        found = None if task is None else task.defaults_hash()
        if path in {RECOVERED, TOLD} or (name is not None and found is None):
            # What stands there is like nothing that could be read.
            assert job.value_hash is not None
            self._batch.call_contexts.append(CallContextRecord(call_hash, path, job.value_hash))
            return
        value: Any
        if task is not None and found is not None:
            value, value_hash = dict(task.binder.defaults), found
        else:
            value, value_hash = job.context.get(path), job.context.hash_at(path)
        if value_hash not in self._values:
            self.add_value(self._pack(value, Weight(value_hash)))
        self._batch.call_contexts.append(CallContextRecord(call_hash, path, value_hash))

    def _add_argument(
        self, job: Job, call_hash: CallHash, argument: WeighedArgument, is_new: bool
    ) -> None:
        if argument.weight is None:
            return
        value_hash = argument.weight.value_hash
        upstream = list(argument.upstream)
        if argument.given is not argument.value and job.owner is not None:
            upstream = upstream_of(argument.given, job.owner)
        if not is_new and not upstream:
            return
        arg_hash = hash_argument(call_hash, argument.position, argument.key, value_hash)
        if is_new:
            if not argument.is_stored and value_hash not in self._values:
                packed = argument.packed
                self.add_value(packed or self._pack(argument.value, argument.weight))
            self._batch.arguments.append(
                ArgumentRecord(arg_hash, call_hash, value_hash, argument.position, argument.key)
            )
        for result_call in upstream:
            self._batch.argument_results.append(ArgumentResultRecord(arg_hash, result_call))

    # Jobs that have not ended

    def _show(self, job: Job, state: State) -> None:
        """Add or replace the row of a job that has not ended, or never will."""
        self.add_task(job.task, job.task_hash)
        started = job.started or now()
        owner_id = job.owner.id if job.owner is not None else self._parent_id
        ended = None if state in ACTIVE else now()
        self._jobs[job.id] = JobRecord(
            job.id,
            self._execution_id,
            owner_id,
            job.task_hash,
            job.eval_hash,
            None,
            started,
            ended,
            False,
            state,
            job.note,
        )
        if "queue" in job.options and not job.is_announced:
            self._add_queue(job)
        self._touch()

    def cancel(self, job: Job) -> None:
        """Write down a job as cancelled that will not end."""
        if job.is_recorded:
            self._show(job, State.CANCELLED)
            self._shown.pop(job.id, None)

    def cancel_open(self) -> None:
        """Write down as cancelled what was shown as running and will not end in this run."""
        for job in self.announcing.close():
            self.cancel(job)

    def _remember(self, value_hash: ValueHash) -> None:
        if len(self._values) >= _REMEMBERED:
            self._values.clear()
        self._values[value_hash] = None

    # Leases on calls

    def release(self, key: str, holder: str) -> None:
        """Give a lease back with the rows that were added until now."""
        self._batch.released.append(LeaseEndRecord(key, holder))
        self._touch()

    def keep(self, keys: Iterable[str]) -> None:
        """Give leases back no more that are wanted again."""
        if self._batch.released:
            kept = set(keys)
            self._batch.released = [each for each in self._batch.released if each.key not in kept]

    @property
    def has_released(self) -> bool:
        """Whether others may wait for rows that are not written yet."""
        return bool(self._batch.released)

    # When it is written

    def _touch(self) -> None:
        if self._oldest is None:
            self._oldest = time.monotonic()

    @property
    def is_dirty(self) -> bool:
        """Whether anything waits to be written."""
        return self._oldest is not None

    def flush_if_due(self) -> None:
        """Write if the oldest row has waited long enough."""
        if self._oldest is not None and time.monotonic() - self._oldest >= MAX_DELAY:
            self.flush()

    def flush(self) -> None:
        """Write all rows in one transaction.

        Raises:
            DatabaseError: Nothing of the batch was written.
        """
        self.announcing.announce_slow()
        if self._oldest is None:
            return
        batch = self._batch
        batch.jobs = list(self._jobs.values())
        batch.held += self._held
        self._backend.record(batch)
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._batch = RecordBatch()
        self._jobs = {}
        self._oldest = None


def add_task_rows(batch: RecordBatch, task: Task[..., Any], task_hash: TaskHash) -> None:
    """Add the rows of a task's code: a task is a value too, under the very same hash."""
    batch.tasks.append(TaskRecord(task_hash, task.name, task.namespace, task.source))
    batch.values += pack_or_name(task, Weight(ValueHash(task_hash))).values
    for part in task.parts_of(task_hash):
        batch.parts.append(PartRecord(*part))
        batch.task_parts.append(TaskPartRecord(task_hash, part.part_hash))


def name_of_unstored(job_id: JobId) -> ValueHash:
    """Return the identity of a result that has none of its own: it is named by its job."""
    return ValueHash(hash_record("unstored", job_id))
