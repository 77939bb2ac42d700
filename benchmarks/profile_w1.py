"""Shows where the time of our own workloads goes: by room of the house, by function and by line.

    python benchmarks/profile_w1.py                               W1, fresh and again, by room
    python benchmarks/profile_w1.py --workload chain              another workload
    python benchmarks/profile_w1.py --how functions               by function and line as well
    python benchmarks/profile_w1.py --how calls                   by cProfile: how often called?
    python benchmarks/profile_w1.py --how opcodes --size 500      how much Python is each function?
    python benchmarks/profile_w1.py --all --save now              W1, W3 and W4, kept in results/
    python benchmarks/profile_w1.py --all --save after --page docs/explanation/performance.md

Runs with and without the profiler take turns. The whole is the median of those without, in
processor time; the profile says how it is divided, so the rooms add up to it. cProfile makes small
functions look dear: its figures are scaled in the same way, and are for counting calls. Opcodes
wobble not at all, on a busy machine either, but say nothing of what is in C.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import importlib
import json
import platform
import pstats
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import CodeType, FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
sys.path[:0] = [str(HERE), str(HERE / "workloads"), str(CHECKOUT), str(CHECKOUT / "backend")]

from rooms import ALL_ROOMS  # noqa: E402
from sampling import Sampler, place  # noqa: E402
from shapes import calls_in_tree  # noqa: E402

RESULTS = HERE / "results"
SIZES = {"fanout": 10_000, "chain": 3_000, "tree": 12}
TITLES = {"fanout": "W1 and W2, a fan-out", "chain": "W3, a chain", "tree": "W4, a tree of calls"}
PHASES = ("fresh", "again")
# Between these two lines of a page stand the tables.
BEGIN, END = "<!-- profile: begin -->", "<!-- profile: end -->"


@dataclass
class Profile:
    """What the rounds of one phase of a workload found.

    Attributes:
        plain: Microseconds of processor time a task, of each round without a profiler.
        rooms: Seconds by room, of all rounds together.
    """

    plain: list[float] = field(default_factory=list)
    rooms: Counter[str] = field(default_factory=Counter)

    def by_room(self) -> dict[str, float]:
        """Return microseconds a task by room; they add up to the median without a profiler."""
        total = sum(self.rooms.values())
        whole = median(self.plain)
        return {
            room.name: whole * self.rooms[room.name] / total
            for room in ALL_ROOMS
            if self.rooms[room.name]
        }


class Rounds:
    """Runs a workload again and again, each time in a new folder: fresh, and the same again."""

    def __init__(self, options: argparse.Namespace, workload: str, scratch: Path) -> None:
        self._options = options
        self._workload = workload
        self._scratch = scratch
        self._type = importlib.import_module(options.contestant).Contestant
        self._size = options.size or SIZES[workload]
        self.tasks = calls_in_tree(self._size) if workload == "tree" else self._size

    def round(self, around: Callable[[str, Callable[[], object]], None]) -> None:
        """Do both phases once, each by way of ``around``."""
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        for phase in PHASES:
            # Another scheduler for the second time, as in another process.
            is_ours = self._options.contestant == "ours"
            more = {"executor": self._options.executor} if is_ours else {}
            contestant = self._type(folder, **more)
            contestant.warm_up()
            gc.collect()
            around(phase, lambda c=contestant: getattr(c, self._workload)(self._size))  # type: ignore[misc]
            contestant.close()
        shutil.rmtree(folder)


def profiles_of(rounds: Rounds, options: argparse.Namespace) -> dict[str, Profile]:
    """Return the profile of each phase, by samples."""
    found = {phase: Profile() for phase in PHASES}
    samplers: dict[str, Sampler] = {}

    def plainly(phase: str, work: Callable[[], object]) -> None:
        started = time.process_time()
        work()
        found[phase].plain.append((time.process_time() - started) / rounds.tasks * 1e6)

    def sampled(phase: str, work: Callable[[], object]) -> None:
        with Sampler() as sampler:
            work()
        found[phase].rooms += sampler.rooms
        samplers[phase] = sampler

    rounds.round(lambda _phase, work: work())  # not counted: what is loaded once
    for _ in range(options.rounds):
        rounds.round(plainly)
        rounds.round(sampled)
    if options.how == "functions":
        for phase, sampler in samplers.items():
            print(f"{phase}, the last round")
            sampler.show(rounds.tasks, options.top)
    return found


def show_calls(rounds: Rounds, top: int) -> None:
    """Print what cProfile counts."""
    plain: dict[str, float] = {}

    def plainly(phase: str, work: Callable[[], object]) -> None:
        started = time.process_time()
        work()
        plain[phase] = time.process_time() - started

    def counted(phase: str, work: Callable[[], object]) -> None:
        profile = cProfile.Profile()
        profile.runcall(work)
        stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        rows = [
            (own, inclusive, calls, *where)
            for where, (_, calls, own, inclusive, _) in stats.items()
        ]
        scale = plain[phase] / rounds.tasks * 1e6 / sum(row[0] for row in rows)
        print(f"{phase}: scaled to the time without the profiler")
        print(f"  {'own us':>8} {'with us':>8} {'calls':>8}   (each for a task)")
        for own, inclusive, calls, filename, line, name in sorted(rows, reverse=True)[:top]:
            where = name if filename == "~" else f"{place(filename)}:{line}  {name}"
            figures = f"{own * scale:8.2f} {inclusive * scale:8.2f} {calls / rounds.tasks:8.2f}"
            print(f"  {figures}   {where}")

    rounds.round(plainly)
    rounds.round(plainly)
    rounds.round(counted)


def show_opcodes(rounds: Rounds, top: int) -> None:
    """Print how many opcodes of each function a task takes."""

    def counted(phase: str, work: Callable[[], object]) -> None:
        opcodes: Counter[CodeType] = Counter()
        calls: Counter[CodeType] = Counter()

        def enter(frame: FrameType, event: str, arg: object) -> Any:
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
            calls[frame.f_code] += 1
            return note

        def note(frame: FrameType, event: str, arg: object) -> Any:
            if event == "opcode":
                opcodes[frame.f_code] += 1
            return note

        sys.settrace(enter)
        try:
            work()
        finally:
            sys.settrace(None)
        each = 1 / rounds.tasks
        print(f"{phase}: {opcodes.total() * each:.0f} opcodes, {calls.total() * each:.0f} calls")
        print(f"  {'opcodes':>8} {'calls':>8}   (each for a task)")
        for code, count in opcodes.most_common(top):
            where = f"{place(code.co_filename)}:{code.co_firstlineno}  {code.co_qualname}"
            print(f"  {count * each:8.1f} {calls[code] * each:8.2f}   {where}")

    rounds.round(lambda _phase, work: work())  # not counted: what is loaded once
    rounds.round(counted)


def table(workload: str, columns: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return a table in Markdown: a row for each room, a column for each phase of each profile.

    Args:
        workload: Its name.
        columns: Microseconds by room, by phase, by the name of the profile.
    """
    heads = [f"{phase}, {name}" for phase in PHASES for name in columns]
    lines = [f"| {TITLES[workload]}: us a task | {' | '.join(heads)} | |"]
    lines.append(f"|---|{'---:|' * len(heads)}---|")
    shown = [columns[name].get(phase, {}) for phase in PHASES for name in columns]
    for room in ALL_ROOMS:
        if any(room.name in each for each in shown):
            figures = " | ".join(f"{each.get(room.name, 0.0):.1f}" for each in shown)
            lines.append(f"| {room.name} | {figures} | {room.what} |")
    totals = " | ".join(f"**{sum(each.values()):.1f}**" for each in shown)
    lines.append(f"| **all of it** | {totals} | |")
    return "\n".join(lines)


def saved() -> dict[str, dict[str, Any]]:
    """Return the kept profiles by name, the oldest first."""
    paths = sorted(RESULTS.glob("profile-*.json"))
    found = {path.stem.removeprefix("profile-"): json.loads(path.read_text()) for path in paths}
    return dict(sorted(found.items(), key=lambda pair: str(pair[1]["when"])))


def write_page(page: Path) -> None:
    """Write the tables of all kept profiles between the marks of a page."""
    kept = saved()
    said = "; ".join(
        f"{name}: {each['when']}, commit {each['commit']}, {each['machine']}"
        for name, each in kept.items()
    )
    parts = [f"Profiles: {said}. Medians of {next(iter(kept.values()))['rounds']} rounds."]
    parts += [
        table(workload, {name: each["workloads"].get(workload, {}) for name, each in kept.items()})
        for workload in SIZES
    ]
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    middle = "\n\n".join(parts)
    page.write_text(f"{before}{BEGIN}\n\n{middle}\n\n{END}{after}", encoding="utf-8")


COUNTERS = {"calls": show_calls, "opcodes": show_opcodes}
HOW = ("rooms", "functions", *COUNTERS)


def main() -> None:
    """Profile, print, and keep if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", default="fanout", choices=list(SIZES))
    parser.add_argument("--all", action="store_true", help="all three workloads")
    parser.add_argument("--size", type=int, help="tasks, links, or the depth of the tree")
    parser.add_argument("--how", default="rooms", choices=list(HOW))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--contestant", default="ours", help="ours or floor")
    parser.add_argument("--executor", default="inline", help="of ours; a sample sees one thread")
    parser.add_argument("--save", metavar="NAME", help="keep it as results/profile-NAME.json")
    parser.add_argument("--page", type=Path, help="write the tables of all that are kept there")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    scratch = Path(tempfile.mkdtemp(prefix="profile-"))
    try:
        for workload in SIZES if options.all else [options.workload]:
            rounds = Rounds(options, workload, scratch)
            if options.how in COUNTERS:
                COUNTERS[options.how](rounds, options.top)
                continue
            profiles = profiles_of(rounds, options)
            found[workload] = {phase: each.by_room() for phase, each in profiles.items()}
            print(table(workload, {"now": found[workload]}) + "\n")
    finally:
        shutil.rmtree(scratch)
    if options.save and found:
        from describing import commit, machine, stamp

        kept = {
            "when": stamp(), "commit": commit(), "machine": machine(),
            "python": platform.python_version(), "rounds": options.rounds, "workloads": found,
        }  # fmt: skip
        RESULTS.joinpath(f"profile-{options.save}.json").write_text(
            json.dumps(kept, indent=1) + "\n"
        )
    if options.page:
        write_page(options.page)


if __name__ == "__main__":
    main()
