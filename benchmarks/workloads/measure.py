"""Runs one workload with one contestant in this process and prints what it took as JSON lines.

    python benchmarks/workloads/measure.py redun_peer fanout --phase fresh --folder /tmp/here

A contestant is a module beside this one with a class `Contestant`. Opening (files, schema, late
imports) is measured apart: each contestant has run one other task before the clock starts.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any, Protocol

HERE = Path(__file__).resolve().parent
# The floor is a contestant that lives next door.
sys.path[:0] = [str(HERE), str(HERE.parent)]

from shapes import (  # noqa: E402
    CHAIN_START,
    MEGABYTE,
    READ,
    UNCHANGED,
    Sizes,
    calls_in_tree,
    sum_of_leaves,
    values,
    write_file,
    write_small_files,
)


class ContestantType(Protocol):
    """What a workload module must offer; a method that is missing is a workload left out."""

    name: str

    def __init__(self, folder: Path) -> None: ...
    def warm_up(self) -> None: ...
    def fanout(self, tasks: int) -> list[int]: ...
    def chain(self, length: int) -> int: ...
    def tree(self, depth: int) -> int: ...
    def tree_shallow(self, depth: int) -> int: ...
    def grid(self, side: int) -> int: ...
    def close(self) -> None: ...
    @staticmethod
    def hashers() -> dict[str, Callable[[Any], Any]]: ...
    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Callable[[str], Any]]: ...


def say(**measurement: object) -> None:
    print(json.dumps(measurement), flush=True)


def peak_memory() -> int:
    """Return the most memory that this process had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def clocked(**names: object) -> Iterator[dict[str, Any]]:
    """Time a block, and print the measurement with whatever the block added to it."""
    extra: dict[str, Any] = {}
    gc.collect()
    memory = peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    yield extra
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    say(**names, seconds=wall, cpu=cpu, memory=peak_memory() - memory, **extra)


def require(got: object, wanted: object) -> None:
    if got != wanted:
        raise SystemExit(f"wrong result: {str(got)[:200]} instead of {str(wanted)[:200]}")


def measure_graphs(
    kind: type[ContestantType],
    workloads: Sequence[str],
    phase: str,
    folder: Path,
    sizes: Sizes,
    more: dict[str, str],
    *,
    once: bool,
) -> None:
    tool = kind.name
    with clocked(tool=tool, workload=workloads[0], measure=f"open {phase}", count=1):
        contestant = kind(folder, **more)
        contestant.warm_up()
    for workload in workloads:
        if hasattr(kind, workload):
            measure_graph(contestant, workload, phase, sizes, once=once)
    contestant.close()


def measure_graph(
    contestant: ContestantType, workload: str, phase: str, sizes: Sizes, *, once: bool
) -> None:
    work: Callable[[], object]
    match workload:
        case "fanout":
            count, wanted = sizes.tasks, list(range(1, sizes.tasks + 1))
            work = lambda: contestant.fanout(sizes.tasks)  # noqa: E731
        case "chain":
            count, wanted = sizes.chain, CHAIN_START + sizes.chain
            work = lambda: contestant.chain(sizes.chain)  # noqa: E731
        case "tree" | "tree_shallow":
            count, wanted = calls_in_tree(sizes.depth), sum_of_leaves(sizes.depth)
            work = lambda: getattr(contestant, workload)(sizes.depth)  # noqa: E731
        case "grid":
            count, wanted = sizes.side**2, sizes.side**2 - 1
            work = lambda: contestant.grid(sizes.side)  # noqa: E731
        case _:
            raise SystemExit(f"no workload {workload}")
    names = {"tool": contestant.name, "workload": workload, "count": count}
    with clocked(measure=phase, **names):
        result = work()
    require(result, wanted)
    if workload == "fanout" and not once:
        with clocked(measure=f"same process {phase}", **names):
            result = work()
        require(result, wanted)


def resident_memory() -> int:
    """Return the memory that this process has now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure_row(kind: type[ContestantType], folder: Path, sizes: Sizes) -> None:
    """Run workflow after workflow in this process, and see what stays of them.

    Each is a fan-out, every second one of tasks that were never run. The first third is for caches
    to be filled.
    """
    contestant = kind(folder)
    contestant.warm_up()
    begin = sizes.runs // 3
    objects = memory = 0
    started = time.process_time()
    for number in range(sizes.runs):
        if number == begin:
            gc.collect()
            objects, memory = len(gc.get_objects()), resident_memory()
        contestant.fanout(100 + number // 2)
    gc.collect()
    runs = sizes.runs - begin
    say(
        tool=kind.name, workload="row", measure="workflows in a row", count=sizes.runs,
        seconds=time.process_time() - started, memory=(resident_memory() - memory) / runs,
        objects=(len(gc.get_objects()) - objects) / runs,
    )  # fmt: skip
    contestant.close()


def measure_files(kind: type[ContestantType], folder: Path, sizes: Sizes) -> None:
    """See how long it takes to find out that many files have not changed."""
    paths = write_small_files(folder.parent / f"files-{sizes.files}", sizes.files)
    for (tool, measure), check in kind.file_hashers().items():
        if measure == UNCHANGED:
            for phase in ("first", "again"):
                names = {"tool": tool, "workload": "files", "measure": phase, "count": len(paths)}
                with clocked(**names):
                    found = {check(path) for path in paths}
                require(len(found) > 0, True)


def time_of(work: Callable[[], object], at_least: float) -> tuple[float, float, int]:
    """Return the median seconds of one call of `work`, on the clock and of the processor.

    And how often it ran.
    """
    work()
    samples: list[tuple[float, float]] = []
    loops = 1
    started = time.perf_counter()
    while len(samples) < 3 or (time.perf_counter() - started < at_least and len(samples) < 100):
        begin, used = time.perf_counter(), time.process_time()
        for _ in range(loops):
            work()
        taken, used = time.perf_counter() - begin, time.process_time() - used
        samples.append((taken / loops, used / loops))
        if taken < 0.0005 and at_least:
            # Too short for the clock: forget it, and do more at once.
            loops *= 4
            samples.clear()
    wall, cpu = (median(each) for each in zip(*samples, strict=True))
    return wall, cpu, loops * len(samples)


def measure_hashing(kind: type[ContestantType], folder: Path, sizes: Sizes) -> None:
    for name, (make, size) in values(sizes).items():
        try:
            value = make()
        except ImportError:
            continue  # not everybody has every library
        for tool, hasher in kind.hashers().items():
            seconds, cpu, times = time_of(lambda h=hasher, v=value: h(v), sizes.seconds)
            say(
                tool=tool, workload="hashing", measure=name, count=1, seconds=seconds, cpu=cpu,
                bytes=size, times=times,
            )  # fmt: skip
    path = folder.parent / f"file-{sizes.megabytes}.bin"
    write_file(path, sizes.megabytes)
    for (tool, measure), hasher in kind.file_hashers().items():
        seconds, cpu, times = time_of(lambda h=hasher: h(str(path)), sizes.seconds)
        say(
            tool=tool, workload="hashing", measure=measure, count=1, seconds=seconds, cpu=cpu,
            bytes=sizes.megabytes * MEGABYTE if measure == READ else 0, times=times,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", help="a module beside this one, such as redun_peer")
    parser.add_argument("workload", help="fanout,chain,tree,grid or one of row, files, hashing")
    parser.add_argument("--phase", default="fresh", choices=["fresh", "again"])
    parser.add_argument("--synchronous", help="how hard SQLite makes sure: normal or full")
    parser.add_argument("--once", action="store_true", help="not again in the same process")
    parser.add_argument("--folder", type=Path, required=True, help="where the cache lies")
    for each in fields(Sizes):
        parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default)
    options = parser.parse_args()
    sizes = Sizes(**{each.name: getattr(options, each.name) for each in fields(Sizes)})
    options.folder.mkdir(parents=True, exist_ok=True)
    kind: type[ContestantType] = importlib.import_module(options.contestant).Contestant
    more = {"synchronous": options.synchronous} if options.synchronous else {}
    match options.workload:
        case "hashing":
            measure_hashing(kind, options.folder, sizes)
        case "row":
            measure_row(kind, options.folder, sizes)
        case "files":
            measure_files(kind, options.folder, sizes)
        case names:
            workloads = names.split(",")
            measure_graphs(
                kind, workloads, options.phase, options.folder, sizes, more, once=options.once
            )


if __name__ == "__main__":
    main()
