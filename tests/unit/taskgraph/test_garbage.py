from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from taskgraph.garbage import rare_collections


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
