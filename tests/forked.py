"""Runs Python as a process of its own: most often a fork of one that has imported all (`ready`).

That takes a tenth of the time. With ``TASKGRAPH_TORTURE=1`` each is a fresh Python.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_SECONDS = 120
# What Python reads when it starts and never again.
_FOR_THE_START = ("PYTHON", "LANG", "LC_", "MALLOC")
_AT_ANY_TIME = "PYTHONDONTWRITEBYTECODE"


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
        environment: What it starts with; what is read at the start is so for its commands.
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
        self._answers = self._asked.makefile("r")

    def run(
        self, words: list[str], folder: Path, environment: Mapping[str, str], streams: list[IO[str]]
    ) -> int:
        """Run a command; return its exit code, or less than 0 if a signal ended it.

        Raises:
            subprocess.TimeoutExpired: It took too long, and was killed.
        """
        command = {"words": words, "folder": str(folder), "environment": dict(environment)}
        text = f"{json.dumps(command)}\n".encode()
        sent = socket.send_fds(self._asked, [text], [each.fileno() for each in streams])
        self._asked.sendall(text[sent:])
        child = int(self._answers.readline())
        too_late = threading.Timer(_SECONDS, os.kill, (child, signal.SIGKILL))
        too_late.start()
        code = int(self._answers.readline())
        if too_late.finished.is_set():
            raise subprocess.TimeoutExpired(words, _SECONDS)
        too_late.cancel()
        return code

    def close(self) -> None:
        """End it."""
        self._answers.close()
        self._asked.close()
        self._process.wait()


class Pythons:
    """Those that are ready: two of a kind, for in each the hashes of text are other ones."""

    def __init__(self) -> None:
        self._ready: dict[frozenset[tuple[str, str]], list[_Ready]] = {}

    def run(
        self, words: list[str], typed: str, folder: Path, environment: Mapping[str, str]
    ) -> Done:
        """Run a process."""
        at_start = frozenset(
            (name, text)
            for name, text in environment.items()
            if name.startswith(_FOR_THE_START) and name != _AT_ANY_TIME
        )
        alike = self._ready.setdefault(at_start, [])
        # They take turns.
        ready = alike.pop(0) if len(alike) == 2 else _Ready(environment)
        alike.append(ready)
        with (
            tempfile.TemporaryFile("w+") as stdin,
            tempfile.TemporaryFile("w+") as stdout,
            tempfile.TemporaryFile("w+") as stderr,
        ):
            stdin.write(typed)
            stdin.seek(0)
            code = ready.run(words, folder, environment, [stdin, stdout, stderr])
            stdout.seek(0)
            stderr.seek(0)
            return Done(code, stdout.read(), stderr.read())

    def close(self) -> None:
        """End them."""
        for alike in self._ready.values():
            while alike:
                alike.pop().close()


_PYTHONS = Pythons()
atexit.register(_PYTHONS.close)


def run_python(
    words: Sequence[str | Path], folder: Path, environment: Mapping[str, str], typed: str = ""
) -> Done:
    """Run Python with these words: ``-m MODULE``, ``-c PROGRAM`` or a script, and what follows.

    It finds all of taskgraph imported already, and is otherwise as one that has just started.

    Args:
        words: The words.
        folder: Its working directory.
        environment: All of its environment.
        typed: What stands on its standard input.
    """
    named = list(map(str, words))
    if os.environ.get("TASKGRAPH_TORTURE"):
        return run_fresh(named, typed, folder, environment)
    return _PYTHONS.run(named, typed, folder, environment)


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
