"""What goes wrong again and again is tried ever more seldom."""

from __future__ import annotations

from taskgraph.serving.pauses import FIRST, LONGEST, Pauses


def test_pauses_double_up_to_a_longest_and_begin_anew() -> None:
    pauses = Pauses()

    assert [pauses.next() for _ in range(7)] == [FIRST, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST]
    pauses.reset()
    assert pauses.next() == FIRST
