"""The base of all errors."""

from __future__ import annotations


class TaskgraphError(Exception):
    """The base of all errors that taskgraph itself raises."""
