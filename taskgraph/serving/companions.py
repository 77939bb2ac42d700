"""What a worker does besides its slots, by itself: it serves calls, and tells who is to be told.

Each companion has a thread of its own: a receiver of notifications that does not answer, or a call
that takes long, keeps the supervisor neither from beating nor from hearing that it is to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from taskgraph.assembly.notifying import deliver_due
from taskgraph.errors import DatabaseError

if TYPE_CHECKING:
    from taskgraph_backend import SqlBackend

#: Seconds between two looks whether somebody is to be told of something.
LOOK: Final = 5.0
_AT_ONCE: Final = 20  # notifications in one look
_LAST: Final = 10.0  # seconds for the last look, when the worker ends


class Companion(Protocol):
    """Something that a worker does by itself from its start to its end."""

    @property
    def is_alive(self) -> bool:
        """Whether it was started, and has not ended."""

    @property
    def is_idle(self) -> bool:
        """Whether it has looked, and has nothing to do."""

    def start(self) -> None:
        """Begin.

        Raises:
            ExecutorError: It cannot be done here; the worker does the rest.
        """

    def retire(self) -> None:
        """Begin nothing more but what the slots of its worker wait for; returns at once."""

    def drain(self, timeout: float | None = None) -> bool:
        """Begin nothing more; returns whether it has ended, within so many seconds."""

    def stop(self) -> None:
        """End, and wait for that."""


class Teller:
    """Finds what somebody is to be told by a notification policy, and tells it.

    Args:
        backend: The database; the teller has a connection of its own.
        tell: Told in a sentence what went wrong, and goes on.
        look: Seconds between two looks.
    """

    def __init__(
        self,
        backend: SqlBackend,
        tell: Callable[[str], object] = lambda sentence: None,
        look: float = LOOK,
    ) -> None:
        self._backend = backend
        self._tell = tell
        self._look = look
        self._ended = threading.Event()
        self._is_stopping = False
        self._is_troubled = False
        self._unreadable: tuple[str, ...] = ()
        self._own: SqlBackend | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_idle(self) -> bool:
        """Whether it may be drained: always, for it looks once more at its end."""
        return True

    def start(self) -> None:
        """Begin to look, on a thread of its own."""
        self._thread = threading.Thread(target=self._live, name="taskgraph-teller", daemon=True)
        self._thread.start()

    def retire(self) -> None:
        """Go on: what the slots end is told as well."""

    def drain(self, timeout: float | None = None) -> bool:
        """Look once more, for what has just ended; returns whether it has, in so many seconds."""
        self._ended.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End. What is being sent is claimed for a moment, and then sent by somebody else."""
        self._is_stopping = True
        self.drain(0)

    def _live(self) -> None:
        while not self._ended.is_set():
            self._deliver()
            self._ended.wait(self._look)
        self._deliver()
        if self._own is not None:
            with suppress(DatabaseError):
                self._own.close()

    def _deliver(self) -> None:
        try:
            backend = self._own = self._own or self._backend.clone()
            # While the worker lives, each attempt has the time that its policy gives it.
            seconds = _LAST if self._ended.is_set() else None
            done = deliver_due(
                backend, most=_AT_ONCE, seconds=seconds, go_on=lambda: not self._is_stopping
            )
        except Exception as error:
            # The database is away: it looks again the next time.
            if not self._is_troubled:
                self._tell(f"nobody can be told of anything for now: {error}")
            self._is_troubled = True
            return
        self._is_troubled = False
        if done.unreadable != self._unreadable:
            self._unreadable = done.unreadable
            for said in done.unreadable:
                self._tell(said)
        for each in done.attempts:
            if each.error is not None:
                self._tell(f"policy {each.notification.policy}: {each.error}")


__all__ = ["LOOK", "Companion", "Teller"]
