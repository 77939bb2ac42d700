"""Shows where the time of our own workloads goes, by room, by function and by line.

    python benchmarks/profile_w1.py                          W1, 20,000 tasks, fresh and again
    python benchmarks/profile_w1.py --workload chain --how calls

`--how samples` (the default) looks at the stack every fifth of a millisecond, which costs
little: its figures are microseconds a task as they are. `--how calls` asks cProfile, which
counts every call but makes small functions look dear: its figures are scaled to the time of a run
without it.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
sys.path[:0] = [str(HERE / "workloads"), str(CHECKOUT), str(CHECKOUT / "backend")]

SAMPLE_EVERY = 0.0002


def place(filename: str) -> str:
    """Shorten the name of a file to what tells it apart."""
    for root in (CHECKOUT / "backend", CHECKOUT):
        if filename.startswith(f"{root}/"):
            return filename[len(str(root)) + 1 :]
    parts = Path(filename).parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return "/".join(parts[-1:])


def room(filename: str) -> str:
    """Name the room of a file: its package and subpackage, or the distribution."""
    short = place(filename)
    parts = short.split("/")
    if parts[0] in {"taskgraph", "taskgraph_backend"}:
        return "/".join(parts[:3])
    return parts[0]


class Sampler:
    """Adds up what runs: exclusive by line and function, inclusive by function.

    A signal that comes within a C function is seen when that returns; so each sample weighs as much
    as the time since the one before.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.seconds = 0.0
        self.lines: Counter[tuple[str, int, str]] = Counter()
        self.own: Counter[tuple[str, str]] = Counter()
        self.all: Counter[tuple[str, str]] = Counter()
        self.rooms: Counter[str] = Counter()

    def _take(self, _signal: int, frame: FrameType | None) -> None:
        now = time.perf_counter()
        weight, self.last = now - self.last, now
        if frame is None:
            return
        self.samples += 1
        self.seconds += weight
        code = frame.f_code
        self.lines[code.co_filename, frame.f_lineno or 0, code.co_name] += weight
        self.own[code.co_filename, code.co_qualname] += weight
        self.rooms[room(code.co_filename)] += weight
        seen: set[CodeType] = set()
        at: FrameType | None = frame
        while at is not None:
            if at.f_code not in seen:
                seen.add(at.f_code)
                self.all[at.f_code.co_filename, at.f_code.co_qualname] += weight
            at = at.f_back

    def __enter__(self) -> Sampler:
        self.last = time.perf_counter()
        signal.signal(signal.SIGALRM, self._take)
        signal.setitimer(signal.ITIMER_REAL, SAMPLE_EVERY, SAMPLE_EVERY)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def show(self, tasks: int, top: int) -> None:
        scale = 1e6 / tasks
        print(f"  {self.samples:,} samples, {self.seconds * scale:.1f} us a task with sampling")
        print("  -- by room (own time)")
        for name, weight in self.rooms.most_common(top):
            print(f"  {weight * scale:8.2f} us  {name}")
        print("  -- by function (with what it calls)")
        for (filename, name), weight in self.all.most_common(top):
            print(f"  {weight * scale:8.2f} us  {place(filename)}  {name}")
        print("  -- by function (own time)")
        for (filename, name), weight in self.own.most_common(top):
            print(f"  {weight * scale:8.2f} us  {place(filename)}  {name}")
        print("  -- by line (own time, and that of C functions that it calls)")
        for (filename, line, name), weight in self.lines.most_common(top):
            print(f"  {weight * scale:8.2f} us  {place(filename)}:{line}  {name}")


def show_calls(profile: cProfile.Profile, total: float, tasks: int, top: int) -> None:
    stats = pstats.Stats(profile)
    rows = [
        (own, inclusive, calls, filename, line, name)
        for (filename, line, name), (_, calls, own, inclusive, _) in stats.stats.items()  # type: ignore[attr-defined]
    ]
    scale = total / sum(row[0] for row in rows)
    print("  scaled to the time without the profiler")
    print(f"  {'own us':>8} {'with us':>8} {'calls':>8}   (each for a task)")
    for own, inclusive, calls, filename, line, name in sorted(rows, reverse=True)[:top]:
        where = name if filename == "~" else f"{place(filename)}:{line}  {name}"
        print(f"  {own * scale:8.2f} {inclusive * scale:8.2f} {calls / tasks:8.2f}   {where}")


def profiled(work: Callable[[], object], how: str, tasks: int, plain: float, top: int) -> None:
    if how == "calls":
        profile = cProfile.Profile()
        profile.runcall(work)
        show_calls(profile, plain, tasks, top)
        return
    with Sampler() as sampler:
        work()
    sampler.show(tasks, top)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", default="fanout", choices=["fanout", "chain", "tree"])
    parser.add_argument("--size", type=int, help="tasks, links, or the depth of the tree")
    parser.add_argument("--how", default="samples", choices=["samples", "calls"])
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--contestant", default="ours", help="ours or floor")
    parser.add_argument("--executor", default="inline", help="of ours; a sample sees one thread")
    options = parser.parse_args()

    import importlib

    from shapes import calls_in_tree

    contestant_type = importlib.import_module(options.contestant).Contestant
    size = options.size or {"fanout": 20_000, "chain": 5_000, "tree": 13}[options.workload]
    tasks = calls_in_tree(size) if options.workload == "tree" else size
    scratch = Path(tempfile.mkdtemp(prefix="profile-"))
    try:
        plain: dict[str, float] = {}
        for attempt in ("plain", "profiled"):
            folder = scratch / attempt
            folder.mkdir()
            for phase in ("fresh", "again"):
                # Another scheduler for the second time, as in another process.
                more = {"executor": options.executor} if options.contestant == "ours" else {}
                contestant = contestant_type(folder, **more)
                contestant.warm_up()
                gc.collect()

                def work(contestant: object = contestant) -> object:
                    return getattr(contestant, options.workload)(size)

                if attempt == "plain":
                    started = time.perf_counter()
                    work()
                    plain[phase] = (time.perf_counter() - started) / tasks * 1e6
                else:
                    print(
                        f"{options.workload} {phase}: {plain[phase]:.1f} us a task, {tasks:,} tasks"
                    )
                    profiled(work, options.how, tasks, plain[phase], options.top)
                contestant.close()
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
