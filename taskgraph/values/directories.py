"""`Dir`: a value that stands for a folder and all files in it, at any depth."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File
from taskgraph.values.filesystems import Entry, copy_folder_between, errors_naming
from taskgraph.values.places import locate
from taskgraph.values.shell import shell_copy

if TYPE_CHECKING:
    from taskgraph.values.staging import StagingDir


class Dir(FileGroup):
    """A folder, local or remote, that may or may not be there; iterating gives its files.

    Links to folders are followed. Empty folders do not count.

    Args:
        path: A path, relative to the working directory of this moment, or any URL of fsspec's.

    Attributes:
        path: The path as it was given.
    """

    __slots__ = ("path",)

    tag = "dir"
    path: str

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        super().__init__(text.rstrip("/") or text)

    @property
    def text(self) -> str:
        """The path as it was given."""
        return self.path

    def _set_text(self, text: str) -> None:
        self.path = text

    def _folders(self) -> tuple[str, str]:
        return self.path, self._location

    def _list(self) -> list[Entry] | None:
        filesystem = self.filesystem
        if not filesystem.isdir(self._location):
            return None
        return filesystem.files_below(self._location)

    def exists(self) -> bool:
        """Tell whether there is such a folder."""
        with errors_naming(self.path):
            return self.filesystem.isdir(self._location)

    def file(self, rel_path: str | os.PathLike[str]) -> File:
        """Return the File at a path below this folder."""
        name = os.fspath(rel_path)
        path = os.path.join(self.path, name)
        return self.member.at(path, locate(os.path.join(self._location, name)))

    def rel_path(self, path: str | os.PathLike[str]) -> str:
        """Return a path as it is seen from this folder."""
        return os.path.relpath(locate(path), self._location)

    def mkdir(self) -> None:
        """Make the folder and its parents, as far as they are missing."""
        with errors_naming(self.path):
            self.filesystem.mkdir(self._location)
        self._sighting = None

    def rmdir(self, recursive: bool = False) -> None:
        """Remove the folder.

        Args:
            recursive: Whether all that is in it is removed as well.

        Raises:
            OSError: It is not empty, and this is not recursive.
        """
        with errors_naming(self.path):
            self.filesystem.rmdir(self._location, recursive)
        self._sighting = None

    def copy_to(self, dest: Dir | str | os.PathLike[str], skip_if_exists: bool = False) -> Dir:
        """Copy all files to another folder, which may lie anywhere, and return that.

        Args:
            dest: The folder to copy to; its parents are made.
            skip_if_exists: Whether a destination that exists is left as it is.

        Raises:
            FileNotFoundError: There is no such folder.
        """
        target = dest if isinstance(dest, Dir) else type(self)(dest)
        if skip_if_exists and target.exists():
            return target
        with errors_naming(self.path):
            copy_folder_between(
                self.filesystem, self._location, target.filesystem, target._location
            )
        target._sighting = None
        return target

    def shell_copy_to(self, dest: str | os.PathLike[str]) -> str:
        """Return the shell command that copies this folder to another path or URL.

        Where both are local that is ``cp -r``, which makes the copy *inside* of a folder that is
        there already.
        """
        return shell_copy(self.path, os.fspath(dest), recursive=True)

    def stage(self, local: Dir | str | os.PathLike[str] | None = None) -> StagingDir:
        """Return this folder together with the local path that it is to be used at.

        Args:
            local: The path; by default the name of this folder in the working directory.
        """
        from taskgraph.values.staging import StagingDir

        return StagingDir(local, self)

    def __repr__(self) -> str:
        return self._repr("path")
