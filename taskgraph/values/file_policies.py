"""Files that say themselves how their content is known, whatever the settings say of their paths.

`IFile` and `IDir` are taken never to change: all that counts is the path, and whether there is
anything. `ContentFile` and `ContentDir` count by their content.
"""

from __future__ import annotations

import os

from taskgraph.values.contents import Progress
from taskgraph.values.directories import Dir
from taskgraph.values.filegroups import Sighting
from taskgraph.values.files import File
from taskgraph.values.filesystems import errors_naming
from taskgraph.values.places import Policy
from taskgraph.values.staging import StagingDir, StagingFile


class IFile(File):
    """A `File` that never changes: it counts by its path, and is never read for its hash.

    Whether it is there counts too: one that was deleted is made again.
    """

    __slots__ = ()

    tag = "immutable file"
    policy = Policy.IMMUTABLE

    def stage(self, local: File | str | os.PathLike[str] | None = None) -> IStagingFile:
        """Return this file together with the local path that it is to be used at."""
        return IStagingFile(local, self)


class ContentFile(File):
    """A `File` that counts by path and content; a remote one by what its store says of it."""

    __slots__ = ()

    tag = "content file"
    policy = Policy.CONTENT

    def stage(self, local: File | str | os.PathLike[str] | None = None) -> ContentStagingFile:
        """Return this file together with the local path that it is to be used at."""
        return ContentStagingFile(local, self)


class IDir(Dir):
    """A `Dir` that never changes: it counts by its path, and its files are not even listed.

    Whether it is there counts too: one that was deleted is made again.
    """

    __slots__ = ()

    tag = "immutable dir"
    policy = Policy.IMMUTABLE
    member = IFile

    def stage(self, local: Dir | str | os.PathLike[str] | None = None) -> IStagingDir:
        """Return this folder together with the local path that it is to be used at."""
        return IStagingDir(local, self)

    def bytes_to_read(self) -> int:
        """Return 0: nothing is read."""
        return 0

    def _look(self, progress: Progress | None = None) -> Sighting:
        with errors_naming(self.path):
            return Sighting(() if self.filesystem.isdir(self._location) else None)


class ContentDir(Dir):
    """A `Dir` whose files count by path and content."""

    __slots__ = ()

    tag = "content dir"
    policy = Policy.CONTENT
    member = ContentFile

    def stage(self, local: Dir | str | os.PathLike[str] | None = None) -> ContentStagingDir:
        """Return this folder together with the local path that it is to be used at."""
        return ContentStagingDir(local, self)


class IStagingFile(StagingFile):
    """A `StagingFile` whose remote is an `IFile`."""

    __slots__ = ()

    tag = "immutable staging file"
    of = IFile


class ContentStagingFile(StagingFile):
    """A `StagingFile` whose remote is a `ContentFile`."""

    __slots__ = ()

    tag = "content staging file"
    of = ContentFile


class IStagingDir(StagingDir):
    """A `StagingDir` whose remote is an `IDir`."""

    __slots__ = ()

    tag = "immutable staging dir"
    of = IDir


class ContentStagingDir(StagingDir):
    """A `StagingDir` whose remote is a `ContentDir`."""

    __slots__ = ()

    tag = "content staging dir"
    of = ContentDir
