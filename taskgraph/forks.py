"""Locks and signals of the program in processes that are made by `os.fork`.

Only the thread that forks lives on in the new process: a lock that another one held would be held
there for ever, and so would those of libraries that it was in the middle of. So each is taken
before a fork, and released after it on both sides.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from _thread import RLock

_PATIENCE = 30.0  # seconds to wait for locks of objects: a fork is late then, and not never
_TRY = 0.050  # seconds to wait for one while others are held

_of_program: list[RLock] = []
_of_objects: WeakSet[RLock] = WeakSet()
_forking = threading.RLock()
_taken: list[RLock] = []


def lock_of_program() -> RLock:
    """Return a new lock that no fork leaves locked.

    Locks are to be made in the order in which modules import each other, so that who holds one only
    wants such as were made before: they are taken in the opposite order, as everybody does.
    """
    lock = threading.RLock()
    _of_program.append(lock)
    return lock


def free_at_fork(lock: RLock) -> None:
    """Have a lock of an object be one that nobody else holds when this process is forked.

    Such is the lock of a connection: SQLite has locks of its own, for all connections of a process
    to a file, and who is in the middle of a statement may hold them. Who holds it may want locks of
    the program, and not the other way round.
    """
    _of_objects.add(lock)


def _take() -> None:
    _forking.acquire()
    _take_objects(list(_of_objects))
    for lock in reversed(_of_program):
        lock.acquire()
        _taken.append(lock)


def _take_objects(wanted: list[RLock]) -> None:
    # Nobody says in which order others take two of them: who does not get one lets go of all.
    deadline = time.monotonic() + _PATIENCE
    while (missing := _take_all(wanted)) is not None and time.monotonic() < deadline:
        wanted.remove(missing)
        wanted.insert(0, missing)


def _take_all(wanted: list[RLock]) -> RLock | None:
    """Take locks; returns the first that is not to be had, and then takes none."""
    for each in wanted:
        if not each.acquire(timeout=_TRY if _taken else _PATIENCE):
            _let_go()
            return each
        _taken.append(each)
    return None


def _let_go() -> None:
    while _taken:
        _taken.pop().release()


def _release() -> None:
    _let_go()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take, after_in_parent=_release, after_in_child=_release)


# Signals


def go_on_at(signals: Iterable[signal.Signals]) -> None:
    """Have this process go on at signals, and those that it forks do what it would have done.

    It is no way to ignore them, which programs that are started here would take over. In a process
    that is being forked Python forgets what has come before it is ready: such a signal waits there
    until somebody answers it.
    """
    numbers = frozenset(signals)
    before: dict[int, Any] = {each: signal.getsignal(each) for each in numbers}
    masks = threading.local()

    def go_on(number: int, frame: FrameType | None) -> None:
        """Do nothing."""

    def hold_back() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def let_through() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def begin() -> None:
        for number, answer in before.items():
            if signal.getsignal(number) is go_on:
                signal.signal(number, answer or signal.SIG_DFL)
        let_through()

    for each in numbers:
        signal.signal(each, go_on)
    os.register_at_fork(before=hold_back, after_in_parent=let_through, after_in_child=begin)
