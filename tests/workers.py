"""Real workers for tests: processes of ``taskgraph worker start``, and tasks that tell.

What ran is one file, to which each body adds a line when it begins and when it ends. A body that
finds that an earlier one of the same number has not ended, in a process that lives, says so.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

import taskgraph
from taskgraph.archive import Archive
from tests.forked import start_python

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120.0
_T = TypeVar("_T")

FLOW = '''
"""Tasks that say when they ran."""
import os
import signal
import time

from taskgraph import task

taskgraph_namespace = "flow"


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in {b"Z", b"X"}
    except FileNotFoundError:
        return False


def note(*words):
    file = os.open("ran.txt", os.O_APPEND | os.O_CREAT | os.O_RDWR)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)


def begin(n):
    begun = {}
    if os.path.exists("ran.txt"):
        for line in open("ran.txt").read().splitlines():
            what, number, pid = line.split()
            if number == str(n):
                begun[pid] = what == "begin"
    for pid, is_open in begun.items():
        if is_open and lives(pid):
            note("overlap", n, pid)
    note("begin", n, os.getpid())


@task
def one(n: int, seconds: float = 0.0) -> int:
    """Take a while."""
    begin(n)
    time.sleep(seconds)
    note("end", n, os.getpid())
    return n


@task
def held(n: int) -> int:
    """Wait for a file of this number."""
    begin(n)
    while not os.path.exists(f"go{n}"):
        time.sleep(0.01)
    note("end", n, os.getpid())
    return n


@task
def dies(n: int, times: int = 99, code: int = -9) -> int:
    """Bring the process down, so many times; with a code it says that this is well."""
    begin(n)
    before = open("ran.txt").read().count(f"begin {n} ")
    if before <= times:
        os.kill(os.getpid(), signal.SIGKILL) if code < 0 else os._exit(code)
    note("end", n, os.getpid())
    return n


@task
def fails(n: int) -> int:
    raise ValueError(f"{n} is wrong")


@task
def leaves(n: int) -> None:
    """Leave the program, as if it were its own."""
    begin(n)
    raise (SystemExit, KeyboardInterrupt, GeneratorExit, Unsayable)[n](n)


class Unsayable(BaseException):
    def __str__(self) -> str:
        raise ValueError("it has no words")


@task
def twice(n: int) -> list[int]:
    return [one(n), one(n + 1)]
'''


def until(found: Callable[[], _T], what: str = "it") -> _T:
    """Return what something gives, once it gives anything; fails after a long time."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come")


class Project:
    """A folder with tasks, a database, and workers that are started in it.

    Args:
        folder: The folder.
        uri: The database.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self.uri = uri
        self._started: list[subprocess.Popen[str]] = []
        Path(folder, ".taskgraph").mkdir()
        Path(folder, ".taskgraph/config.toml").write_text(
            f"[backend]\ndb_uri = {json.dumps(uri)}\nautomigrate = true\n[workers]\npoll = 0.05\n"
        )
        Path(folder, "flow.py").write_text(textwrap.dedent(FLOW))
        self.archive: Archive = taskgraph.open(uri, migrate=True)

    def command(self, *words: str) -> list[str]:
        """Return a command line of this project."""
        config = str(self.folder / ".taskgraph")
        return [sys.executable, "-m", "taskgraph.cli.main", "-c", config, *words]

    @property
    def environment(self) -> dict[str, str]:
        """What processes of this project are given."""
        mine = {name: text for name, text in os.environ.items() if "TASKGRAPH_" not in name}
        return {**mine, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}

    def worker(self, *words: str, queues: str = "a", name: str = "w") -> subprocess.Popen[str]:
        """Start a worker; what it says goes to a file of its name."""
        line = self.command("worker", "start", "--pool", "p", "--queues", queues, "--name", name)
        with open(self.folder / f"{name}.log", "ab") as log:
            process = start_python(
                [*line[1:], *words],
                self.folder,
                self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def burst(self, *words: str, **how: str) -> str:
        """Have a worker take what waits, and return what it said."""
        code = self.worker("--burst", *words, **how).wait(SECONDS)
        said = self.log(how.get("name", "w"))
        assert code == 0, said
        return said

    def log(self, name: str = "w") -> str:
        """Return what a worker said."""
        return (self.folder / f"{name}.log").read_text()

    def submit(self, task: str, *queues: str, **parameters: Any) -> str:
        """Submit a task; returns the id of its execution."""
        script = {"script": "flow.py"}
        return self.archive.executions.create(
            f"flow.{task}", parameters, queues=queues or ("a",), options=script
        ).execution.id

    def state(self, execution_id: str) -> str:
        """Return the name of the state that an execution is in."""
        return self.archive.executions.get(execution_id).state.name

    def states(self, execution_id: str) -> list[str]:
        """Return the names of the states that an execution was in."""
        return [each.name for each in self.archive.executions.states(execution_id)]

    def said(self, execution_id: str) -> str:
        """Return what there is to say of the state that an execution is in."""
        return self.archive.executions.states(execution_id)[-1].message or ""

    def ran(self, what: str = "", n: int | None = None) -> list[tuple[str, int, int]]:
        """Return what bodies said: begin, end or overlap, a number and a process."""
        path = self.folder / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [(word, int(number), int(pid)) for word, number, pid in map(str.split, lines)]
        return [each for each in found if what in ("", each[0]) and n in (None, each[1])]

    def slot_of(self, n: int) -> int:
        """Return the process that began the body of a number last, once one has."""
        return until(lambda: self.ran("begin", n), f"the beginning of {n}")[-1][2]

    def go(self, n: int) -> None:
        """Have the body go on that is held."""
        (self.folder / f"go{n}").touch()

    def end(self) -> None:
        """End all that was started."""
        for each in self._started:
            if each.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGCONT)
                    os.kill(each.pid, signal.SIGKILL)
                each.wait()
        # Slots end with their supervisors.
        for pid in {pid for _, _, pid in self.ran()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            until(lambda pid=pid: not lives(pid), "the end of a slot")  # type: ignore[misc]
        self.archive.close()


def lives(pid: int) -> bool:
    """Tell whether a process is there."""
    from taskgraph_backend.holders import process_started

    return process_started(pid) is not None


@pytest.fixture
def served(tmp_path: Path, database_uri: str) -> Iterator[Project]:
    """A project on a database of each kind in turn."""
    made = Project(tmp_path, database_uri)
    yield made
    made.end()


@pytest.fixture
def served_small(tmp_path: Path) -> Iterator[Project]:
    """A project on SQLite: for what no database does otherwise."""
    made = Project(tmp_path, f"sqlite:///{tmp_path / 'taskgraph.db'}")
    yield made
    made.end()


__all__ = ["Project", "lives", "served", "served_small", "until"]
