"""Records as lines of JSON: a line that says what follows, the records, and a line that ends them.

A file is read as it comes, a line at a time, and nothing in it is believed: each line is strict
JSON of a bounded length, and what ends too early says so.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NoReturn, cast

from taskgraph.errors import InvalidRecordError, RecordVersionError
from taskgraph_backend import redun
from taskgraph_backend.schema import CURRENT
from taskgraph_backend.serializers import VERSION, Record, RecordSerializer, Rows, shown

FORMAT = "taskgraph records"
#: Longest line: the largest value that is stored (max_value_size), as base64, and then some.
MOST_LINE = 512 * 1024 * 1024
# What grows by more than this when it is unpacked, beyond so many bytes, is made to do harm.
_MOST_GROWTH = 400
_HARMLESS = 64 * 1024 * 1024
_CHUNK = 1 << 16

_ENDINGS = (".gz", ".bz2", ".xz", ".zst")


def write_lines(stream: BinaryIO, records: Iterable[Record]) -> int:
    """Write records as a file of them; return how many there were."""
    header = {"_type": "Header", "_version": VERSION, "format": FORMAT, "schema": str(CURRENT)}
    stream.write(_line(header))
    count = 0
    for record in records:
        stream.write(_line(record))
        count += 1
    stream.write(_line({"_type": "End", "_version": VERSION, "records": count}))
    return count


def _line(record: Record) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


class RecordFile:
    """A file of records that is read.

    Args:
        stream: Its bytes, unpacked.
        source: What it is called in messages.
        most_line: Longest line that is read.

    Attributes:
        line: The line that was read last.
    """

    def __init__(self, stream: BinaryIO, source: str, most_line: int = MOST_LINE) -> None:
        self._stream = stream
        self._source = source
        self._most_line = most_line
        self.line = 0

    def rows(self) -> Iterator[Rows]:
        """Yield the rows of all records, each after it was checked.

        Raises:
            InvalidRecordError: Something in the file is not as it must be.
        """
        serializer = RecordSerializer()
        try:
            for record in self._of_any_kind():
                yield serializer.rows(record)
        except InvalidRecordError as error:
            error.source, error.line = self._source, self.line
            raise

    def _of_any_kind(self) -> Iterator[Record]:
        """Yield records; where the first line is one of redun's, those that its lines stand for."""
        first = self._next()
        if first is not None and redun.is_line(first):
            yield from redun.read_lines(self._rest_after(first))
        else:
            yield from self.records(first)

    def _rest_after(self, first: Record) -> Iterator[Record]:
        line: Record | None = first
        while line is not None:
            yield line
            line = self._next()

    def records(self, header: Record | None = None) -> Iterator[Record]:
        """Yield the records as they stand in the file, neither checked nor written.

        Raises:
            InvalidRecordError: It is not a file of records, or ends too early.
        """
        count = 0
        if header is None and self.line == 0:
            header = self._next()
        if header is None:
            self._refuse("it is empty")
        self._check_header(header)
        while True:
            record = self._next()
            if record is None:
                self._refuse("it ends too early: the line that ends it is missing")
            if record.get("_type") == "End":
                break
            count += 1
            yield record
        if record.get("records") != count:
            self._refuse(
                f"{count} records are there, and its last line says {shown(record.get('records'))}"
            )
        if self._next() is not None:
            self._refuse("something follows the line that ends it")

    def _next(self) -> Record | None:
        self.line += 1
        try:
            text = self._stream.readline(self._most_line + 1)
        except InvalidRecordError:
            raise
        except (EOFError, OSError, ValueError) as error:
            self._refuse(f"it cannot be unpacked ({error})")
        except Exception as error:
            # Each of the packers has errors of its own, with nothing in common.
            self._refuse(f"it cannot be unpacked ({type(error).__name__}: {error})")
        if not text:
            return None
        if len(text) > self._most_line:
            self._refuse(f"a line has more than {self._most_line:,} bytes")
        if not text.endswith(b"\n"):
            self._refuse("it ends too early: within a line")
        return self._parse(text)

    def _parse(self, text: bytes) -> Record:
        try:
            found = json.loads(
                text.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant
            )
        except RecursionError:
            self._refuse("it is nested too deeply")
        except UnicodeDecodeError:
            self._refuse("it is not text in UTF-8")
        except ValueError as error:
            self._refuse(f"it is not JSON: {error}")
        if not isinstance(found, dict):
            self._refuse("a line is an object of JSON")
        return found

    def _check_header(self, header: Record) -> None:
        if header.get("_type") != "Header" or header.get("format") != FORMAT:
            self._refuse("it is no file of records: its first line is not that of one")
        version = header.get("_version")
        if type(version) is not int or version < 1:
            self._refuse("its version is no whole number from 1")
        if version > VERSION:
            raise RecordVersionError(
                f"its version {version} is newer than {VERSION}, which this library knows",
                source=self._source,
                line=self.line,
                advice="Upgrade taskgraph.",
            )

    def _refuse(self, reason: str) -> NoReturn:
        raise InvalidRecordError(reason, source=self._source, line=self.line)


def redun_rows(name: str) -> Iterator[Rows]:
    """Yield the rows that a database of redun stands for.

    Raises:
        InvalidRecordError: It is not one.
    """
    serializer = RecordSerializer()
    for record in redun.read_database(name):
        try:
            yield serializer.rows(record)
        except InvalidRecordError as error:
            error.source = name
            raise


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


# Packed files


class _Guarded:
    """What is unpacked, as long as it does not grow beyond all measure."""

    def __init__(self, packed: _Counted, unpacked: Any, source: str) -> None:
        self._packed = packed
        self._unpacked = unpacked
        self._source = source
        self._buffer = bytearray()
        self._size = 0

    def readline(self, most: int) -> bytes:
        """Return the next line, or its first bytes."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0 and len(self._buffer) < most:
            start = len(self._buffer)
            more = self._unpacked.read(_CHUNK)
            if not more:
                break
            self._size += len(more)
            if self._size > max(_HARMLESS, _MOST_GROWTH * self._packed.size):
                raise InvalidRecordError(
                    f"it grows more than {_MOST_GROWTH} times when it is unpacked",
                    source=self._source,
                    advice="If it is meant to, unpack it first.",
                )
            self._buffer += more
        stop = min(end + 1 if end >= 0 else len(self._buffer), most)
        line = bytes(self._buffer[:stop])
        del self._buffer[:stop]
        return line


class _Counted:
    """A stream of which is known how much was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Return bytes of the stream."""
        found = self._stream.read(size)
        self.size += len(found)
        return found

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return False: what was read is not read again."""
        return False


@contextmanager
def open_to_read(name: str) -> Iterator[BinaryIO]:
    """Open a file, a URL or standard input (``-``), unpacked by its suffix.

    What others send is fetched first: nobody is to be kept from writing for as long as it takes.
    """
    if name == "-":
        with _fetched(sys.stdin.buffer, name) as fetched:
            yield fetched
        return
    with _opened_to_read(name) as stream:
        if not name.endswith(_ENDINGS):
            yield stream
            return
        counted = _Counted(stream)
        unpacked = _packer(name, counted, "rb")
        try:
            yield cast(BinaryIO, _Guarded(counted, unpacked, name))
        finally:
            unpacked.close()


@contextmanager
def _opened_to_read(name: str) -> Iterator[Any]:
    with _open(name, "rb") as stream:
        if "://" not in name and stream.seekable():
            yield stream
            return
        with _fetched(stream, name) as fetched:
            yield fetched


@contextmanager
def _fetched(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Give what is in a stream, all of which has come: in memory, or in a file if it is much."""
    with SpooledTemporaryFile(_HARMLESS) as fetched:
        try:
            shutil.copyfileobj(stream, fetched, _CHUNK)
        except (OSError, EOFError) as error:
            raise InvalidRecordError(
                f"it cannot be read to its end ({error})", source=name
            ) from error
        fetched.seek(0)
        yield cast(BinaryIO, fetched)


@contextmanager
def open_to_write(name: str) -> Iterator[BinaryIO]:
    """Open a file, a URL or standard output (``-``), packed by its suffix.

    A local file appears when all of it is written; a pipe or a device is written to as it is.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    import os

    # What a link points to is replaced, not the link.
    target = os.path.realpath(name)
    is_local = "://" not in name and (os.path.isfile(target) or not os.path.exists(target))
    written = f"{target}.{os.getpid()}.part" if is_local else name
    try:
        with _open(written, "wb") as stream:
            packed = _packer(name, stream, "wb") if name.endswith(_ENDINGS) else stream
            try:
                yield packed
            finally:
                if packed is not stream:
                    packed.close()
        if is_local:
            os.replace(written, target)
    except BaseException:
        if is_local and os.path.exists(written):
            os.remove(written)
        raise


def _open(name: str, mode: str) -> Any:
    if "://" not in name:
        return open(name, mode)
    return _remote(name, mode)


@contextmanager
def _remote(name: str, mode: str) -> Iterator[Any]:
    import fsspec

    try:
        opened = fsspec.open(name, mode)
        stream = opened.open()
    except (OSError, ValueError, ImportError) as error:
        # Each service has errors of its own kinds, and protocols may need packages.
        raise InvalidRecordError(
            f"it cannot be opened ({error})", source=name, advice="Look at its name."
        ) from error
    with stream:
        yield stream


# Any: each of the packers has a class of its own, and a stream is what they read or write.
def _packer(name: str, stream: Any, mode: Any) -> Any:
    """Return what packs or unpacks a stream; the same content gives the same bytes."""
    if name.endswith(".gz"):
        import gzip

        return gzip.GzipFile("", mode, fileobj=stream, mtime=0)
    if name.endswith(".bz2"):
        import bz2

        return bz2.BZ2File(stream, mode)
    if name.endswith(".xz"):
        import lzma

        return lzma.LZMAFile(stream, mode)
    try:
        import zstandard
    except ImportError:
        raise InvalidRecordError(
            "files that end in .zst need the package zstandard",
            source=name,
            advice="Install it (pip install zstandard), or use .gz or .xz.",
        ) from None
    made = zstandard.ZstdCompressor() if mode == "wb" else zstandard.ZstdDecompressor()
    return (
        made.stream_writer(stream, closefd=False)
        if mode == "wb"
        else made.stream_reader(stream, closefd=False)
    )


__all__ = ["FORMAT", "RecordFile", "open_to_read", "open_to_write", "redun_rows", "write_lines"]
