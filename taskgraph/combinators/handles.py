"""Branches of a handle become one."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.tasks.decorator import task
from taskgraph.values.handles import SomeHandle, merged


@task(namespace="taskgraph", version="1", executor="inline")
def merge_handles(handles: Sequence[SomeHandle]) -> SomeHandle:
    """Give one handle for several branches of it: what comes of it is invalid if one of them is.

    Args:
        handles: The branches, which may be lazy calls.

    Raises:
        HandleError: There are none, or they do not stand for one service.
    """
    return merged(handles)
