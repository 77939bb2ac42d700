"""Errors as values: the plain stored form of an exception that a task raised."""

from __future__ import annotations

from typing import Any

from taskgraph.values import codec
from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.preview import preview
from taskgraph.values.registry import register

#: The name of the type of failures, as it is stored.
ERROR_TYPE = "taskgraph.ErrorValue"

# An error is told by the start of its text; a message may hold a whole data set.
_MAX_TEXT = 10_000


class ErrorValue:
    """An exception as it is stored.

    Attributes:
        error: The exception itself if it can be stored and read again, else an ``Exception`` with
            its text.
        traceback: The frames that it came through, as plain data.
    """

    __slots__ = ("error", "traceback")

    def __init__(self, error: BaseException, traceback: Any = None) -> None:
        self.error = _storable(error)
        self.traceback = traceback

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ErrorValue):
            return NotImplemented
        return _identify(self) == _identify(other)

    def __hash__(self) -> int:
        return hash(_identify(self)[:3])

    def __repr__(self) -> str:
        return f"ErrorValue({preview(self.error)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_error, (self.error, self.traceback)


def restore_error(error: BaseException, traceback: Any) -> ErrorValue:
    """Make an error value again from what was stored."""
    value = ErrorValue.__new__(ErrorValue)
    value.error = error
    value.traceback = traceback
    return value


def _storable(error: BaseException) -> BaseException:
    try:
        copy = codec.loads(codec.dumps(error))
    except (Exception, SystemExit, KeyboardInterrupt):
        # Exceptions whose __init__ wants other arguments than those in `args` are written without
        # complaint and fail when they are read: found out here, while the text is still known.
        return Exception(_text(error))
    return error if type(copy) is type(error) else Exception(_text(error))


def _text(error: BaseException) -> str:
    try:
        return repr(error)[:_MAX_TEXT]
    except Exception:  # a stranger's __repr__ may raise anything
        return type(error).__qualname__


def _identify(value: ErrorValue) -> tuple[Any, ...]:
    # By text, not by state: what an exception holds (a connection, a frame) need not be hashable.
    return (*class_path(type(value.error)), preview(value.error, _MAX_TEXT), value.traceback)


class ErrorKind(ValueKind):
    """Stored exceptions: by class, text and frames."""

    name = ERROR_TYPE

    def shape(self, value: Any) -> Shape:
        """Return class and text, with the frames inside."""
        *state, traceback = _identify(value)
        return Shape("error", tuple(state), (traceback,), lambda _: ".traceback")

    def preview(self, value: Any) -> str:
        """Return the exception's own text."""
        return preview(value.error)


register(ErrorValue, ErrorKind())

__all__ = ["ErrorKind", "ErrorValue", "restore_error"]
