"""The workflow whose workers are killed: each body notes down that it runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

from taskgraph import task


@task(namespace="killed")
def leaf(folder: str, number: int, seed: int) -> int:
    with (Path(folder) / str(number)).open("a") as notes:
        print(seed, os.getpid(), file=notes)
    time.sleep(0.01)
    return number * seed


@task(namespace="killed")
def large(number: int, seed: int) -> bytes:
    return bytes([number + seed & 255]) * 200_000


@task(namespace="killed")
def length(content: bytes) -> int:
    return len(content)


@task(namespace="killed")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task(namespace="killed")
def workflow(folder: str, count: int, seed: int) -> int:
    leaves = [leaf(folder, number, seed) for number in range(count)]
    return total([*leaves, *[length(large(number, seed)) for number in range(4)]])
