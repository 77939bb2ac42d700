"""The value store: large values beside the database, named by the digest of their stored bytes.

An entry is published before any row refers to it, and never changed afterwards. What is read is
held against its name; what does not have that digest is moved aside, and was never there for who
asked. A store that cannot be reached is an error: it says nothing about the values in it.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import IO, Any, NamedTuple

from xxhash import xxh3_128

from taskgraph.errors import DamagedValueError, ValueStoreError
from taskgraph.hashing import ContentDigest, digest_bytes
from taskgraph.values.compression import ZSTD, compressed, compressing
from taskgraph.values.entries import DRAFTS, EntryFolder, entry_folder, write_all
from taskgraph.values.places import is_url

#: Where entries go whose bytes are not those that their names stand for.
QUARANTINE = "quarantine"
#: From how many bytes on values are kept outside; what is smaller is found faster in its row.
MIN_SIZE = 1024 * 1024
#: The digest of no bytes: a row with it is empty because nothing was stored.
NOTHING = digest_bytes(b"")

_CHUNK = 1 << 22
# What is found otherwise so often is as it is.
_LOOKS = 3
# What s3fs raises when another object has come in the place of the one that was opened.
_REPLACED = errno.EBUSY
# Compressed entries cannot be mapped into memory: that must be worth it.
_WORTH = 0.9

Buffer = bytes | bytearray | memoryview


class ValueStore(NamedTuple):
    """A value store, by what is known of it: it crosses to where values are made.

    Attributes:
        url: A folder, or a URL of one.
        min_size: From how many bytes on values are put here.
        compression: ``"zstd"``, or nothing.
    """

    url: str
    min_size: int = MIN_SIZE
    compression: str = ""

    @property
    def folder(self) -> EntryFolder:
        """Where the entries lie."""
        return _folder(self.url)

    # Writing

    def publish(self, format: str, payload: Buffer) -> Published:
        """Make an entry of bytes, unless it is there.

        Raises:
            ValueStoreError: It cannot be written.
        """
        content: Buffer = payload
        if self.compression == ZSTD:
            smaller = compressed(payload)
            if len(smaller) < _WORTH * len(payload):
                format, content = f"{format}+{ZSTD}", smaller
        digest = digest_bytes(content)
        if not self._has(digest, len(content)):
            self.folder.save(name_of(digest), content)
        return Published(format, len(content), digest)

    def publish_stream(
        self, write: Callable[[Draft], str | None], max_size: int | None = None
    ) -> Published | None:
        """Make an entry of what a function writes, piece by piece; None if it gives no format.

        Args:
            write: Called with a stream; returns the format. It may be called twice.
            max_size: More bytes than this are not taken.

        Raises:
            TooLargeError: It wrote more.
            ValueStoreError: The entry cannot be written.
        """
        if self.compression == ZSTD:
            made = self._publish_stream(write, max_size, is_compressed=True)
            if made is not None:
                return made
        return self._publish_stream(write, max_size, is_compressed=False)

    def _publish_stream(
        self, write: Callable[[Draft], str | None], max_size: int | None, *, is_compressed: bool
    ) -> Published | None:
        with self._drafting(max_size) as draft:
            if is_compressed:
                with compressing(draft) as sink:
                    plain = Draft(sink, max_size)
                    format = write(plain)
                if format is None or draft.size >= _WORTH * plain.size:
                    return None
                format = f"{format}+{ZSTD}"
            else:
                format = write(draft)
                if format is None:
                    return None
            digest = draft.digest
            if not self._has(digest, draft.size):
                self.folder.publish(draft.file, name_of(digest))
            return Published(format, draft.size, digest)

    @contextmanager
    def _drafting(self, max_size: int | None) -> Iterator[Draft]:
        """Give a stream to the local disk; what was not made an entry of it is removed."""
        with self.folder.draft() as file:
            try:
                yield Draft(file, max_size)
            except OSError as error:
                raise ValueStoreError(self.url, error.strerror or str(error)) from error

    def _has(self, digest: ContentDigest, size: int) -> bool:
        """Tell whether an entry need not be written; one that is damaged is moved aside.

        It is read for that, which costs less than writing it: nobody may come again who has the
        value, and one that is there and damaged would be a loss that nobody sees.
        """
        name = name_of(digest)
        found = self.folder.size(name)
        if found is None:
            return False
        # Before it is read: whoever removes what nobody names sees that somebody is about to.
        self.folder.touch(name)
        if found == size and self.check(digest) is None:
            return True
        # Who may not move it writes over it: what is there is of no use to anybody.
        with suppress(ValueStoreError):
            self.quarantine(digest)
        return False

    # Reading

    def read(self, digest: ContentDigest) -> bytes | None:
        """Return the stored bytes of an entry; None if it is missing or damaged, and moved aside.

        Raises:
            ValueStoreError: The store cannot be read.
        """
        loaded = self._load(digest, _read_bytes)
        return None if loaded is None else bytes(loaded)

    def map(self, digest: ContentDigest) -> mmap.mmap | None:
        """Return the stored bytes of an entry as memory that is the caller's own.

        A file of this machine is mapped, page by page and only where it is used; what is written
        to the pages stays in this process. As `read` otherwise.
        """
        loaded = self._load(digest, _map_file)
        assert loaded is None or isinstance(loaded, mmap.mmap)
        return loaded

    def _load(
        self, digest: ContentDigest, take: Callable[[IO[bytes], int], tuple[Any, str]]
    ) -> Any:
        # More than once: somebody may have put a good entry in the place of a bad one in between.
        for attempt in range(_LOOKS):
            size = self.folder.size(name_of(digest))
            stream = None if size is None else self.folder.open(name_of(digest))
            if size is None or stream is None:
                return None
            with stream, self._reading():
                try:
                    content, found = take(stream, size)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if attempt + 1 == _LOOKS or error.errno != _REPLACED:
                        raise
                    continue
            if found == digest:
                return content
            if attempt == 0:
                continue
            try:
                if self.quarantine(digest) is not None:
                    return None
            except ValueStoreError:
                # Who may only read leaves it to others to move it; nobody uses it all the same.
                return None
        return None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Make an error of a stream one of the store: it says nothing about what is in it."""
        try:
            yield
        except (TypeError, MemoryError):
            raise
        except Exception as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ValueStoreError(self.url, reason) from error

    # Looking after it

    def has(self, digest: ContentDigest) -> bool:
        """Tell whether there is an entry; it may be damaged.

        Raises:
            ValueStoreError: The store cannot be read.
        """
        return self.folder.size(name_of(digest)) is not None

    def check(self, digest: ContentDigest) -> str | None:
        """Return what is wrong with an entry, in words; it is left where it is.

        Raises:
            ValueStoreError: The store cannot be read.
        """
        found = self._digest_at(name_of(digest))
        if found is None:
            return "its entry in the value store is missing"
        return None if found == digest else "its entry in the value store has other bytes"

    def _digest_at(self, name: str) -> str | None:
        size = self.folder.size(name)
        stream = None if size is None else self.folder.open(name)
        if stream is None:
            return None
        with stream, self._reading(), suppress(FileNotFoundError):
            return _digest_stream(stream)
        return None  # it was taken away in between

    def entries(self) -> Iterator[Entry]:
        """Yield all entries, sorted; nothing of them is read.

        Raises:
            ValueStoreError: The store cannot be read.
        """
        for name, size in self.folder.names(""):
            digest = _digest_of(name)
            if digest is not None:
                yield Entry(digest, size)

    def quarantine(self, digest: ContentDigest) -> str | None:
        """Move an entry aside; return its new name, None if it was not there (any more).

        Raises:
            ValueStoreError: The store cannot be written.
        """
        target = f"{QUARANTINE}/{digest}-{os.urandom(4).hex()}"
        if not self.folder.move(name_of(digest), target):
            return None
        # Somebody may have put a good entry in the place of the bad one in between.
        if self._digest_at(target) == digest and self.folder.move(target, name_of(digest)):
            return None
        return target

    def remove(self, digest: ContentDigest, grace: float) -> int | None:
        """Remove an entry that no row refers to; returns its size, None if it is not removed.

        Args:
            digest: Its name.
            grace: Seconds; one that was written or wanted within that time stays.

        Raises:
            ValueStoreError: The store cannot be written.
        """
        return self.folder.remove(name_of(digest), grace)

    @property
    def is_remote(self) -> bool:
        """Whether it is no folder of this machine: nobody can say there that he wants an entry."""
        return is_url(self.url) and not self.url.startswith("file://")

    def quarantined(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of what was moved aside."""
        yield from self.folder.names(QUARANTINE)

    def drafts(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of what was not finished: by who writes now, or was killed."""
        yield from self.folder.names(DRAFTS)

    # From other processes

    def across(self, host: str | None = None) -> ValueStore | None:
        """Return the store as another process has it; None if that one has not.

        Args:
            host: The machine that the store was named on, if this is called where values are
                made; the other process is on this machine otherwise.
        """
        scheme = self.url.partition("://")[0] if is_url(self.url) else "file"
        if scheme == "memory":
            return None
        is_here = host is None or host == platform.node()
        return self if scheme != "file" or is_here else None


class Published(NamedTuple):
    """What a row says of an entry."""

    format: str
    size: int
    digest: ContentDigest


class Entry(NamedTuple):
    """An entry as a list shows it."""

    digest: ContentDigest
    size: int


class TooLargeError(Exception):
    """More was written than is taken; never leaves `taskgraph.values`."""


class Outside:
    """Stands for the bytes of a value that lie in a value store, until they are needed.

    Args:
        store: Where; None if that is not known here.
        digest: What they are called there.
    """

    __slots__ = ("digest", "size", "store")

    def __init__(self, store: ValueStore | None, digest: ContentDigest) -> None:
        self.store = store
        self.digest = digest
        self.size = 0

    def __len__(self) -> int:
        """Return how many bytes were loaded last."""
        return self.size

    def __bool__(self) -> bool:
        return True

    def load(self, value_hash: str, *, mapped: bool = False) -> bytes | mmap.mmap:
        """Return the bytes, after they were held against their digest.

        Args:
            value_hash: What to call the value in an error.
            mapped: Whether they are wanted as memory of their own, see `ValueStore.map`.

        Raises:
            DamagedValueError: They are not there, or others; these are moved aside now.
            ValueStoreError: The store cannot be read, or is not known.
        """
        if self.store is None:
            raise ValueStoreError("", "a value is kept in one, and none is set here")
        content = self.store.map(self.digest) if mapped else self.store.read(self.digest)
        if content is None:
            reason = "its entry in the value store is missing, or was damaged and moved aside"
            raise DamagedValueError(value_hash, reason)
        self.size = len(content)
        return content


def locate(value: bytes, digest: ContentDigest, store: ValueStore | None) -> bytes | Outside:
    """Return the bytes of a row, or where they are if the row has none."""
    return value if value or digest == NOTHING else Outside(store, digest)


class Draft(io.RawIOBase):
    """A stream that takes note of the size and the digest of what passes through it.

    Args:
        file: Where it goes.
        max_size: More bytes than this are refused.
    """

    def __init__(self, file: Any, max_size: int | None = None) -> None:
        super().__init__()
        self._file = file
        self._hasher = xxh3_128()
        self._max_size = max_size
        self.size = 0

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, content: Any) -> int:
        """Write all of the content, whatever buffer that is.

        Raises:
            TooLargeError: It would be more than is taken.
        """
        view = memoryview(content).cast("B")
        self.size += len(view)
        if self._max_size is not None and self.size > self._max_size:
            raise TooLargeError
        self._hasher.update(view)
        write_all(self._file, view)
        return len(view)

    @property
    def file(self) -> IO[bytes]:
        """The file that it writes to."""
        file: IO[bytes] = self._file
        return file

    @property
    def digest(self) -> ContentDigest:
        """The digest of all that was written."""
        return ContentDigest(self._hasher.hexdigest())


def name_of(digest: ContentDigest) -> str:
    """Return the name of an entry, which lies in one of 256 folders."""
    return f"{digest[:2]}/{digest[2:]}"


def _digest_of(name: str) -> ContentDigest | None:
    folder, _, rest = name.partition("/")
    is_entry = len(folder) == 2 and len(rest) == 30 and _is_hex(folder + rest)
    return ContentDigest(folder + rest) if is_entry else None


def _is_hex(text: str) -> bool:
    return not set(text) - set("0123456789abcdef")


@lru_cache(maxsize=16)
def _folder(url: str) -> EntryFolder:
    return entry_folder(url)


def _pieces(stream: IO[bytes]) -> Iterator[Buffer]:
    """Yield a stream piece by piece, each in the memory of the one before where that can be."""
    into = getattr(stream, "readinto", None)
    if into is None:
        while piece := stream.read(_CHUNK):
            yield piece
        return
    view = memoryview(bytearray(_CHUNK))
    while count := into(view):
        yield view[:count]


def _digest_stream(stream: IO[bytes]) -> ContentDigest:
    hasher = xxh3_128()
    for piece in _pieces(stream):
        hasher.update(piece)
    return ContentDigest(hasher.hexdigest())


def _read_bytes(stream: IO[bytes], size: int) -> tuple[bytes, str]:
    content = stream.read(-1)
    return content, digest_bytes(content)


def _map_file(stream: IO[bytes], size: int) -> tuple[mmap.mmap, str]:
    try:
        number = stream.fileno()
    except (OSError, AttributeError):
        return _fetch(stream, size)
    # Read, and not by the map: an error of the disk is then an error, and not the end of the
    # process; and pages that nobody uses stay out of it. It is the very file that is mapped.
    digest = _digest_stream(stream)
    length = os.fstat(number).st_size
    if not length:
        return mmap.mmap(-1, 1), digest
    return mmap.mmap(number, length, access=mmap.ACCESS_COPY), digest


def _fetch(stream: IO[bytes], size: int) -> tuple[mmap.mmap, str]:
    """Read a stream into memory of its own."""
    hasher = xxh3_128()
    memory = mmap.mmap(-1, max(size, 1))
    place = 0
    for piece in _pieces(stream):
        hasher.update(piece)
        if place + len(piece) > size:
            return memory, ""  # it is longer than it was said to be
        memory[place : place + len(piece)] = bytes(piece)
        place += len(piece)
    return memory, hasher.hexdigest() if place == size else ""


__all__ = [
    "MIN_SIZE",
    "NOTHING",
    "QUARANTINE",
    "Draft",
    "Entry",
    "Outside",
    "Published",
    "TooLargeError",
    "ValueStore",
    "locate",
    "name_of",
]
