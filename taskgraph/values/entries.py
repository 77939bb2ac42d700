"""Folders of entries: files that appear whole or not at all, on this machine or behind a URL.

Nothing here knows what an entry holds. What is not there is told apart from a folder that cannot
be reached: the first is an answer, the second always an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC
from typing import IO, Any, Protocol

from taskgraph.errors import TaskgraphError, ValueStoreError
from taskgraph.values.filesystems import RemoteFilesystem
from taskgraph.values.places import is_url

#: Where files of the local disk are written before they get their names.
DRAFTS = "new"
#: What nobody has written to for so long is of somebody who was killed.
STALE_SECONDS = 24 * 60 * 60

_CHUNK = 1 << 22

Buffer = bytes | bytearray | memoryview


class EntryFolder(Protocol):
    """Where entries lie. Names are relative, with slashes.

    Every method raises `ValueStoreError` if the folder cannot be reached, read or written.
    """

    url: str

    def size(self, name: str) -> int | None:
        """Return how many bytes an entry has; None if it is not there."""
        ...

    def save(self, name: str, content: Buffer) -> None:
        """Write an entry, which appears whole."""
        ...

    def draft(self) -> AbstractContextManager[IO[bytes]]:
        """Give a file of the local disk, to be written before its name is known.

        It is gone at the end of the block, unless an entry was made of it.
        """
        ...

    def publish(self, draft: IO[bytes], name: str) -> None:
        """Make an entry of a file that `draft` gave, which appears whole."""
        ...

    def open(self, name: str) -> IO[bytes] | None:
        """Open an entry; None if it is not there."""
        ...

    def move(self, name: str, target: str) -> bool:
        """Give an entry another name; False if it is not there (any more)."""
        ...

    def names(self, below: str) -> Iterator[tuple[str, int]]:
        """Yield name and size of all entries in a folder and its folders, sorted."""
        ...

    def touch(self, name: str) -> None:
        """Have an entry count as new: somebody is about to refer to it."""
        ...

    def remove(self, name: str, grace: float) -> int | None:
        """Remove an entry, unless it was written or touched less than so many seconds ago.

        Returns:
            How many bytes it had; None if it is still there, or was not.
        """
        ...


def entry_folder(url: str) -> EntryFolder:
    """Return the folder behind a URL or a path; it is made when something is written."""
    if url.startswith("file://"):
        return LocalEntries(url.removeprefix("file://"))
    return RemoteEntries(url) if is_url(url) else LocalEntries(url)


def write_all(file: IO[bytes], content: Buffer) -> None:
    """Write to a raw file, which takes as much as it can at a time: less, on a full disk."""
    view = memoryview(content)
    while view:
        view = view[file.write(view[:_CHUNK]) :]


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Make whatever a file system raises an error that names the store.

    A broad net: drivers of stores have exceptions of their own that are no OSError. What the
    caller was about to store is still there, and who was about to read runs no code instead.
    """
    try:
        yield
    except (TaskgraphError, MemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        raise ValueStoreError(url, reason) from error


class LocalEntries:
    """Entries on a disk of this machine, or one that is mounted.

    Args:
        path: The folder.
    """

    def __init__(self, path: str) -> None:
        self.url = path
        self._is_swept = False

    def _path(self, name: str) -> str:
        return os.path.join(self.url, *name.split("/"))

    def size(self, name: str) -> int | None:
        """Return how many bytes an entry has; None if it is not there."""
        with _reaching(self.url):
            try:
                return os.stat(self._path(name)).st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def save(self, name: str, content: Buffer) -> None:
        """Write an entry: to a file of its own first, which is then renamed."""
        with _reaching(self.url), self.draft() as draft:
            write_all(draft, content)
            self.publish(draft, name)

    @contextmanager
    def draft(self) -> Iterator[IO[bytes]]:
        """Give a new file in the folder, so that it can be renamed to an entry.

        What those left behind who were killed meanwhile is swept by the next one who comes.
        """
        folder = os.path.join(self.url, DRAFTS)
        with _reaching(self.url):
            os.makedirs(folder, exist_ok=True)
            if not self._is_swept:
                self._is_swept = True
                _sweep(folder)
            path = os.path.join(folder, f"{os.getpid()}-{os.urandom(8).hex()}")
            file = open(path, "x+b", buffering=0)  # noqa: SIM115 - it is closed below
        try:
            with file:
                yield file
        finally:
            with suppress(OSError):
                os.unlink(path)

    def publish(self, draft: IO[bytes], name: str) -> None:
        """Rename a draft; an entry that is there is replaced by one of the same content."""
        with _reaching(self.url):
            # Some disks tell only then that they are full.
            draft.close()
            target = self._path(name)
            try:
                os.replace(draft.name, target)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(draft.name, target)

    def open(self, name: str) -> IO[bytes] | None:
        """Open an entry; None if it is not there."""
        with _reaching(self.url):
            try:
                return open(self._path(name), "rb", buffering=0)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def move(self, name: str, target: str) -> bool:
        """Rename an entry; False if it is not there (any more)."""
        with _reaching(self.url):
            path = self._path(target)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                os.rename(self._path(name), path)
            except FileNotFoundError:
                return False
            return True

    def names(self, below: str) -> Iterator[tuple[str, int]]:
        """Yield name and size of all entries in a folder and its folders, sorted."""
        with _reaching(self.url):
            start = self._path(below) if below else self.url
            for folder, folders, files in os.walk(start, onerror=_raise_unless_missing):
                folders.sort()
                for each in sorted(files):
                    path = os.path.join(folder, each)
                    with suppress(FileNotFoundError):
                        size = os.stat(path).st_size
                        yield os.path.relpath(path, self.url).replace(os.sep, "/"), size

    def touch(self, name: str) -> None:
        """Set its time to now; who may only read leaves it as it is."""
        with suppress(OSError):
            os.utime(self._path(name))

    def remove(self, name: str, grace: float) -> int | None:
        """Remove an entry that nobody has touched lately.

        It is moved away first, and looked at once more there: whoever touched it in between is
        about to refer to it, and whoever comes later finds that it is not there, and writes it.
        """
        path, away = self._path(name), os.path.join(self.url, DRAFTS, f"gone-{os.urandom(8).hex()}")
        with _reaching(self.url):
            try:
                if os.stat(path).st_mtime > time.time() - grace:
                    return None
                os.makedirs(os.path.dirname(away), exist_ok=True)
                os.rename(path, away)
            except FileNotFoundError:
                return None
            stat = os.stat(away)
            if stat.st_mtime > time.time() - grace:
                os.replace(away, path)
                return None
            os.unlink(away)
            return stat.st_size


def _sweep(folder: str) -> None:
    """Remove the drafts that nobody writes to any more: nothing refers to a draft.

    By their age alone, for who writes may be on another host. Whoever stood still for that long
    finds that his draft is gone, and that his value is not kept.
    """
    with suppress(OSError):
        end = time.time() - STALE_SECONDS
        for each in os.scandir(folder):
            with suppress(OSError):
                if each.stat(follow_symlinks=False).st_mtime < end:
                    os.unlink(each.path)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


class RemoteEntries:
    """Entries behind a URL, through fsspec.

    Args:
        url: The folder.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._filesystem = RemoteFilesystem(url.partition("://")[0])

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"

    def _connect(self, name: str) -> tuple[Any, str]:
        import fsspec

        remote, inner = fsspec.core.url_to_fs(self._url(name))
        # Listings that fsspec remembers are made wrong by others.
        remote.invalidate_cache()
        return remote, inner

    def size(self, name: str) -> int | None:
        """Return how many bytes an entry has; None if it is not there."""
        with _reaching(self.url):
            # Not by `exists`, for which every error of a store is a file that is not there.
            remote, inner = self._connect(name)
            try:
                return int(remote.info(inner).get("size") or 0)
            except FileNotFoundError:
                self._check_place(remote, inner)
                return None

    def save(self, name: str, content: Buffer) -> None:
        """Write an entry: in one request, or in parts that are put together at the end."""
        with _reaching(self.url), self._filesystem.open(self._url(name), "wb") as stream:
            view = memoryview(content)
            for start in range(0, len(view), _CHUNK):
                stream.write(view[start : start + _CHUNK])

    @contextmanager
    def draft(self) -> Iterator[IO[bytes]]:
        """Give a temporary file of this machine; one without a name, where there are such.

        Who is killed leaves nothing behind then.
        """
        import tempfile  # here, as few need it and it takes its time to load

        with _reaching(self.url):
            file = tempfile.TemporaryFile(prefix="taskgraph-", buffering=0)  # noqa: SIM115
        with file:
            yield file

    def publish(self, draft: IO[bytes], name: str) -> None:
        """Send a draft; it appears whole."""
        with _reaching(self.url), self._filesystem.open(self._url(name), "wb") as stream:
            draft.seek(0)
            while piece := draft.read(_CHUNK):
                stream.write(piece)

    def open(self, name: str) -> IO[bytes] | None:
        """Open an entry; None if it is not there."""
        with _reaching(self.url):
            remote, inner = self._connect(name)
            try:
                stream: IO[bytes] = remote.open(inner, "rb", cache_type="readahead")
            except FileNotFoundError:
                self._check_place(remote, inner)
                return None
            return stream

    def move(self, name: str, target: str) -> bool:
        """Copy an entry to another name and remove it; False if it is not there (any more)."""
        with _reaching(self.url):
            remote, inner = self._connect(name)
            try:
                self._filesystem.copy(self._url(name), self._url(target))
                remote.rm_file(inner)
            except FileNotFoundError:
                return False
            return True

    def names(self, below: str) -> Iterator[tuple[str, int]]:
        """Yield name and size of all entries in a folder and its folders, sorted."""
        with _reaching(self.url):
            remote, inner = self._connect(below)
            _, root = self._connect("")
            root = root.rstrip("/")
            try:
                found = remote.find(inner.rstrip("/"), detail=True)
            except FileNotFoundError:
                found = {}
            for path in sorted(found):
                if found[path].get("type") != "directory":
                    name = path[len(root) :].lstrip("/")
                    yield name, int(found[path].get("size") or 0)

    def touch(self, name: str) -> None:
        """Do nothing: a store knows when an entry was written, and no more."""

    def remove(self, name: str, grace: float) -> int | None:
        """Remove an entry that was written long enough ago, as far as the store says when."""
        with _reaching(self.url):
            remote, inner = self._connect(name)
            try:
                found = remote.info(inner)
                written = remote.modified(inner)
            except FileNotFoundError:
                return None
            except NotImplementedError:
                # fsspec's word for a file system that does not say when a file was written: whether
                # somebody is about to refer to the entry cannot be known there, so it stays.
                return None
            if written.tzinfo is None:
                written = written.replace(tzinfo=UTC)
            if written.timestamp() > time.time() - grace:
                return None
            remote.rm_file(inner)
            return int(found.get("size") or 0)

    def _check_place(self, remote: Any, inner: str) -> None:
        """Raise if it is the bucket that is not there, and not the entry alone."""
        if self._filesystem.proto in _WITH_BUCKETS:
            bucket = inner.lstrip("/").partition("/")[0]
            try:
                remote.ls(bucket, detail=False)
            except FileNotFoundError:
                raise ValueStoreError(self.url, f"there is no bucket {bucket!r}") from None


_WITH_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})


__all__ = [
    "DRAFTS",
    "STALE_SECONDS",
    "EntryFolder",
    "LocalEntries",
    "RemoteEntries",
    "entry_folder",
    "write_all",
]
