"""What the ports of managers share: a database that may have been closed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend


class OpenedPort:
    """A port of a manager on a database.

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


__all__ = ["OpenedPort"]
