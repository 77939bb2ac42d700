"""Servers of calls for tests: on a thread here, or as a process that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskgraph.assembly.databases import open_database
from taskgraph.config import Settings, settings_of
from taskgraph.serving.calls import CallServer
from tests.forked import start_python
from tests.served_tasks import DEADLINE

ROOT = Path(__file__).resolve().parents[1]


def settings_for(uri: str) -> Settings:
    """Return settings that say where the database is, and nothing else."""
    return settings_of({"backend": {"db_uri": uri, "automigrate": True}})


@contextmanager
def serving(uri: str, *queues: str, slots: int = 2, **how: Any) -> Iterator[CallServer]:
    """Serve queues on a thread for as long as this lasts."""
    settings = settings_for(uri)
    backend = open_database(settings)
    server = CallServer(settings, backend, queues, slots=slots, **how)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        backend.close()


@contextmanager
def server_process(
    uri: str, *queues: str, slots: int = 2, lease_seconds: float = 30.0
) -> Iterator[subprocess.Popen[str]]:
    """Serve queues in a process of its own, which is drained when its input ends."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
    process = start_python(
        ["-m", "tests.queues", uri, ",".join(queues), str(slots), str(lease_seconds)],
        ROOT,
        {**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def _serve(uri: str, queues: str, slots: str, lease_seconds: str) -> None:
    seconds = float(lease_seconds)
    with serving(uri, *queues.split(","), slots=int(slots), lease_seconds=seconds) as server:
        print("ready", flush=True)
        sys.stdin.read()
        print("drained" if server.drain(DEADLINE) else "still busy", flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
