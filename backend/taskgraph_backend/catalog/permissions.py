"""Who may force a state is asked within the transaction that writes it; see `permissions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from taskgraph.catalog.permissions import Standing, who_may_force, who_may_propose
from taskgraph.catalog.requests import one_form
from taskgraph.catalog.rows import TransitionResult
from taskgraph.catalog.states import Rule, State, StateType
from taskgraph.errors import PermissionDeniedError
from taskgraph_backend.catalog import changing
from taskgraph_backend.catalog.people import find_user
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_USER: Final = "SELECT email, username, active, superuser FROM user_account WHERE id = ?"
_EXECUTION: Final = (
    "SELECT e.submitted_by, s.owner_id FROM execution e LEFT JOIN study s ON s.id = e.study_id"
    " WHERE e.id = ?"
)


def set_state(
    driver: Driver,
    execution_id: str,
    proposed: State,
    rules: frozenset[Rule],
    details: Mapping[str, Any],
) -> TransitionResult | None:
    """Propose a state for somebody; within a transaction that is alone.

    Returns:
        What became of it; None where there is no such execution.

    Raises:
        PermissionDeniedError: Who proposes it may not.
        OutputDatasetInUseError: It had ended, and somebody else writes its output by now.
    """
    actor = details.get("actor")
    start = execution_id[:8]
    if details.get("forced") or Rule.TABLE not in rules:
        action = f"force execution {start} to be {proposed.type.value}"
        check_force(driver, execution_id, actor, proposed.type, action)
    elif actor is not None:
        who = who_may_propose(_standing(driver, execution_id, actor))
        if who is not None:
            action = f"propose a state of execution {start}"
            raise PermissionDeniedError(actor, action, who)
    return changing.set_state(driver, execution_id, proposed, rules, details)


def check_force(
    driver: Driver, execution_id: str, actor: str | None, target: StateType, action: str
) -> None:
    """Check that somebody may force an execution into a state; within the transaction that does.

    Args:
        driver: The connection.
        execution_id: The execution.
        actor: Who wants to: an id, an address or a name, or nobody who is known.
        target: The state.
        action: What is to be done, as the error says it.

    Raises:
        PermissionDeniedError: That is for others.
    """
    who = who_may_force(_standing(driver, execution_id, actor), target)
    if who is not None:
        raise PermissionDeniedError(actor, action, who)


def _standing(driver: Driver, execution_id: str, actor: str | None) -> Standing:
    if driver.execute("SELECT 1 FROM user_account LIMIT 1").fetchone() is None:
        return Standing.UNTOLD
    user_id = None if actor is None else find_user(driver, actor, may_start=False)
    if user_id is None:
        return Standing.STRANGER
    email, username, is_active, is_superuser = driver.execute(_USER, (_binary(user_id),)).fetchone()
    if not is_active:
        return Standing.INACTIVE
    if is_superuser:
        return Standing.SUPERUSER
    row = driver.execute(_EXECUTION, (_binary(execution_id),)).fetchone()
    submitter, owner = (None, None) if row is None else row
    said = "" if submitter is None else one_form(submitter)
    if said.lower() in (user_id, email) or (username is not None and said == username):
        return Standing.SUBMITTER
    is_owner = owner is not None and bytes(owner).hex() == user_id
    return Standing.OWNER if is_owner else Standing.OTHER


__all__ = ["check_force", "set_state"]
