"""Processes of the tortured programs, and what is random in these tests."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
#: Other ones by TASKGRAPH_SEED=..., so that a failure can be had again.
SEED = int(os.environ.get("TASKGRAPH_SEED") or random.SystemRandom().randrange(10**6))


def chance(name: str) -> random.Random:
    """Return what is random in a test; its seed is shown where the test fails."""
    print(f"TASKGRAPH_SEED={SEED}")
    return random.Random(f"{name} {SEED}")


def start(
    module: str, *arguments: object, folder: Path, errors: bool = True
) -> subprocess.Popen[str]:
    """Start a program of this folder in a session of its own; it does not outlive the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.torture.{module}", *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if errors else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    _started.append(process)
    return process


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
