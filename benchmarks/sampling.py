"""Looks at the stack of the main thread every so often, and adds up what runs.

Each sample weighs as much as the processor time of the thread since the one before: a signal that
comes within a C function is seen when that returns. The time of looking itself, and what others do
with the machine meanwhile, is not counted.
"""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from rooms import COLLECTION, room_of_stack

CHECKOUT = Path(__file__).resolve().parent.parent
EVERY = 0.0003  # seconds


def place(filename: str) -> str:
    """Shorten the name of a file to what tells it apart."""
    for root in (CHECKOUT / "backend", CHECKOUT):
        if filename.startswith(f"{root}/"):
            return filename[len(str(root)) + 1 :]
    parts = Path(filename).parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return "/".join(parts[-1:])


class Sampler:
    """Adds up what runs: by room, exclusive by line and function, inclusive by function."""

    def __init__(self) -> None:
        self.samples = 0
        self.seconds = 0.0
        self.lines: Counter[tuple[str, int, str]] = Counter()
        self.own: Counter[tuple[str, str]] = Counter()
        self.all: Counter[tuple[str, str]] = Counter()
        self.rooms: Counter[str] = Counter()
        self._collecting = 0.0
        self._collected = 0.0
        self._places: dict[str, str] = {}

    def _on_collection(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collecting

    def _take(self, _signal: int, frame: FrameType | None) -> None:
        weight = time.thread_time() - self.last
        collected, self._collected = self._collected, 0.0
        self.samples += 1
        self.seconds += weight
        weight = max(weight - collected, 0.0)
        self.rooms[COLLECTION.name] += collected
        stack: list[tuple[str, str]] = []
        seen: set[CodeType] = set()
        at = frame
        while at is not None:
            code = at.f_code
            short = self._places.get(code.co_filename)
            if short is None:
                short = self._places[code.co_filename] = place(code.co_filename)
            stack.append((short, code.co_qualname))
            if code not in seen:
                seen.add(code)
                self.all[stack[-1]] += weight
            at = at.f_back
        if frame is not None:
            self.lines[stack[0][0], frame.f_lineno or 0, frame.f_code.co_name] += weight
            self.own[stack[0]] += weight
            self.rooms[room_of_stack(stack)] += weight
        self.last = time.thread_time()
        # Only now, for it must not interrupt itself where others hold the processor.
        signal.setitimer(signal.ITIMER_REAL, EVERY)

    def __enter__(self) -> Sampler:
        gc.callbacks.append(self._on_collection)
        self._collected = 0.0
        self.last = time.thread_time()
        signal.signal(signal.SIGALRM, self._take)
        signal.setitimer(signal.ITIMER_REAL, EVERY)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.callbacks.remove(self._on_collection)

    def show(self, tasks: int, top: int) -> None:
        """Print the tables, in microseconds a task."""
        scale = 1e6 / tasks
        print(f"  {self.samples:,} samples, {self.seconds * scale:.1f} us a task with sampling")
        print("  -- by function (with what it calls)")
        for (where, name), weight in self.all.most_common(top):
            print(f"  {weight * scale:8.2f} us  {where}  {name}")
        print("  -- by function (own time)")
        for (where, name), weight in self.own.most_common(top):
            print(f"  {weight * scale:8.2f} us  {where}  {name}")
        print("  -- by line (own time, and that of C functions that it calls)")
        for (where, line, name), weight in self.lines.most_common(top):
            print(f"  {weight * scale:8.2f} us  {where}:{line}  {name}")
