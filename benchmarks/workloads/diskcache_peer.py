"""diskcache.memoize (https://grantjenks.com/docs/diskcache): a cache of eager calls in SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diskcache
from shapes import CHAIN_START


class Contestant:
    name = "diskcache"

    def __init__(self, folder: Path) -> None:
        self.cache = cache = diskcache.Cache(folder / "diskcache")

        @cache.memoize()
        def warm() -> int:
            return 0

        @cache.memoize()
        def inc(x: int) -> int:
            return x + 1

        @cache.memoize()
        def tree(depth: int, index: int) -> int:
            if depth == 0:
                return index
            return tree(depth - 1, 2 * index) + tree(depth - 1, 2 * index + 1)

        self.warm_up, self.inc, self.cached_tree = warm, inc, tree

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
        return {}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {}

    def close(self) -> None:
        self.cache.close()
