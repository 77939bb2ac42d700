"""The database, and what may be shown of where it is."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError


def without_password(url: str) -> str:
    """Return a URL as it may be shown: what may be secret in it is left out."""
    head, separator, tail = url.partition("://")
    if not separator:
        return url
    place, question, query = tail.partition("?")
    # Of a file all is its path. Elsewhere a password may have been written with any character.
    is_file = head == "sqlite"
    end = place.find("/") if is_file else len(place)
    user, at, host = place[:end].rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:***@" if colon else f"{user}{at}"
    if not is_file:
        host = "/".join([_shown_hosts(host.partition("/")[0]), *host.split("/")[1:]])
    pairs = [pair.partition("=") for pair in query.split("&")]
    query = "&".join(
        f"{key}{equals}{value if key.lower() in _SHOWN else '***'}"
        if equals
        else ("***" if "@" in key else key)
        for key, equals, value in pairs
    )
    return f"{head}://{shown}{host}{place[end:]}{question}{query}"


def _shown_hosts(hosts: str) -> str:
    """Leave out what stands where a port should: a password with a character that ends it."""
    shown = []
    for each in hosts.split(","):
        host, colon, port = each.rpartition(":")
        is_port = not colon or not port or port.isdecimal() or port.endswith("]")
        shown.append(each if is_port else f"{host}:***")
    return ",".join(shown)


# The options of a database's URL that are no secrets.
_SHOWN = frozenset(
    {"mode", "immutable", "cache", "vfs", "sslmode", "host", "port", "user", "dbname", "service"}
)


class DatabaseError(TaskgraphError):
    """The database cannot do what was asked; says which database and what to do."""

    #: Whether it was tried again for as long as anybody waits: nobody begins with that anew.
    was_waited_for = False

    def __init__(self, uri: str, reason: str) -> None:
        shown = without_password(uri)
        super().__init__(shown, reason)
        self.uri = shown
        self.reason = reason

    def __str__(self) -> str:
        return f"Database {self.uri}: {self.reason}"


class DatabaseDriverError(DatabaseError):
    """The package that speaks to this kind of database is not installed."""

    def __init__(self, uri: str, package: str, extra: str) -> None:
        super().__init__(
            uri, f"{package} is not installed. Install it: pip install 'taskgraph[{extra}]'"
        )
        self.args = (self.uri, package, extra)
        self.package = package
        self.extra = extra


class DatabaseVersionError(DatabaseError):
    """The database's schema is too new for this library, or too old and not to be upgraded."""


class DowngradeRefusedError(DatabaseVersionError):
    """An older schema has no place for some of what is recorded, and nobody said that it may go."""

    def __init__(self, uri: str, version: str, losses: Sequence[str]) -> None:
        super().__init__(
            uri,
            f"schema {version} has no place for {', '.join(losses)}. Nothing was changed. Write "
            "them to a file with `taskgraph export --all`, then say --yes.",
        )
        self.args = (self.uri, version, tuple(losses))
        self.version = version
        self.losses = tuple(losses)


class ForeignDatabaseError(DatabaseError):
    """The file or database is not one of taskgraph's."""


class DatabaseReadOnlyError(DatabaseError):
    """The database or its folder cannot be written to."""


class DatabaseFullError(DatabaseError):
    """The disk is full, or takes no more."""


class DatabaseGoneError(DatabaseError):
    """The file was removed, moved or replaced while it was in use: what is written is lost."""

    def __init__(self, uri: str, path: str) -> None:
        super().__init__(
            uri,
            f"the file {path} was removed, moved or replaced by another one while it was written "
            "to: what was recorded since is not in it. Run again; if the project was moved, from "
            "where it is now.",
        )
        self.args = (self.uri, path)
        self.path = path


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


class DatabaseHeldError(DatabaseBusyError):
    """The file lies on a network file system, where one process at a time can have it."""

    def __init__(
        self, uri: str, kind: str, *, host: str, pid: int, user: str = "", since: str = ""
    ) -> None:
        whose = f" of {user}" if user else ""
        when = f" since {since}" if since else ""
        super().__init__(
            uri,
            f"it lies on a network file system ({kind}), where one process at a time can have it: "
            f"process {pid}{whose} on {host} has it{when}. Wait until that ends, or end it. To run "
            "beside each other, name a file on a local disk, or a PostgreSQL for all hosts.",
        )
        self.args = (self.uri, kind, host, pid, user, since)
        self.kind = kind
        self.host = host
        self.pid = pid
        self.user = user
        self.since = since
