from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.garbage import rare_collections
from tests.forked import run_python


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_collections_are_rare_within_and_as_before_afterwards() -> None:
    gc.set_threshold(700, 10, 10)

    with rare_collections():
        within = gc.get_threshold()

    assert within == (50_000, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("usual", [(0, 10, 10), (60_000, 5, 5)])
def test_what_is_rarer_already_or_switched_off_stays(usual: tuple[int, int, int]) -> None:
    gc.set_threshold(*usual)

    with rare_collections():
        assert gc.get_threshold() == usual

    assert gc.get_threshold() == usual


PROGRAM = """
import gc
from taskgraph.garbage import keep_loaded

gc.unfreeze()
keep_loaded("taskgraph.app")
first = gc.get_freeze_count()
more = [[] for _ in range(10_000)]
keep_loaded("taskgraph.app")

class Circle:
    def __del__(self):
        print("collected")

circle = Circle()
circle.itself = circle
del circle
gc.collect()
print(first > 10_000, gc.get_freeze_count() - first < 1_000)
"""


def test_what_is_loaded_is_kept_once_and_what_comes_later_is_collected(tmp_path: Path) -> None:
    done = run_python(["-c", PROGRAM], tmp_path, dict(os.environ))

    assert done.out.split() == ["collected", "True", "True"]
