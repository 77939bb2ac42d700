"""What this machine's files held when they were last read, so that an unchanged one costs a stat.

The cache is one file of fixed size, a table as in a processor's cache: a path's hash gives the only
bucket where its entry can be, an entry is 64 bytes and ends with a checksum of the others. There is
nothing to load, to lock, to compact or to repair: whatever is torn, damaged or overwritten by
another process is no entry, and costs one more reading of one file. Every failure of the cache
itself (a full disk, a read-only folder) is a miss.
"""

from __future__ import annotations

import os
import random
import struct
import threading
import time
from collections.abc import Iterable, Iterator

from xxhash import xxh3_64_intdigest, xxh3_128_digest

from taskgraph.values.places import user_cache_folder

# path hash, size, mtime_ns, ctime_ns, content hash, checksum of all before it
_ENTRY = struct.Struct("<16sqqq16sQ")
_HEAD = struct.Struct("<16sqqq")
_BODY = _ENTRY.size - 8
_WAYS = 4
_BUCKET = _ENTRY.size * _WAYS

# 64 MB if ever full (the file is sparse), for about a million files.
DEFAULT_BUCKETS = 1 << 18

# How long after a change a file may change again without its ctime telling. Kernels stamp files
# with the time of their last tick, 1 to 10 ms; five times that leaves room for slow ticks in
# virtual machines. A time without a fraction is taken to come from a file system that keeps whole
# seconds, and FAT keeps even ones only.
_FINE_GRANULARITY = 50_000_000
_COARSE_GRANULARITY = 2_100_000_000
_SECOND = 1_000_000_000


def is_settled(stat: os.stat_result, now: int) -> bool:
    """Tell whether any change after ``now`` (in ns since 1970) must show in the file's times.

    A file that changed just before it was read could change once more within the same tick of the
    clock, with all of its times and its size as they were. A ctime in the future (a clock was set
    back, or a server's clock is ahead) is never settled.
    """
    coarse = stat.st_ctime_ns % _SECOND == 0 and stat.st_mtime_ns % _SECOND == 0
    granularity = _COARSE_GRANULARITY if coarse else _FINE_GRANULARITY
    return now - stat.st_ctime_ns > granularity


class StatCache:
    """A table from (device, inode, path, size, mtime, ctime) to a content hash.

    Safe for many threads and processes at once: an entry is read and written by one system call.

    Args:
        path: The file of the table; it and its folder are made when the first entry is written.
        buckets: How many buckets of four entries it has; part of the format of an existing file.
    """

    def __init__(self, path: str, buckets: int = DEFAULT_BUCKETS) -> None:
        self.path = path
        self._buckets = buckets
        self._opening = threading.Lock()
        self._opened = False
        self._reader: int | None = None
        self._writer: int | None = None

    def find(self, path: str, stat: os.stat_result) -> str | None:
        """Return the content hash of a file with exactly this stat, if it is known."""
        self._open()
        if self._reader is None:
            return None
        key, offset = self._slot(path, stat)
        try:
            bucket = os.pread(self._reader, _BUCKET, offset)
        except OSError:
            return None
        head = _HEAD.pack(key, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        # Looked for as bytes: only what may be the answer is taken apart and held to its checksum.
        start = bucket.find(head)
        while start >= 0:
            entry = bucket[start : start + _ENTRY.size]
            if start % _ENTRY.size == 0 and len(entry) == _ENTRY.size and _is_whole(entry):
                return entry[_HEAD.size : _BODY].hex()
            start = bucket.find(head, start + 1)
        return None

    def remember(self, path: str, stat: os.stat_result, content: str, read_at: int) -> bool:
        """Keep a content hash for a file with this stat.

        Args:
            path: The absolute path.
            stat: Its stat before and after it was read.
            content: The hash of what was read.
            read_at: When reading began, in ns since 1970. A file that changed within the clock's
                granularity before is not remembered: it will be looked at again next time.

        Returns:
            Whether it was kept.
        """
        if not is_settled(stat, read_at):
            return False
        self._open()
        if self._writer is None:
            return False
        key, offset = self._slot(path, stat)
        body = _ENTRY.pack(
            key, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, bytes.fromhex(content), 0
        )[:_BODY]
        way = self._choose(key, offset)
        try:
            os.pwrite(
                self._writer,
                body + xxh3_64_intdigest(body).to_bytes(8, "little"),
                offset + way * _ENTRY.size,
            )
        except OSError:
            return False
        return True

    def find_torn(self) -> list[int]:
        """Return where entries lie that are damaged: they count for nothing, and take up room."""
        torn: list[int] = []
        self._open()
        if self._reader is None:
            return torn
        for start, piece in _data_of(self._reader):
            for offset in range(0, len(piece) - _ENTRY.size + 1, _ENTRY.size):
                entry = piece[offset : offset + _ENTRY.size]
                if any(entry) and not _is_whole(entry):
                    torn.append(start + offset)
        return torn

    def clear(self, offsets: Iterable[int]) -> None:
        """Make room where entries lie."""
        self._open()
        if self._writer is not None:
            for offset in offsets:
                os.pwrite(self._writer, bytes(_ENTRY.size), offset)

    def forget(self, path: str, stat: os.stat_result) -> None:
        """Take away what is kept of a file with this stat, if anything is."""
        self._open()
        key, offset = self._slot(path, stat)
        for way, entry in enumerate(self._bucket(offset)):
            if entry is not None and entry[0] == key:
                self.clear([offset + way * _ENTRY.size])

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._opening:
            for fd in {self._reader, self._writer} - {None}:
                os.close(fd)  # type: ignore[arg-type]  # None was taken out
            self._reader = self._writer = None
            self._opened = False

    def _open(self) -> None:
        if self._opened:
            return
        with self._opening:
            if self._opened:
                return
            try:
                os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._reader = self._writer = fd
            except OSError:
                # Perhaps it may at least be read.
                try:
                    self._reader = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    self._reader = None
            self._opened = True

    def _slot(self, path: str, stat: os.stat_result) -> tuple[bytes, int]:
        name = f"{stat.st_dev}\0{stat.st_ino}\0{path}".encode("utf-8", "surrogateescape")
        key = xxh3_128_digest(name)
        return key, int.from_bytes(key[:8], "little") % self._buckets * _BUCKET

    def _bucket(self, offset: int) -> list[tuple[bytes, int, int, int, bytes] | None]:
        entries: list[tuple[bytes, int, int, int, bytes] | None] = [None] * _WAYS
        if self._reader is None:
            return entries
        try:
            found = os.pread(self._reader, _BUCKET, offset)
        except OSError:
            return entries
        for way in range(len(found) // _ENTRY.size):
            start = way * _ENTRY.size
            *fields, check = _ENTRY.unpack_from(found, start)
            if check and xxh3_64_intdigest(found[start : start + _BODY]) == check:
                entries[way] = (fields[0], fields[1], fields[2], fields[3], fields[4])
        return entries

    def _choose(self, key: bytes, offset: int) -> int:
        """Return where in its bucket an entry goes: its own place, a free one, or any."""
        entries = self._bucket(offset)
        for way, entry in enumerate(entries):
            if entry is not None and entry[0] == key:
                return way
        for way, entry in enumerate(entries):
            if entry is None:
                return way
        return random.randrange(_WAYS)


def _is_whole(entry: bytes) -> bool:
    check = int.from_bytes(entry[_BODY:], "little")
    return bool(check) and xxh3_64_intdigest(entry[:_BODY]) == check


def _data_of(fd: int) -> Iterator[tuple[int, bytes]]:
    """Yield what was ever written of a sparse file, with where it begins; never its holes."""
    size = os.fstat(fd).st_size
    start = 0
    while start < size:
        try:
            start = os.lseek(fd, start, os.SEEK_DATA)
        except OSError:
            return  # there is nothing but a hole from here on
        start -= start % _ENTRY.size
        piece = os.pread(fd, _PIECE, start)
        if not piece:
            return
        yield start, piece
        start += len(piece)


_PIECE = 1 << 20

_caches: dict[str, StatCache] = {}


def stat_cache(cache_dir: str | None = None) -> StatCache:
    """Return this process's stat cache in a folder; None is the user's cache folder."""
    key = cache_dir or ""
    cache = _caches.get(key)
    if cache is None:
        folder = user_cache_folder() if cache_dir is None else cache_dir
        # The number is that of the format: another format is another file.
        cache = _caches.setdefault(key, StatCache(os.path.join(folder, "files-1.table")))
    return cache


def clock_ns() -> int:
    """Return the time that file times are compared with."""
    return time.time_ns()
