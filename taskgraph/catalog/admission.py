"""What is to run is held against what is there, by whichever way it is asked for.

A workflow is applied, launched as a group, or run once more: what a person has got wrong is said
here, before anything is written. What others can change meanwhile is asked once more in the
transaction that writes; the answer of this module alone is never the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from taskgraph.catalog.requests import Terms, checked_title
from taskgraph.catalog.steps import checked_args, known_task
from taskgraph.catalog.submitters import Submitter
from taskgraph.catalog.uses import DatasetPin, StepPin, Uses
from taskgraph.catalog.workflow_rows import TaskOfPackage, Workflow
from taskgraph.errors import (
    DisabledWorkflowError,
    EmptyWorkflowError,
    IncompatibleDatasetError,
    RerunError,
)
from taskgraph.tasks.schemas import ANY_TYPE

_DIGITS: Final = 8


class AdmissionStore(Protocol):
    """What is asked of a database before something is submitted."""

    def find_workflow(self, ref: str, version: int | None) -> Workflow | None:
        """Return a workflow by full name, id or unique start of one."""

    def tasks_of_packages(self, names: Sequence[str]) -> list[TaskOfPackage]:
        """Return what packages that are active say of tasks, the newest first."""

    def count_files(self, value_hashes: Sequence[str]) -> dict[str, int]:
        """Return how many files each of some contents has."""

    def submitter(self, name: str) -> Submitter | None:
        """Return the user of an e-mail address, a name or an id; None if nobody is registered."""


class Admission:
    """Says whether something may be submitted, and on what terms.

    Args:
        store: What is there.
        min_interval: How many seconds lie between two of a workflow on one output.
    """

    def __init__(self, store: AdmissionStore, min_interval: float = 0.0) -> None:
        self._store = store
        self._min_interval = min_interval

    def admit(self, uses: Uses, who: str | None, account: str | None) -> Terms:
        """Return on what terms something is submitted that is to be run on what is there now.

        Args:
            uses: What it is to be run on, pinned.
            who: Who asks for it.
            account: From what is paid; by default that of who asks, if that is registered.

        Raises:
            PermissionDeniedError: Who asks is not active, or may not use the account.
            EmptyWorkflowError: There are no steps.
            IncompatibleDatasetError: A dataset is of a type that does not fit, or has no files.
            ReservedArgumentError: A step has an argument that is only given when it runs.
            ValidationError: A step has arguments that its task does not take.
        """
        terms = self.admit_frozen(uses, who, account)
        self.check_datasets([uses])
        return terms

    def admit_frozen(self, uses: Uses, who: str | None, account: str | None) -> Terms:
        """Return on what terms something is submitted once more that is run on what was frozen.

        There is no new content of its inputs that could be of no files.

        Raises:
            TaskgraphError: As for what is submitted on what is there now.
        """
        terms = self.terms(uses, self.account(who, account))
        if uses.workflow is not None:
            self.check_steps(uses)
            check_types(uses)
        return terms

    def terms(self, uses: Uses, account: str | None) -> Terms:
        """Return what is asked once more as it is written, of steps that an account pays for."""
        return Terms(self._min_interval, account, uses.steps)

    def account(self, who: str | None, account: str | None) -> str | None:
        """Return from what is paid: what is said, or else what who asks has by default.

        Raises:
            PermissionDeniedError: Who asks is not active, or may not use the account.
            ValidationError: It is no name of an account.
        """
        wanted = None if account is None else checked_title("account", account)
        user = None if who is None else self._store.submitter(who)
        if user is None or who is None:
            return wanted
        paid = user.default_account if wanted is None else wanted
        user.check(who, paid)
        return paid

    def check_enabled(self, workflow_id: str) -> None:
        """Check that a workflow may run, unless it was deleted.

        Raises:
            DisabledWorkflowError: It is disabled.
        """
        found = self._store.find_workflow(workflow_id, None)
        if found is not None and not found.enabled:
            raise DisabledWorkflowError(found.label)

    def check_steps(self, uses: Uses) -> None:
        """Check that there are steps, with arguments that their tasks take as they are known now.

        Raises:
            EmptyWorkflowError: There are none.
            ReservedArgumentError: An argument is one that is only given when it runs.
            ValidationError: A task has no such parameter, or it may not be this.
        """
        if uses.workflow is None:
            return
        if not uses.steps:
            raise EmptyWorkflowError(uses.workflow.label)
        said: dict[str, TaskOfPackage] = {}
        for each in self._store.tasks_of_packages(sorted({e.task_name for e in uses.steps})):
            said.setdefault(each.name, each)
        for step in uses.steps:
            known = known_task(step.task_name, said.get)
            checked_args(known, step.args, fill=False, kept=True)

    def check_datasets(self, every: Sequence[Uses]) -> None:
        """Check that steps run on datasets that fit, and that there is something in these.

        Args:
            every: What several executions are to use; files are counted in one statement.

        Raises:
            IncompatibleDatasetError: A dataset is of a type that does not fit, or has no files.
        """
        meant = [each for each in every if each.steps]
        for each in meant:
            check_types(each)
        inputs = [pin for each in meant for pin in each.inputs]
        hashes = list(dict.fromkeys(each.value_hash for each in inputs))
        counts = self._store.count_files(hashes) if hashes else {}
        for pin in inputs:
            if not counts.get(pin.value_hash):
                raise IncompatibleDatasetError(
                    pin.name,
                    "it has no files, and nothing to read. Register some: `taskgraph dataset "
                    f"register {pin.name} FILE...`",
                )


def check_runnable(flow: Workflow) -> None:
    """Check that a workflow may run, and that there is anything to run.

    Raises:
        DisabledWorkflowError: It is disabled.
        EmptyWorkflowError: It has no steps.
    """
    if not flow.enabled:
        raise DisabledWorkflowError(flow.label)
    if not flow.steps:
        raise EmptyWorkflowError(flow.label)


def check_types(uses: Uses) -> None:
    """Check that the datasets are of the types that the first step takes and the last one gives.

    Raises:
        IncompatibleDatasetError: One is not.
    """
    steps = uses.steps
    for each in uses.inputs:
        said = f"step {steps[0].position}, {steps[0].task_name}, takes"
        _check_type(each, steps[0].input_type, said)
    if uses.output is not None:
        last = steps[-1]
        said = f"step {last.position}, {last.task_name}, gives"
        _check_type(uses.output, last.output_type, said)


def _check_type(dataset: DatasetPin, wanted: str, what: str) -> None:
    if wanted not in (ANY_TYPE, dataset.type) and dataset.type != ANY_TYPE:
        raise IncompatibleDatasetError(
            dataset.name,
            f"it is of type {dataset.type!r}, and {what} {wanted!r}. Take another dataset, or "
            "other steps.",
        )


def check_code(steps: Iterable[StepPin]) -> None:
    """Check that steps that are pinned to a version of their task have that one here.

    Args:
        steps: Steps, with the hashes that their tasks have here.

    Raises:
        RerunError: The code of one is another.
    """
    for each in steps:
        pinned, found = each.task_hash, each.code_hash
        if pinned is not None and found not in (None, pinned):
            raise RerunError(
                each.task_name,
                f"step {each.position} is pinned to version {pinned[:_DIGITS]} of it, and here its "
                f"code is {str(found)[:_DIGITS]}. Run it where that version is, or take the step "
                "out and put it in anew.",
            )


__all__ = ["Admission", "AdmissionStore", "check_code", "check_runnable", "check_types"]
