"""How long what jobs printed is kept: folders of executions that are old enough are deleted."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from typing import Final

from taskgraph.outputs.place import SUFFIX

_DAY: Final = 24 * 3600
_STAMP: Final = ".swept"
_ID: Final = re.compile(r"[0-9a-f]{32}")


def sweep_if_due(root: str, days: int) -> threading.Thread | None:
    """Delete what is older than so many days, on a thread of its own and once a day at most."""
    stamp = os.path.join(root, _STAMP)
    try:
        if time.time() - os.stat(stamp).st_mtime < _DAY:
            return None
    except FileNotFoundError:
        if not os.path.isdir(root):
            return None
    except OSError:
        return None
    thread = threading.Thread(target=_sweep, args=(root, days, stamp), daemon=True)
    thread.start()
    return thread


def _sweep(root: str, days: int, stamp: str) -> None:
    # A folder that others may not write to is theirs to sweep.
    with suppress(OSError):
        with open(stamp, "w"):
            os.utime(stamp)
        for entry in os.scandir(root):
            if _ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _drop(entry.path, time.time() - days * _DAY)


def _drop(folder: str, border: float) -> None:
    """Delete the files of an execution, of which none was written to since; nothing else."""
    files = list(os.scandir(folder))
    if any(each.stat(follow_symlinks=False).st_mtime >= border for each in files):
        return
    for each in files:
        if each.name.endswith(SUFFIX) and each.is_file(follow_symlinks=False):
            os.unlink(each.path)
    os.rmdir(folder)
