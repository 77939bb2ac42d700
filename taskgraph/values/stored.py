"""Values in the plain form that crosses the border to a backend.

Nothing here can be executed: bytes, text and numbers only.
"""

from __future__ import annotations

from typing import NamedTuple

from taskgraph.hashing import ContentDigest, ValueHash

#: The format of a value that has a row and no content: it could not be hashed or stored.
UNSTORED = "unstored"
#: The format of a value that gave up its bytes to save space: what else is known of it stays, its
#: size too, and a call that needs it makes it again.
EVICTED = "evicted"


class ValueRecord(NamedTuple):
    """A value as it is stored: one row, content-addressed."""

    value_hash: ValueHash
    type: str
    format: str
    value: bytes
    size: int
    preview: str
    content_digest: ContentDigest
    trusted: bool = True


class SubvalueRecord(NamedTuple):
    """A value that lies inside another one."""

    parent_value_hash: ValueHash
    value_hash: ValueHash


class FileRecord(NamedTuple):
    """What a File value stands for: a path under a root, and the content seen there."""

    value_hash: ValueHash
    root: str
    path: str
    content_hash: str
    size: int


class PackedValue(NamedTuple):
    """A value with everything inside it that is recorded as well.

    ``values[0]`` is the value itself; the others are its subvalues, at any depth.
    """

    values: tuple[ValueRecord, ...]
    subvalues: tuple[SubvalueRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
