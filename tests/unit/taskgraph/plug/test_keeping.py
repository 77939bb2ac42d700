"""Calls that are kept as a block: what becomes of each is recorded, told, and true."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, lineage, task
from taskgraph.errors import DatabaseFullError, LazyResultError, NotRecordedWarning
from taskgraph.plug import keeping, key
from taskgraph.plug.execution import close_executions
from taskgraph.plug.keeping import (
    FOUND,
    NOT_KEPT,
    RAISED,
    RAN,
    KeptCall,
    Unkeyed,
    kept,
    key_if_any,
)
from taskgraph.testing.plug_in import job_states
from taskgraph.worker import frames_of

ran: list[Any] = []
told: list[KeptCall] = []


@pytest.fixture(autouse=True)
def started(project: Path) -> Iterator[Path]:
    ran.clear()
    told.clear()
    yield project


def half(x: Any) -> Any:
    ran.append(x)
    if x is None:
        raise ValueError("nothing")
    return x / 2


def lock_with(name: str) -> Any:
    return threading.Lock(), name


def call_half(x: Any, **options: Any) -> KeptCall:
    """Call `half` as a tool does; return what became of the call."""
    with kept(key_if_any(half, (x,)), **options) as call:
        if not call.is_found:
            call.result = call.body()
    return call


def full(*args: Any, **kwargs: Any) -> Any:
    raise DatabaseFullError("sqlite:///x.db", "the disk is full")


def words() -> list[str]:
    return [each.word for each in told]


def test_the_second_time_it_is_found_and_told(started: Path) -> None:
    calls = [call_half(5, tell=told.append) for _ in range(2)]

    assert [each.result for each in calls] == [2.5, 2.5]
    assert words() == [RAN, FOUND]
    assert ran == [5]
    first, second = (each.record for each in calls)
    assert first is not None and second is not None
    assert first.call_hash == second.call_hash and first.job_id != second.job_id
    close_executions()
    assert job_states(started) == {("half", "DONE"): 1, ("half", "CACHED"): 1}


def test_what_is_raised_is_recorded_told_and_raised(started: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="nothing"):
            call_half(None, tell=told.append)

    assert words() == [RAISED] * 2
    assert [each.text for each in told] == ["ValueError: nothing"] * 2
    close_executions()
    assert job_states(started) == {("half", "FAILED"): 2}


def test_what_was_raised_shows_no_frames_of_ours() -> None:
    with pytest.raises(ValueError, match="nothing") as caught:
        call_half(None)

    names = [each.name for each in frames_of(caught.value.__traceback__)]
    assert names[-2:] == ["call_half", "half"]


def test_an_interrupted_call_is_recorded_as_such_and_told_to_nobody(started: Path) -> None:
    with pytest.raises(KeyboardInterrupt), kept(key(half, (1,)), tell=told.append):
        raise KeyboardInterrupt

    assert told == []
    close_executions()
    assert job_states(started) == {("half", "CANCELLED"): 1}


def test_who_runs_it_may_call_a_result_a_failure() -> None:
    for _ in range(2):
        with kept(key(half, (1,)), tell=told.append) as call:
            call.result = call.body()
            call.error = ValueError("it says that it failed")

    assert words() == [RAISED] * 2
    assert ran == [1, 1]


@task
def later(x: int) -> int:
    return x


def gives_later() -> Any:
    return later(1)


def test_a_lazy_call_as_result_is_raised() -> None:
    with pytest.raises(LazyResultError), kept(key(gives_later), tell=told.append) as call:
        call.result = call.body()

    assert words() == [RAISED]
    assert isinstance(told[0].error, LazyResultError)


def test_a_result_that_cannot_be_stored_is_used_and_told_with_advice() -> None:
    with kept(key(lock_with, ("a",)), tell=told.append) as call:
        call.result = call.body()

    assert call.result[1] == "a"
    assert words() == [NOT_KEPT]
    assert told[0].text.startswith("its result: ") and "lock" in told[0].text
    assert told[0].advice.startswith("Return plain data or files")


def test_a_call_without_a_key_runs_and_that_is_told() -> None:
    def length(values: Any) -> int:
        return len(list(values))

    call = key_if_any(length, (), {"values": (each for each in "abc")})
    with kept(call, tell=told.append) as this:
        this.result = this.body()

    assert isinstance(call, Unkeyed)
    assert this.result == 3 and this.key is None and this.record is None
    assert words() == [NOT_KEPT]
    assert told[0].text.startswith("values (a builtins.generator) has no stable hash")
    assert 'config_args=["values"]' in told[0].advice


def test_an_error_of_a_call_without_a_key_speaks_for_itself() -> None:
    with pytest.raises(OSError), kept(Unkeyed(ran.clear, "no reason"), tell=told.append):
        raise OSError

    assert told == []


def test_a_call_that_is_refreshed_runs_and_is_kept_anew() -> None:
    call_half(3)
    call_half(3, refresh=True, tell=told.append)
    call_half(3, tell=told.append)

    assert ran == [3, 3]
    assert words() == [RAN, FOUND]


def test_a_full_disk_costs_no_result_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "record", full)

    call = call_half(7, tell=told.append)

    assert call.result == 3.5
    assert call.word == NOT_KEPT and "the disk is full" in call.text


@pytest.mark.parametrize("verb", ["lookup", "record"])
def test_what_nobody_observes_is_warned_of(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, verb, full)

    with pytest.warns(NotRecordedWarning, match=r"half returned its result.*full"):
        call = call_half(9)

    assert call.result == 4.5


def test_a_full_disk_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "record", full)

    with pytest.raises(ValueError, match="nothing"):
        call_half(None)


def save(value: Any) -> File:
    file = File("out.txt")
    file.write(str(value))
    return file


def test_arguments_come_from_the_runs_that_a_tool_names() -> None:
    call_half(8, run="first")

    with kept(key(save, (float("4"),)), inputs=["first", "unknown"]) as call:
        call.result = call.body()

    steps = lineage("out.txt").story.steps
    assert [each.call.task.rpartition(".")[2] for each in steps] == ["save", "half"]


def test_a_result_is_used_though_its_tags_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from taskgraph.plug.execution import ProcessExecution

    def full(*args: Any) -> None:
        raise DatabaseFullError("db", "the disk is full")

    with kept(key(half, (6,))) as call:
        call.result = call.body()
    monkeypatch.setattr(ProcessExecution, "add_tags", full)

    with pytest.warns(NotRecordedWarning), kept(key(half, (6,)), tags={"a": 1}) as again:
        assert again.is_found

    assert (again.result, again.word, ran) == (3.0, FOUND, [6])


def test_what_runs_after_its_key_was_used_runs_with_its_own_arguments() -> None:
    from taskgraph.plug import Hit, lookup, record

    first = key(half, (8,))
    record(first, 4.0)
    second = key(half, (8,))
    body = second.body

    assert isinstance(lookup(second), Hit)
    assert body() == 4.0
