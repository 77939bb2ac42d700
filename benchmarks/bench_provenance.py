"""Measures questions by path (W8): who made a file, what led to it, and what was made from it.

    python benchmarks/bench_provenance.py                    1e4 and 1e5 files
    python benchmarks/bench_provenance.py --files 1000000    so many, in a tenth as many executions
    python benchmarks/bench_provenance.py --db PATH          keep the database, or use it again
    python benchmarks/bench_provenance.py --json             the same as JSON lines, for run.py

The rows are written in bulk (`workloads/provenance_rows.py`). Connections are warm, the rows that
an earlier question loaded are forgotten, and files are asked for at random: not one page is warm
alone. "By hashes" is the walk, "rows loaded" gives all that is shown of both ends of each edge.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
sys.path[:0] = [str(HERE / "workloads"), str(CHECKOUT), str(CHECKOUT / "backend")]

from figure_tables import Table, provenance, show  # noqa: E402
from our_provenance import calls, ways  # noqa: E402
from provenance_rows import FILES_PER_EXECUTION, WIDE, fill  # noqa: E402

from taskgraph_backend import SqlBackend  # noqa: E402
from taskgraph_backend.reader import Reader  # noqa: E402

PATHS = 50  # for each round


@dataclass(frozen=True)
class Measured:
    """What one question took.

    Attributes:
        files: How many the database has.
        seconds: The median.
        least: The least.
    """

    measure: str
    files: int
    seconds: float
    least: float

    @property
    def line(self) -> dict[str, Any]:
        """What run.py reads."""
        names = {"tool": "taskgraph", "workload": "provenance", "measure": self.measure}
        return {**names, "count": self.files, "seconds": self.seconds, "least": self.least}


def build(path: Path, files: int, wide: int) -> None:
    """Write the database, unless it is there: under another name until it is whole."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_name(f"{path.name}.part")
    for left in path.parent.glob(f"{growing.name}*"):
        left.unlink()
    with SqlBackend(f"sqlite:///{growing}") as backend:
        backend.load()
    with closing(sqlite3.connect(growing)) as driver:
        # If this fails all of it is written anew.
        driver.execute("PRAGMA synchronous = off")
        fill(driver, files, wide)
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    growing.rename(path)


class Questions:
    """What is asked of one database."""

    def __init__(self, path: Path, files: int, wide: int, rounds: int) -> None:
        self._path, self._files, self._wide, self._rounds = path, files, wide, rounds
        self._chance = random.Random(1)

    def ask(self) -> Iterator[Measured]:
        """Give what each question took."""
        with SqlBackend(f"sqlite:///{self._path}") as backend, backend.reader() as reader:
            paths = [self._path_of_one() for _ in range(PATHS * self._rounds)]
            find = lambda path: lambda: [reader.find_file(path)]  # noqa: E731
            yield self._taken(reader, "by path", find, paths, lambda found: found[0] is not None)
            yield from self._flow(reader, "upstream of one file", paths[: 10 * self._rounds], 1)
            for name in ("wide", "nested"):
                report = [f"{name}/report.txt"] * self._rounds
                yield from self._flow(reader, f"upstream of a report, {name}", report, self._wide)
            source = ["wide/source.txt"] * self._rounds
            yield from self._flow(reader, "downstream of a source", source, self._wide, down=True)
        yield from self._as_users_do()

    def _path_of_one(self) -> str:
        execution = self._chance.randrange(self._files // FILES_PER_EXECUTION)
        return f"out/{execution}/{self._chance.randrange(FILES_PER_EXECUTION - 1)}.txt"

    def _flow(
        self, reader: Reader, measure: str, paths: list[str], least_calls: int, down: bool = False
    ) -> Iterator[Measured]:
        for way in ways(reader, paths[0], down=down):

            def begin(path: str, way: str = way) -> Callable[[], list[Any]]:
                work = ways(reader, path, down=down)[way]
                return lambda: list(work())

            right = lambda found: calls(found) >= least_calls  # noqa: E731
            yield self._taken(reader, f"{measure}, {way}", begin, paths, right)

    def _taken(
        self,
        reader: Reader,
        measure: str,
        begin: Callable[[str], Callable[[], list[Any]]],
        paths: list[str],
        right: Callable[[list[Any]], bool],
    ) -> Measured:
        begin(self._path_of_one() if len(set(paths)) > 1 else paths[0])()
        gc.collect()
        gc.freeze()  # modules are not looked through before each question
        taken = []
        for path in paths:
            reader.expunge_all()
            work = begin(path)
            gc.collect()
            started = time.perf_counter()
            found = work()
            taken.append(time.perf_counter() - started)
            if not right(found):
                raise SystemExit(f"wrong result: {measure} of {path}")
        gc.unfreeze()
        return Measured(measure, self._files, median(taken), min(taken))

    def _as_users_do(self) -> Iterator[Measured]:
        """Give what is no goal: the text for a notebook, and a whole process."""
        from taskgraph import lineage

        with tempfile.TemporaryDirectory() as name:
            os.environ["TASKGRAPH_BACKEND__DB_URI"] = f"sqlite:///{self._path}"
            try:
                taken = []
                for _ in range(self._rounds + 1):
                    path = self._path_of_one()
                    started = time.perf_counter()
                    text = lineage(path, name).text
                    taken.append(time.perf_counter() - started)
                    if path not in text:
                        raise SystemExit(f"wrong result: lineage of {path}")
                yield self._of("lineage(path).text", taken[1:])
                yield self._of("taskgraph graph PATH", [self._graph(name) for _ in taken])
            finally:
                del os.environ["TASKGRAPH_BACKEND__DB_URI"]

    def _graph(self, folder: str) -> float:
        search = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "backend")])
        command = [sys.executable, "-m", "taskgraph.cli.main", "graph", self._path_of_one()]
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": search},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        return time.perf_counter() - started

    def _of(self, measure: str, taken: list[float]) -> Measured:
        return Measured(measure, self._files, median(taken), min(taken))


def table(found: list[Measured]) -> Table:
    """Return what was measured beside the goals."""
    medians = {
        f"provenance/{each.measure}/{each.files}/taskgraph": {
            "seconds": each.seconds,
            "least": each.least,
        }
        for each in found
    }
    return provenance(medians)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, action="append", help="default: 10,000 and 100,000")
    parser.add_argument("--wide", type=int, default=WIDE, help="files of a report")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--db", type=Path, help="the database to use; it is made if need be")
    parser.add_argument("--json", action="store_true", help="print JSON lines, for run.py")
    options = parser.parse_args()
    sizes = options.files or [10_000, 100_000]
    if options.db and len(sizes) > 1:
        parser.error("--db is of one size: say which with --files")
    if min(sizes) < FILES_PER_EXECUTION or options.wide < FILES_PER_EXECUTION:
        parser.error(f"--files and --wide are {FILES_PER_EXECUTION} at least")
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for files in sizes:
            path = (options.db or Path(scratch) / f"{files}.db").resolve()
            build(path, files, options.wide)
            for each in Questions(path, files, options.wide, options.rounds).ask():
                found.append(each)
                if options.json:
                    print(json.dumps(each.line), flush=True)
    if not options.json:
        show([table(found)])


if __name__ == "__main__":
    main()
