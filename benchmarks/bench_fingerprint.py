"""Measures the fingerprint of a task that reaches 500 functions in 20 modules.

    python benchmarks/bench_fingerprint.py          the first time, in a new process, and again
    python benchmarks/bench_fingerprint.py --json   the same as JSON lines, for run.py

"First" means that nothing is remembered on this machine; "new process" that the outlines of the
files are; "again" is what each further execution of a process pays.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_HERE = Path(__file__).resolve()
_REPEATS = 5


def write_project(folder: Path, modules: int, functions: int) -> None:
    """Write modules of functions that call each other, and a task that calls all of them."""
    chance = random.Random(1)
    for number in range(modules):
        later = range(number + 1, min(number + 4, modules))
        lines = ["import math", *(f"import mod{each}" for each in later), f"SCALE = {number}", ""]
        for index in range(functions):
            lines += [
                f"def f{index}(x, y=1, *, z=2):",
                f'    """Return the total of step {index}."""',
                "    # What it is made of.",
                "    total = x * SCALE + y",
            ]
            if index:
                lines.append(f"    total += f{chance.randrange(index)}(x - 1) if x > 0 else 0")
            lines += [
                f"    total += mod{each}.f{chance.randrange(functions)}(math.floor(x))"
                for each in later
                if chance.random() < 0.5
            ]
            lines += [
                "    for step in range(3):",
                "        values = [step * each for each in range(y) if each % 2]",
                "        total += sum(values) + len(str(total))",
                "    if total > 1000:",
                "        return {'a': total, 'b': [total, z]}",
                "    return total",
                "",
            ]
        (folder / f"mod{number}.py").write_text("\n".join(lines))
    names = ", ".join(f"mod{number}" for number in range(modules))
    calls = (f"mod{m}.f{f}(1)" for m in range(modules) for f in range(functions))
    task = ["from taskgraph import task", f"import {names}", "", "", "@task", "def main():"]
    task.append(f"    return {' + '.join(calls)}")
    (folder / "big_flow.py").write_text("\n".join([*task, ""]))


def measure(folder: Path, cache: Path) -> None:
    """Print what it costs in this process: the first time, and again."""
    sys.path.insert(0, str(folder))
    from taskgraph.fingerprint.code import fingerprint
    from taskgraph.values.places import FilePlaces, use_places

    use_places(FilePlaces({}, cache_dir=cache))
    import big_flow  # type: ignore[import-not-found]  # written above

    # What is loaded once for many reasons is not counted.
    import platformdirs  # noqa: F401

    from taskgraph.values.weigh import hash_value

    hash_value(fingerprint)
    seconds = []
    for _ in range(_REPEATS + 1):
        started = time.perf_counter()
        fingerprint(big_flow.main.func, "task")
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"once": seconds[0], "again": min(seconds[1:])}))


def in_new_process(folder: Path, cache: Path) -> dict[str, float]:
    """Return what `measure` prints in a new process."""
    command = [sys.executable, str(_HERE), "--measure", str(folder), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", type=int, default=20)
    parser.add_argument("--functions", type=int, default=25, help="in each module")
    parser.add_argument("--repeats", type=int, default=_REPEATS)
    parser.add_argument("--json", action="store_true", help="print JSON lines, for run.py")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    count = options.modules * options.functions
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        write_project(folder, options.modules, options.functions)
        firsts, others = [], []
        for number in range(options.repeats):
            cache = Path(name) / f"cache-{number}"
            firsts.append(in_new_process(folder, cache))
            others.append(in_new_process(folder, cache))
        figures = {
            "first": min(each["once"] for each in firsts),
            "new process": min(each["once"] for each in others),
            "again": min(each["again"] for each in others),
        }
    for label, seconds in figures.items():
        if options.json:
            line = {"tool": "taskgraph", "workload": "fingerprint", "measure": label}
            print(json.dumps({**line, "count": count, "seconds": seconds}))
        else:
            print(f"{count} functions, {label}: {seconds * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
