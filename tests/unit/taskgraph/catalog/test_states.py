"""What a state is called, and what is read out of a text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskgraph.catalog.states import (
    AWAITING_RETRY,
    LATE,
    RETRYING,
    Outcome,
    Rule,
    State,
    StateType,
    Subject,
    decide,
    name_in_force,
)
from taskgraph.errors import InvalidStateError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("RUNNING", StateType.RUNNING, "Running"),
        (" cancelled ", StateType.CANCELLED, "Cancelled"),
        ("late", StateType.SCHEDULED, LATE),
        ("AwaitingRetry", StateType.SCHEDULED, AWAITING_RETRY),
    ],
)
def test_state_is_read_from_its_type_or_a_name_that_is_known(
    text: str, kind: StateType, name: str
) -> None:
    found = State.parse(text)

    assert (found.type, found.name) == (kind, name)


def test_a_type_may_be_given_as_text() -> None:
    assert State("running") == State(StateType.RUNNING)  # type: ignore[arg-type]
    with pytest.raises(InvalidStateError):
        State("GONE")  # type: ignore[arg-type]


def test_text_that_is_no_state_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidStateError, match=r"'?DONE'?: this is no state\..*Completed"):
        State.parse("DONE")


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        (StateType.RUNNING, "", "Running"),
        (StateType.RUNNING, None, "Running"),
        (StateType.RUNNING, "of my own", "of my own"),
        # Left behind by an older library, which changes the type alone.
        (StateType.CRASHED, "Running", "Crashed"),
        (StateType.CRASHED, RETRYING, "Crashed"),
    ],
)
def test_name_of_another_type_does_not_count(kind: StateType, name: str | None, shown: str) -> None:
    assert name_in_force(kind, name) == shown


def test_job_that_ended_runs_again_as_retrying() -> None:
    subject = Subject(State(StateType.FAILED), is_job=True, is_retrying=True)

    found = decide(subject, State(StateType.RUNNING), NOW)

    assert found.outcome is Outcome.ACCEPT
    assert found.state is not None and found.state.name == RETRYING


def test_rules_can_be_left_out_one_by_one() -> None:
    ended = Subject(State(StateType.FAILED))

    assert decide(ended, State(StateType.RUNNING), NOW).outcome is Outcome.ABORT
    found = decide(ended, State(StateType.RUNNING), NOW, [Rule.RETRY])
    assert found.outcome is Outcome.ACCEPT
