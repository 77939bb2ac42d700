"""`FileSet`: a value that stands for all files that match a pattern."""

from __future__ import annotations

import os
import re

from taskgraph.values.filegroups import FileGroup
from taskgraph.values.filesystems import Entry

_MAGIC = re.compile(r"[*?[]")


class FileSet(FileGroup):
    """All files that match a pattern; iterating gives them.

    ``*`` stands for any part of one name, ``?`` for one character, ``[ab]`` for one of these, and
    ``**`` for any number of folders. A local name that starts with a dot only matches a dot.

    Args:
        pattern: A path with wildcards, relative to the working directory of this moment, or a URL.

    Attributes:
        pattern: The pattern as it was given.
    """

    __slots__ = ("pattern",)

    tag = "fileset"
    pattern: str

    def __init__(self, pattern: str | os.PathLike[str]) -> None:
        super().__init__(pattern)

    @property
    def text(self) -> str:
        """The pattern as it was given."""
        return self.pattern

    def _set_text(self, text: str) -> None:
        self.pattern = text

    def _folders(self) -> tuple[str, str]:
        return _fixed_part(self.pattern), _fixed_part(self._location)

    def _list(self) -> list[Entry]:
        return self.filesystem.files_matching(self._location)

    def __repr__(self) -> str:
        return self._repr("pattern")


def _fixed_part(pattern: str) -> str:
    """Return the folder before the first wildcard; of a path without any, that which it is in."""
    magic = _MAGIC.search(pattern)
    fixed = pattern if magic is None else pattern[: magic.start()]
    folder, slash, _ = fixed.rpartition("/")
    return folder or slash
