"""Calls a function of the user's with a notification: here, in a thread that nobody waits for long.

A function cannot be ended: one that takes too long goes on, and ends with the process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from taskgraph.catalog.policy_rows import Answer, Notification
from taskgraph.catalog.targets import Callback
from taskgraph.notifying.limited import within
from taskgraph.notifying.secrets import cleaned

_LAST: Final = 600


def call(target: Callback, told: Notification, seconds: float) -> Answer:
    """Call a function; what it returns is nothing to anybody.

    Args:
        target: The function.
        told: What it is called with.
        seconds: How long it is waited for.
    """
    answer = within(seconds, lambda: _call(target, told))
    return answer or Answer(f"{target.function} took longer than {seconds:g} s", is_late=True)


def _call(target: Callback, told: Notification) -> Answer:
    # On a thread of its own, where no Ctrl-C comes: whatever code of the user's raises, the others
    # are sent. A module that is a script as well raises SystemExit.
    try:
        function = find_function(target.function)
    except BaseException as error:
        return Answer(f"{target.function} cannot be called here: {_named(error)}")
    try:
        function(told)
    except BaseException as error:
        return Answer(f"{target.function} raised {_named(error)}")
    return Answer()


def find_function(name: str) -> Callable[[Notification], object]:
    """Return the function of ``module:function``.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such name.
        TypeError: It cannot be called.
    """
    module, _, path = name.partition(":")
    found: Any = reduce(getattr, path.split("."), importlib.import_module(module))
    if not callable(found):
        raise TypeError(f"{path} is a {type(found).__name__}, and no function")
    return found  # type: ignore[no-any-return]  # what it is called with is for it to know


def _named(error: BaseException) -> str:
    return cleaned(f"{type(error).__name__}: {error}")[:_LAST]


__all__ = ["call", "find_function"]
