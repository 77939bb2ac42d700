"""The rooms of the scheduler are one room from outside."""

from __future__ import annotations

import pytest

from taskgraph import Scheduler, app
from taskgraph.values.weigh import hash_value


@pytest.mark.parametrize("name", app.__all__)
def test_what_is_public_is_of_the_room_that_is_public(name: str) -> None:
    # Functions that are handed around are hashed by where they are from.
    assert getattr(app, name).__module__ == "taskgraph.app"


def test_the_hash_of_a_function_does_not_depend_on_where_its_text_stands() -> None:
    assert hash_value(app.run, "it") == "0838b9461cb817bc6fdd4730723490d4"


def test_a_scheduler_is_its_own() -> None:
    with Scheduler(backend="sqlite://", executor="inline") as scheduler:
        app.set_current_scheduler(scheduler)
        try:
            assert app.get_current_scheduler() is scheduler
            assert app.scheduler_for() is scheduler
        finally:
            app.set_current_scheduler(None)
