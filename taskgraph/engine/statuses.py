"""How many calls of a run are where: counted by task, while it runs and when it has ended.

Those that have ended are counted by the recorder as they are written down. The others are looked
for when somebody asks: nothing is counted for them meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from taskgraph.engine import phases
from taskgraph.engine.jobs import Job
from taskgraph.records import JobId

#: What a job may be, in the order of its life.
STATUSES: Final = ("PENDING", "RUNNING", "FAILED", "CACHED", "DONE")

#: How many jobs of each task have which status.
Counts = dict[str, dict[str, int]]

#: Jobs of each task that have ended: how many failed, were cached, and ran.
Ended = Mapping[str, Sequence[int]]


def count_jobs(ended: Ended, roots: Iterable[Job], submitted: Collection[JobId]) -> Counts:
    """Count the jobs of a run; from any thread.

    Args:
        ended: Those that have ended.
        roots: Where the others hang together.
        submitted: Those whose bodies run.
    """
    counts: Counts = {}
    for name, numbers in list(ended.items()):
        for status, number in zip(STATUSES[2:], numbers, strict=True):
            _count(counts, name, status, number)
    for job in _open_jobs(roots):
        is_begun = job.phase is phases.REDUCING or job.id in submitted
        _count(counts, job.task.fullname, "RUNNING" if is_begun else "PENDING", 1)
    return counts


def _count(counts: Counts, name: str, status: str, number: int) -> None:
    of_task = counts.setdefault(name, dict.fromkeys(STATUSES, 0))
    of_task[status] += number


def _open_jobs(roots: Iterable[Job]) -> Iterator[Job]:
    """Yield the jobs that have not ended, each once."""
    seen: set[JobId] = set()
    stack = list(roots)
    while stack:
        job = stack.pop()
        if job.phase in phases.SETTLED or job.id in seen:
            continue
        seen.add(job.id)
        yield job
        # As they are now: the run goes on while another thread counts.
        stack += [each for each in list(job.nodes.values()) if isinstance(each, Job)]


def report_of(counts: Counts) -> list[str]:
    """Return counts as the lines of a table: all jobs, then those of each task by its name."""
    every = {each: sum(of_task[each] for of_task in counts.values()) for each in STATUSES}
    rows = [("TASK", [*STATUSES, "TOTAL"])]
    for name, found in [("ALL", every), *sorted(counts.items())]:
        numbers = [found[each] for each in STATUSES]
        rows.append((name, [str(each) for each in (*numbers, sum(numbers))]))
    width = max(len(name) for name, _ in rows)
    return [" ".join([name.ljust(width), *(f"{each:>7}" for each in row)]) for name, row in rows]


@contextmanager
def every(seconds: float | None, tell: Callable[[], None]) -> Iterator[None]:
    """Have something told at an interval, on a thread of its own; with None, nothing."""
    if seconds is None:
        yield
        return
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            tell()

    thread = threading.Thread(target=repeat, name="taskgraph job statuses", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
