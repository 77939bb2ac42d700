"""Processes that end with whoever started them, and with them all that they started.

    a script begins          in a session of its own, with a guard beside it that knows of it
      it ends                  what it left running is ended too
      nobody waits any more    `Scope.end`: asked to end, killed if it does not
      the process that started it is gone, however that came: the same

The guard is a shell that reads from a pipe which this process alone holds open: when that closes,
it ends the group. So a script never outlives a worker that was killed, and nothing must be polled.
The name of a guard says of which session that process is, and whom it runs calls for: who gives the
work of one that is gone to others looks whether its scripts are (`is_guarded`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import subprocess

# Asked politely first: a trap of the script may have something to put in order. Two seconds later
# what is left is killed, and gone a moment after that.
_GUARD = """\
read -r group || exit 0
read -r end
kill -s TERM -- "-$group" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 0.1
    kill -s 0 -- "-$group" 2>/dev/null || exit 0
done
kill -s KILL -- "-$group" 2>/dev/null
sleep 0.1
"""

# What a script begins as: it tells the guard its number, through what is its stdin until then. If
# this process did, it might be gone between the start of the one and the word to the other.
_START = 'echo $$ >&0; exec "$@" </dev/null'

_PROCESSES: Final = "/proc"

_servers: Final[list[int]] = []  # the process that this one runs calls for, if it does


class Scope:
    """What runs on behalf of one worker, and ends when nobody waits for that any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[ProcessGroup] = set()
        self._is_ended = False

    def enter(self) -> None:
        """Have all scripts that this thread, or coroutine, starts from now on belong to this."""
        _scope.set(self)

    def end(self) -> None:
        """Have all of its scripts ended, and no other begin; returns at once."""
        with self._lock:
            self._is_ended = True
            groups = list(self._groups)
        for each in groups:
            each.end()

    def add(self, group: ProcessGroup) -> None:
        """Take note of a group that runs; it is ended at once if the scope has ended."""
        with self._lock:
            self._groups.add(group)
            is_late = self._is_ended
        if is_late:
            group.end()

    def remove(self, group: ProcessGroup) -> None:
        """Forget a group that has ended."""
        with self._lock:
            self._groups.discard(group)


_scope: ContextVar[Scope | None] = ContextVar("taskgraph_scripts", default=None)


class ProcessGroup:
    """A process, and all that it starts, which end together.

    Args:
        words: The program and its arguments.
        folder: Where it runs.
        stdout: Where its output goes.
        stderr: Where its errors go.

    Raises:
        OSError: It cannot be started. That there is no such program is for the exit code to tell.
    """

    def __init__(
        self, words: Sequence[str], folder: str, stdout: IO[bytes], stderr: IO[bytes]
    ) -> None:
        import subprocess  # only where a script begins: it takes its time to load

        self._scope = _scope.get()
        self._is_let_go = threading.Lock()
        self._guard = _start_guard()
        try:
            self._leader = subprocess.Popen(
                ["/bin/sh", "-c", _START, "script", *words],
                cwd=folder,
                stdin=self._guard.stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except BaseException:
            self.end()
            self._guard.wait()
            raise
        if self._scope is not None:
            self._scope.add(self)

    def wait(self) -> int:
        """Wait for the end; returns the exit code, or minus the number of the signal."""
        try:
            return self._leader.wait()
        finally:
            # After a Ctrl-C it still runs: it is ended, and waited for, so that none is left.
            if self._scope is not None:
                self._scope.remove(self)
            self.end()
            self._leader.wait()
            self._guard.wait()

    def end(self) -> None:
        """Have all of the group ended; returns at once, and may be called by any thread."""
        if self._is_let_go.acquire(blocking=False):
            pipe = self._guard.stdin
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def _start_guard() -> subprocess.Popen[Any]:
    import subprocess

    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, *map(_name_of, (os.getsid(0), *_servers))],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def run_for(server: int) -> None:
    """Have all scripts that this process starts be known to be those of another one.

    Args:
        server: The process, of this machine, that this one runs calls for.
    """
    _servers[:] = [server]


def is_guarded(pid: int) -> bool:
    """Tell whether scripts that were started for a process of this machine may still run.

    Args:
        pid: The process; it leads the session of those that have started them, or they run calls
            for it (`run_for`). It may be gone.
    """
    wanted = _name_of(pid).encode()
    return any(wanted in each for each in _command_lines())


def _name_of(pid: int) -> str:
    return f"taskgraph-guard:{pid}"


def _command_lines() -> Iterator[list[bytes]]:
    """Yield the words of each process of this machine, as far as they can be seen."""
    try:
        numbers = [each for each in os.listdir(_PROCESSES) if each.isdecimal()]
    except FileNotFoundError:
        import subprocess

        shown = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, check=False)
        yield from map(bytes.split, shown.stdout.splitlines())
        return
    for each in numbers:
        with suppress(OSError), open(f"{_PROCESSES}/{each}/cmdline", "rb") as stream:
            yield stream.read().split(b"\0")
