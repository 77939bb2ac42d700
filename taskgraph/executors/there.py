"""Workers that somebody else has started: made to see what the process that asks sees.

Such a worker outlives runs and may serve many projects, but one at a time: files and code are known
by settings of the whole process.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from taskgraph.errors import WorkerProjectError
from taskgraph.executors.border import run_batch
from taskgraph.fingerprint.project import Project, current_project, use_project
from taskgraph.values import codec
from taskgraph.values.places import FilePlaces, current_places, use_places

_INSTALLED = tuple({os.path.join(each, "lib") for each in (sys.prefix, sys.base_prefix)})


class Surroundings(NamedTuple):
    """What a worker elsewhere sees as the process that asks does.

    Attributes:
        path: Where it imports from.
        places: How files are known.
        project: Which code is followed.
    """

    path: tuple[str, ...]
    places: FilePlaces
    project: Project


def surroundings() -> bytes:
    """Return what workers elsewhere are to see, as it travels."""
    # What is installed is found by each Python for itself, which may be another one.
    own = [each for each in map(os.path.abspath, sys.path) if not each.startswith(_INSTALLED)]
    return codec.dumps(Surroundings(tuple(own), current_places(), current_project()))


_around = b""  # what is in force
_users = 0  # batches that run with it
_using = threading.Lock()


def run_there(around: bytes, messages: list[bytes]) -> bytes:
    """Run calls as `run_batch`, in a worker that was started by somebody else.

    Raises:
        WorkerProjectError: Calls of another project run in this very process.
    """
    with seeing(around):
        return run_batch(messages)


@contextmanager
def seeing(around: bytes) -> Iterator[None]:
    """Have this process see what the one sees that asks.

    Raises:
        WorkerProjectError: Calls of another project run in this very process.
    """
    _enter(around)
    try:
        yield
    finally:
        _leave()


def _enter(around: bytes) -> None:
    global _around, _users  # noqa: PLW0603 - one process, one project at a time
    with _using:
        if around != _around:
            if _users:
                raise WorkerProjectError("The call", f"{platform.node()} ({os.getpid()})")
            wanted: Surroundings = codec.loads(around)
            for folder in reversed(wanted.path):
                if folder not in sys.path:
                    sys.path.insert(0, folder)
            use_places(wanted.places)
            use_project(wanted.project)
            _around = around
        _users += 1


def _leave() -> None:
    global _users  # noqa: PLW0603 - as above
    with _using:
        _users -= 1
