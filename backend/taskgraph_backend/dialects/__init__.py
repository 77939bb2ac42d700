"""The databases that records can be in, by the first word of a URI; what differs between them."""

from __future__ import annotations

from taskgraph_backend.dialects.port import Database, Driver, Rows
from taskgraph_backend.dialects.sqlite import BUSY_TIMEOUT_SECONDS, NOW, SqliteDatabase


def open_database(
    uri: str | None = None,
    *,
    synchronous: str = "normal",
    busy_timeout: float = BUSY_TIMEOUT_SECONDS,
) -> Database:
    """Return the database of a URI; nothing is opened yet.

    Args:
        uri: ``sqlite:///relative``, ``sqlite:////absolute``, or ``sqlite://`` for one in memory.
        synchronous: How hard to make sure of the disk: "normal" or "full".
        busy_timeout: How many seconds to wait for others.

    Raises:
        DatabaseError: The URI names a kind of database that is not known.
    """
    return SqliteDatabase(
        uri or "sqlite:///:memory:", synchronous=synchronous, busy_timeout=busy_timeout
    )


__all__ = ["BUSY_TIMEOUT_SECONDS", "NOW", "Database", "Driver", "Rows", "open_database"]
