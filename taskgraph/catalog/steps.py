"""Steps of stored workflows, checked before they are stored: arguments, options and types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.catalog.requests import checked_name, checked_object
from taskgraph.catalog.secrets import check_arguments, check_labels
from taskgraph.catalog.workflow_rows import NewStep, TaskOfPackage, WorkflowStep
from taskgraph.errors import ReservedArgumentError, TaskOptionError, ValidationError
from taskgraph.tasks.options import known_options
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.tasks.schemas import (
    ANY_TYPE,
    EXTRA,
    defaults_of,
    find_problem,
    with_whole_numbers,
)
from taskgraph.tasks.task import Task

#: What steps are only given when they run.
RESERVED_ARGUMENTS: Final = frozenset({"component", "input_paths", "metadata", "output_path"})

#: A step as it is written: a task or its full name, that with arguments, or an object with
#: ``task``, ``args`` and ``options``.
Step = AnyTask | str | tuple[AnyTask | str, Mapping[str, Any]] | Mapping[str, Any] | WorkflowStep

#: Says what packages that may be used say of a task that is not defined here.
Describe = Callable[[str], TaskOfPackage | None]


@dataclass(frozen=True, slots=True)
class KnownTask:
    """What is known of the task of a step.

    Attributes:
        name: Its full name.
        task: Itself, if it is defined in this process.
        schema: What it may be given by name, if anybody says so.
        input_type: Of which type datasets are that it takes.
        output_type: Of which type the dataset is that it gives.
    """

    name: str
    task: AnyTask | None = None
    schema: Mapping[str, Any] | None = None
    input_type: str = ANY_TYPE
    output_type: str = ANY_TYPE


def known_task(which: AnyTask | str, describe: Describe) -> KnownTask:
    """Return what is known of a task: as it is defined here, or as a package says.

    Raises:
        ValidationError: It has no name that could be one.
    """
    name = checked_name("step", which if isinstance(which, str) else which.fullname)
    task = get_task_registry().find(name) if isinstance(which, str) else which
    if task is not None and task.is_defined:
        return KnownTask(name, task, task.args_schema, task.input_type, task.output_type)
    said = describe(name)
    if said is None:
        return KnownTask(name)
    return KnownTask(name, None, said.args_schema, said.input_type, said.output_type)


def checked_step(given: Step, describe: Describe) -> NewStep:
    """Return a step with its arguments: the defaults of the task, and on top what is given.

    Args:
        given: The step as it is written.
        describe: Asked for tasks that are not defined here.

    Raises:
        ReservedArgumentError: An argument is one that is only given when it runs.
        SecretError: Something is a secret; none is kept.
        ValidationError: It is no step, or its task has no such parameter or option.
    """
    which, args, options = _parts_of(given)
    known = known_task(which, describe)
    if known.task is None:  # what code says itself is no secret any more
        check_labels("step", known.name)
    input_type, output_type = known.input_type, known.output_type
    if isinstance(given, WorkflowStep):
        input_type, output_type = given.input_type, given.output_type
    return NewStep(
        known.name,
        checked_args(known, args),
        without_none(checked_options(known.name, options)),
        input_type,
        output_type,
    )


def checked_args(
    known: KnownTask, given: Mapping[str, Any] | None, *, fill: bool = True, kept: bool = False
) -> dict[str, Any] | None:
    """Return the arguments of a step: defaults, and on top what is given; None for nothing.

    Args:
        known: The task.
        given: What was said.
        fill: Whether defaults are put below it.
        kept: Whether it was accepted before, and is only held against the task of now.

    Raises:
        ReservedArgumentError: One is only given when it runs.
        SecretError: One is a secret; none is kept.
        ValidationError: There is no such parameter, or it may not be this.
    """
    wanted = checked_object(f"arguments of step {known.name}", given)
    for each in wanted:
        if each in RESERVED_ARGUMENTS:
            raise ReservedArgumentError(known.name, each)
    defaults = {} if known.schema is None else _defaults(known.schema)
    # What the code of the task says itself is no secret any more.
    own = {
        name: each
        for name, each in wanted.items()
        if name not in defaults or defaults[name] != each
    }
    if not kept:
        check_arguments(f"arguments of step {known.name}", own)
    if known.task is not None:
        _check_parameters(known.task, wanted)
    if known.schema is not None:
        if not kept:
            wanted = with_whole_numbers(known.schema, wanted)
        if fill:
            wanted = {**defaults, **wanted}
        _check_schema(known.name, known.schema, wanted, kept=kept)
    return wanted or None


def checked_options(name: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of a step as they are kept; None is said of those that are to go.

    Raises:
        SecretError: One is a secret; none is kept.
        ValidationError: There is no such option, or it has a value that it cannot have.
    """
    chosen = checked_object(f"options of step {name}", given)
    check_labels(f"options of step {name}", chosen)
    try:
        known_options(f"Step {name}", without_none(chosen))
    except (TaskOptionError, TypeError) as error:
        raise ValidationError("steps", f"{error}") from error
    return chosen


def without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without those of which None was said."""
    return {name: each for name, each in given.items() if each is not None}


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


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = defaults_of(schema)
    return {name: each for name, each in found.items() if name not in RESERVED_ARGUMENTS}


def _check_schema(
    name: str, schema: Mapping[str, Any], args: Mapping[str, Any], *, kept: bool
) -> None:
    required = schema.get("required")
    if isinstance(required, list):
        # What is only given when it runs cannot be missing before.
        left = [e for e in required if not isinstance(e, str) or e not in RESERVED_ARGUMENTS]
        schema = {**schema, "required": left}
    try:
        problem = find_problem(schema, args)
    except ImportError:
        if kept:  # where that was installed
            return
        raise ValidationError(
            f"arguments of step {name}",
            f"its task brings a schema, and what checks that is not installed: {EXTRA}.",
        ) from None
    if problem is not None:
        raise ValidationError(f"arguments of step {name}", f"{problem}.")


def _check_parameters(task: AnyTask, args: Mapping[str, Any]) -> None:
    parameters = list(task.signature.parameters.values())
    what = f"arguments of step {task.fullname}"
    for first in parameters[:1]:
        if first.kind is first.POSITIONAL_OR_KEYWORD and first.name in args:
            raise ValidationError(
                what, f"{first.name!r} is its first parameter, and is given what comes before it."
            )
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [each.name for each in parameters if each.kind in by_name]
    for each in args:
        if each not in named:
            raise ValidationError(
                what, f"it has no parameter {each!r}. There are: {', '.join(named)}."
            )


__all__ = [
    "RESERVED_ARGUMENTS",
    "Describe",
    "KnownTask",
    "Step",
    "checked_args",
    "checked_options",
    "checked_step",
    "known_task",
    "without_none",
]
