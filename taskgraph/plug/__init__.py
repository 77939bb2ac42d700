"""Taskgraph inside of other tools: `key`, `lookup` and `record` are all that a plug-in needs."""

from __future__ import annotations

from taskgraph.plug.verbs import CallKey, CallRecord, Hit, Miss, key, lookup, record

__all__ = ["CallKey", "CallRecord", "Hit", "Miss", "key", "lookup", "record"]
