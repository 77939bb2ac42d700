"""Measures `cached` beside joblib.Memory and diskcache: what a hit and a miss cost.

    python benchmarks/bench_cached.py             three rounds, everyone by turns
    python benchmarks/bench_cached.py --rounds 7

One process a measurement. A hit is a call that was made before in this process; a miss is a first
call of a function that does next to nothing, so that all of its time is overhead. taskgraph
commits every miss before it returns and writes down every hit; the others write down no hits.
diskcache is told to use the arguments as they are, and looks neither at code nor at files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve()
_TOOLS = ("taskgraph", "joblib", "diskcache")
_HITS = 3_000
_MISSES = 300


def helper(x: Any) -> Any:
    """Stand for the user's own code that a function reaches."""
    return x


def small(x: Any) -> Any:
    """Take a number."""
    return helper(x)


def listed(xs: Any, number: int = 0) -> Any:
    """Take a list of 300 numbers."""
    return helper(len(xs) + number)


def array(values: Any, number: int = 0) -> Any:
    """Take an array of 1 MB."""
    return helper(float(values[0]) + number)


def decorator(tool: str) -> Callable[[Any], Any]:
    """Return what makes a function remember, in the working directory."""
    if tool == "taskgraph":
        from taskgraph import cached

        return cached
    if tool == "joblib":
        import joblib

        return joblib.Memory("memory", verbose=0).cache  # type: ignore[no-any-return]
    import diskcache

    cache = diskcache.Cache("memory")
    return cache.memoize()  # type: ignore[no-any-return]


def measure(tool: str) -> dict[str, float]:
    """Return microseconds by workload, in this process and folder."""
    import numpy

    remember = decorator(tool)
    xs = [float(each) for each in range(300)]
    values = numpy.arange(125_000, dtype=float)
    workloads: dict[str, tuple[Any, Callable[[int], tuple[Any, ...]], int]] = {
        "a number": (remember(small), lambda number: (number,), 1),
        "a list of 300": (remember(listed), lambda number: (xs, number), 2),
    }
    if tool != "diskcache":  # whose keys are pickles: not for arrays of any size
        workloads["an array of 1 MB"] = (remember(array), lambda number: (values, number), 10)
    found: dict[str, float] = {}
    for name, (func, arguments, less) in workloads.items():
        func(*arguments(-1))
        started = time.perf_counter()
        for number in range(_MISSES // less):
            func(*arguments(number))
        found[f"miss, {name}"] = (time.perf_counter() - started) / (_MISSES // less) * 1e6
        again = arguments(-1)
        started = time.perf_counter()
        for _ in range(_HITS // less):
            func(*again)
        found[f"hit, {name}"] = (time.perf_counter() - started) / (_HITS // less) * 1e6
    return found


def in_new_process(tool: str, python: Path) -> dict[str, float]:
    """Return what `measure` gives in a new process and a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".taskgraph").mkdir()
        environment = {**os.environ}
        if tool != "taskgraph":
            environment.pop("PYTHONPATH", None)
        command = [str(python), str(_HERE), "--measure", tool]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, env=environment
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure by turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--measure", choices=_TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    sys.path.insert(0, str(_HERE.parent))
    from run import peers_python

    pythons = {tool: peers_python() for tool in _TOOLS} | {"taskgraph": Path(sys.executable)}
    rounds: dict[str, dict[str, list[float]]] = {}
    for _ in range(options.rounds):
        for tool in _TOOLS:
            for name, each in in_new_process(tool, pythons[tool]).items():
                rounds.setdefault(name, {}).setdefault(tool, []).append(each)
    for name, by_tool in sorted(rounds.items()):
        medians = {tool: statistics.median(found) for tool, found in by_tool.items()}
        if options.json:
            print(json.dumps({"workload": name, "microseconds": medians}))
            continue
        shown = [
            f"{tool} {median:7.1f} us ({median / medians['taskgraph']:.2f} x)"
            for tool, median in medians.items()
        ]
        print(f"{name:22}", "   ".join(shown))


if __name__ == "__main__":
    main()
