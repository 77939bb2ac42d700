"""The manager of operations: actions that take long, and what came of each.

An operation is written down before it begins, by a process that has a lease on it. It outlives what
it is about; one whose process ended without a word has failed, which whoever looks next writes
down.
"""

from __future__ import annotations

import builtins
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from taskgraph.catalog.requests import (
    check_page,
    checked_json,
    checked_name,
    checked_text,
    checked_title,
    one_form,
)
from taskgraph.catalog.said_secrets import data_without_secrets, said_without_secrets
from taskgraph.catalog.secrets import without_secrets
from taskgraph.errors import (
    DatabaseError,
    OperationNotFoundError,
    TaskgraphError,
    ValidationError,
)
from taskgraph.jsontext import storable
from taskgraph.records import LEASE_SECONDS

_MOST: Final = 100
_NEWEST: Final = "-"
_BEATS: Final = 3  # times that a lease is prolonged while it lives
#: So much is kept of what is said of an operation: its end.
MOST_LOGGED: Final = 100_000


class Status(StrEnum):
    """How an operation stands."""

    PENDING = "pending"
    ONGOING = "ongoing"
    FAILED = "failed"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Operation:
    """An action that takes long, and what came of it.

    Attributes:
        id: 32 hex digits.
        kind: What is done, as ``collect``.
        subject: What it is done to, as text: it may be gone by now.
        status: One of `Status`.
        data: How far it is, and what came of it, as JSON; ``error`` says what went wrong, and
            ``by`` who did it, if the settings name somebody.
        log: What it said, a line each.
    """

    id: str
    kind: str
    subject: str
    status: Status
    started_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    log: str | None = None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in (Status.FAILED, Status.OK)

    @property
    def error(self) -> str | None:
        """What went wrong, if something did."""
        found = self.data.get("error")
        return found if isinstance(found, str) else None

    @property
    def by(self) -> str | None:
        """Who did it, if somebody was named."""
        found = self.data.get("by")
        return found if isinstance(found, str) else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph operation list --json`` has it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "status": self.status.value,
            "data": dict(self.data),
            "log": self.log,
            "started": self.started_at.isoformat(),
            "ended": None if self.ended_at is None else self.ended_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What is written down of an operation while it runs, and at its end.

    Attributes:
        id: The operation.
        status: How it stands.
        data: All that is known of it by now.
        log: All that it said.
    """

    id: str
    status: Status
    data: Mapping[str, Any]
    log: str | None


class OperationStore(Protocol):
    """What the manager of operations asks of a database."""

    def begin_operation(self, operation_id: str, kind: str, subject: str) -> None:
        """Write an operation down, with a lease of this process on it."""

    def report_operation(self, report: Report) -> None:
        """Write down how an operation stands; at its end the lease is given back."""

    def prolong_operation(self, operation_id: str) -> None:
        """Prolong the lease on an operation; from any thread."""

    def find_operation(self, ref: str) -> Operation | None:
        """Return an operation by id or unique start of one."""

    def operations(
        self, kind: str | None, status: str | None, limit: int | None, offset: int
    ) -> list[Operation]:
        """Return operations, the newest first."""

    def count_operations(self, kind: str | None, status: str | None) -> int:
        """Return how many operations there are."""


class Running:
    """An operation that is under way: says how far it is.

    Args:
        store: Where it is written down.
        operation_id: It.
        by: Who does it, if somebody is named.

    Attributes:
        id: 32 hex digits.
        is_over: Whether its end is written down already, by whoever wrote what came of it.
    """

    def __init__(self, store: OperationStore, operation_id: str, by: str | None = None) -> None:
        self._store = store
        self.id = operation_id
        self.is_over = False
        self._data: dict[str, Any] = {} if by is None else {"by": by}
        self._lines: list[str] = []

    def say(self, *lines: object) -> None:
        """Add lines to the log; they are written with the next progress, or at the end."""
        self._lines += [storable(str(each)).replace("\0", "") for each in lines]

    def progress(self, **data: Any) -> None:
        """Write down how far it is: names with JSON values, beside those of before.

        Raises:
            ValidationError: A value is no JSON.
        """
        self._data |= data_without_secrets(checked_json("progress", data))
        self._store.report_operation(self.report(Status.ONGOING))

    def report(self, status: Status, **data: Any) -> Report:
        """Return what is to be written down of it now.

        Args:
            status: How it stands.
            data: What else is known of it.
        """
        self._data |= data_without_secrets(checked_json("progress", data))
        # Of the whole of it: a key is one secret, however many lines it has.
        log = said_without_secrets("\n".join(self._lines))[-MOST_LOGGED:]
        return Report(self.id, status, dict(self._data), log or None)


class OperationManager:
    """Actions that take long: ``archive.operations``.

    Args:
        store: Where they are.
        user: Who does what is done here, if the settings name somebody.
    """

    def __init__(self, store: OperationStore, user: str | None = None) -> None:
        self._store = store
        self._by = None if user is None else without_secrets(storable(one_form(user)))

    def find(self, ref: str | Operation) -> Operation | None:
        """Return an operation by its id, the start of that, or ``-`` for the newest one.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        if ref == _NEWEST:
            return next(iter(self.list(limit=1)), None)
        return self._store.find_operation(storable(_text(ref)))

    def get(self, ref: str | Operation) -> Operation:
        """Return the same as `find` of an operation that must be there.

        Raises:
            OperationNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref)
        if found is None:
            raise OperationNotFoundError(_text(ref))
        return found

    def list(
        self,
        *,
        kind: str | None = None,
        status: str | None = None,
        limit: int | None = _MOST,
        offset: int = 0,
    ) -> builtins.list[Operation]:
        """Return operations, the newest first.

        Args:
            kind: Only those of this kind.
            status: Only those that stand so: pending, ongoing, failed or ok.
            limit: At most so many; None for all.
            offset: After so many.

        Raises:
            ValidationError: There is no such status, or something is not what it must be.
        """
        check_page(limit, offset)
        kind = checked_text("kind", kind)
        return self._store.operations(kind, _checked_status(status), limit, offset)

    def count(self, *, kind: str | None = None, status: str | None = None) -> int:
        """Return how many operations the same filters would list.

        Raises:
            ValidationError: There is no such status.
        """
        return self._store.count_operations(checked_text("kind", kind), _checked_status(status))

    @contextmanager
    def running(self, kind: str, subject: str) -> Iterator[Running]:
        """Have what is done in the ``with`` be an operation: ok, or failed if it raises.

        Args:
            kind: What is done.
            subject: What it is done to.

        Raises:
            ValidationError: One of them is blank.
        """
        made = uuid.uuid4().hex
        said = said_without_secrets(checked_name("subject", subject))
        self._store.begin_operation(made, without_secrets(checked_title("kind", kind)), said)
        running = Running(self._store, made, self._by)
        with _alive(lambda: self._store.prolong_operation(made)):
            try:
                self._store.report_operation(running.report(Status.ONGOING))
                yield running
            except BaseException as error:
                # Whatever ended it, Ctrl-C included: it has failed, and the caller is told why.
                if not running.is_over:
                    with suppress(DatabaseError):  # it shows as failed once this process is gone
                        self._store.report_operation(_failure(running, error))
                raise
            if not running.is_over:
                self._store.report_operation(running.report(Status.OK))


def _failure(running: Running, error: BaseException) -> Report:
    name = "" if isinstance(error, TaskgraphError) else type(error).__name__
    text = ": ".join(each for each in (name, str(error)) if each)
    running.say(text)
    return running.report(Status.FAILED, error=storable(text).replace("\0", ""))


@contextmanager
def _alive(beat: Callable[[], None]) -> Iterator[None]:
    """Have a lease be prolonged as long as this lasts, whatever holds the thread that it is of."""
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(LEASE_SECONDS / _BEATS):
            with suppress(DatabaseError):  # the next time comes before it expires
                beat()

    thread = threading.Thread(target=live, name="taskgraph-operation", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _text(ref: Any) -> str:
    found = ref.id if isinstance(ref, Operation) else ref
    if not isinstance(found, str):
        raise ValidationError("operation", f"expected an id, not {ref!r}.")
    return found


def _checked_status(given: str | None) -> str | None:
    if given is not None and (not isinstance(given, str) or given not in set(Status)):
        raise ValidationError(f"status {given!r}", f"there are: {', '.join(Status)}.")
    return given


__all__ = [
    "MOST_LOGGED",
    "Operation",
    "OperationManager",
    "OperationStore",
    "Report",
    "Running",
    "Status",
]
