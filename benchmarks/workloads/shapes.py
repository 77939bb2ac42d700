"""What every contestant is asked to do: sizes, expected results and the values to be hashed.

Nothing in here imports a contestant, so that the same file serves all virtual environments.
"""

from __future__ import annotations

import array
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEGABYTE = 1 << 20
# A chain counts from here on: none of its calls is one of a fan-out.
CHAIN_START = 10_000_000

# What is measured of a file: its content is read, or it is known not to have changed.
READ = "file, read"
UNCHANGED = "file, unchanged"
# File times are this coarse at most, in seconds; it is longer than any tick of a clock.
SETTLED_AFTER = 0.2


@dataclass(frozen=True)
class Sizes:
    """How large the workloads are."""

    tasks: int = 2_000
    chain: int = 500
    depth: int = 10
    side: int = 45
    runs: int = 100
    files: int = 100_000
    items: int = 10_000
    megabytes: int = 64
    # A measurement of hashing is repeated for at least this long.
    seconds: float = 0.1


FULL = Sizes()
QUICK = Sizes(
    tasks=20, chain=10, depth=3, side=4, runs=6, files=50, items=100, megabytes=1, seconds=0.0
)


def calls_in_tree(depth: int) -> int:
    return 2 ** (depth + 1) - 1


def grid(cell: Callable[[Any, Any, int], Any], side: int) -> Any:
    """Return the last call of a grid of diamonds: each cell needs the one above and the one left.

    The value of a cell is its number, so that no two calls are equal.
    """
    above: list[Any] = [0] * side
    for row in range(side):
        left: Any = 0
        for column in range(side):
            left = above[column] = cell(above[column], left, row * side + column)
    return left


def sum_of_leaves(depth: int) -> int:
    """Add up the leaves of a tree whose root is 1 and whose nodes have children 2i and 2i + 1."""
    return sum(range(2**depth, 2 ** (depth + 1)))


@dataclass
class Point:
    x: int
    y: float
    name: str


def nested_config() -> dict[str, Any]:
    return {
        "name": "experiment",
        "model": {"layers": [64, 64, 32], "dropout": 0.1, "activation": "relu"},
        "data": {"paths": [f"data/part-{i}.parquet" for i in range(8)], "shuffle": True},
        "optimizer": {"kind": "adam", "lr": 0.001, "betas": (0.9, 0.999), "decay": None},
    }


def values(sizes: Sizes) -> dict[str, tuple[Callable[[], Any], int]]:
    """Name the values of the hashing workload: how each is made, and bytes if it has many."""
    items = sizes.items
    size = sizes.megabytes * MEGABYTE

    def numpy_array() -> Any:
        import numpy

        return numpy.arange(size // 8, dtype=numpy.float64)

    def frame() -> Any:
        import pandas

        count = size // 64
        return pandas.DataFrame(
            {"number": range(count), "text": [f"sample-{i % 1000}" for i in range(count)]}
        )

    def arrow_table() -> Any:
        import pyarrow

        return pyarrow.table({"number": pyarrow.array(range(size // 64))})

    return {
        "int": (lambda: 42, 0),
        "short str": (lambda: "sample-17", 0),
        "nested config": (nested_config, 0),
        "list of ints": (lambda: list(range(items * 10)), 0),
        "dict": (lambda: {f"key-{i}": i for i in range(items)}, 0),
        "set of str": (lambda: {f"item-{i}" for i in range(items)}, 0),
        "dataclasses": (lambda: [Point(i, i / 2, f"p{i}") for i in range(items)], 0),
        "numpy": (numpy_array, size),
        "pandas with strings": (frame, 0),
        "Arrow": (arrow_table, size // 8),
        "bytes": (lambda: array.array("q", range(size // 8)).tobytes(), size),
    }


def write_file(path: Path, megabytes: int) -> None:
    """Write a file of this size, if it is not there yet, and read it once: warm from now on."""
    if not path.exists():
        block = array.array("q", range(MEGABYTE // 8)).tobytes()
        with path.open("wb") as out:
            for number in range(megabytes):
                out.write(number.to_bytes(8, "little") + block[8:])
        # Until then nobody can know that it has not changed since it was read.
        time.sleep(SETTLED_AFTER)
    with path.open("rb") as content:
        while content.read(MEGABYTE):
            pass


def write_small_files(folder: Path, count: int) -> list[str]:
    """Write so many files, unless they are there; returns their paths."""
    paths = [folder / f"{number // 1000}" / f"{number}.txt" for number in range(count)]
    done = folder / "done"
    if not done.exists():
        for number, path in enumerate(paths):
            if number % 1000 == 0:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n")
        done.touch()
        time.sleep(SETTLED_AFTER)
    return [str(path) for path in paths]
