"""The parts of a fingerprint: what was counted, one by one, so that two of them can be compared."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from taskgraph.hashing import hash_record


class PartKind(StrEnum):
    """What kind of thing counts."""

    FUNCTION = "function"  # its text
    CLASS = "class"  # its text
    CODE = "code"  # compiled code without a source
    CONSTANT = "constant"  # the value of a name
    CLOSURE = "closure"  # the value of a name of the function around
    DEFAULT = "default"  # the default of a parameter
    NAME = "name"  # a name that stands for something called otherwise, or for nothing
    OUTSIDE = "outside"  # something of an installed package
    TASK = "task"  # another task, by its name
    PACKAGE = "package"  # a distribution, by its version
    TOOL = "tool"  # an executable, by its content or by what it prints
    INCLUDE = "include"  # a value of hash_includes
    OPTION = "option"  # an option that changes what a call means
    VERSION = "version"  # what replaces the code
    UNFOLLOWED = "unfollowed"  # what may count and cannot be followed


#: What stands in place of a text, of a name that nothing has yet.
STANDS_FOR_NOTHING = "stands for nothing yet"


class Part(NamedTuple):
    """Something that counts.

    Attributes:
        part_hash: Over kind, name and content.
        kind: One of `PartKind`.
        name: What it is called, with its module: ``helpers.SCALE``.
        source: Its text, a preview of its value, or why it cannot be followed.
    """

    part_hash: str
    kind: str
    name: str
    source: str


Parts = tuple[Part, ...]


def make_part(kind: PartKind, name: str, source: str, *content: str | int | None) -> Part:
    """Return a part, hashed over kind, name and content; by its source where that says it all."""
    counted = content or (source,)
    return Part(hash_record("part", kind.value, name, *counted), kind.value, name, source)


_TEXTS = frozenset({PartKind.FUNCTION, PartKind.CLASS, PartKind.CODE})


class Fingerprint:
    """All that counts of a function.

    Args:
        code_hash: The hash over all of it.
        list_parts: Lists it part by part, when it is first asked for.
        list_tasks: Lists the tasks in it, likewise.
    """

    def __init__(
        self,
        code_hash: str,
        list_parts: Callable[[], tuple[Part, ...]],
        list_tasks: Callable[[], tuple[Any, ...]],
    ) -> None:
        self.code_hash = code_hash
        self._list_parts = list_parts
        self._list_tasks = list_tasks

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All that counts, one by one; the function itself first."""
        return self._list_parts()

    @cached_property
    def tasks(self) -> tuple[Any, ...]:
        """The tasks that count by their names."""
        return self._list_tasks()

    @cached_property
    def texts_hash(self) -> str:
        """The hash over the texts alone: other processes have the same if they have the code."""
        texts = {each.part_hash for each in self.parts if each.kind in _TEXTS}
        return hash_record("texts", *sorted(texts))

    @property
    def unfollowed(self) -> tuple[Part, ...]:
        """The parts that cannot be followed."""
        return tuple(each for each in self.parts if each.kind == PartKind.UNFOLLOWED)


def changed_names(before: Parts, after: Parts) -> str:
    """Return the names of what counts in one of two and not in the other, in words."""
    one, other = ({each.part_hash: each.name for each in parts} for parts in (before, after))
    names = {one.get(each) or other[each] for each in one.keys() ^ other.keys()}
    return ", ".join(sorted(names)) or "a variable"


def describe_change(before: Parts, after: Parts) -> str:
    """Return what was changed while a body ran, in words, from what counted before and after."""
    return f"{changed_names(before, after)} was changed while it ran, and not by its own code"
