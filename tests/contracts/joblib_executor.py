"""An executor upon joblib's workers, written from the recipe in CONTRIBUTING.md alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from taskgraph import PooledExecutor, register_executor


class JoblibExecutor(PooledExecutor):
    """Runs calls on the worker processes that joblib has, too."""

    lost = (BrokenProcessPool,)
    breaks = True

    def open(self) -> None:
        self._pool = get_reusable_executor(self.size)

    def send(self, run: Callable[..., bytes], /, *args: Any) -> Future[bytes]:
        future: Future[bytes] = self._pool.submit(run, *args)
        return future

    def close(self, is_now: bool) -> None:
        self._pool.shutdown(wait=False, kill_workers=is_now)


register_executor("joblib", JoblibExecutor)
