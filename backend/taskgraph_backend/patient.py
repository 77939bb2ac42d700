"""Sessions that outlive the loss of their connection: a statement that gave nothing is asked again.

Each statement sees what is committed when it starts, so that one which is asked again after a
restart of the server answers as well as one that comes later. Rows that were handed out already are
never asked for again: whoever takes them one by one is told.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from taskgraph.errors import DatabaseError

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend


class PatientSession(Session):
    """A session whose statements are asked again while a server is away, as writers do.

    Attributes:
        backend: Says whether it may succeed then, and waits until that.
    """

    backend: SqlBackend

    def execute(self, *given: Any, **named: Any) -> Any:
        """Execute a statement; see `Session.execute`."""
        return self._patiently(super().execute, *given, **named)

    def scalars(self, *given: Any, **named: Any) -> Any:
        """Execute a statement for its first column; see `Session.scalars`."""
        return self._patiently(super().scalars, *given, **named)

    def scalar(self, *given: Any, **named: Any) -> Any:
        """Execute a statement for one value; see `Session.scalar`."""
        return self._patiently(super().scalar, *given, **named)

    def _patiently(self, question: Callable[..., Any], *given: Any, **named: Any) -> Any:
        attempt = 0
        while True:
            try:
                return question(*given, **named)
            except DatabaseError as error:
                attempt += 1
                self.backend._wait_or_raise(error, attempt)
            # What was loaded before is loaded anew when somebody looks at it again. A connection
            # that is lost has nothing to be taken back.
            with suppress(DatabaseError):
                self.rollback()

    def close(self) -> None:
        """Let go of the connection, also of one that is lost: nothing was written by it."""
        with suppress(DatabaseError):
            super().close()


__all__ = ["PatientSession"]
