"""What `Dir` and `FileSet` share: many files that are one value.

A group's hash covers its own portable name and, for each file in it, the path within the group and
the content; the order is that of the paths, whatever the file system lists first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple, Self

from taskgraph.hashing import ValueHash, hash_record, hash_shape
from taskgraph.values.contents import MISSING, Progress, Seen
from taskgraph.values.files import File, respell, spell, tag_of
from taskgraph.values.filesystems import Entry, Filesystem, errors_naming, get_filesystem
from taskgraph.values.places import Place, Policy, current_places, locate, printable


class Member(NamedTuple):
    """A file of a group: its path within the group, and what was seen there."""

    name: str
    seen: Seen


class Sighting(NamedTuple):
    """What was seen of a whole group; ``members`` is None if there was no such folder."""

    members: tuple[Member, ...] | None

    @property
    def content(self) -> str:
        """The hash over all members."""
        if self.members is None:
            return MISSING.content
        fields = [text for name, seen in self.members for text in (name, seen.content)]
        return hash_record("file group", *fields)

    @property
    def size(self) -> int:
        """How many bytes all members have."""
        return sum(seen.size for _, seen in self.members or ())


class FileGroup:
    """Many files that are one value; see `Dir` and `FileSet`."""

    __slots__ = ("__weakref__", "_location", "_place", "_sighting")

    #: Enters the hash, so that a folder and a pattern never share one; see ``tag_of``.
    tag = "file group"
    #: How the content of the files is known; None for what the settings say.
    policy: ClassVar[Policy | None] = None
    #: The class of the files in it.
    member: ClassVar[type[File]] = File

    _location: str
    _place: Place | None
    _sighting: Sighting | None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._set_text(os.fspath(path))
        self._location = locate(self.text)
        self._place = None
        self._sighting = None

    @classmethod
    def at(
        cls,
        path: str,
        location: str,
        sighting: Sighting | None = None,
        place: Place | None = None,
    ) -> Self:
        """Make a group from all that is known of it, without looking.

        Args:
            path: The path or pattern as it is to be shown.
            location: The same as an absolute path, or URL.
            sighting: What was seen there.
            place: Its portable name, where this process knows no roots.
        """
        made = cls.__new__(cls)
        made._set_text(path)
        made._location = location
        made._place = place
        made._sighting = sighting
        return made

    # What each kind of group says of itself

    @property
    def text(self) -> str:
        """The path or pattern as it was given."""
        raise NotImplementedError

    def _set_text(self, text: str) -> None:
        raise NotImplementedError

    def _folders(self) -> tuple[str, str]:
        """Return the folder that all members lie in: as it is shown, and absolute."""
        raise NotImplementedError

    def _list(self) -> list[Entry] | None:
        """Return all members that there are now; None if there is no such folder."""
        raise NotImplementedError

    # What was seen

    @property
    def sighting(self) -> Sighting | None:
        """What was seen when this was last looked at; None before the first time."""
        return self._sighting

    @property
    def place(self) -> Place:
        """The portable name of the path or pattern.

        Where no roots are known, outside of a run, it is what it was where they were.
        """
        places = current_places()
        if self._place is None or places.roots:
            self._place = places.name(self._location)
        return self._place

    @property
    def location(self) -> str:
        """The absolute path or pattern, or the URL."""
        return self._location

    @property
    def hash(self) -> ValueHash:
        """The value hash; the first use reads all files if they were not read yet."""
        return self.hash_of(self._sighting or self.look())

    def hash_of(self, sighting: Sighting) -> ValueHash:
        """Return the hash that this group has if this is what is in it."""
        root, path = self.place
        return hash_shape(tag_of(type(self)), (root, path, sighting.content))

    def look(self, progress: Progress | None = None) -> Sighting:
        """Look at all files again, and remember and return what is there.

        Raises:
            OSError: Something is there and cannot be read.
        """
        self._sighting = self._look(progress)
        self._place = self.place
        return self._sighting

    def update_hash(self) -> None:
        """Look at all files again; ``hash`` is then that of their present content."""
        self.look()

    def is_valid(self) -> bool:
        """Tell whether the same files with the same content are there as were seen."""
        if self._sighting is None:
            self.look()
            return True
        return self._look().content == self._sighting.content

    def bytes_to_read(self) -> int:
        """Return how many bytes must be read to see the content of all files."""
        filesystem = self.filesystem
        with errors_naming(self.text):
            return sum(
                filesystem.bytes_to_read(location, self._policy_of(location))
                for location, seen in self._list() or ()
                if seen is None
            )

    def seen_files(self) -> list[File]:
        """Return the files that were seen, with what was seen of each; does not look again."""
        shown, folder = self._folders()
        return [
            self.member.at(_join(shown, name), _join(folder, name), seen)
            for name, seen in (self._sighting and self._sighting.members) or ()
        ]

    def _look(self, progress: Progress | None = None) -> Sighting:
        filesystem = self.filesystem
        with errors_naming(self.text):
            entries = self._list()
            if entries is None:
                return Sighting(None)
            _, folder = self._folders()
            return Sighting(
                tuple(
                    Member(
                        _within(folder, location),
                        seen or filesystem.identity(location, self._policy_of(location), progress),
                    )
                    for location, seen in entries
                )
            )

    def _policy_of(self, location: str) -> Policy:
        return self.policy or current_places().policy(location)

    # What can be done with it

    @property
    def filesystem(self) -> Filesystem:
        """The file system that the files lie in."""
        return get_filesystem(url=self._location)

    @property
    def files(self) -> list[File]:
        """The files that are there now, sorted by path."""
        shown, folder = self._folders()
        with errors_naming(self.text):
            return [
                self.member.at(_join(shown, _within(folder, location)), location)
                for location, _ in self._list() or ()
            ]

    def __iter__(self) -> Iterator[File]:
        return iter(self.files)

    # As a Python object

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FileGroup):
            return type(self) is type(other) and self._location == other._location
        return NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._location))

    def _repr(self, label: str) -> str:
        known = "" if self._sighting is None else f", hash={self.hash[:8]}"
        return f"{type(self).__name__}({label}={printable(self.text)}{known})"

    def __reduce__(self) -> tuple[Callable[..., FileGroup], tuple[object, ...], object]:
        spelled = spell(self.text, self.place)
        packed = pack_sighting(self._sighting)
        # Third is what a subclass keeps besides.
        more = getattr(self, "__dict__", None) or None
        return _rebuild, (type(self), *spelled, self._location, packed), more


PackedMembers = list[tuple[str, str, int]]


def pack_sighting(sighting: Sighting | None) -> PackedMembers | bool | None:
    """Return a sighting as lists, texts and numbers; False stands for a folder not there."""
    if sighting is None:
        return None
    if sighting.members is None:
        return False
    return [(name, seen.content, seen.size) for name, seen in sighting.members]


def unpack_sighting(packed: PackedMembers | bool | None) -> Sighting | None:
    """Return the sighting that ``pack_sighting`` was given."""
    if packed is None:
        return None
    if isinstance(packed, bool):
        return Sighting(None)
    return Sighting(tuple(Member(name, Seen(content, size)) for name, content, size in packed))


def _join(folder: str, name: str) -> str:
    if not folder or folder.endswith("/"):
        return folder + name
    return f"{folder}/{name}"


def _within(folder: str, location: str) -> str:
    return location[len(folder) :].lstrip("/")


def _rebuild(
    kind: type[FileGroup],
    root: str,
    name: str,
    given: str | None,
    fallback: str,
    packed: PackedMembers | bool | None,
) -> FileGroup:
    path, location = respell(root, name, given, fallback)
    return kind.at(path, location, unpack_sighting(packed), Place(root, name))
