"""How files, folders and file sets behave as values.

They are stored as JSON that names root, path and what was seen: a record can be read without
unpickling, and on another machine, where the roots lie elsewhere, it means the same file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from taskgraph.hashing import ValueHash
from taskgraph.values.contents import MISSING, Seen
from taskgraph.values.directories import Dir
from taskgraph.values.file_policies import (
    ContentDir,
    ContentFile,
    ContentStagingDir,
    ContentStagingFile,
    IDir,
    IFile,
    IStagingDir,
    IStagingFile,
)
from taskgraph.values.filegroups import FileGroup, pack_sighting, unpack_sighting
from taskgraph.values.files import File, respell, spell, tag_of
from taskgraph.values.filesets import FileSet
from taskgraph.values.kinds import Shape, ValueKind, class_name
from taskgraph.values.places import Place, Policy, printable
from taskgraph.values.registry import kind_of, kind_of_class
from taskgraph.values.staging import Staging, StagingDir, StagingFile
from taskgraph.values.stored import FileRecord

_STAGING = "staging "


def _pack(fields: dict[str, object]) -> bytes:
    # ASCII: a name that is no UTF-8 is kept as escapes.
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _change(was_there: bool, is_there: bool) -> str:
    if was_there != is_there:
        return "it is there now and was not" if is_there else "it is not there any more"
    return "its content changed"


def _first_of(paths: Sequence[str]) -> str:
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{printable(paths[0])}{others}"


class FileKind(ValueKind):
    """How Files are hashed, stored, shown and checked.

    Args:
        name: The name of the type as it is stored.
        cls: The class of the values.
    """

    is_subvalue = True

    def __init__(self, name: str = "taskgraph.File", cls: type[File] = File) -> None:
        self.name = name
        self._cls = cls

    def type_name(self, value: File) -> str:
        """Return the name of this kind, or that of a subclass."""
        return self.name if type(value) is self._cls else class_name(type(value))

    def shape(self, value: File) -> Shape:
        """Return what the hash covers."""
        seen = value.seen or value.look()
        return Shape(value.hash_tag, (*value.place, seen.content))

    def own_hash(self, value: File) -> ValueHash:
        """Return the hash over root, path and the content that was seen."""
        return value.hash

    def encode(self, value: File) -> tuple[str, bytes] | None:
        """Return JSON with root, path, content and size; subclasses are pickled."""
        if type(value) is not self._cls:
            return None
        seen = value.seen or value.look()
        root, path, given = spell(value.path, value.place)
        fields: dict[str, object] = {"root": root, "path": path}
        if given is not None:
            fields["given"] = given
        if value.temp:
            fields["temp"] = True
        return "file", _pack(fields | {"content": seen.content, "size": seen.size})

    def decode(self, format: str, payload: bytes) -> File:
        """Make a File at the place where its root lies here.

        Raises:
            UnknownRootError: The root is not declared here.
        """
        fields = json.loads(payload)
        place = Place(fields["root"], fields["path"])
        path, location = respell(*place, fields.get("given"))
        seen = Seen(fields["content"], fields["size"])
        return self._cls.at(path, location, seen, place, fields.get("temp", False))

    def subvalues(self, value: File) -> Sequence[Any]:
        """Return nothing: a File is one whole."""
        return ()

    def parse(self, text: str) -> File:
        """Make a File from its path."""
        return self._cls(text)

    def is_valid(self, value: File) -> bool:
        """Tell whether what is there now is what was seen. May block."""
        return value.is_valid()

    def describe_change(self, value: File) -> str:
        """Say which file it is, and whether its content or only its existence changed."""
        was_there = value.seen is not None and value.seen.content != MISSING.content
        return f"{printable(value.path)}: {_change(was_there, value.exists())}"

    def needs_reading(self, value: File) -> bool:
        """Tell whether the file was never looked at."""
        return value.seen is None

    def bytes_to_read(self, value: File) -> int:
        """Return how many bytes ``read`` would read. May block, briefly."""
        return value.bytes_to_read()

    def read(self, value: File, progress: Callable[[int], None] | None = None) -> None:
        """Look at the file; of a temporary one that is gone, what was seen is kept."""
        value.look_for_use(progress)

    def refresh(self, value: File) -> None:
        """Look at the file again: since it was last seen, a command may have written it."""
        value.look()

    def file_record(self, value: File, value_hash: ValueHash) -> FileRecord:
        """Return the row that the file can be found by."""
        seen = value.seen or value.look()
        root, path = value.place
        return FileRecord(value_hash, root, printable(path), seen.content, seen.size)


class FileGroupKind(ValueKind):
    """How folders and file sets are hashed, stored, shown and checked.

    Args:
        name: The name of the type as it is stored.
        cls: The class of the values.
    """

    is_subvalue = True

    def __init__(self, name: str, cls: type[FileGroup]) -> None:
        self.name = name
        self._cls = cls

    def type_name(self, value: FileGroup) -> str:
        """Return the name of this kind, or that of a subclass."""
        return self.name if type(value) is self._cls else class_name(type(value))

    def shape(self, value: FileGroup) -> Shape:
        """Return what the hash covers."""
        sighting = value.sighting or value.look()
        return Shape(tag_of(type(value)), (*value.place, sighting.content))

    def own_hash(self, value: FileGroup) -> ValueHash:
        """Return the hash over root, path and the paths and contents of all files."""
        return value.hash

    def encode(self, value: FileGroup) -> tuple[str, bytes] | None:
        """Return JSON with root, path and what was seen of each file; subclasses are pickled."""
        if type(value) is not self._cls:
            return None
        sighting = value.sighting or value.look()
        root, path, given = spell(value.text, value.place)
        fields: dict[str, object] = {"root": root, "path": path}
        if given is not None:
            fields["given"] = given
        return value.tag, _pack(fields | {"members": pack_sighting(sighting)})

    def decode(self, format: str, payload: bytes) -> FileGroup:
        """Make a group at the place where its root lies here.

        Raises:
            UnknownRootError: The root is not declared here.
        """
        fields = json.loads(payload)
        place = Place(fields["root"], fields["path"])
        path, location = respell(*place, fields.get("given"))
        return self._cls.at(path, location, unpack_sighting(fields["members"]), place)

    def subvalues(self, value: FileGroup) -> Sequence[Any]:
        """Return the Files that were seen."""
        return value.seen_files()

    def parse(self, text: str) -> FileGroup:
        """Make a folder from its path, or a file set from its pattern."""
        return self._cls(text)

    def is_valid(self, value: FileGroup) -> bool:
        """Tell whether what is there now is what was seen. May block."""
        return value.is_valid()

    def describe_change(self, value: FileGroup) -> str:
        """Say which files came, went or changed, as far as a look at their names tells."""
        if value.policy is Policy.IMMUTABLE:
            was_there = value.sighting is not None and value.sighting.members is not None
            return f"{printable(value.text)}: {_change(was_there, not was_there)}"
        before = {file.location: file.path for file in value.seen_files()}
        after = {file.location: file.path for file in value.files}
        gone = [path for place, path in before.items() if place not in after]
        new = [path for place, path in after.items() if place not in before]
        said = [
            f"{_first_of(paths)} {what}"
            for paths, what in ((gone, "no longer there"), (new, "newly there"))
            if paths
        ]
        return f"{printable(value.text)}: {', '.join(said) or 'the content of its files changed'}"

    def needs_reading(self, value: FileGroup) -> bool:
        """Tell whether the files were never looked at."""
        return value.sighting is None

    def bytes_to_read(self, value: FileGroup) -> int:
        """Return how many bytes ``read`` would read. May block, briefly."""
        return value.bytes_to_read()

    def read(self, value: FileGroup, progress: Callable[[int], None] | None = None) -> None:
        """Look at all files."""
        value.look(progress)

    def refresh(self, value: FileGroup) -> None:
        """Look at all files again: since they were last seen, a command may have written some."""
        value.look()


class StagingKind(ValueKind):
    """How files and folders with a local path are hashed, stored and shown.

    What is in the world is their remote side, which is a value inside of them: looked at, checked
    and found by its path like any other.

    Args:
        name: The name of the type as it is stored.
        cls: The class of the values.
    """

    is_subvalue = True

    def __init__(self, name: str, cls: type[Staging[Any]]) -> None:
        self.name = name
        self._cls = cls

    def type_name(self, value: Staging[Any]) -> str:
        """Return the name of this kind, or that of a subclass."""
        return self.name if type(value) is self._cls else class_name(type(value))

    def shape(self, value: Staging[Any]) -> Shape:
        """Return the local path, with the remote inside."""
        tag, place = tag_of(type(value)), tuple(value.local_place)
        return Shape(tag, place, (value.remote,), label=lambda _: ".remote")

    def encode(self, value: Staging[Any]) -> tuple[str, bytes] | None:
        """Return JSON with the local path and the remote; what has a subclass in it is pickled."""
        if type(value) is not self._cls or type(value.local) is not self._cls.of:
            return None
        made = kind_of(value.remote).encode(value.remote)
        if type(value.remote) is not self._cls.of or made is None:
            return None
        format, remote = made
        fields: dict[str, object] = {"local": value.local_place, "remote": json.loads(remote)}
        return _STAGING + format, _pack(fields)

    def decode(self, format: str, payload: bytes) -> Staging[Any]:
        """Make the value at the place where its roots lie here.

        Raises:
            UnknownRootError: A root is not declared here.
        """
        fields = json.loads(payload)
        kind = kind_of_class(self._cls.of)
        remote = kind.decode(format.removeprefix(_STAGING), _pack(fields["remote"]))
        return self._cls.at(Place(*fields["local"]), remote)

    def parse(self, text: str) -> Staging[Any]:
        """Make one from the path of the remote; it is used under its name."""
        return self._cls(None, text)


FILE = FileKind()
DIR = FileGroupKind("taskgraph.Dir", Dir)
FILE_SET = FileGroupKind("taskgraph.FileSet", FileSet)
# What says itself how its content is known.
_BY_POLICY: tuple[tuple[type[Any], ValueKind], ...] = (
    (IFile, FileKind("taskgraph.IFile", IFile)),
    (ContentFile, FileKind("taskgraph.ContentFile", ContentFile)),
    (IDir, FileGroupKind("taskgraph.IDir", IDir)),
    (ContentDir, FileGroupKind("taskgraph.ContentDir", ContentDir)),
    (IStagingFile, StagingKind("taskgraph.IStagingFile", IStagingFile)),
    (ContentStagingFile, StagingKind("taskgraph.ContentStagingFile", ContentStagingFile)),
    (IStagingDir, StagingKind("taskgraph.IStagingDir", IStagingDir)),
    (ContentStagingDir, StagingKind("taskgraph.ContentStagingDir", ContentStagingDir)),
)
STAGING_FILE = StagingKind("taskgraph.StagingFile", StagingFile)
STAGING_DIR = StagingKind("taskgraph.StagingDir", StagingDir)


def register_files() -> None:
    """Register the kinds of `File`, `Dir`, `FileSet`, and of files and folders to be staged."""
    from taskgraph.values.registry import register

    register(File, FILE, subclasses=True)
    register(Dir, DIR, subclasses=True)
    register(FileSet, FILE_SET, subclasses=True)
    register(StagingFile, STAGING_FILE, subclasses=True)
    register(StagingDir, STAGING_DIR, subclasses=True)
    for cls, kind in _BY_POLICY:
        register(cls, kind, subclasses=True)
