"""Who is to be told of states, and what was told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Index,
    Integer,
)
from sqlalchemy.orm import (
    Mapped,
    mapped_column,
)

from taskgraph_backend.columns import JSON, Hash16
from taskgraph_backend.models.base import Base, partial, reference


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
        partial("ix_notification_due", "due", where="delivered_at IS NULL AND given_up_at IS NULL"),
    )

    id: Mapped[str] = mapped_column(Hash16, primary_key=True)
    policy_id: Mapped[str] = mapped_column(Hash16, reference("notification_policy.id", "CASCADE"))
    state_id: Mapped[str] = mapped_column(Hash16, reference("state.id", "CASCADE"))
    queued_at: Mapped[datetime]
    # When it is tried next.
    due: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    error: Mapped[str | None]
