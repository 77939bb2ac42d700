"""Calls that run elsewhere, with values that stay there: `key`, `lookup` and `record` for them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taskgraph.plug import CallKey, CallRecord, Hit, Miss, key, lookup, record
from taskgraph.plug.execution import close_executions
from taskgraph.ports import Raised, Returned
from taskgraph.testing.plug_in import job_states
from taskgraph.values.pack import pack
from taskgraph.values.remote import Remote
from taskgraph.values.weigh import hash_value
from taskgraph.worker import run_call


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    yield tmp_path
    close_executions()


def double(x: int) -> int:
    return 2 * x


def total(values: Any) -> Any:
    return values


def factor() -> int:
    return 2


def scale(x: int) -> int:
    return x * factor()


def fail(x: int) -> int:
    raise ValueError(x)


def run(call: CallKey, func: Any, *args: Any, remote: Remote | None = None) -> CallRecord:
    """Run a call as a worker does, where the value then stays."""
    outcome = run_call(call.to_send(func, args, {}))
    if isinstance(outcome, Returned) and remote is not None:
        outcome = replace(outcome, value=remote)
    return record(call, outcome=outcome, host="there")


def ran_elsewhere(x: int) -> Remote:
    """Return what stands for the double of a number."""
    remote = Remote(f"double-{x}", "builtins.int", str(2 * x))
    made = run(key(double, (x,)), double, x, remote=remote)
    remote.know(made.value_hash, made.call_hash)
    return remote


def select(folder: Path, sql: str) -> list[Any]:
    close_executions()
    with closing(sqlite3.connect(folder / ".taskgraph" / "taskgraph.db")) as connection:
        return [row[0] for row in connection.execute(sql).fetchall()]


def test_what_ran_elsewhere_is_found_as_if_it_had_run_here() -> None:
    ran_elsewhere(21)

    found = lookup(key(double, (21,)))

    assert isinstance(found, Hit)
    assert found.value == 42


def test_an_error_from_elsewhere_is_recorded_and_not_kept(project: Path) -> None:
    call = key(fail, (1,))
    made = record(call, outcome=run_call(call.to_send(fail, (1,), {})))

    assert isinstance(made.error, ValueError)
    assert isinstance(lookup(key(fail, (1,))), Miss)
    assert job_states(project) == Counter({("fail", "FAILED"): 1})


def test_a_stand_in_is_the_same_argument_as_its_value() -> None:
    remote = ran_elsewhere(1)

    assert key(double, (remote,)).eval_hash == key(double, (2,)).eval_hash


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"deep": [[x]]}])
def test_data_flow_is_told_by_stand_ins_at_any_depth(project: Path, wrap: Any) -> None:
    remote = ran_elsewhere(1)
    call = key(total, (wrap(remote),))
    run(call, total, wrap(2))

    assert select(project, "SELECT lower(hex(result_call_hash)) FROM argument_result") == [
        remote.call_hash
    ]


def test_what_is_made_of_a_value_without_content_is_not_kept() -> None:
    remote = ran_elsewhere(1)
    assert remote.value_hash is not None
    remote.know(remote.value_hash, remote.call_hash, is_unstored=True)
    run(key(double, (remote,)), double, 2)

    assert isinstance(lookup(key(double, (remote,))), Miss)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x]])
def test_what_ran_with_another_value_than_it_is_known_by_is_not_kept(wrap: Any) -> None:
    remote = ran_elsewhere(1)
    call = key(total, (wrap(remote),))
    call.begin()
    first = remote.value_hash
    assert first is not None
    remote.know(hash_value(3))  # it was lost, and made again before the call began

    run(call, total, wrap(3))

    remote.know(first)
    assert isinstance(lookup(key(total, (wrap(remote),))), Miss)


def test_another_attempt_knows_what_is_known_by_then() -> None:
    remote = Remote("later", "builtins.int", "?")
    early = key(double, (remote,))
    made = run(key(double, (1,)), double, 1)
    remote.know(made.value_hash, made.call_hash)

    again = early.again()

    assert again.eval_hash == key(double, (2,)).eval_hash != early.eval_hash


def test_another_attempt_has_the_code_that_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    early = key(scale, (1,))
    monkeypatch.setitem(globals(), "factor", lambda: 3)

    assert early.again().task_hash == early.task_hash != key(scale, (1,)).task_hash


def test_each_attempt_is_a_job(project: Path) -> None:
    call = key(double, (1,))
    call.begin()
    assert call.is_running
    record(call, error=OSError("the first time"))
    assert not call.is_running
    run(call.again(), double, 1)

    assert job_states(project) == Counter({("double", "FAILED"): 1, ("double", "DONE"): 1})


def test_those_that_follow_have_what_the_other_one_gave(project: Path) -> None:
    leader, follower = key(double, (1,)), key(double, (1,))
    run(leader, double, 1)
    follower.follow(leader)

    assert job_states(project) == Counter({("double", "DONE"): 1, ("double", "CACHED"): 1})


def test_those_that_follow_one_that_was_cancelled_are_cancelled(project: Path) -> None:
    leader, follower = key(double, (1,)), key(double, (1,))
    leader.begin()
    leader.cancel()
    follower.follow(leader)

    assert job_states(project) == Counter({("double", "CANCELLED"): 2})


def test_a_value_that_only_the_other_process_has_is_recorded_from_there(project: Path) -> None:
    remote = Remote("given", "builtins.list", "?")
    packed = pack([6, 7])
    remote.know(packed.values[0].value_hash)
    call = key(total, (remote,))
    outcome = run_call(call.to_send(total, (1,), {}))
    record(call, outcome=outcome, inputs=[packed])

    assert "[6, 7]" in select(project, "SELECT preview FROM value")


def test_a_call_of_an_execution_that_ended_is_recorded_no_more() -> None:
    call = key(double, (1,))
    assert call.is_open

    close_executions()

    assert not call.is_open


def test_raised_outcomes_name_their_error() -> None:
    call = key(fail, (2,))

    assert isinstance(run_call(call.to_send(fail, (2,), {})), Raised)
