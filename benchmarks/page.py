"""Writes docs/benchmarks.md and its charts from the figures of a run.

    python benchmarks/page.py                             results/latest.json into docs/
    python benchmarks/page.py --results OTHER --docs THERE

What stands between two marks of the page is written anew, and what people wrote around is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "workloads")]

import figure_tables as tables  # noqa: E402
from charts import bars, lines  # noqa: E402
from goals import judged, table_of  # noqa: E402

Medians = dict[str, dict[str, float]]
_BARS = {
    "W1 fan-out, fresh": ("fanout", "fresh"),
    "W2 again, new process": ("fanout", "again"),
    "W3 chain, fresh": ("chain", "fresh"),
    "W3 chain, again": ("chain", "again"),
    "W4 tree, fresh": ("tree", "fresh"),
    "W4 tree, again": ("tree", "again"),
}
_SHAPES = ("fanout", "chain", "tree", "grid")


def charts(medians: Medians) -> dict[str, tuple[str, str]]:
    """Return the charts that the figures give: text for who sees none, and the SVG, by name."""
    found: dict[str, tuple[str, str]] = {}
    groups = {}
    for title, (workload, measure) in _BARS.items():
        by_tool = {
            key.rsplit("/", 1)[1]: each["seconds"] / each["count"] * 1e6
            for key, each in medians.items()
            if key.startswith(f"{workload}/{measure}/0/")
        }
        # Those that keep the result of the root whole do not do the same.
        if by_tool:
            groups[title] = {tool: value for tool, value in by_tool.items() if value > 1}
    if groups:
        drawn = bars("Microseconds a task", groups, "us", "taskgraph")
        found["tasks"] = ("Microseconds a task of each tool, by workload", drawn)
    for figure, scale, unit in (("cpu", 1e6, "us"), ("memory", 1, "bytes"), ("disk", 1, "bytes")):
        series = {}
        for shape in _SHAPES:
            points = sorted(
                (int(key.split("/")[2]), each[figure] / each["count"] * scale)
                for key, each in medians.items()
                if key.startswith(f"flat {shape}/fresh/") and key.endswith("/taskgraph")
                and figure in each
            )  # fmt: skip
            if len(points) > 1:
                series[shape] = points
        if series:
            names = {"cpu": "Processor time", "memory": "Memory", "disk": "Database"}
            title = f"{names[figure]} a task, by the number of tasks"
            found[f"growth-{figure}"] = (title, lines(title, series, unit))
    return found


def head(report: dict[str, Any]) -> str:
    """Return when, where and of what the figures are."""
    named = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    clock = {"cpu": "processor time", "wall": "time on the clock"}[report["clock"]]
    sizes, slow = report["sizes"], report["slow_sizes"]
    note = f"{report['note']}\n\n" if "note" in report else ""
    all_do = (
        f"All do the same: {sizes['tasks']:,} tasks, chains of {sizes['chain']}, trees of depth"
        f" {sizes['depth']}."
    )
    few_do = (
        f"redun, mandala and Hamilton, which take milliseconds a task, have {slow['tasks']} tasks,"
        f" chains of {slow['chain']} and trees of depth {slow['depth']}; the others"
        f" {sizes['tasks']:,}, {sizes['chain']} and {sizes['depth']}."
    )
    return (
        f"{note}Measured on {report['when']}, commit {report['commit']}: {report['machine']};"
        f" {named}.\n"
        f"Rounds: {report['rounds']}; medians, {clock}; the load of the machine was"
        f" {report['load'][0]} when it began and {report['load'][1]} when it ended.\n"
        f"{all_do if slow == sizes else few_do}"
    )


def page(report: dict[str, Any], folder: str, drawn: dict[str, tuple[str, str]]) -> str:
    """Return what stands between the marks."""
    made = [table_of(judged(report)), *tables.tables(report)]
    goals, *others = (_markdown(table) for table in made)
    pictures = [f"![{text}]({folder}/{name}.svg)" for name, (text, _) in drawn.items()]
    return "\n\n".join([head(report), "## Goals", goals, "## Figures", *pictures, *others])


def _markdown(table: tables.Table) -> str:
    rows = ["| " + " | ".join(row) + " |" for row in table.rows]
    rule = "|" + "|".join(["---"] + ["---:"] * (len(table.head) - 1)) + "|"
    return "\n".join([f"**{table.title}**", "", "| " + " | ".join(table.head) + " |", rule, *rows])


def write(report: dict[str, Any], docs: Path) -> Path:
    """Write the charts and what stands between the marks of the page; returns the page."""
    drawn = charts(report["medians"])
    pictures = docs / "benchmarks"
    pictures.mkdir(exist_ok=True)
    for name, (_, svg) in drawn.items():
        (pictures / f"{name}.svg").write_text(svg, encoding="utf-8")
    target = docs / "benchmarks.md"
    text = target.read_text(encoding="utf-8")
    before, _, rest = text.partition(tables.BEGIN)
    after = rest.partition(tables.END)[2]
    middle = page(report, pictures.name, drawn)
    target.write_text(
        f"{before}{tables.BEGIN}\n\n{middle}\n\n{tables.END}{after}", encoding="utf-8"
    )
    return target


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results" / "latest.json")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs")
    options = parser.parse_args(arguments)
    print(write(json.loads(options.results.read_text()), options.docs))


if __name__ == "__main__":
    main()
