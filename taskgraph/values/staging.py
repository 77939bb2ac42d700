"""`StagingFile` and `StagingDir`: a file or folder with the local path that it is to be used at.

What counts is the remote side: hash, validity and what is stored follow it. Of the local side only
the path counts, as it is spelled, for a command names it; what lies there never does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Self, TypeVar

from taskgraph.hashing import ValueHash
from taskgraph.values.directories import Dir
from taskgraph.values.files import File
from taskgraph.values.places import Place, current_places, is_url, locate, printable
from taskgraph.values.shell import shell_copy

T = TypeVar("T", File, Dir)
Path = str | os.PathLike[str]


class Staging(Generic[T]):
    """What `StagingFile` and `StagingDir` share.

    Args:
        local: Where it is to be used. A relative path is one in the working directory of whoever
            uses it, which may be another one than here. None is the name of the remote.
        remote: Where it is kept.

    Attributes:
        local: The File or Dir to use.
        remote: The File or Dir that is kept.
    """

    __slots__ = ("__weakref__", "local", "remote")

    #: Enters the hash; see ``tag_of``.
    tag = "staging"
    #: Of what class both sides are.
    of: ClassVar[Any]
    _recursive: ClassVar[bool] = False

    local: T
    remote: T

    def __init__(self, local: T | Path | None, remote: T | Path) -> None:
        self.remote = remote if isinstance(remote, self.of) else self.of(remote)
        if local is None:
            local = _name_of(self.remote.location)
        self.local = local if isinstance(local, self.of) else self.of(local)

    @property
    def hash(self) -> ValueHash:
        """The value hash; the first use looks at the remote if nobody did yet."""
        from taskgraph.values.weigh import hash_value

        return hash_value(self)

    @property
    def local_place(self) -> Place:
        """The portable name of the local path: a relative one as it is, others by their root."""
        path = self.local.path
        return self.local.place if os.path.isabs(path) or is_url(path) else Place("", path)

    def is_valid(self) -> bool:
        """Tell whether the remote still is as it was seen."""
        return self.remote.is_valid()

    def update_hash(self) -> None:
        """Look at the remote again; ``hash`` is then that of its present content."""
        self.remote.update_hash()

    def stage(self) -> T:
        """Copy the remote to the local path, unless they are one, and return what is there."""
        local = self._here()
        if local.location == self.remote.location:
            return local
        return self.remote.copy_to(local)

    def unstage(self) -> T:
        """Copy what is at the local path to the remote, unless they are one, and return that."""
        local = self._here()
        if local.location == self.remote.location:
            self.remote.update_hash()
            return self.remote
        return local.copy_to(self.remote)

    def render_stage(self, *, elsewhere: bool = False, make_folders: bool = False) -> str:
        """Return the shell command that does what `stage` does; "" if there is nothing to copy.

        Args:
            elsewhere: Whether the command runs in another working directory than this one, such as
                a temporary one. The remote is then named by its absolute path, and a relative
                local path is another one.
            make_folders: Whether folders on the way to the local path are made; see `shell_copy`.
        """
        return self._render(self._remote_path(elsewhere), self.local.path, elsewhere, make_folders)

    def render_unstage(self, *, elsewhere: bool = False, make_folders: bool = False) -> str:
        """Return the shell command that does what `unstage` does; "" if there is nothing to copy.

        Args:
            elsewhere: As for `render_stage`.
            make_folders: Whether folders on the way to the remote are made; see `shell_copy`.
        """
        return self._render(self.local.path, self._remote_path(elsewhere), elsewhere, make_folders)

    def _render(self, source: str, target: str, elsewhere: bool, make_folders: bool) -> str:
        path = self.local.path
        is_here = not elsewhere or os.path.isabs(path) or is_url(path)
        if is_here and locate(path) == self.remote.location:
            return ""
        return shell_copy(source, target, recursive=self._recursive, make_folders=make_folders)

    def _remote_path(self, elsewhere: bool) -> str:
        return self.remote.location if elsewhere else self.remote.path

    def _here(self) -> T:
        """Return the local side, in the working directory of this moment."""
        return type(self.local)(self.local.path)

    # As a Python object

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Staging):
            return NotImplemented
        is_alike = type(self) is type(other) and self.local_place == other.local_place
        return is_alike and bool(self.remote == other.remote)

    def __hash__(self) -> int:
        return hash((type(self), self.local_place, self.remote))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(local={printable(self.local.path)}, remote={self.remote!r})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...], object]:
        # Third is what a subclass keeps besides.
        more = getattr(self, "__dict__", None) or None
        path = self.local.path
        return _rebuild, (type(self), type(self.local), *self.local_place, path, self.remote), more

    @classmethod
    def at(cls, place: Place, remote: T) -> Self:
        """Make one from the portable name of its local path.

        Raises:
            UnknownRootError: No root of this name is declared here.
        """
        return cls(current_places().find(place), remote)


class StagingFile(Staging[File]):
    """A file with the local path that it is to be used at; see `Staging`.

    Args:
        local: The local path, or File; None is the name of the remote file.
        remote: The path, URL or File that is kept.
    """

    __slots__ = ()

    tag = "staging file"
    of = File


class StagingDir(Staging[Dir]):
    """A folder with the local path that it is to be used at; see `Staging`.

    Args:
        local: The local path, or Dir; None is the name of the remote folder.
        remote: The path, URL or Dir that is kept.
    """

    __slots__ = ()

    tag = "staging dir"
    of = Dir
    _recursive = True


def _name_of(location: str) -> str:
    """Return the last part of an absolute path or URL.

    Raises:
        ValueError: There is none.
    """
    # Of a chain of URLs, as in zip://a.csv::s3://bucket/b.zip, the first that names a file.
    path = next((part for part in location.split("::") if "/" in part), location)
    name = os.path.basename(path.rstrip("/"))
    if not name or name.endswith(":"):
        raise ValueError(f"{location} has no name to be used locally: give the local path as well")
    return name


def _rebuild(
    kind: type[Staging[Any]], side: type[Any], root: str, name: str, fallback: str, remote: Any
) -> Staging[Any]:
    places = current_places()
    is_known = not root or root in places.roots
    path = places.find(Place(root, name)) if is_known else fallback
    return kind(side(path), remote)
