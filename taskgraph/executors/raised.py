"""Exceptions on their way between processes: as they are, as far as that can be."""

from __future__ import annotations

from typing import Any

from taskgraph.errors import RemoteTaskError
from taskgraph.values import codec
from taskgraph.worker import describe_error


class _Bare:
    """Stands for an exception that its own class cannot make again of its arguments."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        error = self._error
        return _made_again, (type(error), error.args, dict(vars(error)))


def _made_again(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """Make an exception again without its ``__init__``, which may want other arguments."""
    error = BaseException.__new__(cls)
    error.args = args
    vars(error).update(state)
    return error


def sent_error(error: BaseException) -> bytes:
    """Return an exception as it travels: of the same class, so that it can be caught by that.

    One that cannot be pickled, or not be made again from what was, is a `RemoteTaskError`.
    """
    for each in (error, _Bare(error)):
        try:
            sent = codec.dumps(each)
            if type(codec.loads(sent)) is type(error):
                return sent
        except BaseException:  # its class may raise anything
            continue
    return codec.dumps(RemoteTaskError(describe_error(error)))
