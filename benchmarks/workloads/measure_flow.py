"""Runs a workflow that makes files and a report of them, and asks where they came from.

    python benchmarks/workloads/measure_flow.py redun_provenance --folder /tmp/here --files 10000

A contestant is a module beside this one. The workflow has one task for each file, all made from
one source; `main` asks for each of them, and for the report. It is not run again where the folder
has its report. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

PATHS = 200
# Whatever takes so many seconds is not asked again: a median would say no more.
LONG = 20.0


def say(tool: str, **measurement: object) -> None:
    print(json.dumps({"tool": tool, "workload": "flow", **measurement}), flush=True)


def samples_of(
    contestant: Any, begin: Callable[[Any], Callable[[], Any]], asked: list[Any]
) -> tuple[list[float], Any]:
    """Return what each question but the first took, and the last answer.

    With the first one statements are compiled. What each begins with is not counted.
    """
    taken: list[float] = []
    found = None
    gc.collect()
    gc.freeze()  # modules are not looked through before each question
    for each in asked:
        contestant.forget()
        work = begin(each)
        gc.collect()
        started = time.perf_counter()
        found = work()
        taken.append(time.perf_counter() - started)
        if taken[-1] > LONG:
            break
    gc.unfreeze()
    return taken[1:] or taken, found


def tell(tool: str, measure: str, files: int, taken: list[float]) -> None:
    figures = {"times": len(taken), "seconds": median(taken), "least": min(taken)}
    say(tool, measure=measure, count=files, **figures)


def ask(contestant: Any, files: int, rounds: int) -> None:
    chance = random.Random(1)
    paths = [f"out/{chance.randrange(files)}.txt" for _ in range(PATHS + 1)]
    taken, found = samples_of(contestant, lambda path: partial(contestant.by_path, path), paths)
    require(found[0].path == paths[-1] and found[2] == "result", f"{paths[-1]}: {found}")
    tell(contestant.name, "by path", files, taken)
    questions = [
        ("upstream of one file", contestant.upstream, paths[: 4 * rounds + 1], 1),
        ("upstream of the report", contestant.upstream, ["report.txt"] * (rounds + 1), files),
        ("downstream of the source", contestant.downstream, ["source.txt"] * (rounds + 1), files),
    ]
    for measure, ways, asked, least_calls in questions:
        for way in ways(asked[0]):

            def begin(path: str, ways: Any = ways, way: str = way) -> Callable[[], Any]:
                work = ways(path)[way]
                return lambda: list(work())

            taken, found = samples_of(contestant, begin, asked)
            calls = contestant.calls(found)
            require(calls >= least_calls, f"{measure}, {way}: only {calls} calls")
            tell(contestant.name, f"{measure}, {way}", files, taken)


def require(holds: bool, message: str) -> None:
    if not holds:
        raise SystemExit(f"wrong result: {message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", help="a module beside this one, such as redun_provenance")
    parser.add_argument("--folder", type=Path, required=True, help="where files and records lie")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    (options.folder / "out").mkdir(parents=True, exist_ok=True)
    os.chdir(options.folder)
    kind = importlib.import_module(options.contestant).Contestant
    contestant = kind(Path())
    if not Path("report.txt").exists():
        Path("source.txt").write_text("source\n")
        started = time.perf_counter()
        contestant.make_files(options.files)
        seconds = time.perf_counter() - started
        say(kind.name, measure="run", count=options.files, seconds=seconds)
    ask(contestant, options.files, options.rounds)
    contestant.close()


if __name__ == "__main__":
    main()
