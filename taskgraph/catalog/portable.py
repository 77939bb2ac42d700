"""Stored workflows in a form that another database takes: no ids, no times, tasks by name.

What is imported says the same as what was exported: arguments are those that the steps have, and
not what the tasks would put below them today.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from taskgraph.catalog.requests import checked_name
from taskgraph.catalog.secrets import check_labels
from taskgraph.catalog.steps import KnownTask, checked_args, checked_options, without_none
from taskgraph.catalog.workflow_rows import NewStep, TaskOfPackage, Workflow, WorkflowStep
from taskgraph.errors import ReservedArgumentError, TaskNotFoundError, ValidationError
from taskgraph.tasks.registry import get_task_registry

#: What tells such an object from others, and the version of its keys.
FORMAT: Final = "taskgraph.workflow"
FORMAT_VERSION: Final = 1

_KEYS: Final = ("format", "format_version", "namespace", "name", "version", "meta", "steps")
_KEYS_OF_STEP: Final = (
    "task",
    "task_version",
    "args",
    "options",
    "input_type",
    "output_type",
)

#: Returns what packages that may be used say of tasks.
FindTasks = Callable[[Sequence[str]], Sequence[TaskOfPackage]]


def portable(flow: Workflow, find_tasks: FindTasks) -> dict[str, Any]:
    """Return a workflow as it goes elsewhere; warns of tasks that are somebody's own."""
    names = sorted({each.task for each in flow.steps})
    packaged: dict[str, list[TaskOfPackage]] = {}
    for each in find_tasks(names) if names else ():
        packaged.setdefault(each.name, []).append(each)
    for name in names:
        of_task = packaged.get(name, [])
        if of_task and all(each.is_owned for each in of_task):
            warnings.warn(
                f"Task {name} is of package {of_task[0].package}, which is somebody's own: others "
                "may not have it. Who imports the workflow needs a task of this name.",
                stacklevel=3,
            )
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "namespace": flow.namespace,
        "name": flow.name,
        "version": flow.version,
        "meta": dict(flow.meta),
        "steps": [_step(each, packaged.get(each.task, ())) for each in flow.steps],
    }


def _step(step: WorkflowStep, packaged: Sequence[TaskOfPackage]) -> dict[str, Any]:
    task = get_task_registry().find(step.task)
    version = task.version if task is not None else None
    if task is None and packaged:
        version = packaged[0].version
    return {
        "task": step.task,
        "task_version": version,
        "args": None if step.args is None else dict(step.args),
        "options": dict(step.options),
        "input_type": step.input_type,
        "output_type": step.output_type,
    }


def read_spec(spec: Any) -> Mapping[str, Any]:
    """Return what was exported, if that is what it is.

    Raises:
        ValidationError: It is something else, or has keys that there are none of.
    """
    if not isinstance(spec, Mapping):
        raise ValidationError("workflow", f"expected an object with name and steps, not {spec!r}.")
    _check_keys("workflow", spec, _KEYS)
    if spec.get("format", FORMAT) != FORMAT:
        given = spec["format"]
        said = f"expected {FORMAT!r}, not {given!r}: what `taskgraph workflow export` writes."
        raise ValidationError("format", said)
    if spec.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        version = spec["format_version"]
        said = f"expected {FORMAT_VERSION}, not {version!r}: a later library has written it."
        raise ValidationError("format_version", said)
    for key, kind in (("name", str), ("namespace", str), ("meta", Mapping)):
        if key in spec and not isinstance(spec[key], kind):
            raise ValidationError(key, f"expected {_said(kind)}, not {spec[key]!r}.")
    for key in ("name", "steps"):
        if key not in spec:
            raise ValidationError(key, "it is missing.")
    if isinstance(spec["steps"], str) or not isinstance(spec["steps"], Sequence):
        raise ValidationError("steps", f"expected a list of steps, not {spec['steps']!r}.")
    return spec


def read_steps(
    given: Sequence[Any], find_tasks: FindTasks, *, allow_unknown: bool = False
) -> tuple[NewStep, ...]:
    """Return the steps of what was exported; of tasks that are not known here it is warned.

    Args:
        given: The steps as they were written.
        find_tasks: Returns what packages say of tasks.
        allow_unknown: Whether a task may be one that is not known here.

    Raises:
        TaskNotFoundError: A task is not known here, or there are several of its name.
        ValidationError: A step is none; names the place.
    """
    for index, each in enumerate(given):
        _check_step(f"steps[{index}]", each)
    names = sorted({each["task"] for each in given})
    packaged = find_tasks(names) if names else ()
    known = known_tasks(names, packaged, allow_unknown=allow_unknown)
    return tuple(
        _read_step(f"steps[{index}]", each, known[each["task"]]) for index, each in enumerate(given)
    )


def known_tasks(
    names: Sequence[str], packaged: Sequence[TaskOfPackage], *, allow_unknown: bool = False
) -> dict[str, KnownTask]:
    """Return what is known of tasks, each of which must be known once.

    Args:
        names: Their full names.
        packaged: What packages say of them.
        allow_unknown: Whether it is only warned of those that are not known at all.

    Raises:
        TaskNotFoundError: One is not known, or several packages have it and this process has not.
    """
    found = {}
    unknown = []
    for name in names:
        task = get_task_registry().find(name)
        of_task = [each for each in packaged if each.name == name]
        if task is not None and task.is_defined:
            found[name] = KnownTask(name, task, task.args_schema, task.input_type, task.output_type)
        elif len(of_task) == 1:
            (one,) = of_task
            found[name] = KnownTask(name, None, one.args_schema, one.input_type, one.output_type)
        elif of_task:
            packages = ", ".join(each.package for each in of_task)
            raise TaskNotFoundError(
                name,
                f"several packages have a task of this name: {packages}. Put all but one aside "
                "(`taskgraph package deactivate NAME@VERSION`)",
            )
        elif allow_unknown:
            found[name] = KnownTask(name)
            unknown.append(name)
        else:
            raise TaskNotFoundError(
                name, "no task of this name is defined here, and no package that is active has one"
            )
    if unknown:
        warnings.warn(
            f"{', '.join(unknown)}: not known here, so that what is said of these steps was not "
            "checked. To have it checked, define the tasks first: import their module, or name "
            "their script (`--script`).",
            stacklevel=4,
        )
    return found


def _check_step(place: str, step: Any) -> None:
    if not isinstance(step, Mapping):
        raise ValidationError(place, f"expected an object with a task, not {step!r}.")
    _check_keys(place, step, _KEYS_OF_STEP)
    if not isinstance(step.get("task"), str) or not step["task"].strip():
        raise ValidationError(
            f"{place}.task", f"expected the name of a task, not {step.get('task')!r}."
        )
    for key in ("args", "options"):
        if step.get(key) is not None and not isinstance(step[key], Mapping):
            said = f"expected names with values, not {step[key]!r}."
            raise ValidationError(f"{place}.{key}", said)
    name = checked_name(f"{place}.task", step["task"])
    if get_task_registry().find(name) is None:  # what code says itself is no secret any more
        check_labels(f"{place}.task", name)
    for key in ("input_type", "output_type"):
        if key in step:
            checked_name(f"{place}.{key}", step[key])


def _read_step(place: str, step: Mapping[str, Any], known: KnownTask) -> NewStep:
    try:
        args = checked_args(known, step.get("args"), fill=False)
        options = without_none(checked_options(known.name, step.get("options")))
    except ReservedArgumentError:  # which says the step
        raise
    except ValidationError as error:
        raise ValidationError(place, f"{error}") from error
    return NewStep(
        known.name,
        args,
        options,
        step.get("input_type", known.input_type),
        step.get("output_type", known.output_type),
    )


def _check_keys(place: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [str(each) for each in given if each not in known]
    if unknown:
        raise ValidationError(
            f"{place}", f"there is no {', '.join(unknown)}. There are: {', '.join(known)}."
        )


def _said(kind: type) -> str:
    return "text" if kind is str else "an object"


__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "FindTasks",
    "known_tasks",
    "portable",
    "read_spec",
    "read_steps",
]
