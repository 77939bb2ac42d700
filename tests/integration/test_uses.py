"""What executions use is pinned when they are submitted: workflows with steps, datasets, groups."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from taskgraph.archive import Archive
from taskgraph.catalog.uses import DatasetPin, dataset_hash
from taskgraph.errors import (
    ConflictError,
    GroupInProgressError,
    GroupNotFoundError,
    StepRangeError,
    ValidationError,
    WorkflowNotFoundError,
)

_FLOW = (
    "INSERT INTO workflow (id, study_id, namespace, name, version, promoted, enabled, meta,"
    " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STEP = (
    "INSERT INTO workflow_step (id, workflow_id, position, task_name, task_hash, args, options)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_GROUP = (
    "INSERT INTO execution_group (id, workflow_id, key, selectors, dirty, recompute, created_at,"
    " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def _store_workflow(tg: Archive, name: str, version: int = 1, promoted: bool = True) -> str:
    id = uuid.uuid4().hex

    def write(driver: Any) -> None:
        key = bytearray.fromhex(id)
        row = (key, None, "flows", name, version, promoted, True, "{}", 1)
        driver.executemany(_FLOW, [row])
        for position, task in enumerate(("flows.load", "flows.fit")):
            args = f'{{"n": {position}}}'
            row = (uuid.uuid4().bytes, key, position, task, None, args, '{"queue": "gpu"}')
            driver.executemany(_STEP, [row])

    tg.backend._transact(write)
    return id


def _store_group(tg: Archive, workflow: str) -> str:
    id = uuid.uuid4().hex
    row = (bytearray.fromhex(id), bytearray.fromhex(workflow), id, "{}", True, False, 1, 1)
    tg.backend._transact(lambda driver: driver.executemany(_GROUP, [row]))
    return id


def test_a_workflow_is_frozen_with_its_steps(tg: Archive) -> None:
    flow = _store_workflow(tg, "nightly")

    made = tg.executions.create("flows.nightly", workflow="flows.nightly", first_step=1)

    frozen = tg.executions.snapshot(made.execution)
    assert made.execution.workflow_id == flow
    assert (made.execution.first_step, made.execution.last_step) == (1, None)
    assert frozen["workflow"]["id"] == flow
    assert [each["task"] for each in frozen["workflow"]["steps"]] == ["flows.load", "flows.fit"]
    assert frozen["workflow"]["steps"][1]["args"] == {"n": 1}
    assert frozen["workflow"]["steps"][1]["options"] == {"queue": "gpu"}
    assert frozen["first_step"] == 1


def test_a_workflow_is_the_promoted_version_of_its_name_or_the_one_that_is_named(
    tg: Archive,
) -> None:
    first = _store_workflow(tg, "nightly", 1, promoted=True)
    second = _store_workflow(tg, "nightly", 2, promoted=False)

    def used(ref: str) -> str | None:
        return tg.executions.create("e", workflow=ref).execution.workflow_id

    assert used("flows.nightly") == first
    assert used("flows.nightly@2") == second
    assert used(second) == second
    assert used(second[:20]) == second
    for wrong in ("flows.nightly@3", "nightly", "x" * 40):
        with pytest.raises(WorkflowNotFoundError, match="give the name of one that is stored"):
            tg.executions.create("e", workflow=wrong)


@pytest.mark.parametrize("steps", [(1, 0), (0, 2), (-1, 1), (2, None)])
def test_steps_must_be_a_range_of_the_workflow(tg: Archive, steps: tuple[int, int | None]) -> None:
    flow = _store_workflow(tg, "nightly")

    with pytest.raises(StepRangeError, match="positions from 0"):
        tg.executions.create("e", workflow=flow, first_step=steps[0], last_step=steps[1])

    with pytest.raises(StepRangeError, match="give a workflow that has some"):
        tg.executions.create("e", first_step=0)
    assert tg.executions.count() == 0


def test_a_group_must_be_there(tg: Archive) -> None:
    group = _store_group(tg, _store_workflow(tg, "nightly"))

    made = tg.executions.create("e", group=group[:12])

    assert made.execution.group_id == group
    with pytest.raises(GroupNotFoundError, match="made by planning"):
        tg.executions.create("e", group="0" * 32)


def test_a_group_is_one_of_the_workflow_that_is_run(tg: Archive) -> None:
    group = _store_group(tg, _store_workflow(tg, "nightly"))
    tg.workflows.create("other")

    with pytest.raises(ValidationError, match=r"another workflow than other@1"):
        tg.executions.create("e", group=group, workflow="other")

    assert tg.executions.count() == 0


def test_a_group_is_in_progress_once_on_the_same_datasets(tg: Archive) -> None:
    group = _store_group(tg, _store_workflow(tg, "nightly"))
    tg.datasets.register("in", [])
    tg.datasets.register("other", [])
    first = tg.executions.create("e", group=group, inputs=["in"]).execution

    with pytest.raises(GroupInProgressError, match="nothing was submitted") as caught:
        tg.executions.create("e", group=group, inputs=["in"])

    assert isinstance(caught.value, ConflictError)
    assert caught.value.execution_id == first.id
    assert tg.executions.create("e", group=group, inputs=["other"]).is_new
    assert tg.executions.create("e", group=group, inputs=["in"], state="FAILED").is_new
    tg.executions.set_state(first, "COMPLETED")
    assert tg.executions.create("e", group=group, inputs=["in"]).is_new


def test_a_dataset_hash_is_of_contents_in_no_order() -> None:
    one = DatasetPin("a", "1" * 32, "csv", "2" * 32)
    other = DatasetPin("b", "3" * 32, "csv", "4" * 32)
    changed = DatasetPin("b", "3" * 32, "csv", "5" * 32)
    of_another_type = DatasetPin("b", "3" * 32, "nc", "4" * 32)

    assert dataset_hash([one, other]) == dataset_hash([other, one, one])
    assert (
        len({dataset_hash(e) for e in ([one, other], [one, changed], [one, of_another_type])}) == 3
    )
