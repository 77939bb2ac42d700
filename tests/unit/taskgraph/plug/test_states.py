"""What is said of calls: as text and as HTML, and of values that have no hash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.plug import Hit, key, lookup, record
from taskgraph.plug.execution import close_executions, current_execution
from taskgraph.plug.states import (
    CallState,
    how_made,
    not_stored,
    why_it_runs,
    with_hash,
    without_hash,
)


@pytest.fixture
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    yield
    close_executions()


def half(x: Any) -> Any:
    return x / 2


def test_a_state_is_a_sentence_with_notes_below() -> None:
    state = CallState.of_run("the first time", 0.0012, ["x", "y"], ["it is <odd>", "really"])

    assert repr(state) == "▶ ran (1.2 ms, the first time): x, y\n  it is <odd>\n  really"
    assert "<b>▶ ran</b> (1.2 ms, the first time): x, y<br>it is &lt;odd&gt;<br>really" in (
        state._repr_html_()
    )


def test_what_gave_nothing_lists_nothing() -> None:
    assert repr(CallState.of_hit("made by hand", [])) == "✓ from the cache (made by hand)"


@pytest.mark.usefixtures("_project")
def test_a_call_runs_the_first_time_and_for_what_changed() -> None:
    settings = current_execution().settings
    first = key(half, (4,))
    lookup(first)
    assert why_it_runs(settings, first) == "the first time"
    record(first, 2.0)

    assert why_it_runs(settings, key(half, (6,))) == "x changed from 4 to 6"
    assert why_it_runs(settings, first) == "an equal call has ended meanwhile"


@pytest.mark.usefixtures("_project")
def test_a_result_says_who_made_it() -> None:
    settings = current_execution().settings
    record(key(half, (4,)), 2.0)
    found = lookup(key(half, (4,)))
    assert isinstance(found, Hit)

    told = how_made(settings, found.record.job_id)

    assert told.startswith("made 2")
    assert told.endswith(f"by execution {current_execution().id[:8]}")


@pytest.mark.usefixtures("_project")
def test_an_argument_without_a_hash_is_named() -> None:
    with pytest.raises(UnhashableValueError) as caught:
        key(half, (threading.Lock(),))

    assert without_hash(caught.value).startswith("x (a _thread.lock) has no stable hash: ")


def test_the_part_of_a_result_that_cannot_be_stored_is_named() -> None:
    lock = threading.Lock()

    assert not_stored({"x": 1, "y": lock}).startswith("y (a _thread.lock) cannot be stored: ")
    assert "(at y[0])" in not_stored({"y": [lock]})
    assert not_stored({"x": 1}) == ""


def test_values_with_a_hash_are_listed() -> None:
    assert with_hash({"a": 1, "b": threading.Lock(), "c": [2]}) == ["a", "c"]
