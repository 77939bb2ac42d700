"""What a worker has taken is run: as it was submitted, by a scheduler like all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from taskgraph.app.launching import (
    call_of_workflow,
    called,
    is_plain,
    options_of_run,
    recorded_or_called,
)
from taskgraph.app.scheduler import Scheduler
from taskgraph.catalog.requests import SCRIPT
from taskgraph.catalog.rerunning import NO_CACHE, RERUN_TAG, parameters_of, uses_of
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.store import CatalogStore
from taskgraph.catalog.worker_rows import Taken
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.engine.leasing import Assigned
from taskgraph.errors import (
    DatabaseError,
    ExecutionCancelledError,
    LeaseLostError,
    RerunError,
    ScriptLoadError,
    ScriptNotFoundError,
    UnknownTaskError,
    ValidationError,
)
from taskgraph.tasks.registry import get_task_registry
from taskgraph.worker import describe_error


class Finishing(Protocol):
    """What says that a worker is done with an execution."""

    def finish(self, taken: Taken, end: State | None = None) -> str:
        """Say it; returns the type of the state that the execution is in now."""


class TakenRunner:
    """Runs executions that this process has taken, one at a time.

    Args:
        scheduler: Runs them.
        catalog: What was written down of them.
        routing: Told when it is done with one.
        load: Loads a script or a module, unless it is loaded.
        find_workflow: Returns a stored workflow by its id.
        on_lost: Called, by any thread, when one is somebody else's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        catalog: CatalogStore,
        routing: Finishing,
        load: Callable[[str], object],
        find_workflow: Callable[[str], Workflow | None],
        on_lost: Callable[[], object] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._catalog = catalog
        self._routing = routing
        self._load = load
        self._find_workflow = find_workflow
        self._on_lost = on_lost

    def run(
        self,
        taken: Taken,
        found: Execution | None,
        before: Callable[[], object] = lambda: None,
    ) -> str:
        """Run an execution to its end, whatever that is.

        Args:
            taken: What was taken.
            found: The execution, if it was not deleted.
            before: Called when all is loaded: from then on its run holds its lease.

        Returns:
            The type of the state that it is in now; nothing if it was deleted.

        Raises:
            LeaseLostError: It is somebody else's by now.
            DatabaseError: The database is away; the same may be asked again.
        """
        end: State | None = None
        if found is not None and found.state.type is StateType.PENDING:
            end = self._run(taken, found, before)
        before()
        return self._routing.finish(taken, end)

    def _run(self, taken: Taken, found: Execution, before: Callable[[], object]) -> State | None:
        """Return the state that it is to be in, if its run wrote none."""
        call = self._prepared(found)
        if isinstance(call, State):
            return call
        before()
        try:
            self._scheduler.run_submitted(
                call,
                found,
                cache=not found.options.get(NO_CACHE),
                options=options_of_run(found.options),
                assigned=Assigned(taken.holder, self._on_lost),
            )
        except LeaseLostError:
            raise
        except DatabaseError:
            return None  # how it ended could not be written: it is given back
        except ExecutionCancelledError:
            return State(StateType.CANCELLED)
        except BaseException as error:
            # A body may raise what ends a program: it has failed, and the slot goes on.
            return _failed(describe_error(error))
        return State(StateType.COMPLETED, message="nothing of it was recorded")

    def _prepared(self, found: Execution) -> Any:
        """Return the lazy call of an execution; where there is none, the state that it is to be in.

        Raises:
            DatabaseError: The database is away.
        """
        try:
            frozen = self._catalog.snapshot(found.id)
            for script in self._scripts(found, frozen):
                self._load(script)
            return self._call(found, frozen)
        except UnknownTaskError as error:
            return _failed(_how_to_define(error, found))
        except (RerunError, ScriptLoadError, ScriptNotFoundError, ValidationError) as error:
            return _failed(str(error))
        except Exception:
            raise
        except BaseException as error:
            # A Ctrl-C is the supervisor's: it is the script that raised it.
            return _failed(f"Its script cannot be loaded: {describe_error(error)}")

    def _scripts(self, found: Execution, frozen: Any) -> Iterator[str]:
        """Yield the scripts that the tasks of an execution are in, as far as it says so."""
        said = found.options.get(SCRIPT)
        if isinstance(said, str):
            yield said  # which goes before what the workflow says
            return
        flow = frozen.get("workflow") if isinstance(frozen, dict) else None
        if not isinstance(flow, dict):
            return
        meta = flow.get("meta")
        if not isinstance(meta, dict):  # nothing of that was frozen
            stored = self._find_workflow(str(flow.get("id")))
            meta = {} if stored is None else stored.meta
        script = meta.get("script")
        if isinstance(script, str):
            yield script

    def _call(self, found: Execution, frozen: Any) -> Any:
        """Return the lazy call of an execution.

        Raises:
            UnknownTaskError: Its task is not defined here.
            RerunError: What it was given is not known any more, or does not fit.
        """
        uses = uses_of(frozen) if isinstance(frozen, dict) else uses_of({})
        if uses.workflow is not None:
            return call_of_workflow(self._scheduler, uses)
        parameters = parameters_of(frozen, found)
        refs = found.tags.get(RERUN_TAG, ())
        origin = self._catalog.find(str(refs[0])) if refs else None
        if origin is not None:
            return recorded_or_called(self._scheduler, origin, parameters)
        if refs and not is_plain(parameters):
            reason = "what it was made after was deleted, and with it what it was given"
            raise RerunError(found.entrypoint, reason)
        return called(get_task_registry().get(found.entrypoint), parameters)


def _failed(message: str) -> State:
    return State(StateType.FAILED, message=message)


def _how_to_define(error: UnknownTaskError, found: Execution) -> str:
    return (
        f"{error} The worker that took execution {found.id[:8]} does not know it: start it with "
        "`--script FILE` or `--import MODULE`, or submit with `taskgraph submit SCRIPT TASK`."
    )


__all__ = ["Finishing", "TakenRunner"]
