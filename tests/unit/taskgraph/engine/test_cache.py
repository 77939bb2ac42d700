"""Cache decisions: data in, Hit or Miss out."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.engine import cache
from taskgraph.engine.cache import CurrentTasks, Hit, Miss, Reason, decide
from taskgraph.hashing import CallHash, TaskHash
from taskgraph.records import CacheAnswer, CallFound, EvaluationFound, Micros, StoredResult
from taskgraph.tasks.decorator import task
from taskgraph.values.failures import ErrorValue
from taskgraph.values.pack import pack, pack_unstored
from taskgraph.values.stored import ValueRecord


@task(namespace="decisions", version="1")
def known() -> None: ...


def stored(record: ValueRecord) -> StoredResult:
    return StoredResult(*record[:4], record.content_digest)


def result(value: Any) -> StoredResult:
    return stored(pack(value).values[0])


def evaluation(value: Any) -> EvaluationFound:
    return EvaluationFound(result(value), Micros(1), CallHash("e" * 32))


def call(name: str, found: StoredResult, *tasks: str) -> CallFound:
    return CallFound(CallHash(name), found, Micros(1), frozenset(map(TaskHash, tasks)))


def test_nothing_known_is_a_miss() -> None:
    assert decide(CacheAnswer(None), CurrentTasks()) == Miss(Reason.ABSENT)


def test_a_single_reduction_is_a_hit_that_names_the_call_it_may_be() -> None:
    decision = decide(CacheAnswer(evaluation([1, 2])), CurrentTasks())

    assert isinstance(decision, Hit)
    assert decision.value == [1, 2]
    assert decision.call_hash == "e" * 32
    assert decision.subtree is None


def test_a_whole_call_whose_tasks_are_current_goes_before_a_reduction() -> None:
    answer = CacheAnswer(evaluation(1), (call("c", result(2), known.hash),))

    decision = decide(answer, CurrentTasks())

    assert isinstance(decision, Hit)
    assert (decision.value, decision.call_hash) == (2, "c")
    assert decision.subtree == {known.hash}


@pytest.mark.parametrize(
    "found",
    [
        call("old", result(2), "f" * 32),
        call("failed", result(ErrorValue(ValueError("x"))), known.hash),
        call("unstored", stored(pack_unstored(2, result(2).value_hash).values[0]), known.hash),
    ],
    ids=lambda each: each.call_hash,
)
def test_calls_of_old_code_failed_calls_and_unstored_ones_are_passed_over(found: CallFound) -> None:
    answer = CacheAnswer(evaluation(1), (found, call("next", result(3), known.hash)))

    decision = decide(answer, CurrentTasks())

    assert isinstance(decision, Hit)
    assert decision.call_hash == "next"
    assert decide(CacheAnswer(None, (found,)), CurrentTasks()) == Miss(Reason.ABSENT)


def test_tasks_that_are_as_they_were_are_hashed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = frozenset({known.hash})
    CurrentTasks().cover(wanted)
    hashed: list[object] = []
    monkeypatch.setattr(cache, "_hash_of", lambda task: hashed.append(task) or task.hash)

    assert CurrentTasks().cover(wanted)
    assert hashed == [known]


def test_a_damaged_value_is_a_miss_that_names_it() -> None:
    found = evaluation([1])
    damaged = found._replace(result=found.result._replace(value=b"other bytes"))

    decision = decide(CacheAnswer(damaged), CurrentTasks())

    assert isinstance(decision, Miss)
    assert decision.reason is Reason.DAMAGED
    assert decision.damaged == found.result.value_hash
    assert "bytes" in decision.text


def test_a_damaged_whole_call_falls_back_to_the_reduction() -> None:
    broken = result(2)._replace(value=b"other bytes")
    answer = CacheAnswer(evaluation(1), (call("c", broken, known.hash),))

    decision = decide(answer, CurrentTasks())

    assert isinstance(decision, Hit)
    assert decision.value == 1
