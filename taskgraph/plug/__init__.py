"""Taskgraph inside of other tools: `key`, `lookup` and `record` are all that a plug-in needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskgraph.plug.verbs import CallKey, CallRecord, Hit, Miss, key, lookup, record

__all__ = ["CallKey", "CallRecord", "Hit", "Miss", "key", "lookup", "record"]


def __getattr__(name: str) -> Any:  # any public name
    # Late: tools load plug-ins in here at their start, for all who have taskgraph installed.
    if name not in __all__:
        raise AttributeError(f"module 'taskgraph.plug' has no attribute {name!r}")
    from taskgraph.plug import verbs

    found = globals()[name] = getattr(verbs, name)
    return found
