"""Walks: what stands for the world is found, read, refreshed and checked."""

from __future__ import annotations

import threading
from pathlib import PurePosixPath
from typing import Any

import pytest

from taskgraph.values import walk
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.registry import register


class Probe:
    def __init__(self, valid: bool = True) -> None:
        self.valid = valid
        self.is_read = False
        self.refreshed = 0


class ProbeKind(ValueKind):
    is_subvalue = True

    def shape(self, value: Any) -> Shape:
        return Shape("test probe")

    def needs_reading(self, value: Any) -> bool:
        return not value.is_read

    def read(self, value: Any, progress: Any = None) -> None:
        value.is_read = True
        if progress is not None:
            progress(3)

    def refresh(self, value: Any) -> None:
        value.refreshed += 1

    def is_valid(self, value: Any) -> bool:
        return bool(value.valid)


class Opaque:
    pass


register(Probe, ProbeKind())
register(Opaque, ValueKind())


def around(probe: Any) -> list[Any]:
    deep: Any = probe
    for _ in range(5000):
        deep = [deep]
    holder = PurePosixPath("x"), Opaque(), threading.Lock(), [1, 2], "a"
    cycle: list[Any] = [probe]
    cycle.append(cycle)
    return [
        probe,
        [probe],
        {"k": (probe, holder)},
        {probe: 1},
        {probe},
        deep,
        cycle,
        [holder, {1: slice(probe)}],
    ]


@pytest.mark.parametrize("place", range(8))
def test_what_is_live_is_found_wherever_it_lies(place: int) -> None:
    probe = Probe()
    value = around(probe)[place]

    assert walk.find_live(value) == [probe]
    assert walk.find_kind(value, lambda kind: isinstance(kind, ProbeKind)) == [probe]
    assert walk.find_unread(value) == [probe]

    read: list[int] = []
    walk.read(value, read.append)
    walk.read(value, read.append)
    walk.refresh(value)

    assert read == [3]
    assert walk.find_unread(value) == []
    assert probe.refreshed == 1
    assert walk.find_invalid(value) is None
    assert walk.is_valid_nested(value)

    probe.valid = False

    assert walk.find_invalid(value) is probe
    assert not walk.is_valid_nested(value)


def test_values_come_in_order_and_once() -> None:
    one, two = Probe(), Probe()

    assert walk.find_live([one, {"a": two}, one]) == [one, two]


@pytest.mark.parametrize("value", [1, [1, {"a": "b"}], PurePosixPath("a"), [PurePosixPath("a")]])
def test_nothing_is_live_in_what_is_only_content(value: Any) -> None:
    assert walk.find_live(value) == walk.find_unread(value) == []
    assert walk.is_valid_nested(value)
