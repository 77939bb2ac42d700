"""Runs Python as a process of its own: most often a fork of one that has imported all (`ready`).

That takes a tenth of the time. With ``TASKGRAPH_TORTURE=1`` each is a fresh Python.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_SECONDS = 120
# What Python reads when it starts and never again.
_FOR_THE_START = ("PYTHON", "LANG", "LC_", "MALLOC")
_AT_ANY_TIME = "PYTHONDONTWRITEBYTECODE"
# What `subprocess.Popen` hands to what starts its process, after the words.
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_OTHERS = (
    *("executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo"),
    *("creationflags", "shell", *_PIPES, "restore_signals", "gid", "gids", "uid", "umask"),
    *("start_new_session", "process_group"),
)


@dataclass(frozen=True)
class Done:
    """A process that ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> str:
        """The last line of the progress."""
        return self.err.splitlines()[-1]


class _Ready:
    """A Python that has imported what commands import.

    Args:
        environment: What it starts with; what is read at the start is so for its forks.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._asked, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("ready.py"), str(theirs.fileno())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def fork(self, program: dict[str, object], streams: list[int]) -> socket.socket:
        """Have a program run; return where the id of its process is told, and how it ended."""
        text = f"{json.dumps(program)}\n".encode()
        told, theirs = socket.socketpair()
        with theirs:
            sent = socket.send_fds(self._asked, [text], [*streams, theirs.fileno()])
            self._asked.sendall(text[sent:])
        return told

    def close(self) -> None:
        """End it."""
        self._asked.close()
        self._process.wait()


class Pythons:
    """Those that are ready: two of a kind, for in each the hashes of text are other ones."""

    def __init__(self) -> None:
        self._ready: dict[frozenset[tuple[str, str]], list[_Ready]] = {}

    def next(self, environment: Mapping[str, str]) -> _Ready:
        """Return one for an environment: they take turns."""
        at_start = frozenset(
            (name, text)
            for name, text in environment.items()
            if name.startswith(_FOR_THE_START) and name != _AT_ANY_TIME
        )
        alike = self._ready.setdefault(at_start, [])
        ready = alike.pop(0) if len(alike) == 2 else _Ready(environment)
        alike.append(ready)
        return ready

    def close(self) -> None:
        """End them."""
        for alike in self._ready.values():
            while alike:
                alike.pop().close()


_PYTHONS = Pythons()
atexit.register(_PYTHONS.close)


class _Forked(subprocess.Popen[str]):
    """A process that was forked, behind all that can be done with one that was started.

    What is told of it is read from a socket, for it is a child of somebody else.
    """

    _told: IO[bytes]

    def _execute_child(self, args: Any, *others: Any) -> None:
        named = dict(zip(_OTHERS, others, strict=True))
        pipes = [named[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        program = {
            "words": args[1:],
            "folder": os.fspath(named["cwd"]),
            "environment": named["env"],
            "session": named["start_new_session"],
        }
        streams = [pipe if pipe != -1 else number for number, pipe in enumerate(pipes)]
        try:
            self._socket = _PYTHONS.next(named["env"]).fork(program, streams)
        finally:
            self._close_pipe_fds(*(named[name] for name in _PIPES))
        # Without a buffer: what was told and not read must show in the socket.
        self._told = self._socket.makefile("rb", buffering=0)
        self._child_created = True
        self.pid = int(self._told.readline())

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], 0)[0]:
            self._wait(None)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            if not select.select([self._socket], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._socket.close()
        return self.returncode


def start_python(
    words: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    *,
    start_new_session: bool = False,
    **streams: Any,
) -> subprocess.Popen[str]:
    """Start Python with these words: ``-m MODULE``, ``-c PROGRAM`` or a script, and what follows.

    It finds all of taskgraph imported already, and is otherwise as one that has just started.

    Args:
        words: The words.
        folder: Its working directory.
        environment: All of its environment.
        start_new_session: Whether it is to have a session, and a group of processes, of its own.
        streams: ``stdin``, ``stdout`` and ``stderr``, as `subprocess.Popen` takes them.
    """
    kind = subprocess.Popen if os.environ.get("TASKGRAPH_TORTURE") else _Forked
    return kind(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=dict(environment),
        text=True,
        start_new_session=start_new_session,
        **streams,
    )


def run_python(
    words: Sequence[str | Path], folder: Path, environment: Mapping[str, str], typed: str = ""
) -> Done:
    """Start Python as `start_python` does, and wait for its end.

    Args:
        words: The words.
        folder: Its working directory.
        environment: All of its environment.
        typed: What stands on its standard input.

    Raises:
        subprocess.TimeoutExpired: It took too long, and was killed.
    """
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as stdout,
        tempfile.TemporaryFile("w+") as stderr,
    ):
        stdin.write(typed)
        stdin.seek(0)
        started = start_python(
            words, folder, environment, stdin=stdin, stdout=stdout, stderr=stderr
        )
        try:
            code = started.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
            raise
        stdout.seek(0)
        stderr.seek(0)
        return Done(code, stdout.read(), stderr.read())


def run_fresh(words: list[str], typed: str, folder: Path, environment: Mapping[str, str]) -> Done:
    """Run a Python that starts from nothing."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    return Done(done.returncode, done.stdout, done.stderr)
