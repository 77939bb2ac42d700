"""The states of executions and jobs: which may follow which, and what a change writes down.

One machine for both. It is pure: it is given what is, and says what becomes of it; who keeps the
rows does what it says within the transaction that it has asked in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from taskgraph.errors import InvalidStateError, ValidationError
from taskgraph.records import ACTIVE
from taskgraph.records import State as StateType

#: The states of what has ended.
TERMINAL: Final = frozenset(StateType) - ACTIVE

#: Names that mean something; any other text may be one.
LATE: Final = "Late"
AWAITING_RETRY: Final = "AwaitingRetry"
RETRYING: Final = "Retrying"
RERUNNING: Final = "Rerunning"
CACHED: Final = "Cached"


def _own_name(kind: StateType) -> str:
    return kind.value.capitalize()


_KNOWN_NAMES: Final = {
    LATE: StateType.SCHEDULED,
    AWAITING_RETRY: StateType.SCHEDULED,
    RETRYING: StateType.RUNNING,
    RERUNNING: StateType.RUNNING,
    CACHED: StateType.COMPLETED,
    **{_own_name(each): each for each in StateType},
}


class Outcome(StrEnum):
    """What became of a proposal."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"


class Rule(StrEnum):
    """A rule that a proposal is held against; none of them is there for the bookkeeping."""

    TABLE = "table"
    WAIT_FOR_SCHEDULE = "wait_for_schedule"
    RETRY = "retry"
    CACHED = "cached"


_YEARS: Final = range(2, 9999)

#: All rules, which is what counts unless others are asked for.
ALL_RULES: Final = frozenset(Rule)


@dataclass(frozen=True, slots=True)
class State:
    """A state, proposed or in force.

    Attributes:
        type: What it means.
        name: What it is called; that of its type by default.
        timestamp: Since when; of a proposal, None for now.
        message: What there is to say of it.
        details: JSON: ``scheduled_time``, ``forced``, ``actor``, ``reason``, ``delay``.
    """

    type: StateType
    name: str = ""
    timestamp: datetime | None = None
    message: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give it the name of its type if it has none; a type may be given as text."""
        if not isinstance(self.type, StateType):
            object.__setattr__(self, "type", State.parse(self.type).type)
        if not self.name:
            object.__setattr__(self, "name", _own_name(self.type))

    @classmethod
    def parse(cls, given: State | StateType | str) -> State:
        """Return the state that a text stands for: a type, or a name that is known.

        Raises:
            InvalidStateError: It is neither.
        """
        if isinstance(given, State):
            return given
        if not isinstance(given, str):
            raise InvalidStateError(repr(given), list(_KNOWN_NAMES))
        wanted = given.strip()
        for name, kind in _KNOWN_NAMES.items():
            if wanted.lower() == name.lower():
                return cls(kind, name)
        raise InvalidStateError(wanted, list(_KNOWN_NAMES))

    @property
    def is_active(self) -> bool:
        """Whether what is in it is on its way."""
        return self.type in ACTIVE

    @property
    def scheduled_time(self) -> datetime | None:
        """When it is to start, if somebody said so.

        Raises:
            ValidationError: What was said is no time.
        """
        text = self.details.get("scheduled_time")
        try:
            return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise ValidationError(
                "scheduled_time", f"expected a time as text, not {text!r}: take `State.scheduled`."
            ) from None

    @classmethod
    def scheduled(cls, when: datetime, name: str = "") -> State:
        """Return the state of what is to start at a time.

        Raises:
            ValidationError: It has no time zone, or is of a year that cannot be kept.
        """
        found = checked_time(when)
        return cls(StateType.SCHEDULED, name, details={"scheduled_time": found.isoformat()})


def checked_time(given: Any) -> datetime:
    """Return when something is to start, in UTC. Any: what somebody gave.

    Raises:
        ValidationError: It is no time, has no time zone, or is of a year that cannot be kept.
    """
    if not isinstance(given, datetime) or given.tzinfo is None:
        said = given.isoformat() if isinstance(given, datetime) else repr(given)
        raise ValidationError("scheduled_time", f"expected a time with its time zone, not {said}.")
    # Wherever it is shown, it is still a time there.
    if given.year not in _YEARS:
        raise ValidationError(
            "scheduled_time",
            f"expected a time of the years {_YEARS[0]} to {_YEARS[-1]}, not {given.isoformat()}.",
        )
    return given.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of the execution, or the job, that a state is proposed for.

    Attributes:
        state: The one that is in force, if any.
        run_count: How often it has run.
        retries: How often it is tried again by itself.
        retry_delay: What lies between.
        is_resubmittable: Whether it can be run again: it has a workflow or a snapshot.
        is_job: Whether it is a job.
        is_cached: Of a job: whether its result is there already.
        is_retrying: Of a job: whether its execution is being retried.
    """

    state: State | None = None
    run_count: int = 0
    retries: int = 0
    retry_delay: timedelta = timedelta(0)
    is_resubmittable: bool = False
    is_job: bool = False
    is_cached: bool = False
    is_retrying: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a proposal.

    Attributes:
        outcome: Whether a state is written, and whether it is the one that was proposed.
        state: The one to write; None where nothing is written.
        reason: Why not the one that was proposed.
        delay_seconds: How long to wait before it is proposed again.
    """

    outcome: Outcome
    state: State | None = None
    reason: str | None = None
    delay_seconds: float | None = None


def decide(
    subject: Subject, proposed: State, now: datetime, rules: Iterable[Rule] = ALL_RULES
) -> Decision:
    """Say what becomes of a proposal.

    Args:
        subject: What it is proposed for.
        proposed: The state.
        now: The time.
        rules: Those that count; without any, all proposals are accepted.
    """
    wanted = frozenset(rules)
    if Rule.CACHED in wanted and _is_known(subject, proposed):
        done = State(StateType.COMPLETED, CACHED, now, details=proposed.details)
        return Decision(Outcome.REJECT, done, "its result is recorded already")
    if Rule.TABLE in wanted:
        reason = _refusal(subject, proposed)
        if reason is not None:
            return Decision(Outcome.ABORT, reason=reason)
    if Rule.WAIT_FOR_SCHEDULE in wanted:
        early = _earliness(subject, proposed, now)
        if early is not None:
            reason = f"it is scheduled, and starts in {early:.1f} s"
            return Decision(Outcome.WAIT, reason=reason, delay_seconds=early)
    if Rule.RETRY in wanted and _is_tried_again(subject, proposed):
        again = State.scheduled(now + subject.retry_delay, AWAITING_RETRY)
        again = replace(again, timestamp=now, message=proposed.message)
        reason = f"it is tried again: {subject.run_count} of {subject.retries + 1} times so far"
        return Decision(Outcome.REJECT, again, reason)
    if _is_retried(subject, proposed) and proposed.name == _own_name(StateType.RUNNING):
        proposed = replace(proposed, name=RETRYING)
    return Decision(Outcome.ACCEPT, replace(proposed, timestamp=now))


def _is_known(subject: Subject, proposed: State) -> bool:
    is_open = subject.state is None or subject.state.is_active
    return (
        subject.is_job
        and subject.is_cached
        and proposed.type is StateType.RUNNING
        and is_open
        and (subject.state is None or subject.state.type is not StateType.RUNNING)
    )


# The order of those that are active: a proposal may go on, and neither stay nor go back.
_ORDER: Final = {StateType.SCHEDULED: 0, StateType.PENDING: 1, StateType.RUNNING: 2}


def _refusal(subject: Subject, proposed: State) -> str | None:
    """Return why the table does not allow a proposal, or None."""
    if subject.state is None or _is_retried(subject, proposed):
        return None
    current, wanted = subject.state.type, proposed.type
    if current in TERMINAL:
        if wanted is not StateType.SCHEDULED or proposed.name != AWAITING_RETRY:
            return f"it is {current}, and has ended"
        if not subject.is_resubmittable:
            return f"it is {current}, and nothing is kept of it that could be run again"
    elif wanted in ACTIVE and _ORDER[wanted] <= _ORDER[current]:
        if current is wanted:
            return f"it is {current} already"
        return f"it is {current}, and does not go back to {wanted}"
    return None


def _is_retried(subject: Subject, proposed: State) -> bool:
    """Tell whether a job that has ended runs once more because its execution does."""
    return (
        subject.is_job
        and subject.is_retrying
        and proposed.type is StateType.RUNNING
        and subject.state is not None
        and not subject.state.is_active
    )


def _earliness(subject: Subject, proposed: State, now: datetime) -> float | None:
    """Return how many seconds too early a proposal comes, or None."""
    if subject.state is None or subject.state.type is not StateType.SCHEDULED:
        return None
    if proposed.type not in {StateType.PENDING, StateType.RUNNING, StateType.COMPLETED}:
        return None
    when = subject.state.scheduled_time
    return None if when is None or when <= now else (when - now).total_seconds()


def _is_tried_again(subject: Subject, proposed: State) -> bool:
    return (
        subject.state is not None
        and subject.state.type is StateType.RUNNING
        and proposed.type is StateType.FAILED
        and subject.run_count <= subject.retries
    )


@dataclass(frozen=True, slots=True)
class Books:
    """What is kept beside the state: when it began and ended, and how often it ran."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    run_count: int = 0
    total_run_time: timedelta = timedelta(0)
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None


def keep_books(books: Books, before: State | None, written: State) -> Books:
    """Return what is kept once a state is written, forced or not.

    Args:
        books: What was kept.
        before: The state until now, with its time.
        written: The new one, with its time.
    """
    moment = written.timestamp
    assert moment is not None
    start, end, expected = books.start_time, books.end_time, books.expected_start_time
    count, total = books.run_count, books.total_run_time
    if before is not None and before.type is StateType.RUNNING and before.timestamp is not None:
        total += max(moment - before.timestamp, timedelta(0))
    if written.type is StateType.RUNNING:
        count += 1
        start = start or moment
    if written.type in ACTIVE:
        end = None
    elif before is None or before.is_active or end is None:
        end = moment
    scheduled = written.scheduled_time
    if expected is None:
        expected = scheduled or moment
    return Books(
        start_time=start,
        end_time=end,
        run_count=count,
        total_run_time=total,
        expected_start_time=expected,
        next_scheduled_start_time=(
            (scheduled or moment) if written.type is StateType.SCHEDULED else None
        ),
    )


def name_in_force(kind: StateType, name: str | None) -> str:
    """Return the name of a state as columns have it.

    An older library changes the type and leaves the name: one that is known to be of another type
    does not count.
    """
    if not name or _KNOWN_NAMES.get(name, kind) is not kind:
        return _own_name(kind)
    return name


__all__ = [
    "ACTIVE",
    "ALL_RULES",
    "AWAITING_RETRY",
    "CACHED",
    "LATE",
    "RERUNNING",
    "RETRYING",
    "TERMINAL",
    "Books",
    "Decision",
    "Outcome",
    "Rule",
    "State",
    "StateType",
    "Subject",
    "checked_time",
    "decide",
    "keep_books",
    "name_in_force",
]
