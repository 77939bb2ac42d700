"""Which files a result holds: what a dataset has as its content that an execution writes."""

from __future__ import annotations

from typing import Any

from taskgraph.values.contents import MISSING
from taskgraph.values.files import File
from taskgraph.values.walk import each_inside


def files_made(value: Any) -> list[File]:
    """Return the files in a result, at any depth, each once, in the order of their names.

    Those of folders and patterns are among them; those that are not there are not.
    """
    found: dict[str, File] = {}
    for each, _ in each_inside(value):
        if isinstance(each, File) and not _is_missing(each):
            found[each.location] = each
    return sorted(found.values(), key=lambda each: each.place)


def _is_missing(file: File) -> bool:
    seen = file.seen or file.look()
    return seen.content == MISSING.content


__all__ = ["files_made"]
