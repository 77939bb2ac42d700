"""Which executors are at work: each of them for one run at a time, for it has one inbox."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from taskgraph.errors import ExecutorError
from taskgraph.ports import Executor

_busy: Final[set[int]] = set()
_guard: Final = threading.Lock()


@contextmanager
def at_work(executors: Iterable[Executor]) -> Iterator[None]:
    """Have executors to oneself for as long as this lasts.

    Two schedulers may have been given the same one. Its outcomes would go to that which started it
    last, and the other would wait for ever.

    Raises:
        ExecutorError: One of them is at work for another scheduler.
    """
    wanted = {id(each): each for each in executors}
    with _guard:
        taken = sorted(wanted[each].name for each in wanted.keys() & _busy)
        if taken:
            raise ExecutorError(
                f"executor {taken[0]!r} is at work for a run of another scheduler. Give each "
                "scheduler an executor of its own; several may use one Dask cluster, by its "
                "address."
            )
        _busy.update(wanted)
    try:
        yield
    finally:
        with _guard:
            _busy.difference_update(wanted)


def is_at_work(executor: Executor) -> bool:
    """Tell whether an executor works for a run just now."""
    return id(executor) in _busy
