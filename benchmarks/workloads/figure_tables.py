"""Makes tables of the medians of a run: for the terminal and for a page in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

# The ids are those that the goals are written with.
GRAPH_ROWS = [
    ("W1 fan-out, fresh", "fanout", "fresh"),
    ("W2 again, new process", "fanout", "again"),
    ("W2 again, same process", "fanout", "same process fresh"),
    ("W3 chain, fresh", "chain", "fresh"),
    ("W3 chain, again", "chain", "again"),
    ("W4 tree, fresh", "tree", "fresh"),
    ("W4 tree, again", "tree", "again"),
    ("W4 shallow root, fresh", "tree_shallow", "fresh"),
    ("grid of diamonds, fresh", "grid", "fresh"),
    ("grid of diamonds, again", "grid", "again"),
]
WHOLE_ROWS = [
    ("W1 whole process, fresh", "whole", "process fresh"),
    ("W2 whole process, again", "whole", "process again"),
    ("opening, new database", "fanout", "open fresh"),
    ("opening, existing one", "fanout", "open again"),
    ("W4 shallow root, again", "tree_shallow", "again"),
    ("the same with 64 x the calls", "tree_shallow_large", "again"),
]
# What is asked of paths, as it is called, and the goal in milliseconds.
PROVENANCE_GOALS = {
    "by path": 1,
    "upstream of one file": 5,
    "upstream of a report": 150,
    "downstream of a source": 150,
}
# What is asked of the files of a real run, and how many times as long others may take at least.
FLOW_GOALS = {"by path": 3, "upstream of one file": 10, "upstream of the report": 90}
ABSENT = "-"


@dataclass(frozen=True)
class Table:
    """A title, a head and rows of text."""

    title: str
    head: list[str]
    rows: list[list[str]]


def tables(report: dict[str, Any]) -> list[Table]:
    medians: dict[str, dict[str, float]] = report["medians"]
    found = [
        _compare("Microseconds a task (in brackets: times ours)", medians, GRAPH_ROWS, each=True),
        _compare("Milliseconds in all (in brackets: times ours)", medians, WHOLE_ROWS, each=False),
        _simple("Whole processes: milliseconds", medians, "start", 1e3, each=False),
        _simple("The census of a library: milliseconds", medians, "census", 1e3, each=False),
        _durable(medians),
        _hashing(medians),
        _lookup(medians),
        _fingerprint(medians),
        provenance(medians),
        _flow(medians),
        _simple("Files that have not changed: us a file", medians, "files", 1e6, each=True),
        _simple("PostgreSQL that is 1 ms away: us a task", medians, "far", 1e6, each=True),
        _flat(medians),
        _row(medians),
    ]
    return [table for table in found if table.rows]


def _simple(
    title: str, medians: dict[str, dict[str, float]], workload: str, scale: float, *, each: bool
) -> Table:
    """Return a table with a row for each measure of a workload."""
    tools = _tools(medians, workload)
    found = {_split(key)[1::2]: figures for key, figures in medians.items()
             if _split(key)[0] == workload}  # fmt: skip
    rows = []
    for measure in dict.fromkeys(measure for measure, _ in found):
        cells = []
        ours: float | None = None
        for tool in tools:
            figures = found.get((measure, tool))
            if figures is None:
                cells.append(ABSENT)
                continue
            value = figures["seconds"] * scale / (figures["count"] if each else 1)
            cells.append(f"{_against(value, ours)} {_range(figures, scale, each=each)}".strip())
            ours = value if tool == "taskgraph" else ours
        rows.append([measure, *cells])
    return Table(title, ["", *tools], rows)


def _range(figures: dict[str, float], scale: float, *, each: bool) -> str:
    if "most" not in figures:
        return ""
    share = scale / (figures["count"] if each else 1)
    return f"[{_number(figures['least'] * share)} to {_number(figures['most'] * share)}]"


def _durable(medians: dict[str, dict[str, float]]) -> Table:
    rows = []
    for shape in ("fanout", "chain"):
        for synchronous in ("normal", "full"):
            for measure in ("fresh", "again"):
                cells = []
                for tool in ("taskgraph", "floor"):
                    figures = medians.get(f"{shape} {synchronous}/{measure}/0/{tool}")
                    if figures is None:
                        cells.append(ABSENT)
                    else:
                        value = _number(figures["seconds"] / figures["count"] * 1e6)
                        cells.append(f"{value} {_range(figures, 1e6, each=True)}")
                if cells != [ABSENT, ABSENT]:
                    rows.append([f"{shape}, {measure}", synchronous.upper(), *cells])
    return Table(
        "How hard SQLite makes sure: us a task", ["", "synchronous", "taskgraph", "floor"], rows
    )


def _row(medians: dict[str, dict[str, float]]) -> Table:
    rows = [
        [tool, _number(figures["count"]), _number(figures["memory"]), f"{figures['objects']:.1f}"]
        for key, figures in medians.items()
        for workload, _, _, tool in [_split(key)]
        if workload == "row"
    ]
    head = ["", "workflows", "bytes that stay of each", "objects that stay of each"]
    return Table("Workflows in a row in one process", head, rows)


def _split(key: str) -> tuple[str, str, int, str]:
    workload, measure, count, tool = key.split("/", 3)
    return workload, measure, int(count), tool


def _tools(medians: dict[str, dict[str, float]], workload: str) -> list[str]:
    tools = {tool: None for wl, _, _, tool in map(_split, medians) if wl == workload}
    return sorted(tools, key=lambda tool: tool != "taskgraph")


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _against(value: float, ours: float | None) -> str:
    return _number(value) if ours is None else f"{_number(value)} ({_number(value / ours)})"


def _compare(
    title: str,
    medians: dict[str, dict[str, float]],
    wanted: list[tuple[str, str, str]],
    *,
    each: bool,
) -> Table:
    tools = _tools(medians, "fanout") or _tools(medians, "tree") or _tools(medians, "chain")
    rows = []
    for label, workload, measure in wanted:
        by_tool: dict[str, float] = {}
        for tool in tools:
            figures = medians.get(f"{workload}/{measure}/0/{tool}")
            if figures:
                seconds = figures["seconds"]
                by_tool[tool] = seconds / figures["count"] * 1e6 if each else seconds * 1e3
        ours = by_tool.get("taskgraph")
        cells = [
            ABSENT if tool not in by_tool
            else _against(by_tool[tool], None if tool == "taskgraph" else ours)
            for tool in tools
        ]  # fmt: skip
        if by_tool:
            rows.append([label, *cells])
    return Table(title, ["", *tools], rows)


def _hashing(medians: dict[str, dict[str, float]]) -> Table:
    tools = _tools(medians, "hashing")
    measures = {measure: None for wl, measure, _, _ in map(_split, medians) if wl == "hashing"}
    rows = []
    for measure in measures:
        by_tool = {
            tool: medians[f"hashing/{measure}/0/{tool}"]
            for tool in tools
            if f"hashing/{measure}/0/{tool}" in medians
        }
        ours = by_tool.get("taskgraph", {}).get("seconds")
        cells = []
        for tool in tools:
            figures = by_tool.get(tool)
            if figures is None:
                cells.append(ABSENT)
                continue
            seconds = figures["seconds"]
            text = _against(seconds * 1e6, None if tool == "taskgraph" else ours and ours * 1e6)
            if figures.get("bytes"):
                text += f", {figures['bytes'] / seconds / 1e9:.1f} GB/s"
            cells.append(text)
        rows.append([measure, *cells])
    title = "W5 hashing a value: microseconds (in brackets: times ours)"
    return Table(title, ["value", *tools], rows)


def _lookup(medians: dict[str, dict[str, float]]) -> Table:
    tools = _tools(medians, "lookup")
    measures = {measure: None for wl, measure, _, _ in map(_split, medians) if wl == "lookup"}
    rows = []
    for measure in measures:
        times: dict[str, float] = {}
        for tool in tools:
            figures = medians.get(f"lookup/{measure}/0/{tool}")
            if figures:
                times[tool] = figures["seconds"] / figures["count"] * 1e6
        ours = times.get("taskgraph")
        cells = [
            ABSENT if tool not in times
            else _against(times[tool], None if tool == "taskgraph" else ours)
            for tool in tools
        ]  # fmt: skip
        rows.append([measure, *cells])
    title = "W6 the archive by itself: microseconds a call (in brackets: times ours)"
    return Table(title, ["", *tools], rows)


def _fingerprint(medians: dict[str, dict[str, float]]) -> Table:
    rows = [
        [measure, str(round(figures["count"])), _number(figures["seconds"] * 1e3)]
        for key, figures in medians.items()
        for workload, measure, _, _ in [_split(key)]
        if workload == "fingerprint"
    ]
    title = "What counts of a task's code: milliseconds"
    return Table(title, ["", "functions", "taskgraph"], rows)


def _goal(goals: dict[str, int], measure: str) -> int | None:
    # The two ways to get the same answer have one goal.
    return next((goal for name, goal in goals.items() if measure.startswith(name)), None)


def provenance(medians: dict[str, dict[str, float]]) -> Table:
    rows = []
    for key, figures in medians.items():
        workload, measure, files, _ = _split(key)
        if workload == "provenance":
            goal = _goal(PROVENANCE_GOALS, measure)
            times = [_number(figures[name] * 1e3) for name in ("seconds", "least")]
            rows.append([measure, f"{files:,}", *times, ABSENT if goal is None else f"{goal}"])
    title = "W8 provenance by path: milliseconds"
    return Table(title, ["", "files", "median", "least", "goal"], rows)


def _flow(medians: dict[str, dict[str, float]]) -> Table:
    figures = {_split(key)[1::2]: each for key, each in medians.items() if key.startswith("flow/")}
    tools = _tools(medians, "flow")
    rows = []
    for measure in dict.fromkeys(measure for measure, _ in figures):
        # Others load rows, and are held against both of our ways.
        like = measure.replace("by hashes", "rows loaded")
        ours = figures.get((measure, "taskgraph"), {}).get("seconds")
        cells = []
        for tool in tools:
            found = figures.get((measure, tool)) or figures.get((like, tool))
            if found is None:
                cells.append(ABSENT)
                continue
            value = found["seconds"] * 1e3
            is_ours = tool == "taskgraph" or ours is None
            cells.append(_against(value, None if is_ours or ours is None else ours * 1e3))
        goal = _goal(FLOW_GOALS, measure)
        rows.append([measure, *cells, ABSENT if goal is None else f">= {goal}"])
    title = "W8 of the files of a run: milliseconds (in brackets: times ours)"
    return Table(title, ["", *tools, "goal, times ours"], rows)


def _flat(medians: dict[str, dict[str, float]]) -> Table:
    rows = []
    keys = sorted(
        (_split(key) for key in medians),
        key=lambda part: (part[3] != "taskgraph", part[3], part[0], part[2]),
    )
    for workload, measure, count, tool in keys:
        if not workload.startswith("flat ") or measure != "fresh":
            continue
        fresh = medians[f"{workload}/fresh/{count}/{tool}"]
        again = medians.get(f"{workload}/again/{count}/{tool}")
        rows.append(
            [
                tool,
                workload.removeprefix("flat "),
                f"{count:,}",
                _number(fresh["cpu"] / count * 1e6),
                ABSENT if again is None else _number(again["cpu"] / count * 1e6),
                _number(fresh["memory"] / count),
                ABSENT if again is None else _number(again["memory"] / count),
                ABSENT if "disk" not in fresh else _number(fresh["disk"] / count),
            ]
        )
    head = [
        "", "shape", "tasks", "CPU fresh, us", "CPU again, us", "memory fresh, bytes",
        "memory again, bytes", "database, bytes",
    ]  # fmt: skip
    return Table("W7 growth: for each task", head, rows)


def show(made: list[Table]) -> None:
    """Draw the tables on the terminal."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console()
    for table in made:
        drawn = RichTable(title=table.title, title_justify="left")
        for number, name in enumerate(table.head):
            drawn.add_column(name, justify="right" if number else "left", no_wrap=number == 0)
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
