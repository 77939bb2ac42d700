"""Calls whose servers or runs are gone: they wait again, have cost too many, or are taken away.

Whoever serves anything looks after all of them, and a run after its own: of a call that is had by
somebody who is gone nobody else might ever hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskgraph.records import ExecutionId, server_lease
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

#: So many servers may die of a call.
MOST_LOSSES: Final = 3

_LOST_FOR_EVER: Final = (
    "UPDATE routed_call SET ended_at = ?, holder = NULL, losses = losses + 1"
    " WHERE {whose} AND losses + 1 >= ?"
)
_LOST: Final = (
    "UPDATE routed_call SET taken_at = NULL, holder = NULL, worker_id = NULL, losses = losses + 1"
    " WHERE {whose}"
)
_HOLDERS: Final = "SELECT DISTINCT holder FROM routed_call WHERE holder IS NOT NULL"
_RUNS: Final = "SELECT DISTINCT execution_id FROM routed_call"


def lose(driver: Driver, holder: str, call_id: str) -> None:
    """Have a call wait again whose process died, or end; within a transaction that is alone."""
    _lose(driver, "id = ? AND holder = ?", (_binary(call_id), holder))


def find_dead_holders(
    driver: Driver,
    may_judge: claims.Judge = claims.always,
    runs: Sequence[ExecutionId] = (),
) -> list[str]:
    """Return the leases of servers that are gone and have taken calls.

    Args:
        driver: The connection.
        may_judge: Tells whether silence says anything: see `claims.gone`.
        runs: Only who has calls of these; by default of any.
    """
    holders = _holders_of(driver, runs) if runs else _each(driver, _HOLDERS)
    gone = claims.gone(driver, [server_lease(each) for each in holders], may_judge)
    return [each for each in holders if server_lease(each) in gone]


def _holders_of(driver: Driver, runs: Sequence[ExecutionId]) -> list[str]:
    found: dict[str, None] = {}
    for piece in statements.padded([_binary(each) for each in runs]):
        marks = ", ".join("?" * len(piece))
        sql = f"{_HOLDERS} AND execution_id IN ({marks})"
        found.update(dict.fromkeys(_each(driver, sql, piece)))
    return list(found)


def _each(driver: Driver, sql: str, given: Sequence[object] = ()) -> list[str]:
    return [holder for (holder,) in driver.execute(sql, given).fetchall()]


def give_back_lost(
    driver: Driver,
    may_judge: claims.Judge = claims.always,
    runs: Sequence[ExecutionId] = (),
) -> None:
    """Have calls wait again whose servers are gone; within a transaction that is alone.

    Args:
        driver: The connection.
        may_judge: As of `find_dead_holders`.
        runs: As of `find_dead_holders`; what the same servers had of others goes back as well.
    """
    for each in find_dead_holders(driver, may_judge, runs):
        _lose(driver, "holder = ?", (each,))


def _lose(driver: Driver, whose: str, given: tuple[object, ...]) -> None:
    moment = claims.clock(driver)
    driver.execute(_LOST_FOR_EVER.format(whose=whose), (moment, *given, MOST_LOSSES))
    driver.execute(_LOST.format(whose=whose), given)


def find_dead_runs(driver: Driver, may_judge: claims.Judge = claims.always) -> list[ExecutionId]:
    """Return the runs that are gone and have left calls.

    Args:
        driver: The connection.
        may_judge: As of `find_dead_holders`.
    """
    runs = [ExecutionId(bytes(key).hex()) for (key,) in driver.execute(_RUNS).fetchall()]
    return claims.unheld(driver, runs, may_judge) if runs else []


def drop_left(driver: Driver, may_judge: claims.Judge = claims.always) -> None:
    """Take away the calls of runs that are gone; within a transaction that is alone."""
    for each in find_dead_runs(driver, may_judge):
        driver.execute(statements.ROUTED_FORGET, (_binary(each),))


__all__ = [
    "MOST_LOSSES",
    "drop_left",
    "find_dead_holders",
    "find_dead_runs",
    "give_back_lost",
    "lose",
]
