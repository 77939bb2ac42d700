"""Scheduler tasks are plain generators: they are tested without an engine."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from taskgraph.combinators.control import catch, cond, root_task, seq
from taskgraph.expression import quote


def drive(task: Any, *args: Any, answers: dict[Any, Any]) -> tuple[list[Any], Any]:
    """Step a generator; returns what it asked for and what it gave."""
    generator: Generator[Any, Any, Any] = task.func(*args)
    asked: list[Any] = []
    try:
        wanted = next(generator)
        while True:
            asked.append(wanted)
            answer = answers[wanted]
            if isinstance(answer, Exception):
                wanted = generator.throw(answer)
            else:
                wanted = generator.send(answer)
    except StopIteration as stop:
        return asked, stop.value


def test_cond_asks_until_a_condition_holds() -> None:
    answers = {"p": False, "q": 1}

    assert drive(cond, "p", "a", "q", "b", "else", answers=answers) == (["p", "q"], "b")
    assert drive(cond, "p", "a", "else", answers=answers) == (["p"], "else")
    assert drive(cond, "p", "a", answers=answers) == (["p"], None)


def test_seq_asks_for_one_after_the_other() -> None:
    assert drive(seq, ["a", "b"], answers={"a": 1, "b": 2}) == (["a", "b"], [1, 2])


def test_catch_gives_the_error_to_the_recovery_that_fits() -> None:
    error = KeyError("k")

    asked, value = drive(catch, "x", ValueError, None, KeyError, lambda e: e, answers={"x": error})

    assert asked == ["x"]
    assert value is error


def test_catch_raises_what_nobody_recovers_from() -> None:
    with pytest.raises(KeyError):
        drive(catch, "x", ValueError, None, answers={"x": KeyError("k")})


def test_catch_wants_pairs() -> None:
    with pytest.raises(TypeError, match="pairs"):
        drive(catch, "x", ValueError, answers={})


def test_the_root_evaluates_what_was_quoted() -> None:
    assert drive(root_task, quote("x"), answers={"x": 3}) == (["x"], 3)
