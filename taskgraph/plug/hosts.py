"""What tools that load the user's code make of `cached` there: they are asked before it decorates.

Loads nothing, for plug-ins come here at the start of their tool.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

#: Given a function, or what a tool made of one, and what `cached` does with functions. Returns
#: what stands in its place, or None if it is no affair of the tool's.
Host = Callable[[Any, Callable[[Any], Any]], Any]

_hosts: list[Host] = []


def add_host(host: Host) -> None:
    """Have a tool be asked, from now on."""
    _hosts.append(host)


def remove_host(host: Host) -> None:
    """Have a tool be asked no more; nothing happens if it was not."""
    if host in _hosts:
        _hosts.remove(host)


def hosted(function: Any, decorate: Callable[[Any], Any]) -> Any:
    """Return what the first tool whose affair it is makes of a function; None if it is nobody's."""
    answers = (host(function, decorate) for host in reversed(_hosts))
    return next((made for made in answers if made is not None), None)


def refused(function: Callable[..., Any], error: Callable[[str], Exception]) -> Callable[..., Any]:
    """Return what stands in the place of a function that cannot be cached: it raises when called.

    For hosts that would end altogether if `cached` raised where the function is defined.

    Args:
        function: The function, whose names and signature it has.
        error: Makes the error, given the function's full name.
    """

    @functools.wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        raise error(f"{function.__module__}.{function.__qualname__}")

    return refuse
