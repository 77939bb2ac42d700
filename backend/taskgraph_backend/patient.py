"""Sessions that outlive the loss of their connection: a statement that gave nothing is asked again.

Each statement sees what is committed when it starts, so that one which is asked again after a
restart of the server answers as well as one that comes later. Rows that were handed out already are
never asked for again: whoever takes them one by one is told.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from taskgraph.errors import DatabaseError

if TYPE_CHECKING:
    from taskgraph_backend.connected import Connected


def _patiently(ask: Callable[..., Any]) -> Any:
    """Return a method of sessions that asks again while the server is away, as writers do."""

    @wraps(ask)
    def asked(self: PatientSession, *given: Any, **named: Any) -> Any:
        attempt = 0
        while True:
            try:
                return ask(self, *given, **named)
            except DatabaseError as error:
                attempt += 1
                self.backend._wait_or_raise(error, attempt)
            # What was loaded before is loaded anew when somebody looks at it again. A connection
            # that is lost has nothing to be taken back.
            with suppress(DatabaseError):
                self.rollback()

    return asked  # of the same type, which is overloaded


class PatientSession(Session):
    """A session whose statements are asked again.

    Attributes:
        backend: Says whether it may succeed then, and waits until that.
    """

    backend: Connected

    execute = _patiently(Session.execute)
    scalars = _patiently(Session.scalars)
    scalar = _patiently(Session.scalar)

    def close(self) -> None:
        """Let go of the connection, also of one that is lost: nothing was written by it."""
        with suppress(DatabaseError):
            super().close()


__all__ = ["PatientSession"]
