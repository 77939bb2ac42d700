"""Value stores for tests: local, in memory, on S3 as moto plays it, and one that fails in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

BUCKET = "values"
KINDS = ["local", "memory", "s3", "failing"]


class FailingFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """fsspec's memory, of which one call in turn can be made to raise.

    Attributes:
        fail_at: The number of the call that raises; 0 for none.
        for_good: Whether all later ones raise as well.
        by_half: Whether half of what was to be written is there then.
        calls: How many calls there were since `failing`.
    """

    protocol = "failing"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fail_at: ClassVar[int] = 0
    for_good: ClassVar[bool] = False
    by_half: ClassVar[bool] = False
    calls: ClassVar[int] = 0

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return super()._strip_protocol(path.replace("failing://", "memory://", 1))

    @classmethod
    def _count(cls) -> None:
        cls.calls += 1
        if cls.calls == cls.fail_at or (cls.for_good and 0 < cls.fail_at < cls.calls):
            # As drivers of stores do: an error that is no OSError.
            raise ConnectionLostError(f"call {cls.calls} was cut off")


class ConnectionLostError(Exception):
    """What a driver of a store raises."""


def _counted(name: str) -> Any:
    def call(self: FailingFileSystem, *args: Any, **kwargs: Any) -> Any:
        try:
            self._count()
        except ConnectionLostError:
            if self.by_half and name == "pipe_file":
                super(FailingFileSystem, self).pipe_file(args[0], args[1][: len(args[1]) // 2])
            raise
        return getattr(super(FailingFileSystem, self), name)(*args, **kwargs)

    return call


for _name in ("info", "pipe_file", "cp_file", "rm_file", "put_file", "find", "ls", "makedirs"):
    setattr(FailingFileSystem, _name, _counted(_name))
FailingFileSystem.open = _counted("open")
fsspec.register_implementation("failing", FailingFileSystem, clobber=True)


@contextmanager
def failing(call: int, *, for_good: bool = False, by_half: bool = False) -> Iterator[None]:
    """Have one call of the failing file system raise, or all from one on."""
    kind = FailingFileSystem
    kind.calls, kind.fail_at, kind.for_good, kind.by_half = 0, call, for_good, by_half
    try:
        yield
    finally:
        kind.fail_at = 0
