"""The fingerprint of a function: what of its code counts, and all that it reaches.

A fingerprint is asked for when a function is first used in an execution, for helpers may be
defined after the decorator ran. Code stands still for as long as that execution lasts; what
variables hold is looked at again each time.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from types import FunctionType
from typing import Any

from taskgraph.fingerprint.follow import TASK_ROLE, Follower
from taskgraph.fingerprint.parts import Fingerprint
from taskgraph.fingerprint.project import current_project
from taskgraph.fingerprint.sources import outline_of, remember_text
from taskgraph.fingerprint.state import NO_CODES, Codes, Hold, States, Touch, is_disturbed
from taskgraph.forks import lock_of_program

_FIRST_LINE = re.compile(r"^[ \t]*(async[ \t]+)?def ", re.MULTILINE)
# Classes and functions that are made anew for each call must not fill the memory.
_MOST_PIECES = 200_000
_MOST_CALLERS = 8


class _Known:
    """What was found out about some code.

    Attributes:
        follower: Who found it out.
        codes: The pieces of code in it that may change variables.
        touches: The variables that they may change.
        token: What stands for it.

    Args:
        value: The code.
        role: Its role.
        follower: Who found it out.
        codes: As above.
        is_frozen: Whether the code stands still.
    """

    def __init__(
        self, value: Any, role: str, follower: Follower, codes: Codes, *, is_frozen: bool
    ) -> None:
        self.follower = follower
        self.codes = codes
        self.touches = follower.touches(value, role)
        self.token = object()
        self._what = (value, role)
        self._guard = follower.guard(value, role, is_frozen=is_frozen)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What counts of it."""
        return self.follower.fingerprint(*self._what)

    @property
    def is_fixed(self) -> bool:
        """Whether it hangs on no variable."""
        return self._guard.is_empty

    def holds(self) -> bool:
        """Tell whether it is still so."""
        return self._guard.holds(States(self.codes))


class _Execution:
    """What is known while code stands still.

    Attributes:
        known: By the identity of the code and its role; with the code, which keeps the identity.
    """

    def __init__(self) -> None:
        self.known: dict[tuple[int, str], tuple[Any, _Known]] = {}
        self._follower = Follower(States())

    def find(self, value: Any, role: str) -> _Known:
        """Return what is known of some code, as variables are now."""
        _, known = self.known.get((id(value), role), (None, None))
        if known is not None and known.holds():
            return known
        is_old = known is not None and known.follower is self._follower
        if is_old or len(self._follower) > _MOST_PIECES:
            self._follower = Follower(States())
        made = _follow(value, role, self._follower, is_frozen=True)
        if not made.holds():
            # What others have reached before was something else then.
            self._follower = Follower(States())
            made = _follow(value, role, self._follower, is_frozen=True)
        self.known[id(value), role] = (value, made)
        return made

    def end(self) -> None:
        """Let go of what was known."""
        self.known.clear()
        self._follower = Follower(States())


_lock = lock_of_program()
_holders = 0
_execution: _Execution | None = None


@contextmanager
def frozen() -> Iterator[None]:
    """Have code that was reached once be taken as it is until the end of this block."""
    freeze()
    try:
        yield
    finally:
        thaw()


def freeze() -> None:
    """Begin such a block."""
    global _execution, _holders  # noqa: PLW0603 - one program, one state of it
    with _lock:
        _holders += 1
        if _execution is None:
            _execution = _Execution()


def thaw() -> None:
    """End such a block; the last one to end forgets."""
    global _execution, _holders  # noqa: PLW0603 - one program, one state of it
    with _lock:
        _holders -= 1
        if not _holders and _execution is not None:
            _execution.end()
            _execution = None


_NOTHING_HELD = nullcontext()


def running(func: Callable[..., Any]) -> AbstractContextManager[object]:
    """Have what the body of a task changes in this block count for it as it was before."""
    execution = _execution
    found = execution.known.get((id(func), TASK_ROLE)) if execution is not None else None
    if found is None or not found[1].touches:
        return _NOTHING_HELD
    return Hold(found[1].touches)


def _follow(value: Any, role: str, follower: Follower, *, is_frozen: bool = False) -> _Known:
    """Find out about some code: first as everything is, and then as it counts for this code.

    Args:
        value: The code.
        role: Its role.
        follower: Who is to do it.
        is_frozen: Whether the code stands still.
    """
    while True:
        codes = follower.states.codes
        found = codes.union(each.code for each in follower.touches(value, role))
        if not is_disturbed(found - codes):
            return _Known(value, role, follower, found, is_frozen=is_frozen)
        follower = Follower(States(found), is_watching=not is_frozen)


def _find(value: Any, role: str) -> _Known:
    if _execution is not None:
        return _execution.find(value, role)
    return _follow(value, role, Follower(States()), is_frozen=True)


def fingerprint(func: Callable[..., Any], role: str = "") -> Fingerprint:
    """Return the fingerprint of a function, or of anything that can be called.

    Args:
        func: The function.
        role: ``task`` for that of a task, whose defaults count in its calls.
    """
    with _lock:
        return _find(func, role).fingerprint


def code_hash(value: Any, role: str = "") -> str:
    """Return the hash of a function or class as a value, over all that it reaches."""
    with _lock:
        return _find(value, role).follower.code_hash(value, role)


class Code:
    """A function's source and fingerprint.

    Args:
        func: The function, or anything that can be called.
        source: Its source text, where it is given.
    """

    def __init__(self, func: Callable[..., Any], source: str | None = None) -> None:
        self._func = func
        self._given = source
        self._known: dict[Codes, _Known] = {}
        self._folders: tuple[str, ...] = ()
        # The execution, and what stands for the fingerprint in it: where it hangs on no variable.
        self._fixed: tuple[_Execution, object] | None = None
        if source is not None and isinstance(func, FunctionType):
            remember_text(func, source)

    @property
    def source(self) -> str:
        """The source text from the ``def`` on; "" where there is none to be trusted."""
        return self._given if self._given is not None else read_source(self._func)

    @property
    def fingerprint(self) -> Fingerprint:
        """What of the function counts; in an execution, as it was when that first asked."""
        return fingerprint(self._func, TASK_ROLE)

    def token(self) -> object:
        """Return a token of the fingerprint in this execution: the same object for the same one.

        Returns:
            None if a variable holds something else now.
        """
        execution = _execution
        if execution is None:
            return self
        if self._fixed is not None and self._fixed[0] is execution:
            return self._fixed[1]
        with _lock:
            _, known = execution.known.get((id(self._func), TASK_ROLE), (None, None))
            if known is None or not known.holds():
                return None
            if known.is_fixed:
                self._fixed = (execution, known.token)
            return known.token

    @property
    def live_fingerprint(self) -> Fingerprint:
        """The same, for who asks before each call: quick as long as nothing has changed.

        As the program is at this moment: no run of this process makes it stand still.
        """
        return self.fingerprint_within(NO_CODES)

    def fingerprint_within(self, codes: Codes) -> Fingerprint:
        """Return the same, as it is for who calls the function and changes variables as well.

        Args:
            codes: The pieces of code whose changes are not to count.
        """
        folders = current_project().folders
        with _lock:
            if folders != self._folders or len(self._known) > _MOST_CALLERS:
                self._known.clear()
                self._folders = folders
            known = self._known.get(codes)
            if known is None or not known.holds():
                follower = Follower(States(codes), is_watching=True)
                known = _follow(self._func, TASK_ROLE, follower)
                self._known[codes] = known
            return known.fingerprint

    @property
    def touches(self) -> Sequence[Touch]:
        """The variables that the function may change, as they were seen the last time."""
        known = self._known.get(NO_CODES)
        return () if known is None else known.touches


def read_source(func: Callable[..., Any]) -> str:
    """Return the source of a function from its ``def`` on; "" where it is not known for certain."""
    plain = inspect.unwrap(func)
    outline = outline_of(plain) if isinstance(plain, FunctionType) else None
    if outline is None:
        return ""
    match = _FIRST_LINE.search(outline.text)
    return outline.text[match.start() :] if match else outline.text
