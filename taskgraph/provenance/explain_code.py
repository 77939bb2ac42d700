"""Two versions of a task's code, compared part by part.

Parts are told apart by kind and name. What is only there because another part changed (a helper
that the edited body now calls) is named after what changed.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from taskgraph.provenance.explain import (
    CODE_KINDS,
    Change,
    ChangeKind,
    CodeExplanation,
    CodePart,
)
from taskgraph.provenance.explain_scripts import undeclared_executables
from taskgraph.provenance.rows import PartRow

#: Kinds whose text is code, and is shown as a diff.
TEXTS: Final = frozenset({ChangeKind.FUNCTION, ChangeKind.CLASS})
_KINDS: Final[Mapping[str, ChangeKind]] = {kind.value: kind for kind in CODE_KINDS}
# With a version, code does not count at all: that its parts came or went says nothing.
_REPLACED: Final = frozenset(
    {
        ChangeKind.FUNCTION,
        ChangeKind.CLASS,
        ChangeKind.CODE,
        ChangeKind.CONSTANT,
        ChangeKind.DEFAULT,
        ChangeKind.CLOSURE,
        ChangeKind.NAME,
        ChangeKind.TASK,
        ChangeKind.OUTSIDE,
        ChangeKind.UNFOLLOWED,
        ChangeKind.PART,
    }
)
_BY_THEMSELVES: Final = frozenset(
    {
        ChangeKind.VERSION,
        ChangeKind.PACKAGE,
        ChangeKind.TOOL,
        ChangeKind.INCLUDE,
        ChangeKind.OPTION,
    }
)
_CONTEXT_LINES: Final = 3

# A part by kind, name and, where several have both, a number.
_Key = tuple[str, str, int]


class PartChange(NamedTuple):
    """A part that is not the same in two versions; a hash of None says that it is not there.

    ``follows`` says that it came or went because another part changed.
    """

    kind: str
    name: str
    old_hash: str | None
    new_hash: str | None
    follows: bool = False


def compare_parts(old: Iterable[PartRow], new: Iterable[PartRow]) -> list[PartChange]:
    """Return the parts that differ, the most telling first."""
    before, after = _by_name(old), _by_name(new)
    changes = [
        PartChange(kind, name, before.get((kind, name, number)), after.get((kind, name, number)))
        for kind, name, number in {**before, **after}
        if before.get((kind, name, number)) != after.get((kind, name, number))
    ]
    if any(kind_of_part(each.kind) is ChangeKind.VERSION for each in changes):
        kept = [each for each in changes if kind_of_part(each.kind) not in _REPLACED]
        changes = kept
    # Where something cannot be followed is told by its line, which moves with any edit above it.
    followed = [each for each in changes if each.kind != ChangeKind.UNFOLLOWED]
    told = sorted(followed or changes, key=_telling)
    # A helper that an edited body calls now, or calls no more.
    return [
        each._replace(follows=_came_or_went(each) and not _came_or_went(told[0])) for each in told
    ]


def _by_name(parts: Iterable[PartRow]) -> dict[_Key, str]:
    found: dict[_Key, str] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for each in sorted(parts, key=lambda part: (part.kind, part.name, part.part_hash)):
        found[each.kind, each.name, seen[each.kind, each.name]] = each.part_hash
        seen[each.kind, each.name] += 1
    return found


def _telling(change: PartChange) -> tuple[bool, int, str]:
    return _came_or_went(change), CODE_KINDS.index(kind_of_part(change.kind)), change.name


def _came_or_went(change: PartChange) -> bool:
    # A version or an option that came or went is there by itself.
    own = kind_of_part(change.kind) in _BY_THEMSELVES
    return not own and None in (change.old_hash, change.new_hash)


def kind_of_part(kind: str) -> ChangeKind:
    """Return the kind of change that a change of a part is; PART for kinds that are not known."""
    return _KINDS.get(kind, ChangeKind.PART)


def describe_parts(changes: Sequence[PartChange], text_of: Callable[[str], str]) -> list[Change]:
    """Return what is said of parts that differ.

    Args:
        changes: Parts that differ.
        text_of: Gives the text of a part by its hash.
    """
    return [replace(_describe(each, text_of), follows=each.follows) for each in changes]


def _describe(change: PartChange, text_of: Callable[[str], str]) -> Change:
    kind = kind_of_part(change.kind)
    old = None if change.old_hash is None else text_of(change.old_hash)
    new = None if change.new_hash is None else text_of(change.new_hash)
    if kind is ChangeKind.CODE:
        return Change(kind, change.name, detail="its source is not known for certain")
    detail = change.kind if kind is ChangeKind.PART else ""
    if kind in TEXTS:
        if old == new:
            # What counts is not the text alone: a default, a decorator, the class that it is in.
            detail = "its text is the same; what Python made of it is not"
        return Change(kind, change.name, detail=detail, diff=diff_of(old or "", new or ""))
    if old is not None and old == new:
        detail = detail or "the previews are the same, the contents are not"
    return Change(kind, change.name, old=old, new=new, detail=detail)


def diff_of(old: str, new: str) -> str:
    """Return a unified diff of two texts, without file names."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=_CONTEXT_LINES)
    return "\n".join(line for line in list(lines)[2:])


def explain_code(
    task: str, task_hash: str, source: str, parts: Iterable[tuple[str, str, str]]
) -> CodeExplanation:
    """Return all that counts of a task's code.

    Args:
        task: Full name of the task.
        task_hash: Its hash.
        source: The text of its function.
        parts: Kind, name and text of each part.
    """
    every = [CodePart(*each) for each in parts]
    every.sort(key=lambda part: (CODE_KINDS.index(kind_of_part(part.kind)), part.kind, part.name))
    unfollowed = [each for each in every if each.kind == ChangeKind.UNFOLLOWED]
    unfollowed += undeclared_executables(source, every)
    return CodeExplanation(
        task,
        task_hash,
        source,
        tuple(each for each in every if each.kind != ChangeKind.UNFOLLOWED),
        tuple(unfollowed),
    )
