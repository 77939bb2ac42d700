"""States as a machine, held against the table as it is written in the design, cell by cell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from taskgraph.catalog.states import (
    ACTIVE,
    ALL_RULES,
    AWAITING_RETRY,
    TERMINAL,
    Books,
    Outcome,
    State,
    StateType,
    Subject,
    decide,
    keep_books,
)

S, P, R = StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING
DONE, FAIL, STOP, CRASH = (
    StateType.COMPLETED,
    StateType.FAILED,
    StateType.CANCELLED,
    StateType.CRASHED,
)

OK, ABORT, EARLY, TRIED, AGAIN, RETRIED = "ok", "abort", "early", "tried", "again", "retried"
_ENDED = {S: AGAIN, P: ABORT, R: RETRIED, DONE: ABORT, FAIL: ABORT, STOP: ABORT, CRASH: ABORT}
#: From what (None: nothing yet) to what; what the words mean is said in `_expected`.
TABLE: dict[StateType | None, dict[StateType, str]] = {
    None: dict.fromkeys(StateType, OK),
    S: {S: ABORT, P: EARLY, R: EARLY, DONE: EARLY, FAIL: OK, STOP: OK, CRASH: OK},
    P: {S: ABORT, P: ABORT, R: OK, DONE: OK, FAIL: OK, STOP: OK, CRASH: OK},
    R: {S: ABORT, P: ABORT, R: ABORT, DONE: OK, FAIL: TRIED, STOP: OK, CRASH: OK},
    DONE: _ENDED,
    FAIL: _ENDED,
    STOP: _ENDED,
    CRASH: _ENDED,
}


def _expected(subject: Subject, proposed: State, now: datetime) -> tuple[Outcome, StateType | None]:
    current = None if subject.state is None else subject.state.type
    if subject.is_job and subject.is_cached and proposed.type is R and current in (None, S, P):
        return Outcome.REJECT, DONE
    accepted, aborted = (Outcome.ACCEPT, proposed.type), (Outcome.ABORT, None)
    match TABLE[current][proposed.type]:
        case "early":
            when = subject.state.scheduled_time if subject.state else None
            is_early = when is not None and when > now
            return (Outcome.WAIT, None) if is_early else accepted
        case "tried":
            again = subject.run_count <= subject.retries
            return (Outcome.REJECT, S) if again else accepted
        case "again":
            may = proposed.name == AWAITING_RETRY and subject.is_resubmittable
            return accepted if may else aborted
        case "retried":
            return accepted if subject.is_job and subject.is_retrying else aborted
        case "ok":
            return accepted
        case _:
            return aborted


_NAMES = st.sampled_from(["", AWAITING_RETRY, "Late", "of my own"])


class Machine(RuleBasedStateMachine):
    """One execution or job, to which states are proposed and forced."""

    @initialize(
        retries=st.integers(0, 2),
        is_job=st.booleans(),
        is_resubmittable=st.booleans(),
        is_cached=st.booleans(),
        is_retrying=st.booleans(),
    )
    def begin(
        self,
        retries: int,
        is_job: bool,
        is_resubmittable: bool,
        is_cached: bool,
        is_retrying: bool,
    ) -> None:
        self.of = {
            "retries": retries,
            "is_job": is_job,
            "is_resubmittable": is_resubmittable,
            "is_cached": is_cached,
            "is_retrying": is_retrying,
        }
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.state: State | None = None
        self.history: list[State] = []
        self.books = Books()

    @rule(seconds=st.integers(0, 5))
    def time_goes_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(
        kind=st.sampled_from(list(StateType)),
        name=_NAMES,
        ahead=st.none() | st.integers(-3, 3),
        is_forced=st.booleans(),
    )
    def propose(self, kind: StateType, name: str, ahead: int | None, is_forced: bool) -> None:
        self.now += timedelta(microseconds=1)
        proposed = State(kind, name)
        if kind is S and ahead is not None:
            proposed = State.scheduled(self.now + timedelta(seconds=ahead), name)
        subject = Subject(self.state, self.books.run_count, **self.of)  # type: ignore[arg-type]

        decision = decide(subject, proposed, self.now, () if is_forced else ALL_RULES)

        found = decision.outcome, decision.state and decision.state.type
        expected = _expected(subject, proposed, self.now)
        assert found == ((Outcome.ACCEPT, kind) if is_forced else expected)
        assert (decision.reason is None) == (decision.outcome is Outcome.ACCEPT)
        assert (decision.delay_seconds is not None) == (decision.outcome is Outcome.WAIT)
        if decision.state is not None:
            self._write(decision.state)

    def _write(self, state: State) -> None:
        assert state.timestamp == self.now
        self.books = keep_books(self.books, self.state, state)
        self.state = state
        self.history.append(state)

    @invariant()
    def books_are_what_the_history_says(self) -> None:
        if not getattr(self, "history", None):
            return
        history = self.history
        runs = [each for each in history if each.type is R]
        assert self.books.run_count == len(runs)
        assert self.books.start_time == (runs[0].timestamp if runs else None)
        first = history[0]
        assert self.books.expected_start_time == (first.scheduled_time or first.timestamp)
        last = history[-1]
        is_waiting = last.type is S
        assert (self.books.next_scheduled_start_time is not None) == is_waiting
        spent = timedelta(0)
        for each, following in pairwise(history):
            if each.type is R:
                assert each.timestamp is not None and following.timestamp is not None
                spent += following.timestamp - each.timestamp
        assert self.books.total_run_time == spent
        if last.type in ACTIVE:
            assert self.books.end_time is None
            return
        entered = last
        for each in reversed(history):
            if each.type not in TERMINAL:
                break
            entered = each
        assert self.books.end_time == entered.timestamp


TestStates = Machine.TestCase
