"""What errors of PostgreSQL mean: what it calls them, what we call them, and what to do."""

from __future__ import annotations

import re
from typing import Any, Final

from taskgraph.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseVersionError,
)

#: A row refers to one that is not there.
MISSING: Final = "23503"
# Somebody else's lock was waited for as long as is said.
_LOCKED: Final = "55P03"
# Two were in each other's way: whoever tries again gets through.
_IN_THE_WAY: Final = frozenset({"40001", "40P01"})
# The server ends the connection, or does not take any yet.
_GONE: Final = frozenset(
    {"57P01", "57P02", "57P03", "57P05", "25P03", "08000", "08001", "08003", "08004", "08006"}
)
# It is a copy of the server that is written to, or was made one.
_READ_ONLY: Final = "25006"

# The start of the code, what we call it, and what to do.
_REASONS: Final[tuple[tuple[str, type[DatabaseError], str], ...]] = (
    (
        MISSING,
        DatabaseError,
        "a row refers to one that does not exist ({message}). Nothing of the batch was written.",
    ),
    (
        _LOCKED,
        DatabaseBusyError,
        "others kept it locked for more than {seconds} seconds. Nothing of the last step was "
        "written; wait for them, and run again.",
    ),
    (
        "40",
        DatabaseBusyError,
        "others wrote the same rows again and again ({message}). Nothing of the last step was "
        "written; run again to go on from there.",
    ),
    (
        _READ_ONLY,
        DatabaseReadOnlyError,
        "it can only be read: it is a copy, or set so. Name the server that is written to.",
    ),
    (
        "42501",
        DatabaseReadOnlyError,
        "this user may not do that ({message}). Ask who looks after the database for the rights, "
        "or name another user.",
    ),
    (
        "53100",
        DatabaseFullError,
        "the disk of the server is full. Nothing of the last step was written; have space made "
        "there and run again to go on from there.",
    ),
    (
        "53300",
        DatabaseBusyError,
        "it has no connection left. Wait until others end, or have max_connections raised.",
    ),
    (
        "42601",
        DatabaseError,
        "this cannot be asked of PostgreSQL ({message}), which is a fault of taskgraph. Until it "
        "is mended, pull the records into a project without db_uri and ask there.",
    ),
    (
        "42P01",
        DatabaseVersionError,
        "its tables are not those that this library knows ({message}): its schema was changed "
        "meanwhile, or it is another program's. `taskgraph db info` shows its version.",
    ),
    (
        "42703",
        DatabaseVersionError,
        "its tables are not those that this library knows ({message}): its schema was changed "
        "meanwhile, or it is another program's. `taskgraph db info` shows its version.",
    ),
    (
        "3F000",
        DatabaseError,
        "there is no schema in it to make tables in. Create one, or name it with "
        "?options=-csearch_path%3Dname.",
    ),
)

# Why no connection came about has no code: the words of the server and of the driver.
_CONNECTING: Final[tuple[tuple[str, str], ...]] = (
    (
        r"password authentication failed|no password supplied",
        "the password for its user is missing or wrong. Give one in PGPASSWORD, in ~/.pgpass or in "
        "the URI.",
    ),
    (
        r'database "[^"]*" does not exist',
        "the server has no such database. Create it with createdb, then run `taskgraph db "
        "upgrade`.",
    ),
    (r'role "[^"]*" does not exist', "the server knows no such user. Name another one."),
    (
        r"definition of service",
        "no service file names this service. See PGSERVICEFILE and ~/.pg_service.conf.",
    ),
    (
        r"resolve host|translate host name",
        "its host is not known. Check the name, and the network.",
    ),
    (
        r"refused|No such file or directory|timeout|unreachable|No route",
        "no server answers there ({message}). Start it, or check host and port.",
    ),
    (
        r"starting up|shutting down|not yet accepting|recovery",
        "the server is not ready ({message}). Wait a moment and run again.",
    ),
    (
        r"too many clients|remaining connection slots",
        "it has no connection left. Wait until others end, or have max_connections raised.",
    ),
)
# The server is there, and takes no connection yet.
_STARTING: Final = re.compile(
    r"starting up|shutting down|not yet accepting|recovery|too many clients"
    r"|remaining connection slots"
)
# None is there, or not any more.
_ABSENT: Final = re.compile(
    r"refused|No such file or directory|closed the connection|Connection reset|connection is lost"
)
_ATTEMPT: Final = re.compile(r'connection to server at "([^"]*)"[^\n]*?failed: ([^\n]*)')
_HERE: Final = re.compile(r"localhost|127\.[\d.]+|::1")
# Why no connection comes about however often it is tried.
_HOPELESS: Final = re.compile(
    r"authentication failed|no password supplied|does not exist|definition of service"
    r"|resolve host|translate host name|certificate|no pg_hba.conf entry|invalid"
)


def translate(uri: str, error: BaseException, seconds: float) -> DatabaseError:
    """Return the error that says what happened and what to do.

    Args:
        uri: The database.
        error: psycopg's, or SQLAlchemy's around it.
        seconds: How long others were waited for.
    """
    if isinstance(error, DatabaseError):
        return error
    original: Any = getattr(error, "orig", None) or error
    message = _message(original)
    code = getattr(original, "sqlstate", None) or ""
    for start, kind, reason in _REASONS:
        if code.startswith(start):
            return kind(uri, reason.format(message=message, seconds=f"{seconds:g}"))
    if not code:
        for words, reason in _CONNECTING:
            if re.search(words, message):
                return DatabaseError(uri, reason.format(message=message))
    if is_gone(original):
        return DatabaseError(
            uri,
            f"the connection was lost ({message}), and again when it was made anew. What was not "
            "written is computed again: run again once the server is there.",
        )
    return DatabaseError(uri, message)


def is_gone(error: BaseException) -> bool:
    """Tell whether a connection is not there, or could not be made, for a while."""
    code = getattr(error, "sqlstate", None)
    if code:
        return code in _GONE
    # The driver's own: the line broke, or the server is not there now.
    return type(error).__name__ == "OperationalError" and not _HOPELESS.search(str(error))


def is_starting(error: BaseException) -> bool:
    """Tell whether a server is there that will take connections soon."""
    if getattr(error, "sqlstate", None):
        return is_gone(error)
    return type(error).__name__ == "OperationalError" and bool(_STARTING.search(str(error)))


def is_absent(error: BaseException) -> bool:
    """Tell whether no server is there, or went away as it was asked: while it is restarted."""
    return type(error).__name__ == "OperationalError" and bool(_ABSENT.search(str(error)))


def is_refused_here(error: BaseException) -> bool:
    """Tell whether nothing listens at a port of this very machine: it is a wrong one perhaps."""
    tried = _ATTEMPT.findall(str(error))
    return bool(tried) and all(
        _HERE.fullmatch(host) and "refused" in reason for host, reason in tried
    )


def is_read_only(error: BaseException) -> bool:
    """Tell whether something was to be written where only reading is possible."""
    return getattr(error, "sqlstate", None) == _READ_ONLY


def is_in_the_way(error: BaseException) -> bool:
    """Tell whether the database gave way to somebody else's transaction."""
    return getattr(error, "sqlstate", None) in _IN_THE_WAY


def is_locked(error: BaseException) -> bool:
    """Tell whether others kept a lock for too long."""
    return getattr(error, "sqlstate", None) == _LOCKED


def missing_tables(error: Any) -> tuple[str, str] | None:
    """Return the table of a row that refers to one that is missing, and the table of that."""
    found = re.search(r'in table "([^"]*)"', error.diag.message_detail or "")
    return None if found is None else (error.diag.table_name or "", found[1])


def _message(error: Any) -> str:
    diag = getattr(error, "diag", None)
    text = (diag and diag.message_primary) or str(error)
    # Of several addresses that were tried the first says enough.
    return str(text).strip().partition("\n")[0].rstrip(".")


__all__ = [
    "MISSING",
    "is_absent",
    "is_gone",
    "is_in_the_way",
    "is_locked",
    "is_read_only",
    "is_refused_here",
    "is_starting",
    "missing_tables",
    "translate",
]
