"""mandala (https://github.com/amakelov/mandala): remembered calls with their history in SQLite.

Calls are eager; what is computed is written when the block of a storage ends. Calls within calls
are not remembered by themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mandala.imports import Storage, op
from shapes import CHAIN_START


@op  # type: ignore[untyped-decorator]
def warm() -> int:
    return 0


@op  # type: ignore[untyped-decorator]
def inc(x: int) -> int:
    return x + 1


class Contestant:
    name = "mandala"

    def __init__(self, folder: Path) -> None:
        self.storage = Storage(db_path=str(folder / "mandala.db"))

    def warm_up(self) -> None:
        with self.storage:
            warm()

    def fanout(self, tasks: int) -> list[int]:
        with self.storage:
            found = [inc(i) for i in range(tasks)]
        return list(self.storage.unwrap(found))

    def chain(self, length: int) -> int:
        value: Any = CHAIN_START
        with self.storage:
            for _ in range(length):
                value = inc(value)
        return int(self.storage.unwrap(value))

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {}

    def close(self) -> None:
        pass
