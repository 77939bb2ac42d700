"""dask.delayed (https://docs.dask.org) on one thread: lazy calls, with no cache and no records.

What it does again it computes again. Tasks that call tasks it has none of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
from shapes import CHAIN_START


@dask.delayed
def warm() -> int:
    return 0


@dask.delayed
def inc(x: int) -> int:
    return x + 1


class Contestant:
    name = "dask"

    def __init__(self, folder: Path) -> None:
        pass

    def warm_up(self) -> None:
        warm().compute(scheduler="synchronous")

    def fanout(self, tasks: int) -> list[int]:
        return list(dask.compute(*[inc(i) for i in range(tasks)], scheduler="synchronous"))

    def chain(self, length: int) -> int:
        value: Any = CHAIN_START
        for _ in range(length):
            value = inc(value)
        return int(value.compute(scheduler="synchronous"))

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {}

    def close(self) -> None:
        pass
