"""Everything is unpickled in one room."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DOORS = re.compile(
    r"pickle\.loads?\(|pickle\._?Unpickler\b|Unpickler\(|allow_pickle=True|read_pickle|\bmarshal\.loads|\bshelve\.open"
    r"|\bimport dill|\bimport joblib|torch\.load\("
)
# Outlines of our own source files in the cache folder: with a checksum, and none of the store's.
_KNOWN = {"taskgraph/fingerprint/sources.py"}


def _rooms() -> set[str]:
    found = set()
    for folder in (ROOT / "taskgraph", ROOT / "backend", ROOT / "migrations"):
        for path in folder.rglob("*.py"):
            if _DOORS.search(path.read_text(encoding="utf-8")):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_one_room_unpickles() -> None:
    rooms = _rooms() - _KNOWN

    assert {room.rpartition("/")[0] for room in rooms} == {"taskgraph/values/gate"}


def test_the_doors_are_where_they_are_looked_for() -> None:
    assert "taskgraph/values/gate/__init__.py" in _rooms()
    assert _rooms() >= _KNOWN
