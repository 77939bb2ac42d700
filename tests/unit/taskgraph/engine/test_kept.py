"""Answers that are kept: each question goes to the backend once, unless it was told to forget."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskgraph.engine.kept import KeptAnswers
from taskgraph.hashing import ContentDigest, EvalHash, ValueHash
from taskgraph.records import CacheAnswer, CacheQuery, EvaluationFound, Micros, StoredResult
from taskgraph.testing import MemoryBackend


class Asked(MemoryBackend):
    """Answers with as many bytes as the key says, and counts the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        self.asked += [each.eval_hash for each in queries]
        return [
            CacheAnswer(
                None
                if each.eval_hash == "none"
                else EvaluationFound(
                    StoredResult(
                        ValueHash("v"), "t", "f", b"x" * int(each.eval_hash), ContentDigest("d")
                    ),
                    Micros(1),
                    None,
                )
            )
            for each in queries
        ]


def query(name: str, *, shallow: bool = False) -> CacheQuery:
    return CacheQuery(EvalHash(name), shallow)


def test_what_was_found_is_asked_for_once() -> None:
    backend = Asked()
    kept = KeptAnswers(backend)

    first, second = kept.check_cache([query("5")]), kept.check_cache([query("5")])

    assert first == second
    assert backend.asked == ["5"]


def test_what_was_not_found_is_asked_for_again() -> None:
    backend = Asked()
    kept = KeptAnswers(backend)

    for _ in range(2):
        assert kept.check_cache([query("none")])[0].evaluation is None

    assert backend.asked == ["none", "none"]


def test_what_was_forgotten_is_asked_for_again() -> None:
    backend = Asked()
    kept = KeptAnswers(backend)
    kept.check_cache([query("5")])

    kept.forget(EvalHash("5"))
    kept.check_cache([query("5")])

    assert backend.asked == ["5", "5"]


def test_whole_calls_are_asked_for_each_time() -> None:
    backend = Asked()
    kept = KeptAnswers(backend)

    for _ in range(2):
        kept.check_cache([query("5", shallow=True)])

    assert backend.asked == ["5", "5"]


def test_there_is_an_end_to_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskgraph.engine.kept._MOST_BYTES", 10)
    backend = Asked()
    kept = KeptAnswers(backend)

    kept.check_cache([query("6"), query("5")])
    kept.check_cache([query("5")])
    kept.check_cache([query("6")])

    assert backend.asked == ["6", "5", "6"]
