"""Bodies whose time is over: nobody waits for them, and the scripts that they run are ended.

A body cannot be stopped within its process, which may run others. Where a process is there for one
call at a time, who started it ends it as soon as a body is left behind.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from taskgraph.errors import TaskTimeoutError
from taskgraph.ports import Call, Outcome, Raised
from taskgraph.scripting.groups import Scope
from taskgraph.worker import now

_left: Final[list[threading.Thread]] = []
_are_ended = False


def end_late_bodies() -> None:
    """Take note that this process is ended as soon as a body is left behind in it."""
    global _are_ended  # noqa: PLW0603 - of the whole process
    _are_ended = True


def is_left_behind() -> bool:
    """Tell whether a body still runs here that nobody waits for."""
    _left[:] = [each for each in _left if each.is_alive()]
    return bool(_left)


def run_in_time(call: Call, run: Callable[[Call], Outcome]) -> Outcome:
    """Run a call; one that takes too long is left behind, and the scripts that it runs are ended.

    Only messages that say so have a time: where processes can be killed, that is done instead.

    Args:
        call: The call.
        run: Runs it to its end.
    """
    if call.timeout is None:
        return run(call)
    outcomes: SimpleQueue[Outcome] = SimpleQueue()
    scripts = Scope()

    def live() -> None:
        scripts.enter()
        outcomes.put(run(call))

    started = now()
    # A body that wants to know where it runs (a client of the cluster, say) finds it as ever.
    around = contextvars.copy_context()
    thread = threading.Thread(target=around.run, args=(live,), daemon=True)
    thread.start()
    try:
        return outcomes.get(timeout=call.timeout)
    except Empty:
        scripts.end()
        if _are_ended:
            _left.append(thread)
        late = TaskTimeoutError(call.fullname, call.timeout, is_abandoned=not _are_ended)
        return Raised(call.job_id, late, (), started, now())


__all__ = ["end_late_bodies", "is_left_behind", "run_in_time"]
