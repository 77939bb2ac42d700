"""What is written to the descriptors 1 and 2 of a worker process: by C code, and by programs.

They lead to files without a name. A worker process runs one call at a time, so what is found there
belongs to that call: it is looked for when the call prints something otherwise, four times a second
while it runs, and when it ends. A pipe would do the same at once, and stand still for ever when C
code that holds the interpreter fills it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import threading
from codecs import IncrementalDecoder, getincrementaldecoder
from typing import TYPE_CHECKING, Any, Final

from taskgraph.outputs.echo import EchoStream
from taskgraph.outputs.place import STDERR, STDOUT
from taskgraph.outputs.streams import Printing, Tee, capture_of, captures, current, end

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_PAUSE: Final = 0.25  # seconds
_PIECE: Final = 1 << 20
_TO_CUT: Final = 16 << 20  # bytes after which a file is emptied


class _Spool:
    """The file that a descriptor leads to, and how far it was read."""

    def __init__(self, name: str, descriptor: int, shown: EchoStream) -> None:
        self.name = name
        self.shown = shown
        self._decoder: IncrementalDecoder = getincrementaldecoder("utf-8")("replace")
        self._seen = 0
        self._file = _unnamed()
        os.dup2(self._file, descriptor)

    def read(self) -> str:
        """Return what was written since the last time."""
        size = os.fstat(self._file).st_size
        if size <= self._seen:
            return ""
        content = os.pread(self._file, min(size - self._seen, _PIECE), self._seen)
        self._seen += len(content)
        if self._seen == size > _TO_CUT:
            # What is written just now, between the two, is lost: a disk that fills is worse.
            os.ftruncate(self._file, 0)
            self._seen = 0
        return self._decoder.decode(content)


def _unnamed() -> int:
    """Return a file that goes with this process, to which all that is written is added."""
    found, path = tempfile.mkstemp(prefix="taskgraph-output-")
    os.unlink(path)
    fcntl.fcntl(found, fcntl.F_SETFL, os.O_APPEND)
    return found


_spools: list[_Spool] = []
_lock = threading.RLock()
_alone: Final[list[Printing]] = []  # the call that runs, if one does


def settle_descriptors(end_of_pipe: Connection[bytes, bytes]) -> None:
    """Have all that this worker process prints told apart and sent to who started it."""
    for descriptor, name in ((1, STDOUT), (2, STDERR)):
        shown = EchoStream(name, end_of_pipe, descriptor)
        under: Any = getattr(sys, name)
        if under is not None:
            under.flush()
        _spools.append(_Spool(name, descriptor, shown))
        setattr(sys, name, _WorkerTee(name, shown))
    threading.Thread(target=_look_again, name="taskgraph-output", daemon=True).start()


def begin_alone(call: Printing) -> None:
    """Take note that a call is the only one that this process runs now."""
    _alone[:] = [call]


def end_alone() -> None:
    """Take what that call has printed, for it has ended."""
    if _spools:
        _drain()
        if captures and _alone:
            end(_alone[0])
    _alone.clear()


class _WorkerTee(Tee):
    """A stream of a worker: a thread that the call started itself is part of it, too."""

    def write(self, text: str, /) -> int:
        """Print something, after what was written to the descriptors before."""
        _drain()
        call = current.get() or next(iter(_alone), None)
        if call is None or call.output is None:
            return self.under.write(text)
        capture_of(call, call.output).write(self.name, text, self.under.write)
        return len(text)


def _drain() -> None:
    with _lock:
        for each in _spools:
            while text := each.read():
                call = next(iter(_alone), None)
                if call is None or call.output is None:
                    each.shown.write(text)
                else:
                    capture_of(call, call.output).write(each.name, text, each.shown.write)


def _look_again() -> None:
    pause = threading.Event()
    while not pause.wait(_PAUSE if _alone else 4 * _PAUSE):
        _drain()
