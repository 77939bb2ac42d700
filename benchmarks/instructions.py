"""Counts the instructions of a fresh call, a cached one, a shallow hit and an import.

    python benchmarks/instructions.py               count, and compare with the budget
    python benchmarks/instructions.py --repeat 5    how much do the counts wobble?
    python benchmarks/instructions.py --write       make what was counted the budget (`make budget`)

How long something takes says more of what else the machine does; how many instructions it takes is
nearly the same each time. Valgrind's callgrind counts them, of all that the process does: Python,
SQLite and libraries. The cost of a call is the difference of two sizes, so that what is done once
a run is none of it. A budget is one of a build of Python on a kind of processor: another has
another, and is added with --write.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "workloads")]

BUDGET = HERE / "results" / "budget.json"
SLACK = 0.03
# Much of an import is other people's, and changes with their versions.
SLACK_OF_IMPORT = 0.25
_MARK = "getpgid"
_TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


class CountingError(Exception):
    """Instructions cannot be counted here; says why."""


@dataclass(frozen=True)
class Verdict:
    """What was counted, beside its budget.

    Attributes:
        what: Such as "a fresh call".
        counted: Instructions.
        budget: What it may be.
    """

    what: str
    counted: int
    budget: int

    @property
    def change(self) -> float:
        """By which part it is more (or less) than the budget."""
        return self.counted / self.budget - 1

    @property
    def slack(self) -> float:
        """By which part it may be more."""
        return SLACK_OF_IMPORT if self.what == "an import" else SLACK

    @property
    def is_over(self) -> bool:
        """Whether it is more than the slack allows."""
        return self.change > self.slack + 1e-12

    def __str__(self) -> str:
        is_less = self.change < -self.slack
        said = "OVER" if self.is_over else "less: `make budget`" if is_less else "ok"
        return (
            f"{self.what:16} {self.counted:12,} instructions, budget {self.budget:12,}"
            f" ({self.change:+.1%}, {self.slack:.0%} is allowed) {said}"
        )


def valgrind() -> str:
    """Return where valgrind is.

    Raises:
        CountingError: It is not here.
    """
    found = shutil.which("valgrind")
    if found is None:
        raise CountingError("there is no valgrind: install it with the system's packages")
    return found


def build() -> str:
    """Name what a budget is for: the build of Python and the kind of processor."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}"
        f" ({platform.python_compiler()}), SQLite {sqlite3.sqlite_version}, {platform.machine()}"
    )


def count() -> dict[str, int]:
    """Return the instructions of each thing that has a budget.

    Raises:
        CountingError: There is no valgrind, or it did not count what was asked.
    """
    from counted import FEW, FEW_SHALLOW, MANY, MANY_SHALLOW, PARTS

    tool = valgrind()
    with tempfile.TemporaryDirectory(prefix="count-") as name:
        folder = Path(name)
        environment = {
            key: each
            for key, each in os.environ.items()
            if not key.startswith(("TASKGRAPH_", "PYTHON", "COV_", "COVERAGE"))
        }
        environment |= {
            "PYTHONHASHSEED": "0",
            "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOME": str(folder),
        }
        program = str(HERE / "workloads" / "counted.py")
        # The first compiles the modules, and is not counted.
        for step in ("compile", "count"):
            work = folder / step
            work.mkdir()
            out = work / "calls.out"
            options = ["--tool=callgrind", f"--dump-before={_MARK}"]
            counting = [tool, *options, f"--callgrind-out-file={out}"] if step == "count" else []
            done = subprocess.run(
                [*counting, sys.executable, program, str(work)],
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise CountingError(f"{program} failed:\n{done.stderr[-2000:]}")
        counts = [_total(folder / "count" / f"calls.out.{i}") for i in range(2, len(PARTS) + 2)]
    parts = dict(zip(PARTS, counts, strict=True))

    def each(what: str, few: int, many: int) -> int:
        return round((parts[f"{what}, many"] - parts[f"{what}, few"]) / (many - few))

    return {
        "an import": parts["import"],
        "a fresh call": each("fresh", FEW, MANY),
        "a cached call": each("cached", FEW, MANY),
        "a shallow hit": each("shallow", FEW_SHALLOW, MANY_SHALLOW),
    }


def _total(path: Path) -> int:
    try:
        found = _TOTALS.search(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        found = None
    if found is None:
        raise CountingError(f"callgrind did not see the marks ({_MARK}): {path.name} is not there")
    return int(found[1])


def budgets(path: Path = BUDGET) -> dict[str, dict[str, int]]:
    """Return the stored budgets by build."""
    found: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def judge(counted: dict[str, int], path: Path = BUDGET) -> list[Verdict]:
    """Hold counts against the budget of this build.

    Raises:
        CountingError: There is none.
    """
    budget = budgets(path).get(build())
    if budget is None:
        raise CountingError(
            f"there is no budget for {build()}: count with a checkout that is known to be good, "
            "and add one with `make budget`"
        )
    return [Verdict(what, counts, budget[what]) for what, counts in counted.items()]


def count_and_judge(times: int = 3, path: Path = BUDGET) -> list[Verdict]:
    """Hold counts against the budget; where one is over, all are counted again.

    Of a thing the least counts: a heartbeat, or a batch that was written early because the machine
    had something else to do, comes on top of what it costs, and nothing takes anything away.

    Args:
        times: How often it is counted at most.
        path: Where the budgets are.

    Raises:
        CountingError: Nothing can be counted, or there is no budget.
    """
    least = count()
    for _ in range(times - 1):
        if not any(each.is_over for each in judge(least, path)):
            break
        again = count()
        least = {what: min(counted, again[what]) for what, counted in least.items()}
    return judge(least, path)


def write(counted: dict[str, int], path: Path = BUDGET) -> None:
    """Make counts the budget of this build; those of others are kept."""
    path.write_text(json.dumps(budgets(path) | {build(): counted}, indent=1) + "\n")


def show_wobble(repeats: list[dict[str, int]]) -> None:
    """Print how far apart the counts of some repeats are."""
    for what in repeats[0]:
        counts = [each[what] for each in repeats]
        middle = statistics.median(counts)
        apart = (max(counts) - min(counts)) / middle
        print(f"{what:16} {middle:12,.0f} instructions, {len(counts)} times: {apart:.2%} apart")


def main() -> int:
    """Count, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=1, help="count so often; show the wobble")
    parser.add_argument("--write", action="store_true", help="make it the budget of this build")
    options = parser.parse_args()
    try:
        repeats = [count() for _ in range(options.repeat)]
        counted = {what: round(statistics.median(each[what] for each in repeats))
                   for what in repeats[0]}  # fmt: skip
        if options.repeat > 1:
            show_wobble(repeats)
        if options.write:
            write(counted)
            print(f"written to {BUDGET} for {build()}")
        verdicts = judge(counted)
    except CountingError as error:
        print(error, file=sys.stderr)
        return 2
    print(*verdicts, sep="\n")
    return int(any(each.is_over for each in verdicts))


if __name__ == "__main__":
    sys.exit(main())
