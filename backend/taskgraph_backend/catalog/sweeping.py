"""What is late, and what was begun by a process that is gone, is found and marked.

Each is looked at once more in the transaction that marks it, so that of two who sweep at once one
marks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.states import AWAITING_RETRY, LATE, State, StateType
from taskgraph.records import ExecutionId, LeaseRecord, is_revoked
from taskgraph_backend import claims, models
from taskgraph_backend.catalog.changing import set_state
from taskgraph_backend.dialects import Driver
from taskgraph_backend.query.criteria import executions_where
from taskgraph_backend.times import from_micros

_binary = bytearray.fromhex

_OF_EXECUTIONS: Final = "execution:"
#: Names of what is not to be called late: it is called so, or its name says more.
_NAMED: Final = (LATE, AWAITING_RETRY)
_SCHEDULED: Final = (
    "SELECT state_name, coalesce(next_scheduled_start_time, expected_start_time) FROM execution"
    " WHERE id = ? AND state_type = 'SCHEDULED'"
)


def find_late(session: Session, where: Criteria, latest: int) -> list[str]:
    """Return the executions that were to start before a time and have not; oldest first.

    Args:
        session: The session.
        where: Which of them.
        latest: The time, in microseconds.
    """
    row = models.Execution
    expected = func.coalesce(row.next_scheduled_start_time, row.expected_start_time)
    query = (
        select(row.id)
        .where(
            row.state_type == StateType.SCHEDULED.value,
            row.state_name.not_in(_NAMED),
            expected < from_micros(latest),
            executions_where(where),
        )
        .order_by(row.created_at, row.id)
    )
    return list(session.scalars(query))


def mark_late(driver: Driver, execution_ids: Iterable[str], after: timedelta) -> list[str]:
    """Have executions be Late that should have started; within a transaction that is alone.

    Returns:
        Those that were not so called yet.
    """
    latest = claims.clock(driver) - after // timedelta(microseconds=1)
    marked = []
    for execution_id in execution_ids:
        row = driver.execute(_SCHEDULED, (_binary(execution_id),)).fetchone()
        if row is None or row[0] in _NAMED or row[1] is None or row[1] >= latest:
            continue
        when = from_micros(row[1])
        late = replace(State.scheduled(when, LATE), message="it should have started by now")
        set_state(driver, execution_id, late, frozenset(), {"forced": True, "actor": "sweep"})
        marked.append(execution_id)
    return marked


def begun(driver: Driver, leases: Sequence[LeaseRecord]) -> list[ExecutionId]:
    """Return the executions that were to run under leases, and of which nothing was recorded."""
    found = []
    for each in leases:
        # What was taken from who held it is to be run by somebody else.
        if not each.key.startswith(_OF_EXECUTIONS) or is_revoked(each.holder):
            continue
        execution_id = each.key.removeprefix(_OF_EXECUTIONS)
        try:
            key = _binary(execution_id)
        except ValueError:  # no id: it is of nobody's execution
            continue
        row = driver.execute("SELECT state_type FROM execution WHERE id = ?", (key,)).fetchone()
        if row is not None and row[0] == StateType.PENDING.value:
            found.append(ExecutionId(execution_id))
    return found


def dead(driver: Driver, may_judge: claims.Judge = claims.always) -> list[str]:
    """Return the executions that a process that is gone ran, or was about to run.

    Args:
        driver: The connection.
        may_judge: Tells whether silence says anything: see `claims.unheld`.
    """
    said: list[Any] = [*claims.running(driver), *begun(driver, claims.dead(driver, may_judge))]
    return [str(each) for each in claims.unheld(driver, list(dict.fromkeys(said)), may_judge)]


__all__ = ["begun", "dead", "find_late", "mark_late"]
