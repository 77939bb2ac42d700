"""What people manage: states, studies, workflows, groups, datasets, artifacts, retractions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Index,
    Integer,
)
from sqlalchemy.orm import (
    Mapped,
    mapped_column,
    relationship,
)

from taskgraph_backend.columns import JSON, Hash16
from taskgraph_backend.models.base import Base, partial, reference


class State(Base):
    """A state that an execution was in, or a job where that is worth a row; never changed."""

    __tablename__ = "state"
    __table_args__ = (
        CheckConstraint("(execution_id IS NULL) <> (job_id IS NULL)", name="ck_state_of_one"),
        Index(None, "execution_id", "timestamp"),
        Index(None, "timestamp"),
        partial("ix_state_job_id_timestamp", "job_id", "timestamp", where="job_id IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    execution_id: Mapped[str | None] = mapped_column(Hash16, reference("execution.id", "CASCADE"))
    job_id: Mapped[str | None] = mapped_column(Hash16, reference("job.id", "CASCADE"))
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
        partial("uq_workflow_namespace_name", "namespace", "name", where="promoted", unique=True),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    study_id: Mapped[str | None] = mapped_column(Hash16, reference("study.id"))
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
    workflow_id: Mapped[str] = mapped_column(Hash16, reference("workflow.id", "CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    task_name: Mapped[str]
    # The version of the task, if only that one is meant.
    task_hash: Mapped[str | None] = mapped_column(Hash16, reference("task.hash"))
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
    workflow_id: Mapped[str] = mapped_column(Hash16, reference("workflow.id"))
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
        partial(
            "uq_dataset_study_id_name",
            "study_id",
            "name",
            where="study_id IS NOT NULL",
            unique=True,
        ),
        # Those of no study would all be different from each other otherwise.
        partial("uq_dataset_name", "name", where="study_id IS NULL", unique=True),
        Index(None, "value_hash"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    study_id: Mapped[str | None] = mapped_column(Hash16, reference("study.id"))
    name: Mapped[str]
    type: Mapped[str]
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
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
        partial(
            "uq_execution_dataset_dataset_id",
            "dataset_id",
            where="role = 'output' AND in_use",
            unique=True,
        ),
        {"sqlite_with_rowid": False},
    )

    execution_id: Mapped[str] = mapped_column(
        Hash16, reference("execution.id", "CASCADE"), primary_key=True
    )
    # input or output
    role: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str | None] = mapped_column(Hash16, reference("dataset.id", "SET NULL"))
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
    in_use: Mapped[bool]


class Artifact(Base):
    """A named output of an execution; its path is relative to the workspace."""

    __tablename__ = "artifact"
    __table_args__ = (
        Index("uq_artifact_execution_id_kind_key", "execution_id", "kind", "key", unique=True),
        partial("ix_artifact_value_hash", "value_hash", where="value_hash IS NOT NULL"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    execution_id: Mapped[str] = mapped_column(Hash16, reference("execution.id", "CASCADE"))
    kind: Mapped[str]
    key: Mapped[str]
    path: Mapped[str | None]
    value_hash: Mapped[str | None] = mapped_column(Hash16, reference("value.value_hash"))
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
