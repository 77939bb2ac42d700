"""Who may force which state: the whole table, written out."""

from __future__ import annotations

import pytest

from taskgraph.catalog.permissions import Standing, who_may_force, who_may_propose
from taskgraph.catalog.states import StateType

#: The states that each may force; all others are for somebody else.
MAY = {
    Standing.UNTOLD: set(StateType),
    Standing.SUPERUSER: set(StateType),
    Standing.SUBMITTER: {StateType.CANCELLED, StateType.FAILED, StateType.CRASHED},
    Standing.OWNER: {StateType.CANCELLED, StateType.FAILED, StateType.CRASHED},
    Standing.OTHER: set(),
    Standing.STRANGER: set(),
    Standing.INACTIVE: set(),
}


@pytest.mark.parametrize("standing", list(Standing))
@pytest.mark.parametrize("target", list(StateType))
def test_the_table(standing: Standing, target: StateType) -> None:
    assert (who_may_force(standing, target) is None) is (target in MAY[standing])


@pytest.mark.parametrize("standing", [Standing.OTHER, Standing.STRANGER])
def test_who_may_not_is_told_who_may(standing: Standing) -> None:
    assert who_may_force(standing, StateType.COMPLETED) == "superusers"
    assert "who submitted it" in str(who_may_force(standing, StateType.CANCELLED))
    assert who_may_force(Standing.INACTIVE, StateType.CANCELLED) == "users who are active"


@pytest.mark.parametrize("standing", list(Standing))
def test_by_the_rules_all_may_propose_but_who_is_inactive(standing: Standing) -> None:
    assert (who_may_propose(standing) is None) is (standing is not Standing.INACTIVE)
