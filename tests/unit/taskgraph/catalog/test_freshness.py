"""Whether a group is to run: each line of the table, and a model that is written otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.catalog.freshness import Newest, Reason, Verdict, decide
from taskgraph.catalog.states import ACTIVE, StateType

HOUR = timedelta(hours=1)


def verdict(
    state: str | None, *, same: bool = True, dirty: bool = False, rerun: bool = False,
    silence: timedelta = timedelta(0), stale: timedelta | None = None,
) -> Verdict:  # fmt: skip
    newest = None if state is None else Newest(StateType(state), "a" if same else "b", silence)
    return decide(newest, "a", is_dirty=dirty, rerun_failed=rerun, stale_after=stale)


@pytest.mark.parametrize("dirty", [False, True])
def test_a_group_that_never_ran_runs(dirty: bool) -> None:
    assert verdict(None, dirty=dirty) == Verdict(True, Reason.NEVER_RUN)


@pytest.mark.parametrize("state", StateType)
def test_other_inputs_run_whatever_becomes_of_the_newest(state: StateType) -> None:
    assert verdict(state, same=False) == Verdict(True, Reason.INPUTS_CHANGED)


@pytest.mark.parametrize("state", sorted(ACTIVE))
@pytest.mark.parametrize("dirty", [False, True])
def test_what_is_in_progress_is_left_to_itself_even_if_dirty(state: StateType, dirty: bool) -> None:
    assert verdict(state, dirty=dirty, rerun=True) == Verdict(False, Reason.IN_PROGRESS)


def test_what_was_silent_for_too_long_has_crashed_and_the_rules_go_on() -> None:
    def after(silence: timedelta, *, dirty: bool, rerun: bool = False) -> Verdict:
        return verdict("RUNNING", dirty=dirty, rerun=rerun, silence=silence, stale=HOUR)

    assert after(2 * HOUR, dirty=True) == Verdict(True, Reason.DIRTY, True)
    assert after(2 * HOUR, dirty=False) == Verdict(False, Reason.FAILED_NOT_DIRTY, True)
    assert after(2 * HOUR, dirty=False, rerun=True) == Verdict(True, Reason.RETRY_FAILED, True)
    assert after(HOUR, dirty=True) == Verdict(False, Reason.IN_PROGRESS)


@pytest.mark.parametrize("state", sorted(set(StateType) - ACTIVE))
def test_a_dirty_group_runs_when_nothing_is_on_its_way(state: StateType) -> None:
    assert verdict(state, dirty=True) == Verdict(True, Reason.DIRTY)


@pytest.mark.parametrize("state", ["FAILED", "CRASHED", "CANCELLED"])
def test_what_failed_runs_again_only_if_that_is_asked_for(state: str) -> None:
    assert verdict(state, rerun=True) == Verdict(True, Reason.RETRY_FAILED)
    assert verdict(state) == Verdict(False, Reason.FAILED_NOT_DIRTY)


def test_what_ended_well_on_the_same_inputs_is_up_to_date() -> None:
    assert verdict("COMPLETED", rerun=True) == Verdict(False, Reason.UP_TO_DATE)


def naive(
    state: StateType | None, same: bool, dirty: bool, rerun: bool, stale: bool
) -> tuple[str, bool]:
    """Give all rules that fit with their places; the first place wins."""
    crashed = stale and state in ACTIVE
    now = StateType.CRASHED if crashed else state
    rules = {
        1: (state is None, "never_run"),
        2: (state is not None and not same, "inputs_changed"),
        3: (now in ACTIVE, "in_progress"),
        4: (dirty, "dirty"),
        5: (rerun and now in {StateType.FAILED, StateType.CRASHED, StateType.CANCELLED},
            "retry_failed"),
        6: (now is StateType.COMPLETED, "up_to_date"),
        7: (True, "failed_not_dirty"),
    }  # fmt: skip
    place = min(number for number, (fits, _) in rules.items() if fits)
    return rules[place][1], crashed and place > 2


@given(
    st.none() | st.sampled_from(StateType), st.booleans(), st.booleans(), st.booleans(),
    st.none() | st.integers(0, 100), st.integers(0, 100),
)  # fmt: skip
def test_the_rules_are_those_of_a_naive_model(
    state: StateType | None, same: bool, dirty: bool, rerun: bool, stale: int | None, silence: int
) -> None:
    found = verdict(
        state, same=same, dirty=dirty, rerun=rerun, silence=timedelta(seconds=silence),
        stale=None if stale is None else timedelta(seconds=stale),
    )  # fmt: skip

    reason, crashed = naive(state, same, dirty, rerun, stale is not None and silence > stale)
    assert (found.reason.value, found.is_crashed) == (reason, crashed)
    assert found.run == (reason in {"never_run", "inputs_changed", "dirty", "retry_failed"})
