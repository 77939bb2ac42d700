"""One small interface over local paths and everything that fsspec can reach.

Methods take what `places.locate` returns: an absolute path or a URL. Looking at a remote file never
downloads it.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any, NamedTuple, Protocol

from taskgraph.hashing import hash_record
from taskgraph.values.contents import DIRECTORY, MISSING, Progress, Seen, bytes_to_read, look
from taskgraph.values.places import Policy, current_places, is_url, locate, printable
from taskgraph.values.streams import (
    FileInPlace,
    PendingFile,
    is_temporary,
    open_for_writing,
)

_COPY_CHUNK = 4 << 20
# What is smaller is sent in one request, which a store keeps whole or not at all.
_ONE_REQUEST = 4 << 20


class Entry(NamedTuple):
    """Something found in a folder: where it is, and what is known of its content by that."""

    location: str
    seen: Seen | None


def _nothing() -> None:
    """Stand for a caller who need not know that a stream was closed."""


class Filesystem(Protocol):
    """What can be done with paths, whatever lies behind them."""

    proto: str

    def open(
        self,
        path: str,
        mode: str = "r",
        encoding: str | None = None,
        *,
        newline: str | None = None,
        on_close: Callable[[], None] = _nothing,
    ) -> IO[Any]:
        """Open a file; one that is written appears, whole, when its stream is closed.

        Args:
            path: Where the file is or will be.
            mode: As for `open`.
            encoding: Of text; UTF-8 if it is not given.
            newline: As for `open`.
            on_close: Called once when a stream for writing was closed and nothing went wrong.

        Raises:
            ValueError: The mode is binary and there is an encoding.
        """
        ...

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or a folder."""
        ...

    def isfile(self, path: str) -> bool:
        """Tell whether there is a file."""
        ...

    def isdir(self, path: str) -> bool:
        """Tell whether there is a folder."""
        ...

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a folder and its parents, as far as they are missing."""
        ...

    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove a folder.

        Raises:
            OSError: It is not empty, and this is not recursive.
        """
        ...

    def glob(self, pattern: str) -> list[str]:
        """Return what matches a pattern (``*``, ``?``, ``[]``, ``**``), sorted."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Copy a file within this file system; the target appears whole."""
        ...

    def touch(self, path: str) -> None:
        """Make an empty file, or have an existing one appear as changed now."""
        ...

    def identity(self, path: str, policy: Policy, progress: Progress | None = None) -> Seen:
        """Return what is at a path now; it may be nothing."""
        ...

    def bytes_to_read(self, path: str, policy: Policy) -> int:
        """Return how many bytes ``identity`` would read."""
        ...

    def files_below(self, path: str) -> list[Entry]:
        """Return all files in a folder and its folders, sorted by path."""
        ...

    def files_matching(self, pattern: str) -> list[Entry]:
        """Return the files that match a pattern, sorted by path."""
        ...


def check_mode(mode: str, encoding: str | None) -> None:
    """Refuse what no file can be opened with.

    Raises:
        ValueError: The mode is none, or is binary and there is an encoding.
    """
    if re.fullmatch(r"[rwax](?:[bt]?\+?|\+[bt])", mode) is None:
        raise ValueError(f"{mode!r} is not a mode for opening files: use 'r', 'w', 'rb', 'ab' ...")
    if "b" in mode and encoding is not None:
        raise ValueError(
            f"a binary mode ({mode!r}) has no encoding, but encoding={encoding!r} was given"
        )


@contextmanager
def errors_naming(path: str) -> Iterator[None]:
    """Have every OSError inside say which path it is about, with its class and number kept.

    One that says so already, of this path or of another, stays as it is.
    """
    try:
        yield
    except OSError as error:
        shown = printable(path)
        if str(error).endswith(f". {shown}") or _is_named(error):
            raise
        number = error.errno or next(
            (each for kind, each in _NUMBERS if isinstance(error, kind)), None
        )
        if number is None:
            raise type(error)(f"{error}. {shown}") from error
        raise OSError(number, f"{os.strerror(number)}. {shown}") from error


def _is_named(error: OSError) -> bool:
    # Those of the system have the path in an attribute of its own.
    text = error.strerror or ""
    return error.errno is not None and text.startswith(f"{os.strerror(error.errno)}. ")


# fsspec raises these without a number.
_NUMBERS: tuple[tuple[type[OSError], int], ...] = (
    (FileNotFoundError, errno.ENOENT),
    (FileExistsError, errno.EEXIST),
    (PermissionError, errno.EACCES),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOTDIR),
)


class LocalFilesystem:
    """Files of this machine, and what is mounted on it."""

    proto = "local"

    def open(
        self,
        path: str,
        mode: str = "r",
        encoding: str | None = None,
        *,
        newline: str | None = None,
        on_close: Callable[[], None] = _nothing,
    ) -> IO[Any]:
        """Open a file; see `Filesystem`. Modes ``a`` and ``r+`` change a file where it is."""
        check_mode(mode, encoding)
        if mode[0] == "r" and "+" not in mode:
            text = None if "b" in mode else encoding or "utf-8"
            return open(path, mode, encoding=text, newline=newline)
        raw: PendingFile | FileInPlace
        if mode[0] in "wx" and not _is_special(path):
            raw = PendingFile(path, exclusive=mode[0] == "x")
        else:
            if mode[0] == "a":
                os.makedirs(os.path.dirname(path), exist_ok=True)
            raw = FileInPlace(path, mode.replace("b", "").replace("t", ""))
        return open_for_writing(raw, mode, encoding, newline, on_close)

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or a folder."""
        return os.path.exists(path)

    def isfile(self, path: str) -> bool:
        """Tell whether there is a file."""
        return os.path.isfile(path)

    def isdir(self, path: str) -> bool:
        """Tell whether there is a folder."""
        return os.path.isdir(path)

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        return os.stat(path).st_size

    def remove(self, path: str) -> None:
        """Remove a file, or a link, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(path)

    def mkdir(self, path: str) -> None:
        """Make a folder and its parents, as far as they are missing."""
        os.makedirs(path, exist_ok=True)

    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove a folder, with all that is in it only if asked."""
        if recursive:
            import shutil  # here and below only where it is needed: it takes its time to load

            shutil.rmtree(path)
        else:
            os.rmdir(path)

    def glob(self, pattern: str) -> list[str]:
        """Return what matches a pattern, sorted; names with a leading dot only if asked for."""
        import glob as globbing

        return sorted(globbing.glob(pattern, recursive=True))

    def copy(self, source: str, target: str) -> None:
        """Copy a file and its permissions; the target appears whole."""
        import shutil

        with errors_naming(target):
            pending = PendingFile(target)
        try:
            shutil.copyfile(source, pending.name)
            shutil.copymode(source, pending.name)
        except BaseException:
            pending.discard()
            raise
        finally:
            pending.close()

    def touch(self, path: str) -> None:
        """Make an empty file, or have an existing one appear as changed now."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666))
        os.utime(path)

    def identity(self, path: str, policy: Policy, progress: Progress | None = None) -> Seen:
        """Return what is at a path now, from the stat cache if it did not change."""
        return look(path, policy, progress)

    def bytes_to_read(self, path: str, policy: Policy) -> int:
        """Return how many bytes ``identity`` would read."""
        return bytes_to_read(path, policy)

    def files_below(self, path: str) -> list[Entry]:
        """Return all files in a folder and its folders; links to folders are followed once."""
        found: list[str] = []
        pending: list[tuple[str, frozenset[tuple[int, int]]]] = [(path, frozenset())]
        while pending:
            folder, above = pending.pop()
            try:
                own = os.stat(folder)
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                # Gone meanwhile, or never there: as if it were empty.
                continue
            key = own.st_dev, own.st_ino
            if key in above:
                continue
            within = above | {key}
            for entry in entries:
                if entry.is_dir():
                    pending.append((entry.path, within))
                elif not is_temporary(entry.name):
                    found.append(entry.path)
        return [Entry(each, None) for each in sorted(found)]

    def files_matching(self, pattern: str) -> list[Entry]:
        """Return the files that match a pattern, sorted by path."""
        return [
            Entry(each, None)
            for each in self.glob(pattern)
            if not os.path.isdir(each) and not is_temporary(os.path.basename(each))
        ]


def _is_special(path: str) -> bool:
    """Tell whether there is a pipe or a device, which can only be written where it is."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


# Where folders are but prefixes of names: there is nothing to make, and making the parents of a
# file would make a bucket when its name was mistyped.
_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "ocilake", "oss", "r2", "hf"}
)

# By which fsspec's file systems name a version of a file's content, the best first: what is equal
# for equal content before what is new with each writing.
_VERSION_KEYS = (
    "ETag",
    "etag",
    "md5Hash",
    "md5",
    "crc32c",
    "Content-MD5",
    "checksum",
    "sha256",
    "generation",
    "VersionId",
    "version_id",
    "hex",
)
_TIME_KEYS = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


class RemoteFilesystem:
    """Files behind URLs, through fsspec.

    Args:
        proto: The URLs' protocol, such as ``s3``.
    """

    def __init__(self, proto: str) -> None:
        self.proto = proto

    def open(
        self,
        path: str,
        mode: str = "r",
        encoding: str | None = None,
        *,
        newline: str | None = None,
        on_close: Callable[[], None] = _nothing,
    ) -> IO[Any]:
        """Open a file; see `Filesystem`. There is no mode that reads and writes."""
        check_mode(mode, encoding)
        if "+" in mode:
            raise ValueError(f"a remote file cannot be opened for reading and writing ({mode!r})")
        remote, inner = self._connect(path)
        if mode[0] == "r":
            stream: IO[Any] = remote.open(inner, "rb")
            with suppress(AttributeError):
                # An archive that nobody holds is closed, with the streams into it.
                stream._filesystem = remote  # type: ignore[attr-defined]
            if "b" in mode:
                return stream
            return io.TextIOWrapper(stream, encoding=encoding or "utf-8", newline=newline)
        if mode[0] == "x" and remote.exists(inner):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        raw = _PendingObject(self, remote, inner)
        if mode[0] == "a" and remote.exists(inner):
            import shutil

            # Stores have no appending: the file is written anew, with what was there first.
            with remote.open(inner, "rb") as before:
                shutil.copyfileobj(before, raw, _COPY_CHUNK)
        return open_for_writing(raw, mode, encoding, newline, on_close)

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or a folder."""
        remote, inner = self._connect(path)
        return bool(remote.exists(inner))

    def isfile(self, path: str) -> bool:
        """Tell whether there is a file."""
        remote, inner = self._connect(path)
        return bool(remote.isfile(inner))

    def isdir(self, path: str) -> bool:
        """Tell whether there is a folder, or names that start so."""
        remote, inner = self._connect(path)
        return bool(remote.isdir(inner))

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        remote, inner = self._connect(path)
        return int(remote.info(inner).get("size") or 0)

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        remote, inner = self._connect(path)
        if remote.isdir(inner) and not remote.isfile(inner):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with suppress(FileNotFoundError):
            remote.rm_file(inner)

    def mkdir(self, path: str) -> None:
        """Make a folder and its parents; nothing where folders are but prefixes."""
        remote, inner = self._connect(path)
        self._make_folder(remote, inner)

    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove a folder, with all that is in it only if asked."""
        remote, inner = self._connect(path)
        if recursive:
            remote.rm(inner, recursive=True)
            return
        has_folders = self.proto not in _OBJECT_STORES
        try:
            within = remote.ls(inner, detail=False)
        except FileNotFoundError:
            # In an object store a folder is there only as long as files are.
            if has_folders:
                raise
            within = []
        if within:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        # A bucket is never removed.
        if has_folders:
            remote.rmdir(inner)

    def glob(self, pattern: str) -> list[str]:
        """Return what matches a pattern, sorted, as URLs."""
        remote, inner = self._connect(pattern)
        return sorted(_as_url(pattern, inner, found, remote) for found in remote.glob(inner))

    def copy(self, source: str, target: str) -> None:
        """Copy a file; the store does it by itself."""
        remote, inner = self._connect(source)
        _, target_inner = self._connect(target)
        self._with_parents(remote, target_inner, lambda: remote.cp_file(inner, target_inner))

    def touch(self, path: str) -> None:
        """Make an empty file; one that exists is left alone."""
        remote, inner = self._connect(path)
        if not remote.exists(inner):
            self._with_parents(remote, inner, lambda: remote.pipe_file(inner, b""))

    def identity(self, path: str, policy: Policy, progress: Progress | None = None) -> Seen:
        """Return what the store says of a file, without a download."""
        remote, inner = self._connect(path)
        try:
            found = remote.info(inner)
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        return _seen_in(found, policy, partial(remote.ukey, inner))

    def bytes_to_read(self, path: str, policy: Policy) -> int:
        """Return 0: remote files are never read for their identity."""
        return 0

    def files_below(self, path: str) -> list[Entry]:
        """Return all files in a folder and its folders, from as few listings as the store needs."""
        remote, inner = self._connect(path)
        return self._entries(path, inner, remote, remote.find(inner, detail=True))

    def files_matching(self, pattern: str) -> list[Entry]:
        """Return the files that match a pattern, sorted by path."""
        remote, inner = self._connect(pattern)
        return self._entries(pattern, inner, remote, remote.glob(inner, detail=True))

    def _entries(
        self, url: str, inner: str, remote: Any, listing: Mapping[str, Mapping[str, Any]]
    ) -> list[Entry]:
        places = current_places()
        entries = []
        for name, found in listing.items():
            # A name that ends in a slash marks a folder in a store that has none.
            if found.get("type") == "directory" or name.endswith("/"):
                continue
            location = _as_url(url, inner, name, remote)
            policy = places.policy(location)
            # Some listings say less than asking for one file does; a version is a version.
            is_enough = policy is Policy.CONTENT and any(found.get(key) for key in _VERSION_KEYS)
            seen = _seen_in(found, policy, partial(remote.ukey, name)) if is_enough else None
            entries.append(Entry(location, seen))
        return sorted(entries)

    def _connect(self, url: str) -> tuple[Any, str]:
        """Return fsspec's file system and the path in it, with no listing remembered.

        fsspec keeps one file system for each process and thread, so this costs little; and it
        remembers listings, which other processes make wrong.
        """
        import fsspec

        remote, inner = fsspec.core.url_to_fs(url)
        remote.invalidate_cache()
        return remote, inner

    def _make_folder(self, remote: Any, inner: str) -> None:
        if inner and self.proto not in _OBJECT_STORES:
            remote.makedirs(inner, exist_ok=True)

    def _with_parents(self, remote: Any, inner: str, write: Callable[[], object]) -> None:
        try:
            write()
        except FileNotFoundError:
            if self.proto in _OBJECT_STORES:
                raise
            self._make_folder(remote, remote._parent(inner))
            write()


class _PendingObject(io.RawIOBase):
    """A remote file that appears when this is closed.

    A small one is sent in one request at the end. A large one is streamed to an object store in
    parts, which are put together at the end or never; for all others it is kept on the local disk
    until the end, for what they do with half of a file is not known.
    """

    def __init__(self, filesystem: RemoteFilesystem, remote: Any, inner: str) -> None:
        super().__init__()
        self._filesystem = filesystem
        self._remote = remote
        self._inner = inner
        self._small: io.BytesIO | None = io.BytesIO()
        self._parts: Any = None
        self._on_disk: IO[bytes] | None = None
        self._discarded = False

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        size = memoryview(content).nbytes
        if self._small is not None:
            if self._small.tell() + size <= _ONE_REQUEST:
                return self._small.write(content)
            first, self._small = self._small.getvalue(), None
            self._begin().write(first)
        self._begin().write(bytes(content))
        return size

    def discard(self) -> None:
        self._discarded = True

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self._small is not None:
            if not self._discarded:
                content = self._small.getvalue()
                self._publish(lambda: self._remote.pipe_file(self._inner, content))
        elif self._on_disk is not None:
            with self._on_disk as local:
                local.flush()
                if not self._discarded:
                    self._publish(lambda: self._remote.put_file(local.name, self._inner))
        elif self._parts is not None:
            self._end_parts()

    def _begin(self) -> Any:
        """Return where a large file's content goes."""
        if self._on_disk is not None or self._parts is not None:
            return self._on_disk or self._parts
        if self._filesystem.proto in _OBJECT_STORES:
            parts = self._remote.open(self._inner, "wb", autocommit=False)
            # fsspec notes it for a transaction that this is not part of.
            with suppress(ValueError):
                self._remote.transaction.files.remove(parts)
            if getattr(parts, "autocommit", True) is False:
                self._parts = parts
                return parts
        import tempfile

        self._on_disk = tempfile.NamedTemporaryFile(prefix="taskgraph-")  # noqa: SIM115 - close() closes it
        return self._on_disk

    def _end_parts(self) -> None:
        try:
            self._parts.close()
            if not self._discarded:
                self._parts.commit()
        except BaseException:
            self._discarded = True
            raise
        finally:
            if self._discarded:
                self._parts.discard()

    def _publish(self, write: Callable[[], object]) -> None:
        self._filesystem._with_parents(self._remote, self._inner, write)


def _as_url(url: str, inner: str, found: str, remote: Any) -> str:
    """Return the URL of something found under another URL, spelled as that one is.

    Args:
        url: The URL below which it was found.
        inner: What fsspec made of ``url``; the difference is what it takes off all paths.
        found: What fsspec calls it.
        remote: The file system that found it.
    """
    if url.endswith(inner):
        return url[: len(url) - len(inner)] + found
    return str(remote.unstrip_protocol(found))


def _seen_in(found: Mapping[str, Any], policy: Policy, ukey: Callable[[], object]) -> Seen:
    """Return the identity of a remote file by what its store says of it."""
    if found.get("type") == "directory":
        return DIRECTORY
    size = int(found.get("size") or 0)
    if policy is Policy.IMMUTABLE:
        return Seen(hash_record("file remote", "immutable"), size)
    keys = _TIME_KEYS if policy is Policy.STAT else _VERSION_KEYS + _TIME_KEYS
    for key in keys:
        version = found.get(key)
        if version:
            return Seen(hash_record("file remote", key, str(version), size), size)
    return Seen(hash_record("file remote", "ukey", str(ukey()), size), size)


_LOCAL = LocalFilesystem()


def get_filesystem(proto: str | None = None, url: str | None = None) -> Filesystem:
    """Return the file system of a protocol, or the one that a path or URL lies in.

    Raises:
        ValueError: Neither is given.
    """
    if proto is None:
        if url is None:
            raise ValueError("give a protocol (proto='s3') or a path (url='s3://bucket/name')")
        proto = re.split(r"::|://", url, maxsplit=1)[0] if is_url(url) else "local"
    return _LOCAL if proto in ("local", "file") else RemoteFilesystem(proto)


def glob_file(pattern: str) -> list[str]:
    """Return the paths or URLs that match a pattern, sorted; relative ones for a relative one."""
    if is_url(pattern):
        location = locate(pattern)
        return get_filesystem(url=location).glob(location)
    return _LOCAL.glob(pattern)


def copy_file(src: str, dest: str, recursive: bool = False) -> None:
    """Copy a file, or with ``recursive`` a folder, between any two paths or URLs.

    Each file appears whole at its destination; parents are made. A folder that is there already
    is filled, and keeps what else is in it.

    Raises:
        FileNotFoundError: There is no such file, or folder.
    """
    source, target = locate(src), locate(dest)
    copy_one = copy_folder_between if recursive else copy_between
    with errors_naming(src):
        copy_one(get_filesystem(url=source), source, get_filesystem(url=target), target)


def copy_folder_between(
    source_files: Filesystem, source: str, target_files: Filesystem, target: str
) -> None:
    """Copy all files of a folder from one file system to another, or within one."""
    if source == target:
        return
    if not source_files.isdir(source):
        number = errno.ENOTDIR if source_files.exists(source) else errno.ENOENT
        raise OSError(number, os.strerror(number))
    # Listed first: the target may lie in the folder. Made then, so that the copy of an empty
    # folder exists as well.
    entries = source_files.files_below(source)
    target_files.mkdir(target)
    for entry in entries:
        inside = entry.location[len(source) :].lstrip("/")
        copy_between(source_files, entry.location, target_files, f"{target.rstrip('/')}/{inside}")


def copy_between(
    source_files: Filesystem, source: str, target_files: Filesystem, target: str
) -> None:
    """Copy one file from one file system to another, or within one."""
    if source == target:
        return
    if source_files.isdir(source):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if source_files.proto == target_files.proto:
        source_files.copy(source, target)
        return
    import shutil

    with source_files.open(source, "rb") as reader:
        with errors_naming(target):
            writer = target_files.open(target, "wb")
        with writer:
            shutil.copyfileobj(reader, writer, _COPY_CHUNK)
