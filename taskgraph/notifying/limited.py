"""Waits for something for so long and no longer: what takes more goes on in a thread of its own.

Names of hosts, receivers that answer letter by letter and functions of users know no time limit.
The thread ends with the process, or when it is done; what comes of it then is nothing to anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from taskgraph.catalog.policy_rows import Answer

#: What the threads are called in which something may take longer than anybody waits.
THREAD: Final = "taskgraph-notify"


def within(
    seconds: float, work: Callable[[], Answer], end: Callable[[], object] = lambda: None
) -> Answer | None:
    """Return what comes of some work; None where it takes longer. What it raises is raised here.

    Args:
        seconds: How long it is waited for.
        work: It.
        end: Called where nobody waits any more, to have it end as soon as it can.
    """
    done: list[Answer | Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            # It is of the one who waits; of nobody, if he is gone.
            done.append(error)
        except BaseException as error:
            # No Ctrl-C comes here: libraries have kinds of their own, which are to end nobody else.
            done.append(Answer(f"{type(error).__name__} while it was sent"))

    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except BaseException:
        end()
        raise
    if not done:
        end()
        return None
    if isinstance(done[0], Exception):
        raise done[0]
    return done[0]


__all__ = ["THREAD", "within"]
