"""Steps of stored workflows are added, changed, put in another order and removed.

What was submitted before has its own copy and does not change. Positions are 0 to n - 1 after each
of these, whoever else edits at the same time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from taskgraph.catalog.steps import (
    checked_args,
    checked_options,
    checked_step,
    known_task,
)
from taskgraph.catalog.store import UNSET, Unset
from taskgraph.catalog.uses import ref_of
from taskgraph.catalog.workflow_finding import WorkflowFinder
from taskgraph.catalog.workflow_rows import StepChange, Workflow, WorkflowStep
from taskgraph.errors import StepNotFoundError, ValidationError, WorkflowNotFoundError
from taskgraph.tasks.registry import AnyTask


class StepVerbs(WorkflowFinder):
    """The verbs of the manager of workflows that edit steps."""

    def add_step(
        self,
        workflow: str | Workflow,
        task: AnyTask | str,
        *,
        position: int | None = None,
        args: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> WorkflowStep:
        """Put a step into a workflow, before the one at a position or behind all.

        Args:
            workflow: Which; of a name it is the promoted version.
            task: Its task, or the full name of one, which need not be defined here.
            position: 0 to the number of steps.
            args: What it is given by name; below it are the defaults of the task's schema.
            options: Of its calls, on top of the task's own.

        Raises:
            WorkflowNotFoundError: There is no such workflow.
            ReservedArgumentError: An argument is one that is only given when it runs.
            SecretError: An argument is a secret; none is kept.
            ValidationError: Something is not what it must be, or not what the task's schema says.
        """
        if position is not None and (isinstance(position, bool) or not isinstance(position, int)):
            raise ValidationError("position", f"expected a number, not {position!r}.")
        found = self.get(workflow)
        said = {"task": task, "args": args, "options": options}
        step_id = uuid.uuid4().hex
        self._store.add_step(found.id, step_id, checked_step(said, self._describe), position)
        return self.step(step_id)

    def update_step(
        self,
        step: str | WorkflowStep,
        *,
        args: Mapping[str, Any] | Unset | None = UNSET,
        options: Mapping[str, Any] | Unset | None = UNSET,
    ) -> WorkflowStep:
        """Change what is given of a step; executions that were submitted do not change.

        Args:
            step: By its id, the start of one, or itself.
            args: In place of those that it had: the defaults of the task's schema, and on top
                these. None or nothing is for the defaults alone.
            options: Upon those that it has; None takes one away.

        Raises:
            StepNotFoundError: There is no such step.
            ReservedArgumentError: An argument is one that is only given when it runs.
            SecretError: An argument is a secret; none is kept.
            ValidationError: Something is not what it must be, or not what the task's schema says.
        """
        _, found = self._step(step)
        known = known_task(found.task, self._describe)
        wanted = StepChange(
            found.id,
            None if isinstance(args, Unset) else checked_args(known, args),
            not isinstance(args, Unset),
            {} if isinstance(options, Unset) else checked_options(found.task, options),
        )
        if not self._store.change_step(wanted):  # removed since
            raise StepNotFoundError(found.id)
        return self.step(found.id)

    def reorder(self, workflow: str | Workflow, step_ids: Iterable[str | WorkflowStep]) -> Workflow:
        """Give the steps of a workflow a new order.

        Args:
            workflow: Which.
            step_ids: All of its steps, each once: ids, the starts of some, or the steps themselves.

        Raises:
            WorkflowNotFoundError: There is no such workflow.
            NotAPermutationError: These are not all of its steps, each once.
        """
        if isinstance(step_ids, str) or not isinstance(step_ids, Iterable):
            raise ValidationError("step_ids", f"expected a list of steps, not {step_ids!r}.")
        found = self.get(workflow)
        self._store.reorder_steps(found.id, [_whole(found, ref_of(each)) for each in step_ids])
        return self.get(found.id)

    def remove_step(self, step: str | WorkflowStep) -> Workflow:
        """Take a step out of its workflow; those behind it move up. Returns the workflow.

        Raises:
            StepNotFoundError: There is no such step.
        """
        workflow_id, found = self._step(step)
        if not self._store.remove_step(found.id):  # removed since
            raise StepNotFoundError(found.id)
        whole = self.find(workflow_id)
        if whole is None:  # deleted since
            raise WorkflowNotFoundError(workflow_id)
        return whole


def _whole(flow: Workflow, ref: str) -> str:
    """Return the id of a step that starts so; what is none of the workflow stays as it is."""
    found = [each.id for each in flow.steps if each.id.startswith(ref.lower())]
    return found[0] if len(found) == 1 else ref


__all__ = ["StepVerbs"]
