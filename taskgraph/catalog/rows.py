"""What managers give: executions, studies, pages and what became of a change, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar, overload

from taskgraph.catalog.states import ACTIVE, Outcome, State, StateType

Row = TypeVar("Row")

#: The key of the tags that say in which queues an execution may wait.
QUEUE_TAG: Final = "taskgraph.queue"

_STATUSES = {
    StateType.SCHEDULED: "PENDING",
    StateType.COMPLETED: "DONE",
    StateType.CRASHED: "FAILED",
}


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of something, as it is managed.

    Attributes:
        id: 32 hex digits.
        name: What people call it.
        entrypoint: What is run: the full name of a task or a workflow.
        state: The one that is in force.
        created_at: When it was submitted.
        parameters: What it was given, as JSON.
        options: What else was said of it, as JSON.
        tags: Its current tags: each key with all of its values.
        study: The name of its study.
        workspace: Its folder.
        command: The command line that ran it.
        start_time: When it first ran.
        end_time: When it ended.
        run_count: How often it ran.
        total_run_time: How long it ran; what it runs now is not part of it.
        retracted: Whether its results are not to be used.
    """

    id: str
    name: str
    entrypoint: str
    state: State
    created_at: datetime
    parameters: Any = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    study: str | None = None
    workspace: str | None = None
    command: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    run_count: int = 0
    total_run_time: timedelta = timedelta(0)
    retracted: bool = False
    idempotency_key: str | None = None
    request_hash: str | None = None
    snapshot_hash: str | None = None
    dataset_hash: str | None = None
    workflow_id: str | None = None
    study_id: str | None = None
    group_id: str | None = None
    parent_job_id: str | None = None
    job_id: str | None = None
    first_step: int | None = None
    last_step: int | None = None
    output_path: str | None = None
    code_version: str | None = None
    submitted_by: str | None = None

    @property
    def status(self) -> str:
        """The shorter word: RUNNING, FAILED, DONE, PENDING or CANCELLED."""
        return _STATUSES.get(self.state.type, self.state.type.value)

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that it was declared for."""
        return tuple(map(str, self.tags.get(QUEUE_TAG, ())))

    @property
    def is_active(self) -> bool:
        """Whether it is on its way."""
        return self.state.type in ACTIVE

    @property
    def successful(self) -> bool | None:
        """Whether it came to its end well; None while it is on its way."""
        return None if self.is_active else self.state.type is StateType.COMPLETED

    def estimated_run_time(self, now: datetime | None = None) -> timedelta:
        """Return how long it ran, with what it runs now."""
        since = self.state.timestamp
        if self.state.type is not StateType.RUNNING or since is None:
            return self.total_run_time
        return self.total_run_time + max((now or datetime.now(UTC)) - since, timedelta(0))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph execution list --json`` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "entrypoint": self.entrypoint,
            "status": self.status,
            "state": state_json(self.state),
            "study": self.study,
            "workspace": self.workspace,
            "created": _time(self.created_at),
            "started": _time(self.start_time),
            "ended": _time(self.end_time),
            "expected_start": _time(self.expected_start_time),
            "next_scheduled_start": _time(self.next_scheduled_start_time),
            "run_count": self.run_count,
            "run_seconds": self.total_run_time.total_seconds(),
            "parameters": self.parameters,
            "options": dict(self.options),
            "tags": {key: list(values) for key, values in self.tags.items()},
            "idempotency_key": self.idempotency_key,
            "submitted_by": self.submitted_by,
            "code_version": self.code_version,
            "command": list(self.command),
            "retracted": self.retracted,
            "snapshot": self.snapshot_hash,
            "workflow": self.workflow_id,
            "group": self.group_id,
            "dataset_hash": self.dataset_hash,
            "steps": [self.first_step, self.last_step],
        }


def state_json(state: State) -> dict[str, Any]:
    """Return a state as JSON."""
    return {
        "type": state.type.value,
        "name": state.name,
        "time": _time(state.timestamp),
        "message": state.message,
        "details": dict(state.details),
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


@dataclass(frozen=True, slots=True)
class UsedDataset:
    """A dataset that an execution reads or writes.

    Attributes:
        role: ``input`` or ``output``.
        name: What it is called within the execution.
        dataset_id: The dataset; None once it was deleted.
        value_hash: The content that it had when the execution was submitted.
        in_use: Whether the execution is active and writes it.
    """

    role: str
    name: str
    dataset_id: str | None
    value_hash: str
    in_use: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "role": self.role,
            "name": self.name,
            "dataset": self.dataset_id,
            "value": self.value_hash,
            "in_use": self.in_use,
        }


@dataclass(frozen=True, slots=True)
class Study:
    """A name for a body of work.

    Attributes:
        executions: How many executions it has.
        owner: The e-mail address of the user that it belongs to.
    """

    id: str
    name: str
    created_at: datetime
    meta: Mapping[str, Any] = field(default_factory=dict)
    executions: int = 0
    owner: str | None = None
    owner_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph study list --json`` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "created": _time(self.created_at),
            "meta": dict(self.meta),
            "executions": self.executions,
            "owner": self.owner,
        }


@dataclass(frozen=True, slots=True)
class DeletedStudy:
    """What went with a study that was deleted, or would.

    Attributes:
        name: The study.
        kept: How many executions are of no study now.
        deleted: How many executions were deleted.
        workflows: How many stored workflows went.
        datasets: How many datasets went; executions keep their content.
        groups: How many groups of its workflows went.
    """

    name: str
    kept: int = 0
    deleted: int = 0
    workflows: int = 0
    datasets: int = 0
    groups: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "study": self.name,
            "executions_kept": self.kept,
            "executions_deleted": self.deleted,
            "workflows": self.workflows,
            "datasets": self.datasets,
            "groups": self.groups,
        }


@dataclass(frozen=True, slots=True)
class Created:
    """What came of asking for a new execution.

    Attributes:
        execution: The new one, or the one that was there under the same key.
        is_new: Which of the two it is.
        is_other: Whether that one is known to be of another request, so that this was not done.
    """

    execution: Execution
    is_new: bool
    is_other: bool = False


@dataclass(frozen=True, slots=True)
class Swept:
    """What was put right, or would be.

    Attributes:
        late: Executions that should have started, and are called Late now.
        crashed: Executions whose process is gone, and that are CRASHED now.
        returned: Executions whose worker is gone, and that wait for another one now.
    """

    late: tuple[Execution, ...] = ()
    crashed: tuple[Execution, ...] = ()
    returned: tuple[Execution, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "late": [each.to_json() for each in self.late],
            "crashed": [each.to_json() for each in self.crashed],
            "returned": [each.to_json() for each in self.returned],
        }


@dataclass(frozen=True, slots=True)
class TransitionResult:
    """What became of a state that was proposed.

    Attributes:
        outcome: ACCEPT, REJECT (another one was written), ABORT or WAIT (nothing was).
        state: The one that is in force now.
        reason: Why it is not the one that was proposed.
        delay_seconds: How long to wait before it is proposed again.
    """

    outcome: Outcome
    state: State
    reason: str | None = None
    delay_seconds: float | None = None

    @property
    def is_written(self) -> bool:
        """Whether a state was written."""
        return self.outcome in {Outcome.ACCEPT, Outcome.REJECT}


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an argument of a job came from: one of the jobs that did, if it came from several.

    Attributes:
        argument: Its name, or its place where it has none.
        kind: ``job``, ``parameter`` (handed on by the job around it) or ``constant``.
        job_id: The job that gave it, if one did.
        value_hash: The value.
        preview: The value as it is shown.
    """

    argument: str
    kind: str
    job_id: str | None
    value_hash: str
    preview: str


@dataclass(frozen=True, slots=True)
class DependencyNode:
    """A job of an execution, and what it needed.

    Attributes:
        untrackable_result: Whether its result has no stored value.
    """

    id: str
    task: str
    state: State
    cached: bool
    parent_id: str | None
    upstream: tuple[Upstream, ...]
    start_time: datetime
    end_time: datetime | None
    untrackable_result: bool = False

    @property
    def upstream_jobs(self) -> tuple[str, ...]:
        """The jobs that gave its arguments, each once."""
        ids = (each.job_id for each in self.upstream if each.job_id is not None)
        return tuple(dict.fromkeys(ids))

    def estimated_run_time(self, now: datetime | None = None) -> timedelta:
        """Return how long it ran, or runs so far."""
        return (self.end_time or now or datetime.now(UTC)) - self.start_time

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "id": self.id,
            "task": self.task,
            "state": state_json(self.state),
            "cached": self.cached,
            "parent": self.parent_id,
            "started": _time(self.start_time),
            "ended": _time(self.end_time),
            "untrackable_result": self.untrackable_result,
            "upstream": [
                {
                    "argument": each.argument,
                    "kind": each.kind,
                    "job": each.job_id,
                    "value": each.value_hash,
                    "preview": each.preview,
                }
                for each in self.upstream
            ],
        }


@dataclass(frozen=True, slots=True)
class Page(Sequence[Row], Generic[Row]):
    """Some of a list, in its order.

    Attributes:
        rows: What is on it.
        next: What to give as ``after`` for the page that follows; None where nothing does.
    """

    rows: tuple[Row, ...]
    next: str | None = None

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        """Return a row, or some of them."""
        return self.rows[index]

    def __len__(self) -> int:
        """Return how many there are on this page."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """Give the rows in order."""
        return iter(self.rows)


__all__ = [
    "QUEUE_TAG",
    "Created",
    "DeletedStudy",
    "DependencyNode",
    "Execution",
    "Page",
    "Study",
    "Swept",
    "TransitionResult",
    "Upstream",
    "UsedDataset",
    "state_json",
]
