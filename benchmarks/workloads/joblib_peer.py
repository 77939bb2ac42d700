"""joblib.Memory (https://joblib.readthedocs.io): a cache of eager calls, without provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
from shapes import CHAIN_START


def warm() -> int:
    return 0


def inc(x: int) -> int:
    return x + 1


class Contestant:
    name = "joblib"

    def __init__(self, folder: Path) -> None:
        memory = joblib.Memory(folder / "joblib", verbose=0)
        self.warm = memory.cache(warm)
        self.inc = memory.cache(inc)

        def tree(depth: int, index: int) -> int:
            if depth == 0:
                return index
            return cached_tree(depth - 1, 2 * index) + cached_tree(depth - 1, 2 * index + 1)

        cached_tree = self.cached_tree = memory.cache(tree)

    def warm_up(self) -> None:
        self.warm()

    def fanout(self, tasks: int) -> list[int]:
        return [self.inc(i) for i in range(tasks)]

    def chain(self, length: int) -> int:
        value = CHAIN_START
        for _ in range(length):
            value = self.inc(value)
        return value

    def tree(self, depth: int) -> int:
        # The second time this is one lookup: the result of the root is kept whole.
        return self.cached_tree(depth, 1)

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {"joblib": joblib.hash}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {}

    def close(self) -> None:
        pass
