"""The database, and what may be shown of where it is."""

from __future__ import annotations

from taskgraph.errors.base import TaskgraphError


def without_password(url: str) -> str:
    """Return a URL as it may be shown: what may be secret in it is left out."""
    head, separator, tail = url.partition("://")
    if not separator:
        return url
    host, slash, rest = tail.partition("/")
    user, at, host = host.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:***@" if colon else f"{user}{at}"
    rest, question, query = rest.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    query = "&".join(
        f"{key}{equals}{value if key.lower() in _SHOWN else '***'}" if equals else key
        for key, equals, value in pairs
    )
    return f"{head}://{shown}{host}{slash}{rest}{question}{query}"


# The options of a database's URL that are no secrets.
_SHOWN = frozenset({"mode", "immutable", "cache", "vfs", "sslmode", "host", "port"})


class DatabaseError(TaskgraphError):
    """The database cannot do what was asked; says which database and what to do."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(uri, reason)
        self.uri = uri
        self.reason = reason

    def __str__(self) -> str:
        return f"Database {without_password(self.uri)}: {self.reason}"


class DatabaseVersionError(DatabaseError):
    """The database's schema is too new for this library, or too old and not to be upgraded."""


class ForeignDatabaseError(DatabaseError):
    """The file or database is not one of taskgraph's."""


class DatabaseReadOnlyError(DatabaseError):
    """The database or its folder cannot be written to."""


class DatabaseFullError(DatabaseError):
    """The disk is full, or takes no more."""


class NotRecordedWarning(UserWarning):
    """A result was computed and returned, and could not be recorded."""

    def __init__(self, task: str, error: DatabaseError) -> None:
        super().__init__(task, error)
        self.task = task
        self.error = error

    def __str__(self) -> str:
        return f"{self.task} returned its result, which could not be recorded. {self.error}"


class DatabaseBusyError(DatabaseError):
    """Another process kept the database locked for longer than the time-out."""
