"""The fingerprint of a function: what of its code counts, and all that it reaches.

A fingerprint is asked for when a function is first used in an execution, for helpers may be
defined after the decorator ran, and it is frozen for as long as that execution lasts.
"""

from __future__ import annotations

import inspect
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

from taskgraph.fingerprint.follow import TASK_ROLE, Follower
from taskgraph.fingerprint.guards import Guard
from taskgraph.fingerprint.parts import Fingerprint
from taskgraph.fingerprint.project import current_project
from taskgraph.fingerprint.sources import outline_of, remember_text
from taskgraph.fingerprint.state import States, Variable

_FIRST_LINE = re.compile(r"^[ \t]*(async[ \t]+)?def ", re.MULTILINE)
# Classes and functions that are made anew for each call must not fill the memory.
_MOST_PIECES = 200_000

_lock = threading.RLock()
_holders = 0
_states: States | None = None
_follower: Follower | None = None


@contextmanager
def frozen() -> Iterator[None]:
    """Have everything that was reached once be taken as it is until the end of this block."""
    freeze()
    try:
        yield
    finally:
        thaw()


def freeze() -> None:
    """Begin such a block; in a worker process it never ends."""
    global _states, _holders  # noqa: PLW0603 - one program, one state of it
    with _lock:
        _holders += 1
        if _states is None:
            _states = States()


def thaw() -> None:
    """End such a block; the last one to end forgets."""
    global _states, _follower, _holders  # noqa: PLW0603 - one program, one state of it
    with _lock:
        _holders -= 1
        if not _holders and _states is not None:
            _states.settle()
            _states = _follower = None


def _current() -> Follower:
    global _follower  # noqa: PLW0603 - as above
    if _states is None:
        return Follower(States())
    if _follower is None or len(_follower) > _MOST_PIECES:
        _follower = Follower(_states)
    return _follower


def fingerprint(func: Callable[..., Any], role: str = "") -> Fingerprint:
    """Return the fingerprint of a function, or of anything that can be called.

    Args:
        func: The function.
        role: ``task`` for that of a task, whose defaults count in its calls.
    """
    with _lock:
        return _current().fingerprint(func, role)


def code_hash(value: Any, role: str = "") -> str:
    """Return the hash of a function or class as a value, over all that it reaches."""
    with _lock:
        return _current().code_hash(value, role)


class _Known(NamedTuple):
    """A fingerprint, and what it rests on."""

    fingerprint: Fingerprint
    guard: Guard
    folders: tuple[str, ...]


class Code:
    """A function's source and fingerprint.

    Args:
        func: The function, or anything that can be called.
        source: Its source text, where it is given.
    """

    def __init__(self, func: Callable[..., Any], source: str | None = None) -> None:
        self._func = func
        self._given = source
        self._known: _Known | None = None
        if source is not None and isinstance(func, FunctionType):
            remember_text(func, source)

    @property
    def source(self) -> str:
        """The source text from the ``def`` on; "" where there is none to be trusted."""
        return self._given if self._given is not None else read_source(self._func)

    @property
    def fingerprint(self) -> Fingerprint:
        """What of the function counts, as the program is now."""
        return fingerprint(self._func, TASK_ROLE)

    @property
    def fingerprint_again(self) -> Fingerprint:
        """The same, for who asks before each call: quick as long as nothing has changed.

        As the program is at this moment: no run of this process makes it stand still.
        """
        folders = current_project().folders
        with _lock:
            known = self._known
            is_current = known is not None and known.folders == folders
            if known is not None and is_current and known.guard.holds(States()):
                return known.fingerprint
            follower = Follower(States(), is_watching=True)
            found = follower.fingerprint(self._func, TASK_ROLE)
            guard = follower.guard(self._func, TASK_ROLE)
            self._known = _Known(found, guard, folders)
            return found

    @property
    def variables(self) -> Sequence[Variable]:
        """The variables that the function reaches, as they were seen the last time."""
        return () if self._known is None else self._known.guard.variables


def read_source(func: Callable[..., Any]) -> str:
    """Return the source of a function from its ``def`` on; "" where it is not known for certain."""
    plain = inspect.unwrap(func)
    outline = outline_of(plain) if isinstance(plain, FunctionType) else None
    if outline is None:
        return ""
    match = _FIRST_LINE.search(outline.text)
    return outline.text[match.start() :] if match else outline.text


def _after_fork() -> None:
    """Let go of a lock that another thread may have held when this process was made."""
    global _lock  # noqa: PLW0603 - there is no other way to make it anew
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
