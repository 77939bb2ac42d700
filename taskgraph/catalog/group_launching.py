"""Groups that are to run are held against what is there, and written down one by one.

Whether a group is to run is decided once more in the transaction that writes its execution.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from taskgraph.catalog.admission import Admission, check_code, check_runnable
from taskgraph.catalog.group_rows import Decision, ExecutionGroup
from taskgraph.catalog.launches import Launch, Launcher
from taskgraph.catalog.requests import ACCOUNT, Request, Terms
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.uses import Uses, WantedUses, with_code
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.catalog.workflows import WorkflowManager
from taskgraph.errors import EmptyWorkflowError, IncompatibleDatasetError, ValidationError


class LaunchStore(Protocol):
    """What is needed of a database to launch groups."""

    def pin(self, wanted: WantedUses) -> Uses:
        """Return what an execution is to use, with the content that it has now."""

    def launch(self, decision: Decision, request: Request) -> ExecutionGroup | None:
        """Write an execution of a group down; None where somebody was quicker."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How groups are to be launched.

    Attributes:
        submitted_by: Who asks for it.
        account: From what is paid.
        recompute: Whether no results of before are used.
    """

    submitted_by: str | None
    account: str | None
    recompute: bool


class GroupLaunching:
    """Holds groups against what is there, and writes down what is to run.

    Args:
        store: Where they are.
        workflows: Those that they are of.
        admission: Says whether something may be submitted.
    """

    def __init__(
        self, store: LaunchStore, workflows: WorkflowManager, admission: Admission
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._admission = admission

    def checked(self, wanted: Sequence[Decision], launcher: Launcher) -> dict[str, Workflow]:
        """Return the workflows of groups by id: each may run, on the datasets of each.

        Args:
            wanted: The groups that are to run.
            launcher: What is to run them.

        Raises:
            TaskgraphError: One may not run; `GroupManager.run` says which there are.
        """
        flows: dict[str, Workflow] = {}
        pinned: dict[str, Uses] = {}
        planned = []
        for each in wanted:
            key = each.group.workflow_id
            if key not in flows:
                flow = flows[key] = self._workflows.get(key)
                check_runnable(flow)
                launcher.check(step.task for step in flow.steps)
                pinned[key] = with_code(self._store.pin(WantedUses(workflow=flow.id)))
                check_code(pinned[key].steps)
                self._admission.check_steps(pinned[key])
            if not each.datasets:
                raise ValidationError(
                    f"group {each.group.key!r}",
                    "it is not known which datasets the decision is of. Take what `plan` gives.",
                )
            planned.append(replace(pinned[key], inputs=each.datasets))
        try:
            self._admission.check_datasets(planned)
        except IncompatibleDatasetError:  # they may be others by now
            now = [self._pin(each, flows[each.group.workflow_id]) for each in wanted]
            self._admission.check_datasets(now)
        return flows

    def launch(self, decision: Decision, flow: Workflow, asked: Asked) -> Launch | None:
        """Write down what is to run: the datasets that were planned, with what is in them now.

        Args:
            decision: The group, and why it is to run.
            flow: Its workflow.
            asked: How it is to be launched.

        Returns:
            What is to be run; None where somebody else has launched the group.

        Raises:
            EmptyWorkflowError: All steps were removed since.
            IncompatibleDatasetError: A dataset does not fit any more.
        """
        uses = with_code(self._pin(decision, flow))
        if not uses.steps:
            raise EmptyWorkflowError(flow.label)
        if uses.inputs != decision.datasets:  # they have changed since they were looked at
            self._admission.check_datasets([uses])
        decided = replace(decision, dataset_hash=str(uses.dataset_hash))
        terms = self._admission.terms(uses, asked.account)
        request = _request(decided, flow, uses, asked, terms)
        group = self._store.launch(decided, request)
        if group is None:
            return None
        return Launch(request.id, uses, use_cache=not (asked.recompute or group.recompute))

    def _pin(self, decision: Decision, flow: Workflow) -> Uses:
        """Return the datasets that were planned, with what is in them now."""
        return self._store.pin(
            WantedUses(
                workflow=flow.id,
                inputs=tuple((each.name, each.dataset_id) for each in decision.datasets),
                group=decision.group.id,
                study=flow.study,
            )
        )


def _request(decision: Decision, flow: Workflow, uses: Uses, asked: Asked, terms: Terms) -> Request:
    options: dict[str, Any] = {}
    if "script" in flow.meta:
        options["script"] = flow.meta["script"]
    if asked.account is not None:
        options[ACCOUNT] = asked.account
    return Request(
        id=uuid.uuid4().hex,
        entrypoint=flow.fullname,
        name=f"{flow.name} {decision.group.key}",
        parameters={},
        options=options,
        tags=(),
        queues=(),
        study=flow.study,
        workspace=None,
        state=State(StateType.PENDING),
        idempotency_key=None,
        parent_job_id=None,
        submitted_by=asked.submitted_by,
        code_version=None,
        args=json.dumps(sys.argv or [flow.fullname]),  # that is what a process has claimed
        uses=uses,
        terms=terms,
    )


__all__ = ["Asked", "GroupLaunching", "LaunchStore"]
