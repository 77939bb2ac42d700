"""Locks of the whole program in processes that are made by `os.fork`.

Only the thread that forks lives on in the new process: a lock that another one held would be held
there for ever. So each is taken before a fork, and released after it on both sides.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _thread import RLock


def lock_of_program() -> RLock:
    """Return a new lock that no fork leaves locked.

    Locks are to be made in the order in which modules import each other, so that who holds one only
    wants such as were made before: they are taken in the opposite order, as everybody does.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
