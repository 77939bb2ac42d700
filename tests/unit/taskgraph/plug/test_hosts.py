"""Tools that are asked what `cached` makes of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskgraph import cached
from taskgraph.errors import GeneratorCallError, YieldFixtureError
from taskgraph.plug import hosts
from taskgraph.plug.hosts import add_host, refused, remove_host


@pytest.fixture(autouse=True)
def _no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools that are there in this session, pytest itself among them, are not asked."""
    monkeypatch.setattr(hosts, "_hosts", [])


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


def test_a_refused_function_raises_when_it_is_called_and_not_before() -> None:
    made = refused(numbers, YieldFixtureError)

    assert inspect.signature(made) == inspect.signature(numbers)
    with pytest.raises(YieldFixtureError, match=f"{__name__}.numbers yields"):
        made(3)


def test_a_host_decides_until_it_is_removed() -> None:
    def host(function: Any, decorate: Callable[[Any], Any]) -> Any:
        return refused(function, YieldFixtureError) if function is numbers else None

    add_host(host)
    try:
        made = cached(numbers)
    finally:
        remove_host(host)

    with pytest.raises(YieldFixtureError):
        made(3)
    with pytest.raises(GeneratorCallError):
        cached(numbers)
