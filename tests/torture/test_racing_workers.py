"""Eight workers and 500 submissions, workers killed at random; short without TASKGRAPH_TORTURE."""

from __future__ import annotations

import os

import pytest

from tests.torture.races import race
from tests.workers import Project


@pytest.mark.skipif(not os.environ.get("TASKGRAPH_TORTURE"), reason="takes minutes")
@pytest.mark.timeout(3600)
def test_each_of_many_executions_ends_once_whoever_is_killed(served: Project) -> None:
    race(served, workers=8, submissions=500, kills=60)
