"""What runs record: executions, jobs, calls with arguments and results, values, code and tags."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    Index,
    Integer,
    LargeBinary,
    false,
    func,
    text,
)
from sqlalchemy.orm import (
    Mapped,
    column_property,
    foreign,
    mapped_column,
    object_session,
    relationship,
    remote,
)

from taskgraph.hashing import ContentDigest, ValueHash
from taskgraph.values.failures import ERROR_TYPE
from taskgraph.values.stored import EVICTED
from taskgraph_backend.columns import JSON, Hash16
from taskgraph_backend.models.base import Base, Epoch, is_at, partial, reference, tagged
from taskgraph_backend.models.managed import Artifact, Dataset, State, Study

#: Longest text of one argument in `CallNode.args_display`.
_ARGUMENT_WIDTH = 60


# That of CANCELLED.
_STATUS_WIDTH = 9


class TagEntity(StrEnum):
    """What a tag can be on; ``Null`` marks the tag that stands for a deletion."""

    Execution = "Execution"
    Job = "Job"
    CallNode = "CallNode"
    Task = "Task"
    Value = "Value"
    ExecutionGroup = "ExecutionGroup"
    Dataset = "Dataset"
    Artifact = "Artifact"
    Null = "Null"


class PreviewValue(NamedTuple):
    """Stands for a value that could not be, or must not be, loaded."""

    value: Value
    size: int

    def __repr__(self) -> str:
        return f"{self.value.type}(hash={self.value.value_hash[:8]}, size={self.size})"


class Execution(Base):
    """One run of a root expression."""

    __tablename__ = "execution"
    __table_args__ = (
        # Sweeping looks for those that run.
        Index(None, "state_type"),
        # Pages of a list.
        Index(None, "created_at", "id"),
        # One execution for a key, whoever asks for it and however often.
        partial(
            "uq_execution_entrypoint_idempotency_key",
            "entrypoint",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
        # Of one group, one that is active on the same datasets.
        partial(
            "uq_execution_group_id_dataset_hash",
            "group_id",
            "dataset_hash",
            where="group_id IS NOT NULL AND state_type IN ('SCHEDULED', 'PENDING', 'RUNNING')",
            unique=True,
        ),
        partial("uq_execution_workspace", "workspace", where="workspace IS NOT NULL", unique=True),
        # Those of a study and of a group, the newest last.
        partial(
            "ix_execution_study_id_created_at",
            "study_id",
            "created_at",
            where="study_id IS NOT NULL",
        ),
        partial(
            "ix_execution_group_id_created_at",
            "group_id",
            "created_at",
            where="group_id IS NOT NULL",
        ),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    args: Mapped[str]
    # No foreign key: each would point at the other.
    job_id: Mapped[str | None] = mapped_column(Hash16)
    updated_time: Mapped[datetime | None]
    state_type: Mapped[str]
    state_time: Mapped[datetime]
    environment_hash: Mapped[str | None] = mapped_column(Hash16, reference("value.value_hash"))
    # What follows is left out by older libraries. No foreign keys: a table that is there gets none
    # on SQLite without being written anew. Who deletes a study, a workflow or a group empties the
    # columns that name it.
    name: Mapped[str] = mapped_column(server_default=text("''"))
    # What is run: the full name of a task or a workflow.
    entrypoint: Mapped[str] = mapped_column(server_default=text("''"))
    workflow_id: Mapped[str | None] = mapped_column(Hash16)
    study_id: Mapped[str | None] = mapped_column(Hash16)
    group_id: Mapped[str | None] = mapped_column(Hash16)
    parent_job_id: Mapped[str | None] = mapped_column(Hash16)
    idempotency_key: Mapped[str | None]
    # What was asked for under that key.
    request_hash: Mapped[str | None] = mapped_column(Hash16)
    parameters: Mapped[Any] = mapped_column(JSON, server_default=text("'{}'"))
    # The value in which all that was submitted is frozen.
    snapshot_hash: Mapped[str | None] = mapped_column(Hash16)
    dataset_hash: Mapped[str | None] = mapped_column(Hash16)
    first_step: Mapped[int | None] = mapped_column(Integer)
    last_step: Mapped[int | None] = mapped_column(Integer)
    workspace: Mapped[str | None]
    output_path: Mapped[str | None]
    code_version: Mapped[str | None]
    submitted_by: Mapped[str | None]
    options: Mapped[Any] = mapped_column(JSON, server_default=text("'{}'"))
    state_name: Mapped[str] = mapped_column(server_default=text("''"))
    run_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    expected_start_time: Mapped[datetime | None]
    next_scheduled_start_time: Mapped[datetime | None]
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    # Microseconds.
    total_run_time: Mapped[int] = mapped_column(server_default=text("0"))
    retracted: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(server_default=Epoch())

    study: Mapped[Study | None] = relationship(
        primaryjoin=lambda: foreign(Execution.study_id) == remote(Study.id), viewonly=True
    )
    states: Mapped[list[State]] = relationship(
        order_by=lambda: (State.timestamp, State.id), viewonly=True
    )
    job: Mapped[Job | None] = relationship(
        primaryjoin=lambda: foreign(Execution.job_id) == remote(Job.id), viewonly=True
    )
    jobs: Mapped[list[Job]] = relationship(
        back_populates="execution",
        order_by=lambda: (Job.start_time, Job.id),
        viewonly=True,
    )
    environment: Mapped[Value | None] = relationship(viewonly=True)
    tags: Mapped[list[Tag]] = relationship(
        primaryjoin=is_at("Execution.id"), viewonly=True, order_by=lambda: (Tag.key, Tag.tag_hash)
    )

    @property
    def task(self) -> Task | None:
        """The task of the root job."""
        return None if self.job is None else self.job.task

    @property
    def call_node(self) -> CallNode | None:
        """What the root job computed."""
        return None if self.job is None else self.job.call_node

    @property
    def status(self) -> str:
        """RUNNING, FAILED, DONE, PENDING or CANCELLED."""
        return status_of(self.state_type, cached=False)

    @property
    def message(self) -> str | None:
        """What there is to say of the state that it is in."""
        said = self.states[-1:]
        return said[0].message if said and said[0].type == self.state_type else None

    @property
    def status_display(self) -> str:
        """The status as it stands in a column: as wide as the longest one."""
        return self.status.ljust(_STATUS_WIDTH)

    def calc_status(self, result_type: str | None) -> str:
        """Return the status; of a record without a state by the type of its result, if it has one.

        Such are records that were brought in from elsewhere.
        """
        has_ended = result_type is not None or (self.job is not None and self.job.end_time)
        return calc_status(self.state_type, result_type, has_ended=bool(has_ended), cached=False)


class Job(Base):
    """One attempt to reduce one call within an execution."""

    __tablename__ = "job"
    __table_args__ = (
        # The jobs of an execution, which is also how those of a crashed one are found; and those
        # of them that took their results from the cache.
        Index(None, "execution_id", "cached"),
        # The children of a job.
        Index(None, "parent_id"),
        # The jobs that share a call node, and which of them an execution has.
        Index(None, "call_hash", "execution_id"),
        # One job for a key that whoever asked for it gave it; jobs of plain runs have none.
        partial(
            "uq_job_execution_id_task_hash_dynamic_key",
            "execution_id",
            "task_hash",
            "dynamic_key",
            where="dynamic_key IS NOT NULL",
            unique=True,
        ),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    execution_id: Mapped[str] = mapped_column(Hash16, reference("execution.id"))
    parent_id: Mapped[str | None] = mapped_column(Hash16, reference("job.id"))
    task_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"))
    eval_hash: Mapped[str | None] = mapped_column(Hash16)
    call_hash: Mapped[str | None] = mapped_column(Hash16, reference("call_node.call_hash"))
    start_time: Mapped[datetime]
    end_time: Mapped[datetime | None]
    cached: Mapped[bool]
    state_type: Mapped[str]
    # Why it ran although a result might have been there: JSON with "reason" and "detail". Nothing
    # for those that did not run, and for those of whose call nothing was recorded.
    miss: Mapped[str | None]
    # Nothing for jobs of plain runs.
    state_name: Mapped[str | None]
    run_count: Mapped[int | None] = mapped_column(Integer)
    dynamic_key: Mapped[str | None]
    queue: Mapped[str | None]
    step_position: Mapped[int | None] = mapped_column(Integer)

    execution: Mapped[Execution] = relationship(back_populates="jobs", viewonly=True)
    task: Mapped[Task] = relationship(viewonly=True)
    call_node: Mapped[CallNode | None] = relationship(back_populates="jobs", viewonly=True)
    parent_job: Mapped[Job | None] = relationship(
        back_populates="child_jobs", remote_side=[id], viewonly=True
    )
    child_jobs: Mapped[list[Job]] = relationship(
        back_populates="parent_job",
        order_by=lambda: (Job.start_time, Job.id),
        viewonly=True,
    )
    tags: Mapped[list[Tag]] = relationship(
        primaryjoin=is_at("Job.id"), viewonly=True, order_by=lambda: (Tag.key, Tag.tag_hash)
    )

    @property
    def status(self) -> str:
        """RUNNING, FAILED, CACHED, DONE, PENDING or CANCELLED."""
        return status_of(self.state_type, self.cached)

    @property
    def status_display(self) -> str:
        """The status as it stands in a column: as wide as the longest one."""
        return self.status.ljust(_STATUS_WIDTH)

    def calc_status(self, result_type: str | None) -> str:
        """Return the status; of a record without a state by the type of its result, if it has one.

        Such are records that were brought in from elsewhere.
        """
        has_ended = self.end_time is not None
        return calc_status(self.state_type, result_type, has_ended=has_ended, cached=self.cached)

    @property
    def context(self) -> dict[str, Any]:
        """What it found as its context, as far as that is JSON; see `contexts.context_of`."""
        from taskgraph_backend.contexts import context_of

        session = object_session(self)
        return {} if session is None else context_of(session, self.id)

    @property
    def duration(self) -> timedelta:
        """The time it took, or takes so far."""
        return (self.end_time or datetime.now(UTC)) - self.start_time


class CallNode(Base):
    """The lasting record that a task on these arguments gave this result."""

    __tablename__ = "call_node"
    __table_args__ = (
        # Whole calls of a cache key, newest first: the shallow check.
        Index(None, "eval_hash", "timestamp"),
        # Who made this value?
        Index(None, "value_hash"),
        # The calls of a task, newest first; through them its jobs.
        Index(None, "task_hash", "timestamp"),
        # Those of a cache key whose results are not to be used: none, as a rule.
        partial("ix_call_node_eval_hash_retracted", "eval_hash", where="retracted"),
    )

    call_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    eval_hash: Mapped[str] = mapped_column(Hash16)
    task_name: Mapped[str]
    task_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"))
    args_hash: Mapped[str] = mapped_column(Hash16)
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
    timestamp: Mapped[datetime]
    # What it held when it was written; see `seals`.
    seal: Mapped[bytes | None] = mapped_column(LargeBinary(8))
    # Whether a tag says so that is current: its result is not to be used.
    retracted: Mapped[bool] = mapped_column(server_default=false())

    task: Mapped[Task] = relationship(back_populates="call_nodes", viewonly=True)
    value: Mapped[Value] = relationship(back_populates="results", viewonly=True)
    jobs: Mapped[list[Job]] = relationship(
        back_populates="call_node", order_by=lambda: (Job.start_time, Job.id), viewonly=True
    )
    arguments: Mapped[list[Argument]] = relationship(
        back_populates="call_node",
        order_by=lambda: (Argument.arg_position.is_(None), Argument.arg_position, Argument.arg_key),
        viewonly=True,
    )
    child_edges: Mapped[list[CallEdge]] = relationship(
        back_populates="parent_node",
        foreign_keys=lambda: [CallEdge.parent_id],
        order_by=lambda: CallEdge.call_order,
        viewonly=True,
    )
    parent_edges: Mapped[list[CallEdge]] = relationship(
        back_populates="child_node", foreign_keys=lambda: [CallEdge.child_id], viewonly=True
    )
    arg_results: Mapped[list[ArgumentResult]] = relationship(
        back_populates="result_call_node", viewonly=True
    )
    task_set: Mapped[list[CallSubtreeTask]] = relationship(
        back_populates="call_node", viewonly=True
    )
    tags: Mapped[list[Tag]] = relationship(
        primaryjoin=is_at("CallNode.call_hash"),
        viewonly=True,
        order_by=lambda: (Tag.key, Tag.tag_hash),
    )

    @property
    def children(self) -> list[CallNode]:
        """The child calls in order; one that was made twice is there twice."""
        return [edge.child_node for edge in self.child_edges]

    @property
    def parents(self) -> list[CallNode]:
        """The calls that this one is a child of, each once."""
        return list({edge.parent_id: edge.parent_node for edge in self.parent_edges}.values())

    @property
    def downstream(self) -> list[CallNode]:
        """The calls that took this one's result as an argument, each once."""
        nodes = (result.arg.call_node for result in self.arg_results)
        return list({node.call_hash: node for node in nodes}.values())

    @property
    def value_parsed(self) -> Any:
        """The result itself; a PreviewValue where it cannot be loaded."""
        return self.value.value_parsed

    @property
    def args_display(self) -> str:
        """The arguments as one line of short previews."""
        return ", ".join(argument.display for argument in self.arguments)


class CallEdge(Base):
    """A call and its child call, in order."""

    __tablename__ = "call_edge"
    __table_args__ = (
        # The parents of a call.
        Index(None, "child_id"),
        {"sqlite_with_rowid": False},
    )

    # In this order the children of a call lie side by side as they come.
    parent_id: Mapped[str] = mapped_column(
        Hash16, reference("call_node.call_hash"), primary_key=True
    )
    call_order: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    child_id: Mapped[str] = mapped_column(
        Hash16, reference("call_node.call_hash"), primary_key=True
    )

    parent_node: Mapped[CallNode] = relationship(
        back_populates="child_edges", foreign_keys=[parent_id], viewonly=True
    )
    child_node: Mapped[CallNode] = relationship(
        back_populates="parent_edges", foreign_keys=[child_id], viewonly=True
    )


class Argument(Base):
    """One argument of a call; ``*args`` have a position only, ``**kwargs`` a key only."""

    __tablename__ = "argument"
    __table_args__ = (
        # The arguments of a call.
        Index(None, "call_hash"),
        # Who used this value?
        Index(None, "value_hash"),
    )

    arg_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    call_hash: Mapped[str] = mapped_column(Hash16, reference("call_node.call_hash"))
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
    arg_position: Mapped[int | None] = mapped_column(Integer)
    arg_key: Mapped[str | None]

    call_node: Mapped[CallNode] = relationship(back_populates="arguments", viewonly=True)
    value: Mapped[Value] = relationship(back_populates="arguments", viewonly=True)
    arg_results: Mapped[list[ArgumentResult]] = relationship(back_populates="arg", viewonly=True)

    @property
    def upstream(self) -> list[CallNode]:
        """The calls that the value came from."""
        return [result.result_call_node for result in self.arg_results]

    @property
    def value_parsed(self) -> Any:
        """The value itself; a PreviewValue where it cannot be loaded."""
        return self.value.value_parsed

    @property
    def display(self) -> str:
        """The argument as it stands in a call, shortened."""
        text = " ".join(self.value.preview.split())
        if len(text) > _ARGUMENT_WIDTH:
            text = text[: _ARGUMENT_WIDTH - 3] + "..."
        return text if self.arg_key is None else f"{self.arg_key}={text}"


class ArgumentResult(Base):
    """The call that an argument's value came from."""

    __tablename__ = "argument_result"
    __table_args__ = (
        # Who used the result of this call?
        Index(None, "result_call_hash"),
        {"sqlite_with_rowid": False},
    )

    arg_hash: Mapped[str] = mapped_column(Hash16, reference("argument.arg_hash"), primary_key=True)
    result_call_hash: Mapped[str] = mapped_column(
        Hash16, reference("call_node.call_hash"), primary_key=True
    )

    arg: Mapped[Argument] = relationship(back_populates="arg_results", viewonly=True)
    result_call_node: Mapped[CallNode] = relationship(back_populates="arg_results", viewonly=True)


class CallSubtreeTask(Base):
    """A task that ran below a call; the call's own task need not have a row."""

    __tablename__ = "call_subtree_task"
    __table_args__ = ({"sqlite_with_rowid": False},)

    call_hash: Mapped[str] = mapped_column(
        Hash16, reference("call_node.call_hash"), primary_key=True
    )
    task_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"), primary_key=True)

    call_node: Mapped[CallNode] = relationship(back_populates="task_set", viewonly=True)
    task: Mapped[Task] = relationship(viewonly=True)


class CallContext(Base):
    """What a call, or anything below it, read of its context."""

    __tablename__ = "call_context"
    __table_args__ = ({"sqlite_with_rowid": False},)

    call_hash: Mapped[str] = mapped_column(
        Hash16, reference("call_node.call_hash"), primary_key=True
    )
    path: Mapped[str] = mapped_column(primary_key=True)
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))


class Evaluation(Base):
    """A cache entry: what a single reduction of a call gave."""

    __tablename__ = "evaluation"

    eval_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    task_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"))
    args_hash: Mapped[str] = mapped_column(Hash16)
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
    timestamp: Mapped[datetime]
    # What it held when it was written; see `seals`.
    seal: Mapped[bytes | None] = mapped_column(LargeBinary(8))
    # The call that gave this very value, if it was recorded with it. Whoever removes that call
    # empties this: there is no foreign key, as that would need an index of its own.
    call_hash: Mapped[str | None] = mapped_column(Hash16)

    task: Mapped[Task] = relationship(back_populates="evals", viewonly=True)
    value: Mapped[Value] = relationship(back_populates="evals", viewonly=True)

    @property
    def value_parsed(self) -> Any:
        """The value itself; a PreviewValue where it cannot be loaded."""
        return self.value.value_parsed


class Task(Base):
    """A task's code at one time; it is a value too, whose text is kept for ever."""

    __tablename__ = "task"
    # A task's versions by its bare name.
    __table_args__ = (Index(None, "name"),)

    hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"), primary_key=True)
    name: Mapped[str]
    namespace: Mapped[str]
    source: Mapped[str]
    # What it held when it was written; see `seals`.
    seal: Mapped[bytes | None] = mapped_column(LargeBinary(8))

    value: Mapped[Value] = relationship(back_populates="task", viewonly=True)
    call_nodes: Mapped[list[CallNode]] = relationship(back_populates="task", viewonly=True)
    evals: Mapped[list[Evaluation]] = relationship(back_populates="task", viewonly=True)
    # By way of the calls, for which there is an index: jobs have none on their task.
    jobs: Mapped[list[Job]] = relationship(
        secondary=lambda: CallNode.__table__,
        primaryjoin=lambda: Task.hash == CallNode.task_hash,
        secondaryjoin=lambda: CallNode.call_hash == foreign(Job.call_hash),
        order_by=lambda: (Job.start_time, Job.id),
        viewonly=True,
    )
    parts: Mapped[list[Part]] = relationship(
        secondary=lambda: TaskPart.__table__, order_by=lambda: (Part.kind, Part.name), viewonly=True
    )
    tags: Mapped[list[Tag]] = relationship(
        primaryjoin=is_at("Task.hash"), viewonly=True, order_by=lambda: (Tag.key, Tag.tag_hash)
    )

    @property
    def fullname(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    def show_source(self) -> str:
        """Return the code with a line above that names the task and this version of it."""
        return f"# {self.fullname} {self.hash[:8]}\n{self.source}"


class Part(Base):
    """A piece of code or a constant that counts in a task's hash."""

    __tablename__ = "part"

    part_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    source: Mapped[str]
    # What it held when it was written; see `seals`.
    seal: Mapped[bytes | None] = mapped_column(LargeBinary(8))


class TaskPart(Base):
    """A part and the task that it counts for."""

    __tablename__ = "task_part"
    __table_args__ = ({"sqlite_with_rowid": False},)

    task_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"), primary_key=True)
    part_hash: Mapped[str] = mapped_column(Hash16, reference("part.part_hash"), primary_key=True)


class TaskAlias(Base):
    """An earlier version of a task, whose results count for a later one as well.

    A row that has an end is kept, and says that results do not count any more.
    """

    __tablename__ = "task_alias"
    __table_args__ = ({"sqlite_with_rowid": False},)

    old_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"), primary_key=True)
    new_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"), primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    old_name: Mapped[str]
    new_name: Mapped[str]
    author: Mapped[str]
    why: Mapped[str]
    end_time: Mapped[datetime | None]
    end_author: Mapped[str | None]
    # What it held when it was written; see `seals`.
    seal: Mapped[bytes | None] = mapped_column(LargeBinary(8))

    old: Mapped[Task] = relationship(foreign_keys=[old_hash], viewonly=True)
    new: Mapped[Task] = relationship(foreign_keys=[new_hash], viewonly=True)


class Value(Base):
    """Any argument or result, stored once under its hash."""

    __tablename__ = "value"

    value_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    type: Mapped[str]
    format: Mapped[str]
    size: Mapped[int]
    preview: Mapped[str]
    content_digest: Mapped[str] = mapped_column(Hash16)
    trusted: Mapped[bool]
    # Deferred, so that no list of values reads megabytes; and the last column, for SQLite walks
    # through the pages of a large one to get to what stands behind it.
    value: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    # Behind the bytes, for it is asked for with them only.
    seal: Mapped[bytes | None] = mapped_column(LargeBinary(8), deferred=True)
    # How many bytes are in the row, which SQLite knows without reading them.
    row_size: Mapped[int] = column_property(func.length(value), deferred=True)

    results: Mapped[list[CallNode]] = relationship(
        back_populates="value",
        order_by=lambda: (CallNode.timestamp.desc(), CallNode.call_hash),
        viewonly=True,
    )
    arguments: Mapped[list[Argument]] = relationship(back_populates="value", viewonly=True)
    evals: Mapped[list[Evaluation]] = relationship(back_populates="value", viewonly=True)
    task: Mapped[Task | None] = relationship(back_populates="value", viewonly=True)
    file: Mapped[File | None] = relationship(back_populates="value", viewonly=True)
    handle: Mapped[Handle | None] = relationship(back_populates="value", viewonly=True)
    child_edges: Mapped[list[Subvalue]] = relationship(
        back_populates="parent", foreign_keys=lambda: [Subvalue.parent_value_hash], viewonly=True
    )
    parent_edges: Mapped[list[Subvalue]] = relationship(
        back_populates="child", foreign_keys=lambda: [Subvalue.value_hash], viewonly=True
    )
    children: Mapped[list[Value]] = relationship(
        secondary=lambda: Subvalue.__table__,
        primaryjoin=lambda: Value.value_hash == Subvalue.parent_value_hash,
        secondaryjoin=lambda: Value.value_hash == Subvalue.value_hash,
        back_populates="parents",
        viewonly=True,
    )
    parents: Mapped[list[Value]] = relationship(
        secondary=lambda: Subvalue.__table__,
        primaryjoin=lambda: Value.value_hash == Subvalue.value_hash,
        secondaryjoin=lambda: Value.value_hash == Subvalue.parent_value_hash,
        back_populates="children",
        viewonly=True,
    )
    tags: Mapped[list[Tag]] = relationship(
        primaryjoin=is_at("Value.value_hash"),
        viewonly=True,
        order_by=lambda: (Tag.key, Tag.tag_hash),
    )

    @property
    def in_value_store(self) -> bool:
        """Whether the bytes are kept outside of the database: the row of such a value has none."""
        return self.size > 0 and self.row_size == 0 and self.format != EVICTED

    @property
    def subfiles(self) -> list[File]:
        """The files that lie inside."""
        return [child.file for child in self.children if child.file is not None]

    @property
    def subhandles(self) -> list[Handle]:
        """The handles that lie inside."""
        return [child.handle for child in self.children if child.handle is not None]

    @property
    def value_parsed(self) -> Any:
        """The value itself; a PreviewValue where it cannot, or must not, be loaded."""
        # A wide net on purpose: loading runs the code of the value's class, which may be gone or
        # may fail in any way, and whoever looks at a record wants to see the rest of it.
        if not self.trusted:
            return PreviewValue(self, self.size)
        try:
            from taskgraph.values.codec import decode
            from taskgraph_backend.outside import content_of

            return decode(
                ValueHash(self.value_hash),
                self.type,
                self.format,
                content_of(self),
                ContentDigest(self.content_digest),
            )
        except Exception:
            return PreviewValue(self, self.size)


class Subvalue(Base):
    """A value that lies inside another one."""

    __tablename__ = "subvalue"
    __table_args__ = (
        # What holds this value?
        Index(None, "value_hash"),
        {"sqlite_with_rowid": False},
    )

    parent_value_hash: Mapped[str] = mapped_column(
        Hash16, reference("value.value_hash"), primary_key=True
    )
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"), primary_key=True)

    parent: Mapped[Value] = relationship(
        back_populates="child_edges", foreign_keys=[parent_value_hash], viewonly=True
    )
    child: Mapped[Value] = relationship(
        back_populates="parent_edges", foreign_keys=[value_hash], viewonly=True
    )


class File(Base):
    """What a File value stands for: a path under a root, and the content seen there."""

    __tablename__ = "file"
    # By path alone and by path and root: one index serves both.
    __table_args__ = (Index(None, "path", "root"),)

    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"), primary_key=True)
    root: Mapped[str]
    path: Mapped[str]
    content_hash: Mapped[str]
    size: Mapped[int]

    value: Mapped[Value] = relationship(back_populates="file", viewonly=True)

    @property
    def parent_values(self) -> list[Value]:
        """The values that hold this file."""
        return self.value.parents

    @property
    def values(self) -> list[Value]:
        """The file's own value and all that hold it."""
        return [self.value, *self.value.parents]


class Handle(Base):
    """A value that stands for a stateful service; its hash is the chain of calls behind it."""

    __tablename__ = "handle"
    __table_args__ = (Index(None, "value_hash"),)

    hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    fullname: Mapped[str]
    key: Mapped[str]
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
    is_valid: Mapped[bool]

    value: Mapped[Value] = relationship(back_populates="handle", viewonly=True)
    children: Mapped[list[Handle]] = relationship(
        secondary=lambda: HandleEdge.__table__,
        primaryjoin=lambda: Handle.hash == HandleEdge.parent_id,
        secondaryjoin=lambda: Handle.hash == HandleEdge.child_id,
        back_populates="parents",
        viewonly=True,
    )
    parents: Mapped[list[Handle]] = relationship(
        secondary=lambda: HandleEdge.__table__,
        primaryjoin=lambda: Handle.hash == HandleEdge.child_id,
        secondaryjoin=lambda: Handle.hash == HandleEdge.parent_id,
        back_populates="children",
        viewonly=True,
    )

    @property
    def parent_values(self) -> list[Value]:
        """The values that hold this handle."""
        return self.value.parents

    @property
    def values(self) -> list[Value]:
        """The handle's own value and all that hold it."""
        return [self.value, *self.value.parents]


class HandleEdge(Base):
    """A state of a handle and one that came from it."""

    __tablename__ = "handle_edge"
    __table_args__ = (Index(None, "child_id"), {"sqlite_with_rowid": False})

    parent_id: Mapped[str] = mapped_column(Hash16, reference("handle.hash"), primary_key=True)
    child_id: Mapped[str] = mapped_column(Hash16, reference("handle.hash"), primary_key=True)


class Tag(Base):
    """A key and a JSON value on a record; never overwritten, only superseded."""

    __tablename__ = "tag"
    __table_args__ = (
        # The tags of a record.
        Index(None, "entity_id"),
        # The records that have a tag.
        Index(None, "key"),
    )

    tag_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    entity_type: Mapped[str]
    entity_id: Mapped[str] = mapped_column(Hash16)
    key: Mapped[str]
    value: Mapped[Any] = mapped_column(JSON)
    is_current: Mapped[bool]

    children: Mapped[list[Tag]] = relationship(
        secondary=lambda: TagEdit.__table__,
        primaryjoin=lambda: Tag.tag_hash == TagEdit.parent_id,
        secondaryjoin=lambda: Tag.tag_hash == TagEdit.child_id,
        back_populates="parents",
        viewonly=True,
    )
    parents: Mapped[list[Tag]] = relationship(
        secondary=lambda: TagEdit.__table__,
        primaryjoin=lambda: Tag.tag_hash == TagEdit.child_id,
        secondaryjoin=lambda: Tag.tag_hash == TagEdit.parent_id,
        back_populates="children",
        viewonly=True,
    )

    child_edits: Mapped[list[TagEdit]] = relationship(
        back_populates="parent", foreign_keys=lambda: [TagEdit.parent_id], viewonly=True
    )
    parent_edits: Mapped[list[TagEdit]] = relationship(
        back_populates="child", foreign_keys=lambda: [TagEdit.child_id], viewonly=True
    )
    executions: Mapped[list[Execution]] = relationship(
        primaryjoin=tagged("Execution", "Execution.id"), viewonly=True, uselist=True
    )
    jobs: Mapped[list[Job]] = relationship(
        primaryjoin=tagged("Job", "Job.id"), viewonly=True, uselist=True
    )
    call_nodes: Mapped[list[CallNode]] = relationship(
        primaryjoin=tagged("CallNode", "CallNode.call_hash"), viewonly=True, uselist=True
    )
    tasks: Mapped[list[Task]] = relationship(
        primaryjoin=tagged("Task", "Task.hash"), viewonly=True, uselist=True
    )
    values: Mapped[list[Value]] = relationship(
        primaryjoin=tagged("Value", "Value.value_hash"), viewonly=True, uselist=True
    )
    datasets: Mapped[list[Dataset]] = relationship(
        primaryjoin=tagged("Dataset", "Dataset.id"), viewonly=True, uselist=True
    )
    artifacts: Mapped[list[Artifact]] = relationship(
        primaryjoin=tagged("Artifact", "Artifact.id"), viewonly=True, uselist=True
    )

    @property
    def entity(self) -> Execution | Job | CallNode | Task | Value | Dataset | Artifact | None:
        """The record that it is on; None of a marker of a deletion."""
        every: dict[str, Callable[[], list[Any]]] = {
            TagEntity.Execution: lambda: self.executions,
            TagEntity.Job: lambda: self.jobs,
            TagEntity.CallNode: lambda: self.call_nodes,
            TagEntity.Task: lambda: self.tasks,
            TagEntity.Value: lambda: self.values,
            TagEntity.Dataset: lambda: self.datasets,
            TagEntity.Artifact: lambda: self.artifacts,
        }
        find = every.get(self.entity_type)
        return None if find is None else next(iter(find()), None)

    @property
    def is_deletion(self) -> bool:
        """Whether it only says that its parent was deleted."""
        return self.entity_type == TagEntity.Null

    @property
    def value_parsed(self) -> Any:
        """What it says: the JSON value."""
        return self.value

    def get_delete_tag(self) -> Tag:
        """Return the marker that stands for its deletion, as a row that is not recorded."""
        from taskgraph_backend.tags import deletion_of

        marker = deletion_of(self.tag_hash, self.entity_id, self.key)
        return Tag(
            tag_hash=marker.tag_hash,
            entity_type=marker.entity_type,
            entity_id=marker.entity_id,
            key=marker.key,
            value=None,
            is_current=marker.is_current,
        )

    @property
    def namespace(self) -> str:
        """What stands before the last dot of the key."""
        return self.key.rpartition(".")[0]

    @property
    def base_key(self) -> str:
        """What stands after the last dot of the key."""
        return self.key.rpartition(".")[2]


class TagEdit(Base):
    """A tag and the one that superseded it."""

    __tablename__ = "tag_edit"
    __table_args__ = (Index(None, "child_id"), {"sqlite_with_rowid": False})

    parent_id: Mapped[str] = mapped_column(Hash16, reference("tag.tag_hash"), primary_key=True)
    child_id: Mapped[str] = mapped_column(Hash16, reference("tag.tag_hash"), primary_key=True)

    parent: Mapped[Tag] = relationship(
        back_populates="child_edits", foreign_keys=[parent_id], viewonly=True
    )
    child: Mapped[Tag] = relationship(
        back_populates="parent_edits", foreign_keys=[child_id], viewonly=True
    )


def calc_status(state_type: str, result_type: str | None, *, has_ended: bool, cached: bool) -> str:
    """Return the status of a state; where there is none, what the result says."""
    if state_type:
        return status_of(state_type, cached)
    if result_type == ERROR_TYPE:
        return "FAILED"
    if not has_ended:
        return "RUNNING"
    return "CACHED" if cached else "DONE"


def status_of(state_type: str, cached: bool) -> str:
    """Return the short word that people see for a stored state."""
    match state_type:
        case "COMPLETED":
            return "CACHED" if cached else "DONE"
        case "CRASHED":
            return "FAILED"
        case "SCHEDULED":
            return "PENDING"
        case _:
            return state_type
