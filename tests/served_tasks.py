"""Tasks that servers of calls run in tests, in a module that is loaded quickly."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taskgraph import task
from taskgraph.scripting.groups import ProcessGroup

DEADLINE = 120.0


def until(ask: Callable[[], Any]) -> Any:
    """Wait until something is so; gives what was asked for."""
    end = time.monotonic() + DEADLINE
    while not (found := ask()):
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)
    return found


def note(path: str | Path, *words: object) -> None:
    """Add a line to a file that several processes write to."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{' '.join(map(str, words))}\n".encode())
    finally:
        os.close(file)


def lines_of(path: str | Path) -> list[list[str]]:
    """Return the words of each line of such a file."""
    file = Path(path)
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def is_running(pid: int) -> bool:
    """Tell whether a process is there that is not dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


taskgraph_namespace = "served"


@task(queue="gpu", executor="queues")
def small(path: str, n: int) -> int:
    note(path, n, os.getppid())
    return 2 * n


@task(queue="gpu", executor="queues")
def waits(path: str, n: int) -> int:
    note(path, "begins", n, os.getpid())
    until(Path(f"{path}.go").exists)
    note(path, "ends", n, os.getpid())
    return 2 * n


@task(queue="gpu", executor="queues")
def dies(path: str) -> None:
    note(path, "begins")
    os.kill(os.getpid(), signal.SIGKILL)


@task(queue="gpu", executor="queues")
def kills_its_server(path: str) -> None:
    note(path, "begins")
    os.kill(os.getppid(), signal.SIGKILL)
    until(lambda: False)


@task(queue="gpu", executor="queues")
def starts_a_program(path: str) -> int:
    program = subprocess.Popen(["sleep", "1000"])
    note(path, "begins", program.pid, os.getpid())
    until(Path(f"{path}.go").exists)
    program.kill()
    return program.wait()


@task(queue="gpu", executor="queues")
def runs_a_script(path: str) -> None:
    """It takes no notice of being asked to end; one that begins beside another says so."""
    left = [each for each in lines_of(path) if is_running(int(each[1]))]
    note(path, "overlaps", os.getpid()) if left else None
    said = f"""
        trap '' TERM
        echo begins $$ {os.getpid()} >> {path}
        while [ ! -e {path}.go ]; do sleep 0.05; done
    """
    with open(os.devnull, "wb") as out:
        ProcessGroup(["/bin/sh", "-c", said], "/", out, out).wait()


@task(queue="gpu", executor="queues")
def ends_a_fork() -> int | None:
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
    forked.start()
    forked.terminate()
    forked.join()
    return forked.exitcode


@task(queue="gpu", executor="queues")
def holds_the_interpreter(path: str) -> None:
    note(path, "begins", os.getpid())
    re.match("(a+)+b", "a" * 60)


@task(queue="gpu", executor="queues")
def sees_itself() -> tuple[list[int], bool]:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return sorted(int(each) for each in blocked), os.getsid(0) == os.getpid()
