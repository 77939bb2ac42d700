"""taskgraph with its defaults on an SQLite file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shapes import CHAIN_START, READ, UNCHANGED, grid

from taskgraph import File, Scheduler, task
from taskgraph.values.weigh import hash_value

taskgraph_namespace = "bench"


@task
def warm() -> int:
    return 0


@task
def inc(x: int) -> int:
    return x + 1


@task
def tree(depth: int, index: int) -> Any:
    if depth == 0:
        return index
    return tree(depth - 1, 2 * index) + tree(depth - 1, 2 * index + 1)


@task
def cell(above: int, left: int, number: int) -> int:
    return number


@task(check_valid="shallow")
def shallow_tree(depth: int, index: int) -> Any:
    return tree(depth, index)


def _hash_after_a_change(path: str) -> str:
    # A new time of change: the stat cache has no answer.
    os.utime(path)
    return File(path).hash


class Contestant:
    name = "taskgraph"

    def __init__(
        self, folder: Path, executor: str | None = None, synchronous: str = "normal"
    ) -> None:
        uri = f"sqlite:///{folder.resolve() / 'taskgraph.db'}"
        backend: Any = uri
        if synchronous != "normal":
            from taskgraph_backend import SqlBackend

            backend = SqlBackend(uri, {"synchronous": synchronous})
            backend.load()
        self.scheduler = Scheduler(backend=backend, executor=executor)

    def warm_up(self) -> None:
        self.scheduler.run(warm())

    def fanout(self, tasks: int) -> Any:
        return self.scheduler.run([inc(i) for i in range(tasks)])

    def chain(self, length: int) -> Any:
        expression: Any = CHAIN_START
        for _ in range(length):
            expression = inc(expression)
        return self.scheduler.run(expression)

    def tree(self, depth: int) -> Any:
        return self.scheduler.run(tree(depth, 1))

    def tree_shallow(self, depth: int) -> Any:
        return self.scheduler.run(shallow_tree(depth, 1))

    def grid(self, side: int) -> Any:
        return self.scheduler.run(grid(cell, side))

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {"taskgraph": hash_value}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {
            ("taskgraph", UNCHANGED): lambda path: File(path).hash,
            ("taskgraph", READ): _hash_after_a_change,
        }

    def close(self) -> None:
        self.scheduler.close()
