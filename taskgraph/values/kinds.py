"""How values of a type behave: the one door for built-in kinds and those of strangers.

A kind never pickles by itself: it asks `taskgraph.values.codec`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

from taskgraph.hashing import ValueHash
from taskgraph.values.stored import FileRecord


def class_path(cls: type) -> tuple[str, str]:
    """Return module and qualified name of a class, the same in whatever process this is."""
    module = cls.__module__
    # What a spawned worker calls the script that its parent calls `__main__`.
    if module == "__mp_main__":
        module = "__main__"
    return str(module), cls.__qualname__


def class_name(cls: type) -> str:
    """Return the dotted name of a class, as it is stored."""
    module, name = class_path(cls)
    return f"{module}.{name}"


def overrides(kind: ValueKind, method: str) -> bool:
    """Tell whether a kind does something of its own in one of its methods."""
    return getattr(type(kind), method) is not getattr(ValueKind, method)


def _by_index(position: int) -> str:
    return f"[{position}]"


class Shape(NamedTuple):
    """One level of a value, for hashing: what it is, what is known of it, what lies inside.

    Attributes:
        tag: What kind of thing this is; no two kinds share one.
        state: Exact builtin types only.
        children: The values inside, in canonical order unless ``ordered`` is False.
        label: Gives the path step to a child by its position, as ``[3]``, ``["key"]`` or ``.name``.
        buffers: Raw content, hashed without a copy.
        ordered: Whether the order of the children counts.
    """

    tag: str
    state: Any = None
    children: Sequence[Any] = ()
    label: Callable[[int], str] = _by_index
    buffers: Sequence[bytes | bytearray | memoryview] = ()
    ordered: bool = True


class ValueKind:
    """How values of a type are hashed, stored, shown and checked.

    Subclasses override what is different for them. ``Any`` stands for the user's value.
    """

    #: Stored in ``value.type``; by default that of the value's class.
    name: str = ""
    #: Whether values of this kind are recorded as subvalues when they lie inside others.
    is_subvalue: bool = False
    #: Whether the methods of a value's class count in its hash, if the class is the user's.
    brings_code: bool = True
    #: Whether a class of the user reads its own bytes.
    reads_by_class: bool = False

    def type_name(self, value: Any) -> str:
        """Return the name of the value's type as it is stored."""
        return self.name or class_name(type(value))

    def shape(self, value: Any) -> Shape:
        """Return one level of the value.

        Raises:
            UnhashableValueError: With an empty path; the walk knows where it is and fills it in.
        """
        raise NotImplementedError

    def own_hash(self, value: Any) -> ValueHash | None:
        """Return the hash if this kind has its own; None where it follows from the shape."""
        return None

    def is_leaf(self, value: Any) -> bool:
        """Tell whether its shape has nothing but numbers, texts and the like for children.

        Those of which there may be thousands in one value say so where that is quick to see: then
        nobody walks into them. Of a kind that has a hash of its own, brings code along, or is
        recorded where it lies in other values, none is.
        """
        return False

    def encode(self, value: Any) -> tuple[str, bytes] | None:
        """Return format and bytes, or None to have the value pickled."""
        return None

    def write(self, value: Any, sink: IO[bytes]) -> str | None:
        """Write what ``encode`` would give piece by piece, and return the format.

        Asked of large values, for which ``bytes_in`` says how large. None has the value encoded.
        """
        return None

    def bytes_in(self, value: Any) -> int:
        """Return about how many bytes ``write`` would write; 0 for kinds that do not."""
        return 0

    def decode(self, format: str, payload: bytes) -> Any:
        """Make the value again from what ``encode`` gave.

        The payload of a large value may be an `mmap.mmap` in place of bytes. It is the value's to
        keep and to write to: nothing of that comes to the file that is mapped.
        """
        raise NotImplementedError

    def reduce(self, value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
        """Return what makes the value again where it is written inside of others.

        A function that can be imported, and its arguments. None leaves it to pickle, and so to the
        class, as what has no kind of its own is.
        """
        return None

    def preview(self, value: Any) -> str:
        """Return a short text that shows the value in lists and logs."""
        return repr(value)

    def subvalues(self, value: Any) -> Sequence[Any]:
        """Return what lies inside and may be, or hold, subvalues (Files above all)."""
        return self.shape(value).children

    def flatten(self, value: Any) -> Sequence[Any]:
        """Return what to write before the value, innermost first.

        Kinds that nest very deeply (lazy expressions) name their inner values here, so that
        pickling them needs no recursion: what was written before is only referred to.
        """
        return ()

    def parse(self, text: str) -> Any:
        """Make a value of this kind from the text of a command line flag."""
        raise ValueError(f"a {self.name or 'value of this type'} cannot be made from text")

    def is_valid(self, value: Any) -> bool:
        """Tell whether the value still matches the world. May block on files."""
        return True

    def describe_change(self, value: Any) -> str:
        """Say what is different in the world, of a value that is not valid. May block on files."""
        return f"{self.preview(value)}: it no longer matches the world"

    def needs_reading(self, value: Any) -> bool:
        """Tell, without blocking, whether ``read`` must be called before the value is hashed."""
        return False

    def bytes_to_read(self, value: Any) -> int:
        """Return how many bytes ``read`` would read, for progress. May block, briefly."""
        return 0

    def read(self, value: Any, progress: Callable[[int], None] | None = None) -> None:
        """Look at the world so that the value can be hashed; blocks, and is called by a pool.

        Args:
            value: The value.
            progress: Told how many bytes were read since the last time.
        """

    def refresh(self, value: Any) -> None:
        """Look at the world again: called where a task ran, for what it returned."""

    def file_record(self, value: Any, value_hash: ValueHash) -> FileRecord | None:
        """Return the row for the table of files, for kinds that stand for one."""
        return None
