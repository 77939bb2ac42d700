"""What a call prints, told apart by the call: stdout, stderr, and what is logged to them.

While a run goes on, ``sys.stdout`` and ``sys.stderr`` are `Tee` streams: what is printed within a
call goes to its file, and on to the stream that was there before, line by line; all else just goes
on. A call that prints nothing costs nothing: who prints is asked when something is printed.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, Protocol, TextIO

from taskgraph.outputs.echo import settle_echo
from taskgraph.outputs.place import MOST_IN_LINE, STDERR, STDOUT, OutputPlace
from taskgraph.outputs.upon import UponStream
from taskgraph.outputs.writing import OutputFile


class Printing(Protocol):
    """A call, as far as what it prints is concerned."""

    @property
    def job_id(self) -> str:
        """The job that it is."""
        ...

    @property
    def output(self) -> OutputPlace | None:
        """Where what it prints is kept, if it is."""
        ...


#: The call that this is part of. Any: it is a call to those who set it.
current: ContextVar[Any] = ContextVar("taskgraph_call", default=None)

#: What was printed by calls that have not ended, by their jobs.
captures: Final[dict[str, Capture]] = {}

_guard = threading.RLock()


class Capture:
    """What one call prints: lines that are whole go to its file, and are shown."""

    def __init__(self, place: OutputPlace, job_id: str) -> None:
        self._place = place
        self._lock = threading.RLock()
        self._begun = {STDOUT: "", STDERR: ""}
        self._shown: dict[str, Callable[[str], object]] = {}
        self._job_id = job_id
        self._file: OutputFile | None = None
        self._is_kept = True

    def write(self, stream: str, text: str, show: Callable[[str], object]) -> None:
        """Take what is printed, and pass it on line by line."""
        with self._lock:
            self._shown[stream] = show
            whole, newline, rest = (self._begun[stream] + text).rpartition("\n")
            self._begun[stream] = rest
            if newline:
                self._keep(stream, whole, is_whole=True)
                if self._place.is_echoed:
                    show(whole + "\n")
            if len(rest) > MOST_IN_LINE:
                self.flush(stream)

    def flush(self, stream: str) -> None:
        """Pass on a line that has begun."""
        with self._lock:
            rest, self._begun[stream] = self._begun[stream], ""
            if rest:
                self._keep(stream, rest, is_whole=False)
                if self._place.is_echoed:
                    self._shown[stream](rest)

    def close(self) -> None:
        """Pass on what is left, and let go of the file."""
        with self._lock:
            for stream, begun in list(self._begun.items()):
                self.flush(stream)
                if begun and self._place.is_echoed:
                    self._shown[stream]("\n")  # what others print begins a line of its own
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()

    def _keep(self, stream: str, text: str, *, is_whole: bool) -> None:
        if not self._is_kept:
            return
        try:
            if self._file is None:
                self._file = OutputFile(self._place, self._job_id)
            if is_whole:
                self._file.write_lines(stream, text)
            else:
                self._file.write(stream, text, is_whole=False)
        except OSError as error:
            # A disk that is full must not fail the call: it is shown, and no longer kept.
            self._is_kept = False
            _complain(self._place.folder, error)


_complaints: Final[set[tuple[str, int | None]]] = set()


def _complain(folder: str, error: OSError) -> None:
    """Say once, and not of each job, that what an execution prints is not kept."""
    if (folder, error.errno) not in _complaints:
        _complaints.add((folder, error.errno))
        logging.getLogger("taskgraph").warning(
            "What jobs print is not kept in %s: %s", folder, error.strerror or error
        )


def capture_of(call: Printing, place: OutputPlace) -> Capture:
    """Return what takes the output of a call."""
    found = captures.get(call.job_id)
    if found is None:
        # One step under the interpreter's lock, and no lock of ours: many threads come here.
        found = captures.setdefault(call.job_id, Capture(place, call.job_id))
    return found


def end(call: Printing) -> None:
    """Take note that a call has ended; only called if anything was printed."""
    found = captures.pop(call.job_id, None)
    if found is not None:
        found.close()


def said(stream: str, text: str) -> None:
    """Keep what was printed elsewhere for the call that this is part of, and show it to nobody."""
    call = current.get()
    if call is not None and call.output is not None and text:
        capture_of(call, call.output).write(stream, text, lambda _: None)


class Tee(UponStream):
    """A stream that keeps what calls print, and passes all on.

    Args:
        name: ``stdout`` or ``stderr``.
        under: The stream that was there before.
    """

    def __init__(self, name: str, under: TextIO | io.TextIOBase) -> None:
        super().__init__(under)
        self.name = name

    def write(self, text: str, /) -> int:
        """Print something."""
        call = current.get()
        place = None if call is None else call.output
        if place is None or text == "":
            return self.under.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        capture_of(call, place).write(self.name, text, self.under.write)
        return len(text)

    def flush(self) -> None:
        """Pass on what has begun."""
        call = current.get()
        if call is not None and captures:
            found = captures.get(call.job_id)
            if found is not None:
                found.flush(self.name)
        with suppress(ValueError):  # it was closed meanwhile
            self.under.flush()

    def close(self) -> None:
        """Do nothing: who was there before is not to be closed by a call."""

    @property
    def buffer(self) -> Any:  # as of the stream under it
        """The same for bytes."""
        return _Bytes(self)

    @property
    def closed(self) -> bool:
        """Whether the stream under it is."""
        return bool(getattr(self.under, "closed", False))

    def __getattr__(self, name: str) -> Any:  # whatever that stream has
        return getattr(self.under, name)


class _Bytes(io.RawIOBase):
    """The bytes of a `Tee`."""

    def __init__(self, tee: Tee) -> None:
        self._tee = tee

    def write(self, content: Any, /) -> int:
        """Print some bytes."""
        if current.get() is None:
            under: Any = self._tee.under
            found: int = under.buffer.write(content)
            return found
        self._tee.write(bytes(content).decode(self._tee.encoding, "replace"))
        return len(content)

    def flush(self) -> None:
        """Pass on what has begun."""
        self._tee.flush()

    def close(self) -> None:
        """Do nothing."""

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the stream under it."""
        return self._tee.fileno()


_users: Final[list[object]] = []
_made: list[tuple[str, Tee]] = []
_moved: list[tuple[logging.StreamHandler[Any], Any, Tee]] = []


@contextmanager
def captured() -> Iterator[None]:
    """Have what calls print told apart for as long as this lasts, in all threads."""
    with _guard:
        if not _users:
            _begin()
        _users.append(None)
    try:
        yield
    finally:
        settle_echo()
        with _guard:
            _users.pop()
            if not _users:
                _stop()


def _begin() -> None:
    for name in (STDOUT, STDERR):
        under = getattr(sys, name)
        if under is None or isinstance(under, Tee):
            continue
        tee = Tee(name, under)
        setattr(sys, name, tee)
        _made.append((name, tee))
        originals = {id(under), id(getattr(sys, f"__{name}__"))}
        for handler in _handlers():
            if id(handler.stream) in originals:
                _moved.append((handler, handler.stream, tee))
                handler.setStream(tee)


def _stop() -> None:
    while _moved:
        handler, before, tee = _moved.pop()
        if handler.stream is tee:
            handler.setStream(before)
    while _made:
        name, tee = _made.pop()
        # Else somebody has put another in its place. None is no place to print to.
        if getattr(sys, name) in (tee, None):
            setattr(sys, name, tee.under)


def _handlers() -> Iterator[logging.StreamHandler[Any]]:
    """Yield the handlers that log to streams: they hold the one that was there when made."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and not isinstance(
                handler, logging.FileHandler
            ):
                yield handler
