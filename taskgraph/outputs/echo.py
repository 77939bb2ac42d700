"""What worker processes show: it is sent to the process that started them, which writes it.

Nobody else writes to a terminal with a table on it that is drawn anew. There is one pipe for all
workers of a process; a message is so small that those of several workers do not mix.
"""

from __future__ import annotations

import io
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskgraph.outputs.place import STDERR, STDOUT

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: Less than what a pipe takes at once, with the length of the message before it.
_MOST: Final = 1000  # letters, of four bytes at most
_MARKS: Final = {STDOUT: b"1", STDERR: b"2"}


class _Reader:
    """The end of the pipe in the process that shows."""

    def __init__(self) -> None:
        import multiprocessing  # it takes its time to load, and only who has workers needs it

        self._end, self.writer = multiprocessing.Pipe(duplex=False)
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="taskgraph-echo", daemon=True).start()

    def settle(self) -> None:
        """Show what was sent until now."""
        with self._lock, suppress(OSError, EOFError):
            while self._end.poll(0):
                self._show(self._end.recv_bytes())

    def _read(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                self._end.poll(None)
                self.settle()

    def _show(self, message: bytes) -> None:
        stream = sys.stdout if message[:1] == b"1" else sys.stderr
        with suppress(OSError, ValueError, AttributeError):  # nobody reads it any more
            stream.write(message[1:].decode(errors="replace"))
            stream.flush()


_readers: Final[list[_Reader]] = []
_guard = threading.Lock()


def echo_end() -> Connection[bytes, bytes]:
    """Return the end of the pipe for workers: to be handed to them when they start."""
    with _guard:
        if not _readers:
            _readers.append(_Reader())
        return _readers[0].writer


def settle_echo() -> None:
    """Show what workers sent until now, if there are any."""
    for each in _readers:
        each.settle()


class EchoStream(io.TextIOBase):
    """A stream of a worker: what is written is sent to who started it.

    Args:
        name: ``stdout`` or ``stderr``.
        end: The end of the pipe.
        descriptor: What `fileno` says: programs that the worker starts write to it.
    """

    def __init__(self, name: str, end: Connection[bytes, bytes], descriptor: int) -> None:
        self.name = name
        self._end = end
        self._descriptor = descriptor

    def write(self, text: str, /) -> int:
        """Send some text."""
        mark = _MARKS[self.name]
        with suppress(OSError, ValueError):  # who started this process is gone, and so is this one
            for at in range(0, len(text), _MOST):
                self._end.send_bytes(mark + text[at : at + _MOST].encode(errors="backslashreplace"))
        return len(text)

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor that programs write to."""
        return self._descriptor

    @property
    def encoding(self) -> str:  # type: ignore[override]  # it is read as such
        """UTF-8."""
        return "utf-8"
