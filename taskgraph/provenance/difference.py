"""Where two values differ: both are walked side by side, down to the places that are not the same.

If their hashes differ, at least one place is named; the same shapes that are hashed are walked, so
that hash and explanation cannot disagree. Never recursive, and bounded in what it names.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.errors import UnhashableValueError
from taskgraph.tasks.task import Task
from taskgraph.values.contents import MISSING, Seen
from taskgraph.values.filegroups import FileGroup, Sighting
from taskgraph.values.files import File
from taskgraph.values.kinds import Shape, overrides
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_of
from taskgraph.values.weigh import hash_value

#: At most so many places are named.
MOST = 12
# What lies deeper would be hashed again and again, once for each level around it.
_MOST_HASHED: Final = 60
_KEY_WIDTH: Final = 40
# Longer texts are shown around the first place where they differ.
_TEXT_WIDTH: Final = 60
_BEFORE: Final = 20
# Types whose equality is that of their content, so that no hash need be made.
_EXACT: Final = frozenset({int, str, bytes, bool, type(None), type(...)})
_FRAMES: Final = frozenset({"pandas", "polars"})


@dataclass(frozen=True, slots=True)
class FileDifference:
    """What became of a file: ``content changed``, ``appeared`` or ``vanished``."""

    root: str
    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A place at which two values differ.

    Attributes:
        path: The steps from the value to the place, as ``.layers[2].width``.
        old: What was there, as a preview; None if there was nothing.
        new: What is there now; None if there is nothing.
        detail: More of it, where the previews do not say.
        file: What became of a file, if there is one at this place.
    """

    path: str
    old: str | None
    new: str | None
    detail: str = ""
    file: FileDifference | None = None


# Two values at the same place.
_Pair = tuple[str, Any, Any]


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of two values: pairs to go on with, and what is named here.

    ``is_all`` says that the values are the same if all pairs are and nothing is named.
    """

    pairs: Sequence[_Pair] = ()
    found: Sequence[Difference] = ()
    is_all: bool = False


def find_differences(old: Any, new: Any, most: int = MOST) -> tuple[list[Difference], bool]:
    """Return the places at which two values differ, and whether there are more of them.

    Args:
        old: One value; Any, for users' values may be of any type.
        new: The other.
        most: Name no more places than this.
    """
    if _is_same(old, new):
        return [], False
    # All that waits is known to differ; with each, how often what is around it was hashed.
    waiting: list[tuple[int, _Pair]] = [(0, ("", old, new))]
    found: list[Difference] = []
    seen: set[tuple[int, int]] = set()
    while waiting:
        depth, (path, a, b) = waiting.pop()
        # In a cycle the same two meet again: what differs there is named already.
        if (id(a), id(b)) in seen:
            continue
        seen.add((id(a), id(b)))
        if depth > _MOST_HASHED:
            level = _leaf(path, a, b, "somewhere inside")
        else:
            level = _compare(path, a, b)
        pairs = level.pairs
        # An only child of two that differ differs as well.
        if len(pairs) > 1 or level.found or not level.is_all:
            depth += 1
            pairs = [pair for pair in pairs if not _is_same(*pair[1:])]
        if not pairs and not level.found:
            level = _leaf(path, a, b)
        found += level.found
        if len(found) > most:
            break
        waiting += [(depth, pair) for pair in reversed(pairs)]
    return found[:most], len(found) > most


def _is_same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) in _EXACT:
        return bool(a == b)
    try:
        return hash_value(a) == hash_value(b)
    except UnhashableValueError:
        return False


def _compare(path: str, a: Any, b: Any) -> _Level:
    cls = type(a)
    if cls is not type(b):
        return _leaf(path, a, b)
    for fits, compare in _COMPARERS:
        if fits(a):
            return compare(path, a, b)
    return _compare_shapes(path, a, b)


def _leaf(path: str, a: Any, b: Any, detail: str = "") -> _Level:
    old, new = preview(a), preview(b)
    if old == new and not detail:
        detail = f"{_type_of(a)} became {_type_of(b)}" if type(a) is not type(b) else "its content"
    return _Level(found=[Difference(path, old, new, detail)])


def _type_of(value: Any) -> str:
    return type(value).__qualname__


# Texts


def _compare_texts(path: str, a: Any, b: Any) -> _Level:
    if max(len(a), len(b)) <= _TEXT_WIDTH:
        return _leaf(path, a, b)
    at = _first_difference(a, b)
    what = "character" if isinstance(a, str) else "byte"
    return _Level(
        found=[Difference(path, _around(a, at), _around(b, at), f"from {what} {at:,} on")]
    )


def _first_difference(a: Any, b: Any) -> int:
    """Return how much of two texts is the same from the start, by halves."""
    same, upto = 0, min(len(a), len(b))
    while same < upto:
        middle = (same + upto + 1) // 2
        if a[same:middle] == b[same:middle]:
            same = middle
        else:
            upto = middle - 1
    return same


def _around(text: Any, at: int) -> str:
    start = max(0, at - _BEFORE)
    shown = repr(text[start : start + _TEXT_WIDTH])
    return f"{'...' if start else ''}{shown}{'...' if start + _TEXT_WIDTH < len(text) else ''}"


# Containers


def _compare_sequences(path: str, a: Sequence[Any], b: Sequence[Any]) -> _Level:
    if len(a) == len(b):
        return _Level([(f"{path}[{i}]", a[i], b[i]) for i in range(len(a))], is_all=True)
    start, shorter = 0, min(len(a), len(b))
    while start < shorter and _is_same(a[start], b[start]):
        start += 1
    end = 0
    while end < shorter - start and _is_same(a[-1 - end], b[-1 - end]):
        end += 1
    inner = shorter - end - start
    pairs = [(f"{path}[{i}]", a[i], b[i]) for i in range(start, start + inner)]
    found = [
        Difference(f"{path}[{i}]", preview(a[i]), None) for i in range(start + inner, len(a) - end)
    ]
    found += [
        Difference(f"{path}[{i}]", None, preview(b[i])) for i in range(start + inner, len(b) - end)
    ]
    return _Level(pairs, found)


def _compare_dicts(path: str, a: dict[Any, Any], b: dict[Any, Any]) -> _Level:
    # Keys are told apart as the hash tells them apart: 1 and True are two.
    old = {_name_of(key): key for key in a}
    new = {_name_of(key): key for key in b}
    common = [name for name in old if name in new]
    pairs = [(path + _step(old[name]), a[old[name]], b[new[name]]) for name in common]
    found = [
        Difference(path + _step(key), preview(a[key]), None)
        for name, key in old.items()
        if name not in new
    ]
    found += [
        Difference(path + _step(key), None, preview(b[key]))
        for name, key in new.items()
        if name not in old
    ]
    if not found and common != list(new):
        # Side by side with what is inside, not in place of it: both count.
        found = [Difference(path, preview(list(a)), preview(list(b)), "the order of its keys")]
    return _Level(pairs, found, is_all=True)


def _name_of(key: Any) -> tuple[Any, ...]:
    if type(key) in _EXACT:
        return type(key), key
    try:
        return (hash_value(key),)
    except UnhashableValueError:
        return (id(key),)


def _step(key: Any) -> str:
    if type(key) is str:
        text = key if len(key) <= _KEY_WIDTH else key[:_KEY_WIDTH] + "..."
        return f"[{json.dumps(text, ensure_ascii=False)}]"
    return f"[{preview(key, _KEY_WIDTH)}]"


def _compare_sets(path: str, a: Any, b: Any) -> _Level:
    old = {_name_of(each): each for each in a}
    new = {_name_of(each): each for each in b}
    gone = [preview(each) for name, each in old.items() if name not in new]
    come = [preview(each) for name, each in new.items() if name not in old]
    step = f"{path}{{...}}"
    found = [Difference(step, each, None) for each in sorted(gone)]
    return _Level(found=found + [Difference(step, None, each) for each in sorted(come)])


# Files


def _compare_files(path: str, a: File, b: File) -> _Level:
    if a.place != b.place or a.temp != b.temp or a.seen is None or b.seen is None:
        return _leaf(path, a, b)
    return _Level(found=[_file_difference(path, a.place, a.seen, b.seen)])


def _file_difference(path: str, place: tuple[str, str], old: Seen, new: Seen) -> Difference:
    if old.content == MISSING.content:
        what = "appeared"
    elif new.content == MISSING.content:
        what = "vanished"
    else:
        what = "content changed"
    shown = [
        None if each.content == MISSING.content else f"{each.size:,} bytes, {each.content[:8]}"
        for each in (old, new)
    ]
    return Difference(path, shown[0], shown[1], what, FileDifference(*place, what))


def _compare_groups(path: str, a: FileGroup, b: FileGroup) -> _Level:
    if a.place != b.place or a.sighting is None or b.sighting is None:
        return _leaf(path, a, b)
    root, folder = a.place
    old, new = _members(a.sighting), _members(b.sighting)
    found = []
    for name in sorted({*old, *new}):
        before, after = old.get(name, MISSING), new.get(name, MISSING)
        if before.content != after.content:
            inner = f"{folder}/{name}" if "*" not in folder else name
            found.append(
                _file_difference(f"{path}[{json.dumps(name)}]", (root, inner), before, after)
            )
    # A folder without files is another one than none.
    return _Level(found=found) if found else _leaf(path, a, b)


def _members(sighting: Sighting) -> dict[str, Seen]:
    return {member.name: member.seen for member in sighting.members or ()}


# Arrays and tables


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def _compare_arrays(path: str, a: Any, b: Any) -> _Level:
    if a.dtype != b.dtype or a.shape != b.shape:
        return _leaf(path, a, b)
    if a.dtype.hasobject or not a.size:
        return _compare_shapes(path, a, b)
    np = sys.modules["numpy"]
    # By their bytes, as for the hash: a NaN is the same as itself.
    raw = [
        np.ascontiguousarray(each).view(np.uint8).reshape(a.size, a.dtype.itemsize)
        for each in (a.reshape(-1), b.reshape(-1))
    ]
    places = np.flatnonzero((raw[0] != raw[1]).any(axis=1))
    if not len(places):
        return _Level()
    place = np.unravel_index(places[0], a.shape)
    step = f"[{', '.join(str(int(each)) for each in place)}]" if place else ""
    more = f"and {len(places) - 1:,} more of its {a.size:,} items" if len(places) > 1 else ""
    return _Level(found=[Difference(path + step, str(a[place]), str(b[place]), more)])


def _is_frame(value: Any) -> bool:
    module = type(value).__module__.partition(".")[0]
    return module in _FRAMES and type(value).__name__ == "DataFrame"


def _compare_frames(path: str, a: Any, b: Any) -> _Level:
    old, new = list(a.columns), list(b.columns)
    if len({*old}) < len(old) or len(a) != len(b):
        return _leaf(path, a, b, f"{len(a):,} rows became {len(b):,}" if len(a) != len(b) else "")
    pairs = [
        (path + _step(each), a[each].to_numpy(), b[each].to_numpy()) for each in old if each in new
    ]
    if hasattr(a, "index"):
        pairs.append((f"{path}.index", a.index.to_numpy(), b.index.to_numpy()))
    found = [
        Difference(path + _step(each), preview(a[each].to_numpy()), None)
        for each in old
        if each not in new
    ]
    found += [
        Difference(path + _step(each), None, preview(b[each].to_numpy()))
        for each in new
        if each not in old
    ]
    return _Level(pairs, found)


# Everything else, by its shape


def _compare_shapes(path: str, a: Any, b: Any) -> _Level:
    kind = kind_of(a)
    if not overrides(kind, "shape") or overrides(kind, "own_hash"):
        return _leaf(path, a, b)
    try:
        old, new = dict(_children(kind.shape(a))), dict(_children(kind.shape(b)))
    except UnhashableValueError:
        return _leaf(path, a, b)
    pairs = [(path + label, old[label], new[label]) for label in old if label in new]
    found = [
        Difference(path + label, preview(each), None)
        for label, each in old.items()
        if label not in new
    ]
    found += [
        Difference(path + label, None, preview(each))
        for label, each in new.items()
        if label not in old
    ]
    return _Level(pairs, found)


def _children(shape: Shape) -> Iterator[tuple[str, Any]]:
    """Yield what lies inside by its label; where several have one label, they are numbered."""
    seen: Counter[str] = Counter()
    for position, child in enumerate(shape.children):
        label = shape.label(position)
        seen[label] += 1
        yield (label if seen[label] == 1 else f"{label}#{seen[label]}"), child


def _compare_tasks(path: str, a: Any, b: Any) -> _Level:
    if a.fullname != b.fullname:
        return _leaf(path, a, b)
    return _leaf(path, a, b, "the code of the task")


def _compare_functions(path: str, a: Any, b: Any) -> _Level:
    same_name = (a.__module__, a.__qualname__) == (b.__module__, b.__qualname__)
    return _leaf(path, a, b, "the code of the function" if same_name else "")


def _is_exactly(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _is_a(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


_FUNCTION: Final = type(_is_same)

# The first that fits counts.
_COMPARERS: Final[Sequence[tuple[Callable[[Any], bool], Callable[[str, Any, Any], _Level]]]] = (
    (_is_exactly(str, bytes), _compare_texts),
    (_is_exactly(list, tuple), _compare_sequences),
    (_is_exactly(dict), _compare_dicts),
    (_is_exactly(set, frozenset), _compare_sets),
    (_is_a(File), _compare_files),
    (_is_a(FileGroup), _compare_groups),
    (_is_a(Task), _compare_tasks),
    (_is_exactly(_FUNCTION), _compare_functions),
    (_is_array, _compare_arrays),
    (_is_frame, _compare_frames),
)

__all__ = ["MOST", "Difference", "FileDifference", "find_differences"]
