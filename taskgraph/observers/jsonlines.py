"""Events as lines of JSON, added to a file by a thread of its own."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import threading
import time
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from taskgraph.errors import ObserverError
from taskgraph.events import Event, ExecutionEnded, ExecutionStarted, JobMissed
from taskgraph.records import State

#: Raised when a field of an event goes, or means something else; new ones come without.
VERSION: Final = 1
_PATIENCE = 30.0  # seconds without a write at the end of a run
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TIMES: Final = frozenset({"started", "ended"})


class JsonLines:
    """Adds each event to a file, as a line of JSON.

    Args:
        path: The file; it is made if need be, with its folder.

    Raises:
        ObserverError: It cannot be written to, or is a named pipe that nobody reads.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._queue: SimpleQueue[tuple[float, str | None, Event] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._execution: str | None = None
        self._error: OSError | None = None
        self._pipe: FileIO | None = None
        self._writes = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            stream = self._open()
        except OSError as error:
            is_unread = error.errno == errno.ENXIO
            reason = "nobody reads this named pipe" if is_unread else error.strerror
            raise ObserverError("observers.jsonl", f"{path}: {reason}") from error
        if stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            self._pipe = stream  # closed now, it would end for who reads it
        else:
            stream.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def notify(self, event: Event) -> None:
        """Have an event written; the last one of a run waits until all are.

        Raises:
            OSError: An earlier one could not be: the disk is full, say, or a pipe is not read.
        """
        if self._error is not None:
            raise self._error
        kind = type(event)
        if kind is JobMissed:  # it holds the user's values, and is told again when it is submitted
            return
        if isinstance(event, ExecutionStarted):
            self._execution = event.execution_id
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._write, name="taskgraph-jsonl", daemon=True
                )
                self._thread.start()
        self._queue.put((time.time(), self._execution, event))
        if kind is ExecutionEnded and self._thread is not None:
            self._queue.put(None)
            self._wait_for(self._thread)
            if self._error is not None:
                raise self._error
            self._thread = None

    def _wait_for(self, thread: threading.Thread) -> None:
        """Wait until all is written, or nothing has been for a long time: nobody reads a pipe."""
        while thread.is_alive():
            before = self._writes
            thread.join(_PATIENCE)
            if thread.is_alive() and self._writes == before:
                reason = f"nothing could be written for {_PATIENCE:g} s"
                self._error = TimeoutError(errno.ETIMEDOUT, reason, str(self._path))
                return

    def _open(self) -> FileIO:
        """Open the file to add to it; a named pipe that nobody reads is an error at once."""
        return FileIO(self._path, "ab", opener=_opened_at_once)

    def _write(self) -> None:
        try:
            # A line is one write at its end: several runs may share a file.
            opened, self._pipe = self._pipe or self._open(), None
            with opened as stream:
                while (item := self._queue.get()) is not None:
                    lines = [line_of(*item)]
                    while not self._queue.empty() and len(lines) < 100:
                        more = self._queue.get()
                        if more is None:
                            stream.write("".join(lines).encode())
                            return
                        lines.append(line_of(*more))
                    stream.write("".join(lines).encode())
                    self._writes += 1
        except OSError as error:
            # It is raised when there is something to tell: who asks drops this observer.
            self._error = error


def _opened_at_once(path: str, flags: int) -> int:
    # Else it would wait for a reader of a named pipe, and the run with it.
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def line_of(moment: float, execution_id: str | None, event: Event) -> str:
    """Return an event as a line of JSON; what happens between runs is of no execution."""
    record = {"event": name_of(event), "time": _text_of(moment), "execution": execution_id}
    return json.dumps({**record, **fields_of(event)}, default=str) + "\n"


def name_of(event: Event) -> str:
    """Return the name of an event's kind, as ``job_done``."""
    return _WORD.sub("_", type(event).__name__).lower()


def fields_of(event: Event) -> dict[str, Any]:
    """Return what an event says, as plain data."""
    names = getattr(event, "_fields", None) or event.__dataclass_fields__  # type: ignore[union-attr]  # they are one or the other
    fields = {name: _plain(name, getattr(event, name)) for name in names}
    if isinstance(event, ExecutionStarted | ExecutionEnded):
        del fields["execution_id"]  # each line has it
    if isinstance(event, ExecutionStarted):
        fields["version"] = VERSION
    return fields


def _plain(name: str, value: Any) -> Any:
    if name in _TIMES and isinstance(value, int):
        return _text_of(value / 1e6)
    if isinstance(value, State):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _text_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
