"""Dicts that forget what is oldest."""

from __future__ import annotations

import pytest

from taskgraph import recent
from taskgraph.recent import Recent


def test_the_oldest_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST", 2)
    known: Recent[str, int] = Recent()

    for number, name in enumerate("abca"):
        known[name] = number

    assert known == {"c": 2, "a": 3}
