"""Steps of stored workflows as rows: positions are 0 to n - 1 after whatever is done to them.

Each change is a transaction that is alone: who comes second sees what the first one did. Ids are
made before it begins, so that one which is done again changes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskgraph.catalog.workflow_rows import NewStep, StepChange
from taskgraph.errors import NotAPermutationError, ValidationError, WorkflowNotFoundError
from taskgraph.jsontext import mark_floats, to_json
from taskgraph.tasks.names import join_name
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_SHOWN: Final = 8
_COLUMNS: Final = "task_name, task_hash, args, options, input_type, output_type"
_INSERT: Final = (
    f"INSERT INTO workflow_step (id, workflow_id, position, {_COLUMNS})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_IDS: Final = "SELECT id FROM workflow_step WHERE workflow_id = ? ORDER BY position"
_COPIED: Final = f"SELECT {_COLUMNS} FROM workflow_step WHERE workflow_id = ? ORDER BY position"
_STEP: Final = "SELECT workflow_id, position, options FROM workflow_step WHERE id = ?"
_SHIFT: Final = (
    "UPDATE workflow_step SET position = position + ? WHERE workflow_id = ? AND position >= ?"
)
_PLACE: Final = "UPDATE workflow_step SET position = ? WHERE id = ?"
_OPTIONS: Final = "UPDATE workflow_step SET options = ? WHERE id = ?"
_ARGS: Final = "UPDATE workflow_step SET args = ? WHERE id = ?"
_NAME: Final = "SELECT namespace, name, version FROM workflow WHERE id = ?"


def insert(driver: Driver, workflow_id: str, steps: Sequence[NewStep]) -> None:
    """Store the steps of a workflow that has none yet; within a transaction."""
    rows = [_row(uuid.uuid4().hex, workflow_id, place, each) for place, each in enumerate(steps)]
    driver.executemany(_INSERT, rows)


def copy(driver: Driver, workflow_id: str, other_id: str) -> None:
    """Store the steps of a workflow for another one that has none yet; within a transaction."""
    rows = driver.execute(_COPIED, (_binary(workflow_id),)).fetchall()
    made = []
    for place, row in enumerate(rows):
        task, task_hash, args, options, input_type, output_type = row
        known = None if task_hash is None else bytearray(task_hash)
        said = None if args is None else _text(args), _text(options)
        key = _binary(uuid.uuid4().hex)
        made.append((key, _binary(other_id), place, task, known, *said, input_type, output_type))
    driver.executemany(_INSERT, made)


def add(
    driver: Driver, workflow_id: str, step_id: str, step: NewStep, position: int | None
) -> None:
    """Put a step before the one at a position, or behind all; within a transaction alone.

    Raises:
        WorkflowNotFoundError: It was deleted since.
        ValidationError: There is no such position.
    """
    if driver.execute(_STEP, (_binary(step_id),)).fetchone() is not None:  # it is done again
        return
    key = _binary(workflow_id)
    label = _label(driver, workflow_id)
    count = len(driver.execute(_IDS, (key,)).fetchall())
    place = count if position is None else position
    if not 0 <= place <= count:
        raise ValidationError(
            "position", f"expected 0 to {count}, as {label} has {count} steps, not {place}."
        )
    driver.execute(_SHIFT, (1, key, place))
    driver.executemany(_INSERT, [_row(step_id, workflow_id, place, step)])


def change(driver: Driver, wanted: StepChange) -> bool:
    """Change what is given of a step; within a transaction alone. Tells whether it is there."""
    key = _binary(wanted.step_id)
    row = driver.execute(_STEP, (key,)).fetchone()
    if row is None:
        return False
    if wanted.has_args:
        args = None if wanted.args is None else _args(wanted.args)
        driver.execute(_ARGS, (args, key))
    if wanted.options:
        merged = {**_read(row[2]), **wanted.options}
        kept = {name: each for name, each in merged.items() if each is not None}
        driver.execute(_OPTIONS, (to_json(kept), key))
    return True


def reorder(driver: Driver, workflow_id: str, step_ids: Sequence[str]) -> None:
    """Give the steps of a workflow a new order; within a transaction alone.

    Raises:
        WorkflowNotFoundError: It was deleted since.
        NotAPermutationError: These are not all of its steps, each once.
    """
    label = _label(driver, workflow_id)
    known = [bytes(id).hex() for (id,) in driver.execute(_IDS, (_binary(workflow_id),)).fetchall()]
    foreign = [each for each in step_ids if each not in known]
    if foreign:
        raise NotAPermutationError(label, f"{_listed(foreign)}: no step of it is called so.")
    repeated = [each for each, count in Counter(step_ids).items() if count > 1]
    if repeated:
        raise NotAPermutationError(label, f"{_listed(repeated)}: it is named more than once.")
    missing = [each for each in known if each not in step_ids]
    if missing:
        raise NotAPermutationError(
            label, f"it has {len(known)} steps, and {_listed(missing)} is not named."
        )
    driver.executemany(_PLACE, [(place, _binary(id)) for place, id in enumerate(step_ids)])


def remove(driver: Driver, step_id: str) -> bool:
    """Take a step out of its workflow; within a transaction alone. Tells whether it was there."""
    key = _binary(step_id)
    row = driver.execute(_STEP, (key,)).fetchone()
    if row is None:
        return False
    workflow, position, _ = row
    driver.execute("DELETE FROM workflow_step WHERE id = ?", (key,))
    driver.execute(_SHIFT, (-1, bytearray(workflow), position))
    return True


def _label(driver: Driver, workflow_id: str) -> str:
    """Return the name of a workflow with its version.

    Raises:
        WorkflowNotFoundError: There is none.
    """
    row = driver.execute(_NAME, (_binary(workflow_id),)).fetchone()
    if row is None:
        raise WorkflowNotFoundError(workflow_id)
    return f"{join_name(row[0], row[1])}@{row[2]}"


def _row(step_id: str, workflow_id: str, position: int, step: NewStep) -> tuple[Any, ...]:
    return (
        _binary(step_id),
        _binary(workflow_id),
        position,
        step.task,
        None,
        None if step.args is None else _args(step.args),
        to_json(dict(step.options)),
        step.input_type,
        step.output_type,
    )


def _args(given: Mapping[str, Any]) -> str:
    """Return arguments as they are kept: what is a float is one still when it is read."""
    return to_json(mark_floats(dict(given)))


def _read(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


def _text(given: Any) -> str:
    return given if isinstance(given, str) else to_json(given)


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(each[:8] for each in ids[:_SHOWN])


__all__ = ["add", "change", "copy", "insert", "remove", "reorder"]
