"""Transcripts: what was shown is shown again, as it stood at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from taskgraph.plug import transcripts
from taskgraph.plug.transcripts import Transcript, show_again


class List:
    """A viewer that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def show_text(self, text: str) -> None:
        self.seen.append(text)

    def show_data(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        self.seen.append((data, metadata))


def shown(transcript: Transcript) -> list[Any]:
    viewer = List()
    show_again(transcript.entries, viewer)
    return viewer.seen


def test_texts_and_data_keep_their_order() -> None:
    made = Transcript()
    made.add_text("one\n")
    made.add_text("two\n")
    made.add_data({"text/html": "<b>"}, {"a": 1})
    made.add_text("three")

    assert shown(made) == ["one\ntwo\n", ({"text/html": "<b>"}, {"a": 1}), "three"]


def test_an_update_takes_the_place_of_what_it_updates() -> None:
    made = Transcript()
    made.add_data({"text/plain": "old"}, {}, "bar")
    made.add_text("after it")
    made.add_data({"text/plain": "new"}, {}, "bar", is_update=True)

    assert shown(made) == [({"text/plain": "new"}, {}), "after it"]


def test_an_update_of_what_is_elsewhere_is_shown_where_it_comes() -> None:
    made = Transcript()
    made.add_text("before it")
    made.add_data({"text/plain": "new"}, {}, "bar", is_update=True)

    assert shown(made) == ["before it", ({"text/plain": "new"}, {})]


def test_what_is_cleared_is_forgotten() -> None:
    made = Transcript()
    made.add_data({"text/plain": "old"}, {}, "bar")
    made.clear()
    made.add_data({"text/plain": "new"}, {}, "bar", is_update=True)

    assert shown(made) == [({"text/plain": "new"}, {})]


def test_what_prints_a_lot_is_not_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "_MOST", 10)
    made = Transcript()
    made.add_text("x" * 10)
    assert made.is_whole

    made.add_text("y")

    assert not made.is_whole
    assert shown(made) == ["x" * 10]
