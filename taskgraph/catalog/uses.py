"""What an execution uses: a workflow with its steps, datasets with their content, a group.

All of it is pinned when an execution is submitted: what becomes of the originals later changes
nothing about what was submitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from taskgraph.errors import StepRangeError, TaskgraphError, ValidationError
from taskgraph.hashing import hash_record
from taskgraph.jsontext import storable
from taskgraph.tasks.names import join_name
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.tasks.schemas import ANY_TYPE


@dataclass(frozen=True, slots=True)
class DatasetPin:
    """A dataset with the content that it has at this moment.

    Attributes:
        name: What it is called within the execution: its own name, unless another was given.
        dataset_id: The dataset.
        type: Its type.
        value_hash: Its content.
    """

    name: str
    dataset_id: str
    type: str
    value_hash: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as a snapshot has it."""
        return {
            "name": self.name,
            "dataset": self.dataset_id,
            "type": self.type,
            "value": self.value_hash,
        }


@dataclass(frozen=True, slots=True)
class StepPin:
    """A step of a stored workflow.

    Attributes:
        position: From 0, without gaps.
        task_name: The full name of the task.
        task_hash: Its version, if only that one is meant.
        args: What it is given, as JSON; None for nothing.
        options: Its options, as JSON.
        input_type: Of which type datasets are that it takes.
        output_type: Of which type the dataset is that it gives.
        code_hash: The hash of its task when it was submitted, if that was defined there.
    """

    position: int
    task_name: str
    task_hash: str | None
    args: Any
    options: Any
    input_type: str = ANY_TYPE
    output_type: str = ANY_TYPE
    code_hash: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as a snapshot has it."""
        return {
            "position": self.position,
            "task": self.task_name,
            "task_hash": self.task_hash,
            "args": self.args,
            "options": self.options,
            "input_type": self.input_type,
            "output_type": self.output_type,
            "code_hash": self.code_hash,
        }


@dataclass(frozen=True, slots=True)
class WorkflowPin:
    """A version of a stored workflow, with its steps."""

    id: str
    namespace: str
    name: str
    version: int
    steps: tuple[StepPin, ...]

    @property
    def label(self) -> str:
        """The full name with the version."""
        return f"{join_name(self.namespace, self.name)}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as a snapshot has it."""
        return {
            "id": self.id,
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "steps": [each.to_json() for each in self.steps],
        }


@dataclass(frozen=True, slots=True)
class Uses:
    """All that an execution uses, pinned.

    Attributes:
        workflow: What it runs, if that is stored.
        inputs: What it reads.
        output: What it writes.
        first_step: The first of the workflow's steps that is run; None for its first.
        last_step: The last of them; None for its last.
        group_id: The group that it is of.
    """

    workflow: WorkflowPin | None = None
    inputs: tuple[DatasetPin, ...] = ()
    output: DatasetPin | None = None
    first_step: int | None = None
    last_step: int | None = None
    group_id: str | None = None

    @property
    def dataset_hash(self) -> str | None:
        """What the inputs come to; None without any."""
        return dataset_hash(self.inputs) if self.inputs else None

    @property
    def steps(self) -> tuple[StepPin, ...]:
        """The steps of the workflow that are run, in their order."""
        if self.workflow is None:
            return ()
        last = None if self.last_step is None else self.last_step + 1
        return self.workflow.steps[self.first_step : last]

    def to_json(self) -> dict[str, Any]:
        """Return what a snapshot has of it: nothing of what is not there."""
        if self == NO_USES:
            return {}
        flow, output = self.workflow, self.output
        return {
            "workflow": None if flow is None else flow.to_json(),
            "inputs": [each.to_json() for each in self.inputs],
            "output": None if output is None else output.to_json(),
            "first_step": self.first_step,
            "last_step": self.last_step,
            "group": self.group_id,
            "dataset_hash": self.dataset_hash,
        }


#: What an execution uses that uses nothing.
NO_USES: Final = Uses()


@dataclass(frozen=True, slots=True)
class WantedUses:
    """What an execution is to use, by names and ids: nobody has looked yet whether it is there.

    Attributes:
        inputs: Names within the execution, or None for those of the datasets, with what each
            dataset is found by.
    """

    workflow: str | None = None
    inputs: tuple[tuple[str | None, str], ...] = ()
    output: str | None = None
    first_step: int | None = None
    last_step: int | None = None
    group: str | None = None
    study: str | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is wanted, so that nobody need be asked."""
        steps = self.first_step, self.last_step
        wanted = self.workflow, self.output, self.group
        return not self.inputs and all(each is None for each in (*steps, *wanted))


def with_code(uses: Uses) -> Uses:
    """Return the same with the hashes that the tasks of the steps have now, where they are here."""
    if uses.workflow is None:
        return uses
    find = get_task_registry().find
    steps = tuple(
        replace(each, code_hash=_code_hash(find(each.task_name))) for each in uses.workflow.steps
    )
    return replace(uses, workflow=replace(uses.workflow, steps=steps))


def _code_hash(task: AnyTask | None) -> str | None:
    try:
        return None if task is None or not task.is_defined else str(task.hash)
    except TaskgraphError:  # which is said when it is run
        return None


def dataset_hash(inputs: Iterable[DatasetPin]) -> str:
    """Return what tells datasets from others: of names, types and contents, in no order."""
    every = sorted({(each.name, each.type, each.value_hash) for each in inputs})
    return hash_record("datasets", *(field for each in every for field in each))


def ref_of(given: Any) -> str:
    """Return what a record is found by: text as it is, a record by its id. Any: one or the other.

    Raises:
        ValidationError: It is neither.
    """
    found = given if isinstance(given, str) else getattr(given, "id", None)
    if not isinstance(found, str) or not found.strip():
        raise ValidationError(f"{given!r}", "expected a name, an id, or what was found before.")
    return storable(found)


def read_inputs(given: Iterable[Any] | Mapping[str, Any]) -> tuple[tuple[str | None, str], ...]:
    """Return inputs as they are wanted: a mapping says what each is called.

    Raises:
        ValidationError: They are none.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValidationError("inputs", f"expected a list of datasets, not {given!r}.")
    if isinstance(given, Mapping):
        named = [(_name(name), ref_of(each)) for name, each in given.items()]
        return tuple(named)
    return tuple((None, ref_of(each)) for each in given)


def _name(given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValidationError("inputs", f"expected a name of an input, not {given!r}.")
    return given


def check_steps(first: int | None, last: int | None, workflow: WorkflowPin | None) -> None:
    """Check that steps are a range of those of a workflow.

    Raises:
        StepRangeError: They are none.
    """
    if first is None and last is None:
        return
    count = 0 if workflow is None else len(workflow.steps)
    low, high = 0 if first is None else first, count - 1 if last is None else last
    if not 0 <= low <= high < count:
        raise StepRangeError(first, last, count)


def check_names(inputs: Sequence[DatasetPin]) -> None:
    """Check that no two inputs are called alike.

    Raises:
        ValidationError: Two are.
    """
    for name, count in Counter(each.name for each in inputs).items():
        if count > 1:
            raise ValidationError(
                "inputs",
                f"two of them are called {name!r}: give names by a mapping, as "
                f"{{'{name}': ..., 'other': ...}}.",
            )


__all__ = [
    "NO_USES",
    "DatasetPin",
    "StepPin",
    "Uses",
    "WantedUses",
    "WorkflowPin",
    "check_names",
    "check_steps",
    "dataset_hash",
    "read_inputs",
    "ref_of",
    "with_code",
]
