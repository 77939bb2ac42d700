"""redun (https://github.com/insitro/redun) with its defaults on an SQLite file, and no log.

It is not asked for the grid of diamonds: there its time doubles with each row.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from redun import Scheduler, task
from redun.config import Config
from redun.file import ContentFile, File
from redun.value import get_type_registry
from shapes import CHAIN_START, READ, UNCHANGED

redun_namespace = "bench"


@task()
def warm() -> int:
    return 0


@task()
def inc(x: int) -> int:
    return x + 1


@task()
def tree(depth: int, index: int) -> Any:
    if depth == 0:
        return index
    return tree(depth - 1, 2 * index) + tree(depth - 1, 2 * index + 1)


@task(check_valid="shallow")
def shallow_tree(depth: int, index: int) -> Any:
    return tree(depth, index)


class Contestant:
    name = "redun"

    def __init__(self, folder: Path) -> None:
        logging.getLogger("redun").setLevel(logging.ERROR)
        # A chain of 500 calls is beyond Python's limit for it.
        sys.setrecursionlimit(100_000)
        uri = f"sqlite:///{folder.resolve() / 'redun.db'}"
        self.scheduler = Scheduler(config=Config({"backend": {"db_uri": uri}}))
        self.scheduler.load()

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

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {"redun": get_type_registry().get_hash}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {
            # By size and time of change.
            ("redun", UNCHANGED): lambda path: File(path).hash,
            ("redun", READ): lambda path: ContentFile(path).hash,
        }

    def close(self) -> None:
        pass
