"""An execution once more: the same request, as it was frozen or as it would be today."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, Protocol

from taskgraph.catalog.queueing import UNCLAIMED
from taskgraph.catalog.requests import Request
from taskgraph.catalog.rows import QUEUE_TAG, Created, Execution
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.uses import (
    DatasetPin,
    StepPin,
    Uses,
    WantedUses,
    WorkflowPin,
    with_code,
)
from taskgraph.errors import NotFoundError, RerunError, ValidationError
from taskgraph.tags import RESERVED, OwnTags
from taskgraph.tasks.schemas import ANY_TYPE

#: The key of the tag that says which execution another one was made after.
RERUN_TAG: Final = "taskgraph.rerun_of"
#: The option of an execution that a worker is to run without results of before.
NO_CACHE: Final = "no_cache"


class RerunStore(Protocol):
    """What is needed of a database to submit something again."""

    def snapshot(self, execution_id: str) -> Any:
        """Return what was frozen when an execution was submitted, or None."""

    def under_key(self, entrypoint: str, key: str) -> Execution | None:
        """Return the execution that is there under a key."""

    def pin(self, wanted: WantedUses) -> Uses:
        """Return what an execution is to use, with the content that it has now."""

    def create(self, request: Request, *, strict: bool, frozen: Any = None) -> Created:
        """Record an execution, or return the one that is there under its key."""


class Rerunner(Protocol):
    """Runs executions once more, in this process."""

    def check(self, tasks: Iterable[str]) -> None:
        """Raise if one of some tasks is not defined here."""

    def run_again(self, execution_id: str, origin: Execution, uses: Uses, *, cache: bool) -> None:
        """Run an execution that was made after another one."""


def rerun(
    store: RerunStore,
    runner: Callable[[], Rerunner],
    origin: Execution,
    *,
    from_snapshot: bool,
    use_cache: bool,
    key: str | None,
    is_queued: bool = False,
) -> str:
    """Submit the request of an execution again, and run it; returns the id of the new one.

    Raises:
        RerunError: Nothing was frozen of it, or what it was given is not known any more.
        UnknownTaskError: A task is not defined in this process; nothing was written.
        ValidationError: It is to wait for a worker, and was declared for no queues.
    """
    if is_queued and not origin.tags.get(QUEUE_TAG):
        reason = f"execution {origin.id[:8]} was declared for none: no worker would take it."
        raise ValidationError("queues", reason)
    frozen = store.snapshot(origin.id)
    if not isinstance(frozen, dict):
        raise RerunError(
            f"execution {origin.id[:8]}",
            "nothing was frozen when it was submitted. Run its task: `taskgraph run`.",
        )
    wanted = uses_of(frozen)
    if from_snapshot:
        here = _still_here(store, wanted)
    else:
        here = wanted = with_code(store.pin(_today(wanted)))
        frozen = None
    known = None if key is None else store.under_key(origin.entrypoint, key)
    if known is not None:
        return known.id
    # Nothing is written, and no key is used up, of what cannot be run here.
    if not is_queued:
        runner().check(_tasks_of(origin, wanted))
    request = _request(origin, here, key)
    if is_queued:
        options = {**origin.options, **({} if use_cache else {NO_CACHE: True})}
        request = replace(request, args=UNCLAIMED, options=options)
    made = store.create(request, strict=False, frozen=frozen)
    if made.is_new and not is_queued:
        runner().run_again(made.execution.id, origin, wanted, cache=use_cache)
    return made.execution.id


def _tasks_of(origin: Execution, uses: Uses) -> list[str]:
    """Return what is run: the steps of a workflow that are meant, or one task."""
    if uses.workflow is None:
        return [origin.entrypoint]
    return [each.task_name for each in uses.steps]


def uses_of(frozen: dict[str, Any]) -> Uses:
    """Return what an execution was to use, by what was frozen of it."""
    flow, output = frozen.get("workflow"), frozen.get("output")
    return Uses(
        workflow=None if flow is None else _workflow(flow),
        inputs=tuple(_dataset(each) for each in frozen.get("inputs", ())),
        output=None if output is None else _dataset(output),
        first_step=frozen.get("first_step"),
        last_step=frozen.get("last_step"),
        group_id=frozen.get("group"),
    )


def _workflow(said: dict[str, Any]) -> WorkflowPin:
    steps = tuple(
        StepPin(
            each["position"],
            each["task"],
            each["task_hash"],
            each["args"],
            each["options"],
            # What was frozen before these were known has none of it.
            each.get("input_type", ANY_TYPE),
            each.get("output_type", ANY_TYPE),
            each.get("code_hash"),
        )
        for each in said["steps"]
    )
    return WorkflowPin(said["id"], said["namespace"], said["name"], said["version"], steps)


def _dataset(said: dict[str, Any]) -> DatasetPin:
    return DatasetPin(said["name"], said["dataset"], said["type"], said["value"])


def _today(uses: Uses) -> WantedUses:
    """Return the same workflow and datasets, to be looked up as they are now."""
    return WantedUses(
        workflow=None if uses.workflow is None else uses.workflow.id,
        inputs=tuple((each.name, each.dataset_id) for each in uses.inputs),
        output=None if uses.output is None else uses.output.dataset_id,
        first_step=uses.first_step,
        last_step=uses.last_step,
        group=uses.group_id,
    )


def _still_here(store: RerunStore, uses: Uses) -> Uses:
    """Return what of the originals is still there, which is what rows can refer to.

    What is run is what was frozen, whatever became of them.
    """

    def is_here(wanted: WantedUses) -> bool:
        try:
            store.pin(wanted)
        except NotFoundError:
            return False
        return True

    inputs = tuple(
        each for each in uses.inputs if is_here(WantedUses(inputs=((each.name, each.dataset_id),)))
    )
    group = uses.group_id
    if group is not None and (inputs != uses.inputs or not is_here(WantedUses(group=group))):
        group = None
    output = uses.output
    if output is not None and not is_here(WantedUses(output=output.dataset_id)):
        output = None
    flow = uses.workflow
    if flow is not None and not is_here(WantedUses(workflow=flow.id)):
        flow = None
    return replace(uses, inputs=inputs, group_id=group, output=output, workflow=flow)


def _request(origin: Execution, uses: Uses, key: str | None) -> Request:
    tags = [
        (name, value)
        for name, values in origin.tags.items()
        for value in values
        if not name.startswith(RESERVED)
    ]
    queues = origin.tags.get(QUEUE_TAG, ())
    return Request(
        id=uuid.uuid4().hex,
        entrypoint=origin.entrypoint,
        name=origin.name,
        parameters=origin.parameters,
        options=origin.options,
        tags=OwnTags([*tags, (RERUN_TAG, origin.id)]),
        queues=tuple(queues),
        study=origin.study,
        workspace=None,
        state=State(StateType.PENDING),
        idempotency_key=key,
        parent_job_id=None,
        submitted_by=origin.submitted_by,
        code_version=None,
        args=json.dumps(sys.argv or [origin.entrypoint]),  # that is what a process has claimed
        uses=uses,
    )


__all__ = ["NO_CACHE", "RERUN_TAG", "RerunStore", "Rerunner", "rerun", "uses_of"]
