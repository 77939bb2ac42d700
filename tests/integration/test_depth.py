"""Depth costs memory only: long chains and deep recursions finish, fresh and again."""

from __future__ import annotations

import os
from pathlib import Path

from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph.events import JobDone
from taskgraph.testing import RecordingObserver

CHAIN = 100_000 if os.environ.get("TASKGRAPH_TORTURE") else 12_000
DEPTH = 10_000


@task(namespace="depth")
def increment(x: int) -> int:
    return x + 1


@task(namespace="depth")
def count_down(n: int) -> int:
    return 0 if n == 0 else count_down(n - 1)


@task(namespace="depth")
def add_up(n: int) -> int:
    return 0 if n == 0 else n + add_up(n - 1)


def settings_in(folder: Path) -> Settings:
    return Settings(folder / ".taskgraph")


def chain(length: int) -> int:
    value = 0
    for _ in range(length):
        value = increment(value)
    return value


def test_a_long_chain_of_dependent_calls_finishes_fresh_and_again(tmp_path: Path) -> None:
    observer = RecordingObserver()
    (tmp_path / ".taskgraph").mkdir()

    with Scheduler(settings_in(tmp_path), executor="inline") as scheduler:
        fresh = scheduler.run(chain(CHAIN))
    with Scheduler(settings_in(tmp_path), executor="inline", observers=[observer]) as scheduler:
        again = scheduler.run(chain(CHAIN))

    assert fresh == again == CHAIN
    assert not [each for each in observer.events if isinstance(each, JobDone)]


def test_a_recursion_10_000_deep_finishes_fresh_and_again(tmp_path: Path) -> None:
    observer = RecordingObserver()
    (tmp_path / ".taskgraph").mkdir()

    with Scheduler(settings_in(tmp_path)) as scheduler:
        fresh = scheduler.run(count_down(DEPTH))
    with Scheduler(settings_in(tmp_path), observers=[observer]) as scheduler:
        again = scheduler.run(count_down(DEPTH))

    assert fresh == again == 0
    assert not [each for each in observer.events if isinstance(each, JobDone)]


def test_a_recursion_with_an_operator_at_each_level_finishes(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()

    with Scheduler(settings_in(tmp_path), executor="inline") as scheduler:
        total = scheduler.run(add_up(DEPTH))

    assert total == DEPTH * (DEPTH + 1) // 2
