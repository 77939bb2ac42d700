"""Who keeps results in memory looks at what was retracted: at once here, in a second elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskgraph.catalog import told
from taskgraph.engine import retracted
from taskgraph.engine.kept import KeptAnswers
from taskgraph.engine.retracted import Retractions
from taskgraph.hashing import CallHash, ContentDigest, EvalHash, ValueHash
from taskgraph.records import CacheAnswer, CacheQuery, EvaluationFound, Micros, StoredResult
from taskgraph.testing import MemoryBackend


class Retracting(MemoryBackend):
    """Says that something was retracted, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.retracted: set[CallHash] = set()
        self.asked = 0

    def count_retractions(self) -> int:
        self.asked += 1
        return len(self.retracted)

    def find_retracted(self, calls: Sequence[CallHash]) -> set[CallHash]:
        return self.retracted & set(calls)

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        result = StoredResult(ValueHash("v"), "t", "f", b"x", ContentDigest("d"))
        return [CacheAnswer(EvaluationFound(result, Micros(1), None)) for _ in queries]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that is set by hand."""
    moment = [100.0]
    monkeypatch.setattr(retracted, "_CLOCK", lambda: moment[0])
    return moment


def test_for_a_second_nobody_is_asked(clock: list[float]) -> None:
    backend = Retracting()
    retractions = Retractions(backend)

    backend.retracted.add(CallHash("a"))
    at_once = retractions.has(CallHash("a"), lambda: [CallHash("a")])
    clock[0] += 1.0
    later = retractions.has(CallHash("a"), lambda: [CallHash("a")])

    assert (at_once, later, backend.asked) == (False, True, 1)


def test_what_this_process_retracts_is_seen_at_once(clock: list[float]) -> None:
    backend = Retracting()
    retractions = Retractions(backend)

    backend.retracted.add(CallHash("a"))
    told.tell()

    assert retractions.has(CallHash("a"), lambda: [CallHash("a"), CallHash("b")])
    assert not retractions.has(CallHash("b"), lambda: [CallHash("a"), CallHash("b")])


def test_a_call_is_said_to_be_gone_once(clock: list[float]) -> None:
    backend = Retracting()
    retractions = Retractions(backend)
    backend.retracted.add(CallHash("a"))
    told.tell()

    said = [retractions.has(CallHash("a"), lambda: [CallHash("a")]) for _ in range(2)]

    assert said == [True, False]


def test_what_has_no_call_is_not_gone(clock: list[float]) -> None:
    assert not Retractions(Retracting()).has(None, list)


def test_answers_that_are_kept_are_asked_for_anew_after_a_retraction(clock: list[float]) -> None:
    backend = Retracting()
    kept = KeptAnswers(backend)
    query = CacheQuery(EvalHash("e"))
    kept.check_cache([query])

    backend.retracted.add(CallHash("a"))
    (before,) = kept.check_cache([query])
    clock[0] += 1.0
    (after,) = kept.check_cache([query])

    assert before == after
    assert backend.asked == 1
