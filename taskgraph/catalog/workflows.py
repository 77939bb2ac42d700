"""The manager of stored workflows: created in versions, of which one at most is promoted."""

from __future__ import annotations

import builtins
import inspect
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from taskgraph.catalog.requests import checked_json, checked_name, checked_object
from taskgraph.catalog.workflow_rows import NewStep, NewWorkflow, Workflow, WorkflowStep
from taskgraph.errors import (
    ReservedArgumentError,
    TaskOptionError,
    ValidationError,
    WorkflowNotFoundError,
)
from taskgraph.jsontext import storable, to_json
from taskgraph.tasks.options import known_options
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.tasks.task import Task

#: What steps are only given when they run.
RESERVED_ARGUMENTS: Final = frozenset({"component", "input_paths", "metadata", "output_path"})
_MOST_VERSIONS: Final = 2**31 - 1
_MOST_DIGITS: Final = 20

#: A step as it is written: a task or its full name, that with arguments, or an object with
#: ``task``, ``args`` and ``options``.
Step = AnyTask | str | tuple[AnyTask | str, Mapping[str, Any]] | Mapping[str, Any] | WorkflowStep


class WorkflowStore(Protocol):
    """What the manager of workflows needs of a database."""

    def create_workflow(self, wanted: NewWorkflow) -> str:
        """Store a workflow; returns its id."""

    def promote_workflow(self, workflow_id: str) -> bool:
        """Have this version be the one that is meant; returns whether there is such a workflow."""

    def find_workflow(self, ref: str, version: int | None) -> Workflow | None:
        """Return a workflow by full name, id or unique start of one."""

    def workflows(self, include_superseded: bool) -> list[Workflow]:
        """Return workflows by name and version."""


class WorkflowManager:
    """Stored workflows: ``archive.workflows``.

    Args:
        store: Where they are.
    """

    def __init__(self, store: WorkflowStore) -> None:
        self._store = store

    def create(
        self,
        name: str,
        *,
        namespace: str = "",
        study: str | None = None,
        version: int = 1,
        steps: Iterable[Step] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Workflow:
        """Store a named, versioned list of steps; the first version of a name is promoted.

        The first step is given the datasets that the workflow is run on, each other one what the
        step before it returned: as its first argument. All else is given by name.

        Args:
            name: What people call it.
            namespace: Where the name is at home.
            study: The name of the study that it is part of, which is made if it is missing.
            version: 1 or more.
            steps: Tasks, or their full names; with arguments as a pair, or as an object with
                ``task``, ``args`` and ``options``.
            meta: What else is to be kept with it; ``script`` says where its tasks are.

        Raises:
            DuplicateVersionError: There is such a version.
            ReservedArgumentError: An argument is one that is only given when it runs.
            ValidationError: Something that was given is not what it must be.
        """
        if isinstance(version, bool) or not isinstance(version, int):
            raise ValidationError("version", f"expected a number, not {version!r}.")
        if not 1 <= version <= _MOST_VERSIONS:
            raise ValidationError("version", f"expected 1 or more, not {version}.")
        wanted = NewWorkflow(
            id=uuid.uuid4().hex,
            namespace=_checked_part("namespace", namespace) if namespace else "",
            name=_checked_part("workflow", name),
            version=version,
            study=None if study is None else checked_name("study", study),
            steps=tuple(_checked_step(each) for each in steps),
            meta=checked_object("meta", meta),
        )
        return self.get(self._store.create_workflow(wanted))

    def find(self, ref: str | Workflow, version: int | None = None) -> Workflow | None:
        """Return a workflow; None where there is none.

        Args:
            ref: Its full name, which stands for the promoted version; ``name@version``; its id or
                the start of one; or itself.
            version: Of a full name, that version.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        if isinstance(ref, Workflow):
            ref = ref.id
        name, at, number = ref.rpartition("@")
        if at and version is None and number.isdecimal() and len(number) < _MOST_DIGITS:
            ref, version = name, min(int(number), _MOST_VERSIONS)
        return self._store.find_workflow(storable(ref), version)

    def get(self, ref: str | Workflow, version: int | None = None) -> Workflow:
        """Return the same as `find` of a workflow that must be there.

        Raises:
            WorkflowNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref, version)
        if found is None:
            name = ref.label if isinstance(ref, Workflow) else ref
            raise WorkflowNotFoundError(name if version is None else f"{name}@{version}")
        return found

    def list(self, *, include_superseded: bool = False) -> builtins.list[Workflow]:
        """Return workflows by name; versions that are not promoted only if they are asked for."""
        return self._store.workflows(include_superseded)

    def promote(self, workflow: str | Workflow, version: int | None = None) -> Workflow:
        """Have a version of a workflow be the one that is meant, in place of the one before.

        Raises:
            WorkflowNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        if isinstance(workflow, Workflow) and version is not None:
            workflow = workflow.fullname
        found = self.get(workflow, version)
        if not self._store.promote_workflow(found.id):  # deleted since
            raise WorkflowNotFoundError(found.label)
        return self.get(found.id)


def _checked_part(what: str, given: str) -> str:
    name = checked_name(what, given)
    if "@" in name:
        raise ValidationError(what, f"{name!r}: what follows an @ is a version.")
    if what == "workflow" and "." in name:
        raise ValidationError(what, f"{name!r}: what stands before a dot is a namespace=.")
    return name


def _checked_step(given: Step) -> NewStep:
    """Return a step with its arguments: the defaults of the task, and on top what is given.

    Raises:
        ReservedArgumentError: An argument is one that is only given when it runs.
        ValidationError: It is no step, or its task has no such parameter or option.
    """
    which, args, options = _parts_of(given)
    name = which if isinstance(which, str) else which.fullname
    name = checked_name("step", name)
    task = get_task_registry().find(name) if isinstance(which, str) else which
    wanted = checked_object(f"arguments of step {name}", args)
    for each in wanted:
        if each in RESERVED_ARGUMENTS:
            raise ReservedArgumentError(name, each)
    chosen = checked_object(f"options of step {name}", options)
    try:
        known_options(f"Step {name}", chosen)
    except (TaskOptionError, TypeError) as error:
        raise ValidationError("steps", f"{error}") from error
    if task is not None:
        _check_parameters(task, wanted)
        wanted = {**default_args(task), **wanted}
    return NewStep(name, wanted or None, chosen)


def _parts_of(given: Any) -> tuple[AnyTask | str, Any, Any]:
    """Return the task of a step, and what was given as its arguments and options."""
    match given:
        case WorkflowStep():
            return given.task, given.args, given.options
        case Task() | str():
            return given, None, None
        case (Task() | str() as which, Mapping() as said):
            return which, said, None
        case {"task": Task() | str() as which, **rest}:
            args, options = rest.pop("args", None), rest.pop("options", None)
            if rest:
                unknown = ", ".join(sorted(map(str, rest)))
                raise ValidationError("step", f"there are task, args and options, no {unknown}.")
            return which, args, options
        case _:
            raise ValidationError("step", f"expected a task or the name of one, not {given!r}.")


def default_args(task: AnyTask) -> dict[str, Any]:
    """Return the defaults of the parameters of a task but the first, as far as JSON has them.

    Those that are None say nothing.
    """
    _, *others = task.signature.parameters.values() or (None,)
    return {
        each.name: each.default
        for each in others
        if each is not None
        and each.default is not None
        and each.name not in RESERVED_ARGUMENTS
        and _is_json(each.default)
    }


def _is_json(given: Any) -> bool:
    try:
        to_json(checked_json("", given))
    except ValidationError:
        return False
    return type(given) in (str, int, float, bool, list, dict)


def _check_parameters(task: AnyTask, args: Mapping[str, Any]) -> None:
    parameters = task.signature.parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return
    named = [
        each.name
        for each in parameters
        if each.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    for each in args:
        if each not in named:
            raise ValidationError(
                f"arguments of step {task.fullname}",
                f"it has no parameter {each!r}. There are: {', '.join(named)}.",
            )


__all__ = [
    "RESERVED_ARGUMENTS",
    "Step",
    "WorkflowManager",
    "WorkflowStore",
    "default_args",
]
