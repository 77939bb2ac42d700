"""What an execution is to use is looked up: a workflow with its steps, datasets, a group.

In a few statements, however many datasets there are; the driver is enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.catalog.uses import (
    DatasetPin,
    StepPin,
    Uses,
    WantedUses,
    WorkflowPin,
    check_names,
    check_steps,
)
from taskgraph.errors import (
    AmbiguousIdError,
    DatasetNotFoundError,
    DatasetReadOnlyError,
    GroupNotFoundError,
    ValidationError,
    WorkflowNotFoundError,
)
from taskgraph.jsontext import read_floats
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_SHOWN: Final = 5
_MOST_DIGITS: Final = 20
_WHOLE: Final = re.compile(r"[0-9a-fA-F]{32}")
_START: Final = re.compile(r"[0-9a-fA-F]{1,32}")
_DATASET: Final = (
    "SELECT d.id, d.name, d.type, d.value_hash, d.read_only, s.name FROM dataset d"
    " LEFT JOIN study s ON s.id = d.study_id WHERE "
)
_WORKFLOW: Final = "SELECT id, namespace, name, version, promoted FROM workflow WHERE "
_GROUP: Final = "SELECT id, workflow_id FROM execution_group WHERE"
_STEPS: Final = (
    "SELECT position, task_name, task_hash, args, options, input_type, output_type"
    " FROM workflow_step"
    " WHERE workflow_id = ? ORDER BY position"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset as it is now."""

    id: str
    name: str
    type: str
    value_hash: str
    read_only: bool
    study: str | None

    def pin(self, name: str | None = None) -> DatasetPin:
        """Return it with its content, called as it is to be called."""
        return DatasetPin(self.name if name is None else name, self.id, self.type, self.value_hash)


def pin(driver: Driver, wanted: WantedUses) -> Uses:
    """Return what an execution is to use, as it is now.

    Raises:
        NotFoundError: There is no such workflow, dataset or group.
        AmbiguousIdError: A name or the start of an id is that of several.
        DatasetReadOnlyError: The output is read-only.
        StepRangeError: The steps are none of the workflow.
        ValidationError: Two inputs are called alike, or the group is of another workflow.
    """
    workflow = None if wanted.workflow is None else find_workflow(driver, wanted.workflow)
    check_steps(wanted.first_step, wanted.last_step, workflow)
    refs = [ref for _, ref in wanted.inputs]
    if wanted.output is not None:
        refs.append(wanted.output)
    datasets = find_datasets(driver, refs, wanted.study)
    inputs = tuple(datasets[ref].pin(name) for name, ref in wanted.inputs)
    check_names(inputs)
    output = None
    if wanted.output is not None:
        found = datasets[wanted.output]
        if found.read_only:
            raise DatasetReadOnlyError(found.name)
        output = found.pin()
    group = None if wanted.group is None else _find_group(driver, wanted.group, workflow)
    return Uses(workflow, inputs, output, wanted.first_step, wanted.last_step, group)


def find_datasets(driver: Driver, refs: Iterable[str], study: str | None) -> dict[str, Found]:
    """Return datasets by name, id or unique start of one.

    A name that several studies have is that of the study that is given, else of no study.

    Raises:
        DatasetNotFoundError: There is none.
        AmbiguousIdError: There are several.
    """
    wanted = list(dict.fromkeys(refs))
    by_name: dict[str, list[Found]] = {}
    for names in statements.padded(wanted):
        marks = ", ".join("?" * len(names))
        for row in driver.execute(f"{_DATASET} d.name IN ({marks}) ORDER BY d.id", names):
            found = _found(row)
            by_name.setdefault(found.name, []).append(found)
    by_id: dict[str, Found] = {}
    ids = [each.lower() for each in wanted if _WHOLE.fullmatch(each)]
    for keys in statements.padded([_binary(each) for each in ids]):
        marks = ", ".join("?" * len(keys))
        for row in driver.execute(f"{_DATASET} d.id IN ({marks})", keys):
            found = _found(row)
            by_id[found.id] = found
    return {
        ref: by_id.get(ref.lower()) or _chosen(driver, ref, by_name.get(ref, []), study)
        for ref in wanted
    }


def _chosen(driver: Driver, ref: str, named: Sequence[Found], study: str | None) -> Found:
    for wanted in (study, None):
        for each in named:
            if each.study == wanted:
                return each
    found = list(named) or [
        _found(row) for row in _starting(driver, f"{_DATASET} d.id BETWEEN ? AND ?", ref)
    ]
    if not found:
        raise DatasetNotFoundError(ref)
    if len(found) > 1:
        raise AmbiguousIdError(ref, [each.id[:12] for each in found[:_SHOWN]])
    return found[0]


def _starting(driver: Driver, sql: str, ref: str) -> list[Any]:
    """Return rows whose id starts with some digits."""
    if not _START.fullmatch(ref):
        return []
    start = ref.lower()
    edges = _binary(start.ljust(32, "0")), _binary(start.ljust(32, "f"))
    return driver.execute(f"{sql} LIMIT {_SHOWN}", edges).fetchall()


def _found(row: Any) -> Found:
    id, name, type, value_hash, read_only, study = row
    return Found(_hex(id), name, type, _hex(value_hash), bool(read_only), study)


def find_workflow(driver: Driver, ref: str) -> WorkflowPin:
    """Return a stored workflow with its steps: by id, full name, NAME@VERSION, or start of an id.

    A whole id is that of the workflow, whatever others are called. Of a name it is the promoted
    version, or the newest where none is.

    Raises:
        WorkflowNotFoundError: There is none.
        AmbiguousIdError: There are several.
    """
    by_id = f"{_WORKFLOW} id BETWEEN ? AND ?"
    rows = _starting(driver, by_id, ref) if _WHOLE.fullmatch(ref) else []
    rows = rows or _named(driver, ref) or _starting(driver, by_id, ref)
    if not rows:
        raise WorkflowNotFoundError(ref)
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [_hex(row[0])[:12] for row in rows])
    key, namespace, name, version, _ = rows[0]
    steps = driver.execute(_STEPS, (key,)).fetchall()
    return WorkflowPin(_hex(key), namespace, name, version, tuple(_step(row) for row in steps))


def _named(driver: Driver, ref: str) -> list[Any]:
    """Return the version of a workflow that a name stands for, if there is one."""
    fullname, at, version = ref.rpartition("@")
    if not at or not version.isdecimal() or len(version) > _MOST_DIGITS:
        fullname, version = ref, ""
    namespace, dot, name = fullname.rpartition(".")
    if dot and not namespace:  # a name of no namespace has no dot before it
        return []
    rows = driver.execute(
        f"{_WORKFLOW} namespace = ? AND name = ? ORDER BY version DESC", (namespace, name)
    ).fetchall()
    if version:
        return [row for row in rows if row[3] == int(version)]
    return [row for row in rows if row[4]] or rows[:1]


def _step(row: Any) -> StepPin:
    position, task, task_hash, args, options, input_type, output_type = row
    known = None if task_hash is None else _hex(task_hash)
    said = read_floats(_read(args)), _read(options)
    return StepPin(position, task, known, *said, input_type, output_type)


def _find_group(driver: Driver, ref: str, workflow: WorkflowPin | None) -> str:
    rows = _starting(driver, f"{_GROUP} id BETWEEN ? AND ?", ref)
    if not rows:
        raise GroupNotFoundError(ref)
    if len(rows) > 1:
        raise AmbiguousIdError(ref, [_hex(row[0])[:12] for row in rows])
    group, flow = map(_hex, rows[0])
    if workflow is not None and flow != workflow.id:
        raise ValidationError(
            "group",
            f"it is one of another workflow than {workflow.label}, by whose executions it would be "
            "judged.",
        )
    return group


def _read(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


def _hex(key: Any) -> str:
    return bytes(key).hex()


__all__ = ["Found", "find_datasets", "find_workflow", "pin"]
