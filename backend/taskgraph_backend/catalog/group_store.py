"""The port of the managers of workflows and groups on a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from taskgraph.catalog.workflow_rows import NewWorkflow, Workflow
from taskgraph_backend.catalog import workflow_lists, workflows

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend


class GroupCatalog:
    """The port of the managers of workflows and groups on a database.

    Args:
        backend: The database.
        check: Called before each question, and each change: raises if it is closed, say.
    """

    def __init__(self, backend: SqlBackend, check: Callable[[], object] = lambda: None) -> None:
        self._opened = backend
        self._check = check

    @property
    def _backend(self) -> SqlBackend:
        self._check()
        return self._opened

    # Workflows

    def create_workflow(self, wanted: NewWorkflow) -> str:
        """Store a workflow; returns its id.

        Raises:
            DuplicateVersionError: There is such a version.
        """
        return self._backend._transact(workflows.create, wanted)

    def promote_workflow(self, workflow_id: str) -> bool:
        """Have this version be the one that is meant; returns whether there is such a workflow."""
        return self._backend._transact(workflows.promote, workflow_id)

    def find_workflow(self, ref: str, version: int | None) -> Workflow | None:
        """Return a workflow by full name, id or unique start of one.

        Raises:
            AmbiguousIdError: More than one is meant.
        """
        with self._backend.reader() as session:
            return workflow_lists.look_up(session, ref, version)

    def workflows(self, include_superseded: bool) -> list[Workflow]:
        """Return workflows by name and version."""
        with self._backend.reader() as session:
            return workflow_lists.every(session, include_superseded)


__all__ = ["GroupCatalog"]
