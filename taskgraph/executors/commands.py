"""Runs a whole command line of ours, on whatever machine this is."""

from __future__ import annotations

import os
import subprocess
import sys

from taskgraph.ports import Command


def run_command(command: Command) -> int:
    """Run a command to its end; returns its exit code."""
    process = begin_command(command)
    return process.wait()


def begin_command(command: Command) -> subprocess.Popen[bytes]:
    """Have a command begin, as a process that hears of no Ctrl-C and of no terminal that closes."""
    path = {"PYTHONPATH": command.python_path} if command.python_path else {}
    with open(command.log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "taskgraph", *command.words],
            cwd=command.folder,
            env={**os.environ, **path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
