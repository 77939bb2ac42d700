"""Processes of the tortured programs, and what is random in these tests."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path
from typing import IO

import psutil

from tests.forked import start_python

ROOT = Path(__file__).parents[2]
TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
#: Other ones by TASKGRAPH_SEED=..., so that a failure can be had again.
SEED = int(os.environ.get("TASKGRAPH_SEED") or random.SystemRandom().randrange(10**6))


def chance(name: str) -> random.Random:
    """Return what is random in a test; its seed is shown where the test fails."""
    print(f"TASKGRAPH_SEED={SEED}")
    return random.Random(f"{name} {SEED}")


def start(
    module: str, *arguments: object, folder: Path, errors: bool | Path = True
) -> subprocess.Popen[str]:
    """Start a program of this folder in a session of its own; it does not outlive the test.

    Args:
        module: The program.
        arguments: What it is given.
        folder: Its home.
        errors: Whether what it says of errors is wanted, or the file that it goes to.
    """
    said: int | IO[str] = subprocess.PIPE if errors else subprocess.DEVNULL
    if isinstance(errors, Path):
        said = errors.open("w")
    process = start_python(
        ["-m", f"tests.torture.{module}", *map(str, arguments)],
        ROOT,
        {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
        },
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
    )
    if not isinstance(said, int):
        said.close()
    _started.append(process)
    return process


def kill(process: subprocess.Popen[str], wants_worker: bool) -> str:
    """Kill a scheduler with -9, or one of the workers below it; say what it was."""
    below = []
    if wants_worker:
        try:
            below = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return "nobody"
    if below:
        try:
            below[-1].send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return "nobody"
        return "worker"
    if process.poll() is not None:
        return "nobody"
    os.killpg(process.pid, signal.SIGKILL) if not wants_worker else process.kill()
    return "scheduler"


_started: list[subprocess.Popen[str]] = []


def end_all() -> None:
    """End what was started, and let go of it."""
    for each in _started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()
        for stream in (each.stdout, each.stderr):
            if stream is not None:
                stream.close()
    _started.clear()
