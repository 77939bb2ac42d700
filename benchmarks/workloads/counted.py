"""What `instructions.py` counts: an import, fresh and cached calls, and shallow hits.

Between the parts stands a mark, a call of the C library that nothing else makes; callgrind begins
to count anew at each. Nothing in here depends on how fast the machine is: the clock that says when
rows are written ticks by itself, ids come from a seed, no garbage is collected.

    python benchmarks/workloads/counted.py /tmp/here
"""

from __future__ import annotations

import gc
import itertools
import os
import queue  # noqa: F401  # these three keep the real clock, for real waits
import random
import selectors  # noqa: F401
import sys
import threading  # noqa: F401
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "backend")]

#: The parts in their order; each is what comes after its mark.
PARTS = (
    "import", "rest 1", "fresh, few", "fresh, many", "rest 2", "cached, few", "cached, many",
    "rest 3", "shallow, few", "shallow, many",
)  # fmt: skip
FEW, MANY = 150, 450
FEW_SHALLOW, MANY_SHALLOW = 40, 120


def mark() -> None:
    """Let callgrind begin to count anew."""
    os.getpgid(0)


def main() -> None:
    """Do all parts in turn."""
    folder = Path(sys.argv[1])
    # A full collection costs as much as ten calls, and falls into one part or into another.
    gc.disable()
    ticks = itertools.count()
    time.monotonic = lambda: next(ticks) * 1e-7
    os.urandom = random.Random(1).randbytes
    # Loaded for its own reasons by much of the library, and not counted as ours.
    import typing  # noqa: F401

    mark()
    # What the front door names is loaded when it is asked for.
    from taskgraph import Scheduler, task

    mark()

    @task(namespace="counted", version="1")
    def inc(x: int) -> int:
        return x + 1

    @task(namespace="counted", version="1", check_valid="shallow")
    def whole(x: int) -> Any:
        return inc(x)

    uri = f"sqlite:///{folder / 'counted.db'}"

    def scheduler() -> Scheduler:
        made = Scheduler(backend=uri, executor="inline")
        made.run([inc(-1)])
        return made

    with scheduler() as fresh:
        fresh.run([inc(-2 - i) for i in range(50)])  # what is filled by the first calls
        mark()
        fresh.run([inc(i) for i in range(FEW)])
        mark()
        fresh.run([inc(10_000 + i) for i in range(MANY)])
        mark()
        fresh.run([whole(i) for i in range(MANY_SHALLOW)])
    with scheduler() as again:
        mark()
        again.run([inc(i) for i in range(FEW)])
        mark()
        again.run([inc(10_000 + i) for i in range(MANY)])
        mark()
    with scheduler() as again:
        again.run([whole(i) for i in range(20)])
        mark()
        again.run([whole(i) for i in range(FEW_SHALLOW)])
        mark()
        again.run([whole(i) for i in range(MANY_SHALLOW)])
        mark()


if __name__ == "__main__":
    main()
