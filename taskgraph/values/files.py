"""`File`: a value that stands for a path and the content seen there.

A File remembers what was seen when it was last looked at. Its hash covers the portable name of the
path and that content; it travels with the File to other processes, so that what a task saw is what
is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal, Self, overload

from taskgraph.hashing import ValueHash, hash_shape
from taskgraph.values.contents import MISSING, Progress, Seen
from taskgraph.values.filesystems import (
    Filesystem,
    check_mode,
    copy_between,
    errors_naming,
    get_filesystem,
)
from taskgraph.values.kinds import class_name
from taskgraph.values.modes import BinaryMode, TextMode
from taskgraph.values.places import Place, Policy, current_places, is_url, locate, printable
from taskgraph.values.shell import shell_copy

if TYPE_CHECKING:
    from taskgraph.values.staging import StagingFile

_Text = Literal["r", "rt"]
_Binary = Literal["rb"]

#: The path that stands for the standard input or output in shell commands.
STREAM = "-"

#: Whether this process has ever met a temporary file: if not, no value holds one. Asked for each
#: call, so it is a name of this module and no function.
temporary_met = False


def _note_temporary() -> None:
    global temporary_met  # noqa: PLW0603 - once there is one, there may be others anywhere
    temporary_met = True


class File:
    """A file, local or remote, that may or may not be there.

    Two Files are equal if they stand for the same path; compare their ``hash`` for the content.

    Args:
        path: A path, relative to the working directory of this moment, or any URL of fsspec's.
        temp: Whether it is an intermediate result that may be deleted after the run. While it is
            gone, calls that it was only passed to are not made again, and neither is the one that
            made it; if another call must read it, that is made again.

    Attributes:
        path: The path as it was given.
        temp: Whether it may be deleted.
    """

    __slots__ = ("__weakref__", "_location", "_place", "_seen", "path", "temp")

    #: Enters the hash; see ``tag_of``.
    tag = "file"
    #: How the content is known; None for what the settings say.
    policy: ClassVar[Policy | None] = None

    path: str
    temp: bool
    _location: str
    _place: Place | None
    _seen: Seen | None

    def __init__(self, path: str | os.PathLike[str], *, temp: bool = False) -> None:
        self.temp = temp or (isinstance(path, File) and path.temp)
        if self.temp:
            _note_temporary()
        self.path = path.path if isinstance(path, File) else os.fspath(path)
        self._location = path._location if isinstance(path, File) else locate(self.path)
        self._place = None
        self._seen = None

    @classmethod
    def at(
        cls,
        path: str,
        location: str,
        seen: Seen | None = None,
        place: Place | None = None,
        temp: bool = False,
    ) -> Self:
        """Make a File from all that is known of it, without looking.

        Args:
            path: The path as it is to be shown.
            location: Its absolute path, or URL.
            seen: What was seen there.
            place: Its portable name, where this process knows no roots.
            temp: Whether it may be deleted.
        """
        made = cls.__new__(cls)
        made.path = path
        made.temp = temp
        if temp:
            _note_temporary()
        made._location = location
        made._place = place
        made._seen = seen
        return made

    # What was seen

    @property
    def seen(self) -> Seen | None:
        """What was seen when this was last looked at; None before the first time."""
        return self._seen

    @property
    def place(self) -> Place:
        """The portable name of the path: its root and the path below it.

        Where no roots are known, outside of a run, it is what it was where they were.
        """
        places = current_places()
        if self._place is None or places.roots:
            self._place = places.name(self._location)
        return self._place

    @property
    def location(self) -> str:
        """The absolute path, or the URL."""
        return self._location

    @property
    def hash(self) -> ValueHash:
        """The value hash; the first use reads the file if it was not read yet."""
        return self.hash_of(self._seen or self.look())

    def hash_of(self, seen: Seen) -> ValueHash:
        """Return the hash that this File has if this is its content."""
        root, path = self.place
        return hash_shape(self.hash_tag, (root, path, seen.content))

    @property
    def hash_tag(self) -> str:
        """What says in a hash which class it is of, and that it may be deleted if it may."""
        # Two values that differ in that must not share what is stored under a hash.
        return f"temp {tag_of(type(self))}" if self.temp else tag_of(type(self))

    def look(self, progress: Progress | None = None) -> Seen:
        """Look at the file again, and remember and return what is there.

        Raises:
            OSError: It is there and cannot be read.
        """
        self._seen = self._look(progress)
        self._place = self.place
        return self._seen

    def look_for_use(self, progress: Progress | None = None) -> None:
        """Look at the file again, but keep what was seen of a temporary one that is gone."""
        if not self.temp:
            self.look(progress)
            return
        before, now = self._seen, self._look(progress)
        # Set once: others may ask for the hash meanwhile.
        is_gone = before is not None and now.content == MISSING.content
        self._seen = before if is_gone else now
        self._place = self.place

    def forget(self) -> None:
        """Forget what was seen."""
        self._seen = None

    def update_hash(self) -> None:
        """Look at the file again; ``hash`` is then that of its present content."""
        self.look()

    def is_valid(self) -> bool:
        """Tell whether the file still is as it was seen; the first time it is looked at, it is."""
        if self._seen is None:
            self.look()
            return True
        return self._look().content == self._seen.content

    def bytes_to_read(self) -> int:
        """Return how many bytes must be read to see the content."""
        return self.filesystem.bytes_to_read(self._location, self._policy_here())

    def _look(self, progress: Progress | None = None) -> Seen:
        try:
            return self.filesystem.identity(self._location, self._policy_here(), progress)
        except OSError:
            with errors_naming(self.path):  # only now: files are looked at by the hundred thousand
                raise

    def _policy_here(self) -> Policy:
        return self.policy or current_places().policy(self._location)

    # What can be done with it

    @property
    def filesystem(self) -> Filesystem:
        """The file system that the file lies in."""
        return get_filesystem(url=self._location)

    def exists(self) -> bool:
        """Tell whether there is a file (or a folder)."""
        with errors_naming(self.path):
            return self.filesystem.exists(self._location)

    def isfile(self) -> bool:
        """Tell whether there is a file."""
        with errors_naming(self.path):
            return self.filesystem.isfile(self._location)

    def isdir(self) -> bool:
        """Tell whether there is a folder instead of a file."""
        with errors_naming(self.path):
            return self.filesystem.isdir(self._location)

    def size(self) -> int:
        """Return the size in bytes.

        Raises:
            FileNotFoundError: There is no such file.
        """
        with errors_naming(self.path):
            return self.filesystem.size(self._location)

    def basename(self) -> str:
        """Return the last part of the path."""
        return os.path.basename(self.path)

    def dirname(self) -> str:
        """Return the path without its last part."""
        return os.path.dirname(self.path)

    @overload
    def open(
        self, mode: TextMode = "r", encoding: str | None = None, *, newline: str | None = None
    ) -> IO[str]: ...

    @overload
    def open(
        self, mode: BinaryMode, encoding: None = None, *, newline: None = None
    ) -> IO[bytes]: ...

    @overload
    def open(
        self, mode: str, encoding: str | None = None, *, newline: str | None = None
    ) -> IO[Any]: ...

    def open(
        self, mode: str = "r", encoding: str | None = None, *, newline: str | None = None
    ) -> IO[Any]:
        """Open the file as `open` does; text is UTF-8 unless said otherwise.

        A file opened with ``w`` or ``x`` appears when the stream is closed, whole; if the body of
        its ``with`` raises, the file stays as it was. Missing folders are made. ``a`` and ``r+``
        change a local file where it is. Closing a stream for writing looks at the file once.

        Raises:
            ValueError: The mode is binary and an encoding is given.
            OSError: The file cannot be opened so; the message names its path.
        """
        check_mode(mode, encoding)
        with errors_naming(self.path):
            return self.filesystem.open(
                self._location, mode, encoding, newline=newline, on_close=self._after_writing
            )

    @overload
    def read(self, mode: _Text = "r", encoding: str | None = None) -> str: ...

    @overload
    def read(self, mode: _Binary, encoding: None = None) -> bytes: ...

    @overload
    def read(self, mode: str, encoding: str | None = None) -> Any: ...

    def read(self, mode: str = "r", encoding: str | None = None) -> Any:
        """Return the whole content: text, or bytes with mode ``rb``."""
        with self.open(mode, encoding) as stream, errors_naming(self.path):
            return stream.read()

    @overload
    def readlines(self, mode: _Text = "r", encoding: str | None = None) -> list[str]: ...

    @overload
    def readlines(self, mode: _Binary, encoding: None = None) -> list[bytes]: ...

    @overload
    def readlines(self, mode: str, encoding: str | None = None) -> list[Any]: ...

    def readlines(self, mode: str = "r", encoding: str | None = None) -> list[Any]:
        """Return all lines, with their line ends: text, or bytes with mode ``rb``."""
        with self.open(mode, encoding) as stream, errors_naming(self.path):
            return stream.readlines()

    def write(self, content: str | bytes, mode: str = "w", encoding: str | None = None) -> None:
        """Write the whole content at once; bytes are written as such."""
        if isinstance(content, bytes | bytearray | memoryview) and "b" not in mode:
            mode += "b"
        with errors_naming(self.path), self.open(mode, encoding) as stream:
            stream.write(content)

    def touch(self) -> None:
        """Make an empty file, or have an existing one appear as changed now."""
        with errors_naming(self.path):
            self.filesystem.touch(self._location)
        self._after_writing()

    def remove(self) -> None:
        """Remove the file; nothing happens if it is not there."""
        with errors_naming(self.path):
            self.filesystem.remove(self._location)
        self._after_writing()

    def copy_to(self, dest: File | str | os.PathLike[str], skip_if_exists: bool = False) -> File:
        """Copy the content to another File, which may lie anywhere, and return that.

        Args:
            dest: The File, or the path, to copy to; its parents are made.
            skip_if_exists: Whether a destination that exists is left as it is.
        """
        target = dest if isinstance(dest, File) else type(self)(dest)
        if not (skip_if_exists and target.exists()):
            with errors_naming(self.path):
                copy_between(self.filesystem, self._location, target.filesystem, target._location)
        target._after_writing()
        return target

    def shell_copy_to(self, dest: str | os.PathLike[str] | None) -> str:
        """Return the shell command that copies this file.

        The path ``-`` stands for a stream: ``File("-").shell_copy_to("a")`` is ``cat > a``.

        Args:
            dest: The path or URL to copy it to; None is the standard output.
        """
        target = None if dest is None else os.fspath(dest)
        return shell_copy(
            None if self.path == STREAM else self.path, None if target == STREAM else target
        )

    def stage(self, local: File | str | os.PathLike[str] | None = None) -> StagingFile:
        """Return this file together with the local path that it is to be used at.

        Args:
            local: The path; by default the name of this file in the working directory.
        """
        from taskgraph.values.staging import StagingFile

        return StagingFile(local, self)

    def _after_writing(self) -> None:
        try:
            self.look()
        except OSError:
            # It was written and may not be read: whoever needs the hash will be told.
            self._seen = None

    # As a Python object

    def __fspath__(self) -> str:
        if is_url(self._location):
            raise TypeError(
                f"{self.path} is not a local file: read it with File.open, or copy it to one with "
                "File.copy_to"
            )
        return self._location

    def __eq__(self, other: object) -> bool:
        if isinstance(other, File):
            return type(self) is type(other) and self._location == other._location
        return NotImplemented

    def __hash__(self) -> int:
        return hash((File, self._location))

    def __repr__(self) -> str:
        shown = printable(self.path)
        name = type(self).__name__
        temp = ", temp=True" if self.temp else ""
        if self._seen is None:
            return f"{name}(path={shown}{temp})"
        return f"{name}(path={shown}{temp}, hash={self.hash[:8]})"

    def __reduce__(self) -> tuple[Callable[..., File], tuple[object, ...], object]:
        seen = None if self._seen is None else tuple(self._seen)
        spelled = spell(self.path, self.place)
        # Third is what a subclass keeps besides.
        more = getattr(self, "__dict__", None) or None
        return _rebuild, (type(self), *spelled, self._location, seen, self.temp), more


def tag_of(kind: type) -> str:
    """Return what says in a hash which class a value is of.

    A subclass that names no tag of its own has one by its name: values of two classes never share
    a hash, for they would share what is stored under it.
    """
    tag = str(kind.tag)  # type: ignore[attr-defined]  # of File and FileGroup
    return tag if "tag" in vars(kind) else f"{tag} {class_name(kind)}"


def spell(path: str, place: Place) -> tuple[str, str, str | None]:
    """Return root and path of a place, and how it was given if that was as a relative path.

    Nothing of it depends on where a root lies.
    """
    root, name = place
    relative = not (os.path.isabs(path) or is_url(path))
    return root, name, path if relative else None


def respell(
    root: str, name: str, given: str | None, fallback: str | None = None
) -> tuple[str, str]:
    """Return path and location for what ``spell`` gave, here and now.

    Args:
        root: The name of the root, or "".
        name: The path below it, or an absolute path, or a URL.
        given: The path as it was given, if it was relative.
        fallback: The location to take if no such root is known here.

    Raises:
        UnknownRootError: The root is not known here, and there is no fallback.
    """
    places = current_places()
    if fallback is not None and root and root not in places.roots:
        location = fallback
    else:
        location = places.find(Place(root, name))
    if given is not None and locate(given) == location:
        return given, location
    return location, location


def _rebuild(
    kind: type[File],
    root: str,
    name: str,
    given: str | None,
    fallback: str,
    seen: tuple[str, int] | None,
    temp: bool = False,
) -> File:
    path, location = respell(root, name, given, fallback)
    known = None if seen is None else Seen(*seen)
    return kind.at(path, location, known, Place(root, name), temp)
