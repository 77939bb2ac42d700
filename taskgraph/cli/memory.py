"""How much memory this process and those that it started use, as far as this machine tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MOST: Final = 1_000  # processes that are looked at


def memory_used() -> int | None:
    """Return the bytes that this process and those below it have in memory; None if unknown."""
    if not os.path.isdir("/proc/self"):
        return _largest_ever()
    waiting, total, seen = [os.getpid()], 0, 0
    while waiting and seen < _MOST:
        pid = waiting.pop()
        seen += 1
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
            for task in os.listdir(f"/proc/{pid}/task"):
                children = Path(f"/proc/{pid}/task/{task}/children").read_text()
                waiting += map(int, children.split())
        except (OSError, ValueError):  # it has ended meanwhile
            continue
    return total


def _largest_ever() -> int | None:
    """Return the most that this process ever had, where there is no /proc; without workers."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
