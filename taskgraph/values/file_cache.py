"""`FileCache`: values that are kept in files of their own, and not in the database.

A file is named by the digest of what is in it, and appears whole. What is stored of the value is
that name: a file that is gone, or that says something else by now, is a result that is not there.
"""

from __future__ import annotations

import json
import os
from typing import Any, ClassVar

from xxhash import xxh3_128

from taskgraph.errors import InvalidValueError, UnhashableValueError
from taskgraph.hashing import digest_bytes
from taskgraph.values.filesystems import Filesystem, errors_naming, get_filesystem
from taskgraph.values.places import locate, printable
from taskgraph.values.value import ProxyValue

_CHUNK = 4 << 20


class FileCache(ProxyValue):
    """Keeps the values of a class in files, which are named by their content.

    Subclasses name the class in ``type`` and a folder in ``base_path``, and say with `_serialize`
    and `_deserialize` what is in a file. A value counts by its own content where that has a hash,
    and otherwise by what `_serialize` gives.

    Attributes:
        base_path: The folder, or any URL of fsspec's. Made when the first value is written.
    """

    base_path: ClassVar[str | os.PathLike[str]]

    def _serialize(self) -> bytes:
        """Return what is to be in the file of the value, which is in ``self.instance``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is written")

    @classmethod
    def _deserialize(cls, data: bytes) -> Any:
        """Make a value again from what was in its file."""
        raise NotImplementedError(f"{cls.__name__} does not say how it is read")

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the hash of the value's content, or of what `_serialize` gives."""
        try:
            return super().get_hash()
        except UnhashableValueError:
            return f"written {digest_bytes(self._serialize())}"

    def serialize(self) -> bytes:
        """Write the file, unless it is there, and return what names it."""
        content = self._serialize()
        name = digest_bytes(content)
        location = self._location_of(name)
        filesystem = get_filesystem(url=location)
        with errors_naming(location):
            if not _is_there(filesystem, location, name, len(content)):
                with filesystem.open(location, "wb") as stream:
                    stream.write(content)
        return json.dumps({"file": name, "size": len(content)}).encode("ascii")

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Make a value again from its file.

        Raises:
            InvalidValueError: The file is not there, is damaged, or cannot be reached.
        """
        name = str(json.loads(data)["file"])
        location = cls._location_of(name)
        shown = printable(location)
        try:
            with get_filesystem(url=location).open(location, "rb") as stream:
                content = stream.read()
        except FileNotFoundError:
            reason = f"the file that holds it is not there any more: {shown}"
            raise InvalidValueError("", reason, is_lost=True) from None
        except OSError as error:
            # It may be there the next time: what is recorded stays.
            with_path = f"the file that holds it cannot be read: {shown} ({error})"
            raise InvalidValueError("", with_path) from error
        if digest_bytes(content) != name:
            reason = f"the file that holds it is damaged: {shown}"
            raise InvalidValueError("", reason, is_lost=True)
        return cls._deserialize(content)

    @classmethod
    def _location_of(cls, name: str) -> str:
        return f"{locate(cls.base_path).rstrip('/')}/{name}"


def _is_there(filesystem: Filesystem, location: str, name: str, size: int) -> bool:
    """Tell whether a file has the content that it is named by; reads it piece by piece."""
    if not filesystem.isfile(location) or filesystem.size(location) != size:
        return False
    hasher = xxh3_128()
    with filesystem.open(location, "rb") as stream:
        while piece := stream.read(_CHUNK):
            hasher.update(piece)
    return hasher.hexdigest() == name


__all__ = ["FileCache"]
