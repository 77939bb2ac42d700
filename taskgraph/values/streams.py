"""Streams for writing: a file appears when its stream is closed, whole, or not at all.

What is written goes to a temporary name beside the target and is renamed when the stream is closed
without an error. An error while writing, or raised in the body of its ``with``, takes it away
again; a killed process leaves the target as it was.
"""

from __future__ import annotations

import io
import os
import stat as modes
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Protocol

_TEMPORARY = (".taskgraph-", ".tmp")


def temporary_beside(target: str) -> str:
    """Return a name for a temporary file in the target's folder, short whatever the target's is."""
    before, after = _TEMPORARY
    name = f"{before}{os.getpid()}-{os.urandom(6).hex()}{after}"
    return os.path.join(os.path.dirname(target), name)


def is_temporary(name: str) -> bool:
    """Tell whether a file's name is one that only unfinished writing leaves."""
    return name.startswith(_TEMPORARY[0]) and name.endswith(_TEMPORARY[1])


class Pending(Protocol):
    """Something that is being written and appears when it is closed, unless discarded."""

    def discard(self) -> None:
        """Have it go away when it is closed."""
        ...


class PendingFile(io.FileIO):
    """A local file under a temporary name; closing renames it to its target.

    Args:
        target: The absolute path; missing parents are made, a link at its end is followed.
        exclusive: Whether it is an error if the target exists, now or when it is closed.
        durable: Whether to wait until the disk has it.
    """

    def __init__(self, target: str, *, exclusive: bool = False, durable: bool = False) -> None:
        # Renaming would replace a link; what is meant is what it points to.
        self._target = os.path.realpath(target) if os.path.islink(target) else target
        self._exclusive = exclusive
        self._durable = durable
        self._discarded = False
        self._process = os.getpid()
        self._temporary = temporary_beside(self._target)
        mode = _mode_of(self._target, exclusive)
        try:
            super().__init__(self._temporary, "x+")
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._target), exist_ok=True)
            super().__init__(self._temporary, "x+")
        if mode is not None:
            # Another user's file may be replaced, but not always given its old mode.
            with suppress(PermissionError):
                os.fchmod(self.fileno(), mode)

    def discard(self) -> None:
        """Have the temporary file removed, and the target left alone, when this is closed."""
        self._discarded = True

    def close(self) -> None:
        """Put the file in its place; a second call does nothing."""
        if self.closed:
            return
        if self._process != os.getpid():
            # A forked copy: the file belongs to the process that opened it.
            super().close()
            return
        try:
            if self._durable and not self._discarded:
                os.fsync(self.fileno())
            super().close()
            if not self._discarded:
                self._publish()
        finally:
            with suppress(OSError):
                os.unlink(self._temporary)

    def _publish(self) -> None:
        if self._exclusive:
            # Unlike renaming, linking refuses to replace what came there meanwhile.
            os.link(self._temporary, self._target)
        else:
            os.replace(self._temporary, self._target)
        if self._durable:
            folder = os.open(os.path.dirname(self._target), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _mode_of(target: str, exclusive: bool) -> int | None:
    """Return the permissions that a file which is replaced hands on."""
    try:
        found = os.stat(target)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if exclusive:
        raise FileExistsError(17, os.strerror(17))
    if modes.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, os.strerror(21))
    return modes.S_IMODE(found.st_mode)


class FileInPlace(io.FileIO):
    """A local file that is appended to, or changed, where it is."""

    def discard(self) -> None:
        """Do nothing: what was written in place stays written."""


class _Announcing:
    """What our streams add to those of `io`: an error discards, closing is told once."""

    _pending: Pending
    _on_close: Callable[[], None]
    _told = False
    _failed = False

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self._failed = True
            self._pending.discard()
        self.close()

    def close(self) -> None:
        """Put what was written in its place; a second call does nothing."""
        if self.closed:  # type: ignore[attr-defined]  # of the stream that this is mixed into
            return
        try:
            self.flush()  # type: ignore[attr-defined]  # likewise
        except BaseException:
            # A full disk: half a file must not take the place of a whole one.
            self._failed = True
            self._pending.discard()
            with suppress(OSError):
                super().close()  # type: ignore[misc]  # likewise
            raise
        super().close()  # type: ignore[misc]  # likewise
        if not (self._failed or self._told):
            self._told = True
            self._on_close()


class _Writer(_Announcing, io.BufferedWriter):
    def __init__(self, raw: Any, on_close: Callable[[], None]) -> None:
        self._pending, self._on_close = raw, on_close
        super().__init__(raw)


class _ReaderWriter(_Announcing, io.BufferedRandom):
    def __init__(self, raw: Any, on_close: Callable[[], None]) -> None:
        self._pending, self._on_close = raw, on_close
        super().__init__(raw)


class _TextWriter(_Announcing, io.TextIOWrapper):
    def __init__(
        self, buffer: Any, pending: Pending, encoding: str, newline: str | None, on_close: Any
    ) -> None:
        self._pending, self._on_close = pending, on_close
        super().__init__(buffer, encoding=encoding, newline=newline)


def open_for_writing(
    raw: Any,
    mode: str,
    encoding: str | None,
    newline: str | None,
    on_close: Callable[[], None],
) -> IO[Any]:
    """Return the stream for a raw one that can be discarded, as ``open`` would.

    Args:
        raw: A `PendingFile`, a `FileInPlace` or another raw stream with ``discard``.
        mode: As for `open`.
        encoding: Of text; UTF-8 if it is not given.
        newline: As for `open`.
        on_close: Called once, after the stream was closed and its content is in place.
    """
    both = "+" in mode
    if "b" in mode:
        return _ReaderWriter(raw, on_close) if both else _Writer(raw, on_close)
    buffer = io.BufferedRandom(raw) if both else io.BufferedWriter(raw)
    try:
        return _TextWriter(buffer, raw, encoding or "utf-8", newline, on_close)
    except BaseException:
        # An encoding that does not exist.
        raw.discard()
        buffer.close()
        raise
