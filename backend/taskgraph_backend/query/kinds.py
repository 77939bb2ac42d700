"""The kinds of records that a query is over: their classes, names and primary keys, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy.orm import InstrumentedAttribute

from taskgraph.errors import FilterError
from taskgraph.filters import read_type
from taskgraph_backend import models

#: Each kind of record by name, in the order in which results are given.
MODEL_CLASSES: Final[Mapping[str, type[models.Base]]] = {
    "Execution": models.Execution,
    "Job": models.Job,
    "CallNode": models.CallNode,
    "Task": models.Task,
    "Value": models.Value,
}
#: The names in that order.
MODEL_NAMES: Final = tuple(MODEL_CLASSES)
#: The primary key of each kind.
MODEL_PKS: Final[Mapping[type[models.Base], InstrumentedAttribute[str]]] = {
    models.Execution: models.Execution.id,
    models.Job: models.Job.id,
    models.CallNode: models.CallNode.call_hash,
    models.Task: models.Task.hash,
    models.Value: models.Value.value_hash,
}


def names_of(types: Iterable[str | type[models.Base]]) -> frozenset[str]:
    """Return the names of kinds that are given by name or class.

    Raises:
        FilterError: There is no such kind.
    """
    found: set[str] = set()
    for each in types:
        name = each if isinstance(each, str) else each.__name__
        kind = read_type(name)
        found.update(MODEL_NAMES if kind == "all" else [kind])
    return frozenset(found)


def whole_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """Return ids as they stand in the database, each once.

    Raises:
        FilterError: One of them is no whole id, or there are more than a statement can take.
    """
    found = tuple(dict.fromkeys(each.lower() for each in ids))
    for each in found:
        if len(each) != _DIGITS or not set(each) <= _HEX:
            raise FilterError(
                "id", each, "a whole one has 32 hex digits; like_id finds by a start."
            )
    if len(found) > MOST_IDS:
        reason = f"a query takes at most {MOST_IDS:,} of them: ask in parts."
        raise FilterError("ids", f"{len(found):,} of them", reason)
    return found


# What SQLite and PostgreSQL take as parameters of one statement, with room for others.
MOST_IDS: Final = 30_000
_DIGITS: Final = 32
_HEX: Final = frozenset("0123456789abcdef")
