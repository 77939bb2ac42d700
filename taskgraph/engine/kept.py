"""Kept answers of the backend: what it found, as stored bytes; asked again, that costs nothing.

What is kept is never a value: each is decoded anew, checked against its digest, its age and the
files in it, like one that was just read. Only that it is recorded is taken from here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from taskgraph.engine.retracted import Retractions
from taskgraph.hashing import EvalHash
from taskgraph.ports import Backend
from taskgraph.records import CacheAnswer, CacheQuery

_MOST: Final = 10_000
_MOST_BYTES: Final = 64_000_000
_LARGE: Final = 1_000_000  # bytes of one answer; reading it again is not what takes its time


class KeptAnswers:
    """Asks a backend, and keeps what it found; not for several threads at once.

    Args:
        backend: Who is asked.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._kept: OrderedDict[EvalHash, CacheAnswer] = OrderedDict()
        self._bytes = 0
        self._retractions = Retractions(backend)

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        """Answer all questions, in their order."""
        if self._retractions.are_new():
            self._kept.clear()
            self._bytes = 0
        known = [self._kept.get(each.eval_hash) for each in queries if not each.shallow]
        found = [each for each in known if each is not None]
        if len(found) == len(queries):
            return found
        answers = self._backend.check_cache(queries)
        for query, answer in zip(queries, answers, strict=True):
            if not query.shallow:
                self._keep(query.eval_hash, answer)
        return answers

    def find_valid_handles(self, hashes: Sequence[str]) -> set[str]:
        """Return nothing: who makes calls one at a time cannot say what a service went through."""
        return set()

    def forget(self, eval_hash: EvalHash) -> None:
        """Ask anew the next time: another result is about to be recorded."""
        answer = self._kept.pop(eval_hash, None)
        if answer is not None:
            self._bytes -= _size_of(answer)

    def _keep(self, eval_hash: EvalHash, answer: CacheAnswer) -> None:
        size = _size_of(answer)
        if answer.evaluation is None or size > _LARGE:
            return
        self.forget(eval_hash)
        self._kept[eval_hash] = answer
        self._bytes += size
        while len(self._kept) > _MOST or self._bytes > _MOST_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _size_of(oldest)


def _size_of(answer: CacheAnswer) -> int:
    return 0 if answer.evaluation is None else len(answer.evaluation.result.value)
