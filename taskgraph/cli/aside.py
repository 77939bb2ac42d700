"""What others print while a command works goes to stderr: stdout has what the command says.

A script may print when it is loaded, a task when it runs, a function when it is called with a
notification, and so may what these start, and their C code. Only what `taskgraph run` writes to
stdout is what the script prints there, and its result.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def printed_aside() -> Iterator[TextIO]:
    """Have all that is printed go to stderr; gives the stream that was stdout, for the command.

    A function whose time is over goes on, and may print for as long as the process lives: then
    stdout is not given back.
    """
    stdout = sys.stdout
    with suppress(OSError, ValueError):
        stdout.flush()
    with _descriptor_aside(stdout) as ours:
        sys.stdout = sys.stderr
        try:
            yield ours
        finally:
            if not _is_anybody_left():
                sys.stdout = stdout


@contextmanager
def _descriptor_aside(stdout: TextIO) -> Iterator[TextIO]:
    try:
        place, aside = stdout.fileno(), sys.stderr.fileno()
        kept = os.dup(place)
    except (OSError, ValueError):
        yield stdout  # nothing lies below, as in a notebook
        return
    os.dup2(aside, place)
    ours = open(kept, "w", encoding=stdout.encoding, errors=stdout.errors)  # noqa: SIM115
    try:
        yield ours
    finally:
        with suppress(OSError, ValueError):
            stdout.flush()  # whoever has kept it has printed, too
        try:
            ours.flush()
        finally:
            if not _is_anybody_left():
                os.dup2(ours.fileno(), place)
            ours.close()


def _is_anybody_left() -> bool:
    """Tell whether something is still called with a notification, or sent."""
    from taskgraph.notifying.limited import THREAD

    return any(each.name == THREAD for each in threading.enumerate())


__all__ = ["printed_aside"]
