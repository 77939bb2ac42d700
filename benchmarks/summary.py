"""Makes medians and ranges of what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

# Of these workloads there are several sizes, which are told apart.
_OF_SIZES = ("flat", "provenance")
_FIGURES = ("seconds", "wall", "cpu", "memory", "disk", "bytes", "count", "objects")
# What waits for disks, servers or other processes is measured by the clock on the wall.
_BY_WALL = ("far", "fingerprint", "provenance", "flow", "lookup")


def _by_key(measurements: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in measurements:
        count = each["count"] if each["workload"].startswith(_OF_SIZES) else 0
        key = f"{each['workload']}/{each['measure']}/{count}/{each['tool']}"
        groups.setdefault(key, []).append(each)
    return groups


def _with_clock(measurement: dict[str, Any], clock: str) -> dict[str, Any]:
    """Return a measurement whose seconds are those of the clock that was chosen."""
    by_wall = measurement["workload"].startswith(_BY_WALL) or "full" in measurement["workload"]
    if clock == "wall" or by_wall or "cpu" not in measurement:
        return measurement
    return {**measurement, "wall": measurement["seconds"], "seconds": measurement["cpu"]}


def samples_of(measurements: Iterable[dict[str, Any]], clock: str) -> dict[str, list[float]]:
    """Return the seconds of each round for each of the count, to tell news from noise."""
    return {
        key: [_with_clock(each, clock)["seconds"] / each["count"] for each in group]
        for key, group in _by_key(measurements).items()
    }


def summarize(measurements: Iterable[dict[str, Any]], clock: str) -> dict[str, dict[str, float]]:
    """Return medians and ranges over all rounds, as ``workload/measure/count/tool`` -> figures.

    Args:
        measurements: Of all rounds.
        clock: "wall", or "cpu" for the time that the process had the processor.
    """
    found = {}
    for key, group in _by_key(measurements).items():
        timed = [_with_clock(each, clock) for each in group]
        figures = {
            name: median(each[name] for each in timed)
            for name in _FIGURES
            if all(name in each for each in timed)
        }
        # Some take the medians of many questions themselves, and say the least of them.
        figures["least"] = min(each.get("least", each["seconds"]) for each in timed)
        figures["most"] = max(each["seconds"] for each in timed)
        found[key] = figures
    return found
