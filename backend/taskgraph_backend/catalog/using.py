"""Datasets that executions use, as rows: what they had at submit, and who writes one now.

A dataset is written by one execution at a time: while it is active nobody else takes the dataset.
Whoever took it last has the mark, beyond its own end, so that a run pays nothing: it goes to who
takes the dataset next. So at the moment of writing the mark tells whether anybody has come since,
in whichever order they were submitted; and it is what two who ask at the same moment meet at.
"""

from __future__ import annotations

from typing import Any, Final

from taskgraph.catalog.rows import UsedDataset
from taskgraph.catalog.uses import DatasetPin, Uses
from taskgraph.errors import (
    DatasetChangedError,
    DatasetNotFoundError,
    DatasetReadOnlyError,
    GroupInProgressError,
    GroupNotFoundError,
    OutputDatasetInUseError,
    WorkflowNotFoundError,
)
from taskgraph.records import ACTIVE
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

#: The states of what is on its way, as a list of SQL's.
IS_ACTIVE: Final = f"({', '.join(repr(each.value) for each in sorted(ACTIVE))})"
_INSERT: Final = (
    "INSERT INTO execution_dataset (execution_id, role, name, dataset_id, value_hash, in_use)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_WRITERS: Final = (
    "SELECT u.execution_id, e.state_type FROM execution_dataset u"
    " JOIN execution e ON e.id = u.execution_id"
    " WHERE u.dataset_id = ? AND u.role = 'output'"
    f" AND (u.in_use OR e.state_type IN {IS_ACTIVE})"
)
_LET_GO: Final = (
    "UPDATE execution_dataset SET in_use = FALSE"
    " WHERE dataset_id = ? AND role = 'output' AND in_use"
)
_OUTPUTS: Final = (
    "SELECT dataset_id, name FROM execution_dataset"
    " WHERE execution_id = ? AND role = 'output' AND dataset_id IS NOT NULL"
)
_TAKE: Final = (
    "UPDATE execution_dataset SET in_use = TRUE"
    " WHERE execution_id = ? AND dataset_id = ? AND role = 'output'"
)
_EVERY: Final = (
    "SELECT u.role, u.name, u.dataset_id, u.value_hash, e.state_type"
    " FROM execution_dataset u JOIN execution e ON e.id = u.execution_id"
    " WHERE u.execution_id = ? ORDER BY u.role, u.name"
)
_IN_PROGRESS: Final = (
    "SELECT id FROM execution WHERE group_id = ? AND dataset_hash = ?"
    f" AND state_type IN {IS_ACTIVE}"
)


def check(driver: Driver, uses: Uses, *, is_active: bool) -> None:
    """Check that what was pinned is still there and may be used; within a transaction alone.

    Args:
        driver: The connection.
        uses: What was pinned.
        is_active: Whether what uses it is on its way.

    Raises:
        NotFoundError: Something was deleted since.
        DatasetChangedError: A content is not kept any more.
        DatasetReadOnlyError: The output became read-only since.
        OutputDatasetInUseError: An active execution writes the output.
        GroupInProgressError: The group is in progress on the same datasets.
    """
    _check_datasets(driver, uses)
    if uses.workflow is not None and not _is_there(driver, "workflow", uses.workflow.id):
        raise WorkflowNotFoundError(uses.workflow.id)
    if uses.group_id is not None:
        _check_group(driver, uses.group_id, uses.dataset_hash, is_active=is_active)
    if uses.output is not None and is_active:
        free(driver, uses.output.dataset_id, uses.output.name)


def write(driver: Driver, execution_id: str, uses: Uses, *, is_active: bool) -> None:
    """Write down what an execution uses; within the transaction in which that was checked."""
    key = _binary(execution_id)
    rows = [_row(key, "input", each, False) for each in uses.inputs]
    if uses.output is not None:
        rows.append(_row(key, "output", uses.output, is_active))
    if rows:
        driver.executemany(_INSERT, rows)


def free(driver: Driver, dataset_id: str, name: str) -> None:
    """Have nobody write a dataset who did, for it is taken; within a transaction that is alone.

    Raises:
        OutputDatasetInUseError: An active execution writes it.
    """
    key = _binary(dataset_id)
    writers = driver.execute(_WRITERS, (key,)).fetchall()
    for writer, state in writers:
        if state in ACTIVE:
            raise OutputDatasetInUseError(name, bytes(writer).hex())
    if writers:
        driver.execute(_LET_GO, (key,))


def take_again(driver: Driver, execution_id: str) -> None:
    """Have an execution that had ended write its output again; within a transaction alone.

    Raises:
        OutputDatasetInUseError: An active execution writes it by now.
    """
    key = _binary(execution_id)
    for dataset, name in driver.execute(_OUTPUTS, (key,)).fetchall():
        free(driver, bytes(dataset).hex(), name)
        driver.execute(_TAKE, (key, dataset))


def has_output(driver: Driver, execution_id: str) -> bool:
    """Tell whether there is a dataset that an execution writes."""
    return driver.execute(_OUTPUTS, (_binary(execution_id),)).fetchone() is not None


def datasets_of(driver: Driver, execution_id: str) -> list[UsedDataset]:
    """Return the datasets that an execution uses, in one statement."""
    return [
        UsedDataset(
            role,
            name,
            None if dataset is None else bytes(dataset).hex(),
            bytes(value).hex(),
            role == "output" and state in ACTIVE,
        )
        for role, name, dataset, value, state in driver.execute(_EVERY, (_binary(execution_id),))
    ]


def _row(key: bytearray, role: str, pin: DatasetPin, in_use: bool) -> tuple[Any, ...]:
    return key, role, pin.name, _binary(pin.dataset_id), _binary(pin.value_hash), in_use


def _check_datasets(driver: Driver, uses: Uses) -> None:
    pins = [*uses.inputs, *([] if uses.output is None else [uses.output])]
    datasets = _found(driver, "id, read_only FROM dataset", "id", [e.dataset_id for e in pins])
    contents = _found(driver, "value_hash FROM value", "value_hash", [e.value_hash for e in pins])
    for each in pins:
        if each.dataset_id not in datasets:
            raise DatasetNotFoundError(each.name)
        # Nothing but the dataset named it, which has another one by now, and garbage was collected.
        if each.value_hash not in contents:
            raise DatasetChangedError(each.name)
    if uses.output is not None and datasets[uses.output.dataset_id][0]:
        raise DatasetReadOnlyError(uses.output.name)


def _found(driver: Driver, what: str, key: str, wanted: list[str]) -> dict[str, tuple[Any, ...]]:
    """Return those of some rows that are there, by their keys, with what else is asked for."""
    found: dict[str, tuple[Any, ...]] = {}
    for keys in statements.padded([_binary(each) for each in dict.fromkeys(wanted)]):
        marks = ", ".join("?" * len(keys))
        rows = driver.execute(f"SELECT {what} WHERE {key} IN ({marks})", keys)
        found.update((bytes(row[0]).hex(), tuple(row[1:])) for row in rows)
    return found


def _check_group(driver: Driver, group: str, datasets: str | None, *, is_active: bool) -> None:
    if not _is_there(driver, "execution_group", group):
        raise GroupNotFoundError(group)
    if datasets is None or not is_active:
        return
    row = driver.execute(_IN_PROGRESS, (_binary(group), _binary(datasets))).fetchone()
    if row is not None:
        raise GroupInProgressError(group, bytes(row[0]).hex())


def _is_there(driver: Driver, table: str, id: str) -> bool:
    query = f"SELECT 1 FROM {table} WHERE id = ?"
    return driver.execute(query, (_binary(id),)).fetchone() is not None


__all__ = ["IS_ACTIVE", "check", "datasets_of", "free", "has_output", "take_again", "write"]
