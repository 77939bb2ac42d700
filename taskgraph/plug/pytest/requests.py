"""What of pytest's own a cached fixture may be given, and which of it counts in its key."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.errors import FixtureRequestError

_NEW_EACH_SESSION: Final = ("tmp_path", "tmpdir")


class BareRequest:
    """What a cached fixture without params sees of ``request``: nothing, for nothing counts."""

    def __getattr__(self, name: str) -> Any:
        raise FixtureRequestError(name)


@dataclass(frozen=True)
class KeptRequest(BareRequest):
    """What a cached fixture sees of ``request``: its ``param``, which counts like an argument."""

    param: Any


def as_counted(kwargs: Mapping[str, Any], left_out: Container[str]) -> dict[str, Any]:
    """Return the arguments of a fixture with nothing in ``request`` but what counts.

    Args:
        kwargs: The arguments.
        left_out: Those that do not count at all.
    """
    if "request" not in kwargs or "request" in left_out:
        return dict(kwargs)
    given = kwargs["request"]
    kept = KeptRequest(given.param) if hasattr(given, "param") else BareRequest()
    return {**kwargs, "request": kept}


def find_tool(kwargs: Mapping[str, Any], left_out: Container[str]) -> str | None:
    """Return the name of an argument that counts and is no value, but a part of this session."""
    return next(
        (name for name, value in kwargs.items() if name not in left_out and _is_tool(name, value)),
        None,
    )


def _is_tool(name: str, value: Any) -> bool:
    return name in _NEW_EACH_SESSION or type(value).__module__.partition(".")[0] == "_pytest"
