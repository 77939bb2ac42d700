"""The databases that records can be in, by the first word of a URI; what differs between them."""

from __future__ import annotations

from taskgraph_backend.dialects.port import Database, Driver, Rows
from taskgraph_backend.dialects.postgres.address import SCHEMES
from taskgraph_backend.dialects.sqlite import BUSY_TIMEOUT_SECONDS, NOW, SqliteDatabase


def open_database(
    uri: str | None = None,
    *,
    synchronous: str = "normal",
    busy_timeout: float = BUSY_TIMEOUT_SECONDS,
) -> Database:
    """Return the database of a URI; nothing is opened yet.

    Args:
        uri: ``sqlite:///relative``, ``sqlite:////absolute``, ``sqlite://`` for one in memory, or
            ``postgresql://user@host/name``.
        synchronous: How hard to make sure of the disk: "normal" or "full".
        busy_timeout: How many seconds to wait for others.

    Raises:
        DatabaseError: The URI names a kind of database that is not known.
    """
    wanted = uri or "sqlite:///:memory:"
    if wanted.partition("://")[0] in SCHEMES:
        # Only who has a server loads what speaks to it.
        from taskgraph_backend.dialects.postgres.database import PostgresDatabase

        return PostgresDatabase(wanted, busy_timeout=busy_timeout)
    return SqliteDatabase(wanted, synchronous=synchronous, busy_timeout=busy_timeout)


__all__ = ["BUSY_TIMEOUT_SECONDS", "NOW", "Database", "Driver", "Rows", "open_database"]
