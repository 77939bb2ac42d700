"""Who may force a state: a table, which is asked within the transaction that writes.

It keeps people from accidents. It is no border: who can write to the database can do anything.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from taskgraph.catalog.states import TERMINAL, StateType


class Standing(StrEnum):
    """What somebody is to an execution; the first that fits counts."""

    #: No users are registered, so that nobody is told from anybody.
    UNTOLD = "untold"
    #: Nobody was named, or nobody who is registered.
    STRANGER = "stranger"
    INACTIVE = "inactive"
    SUPERUSER = "superuser"
    SUBMITTER = "submitter"
    #: Of the study that the execution is part of.
    OWNER = "owner"
    OTHER = "other"


_SUPERUSERS: Final = "superusers"
_CONCERNED: Final = "superusers, who submitted it, and the owner of its study"
_ACTIVE: Final = "users who are active"
# What ends badly is for those whom it concerns; that it ended well is nothing to be forced.
_ENDS_BADLY: Final = TERMINAL - {StateType.COMPLETED}


def who_may_force(standing: Standing, target: StateType) -> str | None:
    """Return whom it is left to that an execution is forced into a state; None for this one.

    Args:
        standing: Who wants to.
        target: The state; to delete an execution that has not ended is to cancel it.
    """
    who = _CONCERNED if target in _ENDS_BADLY else _SUPERUSERS
    match standing:
        case Standing.UNTOLD | Standing.SUPERUSER:
            return None
        case Standing.SUBMITTER | Standing.OWNER:
            return None if target in _ENDS_BADLY else who
        case Standing.INACTIVE:
            return _ACTIVE
        case Standing.STRANGER | Standing.OTHER:
            return who


def who_may_propose(standing: Standing) -> str | None:
    """Return whom it is left to that a state is proposed by the rules; None for this one."""
    return _ACTIVE if standing is Standing.INACTIVE else None


__all__ = ["Standing", "who_may_force", "who_may_propose"]
