"""Tags as rows: a key and a JSON value on a record, named by a hash over all of it.

Nothing is overwritten: a tag that another one supersedes stays, and is no longer current.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from taskgraph.hashing import hash_record
from taskgraph.jsontext import to_json
from taskgraph.records import TagRecord


def tag_record(
    entity_type: str, entity_id: str, key: str, value: Any, parents: Iterable[str] = ()
) -> TagRecord:
    """Return the row of a tag; ``parents`` are the hashes of those that it supersedes.

    Raises:
        ValueError: The value is not JSON.
    """
    text = to_json(value)
    tag_hash = hash_record("tag", str(entity_type), entity_id, key, text, *sorted(parents))
    return TagRecord(tag_hash, str(entity_type), entity_id, key, text, True)
