"""The port of retractions on a database: each change is one transaction that is alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskgraph.catalog.retractions import Entity, Retraction, Wanted
from taskgraph.errors import AmbiguousIdError
from taskgraph.jsontext import storable
from taskgraph_backend.dialects import Driver
from taskgraph_backend.opened import OpenedPort
from taskgraph_backend.retracting import marking

if TYPE_CHECKING:
    pass

_binary = bytes.fromhex
_SHOWN = 5


class Retractions(OpenedPort):
    """What was retracted, in a database."""

    def retract(self, wanted: Wanted) -> Retraction:
        """Mark what is wanted, with all that came from it: all, or nothing."""
        if wanted.dry_run:
            return self._backend._ask(marking.retract, wanted)
        return self._backend._transact(marking.retract, wanted)

    def unretract(self, retraction_id: str) -> tuple[int, int] | None:
        """Take a retraction back; returns how many calls and executions count again."""
        return self._backend._transact(marking.unretract, retraction_id)

    def retractions(self, *, include_ended: bool) -> list[Retraction]:
        """Return the retractions, the newest first."""
        found = self._backend._ask(_listed, include_ended)
        if found is None:
            self._backend._transact(marking.settle)
            found = self._backend._ask(_listed, include_ended)
        return found or []


def _listed(driver: Driver, include_ended: bool) -> list[Retraction] | None:
    return marking.listed(driver, include_ended=include_ended)


def find_dataset(driver: Driver, text: str) -> Entity | None:
    """Return the dataset that a text stands for: its name, its id, or the start of one.

    Raises:
        AmbiguousIdError: There are several, in different studies.
    """
    named = "SELECT id, name FROM dataset WHERE name = ?"
    rows = driver.execute(named, (storable(text),)).fetchall()
    start = text.lower()
    if not rows and 0 < len(start) <= 32 and set(start) <= set("0123456789abcdef"):
        between = (_binary(start.ljust(32, "0")), _binary(start.ljust(32, "f")))
        rows = driver.execute(
            "SELECT id, name FROM dataset WHERE id >= ? AND id <= ? ORDER BY id", between
        ).fetchall()
    if len(rows) > 1:
        found = [f"Dataset {key.hex()[:12]} {name}" for key, name in rows[:_SHOWN]]
        raise AmbiguousIdError(text, found)
    return Entity("Dataset", rows[0][0].hex(), rows[0][1]) if rows else None


def find_file(driver: Driver, places: list[tuple[str, str]], text: str) -> Entity | None:
    """Return the file of a path that no call has made or used, or of the hash of a value."""
    for root, path in places:
        row = driver.execute(
            "SELECT value_hash FROM file WHERE path = ? AND root = ? ORDER BY value_hash LIMIT 1",
            (storable(path), storable(root)),
        ).fetchone()
        if row is not None:
            return Entity("Value", row[0].hex(), text)
    return None


def path_of(driver: Driver, value_hash: str) -> str | None:
    """Return the path of a value that is a file; None of any other value."""
    row = driver.execute(
        "SELECT path FROM file WHERE value_hash = ?", (_binary(value_hash),)
    ).fetchone()
    return None if row is None else str(row[0])


__all__ = ["Retractions", "find_dataset", "find_file", "path_of"]
