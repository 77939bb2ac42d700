"""When a failed call is tried again, and after how long."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

#: Says of an error whether the call is worth another try.
Predicate = Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True)
class ExponentialDelay:
    """Delays that grow by a factor, with chance in them so that many do not come back together.

    Attributes:
        first: Seconds before the first retry.
        factor: How much longer each delay is than the one before.
        most: No delay is longer than so many seconds.
        jitter: How much of a delay is left to chance: 0 for none, 1 for all of it.
    """

    first: float
    factor: float = 2.0
    most: float = 300.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        _check_seconds(self.first)
        _check_seconds(self.most)
        if not 1 <= self.factor < math.inf:
            raise ValueError(f"the factor must be 1 or more, not {self.factor!r}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"the jitter must be between 0 and 1, not {self.jitter!r}")

    def seconds(self, attempt: int) -> float:
        """Return how long to wait after so many attempts."""
        try:
            full = min(self.most, self.first * self.factor ** (attempt - 1))
        except OverflowError:
            full = self.most
        return full * (1 - self.jitter * random.random())


@dataclass(frozen=True, slots=True)
class ListedDelay:
    """Delays that are given one by one; the last one is that of all later retries."""

    listed: tuple[float, ...]

    def seconds(self, attempt: int) -> float:
        """Return how long to wait after so many attempts."""
        return self.listed[min(attempt, len(self.listed)) - 1]


Delay = ExponentialDelay | ListedDelay

#: Without a word on it, a call is tried again at once.
NO_DELAY = ListedDelay((0.0,))


def exponential(
    first: float, *, factor: float = 2.0, most: float = 300.0, jitter: float = 0.5
) -> ExponentialDelay:
    """Return delays between retries that grow: ``retry_delay=exponential(1)``.

    Args:
        first: Seconds before the first retry.
        factor: How much longer each delay is than the one before.
        most: No delay is longer than so many seconds.
        jitter: How much of a delay is left to chance: 0 for none, 1 for all of it.

    Raises:
        ValueError: One of these is out of its range.
    """
    return ExponentialDelay(first, factor, most, jitter)


def read_delay(value: Any) -> Delay:
    """Read the option ``retry_delay``: seconds, a timedelta, a list of them, or `exponential`.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, ExponentialDelay | ListedDelay):
        return value
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed:
        raise ValueError("must be a delay or a list of them, and this list is empty")
    return ListedDelay(tuple(_seconds_of(each) for each in listed))


def _seconds_of(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(
            f"must be seconds, a timedelta, a list of them, or exponential(...); not {value!r}"
        )
    _check_seconds(seconds)
    return float(seconds)


def _check_seconds(seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a delay must be 0 seconds or more, not {seconds!r}")


def read_retry_on(value: Any) -> tuple[type[BaseException], ...] | Predicate:
    """Read the option ``retry_on``: a class of errors, several, or a predicate of the error.

    Raises:
        ValueError: It is none of these.
    """
    classes = value if isinstance(value, list | tuple) else (value,)
    if classes and all(isinstance(e, type) and issubclass(e, BaseException) for e in classes):
        return tuple(classes)
    if callable(value) and not isinstance(value, type):
        predicate: Predicate = value
        return predicate
    raise ValueError(f"must be exceptions, or a function of the error, not {value!r}")


def is_worth_another_try(
    error: BaseException, retry_on: Sequence[type[BaseException]] | Predicate
) -> bool:
    """Tell whether a call that raised this is tried again.

    Raises:
        Exception: What a predicate raises.
    """
    if callable(retry_on):
        return bool(retry_on(error))
    return isinstance(error, tuple(retry_on))
