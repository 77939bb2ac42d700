"""Says what changed between two results: what is noise, and what is not.

    python benchmarks/compare.py OLD.json NEW.json
    python benchmarks/compare.py OLD.json NEW.json --by floor     on machines of another speed

Both are results of `run.py`. Something is faster or slower if all of its rounds are on one side of
all of the earlier ones, and the medians differ by more than 3 %. With --by, all is taken as a
ratio to another contestant of the same run first: what the machine does to both is not seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

LEAST = 0.03
_OF_A_MACHINE = ("machine", "versions", "sizes", "slow_sizes", "clock")


@dataclass(frozen=True)
class Change:
    """What became of one figure.

    Attributes:
        name: Such as ``fanout/fresh``.
        old: Seconds of each round, or ratios.
        new: The same, of the later run.
    """

    name: str
    old: Sequence[float]
    new: Sequence[float]

    @property
    def ratio(self) -> float:
        """The new median by the old one: below 1 is faster."""
        return median(self.new) / median(self.old)

    @property
    def word(self) -> str:
        """What it is: faster, slower, the same, or noise in which nothing can be said."""
        if abs(self.ratio - 1) <= LEAST:
            return "same"
        if min(len(self.old), len(self.new)) < 2:
            return "once"
        if max(self.new) < min(self.old):
            return "faster"
        if min(self.new) > max(self.old):
            return "slower"
        return "noise"


def _figures(report: dict[str, Any], tool: str, by: str | None) -> dict[str, list[float]]:
    rounds: dict[str, list[float]] = report["rounds_seconds"]
    found = {}
    for key, samples in rounds.items():
        name, _, whose = key.rpartition("/")
        if whose != tool:
            continue
        if by is not None:
            others = rounds.get(f"{name}/{by}")
            if others is None:
                continue
            found[name.removesuffix("/0")] = [each / median(others) for each in samples]
        else:
            found[name.removesuffix("/0")] = samples
    return found


def compare(
    old: dict[str, Any], new: dict[str, Any], tool: str = "taskgraph", by: str | None = None
) -> list[Change]:
    """Return what became of all that was measured in both."""
    before, after = _figures(old, tool, by), _figures(new, tool, by)
    return [Change(name, before[name], after[name]) for name in before if name in after]


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return in what the runs are not alike, so that their figures may not be either."""
    return [
        f"{name}: {old.get(name)} -> {new.get(name)}"
        for name in _OF_A_MACHINE
        if old.get(name) != new.get(name)
    ]


def shown(changes: Sequence[Change]) -> str:
    """Return a table: what is faster and slower first, by how much."""
    order = ("slower", "faster", "once", "noise", "same")
    lines = [f"{'':8} {'new/old':>8}  {'old median':>11} {'new median':>11}  what"]
    for each in sorted(changes, key=lambda each: (order.index(each.word), each.ratio)):
        figures = f"{median(each.old):11.3g} {median(each.new):11.3g}"
        lines.append(f"{each.word:8} {each.ratio:8.2f}  {figures}  {each.name}")
    counts = {word: sum(each.word == word for each in changes) for word in order}
    lines.append(", ".join(f"{count} {word}" for word, count in counts.items() if count))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two files; exit code 1 if something is slower and --strict was said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tool", default="taskgraph", help="whose figures")
    parser.add_argument("--by", help="as ratios to this contestant, such as floor")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if anything is slower")
    options = parser.parse_args(arguments)
    try:
        old, new = (json.loads(path.read_text()) for path in (options.old, options.new))
        changes = compare(old, new, options.tool, options.by)
    except (OSError, ValueError, KeyError) as error:
        print(f"this is no result of run.py: {error}", file=sys.stderr)
        return 2
    print(f"{old.get('commit')} ({old['when']}) -> {new.get('commit')} ({new['when']})")
    for line in differences(old, new):
        print(f"not alike: {line}")
    print(shown(changes))
    return int(options.strict and any(each.word == "slower" for each in changes))


if __name__ == "__main__":
    sys.exit(main())
