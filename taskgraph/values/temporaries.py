"""Temporary files: results that may be deleted once they were used, and are made again if needed.

A File that is one (``File(path, temp=True)``) and is gone still stands for the content that was
seen there, for whoever only passes it on. Nobody may be given it to read.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.values import files, walk
from taskgraph.values.contents import MISSING
from taskgraph.values.files import File
from taskgraph.values.registry import kind_of


def temporaries_in(values: Sequence[Any]) -> list[File]:
    """Return the temporary files in some values, at any depth. Never blocks."""
    if not files.temporary_met:
        return []
    return [
        each
        for value in values
        if type(value) not in ATOMIC_TYPES
        for each in walk.find_live(value)
        if isinstance(each, File) and each.temp
    ]


def is_gone(value: Any) -> bool:
    """Tell whether a value is a temporary file that was there and is not any more. May block."""
    if not isinstance(value, File) or not value.temp or value.seen is None:
        return False
    return value.seen.content != MISSING.content and not value.exists()


def find_invalid(value: Any, needed: Container[str]) -> Any | None:
    """Return the first value inside that no longer matches the world, None if all do. May block.

    Args:
        value: Where to look.
        needed: The locations of the temporary files that must be there; others may be gone.
    """
    for each in walk.find_live(value):
        if kind_of(each).is_valid(each):
            continue
        if not is_gone(each) or each.location in needed:
            return each
    return None
