"""Read files for their hashes in threads of their own, while other work goes on.

Nothing here runs on the caller's thread, and each submitted list has exactly one answer unless the
pool is stopped first.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from taskgraph.durations import about
from taskgraph.values.kinds import ValueKind
from taskgraph.values.places import current_places
from taskgraph.values.registry import kind_of
from taskgraph.values.walk import find_invalid

Done = Callable[[BaseException | None], None]

_PROGRESS_SECONDS = 0.1
# Before anything was measured: a fast disk's speed.
_ASSUMED_SPEED = 1_000_000_000
_MEASURED_FROM = 256 << 20


class _StoppedError(Exception):
    """Raised inside of a reading that is to end because the pool is stopped."""


class _Batch:
    """Values that are read for one answer."""

    def __init__(self, values: Sequence[Any], done: Done) -> None:
        self._guard = threading.Lock()
        self._left = len(values)
        self._done = done
        self._answered = False
        self.values = values

    @property
    def is_answered(self) -> bool:
        return self._answered

    def settle(self, error: BaseException | None) -> None:
        """Note that one value was read, or could not be; the last, or an error, gives the answer.

        The guard is not held while the callback runs: it may submit again.
        """
        with self._guard:
            self._left -= 1
            if self._answered or (error is None and self._left > 0):
                return
            self._answered = True
        self._done(error)


class ReadingPool:
    """Threads that read values (files above all) so that they can be hashed.

    Args:
        workers: How many threads; by default the machine's cores, at least 2 and at most 8.
        progress: Told how many bytes of how many were read, ten times a second at most and when
            all are done. Called in the pool's threads, one at a time.
        announce: Told, in a sentence, when more than ``ask_above`` bytes are to be read: how long
            that will take and which setting avoids it. Called in the pool's threads.
    """

    def __init__(
        self,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        self._workers = workers or max(2, min(8, os.cpu_count() or 2))
        self._progress = progress
        self._announce = announce
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._telling = threading.Lock()
        self._told_at = 0.0
        self._done_bytes = 0
        self._total_bytes = 0
        self._announced = False
        self._busy_since: float | None = None
        self._read_bytes = 0
        self._read_seconds = 0.0

    def submit(self, values: Sequence[Any], done: Done) -> None:
        """Have values read; returns at once.

        Args:
            values: What is to be read, of any kind.
            done: Called in a thread of the pool, once: with None when all were read, or with the
                first error as soon as there is one.

        Raises:
            RuntimeError: The pool was stopped.
        """
        batch = _Batch(list(values), done)
        self._start()
        self._queue.put(lambda: self._plan(batch))

    def check(
        self,
        values: Sequence[Any],
        done: Callable[[list[Any | None], BaseException | None], None],
        find: Callable[[Any], Any | None] = find_invalid,
    ) -> None:
        """Have values compared with the world; returns at once.

        Args:
            values: What is to be checked, of any kind.
            done: Called in a thread of the pool, once: with what does not match inside of each
                value, or None where all does; and with the first error, if there was one.
            find: Gives the first that does not match inside of a value.
        """
        invalid: list[Any | None] = [None] * len(values)
        batch = _Batch(list(values), lambda error: done(invalid, error))

        def look(position: int) -> None:
            try:
                invalid[position] = find(values[position])
            except Exception as error:
                # What cannot be looked at does not match what was seen.
                invalid[position] = error
            batch.settle(None)

        self._start()
        for position in range(len(values)):
            self._queue.put(lambda position=position: look(position))  # type: ignore[misc]

    def stop(self) -> None:
        """End all reading, also in the middle of a file, and all threads; a second call is none.

        What was submitted and not read by then gets no answer.
        """
        with self._guard:
            self._stopping.set()
            threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _start(self) -> None:
        with self._guard:
            if self._stopping.is_set():
                raise RuntimeError("the pool that reads files was stopped")
            while len(self._threads) < self._workers:
                thread = threading.Thread(
                    target=self._work, name=f"taskgraph-reading-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (step := self._queue.get()) is not None:
            if not self._stopping.is_set():
                step()

    def _plan(self, batch: _Batch) -> None:
        """Learn how much a batch will read, and put each of its values into the queue."""
        if not batch.values:
            batch.settle(None)
            return
        sizes: list[int] = []
        kinds: list[ValueKind] = []
        try:
            for value in batch.values:
                kind = kind_of(value)
                kinds.append(kind)
                sizes.append(kind.bytes_to_read(value))
        except Exception as error:
            # A folder that cannot be listed, say: whoever waits for the batch is told.
            batch.settle(error)
            return
        self._expect(batch.values, sizes)
        for value, kind, size in zip(batch.values, kinds, sizes, strict=True):
            self._queue.put(
                lambda value=value, kind=kind, size=size: self._read(  # type: ignore[misc]
                    batch, value, kind, size
                )
            )

    def _read(self, batch: _Batch, value: Any, kind: ValueKind, size: int) -> None:
        counted = 0

        def count(more: int) -> None:
            nonlocal counted
            if self._stopping.is_set():
                raise _StoppedError
            counted += more
            self._advance(more)

        error: BaseException | None = None
        try:
            # After an error nobody waits for the others of its batch.
            if not batch.is_answered:
                kind.read(value, count)
        except _StoppedError:
            return
        except Exception as raised:
            # The job that needs the value fails with this; the pool goes on.
            error = raised
        # What was planned and not read, as when another thread read the same file meanwhile.
        self._finish(size - counted)
        batch.settle(error)

    def _expect(self, values: Sequence[Any], sizes: Sequence[int]) -> None:
        planned = sum(sizes)
        if not planned:
            return
        with self._guard:
            if self._busy_since is None:
                self._busy_since = time.monotonic()
            self._total_bytes += planned
            left = self._total_bytes - self._done_bytes
            # Once for all that is read without a pause: a line, not a line for each file.
            is_news = not self._announced and left > current_places().ask_above
            self._announced |= is_news
            speed = self._speed()
        if is_news and self._announce is not None:
            largest = values[sizes.index(max(sizes))]
            self._announce(_announcement(largest, left, speed))

    def _speed(self) -> float:
        if self._read_bytes < _MEASURED_FROM or not self._read_seconds:
            return _ASSUMED_SPEED
        return self._read_bytes / self._read_seconds

    def _advance(self, more: int) -> None:
        with self._guard:
            self._done_bytes += more
            self._read_bytes += more
            # A file that grows while it is read has more than was planned.
            self._total_bytes = max(self._total_bytes, self._done_bytes)
        self._tell(is_last=False)

    def _finish(self, skipped: int) -> None:
        with self._guard:
            self._done_bytes += skipped
            is_last = 0 < self._total_bytes <= self._done_bytes
        if is_last:
            self._tell(is_last=True)
            self._rest()

    def _rest(self) -> None:
        """Begin to count anew, when all that was submitted is read."""
        with self._guard:
            if self._done_bytes < self._total_bytes:
                return
            if self._busy_since is not None:
                self._read_seconds += time.monotonic() - self._busy_since
            self._busy_since = None
            self._done_bytes = self._total_bytes = 0
            self._announced = False

    def _tell(self, *, is_last: bool) -> None:
        if self._progress is None:
            return
        now = time.monotonic()
        if not is_last and now - self._told_at < _PROGRESS_SECONDS:
            return
        # Whoever finds another thread telling leaves it to that one.
        if not self._telling.acquire(blocking=is_last):
            return
        try:
            self._told_at = now
            with self._guard:
                done, total = self._done_bytes, self._total_bytes
            if total:
                self._progress(done, total)
        finally:
            self._telling.release()


def _announcement(largest: Any, size: int, speed: float) -> str:
    name = str(getattr(largest, "path", "") or getattr(largest, "pattern", "") or largest)
    suffix = os.path.splitext(name)[1]
    glob = f"*{suffix}" if suffix else os.path.basename(name.rstrip("/")) or name
    return (
        f"{_gigabytes(size)} of files are read for their hashes, {name} first of all; at "
        f"{_gigabytes(speed)}/s that takes about {about(size / speed)}. It is done once, as "
        "long as they do not change. To go by size and time instead, say so in the settings: "
        f'[files.policies] "{glob}" = "stat"'
    )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
