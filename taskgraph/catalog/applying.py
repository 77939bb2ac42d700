"""Stored workflows are applied to datasets: held against these, frozen, and submitted.

What can be overtaken is held against what is there once more in the transaction that writes; the
answer of this module alone is never the last one.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Final

from taskgraph.catalog.admission import check_code, check_runnable
from taskgraph.catalog.launches import Launch, Launcher
from taskgraph.catalog.requests import (
    ACCOUNT,
    SCRIPT,
    Request,
    checked_name,
    checked_queues,
    checked_submitter,
    tags_of,
    whole_path,
)
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.uses import Uses, WantedUses, read_inputs, ref_of, with_code
from taskgraph.catalog.workflow_finding import WorkflowFinder
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.errors import ExecutionNotFoundError, ValidationError, WorkflowNotFoundError
from taskgraph.jsontext import storable

#: Where what names no queue waits.
DEFAULT_QUEUE: Final = "default"
# What a column of a database can count to.
_MOST_PRIORITY: Final = 2**31 - 1


class ApplyVerbs(WorkflowFinder):
    """The verb of the manager of workflows that has one run on datasets."""

    def apply(
        self,
        workflow: str | Workflow,
        *,
        inputs: Iterable[Any] | Mapping[str, Any],
        output: Any,
        first_step: int | None = None,
        last_step: int | None = None,
        account: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = 0,
        idempotency_key: str | None = None,
        strict: bool = False,
        submitted_by: str | None = None,
        workspace: str | PathLike[str] | None = None,
        tags: Iterable[tuple[str, Any]] | Mapping[str, Any] | None = None,
        name: str | None = None,
        here: bool = False,
        script: str | None = None,
    ) -> Execution:
        """Submit a stored workflow on datasets; what is submitted is frozen.

        Its steps, their arguments and the contents of the datasets are those of this moment: what
        becomes of them later changes nothing. Rows are written before anything runs. Once it has
        ended well, the files of its result are the content of the output.

        Args:
            workflow: Its name, which is the promoted version, ``name@version``, its id, or itself.
            inputs: The datasets that it reads, each one that was found, its name or id; a mapping
                says what each is called within the execution.
            output: The dataset that it writes; no other execution writes it meanwhile.
            first_step: The first step to run, from 0.
            last_step: The last step to run.
            account: From what is paid; by default that of who submits it, if that is registered.
            queue: Where it waits for a worker.
            priority: Of those that wait the smallest is the first.
            idempotency_key: Under one key a workflow is submitted once: who asks again is given
                the execution that is there.
            strict: Whether a key that was used for another request is an error.
            submitted_by: Who asks for it; by default the user that the settings name.
            workspace: Its folder, which no other execution has.
            tags: Keys with JSON values.
            name: What people call it.
            here: Whether it is run in this process, at once, and waits in no queue.
            script: Where its tasks are, for who runs it; by default what the workflow says.

        Returns:
            The execution: PENDING, or as it ended, whether that was well or not.

        Raises:
            WorkflowNotFoundError: There is no such workflow.
            DisabledWorkflowError: It is disabled.
            EmptyWorkflowError: It has no steps.
            StepRangeError: The steps are none of it.
            DatasetNotFoundError: There is no such dataset.
            IncompatibleDatasetError: A dataset is of a type that does not fit, or has no files.
            DatasetReadOnlyError: The output is read-only.
            OutputDatasetInUseError: An active execution writes the output.
            InactiveTaskError: A step is a task of packages that are not active.
            RateLimitedError: The same was submitted a moment ago.
            PermissionDeniedError: Who asks may not use the account.
            IdempotencyConflictError: The key was used for another request, and it is ``strict``.
            UnknownTaskError: It is to run here, and a task is not defined here.
            RerunError: It is to run here, and a step is pinned to other code than there is here.
            ValidationError: Something that was given is not what it must be.
        """
        assert self._executions is not None
        user = self._executions.user if submitted_by is None else submitted_by
        submitted_by = checked_submitter(user)
        key = None if idempotency_key is None else checked_name("key", idempotency_key)
        found = self.find(workflow)
        if key is not None and not strict:
            # Who asks again is answered, whatever became of what it was asked of.
            known = self._executions.under_key(_entrypoint(workflow, found), key)
            if known is not None:
                return known
        if found is None:
            name_given = workflow.label if isinstance(workflow, Workflow) else workflow
            raise WorkflowNotFoundError(name_given)
        check_runnable(found)
        queues = () if here else checked_queues((checked_name("queue", queue),))
        options: dict[str, Any] = {} if here else {"priority": _checked_priority(priority)}
        if script is not None:
            options[SCRIPT] = checked_name("script", script)
        elif "script" in found.meta:
            options[SCRIPT] = found.meta["script"]
        uses = self._pin(found, inputs, output, first_step, last_step)
        terms = self._admission.admit(uses, submitted_by, account)
        if terms.account is not None:
            options[ACCOUNT] = terms.account
        launcher = self._checked_launcher(uses) if here else None
        request = Request(
            id=uuid.uuid4().hex,
            entrypoint=found.fullname,
            name=_name(found, uses) if name is None else checked_name("name", name),
            parameters={},
            options=options,
            tags=tags_of(tags, {}),
            queues=queues,
            study=found.study,
            workspace=whole_path(workspace),
            state=State(StateType.PENDING),
            idempotency_key=key,
            parent_job_id=None,
            submitted_by=submitted_by,
            code_version=None,
            # A process that has a command line has claimed it; what has none is anybody's.
            args=json.dumps(sys.argv or [found.fullname]) if here else "[]",
            uses=uses,
            terms=terms,
        )
        made = self._executions.submit(request, strict=strict)
        if launcher is None or not made.is_new:
            return made.execution
        ended = launcher.run_all([Launch(request.id, uses)])
        if not ended:  # deleted since
            raise ExecutionNotFoundError(request.id)
        return ended[0]

    def _pin(
        self, flow: Workflow, inputs: Any, output: Any, first: int | None, last: int | None
    ) -> Uses:
        """Return the steps and the datasets as they are now."""
        for step in (first, last):
            if step is not None and (isinstance(step, bool) or not isinstance(step, int)):
                raise ValidationError("steps", f"expected the number of a step, not {step!r}.")
        wanted = WantedUses(
            workflow=flow.id,
            inputs=read_inputs(inputs),
            output=ref_of(output),
            first_step=first,
            last_step=last,
            study=flow.study,
        )
        uses = with_code(self._store.pin(wanted))
        if not uses.inputs:
            raise ValidationError("inputs", "expected at least one dataset.")
        return uses

    def _checked_launcher(self, uses: Uses) -> Launcher:
        """Return what runs it here; nothing is written of what cannot be."""
        assert self._launcher is not None
        launcher = self._launcher()
        launcher.check(each.task_name for each in uses.steps)
        check_code(uses.steps)
        return launcher


def _checked_priority(given: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or abs(given) > _MOST_PRIORITY:
        raise ValidationError("priority", f"expected a whole number, not {given!r}.")
    return given


def _entrypoint(given: str | Workflow, found: Workflow | None) -> str:
    """Return what a workflow is known by among executions, though it may be gone."""
    if found is not None:
        return found.fullname
    return given.fullname if isinstance(given, Workflow) else storable(given.partition("@")[0])


def _name(flow: Workflow, uses: Uses) -> str:
    assert uses.output is not None
    return f"{flow.name} {uses.output.name}"


__all__ = ["DEFAULT_QUEUE", "ApplyVerbs"]
