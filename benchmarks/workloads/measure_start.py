"""Measures how long whole processes take that do next to nothing: import, help, a cached run.

    python benchmarks/workloads/measure_start.py taskgraph --folder /tmp/here

What Python itself takes is measured beside them. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

OURS = """
from taskgraph import task

taskgraph_namespace = "start"


@task
def double(x: int) -> int:
    return 2 * x


@task
def main(n: int = 10) -> list[int]:
    return [double(i) for i in range(n)]
"""
REDUN = (
    OURS.replace("from taskgraph", "from redun")
    .replace("taskgraph_namespace", "redun_namespace")
    .replace("@task", "@task()")
)
MODULES = {"taskgraph": "taskgraph.cli.main", "redun": "redun.cli"}


def commands(tool: str) -> dict[str, list[str]]:
    """Return what is run, by the name of the measure."""
    python = sys.executable
    start = f"import sys; from {MODULES[tool]} import main; sys.argv[0] = '{tool}'; main()"
    if tool == "redun":
        start = (
            "import sys; from redun.cli import RedunClient; sys.argv[0] = 'redun';"
            " RedunClient().execute()"
        )
    return {
        "python": [python, "-c", "pass"],
        "import": [python, "-c", f"import {tool}"],
        "help": [python, "-c", start, "--help"],
        "cached run": [python, "-c", start, "run", "flow.py", "main"],
    }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run each command and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=["ours", "redun"])
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    tool = "taskgraph" if options.tool == "ours" else "redun"
    (options.folder / "flow.py").write_text(OURS if tool == "taskgraph" else REDUN)
    # Compiled modules are kept, as of an installed package.
    environment = {key: each for key, each in os.environ.items() if "BYTECODE" not in key}
    environment["PYTHONPYCACHEPREFIX"] = str(options.folder / "compiled")
    for measure, command in commands(tool).items():
        times = []
        for attempt in range(2):  # the first one compiles, and fills the cache of the run
            before = _cpu_of_children()
            started = time.perf_counter()
            done = subprocess.run(
                [*command], cwd=options.folder, env=environment, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            seconds = time.perf_counter() - started
            cpu = _cpu_of_children() - before
            if done.returncode:
                raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
            if attempt:
                times.append((seconds, cpu))
        seconds = min(each for each, _ in times)
        line = {"tool": tool, "workload": "start", "measure": measure, "count": 1}
        print(json.dumps({**line, "seconds": seconds, "cpu": min(each for _, each in times)}))


if __name__ == "__main__":
    main()
