"""What a run leaves in its workspace: a card that names the execution, and a log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from taskgraph.app.submitting import Wanted
from taskgraph.assembly.managing import add_log, state_of_execution
from taskgraph.catalog.cards import card, write_card
from taskgraph.catalog.requests import whole_path
from taskgraph.catalog.states import State as InState
from taskgraph.catalog.states import StateType
from taskgraph.engine.options import RunOptions
from taskgraph.errors import DatabaseError, ValidationError
from taskgraph.observers.workspace_log import WorkspaceLog
from taskgraph.ports import Backend
from taskgraph.records import State

#: The log of a run, in its workspace; also an artifact of kind ``log``.
LOG: Final = "taskgraph.log"


class RunWorkspace:
    """The folder of an execution, while that is run.

    Args:
        backend: Where the execution is.
        options: Those of the run.
        wanted: What it is to be known by, a workspace among it.

    Attributes:
        log: Told what happens.
    """

    def __init__(self, backend: Backend, options: RunOptions, wanted: Wanted) -> None:
        folder = whole_path(wanted.workspace)
        assert folder is not None
        self._backend = backend
        self._execution_id = options.execution_id
        self._folder = folder
        said = options.submission
        self._said = said.name, said.entrypoint, wanted.study
        self.log = WorkspaceLog(Path(self._folder, LOG))

    def begin(self) -> None:
        """Make the folder, and say in it what runs.

        Raises:
            ValidationError: It cannot be made.
        """
        try:
            os.makedirs(self._folder, exist_ok=True)
        except OSError as error:
            reason = f"it cannot be made: {error.strerror}. Give it another folder."
            raise ValidationError(f"workspace {self._folder}", reason) from error
        self._say(State.RUNNING)

    def end(self) -> None:
        """Say how it ended, and register the log."""
        self.log.close()
        try:
            state = state_of_execution(self._backend, self._execution_id)
            if not state:  # it was deleted meanwhile
                return
            self._say(state)
            if os.path.exists(os.path.join(self._folder, LOG)):
                add_log(self._backend, self._execution_id, LOG)
        except DatabaseError:
            return  # the run has said so, or has ended well and is recorded

    def _say(self, state: str) -> None:
        now = InState(StateType(state))
        write_card(self._folder, card(self._execution_id, *self._said, now))


def workspace_of(backend: Backend, options: RunOptions, wanted: Wanted) -> RunWorkspace | None:
    """Return the workspace of a run, if it has one."""
    is_own = wanted.workspace is not None and not options.is_dry and options.below is None
    return RunWorkspace(backend, options, wanted) if is_own else None


__all__ = ["LOG", "RunWorkspace", "workspace_of"]
