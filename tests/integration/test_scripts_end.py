"""Scripts end with their run: at a second Ctrl-C, and when the run is killed; not at the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from taskgraph_backend.holders import process_started

ROOT = Path(__file__).resolve().parents[2]

FLOW = """
from taskgraph import script, task

taskgraph_namespace = "scripts"


@task
def main():
    return script('''
        #!/bin/sh
        sleep 1000 & echo $! > child
        echo $$ > own
        while [ ! -e go ]; do sleep 0.05; done
        kill %1 2>/dev/null || kill $!
        echo at the end
    ''')
"""


def wait_for(is_so: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(2_000):
        if is_so():
            return
        waiting.wait(0.03)
    raise AssertionError("it did not come to that")


def _is_alive(pid: int) -> bool:
    return process_started(pid) is not None


def pids(folder: Path) -> list[int]:
    return [int(path.read_text()) for name in ("own", "child") if (path := folder / name).exists()]


def start(folder: Path, executor: str) -> subprocess.Popen[str]:
    """Start a run, and wait until its script runs."""
    (folder / "flow.py").write_text(FLOW)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "taskgraph.cli.main", "run", "--executor", executor),
            *("flow.py", "main"),
        ],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: (folder / "own").exists() and (folder / "own").read_text().endswith("\n"))
    return process


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_at_a_second_ctrl_c_the_script_ends_with_the_run(executor: str, tmp_path: Path) -> None:
    process = start(tmp_path, executor)

    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        said += process.stderr.readline()
    assert all(map(_is_alive, pids(tmp_path)))
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode != 0
    wait_for(lambda: not any(map(_is_alive, pids(tmp_path))))


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_a_run_that_is_killed_leaves_no_script_behind(executor: str, tmp_path: Path) -> None:
    process = start(tmp_path, executor)

    process.kill()
    process.communicate(timeout=60)

    wait_for(lambda: not any(map(_is_alive, pids(tmp_path))))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_at_the_first_ctrl_c_the_script_goes_on_to_its_end(executor: str, tmp_path: Path) -> None:
    process = start(tmp_path, executor)
    own = (tmp_path / "own").read_text()

    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        said += process.stderr.readline()
    (tmp_path / "go").touch()
    process.communicate(timeout=60)
    again = subprocess.run(
        [sys.executable, "-m", "taskgraph.cli.main", "run", "flow.py", "main"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "at the end" in again.stdout
    assert (tmp_path / "own").read_text() == own  # it did not run again
