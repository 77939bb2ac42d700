"""What is said of notifications."""

from __future__ import annotations

import pytest

from taskgraph.catalog.policy_rows import Attempt, Notification
from taskgraph.catalog.states import State, StateType
from taskgraph.provenance.page import plain_text
from taskgraph.provenance.policy_page import attempt_line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "delivered down: bad (4e851dd9): Running.\n"),
        ("nobody answers", "delivered down: bad (4e851dd9): Running: nobody answers\n"),
    ],
)
def test_an_attempt_is_told_in_a_sentence(error: str | None, said: str) -> None:
    told = Notification(
        *("0" * 32, "down", "bad (4e851dd9): Running.", "4e851dd9" * 4, "bad", "flow.bad"),
        State(StateType.RUNNING),
    )

    assert plain_text(attempt_line(Attempt(told, "delivered", error))) == said
