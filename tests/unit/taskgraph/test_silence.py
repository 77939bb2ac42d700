"""Silence tells something only to who could have heard others."""

from __future__ import annotations

import math

import pytest

from taskgraph.silence import Silence, since_boot


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_who_reaches_it_from_the_beginning_may_judge_at_once(clock: Clock) -> None:
    silence = Silence(30.0, clock=clock)
    assert silence.tells
    silence.heard()
    assert silence.tells


def test_who_could_not_reach_it_waits_as_long_as_a_word_counts(clock: Clock) -> None:
    silence = Silence(30.0, clock=clock)
    silence.missed()
    assert not silence.tells
    clock.now += 100
    assert not silence.tells  # it has not answered yet, however long ago that was
    silence.heard()
    assert not silence.tells
    clock.now += 29.5
    silence.heard()
    assert not silence.tells
    clock.now += 0.5
    assert silence.tells


def test_what_is_missed_while_one_waits_begins_it_anew(clock: Clock) -> None:
    silence = Silence(30.0, clock=clock)
    silence.missed()
    silence.heard()
    clock.now += 20
    silence.missed()
    clock.now += 20
    silence.heard()
    assert not silence.tells
    clock.now += 30
    assert silence.tells


def test_a_gap_between_answers_counts_for_who_asks_all_the_time(clock: Clock) -> None:
    silence = Silence(30.0, gap=15.0, clock=clock)
    for _ in range(5):
        clock.now += 15
        silence.heard()
        assert silence.tells
    clock.now += 16
    silence.heard()
    assert not silence.tells
    for _ in range(3):
        clock.now += 10
        silence.heard()
    assert silence.tells


def test_without_a_gap_it_may_be_asked_ever_so_seldom(clock: Clock) -> None:
    silence = Silence(30.0, clock=clock)
    assert silence.gap == math.inf
    clock.now += 1e6
    silence.heard()
    assert silence.tells


def test_its_own_clock_goes_on() -> None:
    first = since_boot()
    assert since_boot() >= first
