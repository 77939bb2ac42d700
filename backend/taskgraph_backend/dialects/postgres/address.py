"""Where a PostgreSQL is: a URI, and what the environment adds; its password is never shown."""

from __future__ import annotations

import re
from typing import Final

from taskgraph.errors import DatabaseError

SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
# Seconds that a server may take to answer, if nobody says otherwise.
_PATIENCE: Final = "10"
# A host that vanished says nothing: after a minute of that somebody else is asked.
_ALIVE: Final = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

_PORT = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::\d*)?")


def connection_string(uri: str) -> str:
    """Return the URI as the driver takes it.

    What it does not say (host, user, password, database) is taken from the environment
    (``PGHOST``, ``PGPASSWORD``, ``PGSERVICE``), a service file, or ``~/.pgpass``.

    Raises:
        DatabaseError: It is no URI. The message does not show it, for it may show a password.
    """
    _, _, tail = uri.partition("://")
    before, _, _ = tail.partition("?")
    user, at, place = before.rpartition("@")
    hosts, _, _ = place.partition("/")
    has_odd_user = at and (user.count(":") > 1 or any(each in user for each in "@/"))
    if has_odd_user or not all(_PORT.fullmatch(each) for each in hosts.split(",")):
        raise DatabaseError(
            uri,
            "its host cannot be told from its password. Write @ as %40, : as %3A, / as %2F, ? as "
            "%3F and % as %25 in user and password.",
        )
    return f"postgresql://{tail}"


def defaults(address: str) -> dict[str, str]:
    """Return what holds where neither the address nor the environment says otherwise.

    What is given beside an address wins over it, and over a service file.
    """
    import os

    found = {"fallback_application_name": "taskgraph"}
    if "service=" in address or "PGSERVICE" in os.environ:
        return found
    if "PGCONNECT_TIMEOUT" not in os.environ:
        found["connect_timeout"] = _PATIENCE
    found |= _ALIVE
    return {key: value for key, value in found.items() if f"{key}=" not in address}


__all__ = ["SCHEMES", "connection_string", "defaults"]
