"""A folder of its own with a workflow in it, and the command line as a user runs it.

Each command is a process of its own. Most are forked by a Python that has imported already
(`ready`), which takes a tenth of the time; with ``TASKGRAPH_TORTURE=1`` each is a fresh Python.
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
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
_COMMAND = ["-m", "taskgraph.cli.main"]
_SECONDS = 120
# What Python reads when it starts and never again.
_FOR_THE_START = ("PYTHON", "LANG", "LC_", "MALLOC")


@dataclass(frozen=True)
class Done:
    """A command that ended."""

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
        """Run a command."""
        if os.environ.get("TASKGRAPH_TORTURE"):
            return run_fresh([*_COMMAND, *words], typed, folder, environment)
        at_start = frozenset(
            pair for pair in environment.items() if pair[0].startswith(_FOR_THE_START)
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


_PYTHONS = Pythons()
atexit.register(_PYTHONS.close)


class Space:
    """A project in a folder of its own.

    Args:
        folder: It.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        """Write a file; what indents all of its lines is left out."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def __call__(self, *words: str | Path, **environment: str) -> Done:
        """Run ``taskgraph`` with these words."""
        return self.typing("", *words, **environment)

    def typing(self, typed: str, *words: str | Path, **environment: str) -> Done:
        """Run ``taskgraph`` with these words, and type something into it."""
        named = list(map(str, words))
        return _PYTHONS.run(named, typed, self.folder, self._environment(environment))

    def fresh(self, *words: str | Path) -> Done:
        """Do as a call, in a Python that starts from nothing."""
        return run_fresh([*_COMMAND, *map(str, words)], "", self.folder, self._environment({}))

    def python(self, program: str, *words: str | Path, **environment: str) -> Done:
        """Run a program of Python with these words."""
        named = ["-c", program, *map(str, words)]
        return run_fresh(named, "", self.folder, self._environment(environment))

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("TASKGRAPH_")
        }
        return {
            **inherited,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "XDG_CACHE_HOME": str(self.folder / ".cache"),
            **more,
        }

    def json(self, *words: str | Path) -> Any:
        """Run a reading command and return what it wrote as JSON."""
        done = self(*words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)
