"""A piece: something that was reached, what it says of itself, and what it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from taskgraph.fingerprint.parts import Part, PartKind, make_part
from taskgraph.fingerprint.state import Touch
from taskgraph.hashing import hash_record, hash_shape
from taskgraph.values.kinds import Shape, class_name


class Mode:
    """What else counts, for all that a function reaches if anything there looks at it."""

    PLAIN: Final = 0
    DOCS: Final = 1
    ANNOTATIONS: Final = 2


class Binding:
    """A name, and the piece that it stands for; None if it stands for nothing."""

    __slots__ = ("kind", "name", "target")

    def __init__(self, kind: PartKind, name: str, target: int | None) -> None:
        self.kind = kind
        self.name = name
        self.target = target


class Piece:
    """Something that was reached.

    Attributes:
        value: The object; kept, so that it is known by its identity.
        role: How it is looked at: ``""``, ``task`` or ``behaviour``.
        is_code: Whether it stands for code rather than for a value.
        is_foreign: Whether it is an object of a class from outside.
        label: What it is called.
        fields: What it says of itself, besides what it refers to.
        docs: What else it says if docstrings count.
        annotations: What else it says if annotations count.
        shape: Of a value: how its hash is made.
        unfollowed: Of a value: why it has no stable hash.
        depth: How many steps from where it began.
        takes_functions: Whether it takes the function out of something that may be a task.
        children: The pieces that it refers to.
        bindings: The names through which it refers to some of them.
        own_part: Kind, name and text of the part that it is, if it is one.
        other_parts: What else is to be told of it.
        looks_at: The bits of `Mode` that it needs.
        seen: The names that were looked up for it: the variables among them, or all.
        touches: The variables that it may change.
        content: Of a value that may change: what was in it when it was described.
    """

    __slots__ = (
        "annotations",
        "bindings",
        "children",
        "content",
        "depth",
        "docs",
        "fields",
        "is_code",
        "is_foreign",
        "label",
        "looks_at",
        "other_parts",
        "own_part",
        "role",
        "seen",
        "shape",
        "takes_functions",
        "touches",
        "unfollowed",
        "value",
    )

    def __init__(self, value: Any, role: str) -> None:
        self.value = value
        self.role = role
        self.is_code = False
        self.is_foreign = False
        self.label = ""
        self.fields: tuple[str | int | None, ...] = ()
        self.docs = ""
        self.annotations = ""
        self.shape: Shape | None = None
        self.depth = 0
        self.unfollowed = ""
        self.takes_functions = False
        self.children: list[int] = []
        self.bindings: list[Binding] = []
        self.own_part: tuple[PartKind, str, str] | None = None
        self.other_parts: list[Part] = []
        self.looks_at = Mode.PLAIN
        self.seen: list[Any] = []
        self.touches: list[Touch] = []
        self.content: Any = None

    def say(self, *fields: str | int | None) -> None:
        """Add to what the piece says of itself."""
        self.fields += fields

    def name_code(self, label: str) -> None:
        """Make it a piece of code of this name."""
        self.is_code = True
        self.label = label

    def give_up(self, why: str, children: list[int]) -> None:
        """Let the type alone count, and what code lies in the object."""
        self.shape = None
        self.fields = ("unfollowed", class_name(type(self.value)))
        self.unfollowed = why
        self.children = children

    def fail(self, type_name: str, why: str) -> None:
        """Let the name of the type alone count, of an object that cannot even be looked at."""
        self.shape = None
        self.fields = ("unfollowed", type_name)
        self.children = []
        if self.is_code:
            self.own_part = (PartKind.UNFOLLOWED, self.label or type_name, why)
        else:
            self.unfollowed = why

    def counted(self, mode: int) -> tuple[str | int | None, ...]:
        """Return what the piece says of itself in a mode."""
        docs = self.docs if mode & Mode.DOCS else ""
        annotations = self.annotations if mode & Mode.ANNOTATIONS else ""
        return (*self.fields, docs, annotations)

    def combine(self, inner: Sequence[str], mode: int) -> str:
        """Return the hash of the piece from the hashes of those that it refers to."""
        shape = self.shape
        if shape is None:
            return hash_record("piece", *self.counted(mode), len(inner), *inner)
        return hash_shape(
            shape.tag, shape.state, inner, buffers=shape.buffers, ordered=shape.ordered
        )

    def parts(self, mode: int) -> Iterator[Part]:
        """Yield the parts that the piece is by itself, whatever names lead to it."""
        if self.own_part is not None:
            kind, name, text = self.own_part
            counted = [each for each in self.counted(mode) if each is not None]
            yield make_part(kind, name, text, *counted)
        yield from self.other_parts
