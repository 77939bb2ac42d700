"""The states that executions were in, as rows: added, and never changed.

A row has an id that follows from what it says, so that one which is written twice is there once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskgraph.hashing import hash_record
from taskgraph.jsontext import to_json
from taskgraph_backend.dialects import Driver
from taskgraph_backend.times import to_micros

if TYPE_CHECKING:
    from taskgraph.catalog.states import State

_STATE: Final = (
    "INSERT INTO state (id, execution_id, type, name, timestamp, message, details)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)

_binary = bytearray.fromhex


def state_id(execution_id: str, type: str, micros: int) -> bytearray:
    """Return the id of the row that says that an execution came to a state at a time."""
    return _binary(hash_record("state", execution_id, type, str(micros)))


def write_state(driver: Driver, execution_id: str, state: State) -> None:
    """Add a state with its time; within a transaction."""
    assert state.timestamp is not None
    moment = to_micros(state.timestamp)
    kind = state.type.value
    row = (
        state_id(execution_id, kind, moment),
        _binary(execution_id),
        kind,
        state.name,
        moment,
        state.message,
        to_json(dict(state.details)),
    )
    driver.executemany(_STATE, [row])


__all__ = ["state_id", "write_state"]
