"""No lock is held in a new process by a thread that is not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskgraph.forks import free_at_fork, lock_of_program
from taskgraph_backend import SqlBackend

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

FORKS = 30


@contextmanager
def beside(*works: Callable[[], object]) -> Iterator[None]:
    """Have each done again and again, by a thread of its own."""
    is_over = threading.Event()

    def do(work: Callable[[], object]) -> None:
        while not is_over.is_set():
            work()

    threads = [threading.Thread(target=do, args=(each,)) for each in works]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        is_over.set()
        for each in threads:
            each.join()


def codes_of(check: Callable[[], bool]) -> list[int]:
    """Return the exit codes of forked processes that check something: 0 if it holds there."""
    codes = []
    for _ in range(FORKS):
        child = os.fork()
        if not child:
            os._exit(0 if check() else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return codes


def is_free(lock: threading._RLock) -> bool:
    return lock.acquire(blocking=False)


def hold(*locks: threading._RLock) -> None:
    with locks[0]:
        if locks[1:]:
            hold(*locks[1:])
        else:
            threading.Event().wait(0.002)


@pytest.mark.parametrize("make", ["of the program", "of an object"])
def test_a_lock_that_others_hold_most_of_the_time_is_free_in_a_new_process(make: str) -> None:
    if make == "of the program":
        lock = lock_of_program()
    else:
        lock = threading.RLock()
        free_at_fork(lock)

    with beside(*[lambda: hold(lock)] * 3):
        codes = codes_of(lambda: is_free(lock))

    assert codes == [0] * FORKS


def test_locks_that_others_take_in_any_order_are_free_and_nobody_waits_for_ever() -> None:
    first, second, third = locks = [threading.RLock() for _ in range(3)]
    for each in locks:
        free_at_fork(each)

    with beside(lambda: hold(first, second), lambda: hold(second, third)):
        codes = codes_of(lambda: all(map(is_free, locks)))

    assert codes == [0] * FORKS
    assert all(map(is_free, locks))


def test_two_threads_fork_at_once() -> None:
    lock = threading.RLock()
    free_at_fork(lock)
    found: list[int] = []

    def fork() -> None:
        found.extend(codes_of(lambda: is_free(lock)))

    threads = [threading.Thread(target=fork) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert found == [0] * 2 * FORKS
    assert is_free(lock)


def test_a_lock_whose_object_is_gone_is_forgotten() -> None:
    from taskgraph import forks

    before = len(forks._of_objects)
    free_at_fork(threading.RLock())

    assert len(forks._of_objects) == before


def test_a_database_is_between_two_statements_when_a_process_is_forked(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    with SqlBackend(uri) as backend:
        other = backend.clone()

        def opens() -> bool:
            if not (is_free(backend._lock) and is_free(other._lock)):
                return False
            with SqlBackend(uri) as own:
                return own.clock() > 0

        with beside(backend.version, other.clock, lambda: other.find_leases(["a"])):
            codes = codes_of(opens)
        other.close()

    assert codes == [0] * FORKS


# Signals

DEAF = """
import json, os, signal, subprocess, sys, threading, time
from taskgraph.forks import go_on_at

go_on_at({signal.SIGTERM, signal.SIGINT})
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
    os.kill(os.getpid(), number)
time.sleep(0.05)

def end_a_fork(number, is_to_wait=False):
    ready, done = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(done, b".")
            time.sleep(60)
        except KeyboardInterrupt:
            os._exit(3)
        os._exit(0)
    if is_to_wait:
        os.read(ready, 1)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

by_thread = []
thread = threading.Thread(target=lambda: by_thread.append(end_a_fork(signal.SIGTERM)))
thread.start()
thread.join()
line = [sys.executable, "-c", "import os, time; os.kill(os.getpid(), 15); time.sleep(60)"]
print(json.dumps({
    "forked": [end_a_fork(signal.SIGTERM) for _ in range(50)],
    "interrupted": end_a_fork(signal.SIGINT, is_to_wait=True),
    "by a thread": by_thread,
    "started": subprocess.run(line).returncode,
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
}))
"""


def test_a_process_goes_on_at_signals_and_what_it_forks_or_starts_does_not() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEAF], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {
        "forked": 50 * [-signal.SIGTERM],
        "interrupted": 3,
        "by a thread": [-signal.SIGTERM],
        "started": -signal.SIGTERM,
        "blocked": 0,
    }
