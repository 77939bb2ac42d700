"""Run the census as a user would, change one thing at a time, and check what ran again.

    python examples/census/demo.py [--only json,email] [--work FOLDER]

Each step is a ``taskgraph run`` of its own process. What must run is worked out here from what
was edited, and compared by name with the jobs that the database has; exit code 1 if they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
# The installed command, or the same from a checkout that is only on the path.
_INSTALLED = Path(sys.executable).with_name("taskgraph")
TASKGRAPH = (
    [str(_INSTALLED)] if _INSTALLED.exists() else [sys.executable, "-m", "taskgraph.cli.main"]
)
EDITED = Path("json", "decoder.py")
NEW = "newcomer.py"
# A report of 200 packages has a long story; its beginning shows what is in it.
STORY_LINES = 24


@dataclass(frozen=True)
class Step:
    """Something that is done to the files, and which tasks must run because of it."""

    title: str
    change: Callable[[], None]
    runs: Counter[str]
    why: str


@dataclass(frozen=True)
class Seen:
    """What a run did: jobs that ran, by task; jobs that were cached; seconds on the clock."""

    runs: Counter[str]
    cached: int
    seconds: float


class Demo:
    """A work folder with a copy of the library, the reports and a database of its own."""

    def __init__(self, work: Path) -> None:
        self.library = work / "library"
        self.reports = work / "reports"
        self._env = {**os.environ, "TASKGRAPH_CONFIG": str(work / ".taskgraph")}

    def copy_library(self, only: list[str]) -> None:
        """Copy the source files of the running Python's standard library."""
        standard = Path(sysconfig.get_path("stdlib"))
        for path in standard.rglob("*.py"):
            inside = path.relative_to(standard)
            chosen = not only or inside.parts[0].removesuffix(".py") in only
            if chosen and not {"site-packages", "__pycache__"}.intersection(inside.parts):
                target = self.library / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

    def count_files(self) -> int:
        """Return how many files there are to measure."""
        return sum(1 for _ in self.library.rglob("*.py"))

    def count_packages(self) -> int:
        """Return how many packages the files belong to."""
        paths = (path.relative_to(self.library) for path in self.library.rglob("*.py"))
        return len({path.parts[0].removesuffix(".py") for path in paths})

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a process of its own; its failure ends the demo."""
        done = subprocess.run(
            [*TASKGRAPH, *words],
            env=self._env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"taskgraph {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        return done

    def run(self) -> Seen:
        """Run the census."""
        started = time.monotonic()
        self.command(
            "run", "--executor", "processes", str(HERE / "census.py"), "main",
            "--source", str(self.library), "--out", str(self.reports),
        )  # fmt: skip
        seconds = time.monotonic() - started
        recorded = json.loads(self.command("log", "-", "--json").stdout)
        runs: Counter[str] = Counter()
        cached = 0
        for each in recorded["tasks"]:
            for status, count in each["counts"].items():
                if status == "CACHED":
                    cached += count
                else:
                    runs[each["task"].rpartition(".")[2]] += count
        return Seen(runs, cached, seconds)

    def reword_comment(self) -> None:
        """Change a comment in one file: its content is new, its measure is not."""
        path = self.library / EDITED
        text, count = re.subn(r"(?m)^(\s*# .*)$", r"\1 (reworded)", path.read_text(), count=1)
        if not count:
            sys.exit(f"{path} has no comment to reword")
        path.write_text(text)

    def add_function(self) -> None:
        """Add a function to one file: its measure is new, its imports are not."""
        with (self.library / EDITED).open("a") as stream:
            stream.write("\n\ndef added_by_the_demo():\n    return 42\n")

    def add_module(self) -> None:
        """Add a file that was not there."""
        (self.library / NEW).write_text("import json\n")

    def delete_table(self) -> None:
        """Delete one of the reports."""
        (self.reports / "report.csv").unlink()

    def steps(self) -> list[Step]:
        """Return what is done in turn, and what must come of it."""
        files, packages = self.count_files(), self.count_packages()
        writers = ("write_table", "write_imports", "write_page")
        first = Counter(dict.fromkeys(("main", "total", *writers), 1))
        first.update(measure=files, summarise=packages)
        changed = ("main", "measure", "summarise", "total", "write_table", "write_page")
        return [
            Step("first run", lambda: None, first, "nothing is known yet"),
            Step("run again", lambda: None, Counter(), "nothing changed"),
            Step(
                "reword a comment",
                self.reword_comment,
                Counter(["main", "measure"]),
                "the file's measure comes out equal, so nothing above it runs",
            ),
            Step(
                "add a function",
                self.add_function,
                Counter(changed),
                "one measure and its sums changed; imports.dot did not, as no import did",
            ),
            Step(
                "delete report.csv",
                self.delete_table,
                Counter(["write_table"]),
                "a File that is gone is no result; its writer runs",
            ),
            Step(
                "add a module",
                self.add_module,
                Counter(["main", "measure", "summarise", "total", *writers]),
                "the folder's hash covers its members; a package more is in every report",
            ),
        ]


def main() -> int:
    """Run all steps and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where to work (emptied)")
    parser.add_argument("--only", default="", help="packages to copy, with commas (default: all)")
    options = parser.parse_args()

    # In a log there is no width to keep to.
    console = Console(width=None if sys.stdout.isatty() else 120)
    shutil.rmtree(options.work, ignore_errors=True)
    demo = Demo(options.work.resolve())
    demo.copy_library([name for name in options.only.split(",") if name])
    console.print(
        f"A census of {demo.count_files():,} files in {demo.count_packages():,} packages "
        f"(Python {sys.version.split()[0]}), on processes, in {demo.library}\n"
    )

    table = Table("step")
    for number in ("jobs", "ran", "cached", "seconds"):
        table.add_column(number, justify="right")
    table.add_column("what ran, and why")
    wrong = []
    for step in demo.steps():
        step.change()
        with console.status(f"{step.title} ..."):
            seen = demo.run()
        total = demo.count_files() + demo.count_packages() + 5
        cached = total - step.runs.total()
        if (seen.runs, seen.cached) != (step.runs, cached):
            wrong.append(
                f"{step.title}: expected {_show(step.runs)} to run and {cached} jobs cached, "
                f"but {_show(seen.runs)} ran and {seen.cached} were cached"
            )
        again = f"{_show(seen.runs)}: " if 0 < seen.runs.total() < 10 else ""
        table.add_row(
            step.title, f"{seen.runs.total() + seen.cached:,}", f"{seen.runs.total():,}",
            f"{seen.cached:,}", f"{seen.seconds:.2f}", again + step.why,
        )  # fmt: skip
    console.print(table)

    console.print("\n$ taskgraph log report.csv", style="bold")
    story = demo.command("log", str(demo.reports / "report.csv")).stdout.splitlines()
    for line in story[:STORY_LINES]:
        console.print(line, markup=False, highlight=False, no_wrap=True, overflow="ellipsis")
    if len(story) > STORY_LINES:
        console.print(f"... and {len(story) - STORY_LINES:,} lines more", style="dim")
    console.print(f"\nThe page with the charts: {demo.reports / 'report.html'}")
    for line in wrong:
        console.print(f"[bold red]wrong[/] {line}")
    return 1 if wrong else 0


def _show(runs: Counter[str]) -> str:
    """Show which tasks ran how often."""
    return ", ".join(f"{n:,} x {task}" if n > 1 else task for task, n in runs.items()) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
