"""An execution once more: the same request, as it was frozen or as it would be today."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from taskgraph.catalog.admission import Admission, check_code
from taskgraph.catalog.queueing import UNCLAIMED
from taskgraph.catalog.requests import ACCOUNT, SCRIPT, Request, Terms
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
from taskgraph.jsontext import to_json
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


@dataclass(frozen=True, slots=True)
class Again:
    """How an execution is to be run once more.

    Attributes:
        from_snapshot: Whether on what was frozen; otherwise on what is there now.
        use_cache: Whether results of before may be used.
        key: Under which it is submitted once.
        is_queued: Whether it waits for a worker.
        submitted_by: Who asks for it.
        account: From what is paid, if that is said.
        script: Where its tasks are, if that is said, for the worker that takes it.
    """

    from_snapshot: bool = True
    use_cache: bool = True
    key: str | None = None
    is_queued: bool = False
    submitted_by: str | None = None
    account: str | None = None
    script: str | None = None


def rerun(
    store: RerunStore,
    runner: Callable[[], Rerunner],
    admission: Admission,
    origin: Execution,
    again: Again,
) -> str:
    """Submit the request of an execution again, and run it; returns the id of the new one.

    Args:
        store: Where it is.
        runner: Returns what runs it here.
        admission: Says whether it may be submitted.
        origin: The execution.
        again: How it is to be run once more.

    Raises:
        RerunError: Nothing was frozen of it, or what it was given is not known any more.
        UnknownTaskError: A task is not defined in this process; nothing was written.
        ValidationError: It is to wait for a worker, and was declared for no queues.
        TaskgraphError: It may not be submitted; `Admission.admit` says why.
    """
    if again.is_queued and not origin.tags.get(QUEUE_TAG):
        reason = f"execution {origin.id[:8]} was declared for none: no worker would take it."
        raise ValidationError("queues", reason)
    # Who asks again is answered, whatever became of what it was asked of.
    known = None if again.key is None else store.under_key(origin.entrypoint, again.key)
    if known is not None:
        return known.id
    frozen = store.snapshot(origin.id)
    if not isinstance(frozen, dict):
        raise RerunError(
            f"execution {origin.id[:8]}",
            "nothing was frozen when it was submitted. Run its task: `taskgraph run`.",
        )
    wanted = uses_of(frozen)
    if again.from_snapshot:
        here = _still_here(store, wanted)
    else:
        here = wanted = with_code(store.pin(_today(wanted)))
    terms = _terms(admission, origin, wanted, again)
    # Nothing is written, and no key is used up, of what cannot be run here.
    if not again.is_queued:
        runner().check(_tasks_of(origin, wanted))
        check_code(with_code(wanted).steps)
    request = _request(origin, parameters_of(frozen, origin), here, again, terms)
    said = _frozen_again(frozen, request) if again.from_snapshot else None
    made = store.create(request, strict=False, frozen=said)
    if made.is_new and not again.is_queued:
        try:
            runner().run_again(made.execution.id, origin, wanted, cache=again.use_cache)
        except RerunError as error:
            error.execution_id = made.execution.id
            raise
    return made.execution.id


def _terms(admission: Admission, origin: Execution, uses: Uses, again: Again) -> Terms:
    """Return on what terms it is submitted: those of who has it run again, and not of the first.

    Who has had it run before pays from the same account, unless another one is said.
    """
    account = again.account
    before = origin.options.get(ACCOUNT)
    if account is None and again.submitted_by == origin.submitted_by and isinstance(before, str):
        account = before
    if uses.workflow is not None:
        admission.check_enabled(uses.workflow.id)
    admit = admission.admit_frozen if again.from_snapshot else admission.admit
    return admit(uses, again.submitted_by, account)


def _frozen_again(frozen: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return what was frozen, with who has it run again, and from what that is paid."""
    found = dict(frozen)
    if found.get("submitted_by") != request.submitted_by:
        found["submitted_by"] = request.submitted_by
    options, paid = found.get("options") or {}, request.options.get(ACCOUNT)
    if options.get(ACCOUNT) != paid:
        found["options"] = _paid_from(options, paid)
    return found


def _paid_from(options: Mapping[str, Any], account: str | None) -> dict[str, Any]:
    """Return options with an account, or without any."""
    kept = {name: each for name, each in options.items() if name != ACCOUNT}
    return kept if account is None else {**kept, ACCOUNT: account}


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


def parameters_of(frozen: Any, found: Execution) -> Mapping[str, Any]:
    """Return what an execution was given, as it was frozen: in columns 1.0 is kept as 1.

    Args:
        frozen: Its snapshot. Any: JSON, if anything was frozen.
        found: The execution.
    """
    said = frozen.get("parameters") if isinstance(frozen, dict) else None
    known: Mapping[str, Any] = found.parameters
    return said if isinstance(said, dict) and to_json(said) == to_json(known) else known


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


def _request(
    origin: Execution, parameters: Mapping[str, Any], uses: Uses, again: Again, terms: Terms
) -> Request:
    tags = [
        (name, value)
        for name, values in origin.tags.items()
        for value in values
        if not name.startswith(RESERVED)
    ]
    queues = origin.tags.get(QUEUE_TAG, ())
    options = _paid_from(origin.options, terms.account)
    options.pop(NO_CACHE, None)  # which was said of the first one alone
    if again.script is not None:
        options[SCRIPT] = again.script
    if again.is_queued and not again.use_cache:
        options[NO_CACHE] = True
    claimed = json.dumps(sys.argv or [origin.entrypoint])  # that is what a process has claimed
    return Request(
        id=uuid.uuid4().hex,
        entrypoint=origin.entrypoint,
        name=origin.name,
        parameters=parameters,
        options=options,
        tags=OwnTags([*tags, (RERUN_TAG, origin.id)]),
        queues=tuple(queues),
        study=origin.study,
        workspace=None,
        state=State(StateType.PENDING),
        idempotency_key=again.key,
        parent_job_id=None,
        submitted_by=again.submitted_by,
        code_version=None,
        args=UNCLAIMED if again.is_queued else claimed,
        uses=uses,
        terms=terms,
    )


__all__ = [
    "NO_CACHE",
    "RERUN_TAG",
    "Again",
    "RerunStore",
    "Rerunner",
    "parameters_of",
    "rerun",
    "uses_of",
]
