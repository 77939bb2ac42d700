"""Means of what weather stations measured: one table for each station, and a report of all."""

from __future__ import annotations

import csv
from pathlib import Path

from taskgraph import File, task

taskgraph_namespace = "nightly"


@task
def read(files: list[File]) -> dict[str, list[float]]:
    """Read the measurements of a station, by what was measured."""
    found: dict[str, list[float]] = {}
    for each in files:
        for row in csv.DictReader(each.read().splitlines()):
            found.setdefault(f"{row['station']} {row['variable']}", []).append(float(row["value"]))
    return found


@task
def average(measured: dict[str, list[float]], digits: int = 1) -> dict[str, float]:
    """Return the mean of each series."""
    return {name: round(sum(series) / len(series), digits) for name, series in measured.items()}


@task
def write(means: dict[str, float], folder: str = "means") -> File:
    """Write the means of a station as a table."""
    station = next(iter(means)).split()[0]
    table = File(str(Path(folder, f"{station}.csv")))
    table.write("".join(f"{name},{value}\n" for name, value in sorted(means.items())))
    return table


@task
def report(tables: list[File], path: str = "report.csv") -> File:
    """Write a report of some tables."""
    made = File(path)
    made.write("".join(each.read() for each in tables))
    return made
