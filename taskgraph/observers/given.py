"""What users give as observers: functions, or objects with `notify`; none of them stops a run."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from taskgraph.errors import ObserverError
from taskgraph.events import Event
from taskgraph.ports import Observer


class CallbackObserver:
    """Calls a function with each event."""

    def __init__(self, function: Callable[[Event], object]) -> None:
        self._function = function

    def notify(self, event: Event) -> None:
        """Call the function."""
        self._function(event)

    def __repr__(self) -> str:
        return f"{getattr(self._function, '__module__', '?')}:{_name_of(self._function)}"


class GuardedObserver:
    """Tells an observer until it raises: that is warned of once, and it is told no more.

    Args:
        observer: The observer.
        logger: Where it is said.
    """

    def __init__(self, observer: Observer, logger: logging.Logger) -> None:
        self._notify: Callable[[Event], object] = observer.notify
        self._observer = observer
        self._logger = logger

    def notify(self, event: Event) -> None:
        """Tell the observer, if it is still told."""
        try:
            self._notify(event)
        except Exception as error:
            # It is no part of the run, which goes on as if it had never been there.
            self._notify = _tell_nobody
            name = f"{type(error).__name__}: {error}".removesuffix(".")
            self._logger.warning(
                "Observer %r raised %s. It is told nothing more.", self._observer, name
            )


def _tell_nobody(event: Event) -> None:
    """Stand for an observer that raised."""


def as_observer(given: Any) -> Observer:
    """Return what was given as an observer: that itself, or what calls a function.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(given, type):
        given = given()
    if callable(getattr(given, "notify", None)):
        observer: Observer = given
        return observer
    if not callable(given):
        raise TypeError(
            f"An observer is a function of an event, or has a method notify(event); {given!r} is "
            "neither."
        )
    return CallbackObserver(given)


def observer_named(name: str) -> Observer:
    """Return the observer that a setting names, as ``module:name``.

    Raises:
        ObserverError: There is none.
    """
    place = "observers.python"
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise ObserverError(place, f"expected module:name, not {name!r}")
    try:
        found: Any = importlib.import_module(module_name)
        for each in path.split("."):
            found = getattr(found, each)
        return as_observer(found)
    except Exception as error:
        # The module is the user's: whatever it raises when it is imported, or called.
        reason = f"{name!r} cannot be used ({type(error).__name__}: {error})"
        raise ObserverError(place, f"{reason}. Is it on the PYTHONPATH?") from error


def _name_of(function: Any) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
