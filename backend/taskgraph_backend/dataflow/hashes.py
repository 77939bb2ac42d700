"""Any number of hashes in one statement: they go in one long parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.orm import InstrumentedAttribute

# No list of parameters: there may be more than a statement takes.
_SPLIT: Final = """WITH RECURSIVE place (at) AS (
  SELECT 0 UNION ALL SELECT place.at + 1 FROM place WHERE place.at + 1 < :count)
  SELECT substr(:hashes, place.at * 16 + 1, 16) FROM place"""


def among(column: InstrumentedAttribute[str], hashes: Iterable[bytes]) -> TextClause:
    """Return the condition that a column has one of some hashes; at least one."""
    wanted = list(dict.fromkeys(hashes))
    return text(f"{column.class_.__tablename__}.{column.key} IN ({_SPLIT})").bindparams(
        hashes=b"".join(wanted), count=len(wanted)
    )
