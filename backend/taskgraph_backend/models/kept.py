"""What the library keeps for itself: leases, marks of what came from elsewhere, versions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Integer,
)
from sqlalchemy.orm import (
    Mapped,
    mapped_column,
)

from taskgraph_backend.columns import Hash16
from taskgraph_backend.models.base import Base, reference


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
    task_hash: Mapped[str] = mapped_column(Hash16, reference("task.hash"))
    args_hash: Mapped[str] = mapped_column(Hash16)
    value_hash: Mapped[str] = mapped_column(Hash16, reference("value.value_hash"))
    timestamp: Mapped[datetime]
    origin: Mapped[str]


class ForeignAlias(Base):
    """An alias of a task from elsewhere: it counts for nothing until it is trusted."""

    __tablename__ = "foreign_alias"
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
