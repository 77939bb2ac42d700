"""Values that are asked what they become on their way into a body, and out of it."""

from __future__ import annotations

import pytest

from taskgraph import Scheduler, catch
from tests.language.value_tasks import (
    Box,
    Sealed,
    Temperature,
    pass_on,
    seal,
    seal_async,
    seal_in,
    show,
    show_async,
)


def test_a_body_is_given_what_the_value_becomes(scheduler: Scheduler) -> None:
    assert scheduler.run(show(Sealed("a"))) == "'a for values.show'"
    assert scheduler.run(show([{"k": (Sealed("a"),)}, 1])) == "[{'k': ('a for values.show',)}, 1]"
    assert scheduler.run(show(Box(Sealed("a")))) == "Box(content='a for values.show')"
    assert scheduler.run(show(given=Temperature(3.5))) == "3.5"


def test_a_result_is_what_the_value_becomes(scheduler: Scheduler) -> None:
    one = scheduler.run(seal("a"))
    box = scheduler.run(seal_in("a"))

    assert one.seals == 1
    assert (box.content[0].seals, box.content[1]["more"][0].seals) == (1, 1)


def test_an_async_body_is_given_it_too() -> None:
    with Scheduler() as scheduler:
        assert (
            scheduler.run(show_async([seal_async("a")[0]])) == "async ['a for values.show_async']"
        )
        assert scheduler.run(seal_async("b"))[0].seals == 1


def test_a_recorded_result_is_not_asked_again(scheduler: Scheduler) -> None:
    expr = pass_on([Sealed("a"), show(seal("a"))])

    first = scheduler.run(expr)
    again = scheduler.run(pass_on([Sealed("a"), show(seal("a"))]))

    assert first == again == ["a for values.pass_on", "'a for values.show'"]
    assert scheduler.run(seal("a")).seals == 1


def test_a_value_that_cannot_be_given_fails_the_call(scheduler: Scheduler) -> None:
    with pytest.raises(PermissionError, match=r"values\.show must not open it"):
        scheduler.run(show(Sealed("cursed")))
    recovered = catch(show(Sealed("cursed")), PermissionError, show)
    assert "PermissionError" in scheduler.run(recovered)
