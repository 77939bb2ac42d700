"""The whole schema as classes, for those who read: relations and cheap properties, no queries.

Nothing here unpickles but the properties named ``value_parsed``, and no list reads a value's bytes:
the column is deferred. The classes bear the plain names, so use them through the module:
``models.Job``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    false,
    func,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    foreign,
    mapped_column,
    object_session,
    relationship,
    remote,
)
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

from taskgraph.hashing import ContentDigest, ValueHash
from taskgraph.values.failures import ERROR_TYPE
from taskgraph.values.stored import EVICTED
from taskgraph_backend.columns import JSON, DateTimeUTC, Hash16

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


def _is_at(entity_id: str) -> str:
    return f"foreign(Tag.entity_id) == {entity_id}"


def _tagged(kind: str, column: str) -> str:
    return f"and_(foreign(Tag.entity_id) == remote({column}), Tag.entity_type == '{kind}')"


def _reference(column: str, ondelete: str | None = None) -> ForeignKey:
    """A foreign key that is looked at when the transaction ends: rows come in any order."""
    return ForeignKey(column, ondelete=ondelete, deferrable=True, initially="DEFERRED")


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of those rows only for which something holds: none of others costs anything."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class _Epoch(FunctionElement[datetime]):
    """The start of 1970: the time of what an older library wrote, which knows of none."""

    inherit_cache = True


@compiles(_Epoch)
def _as_number(element: _Epoch, compiler: SQLCompiler, **options: Any) -> str:
    return "0"


@compiles(_Epoch, "postgresql")
def _as_time(element: _Epoch, compiler: SQLCompiler, **options: Any) -> str:
    return "'1970-01-01 00:00:00+00'"


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTimeUTC,
        # By the characters' numbers, as SQLite orders; and starts are found by an index.
        str: Text().with_variant(Text(collation="C"), "postgresql"),
        bytes: LargeBinary,
        bool: Boolean,
        int: BigInteger,
    }

    def _repr_html_(self) -> str | None:
        """Return how a notebook shows the record; None where nobody is there to draw it."""
        return _draw(object_session(self), self)


_Draw = Callable[[Any, Base], str | None]
_draw: _Draw = lambda session, row: None  # noqa: E731 - until somebody draws


def draw_by(draw: _Draw) -> None:
    """Say who draws records for notebooks, as HTML: by the session that read one, if it is open."""
    global _draw  # noqa: PLW0603 - said once, by who knows both rows and pages
    _draw = draw


class Execution(Base):
    """One run of a root expression."""

    __tablename__ = "execution"
    __table_args__ = (
        # Sweeping looks for those that run.
        Index(None, "state_type"),
        # Pages of a list.
        Index(None, "created_at", "id"),
        # One execution for a key, whoever asks for it and however often.
        _partial(
            "uq_execution_entrypoint_idempotency_key",
            "entrypoint",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
        # Of one group, one that is active on the same datasets.
        _partial(
            "uq_execution_group_id_dataset_hash",
            "group_id",
            "dataset_hash",
            where="group_id IS NOT NULL AND state_type IN ('SCHEDULED', 'PENDING', 'RUNNING')",
            unique=True,
        ),
        _partial("uq_execution_workspace", "workspace", where="workspace IS NOT NULL", unique=True),
        # Those of a study and of a group, the newest last.
        _partial(
            "ix_execution_study_id_created_at",
            "study_id",
            "created_at",
            where="study_id IS NOT NULL",
        ),
        _partial(
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
    environment_hash: Mapped[str | None] = mapped_column(Hash16, _reference("value.value_hash"))
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
    created_at: Mapped[datetime] = mapped_column(server_default=_Epoch())

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
        primaryjoin=_is_at("Execution.id"), viewonly=True, order_by=lambda: (Tag.key, Tag.tag_hash)
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
        _partial(
            "uq_job_execution_id_task_hash_dynamic_key",
            "execution_id",
            "task_hash",
            "dynamic_key",
            where="dynamic_key IS NOT NULL",
            unique=True,
        ),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    execution_id: Mapped[str] = mapped_column(Hash16, _reference("execution.id"))
    parent_id: Mapped[str | None] = mapped_column(Hash16, _reference("job.id"))
    task_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"))
    eval_hash: Mapped[str | None] = mapped_column(Hash16)
    call_hash: Mapped[str | None] = mapped_column(Hash16, _reference("call_node.call_hash"))
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
        primaryjoin=_is_at("Job.id"), viewonly=True, order_by=lambda: (Tag.key, Tag.tag_hash)
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
        _partial("ix_call_node_eval_hash_retracted", "eval_hash", where="retracted"),
    )

    call_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    eval_hash: Mapped[str] = mapped_column(Hash16)
    task_name: Mapped[str]
    task_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"))
    args_hash: Mapped[str] = mapped_column(Hash16)
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
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
        primaryjoin=_is_at("CallNode.call_hash"),
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
        Hash16, _reference("call_node.call_hash"), primary_key=True
    )
    call_order: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    child_id: Mapped[str] = mapped_column(
        Hash16, _reference("call_node.call_hash"), primary_key=True
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
    call_hash: Mapped[str] = mapped_column(Hash16, _reference("call_node.call_hash"))
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
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

    arg_hash: Mapped[str] = mapped_column(Hash16, _reference("argument.arg_hash"), primary_key=True)
    result_call_hash: Mapped[str] = mapped_column(
        Hash16, _reference("call_node.call_hash"), primary_key=True
    )

    arg: Mapped[Argument] = relationship(back_populates="arg_results", viewonly=True)
    result_call_node: Mapped[CallNode] = relationship(back_populates="arg_results", viewonly=True)


class CallSubtreeTask(Base):
    """A task that ran below a call; the call's own task need not have a row."""

    __tablename__ = "call_subtree_task"
    __table_args__ = ({"sqlite_with_rowid": False},)

    call_hash: Mapped[str] = mapped_column(
        Hash16, _reference("call_node.call_hash"), primary_key=True
    )
    task_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"), primary_key=True)

    call_node: Mapped[CallNode] = relationship(back_populates="task_set", viewonly=True)
    task: Mapped[Task] = relationship(viewonly=True)


class CallContext(Base):
    """What a call, or anything below it, read of its context."""

    __tablename__ = "call_context"
    __table_args__ = ({"sqlite_with_rowid": False},)

    call_hash: Mapped[str] = mapped_column(
        Hash16, _reference("call_node.call_hash"), primary_key=True
    )
    path: Mapped[str] = mapped_column(primary_key=True)
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))


class Evaluation(Base):
    """A cache entry: what a single reduction of a call gave."""

    __tablename__ = "evaluation"

    eval_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    task_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"))
    args_hash: Mapped[str] = mapped_column(Hash16)
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
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

    hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"), primary_key=True)
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
        primaryjoin=_is_at("Task.hash"), viewonly=True, order_by=lambda: (Tag.key, Tag.tag_hash)
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

    task_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"), primary_key=True)
    part_hash: Mapped[str] = mapped_column(Hash16, _reference("part.part_hash"), primary_key=True)


class TaskAlias(Base):
    """An earlier version of a task, whose results count for a later one as well.

    A row that has an end is kept, and says that results do not count any more.
    """

    __tablename__ = "task_alias"
    __table_args__ = ({"sqlite_with_rowid": False},)

    old_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"), primary_key=True)
    new_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"), primary_key=True)
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
        primaryjoin=_is_at("Value.value_hash"),
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
        Hash16, _reference("value.value_hash"), primary_key=True
    )
    value_hash: Mapped[str] = mapped_column(
        Hash16, _reference("value.value_hash"), primary_key=True
    )

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

    value_hash: Mapped[str] = mapped_column(
        Hash16, _reference("value.value_hash"), primary_key=True
    )
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
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
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

    parent_id: Mapped[str] = mapped_column(Hash16, _reference("handle.hash"), primary_key=True)
    child_id: Mapped[str] = mapped_column(Hash16, _reference("handle.hash"), primary_key=True)


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
        primaryjoin=_tagged("Execution", "Execution.id"), viewonly=True, uselist=True
    )
    jobs: Mapped[list[Job]] = relationship(
        primaryjoin=_tagged("Job", "Job.id"), viewonly=True, uselist=True
    )
    call_nodes: Mapped[list[CallNode]] = relationship(
        primaryjoin=_tagged("CallNode", "CallNode.call_hash"), viewonly=True, uselist=True
    )
    tasks: Mapped[list[Task]] = relationship(
        primaryjoin=_tagged("Task", "Task.hash"), viewonly=True, uselist=True
    )
    values: Mapped[list[Value]] = relationship(
        primaryjoin=_tagged("Value", "Value.value_hash"), viewonly=True, uselist=True
    )
    datasets: Mapped[list[Dataset]] = relationship(
        primaryjoin=_tagged("Dataset", "Dataset.id"), viewonly=True, uselist=True
    )
    artifacts: Mapped[list[Artifact]] = relationship(
        primaryjoin=_tagged("Artifact", "Artifact.id"), viewonly=True, uselist=True
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

    parent_id: Mapped[str] = mapped_column(Hash16, _reference("tag.tag_hash"), primary_key=True)
    child_id: Mapped[str] = mapped_column(Hash16, _reference("tag.tag_hash"), primary_key=True)

    parent: Mapped[Tag] = relationship(
        back_populates="child_edits", foreign_keys=[parent_id], viewonly=True
    )
    child: Mapped[Tag] = relationship(
        back_populates="parent_edits", foreign_keys=[child_id], viewonly=True
    )


class State(Base):
    """A state that an execution was in, or a job where that is worth a row; never changed."""

    __tablename__ = "state"
    __table_args__ = (
        CheckConstraint("(execution_id IS NULL) <> (job_id IS NULL)", name="ck_state_of_one"),
        Index(None, "execution_id", "timestamp"),
        Index(None, "timestamp"),
        _partial("ix_state_job_id_timestamp", "job_id", "timestamp", where="job_id IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    execution_id: Mapped[str | None] = mapped_column(Hash16, _reference("execution.id", "CASCADE"))
    job_id: Mapped[str | None] = mapped_column(Hash16, _reference("job.id", "CASCADE"))
    type: Mapped[str]
    name: Mapped[str]
    timestamp: Mapped[datetime]
    message: Mapped[str | None]
    # Who forced it, what for, when it is scheduled: an object.
    details: Mapped[Any] = mapped_column(JSON)


class Study(Base):
    """A name for a body of work."""

    __tablename__ = "study"
    __table_args__ = (Index("uq_study_name", "name", unique=True),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    name: Mapped[str]
    meta: Mapped[Any] = mapped_column(JSON)
    owner_id: Mapped[str | None] = mapped_column(Hash16)
    created_at: Mapped[datetime]


class Workflow(Base):
    """A version of a stored list of steps; of each name one version at most is promoted."""

    __tablename__ = "workflow"
    __table_args__ = (
        Index("uq_workflow_namespace_name_version", "namespace", "name", "version", unique=True),
        _partial("uq_workflow_namespace_name", "namespace", "name", where="promoted", unique=True),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    study_id: Mapped[str | None] = mapped_column(Hash16, _reference("study.id"))
    namespace: Mapped[str]
    name: Mapped[str]
    version: Mapped[int] = mapped_column(Integer)
    promoted: Mapped[bool]
    enabled: Mapped[bool]
    meta: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime]

    steps: Mapped[list[WorkflowStep]] = relationship(
        order_by=lambda: WorkflowStep.position, viewonly=True
    )


class WorkflowStep(Base):
    """A call in a stored workflow; positions begin at 0 and have no gaps."""

    __tablename__ = "workflow_step"
    __table_args__ = (Index(None, "workflow_id", "position"),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    workflow_id: Mapped[str] = mapped_column(Hash16, _reference("workflow.id", "CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    task_name: Mapped[str]
    # The version of the task, if only that one is meant.
    task_hash: Mapped[str | None] = mapped_column(Hash16, _reference("task.hash"))
    args: Mapped[Any | None] = mapped_column(JSON)
    options: Mapped[Any] = mapped_column(JSON)
    # Of which type datasets are that it takes and gives, as its task said when it was stored.
    input_type: Mapped[str] = mapped_column(server_default="Any")
    output_type: Mapped[str] = mapped_column(server_default="Any")


class ExecutionGroup(Base):
    """Executions of one workflow on datasets of the same facets; dirty if it is to run again."""

    __tablename__ = "execution_group"
    __table_args__ = (
        Index("uq_execution_group_workflow_id_key", "workflow_id", "key", unique=True),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    workflow_id: Mapped[str] = mapped_column(Hash16, _reference("workflow.id"))
    key: Mapped[str]
    selectors: Mapped[Any] = mapped_column(JSON)
    dirty: Mapped[bool]
    dirty_reason: Mapped[str | None]
    planned_dataset_hash: Mapped[str | None] = mapped_column(Hash16)
    recompute: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Dataset(Base):
    """A name that points at content: a value, which is a list of files."""

    __tablename__ = "dataset"
    __table_args__ = (
        _partial(
            "uq_dataset_study_id_name",
            "study_id",
            "name",
            where="study_id IS NOT NULL",
            unique=True,
        ),
        # Those of no study would all be different from each other otherwise.
        _partial("uq_dataset_name", "name", where="study_id IS NULL", unique=True),
        Index(None, "value_hash"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    study_id: Mapped[str | None] = mapped_column(Hash16, _reference("study.id"))
    name: Mapped[str]
    type: Mapped[str]
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
    read_only: Mapped[bool]
    meta: Mapped[Any] = mapped_column(JSON)
    retracted: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ExecutionDataset(Base):
    """A dataset that an execution reads or writes, with the content that it had at submit."""

    __tablename__ = "execution_dataset"
    __table_args__ = (
        Index(None, "dataset_id"),
        Index(None, "value_hash"),
        # One active execution writes a dataset.
        _partial(
            "uq_execution_dataset_dataset_id",
            "dataset_id",
            where="role = 'output' AND in_use",
            unique=True,
        ),
        {"sqlite_with_rowid": False},
    )

    execution_id: Mapped[str] = mapped_column(
        Hash16, _reference("execution.id", "CASCADE"), primary_key=True
    )
    # input or output
    role: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str | None] = mapped_column(Hash16, _reference("dataset.id", "SET NULL"))
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
    in_use: Mapped[bool]


class Artifact(Base):
    """A named output of an execution; its path is relative to the workspace."""

    __tablename__ = "artifact"
    __table_args__ = (
        Index("uq_artifact_execution_id_kind_key", "execution_id", "kind", "key", unique=True),
        _partial("ix_artifact_value_hash", "value_hash", where="value_hash IS NOT NULL"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    execution_id: Mapped[str] = mapped_column(Hash16, _reference("execution.id", "CASCADE"))
    kind: Mapped[str]
    key: Mapped[str]
    path: Mapped[str | None]
    value_hash: Mapped[str | None] = mapped_column(Hash16, _reference("value.value_hash"))
    title: Mapped[str | None]
    description: Mapped[str | None]


class TagKey(Base):
    """A key of the controlled vocabulary, and which values it may have."""

    __tablename__ = "tag_key"

    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    allowed_values: Mapped[Any | None] = mapped_column(JSON)


class Retraction(Base):
    """Why results are not to be used, and since when; the tags of calls and runs name it.

    ``ended_at`` is when it was taken back.
    """

    __tablename__ = "retraction"
    __table_args__ = (Index(None, "entity_id"),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    entity_type: Mapped[str]
    entity_id: Mapped[str] = mapped_column(Hash16)
    # What the record is called: for those who read.
    target: Mapped[str]
    reason: Mapped[str]
    author: Mapped[str]
    timestamp: Mapped[datetime]
    cascades: Mapped[bool]
    ended_at: Mapped[datetime | None]


class WorkerPool(Base):
    """A name and a set of queues, from which the id follows; workers of it serve these queues."""

    __tablename__ = "worker_pool"
    __table_args__ = (Index(None, "name"),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    name: Mapped[str]
    # Sorted, each once.
    queues: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime]


class Worker(Base):
    """A process that takes what was submitted, known by its name over restarts."""

    __tablename__ = "worker"
    __table_args__ = (Index("uq_worker_name", "name", unique=True), Index(None, "pool_id"))

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    pool_id: Mapped[str | None] = mapped_column(Hash16, _reference("worker_pool.id", "SET NULL"))
    name: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int | None]
    # running, stalled, stopped or rebooting
    status: Mapped[str]
    # What somebody asks of it: stop, or stop now.
    wish: Mapped[str | None]
    heartbeat_at: Mapped[datetime]
    started_at: Mapped[datetime]
    launch_cmd: Mapped[str | None]
    args: Mapped[Any] = mapped_column(JSON)
    restart_count: Mapped[int] = mapped_column(Integer)


class ExecutionPool(Base):
    """A pool whose workers have run an execution."""

    __tablename__ = "execution_pool"
    __table_args__ = (Index(None, "pool_id"), {"sqlite_with_rowid": False})

    execution_id: Mapped[str] = mapped_column(
        Hash16, _reference("execution.id", "CASCADE"), primary_key=True
    )
    pool_id: Mapped[str] = mapped_column(
        Hash16, _reference("worker_pool.id", "CASCADE"), primary_key=True
    )


class Queued(Base):
    """An execution that waits for a worker of a queue; its rows go when one takes it."""

    __tablename__ = "queued"
    __table_args__ = (
        Index(None, "queue", "priority", "due", "execution_id"),
        {"sqlite_with_rowid": False},
    )

    execution_id: Mapped[str] = mapped_column(
        Hash16, _reference("execution.id", "CASCADE"), primary_key=True
    )
    queue: Mapped[str] = mapped_column(primary_key=True)
    # The smallest is the first.
    priority: Mapped[int] = mapped_column(Integer)
    due: Mapped[datetime]


class Assignment(Base):
    """Which worker took an execution last, and how many have died with it."""

    __tablename__ = "assignment"
    __table_args__ = (
        Index(None, "worker_id"),
        _partial("ix_assignment_taken_at", "taken_at", where="ended_at IS NULL"),
        {"sqlite_with_rowid": False},
    )

    execution_id: Mapped[str] = mapped_column(
        Hash16, _reference("execution.id", "CASCADE"), primary_key=True
    )
    worker_id: Mapped[str | None] = mapped_column(Hash16, _reference("worker.id", "SET NULL"))
    # By which queue it came there.
    queue: Mapped[str]
    taken_at: Mapped[datetime]
    losses: Mapped[int] = mapped_column(Integer)
    # When the worker was done with it, however it ended.
    ended_at: Mapped[datetime | None]


class RoutedCall(Base):
    """A call that a run sends to the workers of a queue; it goes when the run has its answer."""

    __tablename__ = "routed_call"
    __table_args__ = (
        _partial(
            "ix_routed_call_queue_created_at_id",
            "queue",
            "created_at",
            "id",
            where="taken_at IS NULL",
        ),
        Index(None, "execution_id"),
        Index(None, "worker_id"),
        _partial("ix_routed_call_holder", "holder", where="holder IS NOT NULL"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    # No foreign keys: the rows of a run come in batches, and may come later.
    execution_id: Mapped[str] = mapped_column(Hash16)
    job_id: Mapped[str] = mapped_column(Hash16)
    queue: Mapped[str]
    task_name: Mapped[str]
    created_at: Mapped[datetime]
    worker_id: Mapped[str | None] = mapped_column(Hash16, _reference("worker.id", "SET NULL"))
    # The lease of the process that has taken it, which is another one each time it is started.
    holder: Mapped[str | None]
    taken_at: Mapped[datetime | None]
    losses: Mapped[int] = mapped_column(Integer)
    ended_at: Mapped[datetime | None]
    # Last, for what asks for the others does not read past them. Without an answer it has ended
    # where each worker that took it died.
    message: Mapped[bytes]
    answer: Mapped[bytes | None]


class NotificationPolicy(Base):
    """Who is told of which states of which executions."""

    __tablename__ = "notification_policy"
    __table_args__ = (Index("uq_notification_policy_name", "name", unique=True),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    name: Mapped[str]
    active: Mapped[bool]
    # Lists; an empty one means any.
    state_names: Mapped[Any] = mapped_column(JSON)
    tags: Mapped[Any] = mapped_column(JSON)
    template: Mapped[str | None]
    # What kind it is and where; a secret is named here, and never said.
    target: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime]
    # States that are older were looked at.
    seen_until: Mapped[datetime]


class Notification(Base):
    """That somebody is to be told of one state by one policy, or was."""

    __tablename__ = "notification"
    __table_args__ = (
        Index("uq_notification_policy_id_state_id", "policy_id", "state_id", unique=True),
        Index(None, "state_id"),
        _partial(
            "ix_notification_due", "due", where="delivered_at IS NULL AND given_up_at IS NULL"
        ),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    policy_id: Mapped[str] = mapped_column(Hash16, _reference("notification_policy.id", "CASCADE"))
    state_id: Mapped[str] = mapped_column(Hash16, _reference("state.id", "CASCADE"))
    queued_at: Mapped[datetime]
    # When it is tried next.
    due: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    error: Mapped[str | None]


class UserAccount(Base):
    """A person, by an e-mail address; no password and no token is kept anywhere."""

    __tablename__ = "user_account"
    __table_args__ = (
        Index("uq_user_account_email", "email", unique=True),
        _partial("uq_user_account_username", "username", where="username IS NOT NULL", unique=True),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    email: Mapped[str]
    username: Mapped[str | None]
    active: Mapped[bool]
    superuser: Mapped[bool]
    verified: Mapped[bool]
    # An object; its ``accounts`` are those at other services, by reference alone.
    settings: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime]


class UserGroup(Base):
    """A name for several people."""

    __tablename__ = "user_group"
    __table_args__ = (Index("uq_user_group_name", "name", unique=True),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]


class UserGroupMember(Base):
    """That a person is in a group."""

    __tablename__ = "user_group_member"
    __table_args__ = (Index(None, "user_id"), {"sqlite_with_rowid": False})

    group_id: Mapped[str] = mapped_column(
        Hash16, _reference("user_group.id", "CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        Hash16, _reference("user_account.id", "CASCADE"), primary_key=True
    )
    created_at: Mapped[datetime]


class TaskPackage(Base):
    """A version of a package of tasks: whose it is, where it came from, whether it may be used."""

    __tablename__ = "task_package"
    __table_args__ = (
        _partial(
            "uq_task_package_owner_id_name_version",
            "owner_id",
            "name",
            "version",
            where="owner_id IS NOT NULL",
            unique=True,
        ),
        _partial(
            "uq_task_package_user_group_id_name_version",
            "user_group_id",
            "name",
            "version",
            where="user_group_id IS NOT NULL",
            unique=True,
        ),
        _partial(
            "uq_task_package_name_version",
            "name",
            "version",
            where="owner_id IS NULL AND user_group_id IS NULL",
            unique=True,
        ),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    # A module or an installed distribution.
    origin: Mapped[str]
    active: Mapped[bool]
    owner_id: Mapped[str | None] = mapped_column(Hash16, _reference("user_account.id"))
    user_group_id: Mapped[str | None] = mapped_column(Hash16, _reference("user_group.id"))
    requirements: Mapped[Any] = mapped_column(JSON)
    # Which distributions were installed when it was collected, a line each.
    frozen: Mapped[str | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PackageTask(Base):
    """A task of a package, as it was when that was collected."""

    __tablename__ = "package_task"
    __table_args__ = (
        Index(None, "name"),
        _partial("ix_package_task_task_hash", "task_hash", where="task_hash IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    package_id: Mapped[str] = mapped_column(
        Hash16, _reference("task_package.id", "CASCADE"), primary_key=True
    )
    # With its namespace.
    name: Mapped[str] = mapped_column(primary_key=True)
    task_hash: Mapped[str | None] = mapped_column(Hash16, _reference("task.hash"))
    version: Mapped[str | None]
    args_schema: Mapped[Any | None] = mapped_column(JSON)
    input_type: Mapped[str]
    output_type: Mapped[str]
    description: Mapped[str]


class Operation(Base):
    """A long-running action, and what came of it; it outlives what it was about."""

    __tablename__ = "operation"
    __table_args__ = (Index(None, "started_at", "id"),)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    kind: Mapped[str]
    # As text, whatever became of it.
    subject: Mapped[str]
    # pending, ongoing, failed or ok
    status: Mapped[str]
    data: Mapped[Any] = mapped_column(JSON)
    log: Mapped[str | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Lease(Base):
    """A claim on a key by a living process."""

    __tablename__ = "lease"

    key: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    # Not a date: when the process started by the clock of its host, only ever compared.
    started: Mapped[int]
    expires: Mapped[datetime]


class ForeignRecord(Base):
    """A record that came from elsewhere, and is not trusted: a value, a call or an execution."""

    __tablename__ = "foreign_record"
    __table_args__ = ({"sqlite_with_rowid": False},)

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    entity_type: Mapped[str]
    # The repo or the file that it came from.
    origin: Mapped[str]
    timestamp: Mapped[datetime]


class ForeignEvaluation(Base):
    """A cache entry from elsewhere: it is none until it is trusted, and then becomes one."""

    __tablename__ = "foreign_evaluation"
    __table_args__ = ({"sqlite_with_rowid": False},)

    eval_hash: Mapped[str] = mapped_column(Hash16, primary_key=True)
    task_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"))
    args_hash: Mapped[str] = mapped_column(Hash16)
    value_hash: Mapped[str] = mapped_column(Hash16, _reference("value.value_hash"))
    timestamp: Mapped[datetime]
    origin: Mapped[str]


class ForeignAlias(Base):
    """An alias of a task from elsewhere: it counts for nothing until it is trusted."""

    __tablename__ = "foreign_alias"
    __table_args__ = ({"sqlite_with_rowid": False},)

    old_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"), primary_key=True)
    new_hash: Mapped[str] = mapped_column(Hash16, _reference("task.hash"), primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    old_name: Mapped[str]
    new_name: Mapped[str]
    author: Mapped[str]
    why: Mapped[str]
    end_time: Mapped[datetime | None]
    end_author: Mapped[str | None]
    origin: Mapped[str]


class QuarantinedRow(Base):
    """A row that was found to be damaged, as it was: put aside by ``taskgraph db check --repair``.

    Its content is a JSON object of its columns; bytes are in base64.
    """

    __tablename__ = "quarantine"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    timestamp: Mapped[datetime]
    table_name: Mapped[str]
    row_key: Mapped[str]
    reason: Mapped[str]
    content: Mapped[str]


class SchemaVersion(Base):
    """A schema version that this database was brought to; the newest row counts."""

    __tablename__ = "taskgraph_version"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[str]
    timestamp: Mapped[datetime]


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
