"""What a local file holds: its content hash, by its policy, with at most one reading.

A content hash is 32 hex digits whatever the policy. Nothing that may have changed while it was
being read is remembered.
"""

from __future__ import annotations

import os
import stat as modes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from xxhash import xxh3_128

from taskgraph.hashing import digest_bytes, hash_record
from taskgraph.values.places import Policy, current_places
from taskgraph.values.statcache import clock_ns, stat_cache

Progress = Callable[[int], None]


class Seen(NamedTuple):
    """What was seen at a path: the hash of the content there, and its size."""

    content: str
    size: int


MISSING = Seen(hash_record("file content", "missing"), 0)
DIRECTORY = Seen(hash_record("file content", "directory"), 0)
_SPECIAL = hash_record("file content", "special")
_IMMUTABLE = hash_record("file content", "immutable")

# Large enough that the system calls do not count, small enough for a processor's cache: reading
# into one buffer comes close to a memory map, and cannot be killed by SIGBUS when a file shrinks.
_CHUNK = 1 << 20
# A file that changes each time it is read is taken as it was the last time.
_ATTEMPTS = 3


class _InFlight:
    """Files that are being read now, so that several threads do not read the same one."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[tuple[int, int], tuple[threading.Lock, int]] = {}

    @contextmanager
    def reading(self, key: tuple[int, int]) -> Iterator[None]:
        with self._guard:
            lock, users = self._locks.get(key) or (threading.Lock(), 0)
            self._locks[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._locks[key]
                if users == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = (lock, users - 1)


_in_flight = _InFlight()


def look(location: str, policy: Policy, progress: Progress | None = None) -> Seen:
    """Return what is at an absolute local path now.

    Args:
        location: The path, as `places.locate` gives it.
        policy: How the content is to be known.
        progress: Told how many bytes were read since the last time; what it raises ends the
            reading.

    Raises:
        OSError: There is something, and it cannot be read.
    """
    try:
        stat = os.stat(location)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    known = _known_by_stat(stat, policy)
    if known is not None:
        return known
    cache = stat_cache(current_places().cache_dir)
    content = cache.find(location, stat)
    if content is not None:
        return Seen(content, stat.st_size)
    with _in_flight.reading((stat.st_dev, stat.st_ino)):
        try:
            return _read(location, progress)
        except FileNotFoundError:
            return MISSING


def bytes_to_read(location: str, policy: Policy) -> int:
    """Return how many bytes ``look`` would read, without reading any."""
    try:
        stat = os.stat(location)
    except OSError:
        return 0
    if _known_by_stat(stat, policy) is not None:
        return 0
    if stat_cache(current_places().cache_dir).find(location, stat) is not None:
        return 0
    return stat.st_size


def find_stale(location: str, most: int) -> os.stat_result | None:
    """Return the stat of a file that is remembered with another content than it has.

    Args:
        location: Its absolute path.
        most: How many bytes are read for this at most; a larger file is taken as it is known.

    Raises:
        OSError: It cannot be read.
    """
    stat = os.stat(location)
    known = stat_cache(current_places().cache_dir).find(location, stat)
    if known is None or stat.st_size > most or not modes.S_ISREG(stat.st_mode):
        return None
    fd = os.open(location, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        seen = _hash_descriptor(fd, stat.st_size, None)
        is_same_file = _signature(os.fstat(fd)) == _signature(stat)
    finally:
        os.close(fd)
    return stat if is_same_file and seen.content != known else None


def _known_by_stat(stat: os.stat_result, policy: Policy) -> Seen | None:
    """Return what needs no reading: folders, pipes and devices, and by policy all else."""
    if modes.S_ISDIR(stat.st_mode):
        return DIRECTORY
    if not modes.S_ISREG(stat.st_mode):
        return Seen(_SPECIAL, 0)
    if policy is Policy.STAT:
        return Seen(hash_record("file stat", stat.st_size, stat.st_mtime_ns), stat.st_size)
    if policy is Policy.IMMUTABLE:
        return Seen(_IMMUTABLE, stat.st_size)
    return None


def _read(location: str, progress: Progress | None) -> Seen:
    cache = stat_cache(current_places().cache_dir)
    seen = MISSING
    for _ in range(_ATTEMPTS):
        # O_NONBLOCK: should a pipe have taken the file's place, opening it must not hang.
        fd = os.open(location, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            read_at = clock_ns()
            before = os.fstat(fd)
            if not modes.S_ISREG(before.st_mode):
                return _known_by_stat(before, Policy.STAT) or MISSING
            # Another thread may have read it while this one waited for its turn.
            known = cache.find(location, before)
            if known is not None:
                return Seen(known, before.st_size)
            seen = _hash_descriptor(fd, before.st_size, progress)
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if _signature(before) == _signature(after) and seen.size == after.st_size:
            cache.remember(location, after, seen.content, read_at)
            break
    return seen


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _hash_descriptor(fd: int, size: int, progress: Progress | None) -> Seen:
    if size < _CHUNK:
        content = os.read(fd, _CHUNK)
        # A short read is the end of a regular file, but for those that grow meanwhile.
        if len(content) < _CHUNK:
            if progress is not None:
                progress(len(content))
            return Seen(digest_bytes(content), len(content))
        os.lseek(fd, 0, os.SEEK_SET)
    hasher = xxh3_128()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    total = 0
    while count := os.readv(fd, [buffer]):
        hasher.update(view[:count])
        total += count
        if progress is not None:
            progress(count)
    return Seen(hasher.hexdigest(), total)
