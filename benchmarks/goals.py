"""The goals of speed, as data: each is a ratio or a limit, judged by the figures of one run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "workloads"))

from figure_tables import Table

Medians = dict[str, dict[str, float]]
OURS = "taskgraph"


@dataclass(frozen=True)
class Goal:
    """What is promised, and how to find out.

    Attributes:
        area: The id of the workload.
        text: What is measured.
        limit: What it must be.
        is_least: Whether it must be this at least; else at most.
        measure: Gives the figure from medians; None if it was not measured.
        unit: Of the figure: "x" for a ratio.
    """

    area: str
    text: str
    limit: float
    is_least: bool
    measure: Callable[[Medians], float | None]
    unit: str = "x"

    @property
    def shown(self) -> str:
        """The goal as text."""
        return f"{'>=' if self.is_least else '<='} {_number(self.limit)} {self.unit}"


@dataclass(frozen=True)
class Judged:
    """A goal with what came of it; ``figure`` is None if nothing was measured."""

    goal: Goal
    figure: float | None

    @property
    def verdict(self) -> str:
        """Whether it is met; how far away it is if not."""
        if self.figure is None:
            return "not measured"
        limit = self.goal.limit
        if self.figure >= limit if self.goal.is_least else self.figure <= limit:
            return "met"
        far = limit / self.figure if self.goal.is_least else self.figure / limit
        return f"missed by {far:.2f} x"


def _each(medians: Medians, workload: str, measure: str, tool: str, count: int = 0) -> float | None:
    figures = medians.get(f"{workload}/{measure}/{count}/{tool}")
    return None if figures is None else figures["seconds"] / figures["count"]


def _times(workload: str, measure: str, tool: str) -> Callable[[Medians], float | None]:
    """How many times as long another tool takes."""

    def ratio(medians: Medians) -> float | None:
        ours = _each(medians, workload, measure, OURS)
        theirs = _each(medians, workload, measure, tool)
        return theirs / ours if ours and theirs else None

    return ratio


def _of(workload: str, measure: str, tool: str) -> Callable[[Medians], float | None]:
    """How many times as long we take."""
    times = _times(workload, measure, tool)

    def ratio(medians: Medians) -> float | None:
        found = times(medians)
        return 1 / found if found else None

    return ratio


def _ms(workload: str, measure: str, less: str = "") -> Callable[[Medians], float | None]:
    def milliseconds(medians: Medians) -> float | None:
        figures = medians.get(f"{workload}/{measure}/0/{OURS}")
        if figures is None:
            return None
        rest = medians[f"{workload}/{less}/0/{OURS}"]["seconds"] if less else 0.0
        return (figures["seconds"] - rest) * 1e3

    return milliseconds


def _speed(measure: str) -> Callable[[Medians], float | None]:
    """Gigabytes a second."""

    def speed(medians: Medians) -> float | None:
        figures = medians.get(f"hashing/{measure}/0/{OURS}")
        if figures is None or not figures.get("bytes"):
            return None
        return figures["bytes"] / figures["seconds"] / 1e9

    return speed


def _sizes(medians: Medians, shape: str, phase: str = "fresh") -> list[int]:
    keys = [key.split("/") for key in medians]
    wanted = [f"flat {shape}", phase]
    return sorted(int(key[2]) for key in keys if key[:2] == wanted and key[3] == OURS)


def _growth(shape: str, phase: str = "fresh") -> Callable[[Medians], float | None]:
    """Processor time a task of the largest workflow, by that of the smallest."""

    def ratio(medians: Medians) -> float | None:
        sizes = _sizes(medians, shape, phase)
        if len(sizes) < 2:
            return None
        least, most = (
            medians[f"flat {shape}/{phase}/{size}/{OURS}"]["cpu"] / size
            for size in (sizes[0], sizes[-1])
        )
        return most / least

    return ratio


def _a_task(shape: str, figure: str) -> Callable[[Medians], float | None]:
    """Bytes a task of the largest workflow."""

    def bytes_a_task(medians: Medians) -> float | None:
        sizes = _sizes(medians, shape)
        if not sizes:
            return None
        amount = medians[f"flat {shape}/fresh/{sizes[-1]}/{OURS}"].get(figure)
        return None if amount is None else amount / sizes[-1]

    return bytes_a_task


def _asked(measure: str, least_files: int = 0) -> Callable[[Medians], float | None]:
    """Milliseconds of a question by path, in the largest database."""

    def milliseconds(medians: Medians) -> float | None:
        found = [
            (int(key.split("/")[2]), figures["seconds"] * 1e3)
            for key, figures in medians.items()
            if key.startswith(f"provenance/{measure}") and int(key.split("/")[2]) >= least_files
        ]
        return max(found)[1] if found else None

    return milliseconds


def _flow(measure: str) -> Callable[[Medians], float | None]:
    """How many times as long redun takes for a question of a run's files."""

    def ratio(medians: Medians) -> float | None:
        def of(tool: str) -> float | None:
            found = [
                figures["seconds"]
                for key, figures in medians.items()
                if key.startswith(f"flow/{measure}") and key.endswith(f"/{tool}")
            ]
            return max(found) if found else None

        ours, theirs = of(OURS), of("redun")
        return theirs / ours if ours and theirs else None

    return ratio


def _far(medians: Medians) -> float | None:
    far = medians.get(f"far/PostgreSQL, 1 ms away, again/0/{OURS}")
    near = medians.get(f"far/SQLite, again/0/{OURS}")
    return far["seconds"] / near["seconds"] if far and near else None


def _row(figure: str) -> Callable[[Medians], float | None]:
    def stays(medians: Medians) -> float | None:
        found = medians.get(f"row/workflows in a row/0/{OURS}")
        return None if found is None else found[figure]

    return stays


def _files(medians: Medians) -> float | None:
    found = _each(medians, "files", "again", OURS)
    return None if found is None else found * 100_000


_PLAIN = "pickle + xxh3"
_REDUN, _FLOOR, _JOBLIB = "redun", "floor", "joblib"
_AGAIN, _SAME = "again", "same process fresh"
_BULK, _SINGLE = "lookup, in bulk", "lookup, one at a time"

GOALS = (
    Goal("W1", "fresh, beside redun", 200, True, _times("fanout", "fresh", _REDUN)),
    Goal("W1", "fresh, beside the floor", 2, False, _of("fanout", "fresh", _FLOOR)),
    Goal("W2", "new process, beside redun", 200, True, _times("fanout", _AGAIN, _REDUN)),
    Goal("W2", "new process, beside joblib", 3, True, _times("fanout", _AGAIN, _JOBLIB)),
    Goal("W2", "new process, beside the floor", 1.7, False, _of("fanout", _AGAIN, _FLOOR)),
    Goal("W2", "same process, beside redun", 250, True, _times("fanout", _SAME, _REDUN)),
    Goal("W2", "whole process, 2,000 tasks, beside redun", 20, True,
         lambda medians: _whole(medians, _REDUN)),
    Goal("W2", "whole process, 2,000 tasks", 400, False, _ms("whole", "process again"), "ms"),
    Goal("W3", "chain, fresh, beside redun", 200, True, _times("chain", "fresh", _REDUN)),
    Goal("W3", "chain, again, beside redun", 170, True, _times("chain", _AGAIN, _REDUN)),
    Goal("W4", "tree, fresh, beside redun", 170, True, _times("tree", "fresh", _REDUN)),
    Goal("W4", "tree, again, beside redun", 200, True, _times("tree", _AGAIN, _REDUN)),
    Goal("W4", "shallow root over 131,071 calls, again", 2, False,
         _ms("tree_shallow_large", _AGAIN), "ms"),
    Goal("W5", "an int, beside pickle and xxh3", 1, False, _of("hashing", "int", _PLAIN)),
    Goal("W5", "a short str, the same", 1, False, _of("hashing", "short str", _PLAIN)),
    Goal("W5", "a nested configuration", 3, False, _of("hashing", "nested config", _PLAIN)),
    Goal("W5", "a list of 100,000 ints", 3, False, _of("hashing", "list of ints", _PLAIN)),
    Goal("W5", "a dict of 10,000", 3, False, _of("hashing", "dict", _PLAIN)),
    Goal("W5", "a set of 10,000 str", 10, False, _of("hashing", "set of str", _PLAIN)),
    Goal("W5", "a numpy array", 25, True, _speed("numpy"), "GB/s"),
    Goal("W5", "a numpy array, beside joblib", 30, True, _times("hashing", "numpy", _JOBLIB)),
    Goal("W5", "bytes", 25, True, _speed("bytes"), "GB/s"),
    Goal("W5", "a warm file, beside mmap and xxh3", 2, False,
         _of("hashing", "file, read", _FLOOR)),
    Goal("W6", "SQLite, one at a time, beside sqlite3", 2, False,
         _of("lookup", _SINGLE, "sqlite3")),
    Goal("W6", "SQLite, in bulk, beside sqlite3", 2, False, _of("lookup", _BULK, "sqlite3")),
    Goal("W6", "PostgreSQL, one at a time, beside psycopg", 2, False,
         _of("lookup", f"PostgreSQL: {_SINGLE}", "psycopg")),
    Goal("W6", "PostgreSQL, in bulk, beside psycopg", 2, False,
         _of("lookup", f"PostgreSQL: {_BULK}", "psycopg")),
    *(
        Goal("W7", f"{shape}: CPU a task of the largest by that of the smallest, {phase}", 1.3,
             False, _growth(shape, phase))
        for shape in ("fanout", "chain", "tree", "grid")
        for phase in ("fresh", "again")
    ),
    *(
        Goal("W7", f"{shape}: {what} a task, the largest", limit, False,
             _a_task(shape, figure), "bytes")
        for shape in ("fanout", "chain", "tree", "grid")
        for what, figure, limit in (("memory", "memory", 1_500), ("database", "disk", 1_200))
    ),
    Goal("W7", "100 workflows in a row: objects that stay of each", 10, False,
         _row("objects"), "objects"),
    Goal("W8", "by path among 1,000,000 files", 1, False, _asked("by path", 1_000_000), "ms"),
    Goal("W8", "by path, beside redun", 3, True, _flow("by path")),
    Goal("W8", "upstream of one file, beside redun", 10, True, _flow("upstream of one file")),
    Goal("W8", "upstream of a report of 10,000 files", 150, False,
         _asked("upstream of a report"), "ms"),
    Goal("W8", "the same, beside redun", 90, True, _flow("upstream of the report")),
    Goal("start", "import taskgraph", 60, False, _ms("start", "import", "python"), "ms"),
    Goal("start", "taskgraph --help", 150, False, _ms("start", "help"), "ms"),
    Goal("start", "taskgraph run, all cached", 400, False, _ms("start", "cached run"), "ms"),
    Goal("files", "100,000 files checked", 1, False, _files, "s"),
    Goal("far", "10,000 cached tasks on PostgreSQL 1 ms away, beside SQLite", 2, False, _far),
)  # fmt: skip


def _whole(medians: Medians, tool: str) -> float | None:
    return _times("whole", "process again", tool)(medians)


def judged(report: dict[str, Any]) -> list[Judged]:
    """Return all goals with what a run says of them."""
    medians: Medians = report["medians"]
    return [Judged(goal, goal.measure(medians)) for goal in GOALS]


def table_of(found: list[Judged]) -> Table:
    """Return the goals as a table."""
    rows = [
        [
            each.goal.area,
            each.goal.text,
            each.goal.shown,
            "-" if each.figure is None else f"{_number(each.figure)} {each.goal.unit}",
            each.verdict,
        ]
        for each in found
    ]
    met = sum(each.verdict == "met" for each in found)
    measured = sum(each.figure is not None for each in found)
    title = f"Goals: {met} of {measured} measured are met"
    return Table(title, ["", "what", "goal", "measured", ""], rows)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
