"""People, packages of tasks that are theirs, and actions that take long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Index,
)
from sqlalchemy.orm import (
    Mapped,
    mapped_column,
)

from taskgraph_backend.columns import JSON, Hash16
from taskgraph_backend.models.base import Base, partial, reference


class UserAccount(Base):
    """A person, by an e-mail address; no password and no token is kept anywhere."""

    __tablename__ = "user_account"
    __table_args__ = (
        Index("uq_user_account_email", "email", unique=True),
        partial("uq_user_account_username", "username", where="username IS NOT NULL", unique=True),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    email: Mapped[str]
    username: Mapped[str | None]
    active: Mapped[bool]
    superuser: Mapped[bool]
    verified: Mapped[bool]
    # An object; its ``accounts`` are names of those that work is charged to, and objects for those
    # at other services, by reference alone.
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
        Hash16, reference("user_group.id", "CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        Hash16, reference("user_account.id", "CASCADE"), primary_key=True
    )
    created_at: Mapped[datetime]


class TaskPackage(Base):
    """A version of a package of tasks: whose it is, where it came from, whether it may be used."""

    __tablename__ = "task_package"
    __table_args__ = (
        partial(
            "uq_task_package_owner_id_name_version",
            "owner_id",
            "name",
            "version",
            where="owner_id IS NOT NULL",
            unique=True,
        ),
        partial(
            "uq_task_package_user_group_id_name_version",
            "user_group_id",
            "name",
            "version",
            where="user_group_id IS NOT NULL",
            unique=True,
        ),
        partial(
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
    owner_id: Mapped[str | None] = mapped_column(Hash16, reference("user_account.id"))
    user_group_id: Mapped[str | None] = mapped_column(Hash16, reference("user_group.id"))
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
        partial("ix_package_task_task_hash", "task_hash", where="task_hash IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    package_id: Mapped[str] = mapped_column(
        Hash16, reference("task_package.id", "CASCADE"), primary_key=True
    )
    # With its namespace.
    name: Mapped[str] = mapped_column(primary_key=True)
    task_hash: Mapped[str | None] = mapped_column(Hash16, reference("task.hash"))
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
