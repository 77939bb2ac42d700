"""Workers that die while they send: the pool waits for the rest of a message that never comes.

All workers of a pool of `concurrent.futures` send their results through one pipe, one at a time,
and the pool reads a message to its end before it looks at anything else. From a worker that is
killed in the middle of one the rest never comes: the pool would wait for ever, and so would the
other workers, for their turn.

So pools are looked at from outside. One that has not noticed for a while that a worker was killed
has its other workers killed as well, and its own end for sending closed: then it reads the end of
the pipe, and knows that it is broken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import Any, Final

from taskgraph.forks import lock_of_program

EVERY = 0.5  # seconds between two looks
PATIENCE = 5.0  # seconds that a pool may take to notice; it may be reading a large result

_lock: Final = lock_of_program()
_watched: Final[dict[threading.Thread, _Watched]] = {}
_watcher: threading.Thread | None = None


class _Watched:
    """A pool, as far as it is looked at: nothing here keeps it from being let go of."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        # The pool itself forgets them as soon as it is shut down.
        self.processes: Mapping[Any, BaseProcess] = pool._processes
        self.results: SimpleQueue[Any] = pool._result_queue
        self.since: float | None = None

    def look(self) -> None:
        """See whether a worker was killed, and for how long that was not noticed."""
        processes = list(self.processes.values())
        if all(each.exitcode in {None, 0} for each in processes):
            self.since = None
        elif self.since is None:
            self.since = time.monotonic()
        elif time.monotonic() - self.since >= PATIENCE:
            for each in processes:
                each.kill()
            with suppress(OSError):
                self.results._writer.close()  # type: ignore[attr-defined]  # the pool sends nothing


def watch(pool: ProcessPoolExecutor) -> None:
    """Look after a pool that has work, until its manager has ended. A second call does nothing."""
    global _watcher  # noqa: PLW0603 - one program, one thread that watches
    manager: Any = pool._executor_manager_thread
    if manager is None or manager in _watched:
        return
    with _lock:
        _watched[manager] = _Watched(pool)
        if _watcher is None or not _watcher.is_alive():
            _watcher = threading.Thread(target=_watch, name="taskgraph-workers", daemon=True)
            _watcher.start()


def _watch() -> None:
    global _watcher  # noqa: PLW0603 - the same
    while True:
        time.sleep(EVERY)
        with _lock:
            for manager in [each for each in _watched if not each.is_alive()]:
                del _watched[manager]
            if not _watched:
                _watcher = None
                return
            watched = list(_watched.values())
        for each in watched:
            with suppress(Exception):  # a process object that was closed meanwhile, say
                each.look()
