"""A repair that is killed is gone on with, and one beside writers takes nothing of theirs."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check, repair
from tests.forked import start_python

ROOT = Path(__file__).resolve().parents[2]
_CALLS = 600


@task(namespace="killed", version="1")
def text_of(n: int) -> str:
    return f"text {n}"


_REPAIR = """
import sys
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import repair

with SqlBackend(sys.argv[1]) as backend:
    repair(backend)
"""


def _damaged(folder: Path) -> str:
    with Scheduler(Settings(config_dir=folder), executor="inline") as scheduler:
        scheduler.run([text_of(n) for n in range(_CALLS)])
    path = folder / "taskgraph.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE value SET value = x'00' WHERE type = 'builtins.str'")
        connection.execute("UPDATE evaluation SET timestamp = timestamp + 1")
        connection.commit()
    return f"sqlite:///{path}"


def _aside(path: Path) -> int:
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM quarantine").fetchone()
    return int(count)


def _start(uri: str) -> subprocess.Popen[str]:
    path = f"{ROOT}{os.pathsep}{ROOT / 'backend'}"
    return start_python(["-c", _REPAIR, uri], ROOT, {**os.environ, "PYTHONPATH": path})


def test_a_repair_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    uri = _damaged(tmp_path)
    process = _start(uri)
    deadline = time.monotonic() + 60
    while not _aside(tmp_path / "taskgraph.db") and process.poll() is None:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()

    with SqlBackend(uri) as backend:
        _, left = repair(backend)

        assert left == []
        assert check(backend, deep=True) == []
    assert _aside(tmp_path / "taskgraph.db") >= 2 * _CALLS
    with Scheduler(Settings(config_dir=tmp_path), executor="inline") as scheduler:
        assert scheduler.run([text_of(n) for n in range(3)]) == ["text 0", "text 1", "text 2"]


def test_a_repair_beside_a_run_leaves_what_the_run_has_made(tmp_path: Path) -> None:
    uri = _damaged(tmp_path)
    process = _start(uri)

    with Scheduler(Settings(config_dir=tmp_path), executor="inline") as scheduler:
        found = scheduler.run([text_of(n) for n in range(_CALLS)])
    assert process.wait(120) == 0

    assert found == [f"text {n}" for n in range(_CALLS)]
    with SqlBackend(uri) as backend:
        repair(backend)
        assert check(backend, deep=True) == []
    with Scheduler(Settings(config_dir=tmp_path), executor="inline") as scheduler:
        assert scheduler.run([text_of(n) for n in range(_CALLS)]) == found
