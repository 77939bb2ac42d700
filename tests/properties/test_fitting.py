"""Of which states a policy tells: what the database finds is what plain Python says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskgraph
from taskgraph.archive import Archive
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import State, StateType

_KEYS = ["team", "n", "nightly"]
_VALUES: list[Any] = ["ml", 1, 1.0, True, None, "1", {"a": [1]}]
_STATES = [*StateType, "late", "AwaitingRetry", State(StateType.RUNNING, "Wärming")]
_WAYS: list[list[Any]] = [
    [],
    ["RUNNING"],
    ["RUNNING", "COMPLETED"],
    [State(StateType.RUNNING, "wärming"), "FAILED"],
    ["CANCELLED"],
    ["RUNNING", "CRASHED"],
]


@pytest.fixture
def filled(database_uri: str) -> Iterator[tuple[Archive, list[Execution]]]:
    """An archive with executions of each kind."""
    with taskgraph.open(database_uri, migrate=True) as tg:
        made = []
        for number in range(30):
            tags = [
                (key, _VALUES[(number + 3 * at) % len(_VALUES)])
                for at, key in enumerate(_KEYS)
                if (number >> at) & 1
            ]
            first = "PENDING" if number % 2 else State(StateType.SCHEDULED, "Late")
            each = tg.executions.create("e", tags=tags, state=first).execution
            for state in _WAYS[number % len(_WAYS)]:
                tg.executions.set_state(each, state, force=True)
            made.append(tg.executions.get(each.id))
        yield tg, made


def _is_meant(state: State, tags: Any, states: list[Any], wanted: list[Any]) -> bool:
    """Read it literally."""
    is_state = not states
    for each in states:
        asked = State.parse(each)
        if asked.name == asked.type.value.capitalize():
            is_state = is_state or asked.type is state.type
        else:
            is_state = is_state or asked.name.lower() == state.name.lower()
    is_tagged = not wanted
    for key, *value in wanted:
        for known in tags.get(key, ()):
            is_same = bool(value) and known == value[0]
            # To Python True is 1.
            is_same = is_same and isinstance(known, bool) is isinstance(value[0], bool)
            is_tagged = is_tagged or not value or is_same
    return is_state and is_tagged


_labels = st.one_of(
    st.tuples(st.sampled_from([*_KEYS, "other"])),
    st.tuples(st.sampled_from(_KEYS), st.sampled_from(_VALUES)),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    states=st.lists(st.sampled_from(_STATES), max_size=3),
    wanted=st.lists(_labels, max_size=3),
)
def test_what_is_queued_is_what_is_meant(
    filled: tuple[Archive, list[Execution]], states: list[Any], wanted: list[Any]
) -> None:
    tg, executions = filled
    labels = [each[0] if len(each) == 1 else each for each in wanted]
    policy = tg.policies.create(states=states, tags=labels, target="some_hooks:tell")
    # As if it had been there from the start.
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE notification_policy SET seen_until = ?", (1,))
    )

    tg.policies.deliver(go_on=lambda: False)
    again = tg.policies.deliver(go_on=lambda: False)

    found = {
        (each.execution_id, each.state, each.state_time)
        for each in tg.policies.notifications(policy, limit=None)
    }
    meant = {
        (execution.id, state.name, state.timestamp)
        for execution in executions
        for state in tg.executions.states(execution.id)
        if _is_meant(state, execution.tags, states, wanted)
    }
    assert found == meant
    assert again.queued == 0
    tg.policies.delete(policy)
