"""Who is told of states: policies on a database, with what sends notifications."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from taskgraph.assembly.databases import has_others
from taskgraph.errors import DatabaseError
from taskgraph.ports import Backend

if TYPE_CHECKING:
    from taskgraph.catalog.policies import PolicyManager
    from taskgraph.catalog.policy_rows import Answer, Delivered, Notification
    from taskgraph.catalog.targets import Target
    from taskgraph_backend import SqlBackend


def policies_of(
    backend: SqlBackend,
    check: Callable[[], object] = lambda: None,
    find: Callable[[str], str | None] = lambda ref: None,
) -> PolicyManager:
    """Return the manager of notification policies, which sends what is due as well.

    Args:
        backend: The database.
        check: Called before each question.
        find: Returns the id of an execution by what people call it.
    """
    from taskgraph.catalog.policies import PolicyManager
    from taskgraph_backend.catalog.policy_store import PolicyCatalog

    return PolicyManager(PolicyCatalog(backend, check, find), _send)


def _send(target: Target, told: Notification, seconds: float) -> Answer:
    # What speaks to the world is loaded once there is something to say.
    from taskgraph.notifying.sending import send

    return send(target, told, seconds)


def has_policies(backend: Backend) -> bool:
    """Tell whether somebody is to be told of states.

    One statement; False where the backend cannot be asked, or nobody else can look into it.
    """
    from taskgraph_backend import SqlBackend

    if not isinstance(backend, SqlBackend) or not has_others(backend):
        return False
    from taskgraph_backend.catalog.watched import has_policies as ask

    try:
        return backend._ask(ask)
    except DatabaseError:
        # It is lost: who asks has heard of that by what he did before.
        return False


def deliver_due(
    backend: SqlBackend,
    *,
    most: int | None = 20,
    seconds: float | None = 10.0,
    go_on: Callable[[], bool] = lambda: True,
) -> Delivered:
    """Look of what somebody is to be told, and send what is due.

    To be called each few seconds by who runs all the time. Where no policy is active it is one
    statement.

    Args:
        backend: The database.
        most: So many attempts at most.
        seconds: In so many seconds at most, as far as receivers can be held to that.
        go_on: Asked before each attempt whether there is to be one.
    """
    return policies_of(backend).deliver(most=most, seconds=seconds, go_on=go_on)


__all__ = ["deliver_due", "has_policies", "policies_of"]
