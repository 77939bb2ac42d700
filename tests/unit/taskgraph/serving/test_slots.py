"""What a slot does between its beginning and its end: how often it takes, and when it gives up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from taskgraph.errors import DatabaseError
from taskgraph.serving.orders import DONE, EDITED, SlotOrder
from taskgraph.serving.pipes import Pipes
from taskgraph.serving.slots import work


class Work:
    """Pieces of work, one after the other: whether there is one, or that the database is away.

    What is called "away" fails after something was taken, and is gone on with the next time.
    """

    def __init__(self, *steps: bool | str) -> None:
        self._steps = list(steps)
        self.is_busy = False
        self.done = 0

    def step(self) -> bool:
        said = self._steps.pop(0)
        if isinstance(said, str):
            self.is_busy = said == "away"
            raise DatabaseError("sqlite:///x", "it is away")
        assert said or not self.is_busy
        self.is_busy = False
        self.done += said
        return said


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """The pipes of a slot; what it says is read by nobody."""
    orders, told = os.pipe()
    read, reports = os.pipe()
    made = Pipes(orders, reports)
    yield made
    made._orders.close()
    os.close(told)
    os.close(read)
    os.close(reports)


def order(**how: Any) -> SlotOrder:
    return SlotOrder("c", "1" * 32, "w", None, ("a",), poll=0.001, **how)


def test_a_database_that_is_away_is_no_queue_in_which_nothing_waits(pipes: Pipes) -> None:
    steps = Work("away at first", True, "away at first", True, False)
    assert work(steps, order(is_burst=True), pipes, lambda: None) == DONE
    assert steps.done == 2


def test_what_was_taken_before_the_database_was_away_counts_once(pipes: Pipes) -> None:
    steps = Work(True, "away", "away", True, "away at first", True, True, True)
    assert work(steps, order(quota=3), pipes, lambda: None) == DONE
    assert steps.done == 3


def test_what_was_taken_is_seen_to_its_end_though_it_is_to_drain(pipes: Pipes) -> None:
    steps = Work("away", "away", True, True)

    def find_edited() -> None:
        assert not steps.is_busy  # nothing is left behind for code that was edited
        pipes.drained.set()

    assert work(steps, order(), pipes, find_edited) == DONE
    assert steps.done == 1


def test_edited_code_ends_a_slot_between_two_pieces_of_work(pipes: Pipes) -> None:
    steps = Work(True)
    found = [None, "flow.py"]
    assert work(steps, order(), pipes, lambda: found.pop(0)) == EDITED
    assert steps.done == 1
