"""Runs what was written down before: stored workflows on datasets, and executions once more.

A scheduler of its own does it, on the same database: what is run so is recorded, limited and
observed as every other run.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from taskgraph.app.scheduler import Scheduler
from taskgraph.assembly.databases import hold_waiting
from taskgraph.catalog.admission import check_code
from taskgraph.catalog.launches import Launch
from taskgraph.catalog.rerunning import parameters_of
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import ACTIVE, ALL_RULES, State, StateType
from taskgraph.catalog.store import CatalogStore
from taskgraph.catalog.uses import StepPin, Uses, with_code
from taskgraph.config import Settings
from taskgraph.errors import (
    DatabaseError,
    ExecutionCancelledError,
    RerunError,
    TaskOptionError,
    UnknownTaskError,
    ValidationError,
)
from taskgraph.events import Event, RunStopping
from taskgraph.records import ExecutionId
from taskgraph.tasks.options import KNOWN_OPTIONS, OWN_OPTIONS
from taskgraph.tasks.registry import AnyTask, get_task_registry

_PLACEHOLDER: Final = {"type"}
_DIGITS: Final = 8


class LocalLauncher:
    """Runs in this process what is in a database.

    Args:
        settings: Those of the project; they name the database.
        catalog: What is written down there.
    """

    def __init__(self, settings: Settings, catalog: CatalogStore) -> None:
        self._settings = settings
        self._catalog = catalog

    def _scheduler(self) -> Scheduler:
        """Return what runs, and says when it waits after a Ctrl-C."""

        def tell(event: Event) -> None:
            if isinstance(event, RunStopping):
                scheduler.logger.warning("%s", event.text)

        scheduler = Scheduler(self._settings, observers=[tell])
        return scheduler

    def check(self, tasks: Iterable[str]) -> None:
        """Check that tasks are defined in this process.

        Raises:
            UnknownTaskError: One is not; import its module.
            ValidationError: There are none.
        """
        registry = get_task_registry()
        found = [registry.get(each) for each in tasks]
        if not found:
            raise ValidationError("workflow", "it has no steps, and nothing to run.")

    def give_up(self, launches: Sequence[Launch]) -> None:
        """Have executions be CANCELLED that are written down and will not be run."""
        for each in launches:
            self._settle(each.execution_id, State(StateType.CANCELLED))

    def run_all(self, launches: Sequence[Launch]) -> list[Execution]:
        """Run executions, one after the other; returns them as they ended.

        One whose task failed, and one that somebody cancelled, does not keep the others from it.

        Raises:
            DatabaseError: What became of one could not be written; the others are not run.
            KeyboardInterrupt: A Ctrl-C; those that had not begun are CANCELLED.
        """
        waiting = list(launches)
        if not waiting:
            return []
        ids = [each.execution_id for each in waiting]
        with self._scheduler() as scheduler, hold_waiting(scheduler.backend, ids) as held:
            try:
                while waiting:
                    held.begin(ExecutionId(waiting[0].execution_id))
                    self._run(scheduler, waiting[0])
                    del waiting[0]
                    if waiting and scheduler.was_interrupted:  # in the last call of that one
                        raise KeyboardInterrupt
            except BaseException:
                self.give_up(waiting)
                raise
        found = [self._catalog.find(each.execution_id) for each in launches]
        return [each for each in found if each is not None]

    def _run(self, scheduler: Scheduler, launch: Launch) -> None:
        known = self._catalog.find(launch.execution_id)
        if known is None or known.state.type is not StateType.PENDING:
            return  # somebody has cancelled it while it waited
        try:
            call = call_of_workflow(scheduler, launch.uses)
        except RerunError as error:
            self._settle(launch.execution_id, State(StateType.FAILED, message=error.reason))
            return
        with _ended(self._catalog, launch.execution_id):
            scheduler.run_submitted(
                call,
                known,
                cache=launch.use_cache,
                writes_dataset=launch.uses.output is not None,
            )

    def _settle(self, execution_id: str, state: State) -> None:
        """Bring an execution to its end that has not begun."""
        self._catalog.set_state(execution_id, state, rules=ALL_RULES, details={})

    def run_again(self, execution_id: str, origin: Execution, uses: Uses, *, cache: bool) -> None:
        """Run an execution that was made after another one: its workflow, or its task.

        Args:
            execution_id: The new one, which is written down.
            origin: The one that it is made after.
            uses: What it is run on.
            cache: Whether results of before may be used.

        Raises:
            RerunError: What it was given is not known any more.
            UnknownTaskError: Its task is not defined here; import its module.
        """
        made = self._catalog.find(execution_id)
        assert made is not None
        with self._scheduler() as scheduler:
            try:
                if uses.workflow is None:
                    given = parameters_of(self._catalog.snapshot(made.id), made)
                    call = recorded_or_called(scheduler, origin, given)
                else:
                    call = call_of_workflow(scheduler, uses)
            except Exception as error:
                self._settle(execution_id, State(StateType.FAILED, message=str(error)))
                raise
            with _ended(self._catalog, execution_id):
                scheduler.run_submitted(
                    call,
                    made,
                    cache=cache,
                    options=options_of_run(made.options),
                    writes_dataset=uses.output is not None,
                )


def recorded_or_called(
    scheduler: Scheduler, origin: Execution, parameters: Mapping[str, Any]
) -> Any:
    """Return the call of a plain run: as it was recorded, or else by what was frozen of it."""
    task = get_task_registry().get(origin.entrypoint)
    if origin.job_id is not None:
        try:
            return scheduler.recorded_call(origin.job_id, is_forced=False)
        except RerunError:
            if not is_plain(parameters):
                raise
    return called(task, parameters)


def files_of(scheduler: Scheduler, uses: Uses) -> list[Any]:
    """Return the files of all datasets that an execution reads, in the order of their names.

    Raises:
        RerunError: They are not as they were when they were registered.
    """
    found: list[Any] = []
    for each in sorted(uses.inputs, key=lambda each: each.name):
        content = scheduler.stored_value(each.value_hash, f"dataset {each.name!r}")
        found += content if isinstance(content, list | tuple) else [content]
    return found


@contextmanager
def _ended(catalog: CatalogStore, execution_id: str) -> Iterator[None]:
    """Take the end of an execution as what it is, if it was written down; all else is raised."""
    try:
        yield
    except (DatabaseError, UnknownTaskError):
        raise
    except ExecutionCancelledError:
        return
    except Exception:
        found = catalog.find(execution_id)
        if found is None or found.state.type in ACTIVE:
            raise


def call_of_workflow(scheduler: Scheduler, uses: Uses) -> Any:
    """Return the call of a workflow on the files of its datasets.

    Tasks are what they are now: if that is not what they were at submit, it is warned of.

    Args:
        scheduler: What is to run it.
        uses: The workflow, with the range of its steps that is run, and the datasets.

    Raises:
        RerunError: The files are others by now, a step does not fit its task as that is now, or is
            pinned to other code.
    """
    call = workflow_call(uses, files_of(scheduler, uses))
    others = [
        f"{now.task_name} ({str(was.code_hash)[:_DIGITS]}, now {str(now.code_hash)[:_DIGITS]})"
        for was, now in zip(uses.steps, with_code(uses).steps, strict=True)
        if None not in (was.code_hash, now.code_hash) and was.code_hash != now.code_hash
    ]
    if others and uses.workflow is not None:
        scheduler.logger.warning(
            "The code of these steps of workflow %s is another than when it was submitted: %s. It "
            "runs as it is now.",
            uses.workflow.label,
            ", ".join(dict.fromkeys(others)),
        )
    return call


def workflow_call(uses: Uses, files: list[Any]) -> Any:
    """Return the call of the steps of a workflow: the first one is given the files.

    Args:
        uses: The workflow, with the range of its steps that is run.
        files: Those of its datasets.

    Raises:
        RerunError: A step does not fit its task as that is now, or is pinned to other code.
    """
    check_code(with_code(uses).steps)
    made: Any = files
    for step in uses.steps:
        made = _step_call(step, made)
    return made


def _step_call(step: StepPin, given: Any) -> Any:
    task = get_task_registry().get(step.task_name)
    try:
        if step.options:
            task = task.options(**step.options)
        return task(given, **(step.args or {}))
    except (TypeError, TaskOptionError) as error:
        raise RerunError(task.fullname, f"{error}") from error


def called(task: AnyTask, parameters: Mapping[str, Any]) -> Any:
    """Return a call with parameters as a snapshot has them.

    Raises:
        RerunError: They do not fit the task as it is now.
    """
    known = task.signature.parameters
    given = {
        name: tuple(parameters[name]) if each.kind is each.VAR_POSITIONAL else parameters[name]
        for name, each in known.items()
        if name in parameters
    }
    bound = inspect.BoundArguments(task.signature, OrderedDict(given))
    others = {name: value for name, value in parameters.items() if name not in known}
    try:
        return task(*bound.args, **bound.kwargs, **others)
    except TypeError as error:
        raise RerunError(task.fullname, f"{error}") from error


def is_plain(given: Any) -> bool:
    """Tell whether nothing of some parameters stands for a value that is no JSON."""
    if isinstance(given, dict):
        return set(given) != _PLACEHOLDER and all(map(is_plain, given.values()))
    return not isinstance(given, list) or all(map(is_plain, given))


def options_of_run(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of an execution that its calls can have."""
    known = KNOWN_OPTIONS.keys() - OWN_OPTIONS
    return {name: value for name, value in said.items() if name in known}


__all__ = [
    "LocalLauncher",
    "call_of_workflow",
    "called",
    "files_of",
    "is_plain",
    "options_of_run",
    "recorded_or_called",
    "workflow_call",
]
