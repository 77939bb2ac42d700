"""The fixture ``taskgraph``: a store for each test, and what ran in it."""

from __future__ import annotations

import pytest

import taskgraph as front_door
from taskgraph import catch, get_current_scheduler, set_current_scheduler, task
from taskgraph.plug.trials import Trial
from tests.language.tasks import describe, fail, inc

pytest_plugins = ["pytester"]

ran: list[int] = []


@task(namespace="trials", version="1")
def noted(n: int) -> int:
    ran.append(n)
    return n


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_has_a_store_of_its_own(taskgraph: Trial, time: int) -> None:
    ran.clear()

    assert taskgraph.run([noted(1), noted(1), inc(noted(2))]) == [1, 1, 3]
    assert ran == [1, 2]
    assert taskgraph.ran == ["trials.noted", "trials.noted", "language.inc"]
    assert taskgraph.cached == ["trials.noted"]
    assert taskgraph.run(noted(2)) == 2
    assert (taskgraph.ran, taskgraph.cached) == ([], ["trials.noted"])


def test_what_is_forgotten_runs_again(taskgraph: Trial) -> None:
    taskgraph.run(noted(1))
    taskgraph.forget()
    taskgraph.run(noted(1))

    assert taskgraph.ran == ["trials.noted"]
    assert get_current_scheduler() is taskgraph.scheduler


def test_what_failed_is_told(taskgraph: Trial) -> None:
    assert taskgraph.run(catch(fail("x"), ValueError, describe)) == "ValueError x"
    assert taskgraph.failed == ["language.fail"]
    assert taskgraph.ran == ["language.describe"]


def test_the_function_run_uses_it_too(taskgraph: Trial) -> None:
    assert front_door.run(inc(1)) == 2
    assert taskgraph.ran == ["language.inc"]
    assert taskgraph.scheduler.plan(inc(1)).calls == ()
    assert taskgraph.run(inc(1), cache=False) == 2
    assert taskgraph.ran == ["language.inc"]


def test_the_scheduler_of_before_is_back_afterwards(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    before = get_current_scheduler(required=False)
    trial: Trial = request.getfixturevalue("taskgraph")
    assert get_current_scheduler() is trial.scheduler
    trial.scheduler.close()
    set_current_scheduler(before)

    pytester.makepyfile(
        """
        import taskgraph as t

        def test_one(taskgraph):
            assert t.get_current_scheduler() is taskgraph.scheduler

        def test_two():
            assert t.get_current_scheduler(required=False) is None
        """
    )
    done = pytester.runpytest_subprocess("-ptaskgraph.plug.trials")
    done.assert_outcomes(passed=2)
    assert not (pytester.path / ".taskgraph").exists()


def test_a_session_that_does_not_use_it_loads_nothing_heavy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys

        def test_one():
            assert "taskgraph.app" not in sys.modules
            assert "sqlalchemy" not in sys.modules
        """
    )
    pytester.runpytest_subprocess("-ptaskgraph.plug.trials").assert_outcomes(passed=1)
