"""States of handles: which came from which, and which of them are still valid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from taskgraph.records import (
    HandleEdgeRecord,
    HandleReachedRecord,
    HandleRecord,
    HandleRollbackRecord,
    HandleStep,
    HandleSweepRecord,
    RecordBatch,
)
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

if TYPE_CHECKING:
    from taskgraph.values.handles import Handle

_STATEMENTS = {
    HandleRecord: statements.HANDLE,
    HandleEdgeRecord: statements.HANDLE_EDGE,
    HandleRollbackRecord: statements.HANDLE_ROLLBACK,
    HandleSweepRecord: statements.HANDLE_SWEEP,
    HandleReachedRecord: statements.HANDLE_REACHED,
}
_binary = bytearray.fromhex


def steps(batch: Sequence[HandleStep]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Return the statements of steps with their rows, in the order of the steps."""
    return [
        (_STATEMENTS[kind], [_row(each) for each in alike]) for kind, alike in groupby(batch, type)
    ]


def _row(step: HandleStep) -> tuple[Any, ...]:
    if isinstance(step, HandleRecord):
        return (_binary(step.hash), step.fullname, step.key, _binary(step.value_hash))
    return tuple(_binary(each) for each in step)


def find_valid(driver: Driver, hashes: Sequence[str]) -> set[str]:
    """Return those of the states that are recorded and valid."""
    found: set[str] = set()
    for keys in statements.padded(list(dict.fromkeys(hashes))):
        marks = [_binary(key) for key in keys]
        rows = driver.execute(statements.valid_handles(len(keys)), marks)
        found.update(key.hex() for (key,) in rows)
    return found


def find_below(driver: Driver, hashes: Sequence[str]) -> set[str]:
    """Return all states that came from some, valid or not."""
    found: set[str] = set()
    for keys in statements.padded(list(dict.fromkeys(hashes))):
        marks = [_binary(key) for key in keys]
        rows = driver.execute(statements.handles_below(len(keys)), marks)
        found.update(key.hex() for (key,) in rows)
    return found


def find_above(driver: Driver, hashes: Sequence[str]) -> set[str]:
    """Return all states that some came from, back to the nearest branches that users named."""
    found: set[str] = set()
    for keys in statements.padded(list(dict.fromkeys(hashes))):
        marks = [_binary(key) for key in keys]
        rows = driver.execute(statements.handles_above(len(keys)), marks)
        found.update(key.hex() for (key,) in rows)
    return found - set(hashes)


def is_valid(driver: Driver, handle: Handle) -> bool:
    """Tell whether a state is valid; one that is not recorded, if it is the first one."""
    state = handle.__handle__
    row = driver.execute(
        "SELECT is_valid FROM handle WHERE hash = ?", (_binary(state.hash),)
    ).fetchone()
    return state.is_initial if row is None else bool(row[0])


def advanced(parents: Sequence[Handle], child: Handle) -> RecordBatch:
    """Return the rows of a state that was reached from others."""
    from taskgraph.values.handles import with_parents
    from taskgraph.values.pack import pack

    batch = RecordBatch()
    for each in with_parents([*parents, child]):
        state = each.__handle__
        packed = pack(each.recorded())
        batch.values += packed.values
        batch.handles.append(
            HandleRecord(state.hash, state.fullname, state.key, packed.values[0].value_hash)
        )
        before = {parent.__handle__.hash for parent in state.parents}
        batch.handles += [HandleEdgeRecord(parent, state.hash) for parent in sorted(before)]
    reached = child.__handle__.hash
    batch.handles += [HandleEdgeRecord(each.__handle__.hash, reached) for each in parents]
    batch.handles.append(HandleReachedRecord(reached))
    return batch


__all__ = ["advanced", "find_above", "find_below", "find_valid", "is_valid", "steps"]
