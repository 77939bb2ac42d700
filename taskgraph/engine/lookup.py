"""Looking calls up: one question for all of a tick, and one more for blessed code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskgraph.engine.aliases import Aliases, Earlier
from taskgraph.engine.cache import ABSENT, CurrentTasks, Hit, Miss, decide, query_of
from taskgraph.engine.jobs import Job
from taskgraph.hashing import hash_eval
from taskgraph.records import CacheAnswer, CacheQuery


class Answerer(Protocol):
    """Who is asked: a backend, or what stands before one."""

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        """Answer all questions at once, in their order."""
        ...


class Lookup:
    """Decides for weighed calls what may be used of the records.

    Args:
        backend: What knows them.
        aliases: The earlier code that counts for later code.
    """

    def __init__(self, backend: Answerer, aliases: Aliases) -> None:
        self._backend = backend
        self._aliases = aliases
        self._current_tasks = CurrentTasks(aliases)

    def ask(self, jobs: Sequence[Job]) -> list[Hit | Miss]:
        """Return what may be used for each job; files in it were not looked at yet."""
        answers = self._backend.check_cache([query_of(job) for job in jobs])
        decisions = [self._decide(job, answer) for job, answer in zip(jobs, answers, strict=True)]
        absent = [index for index, decision in enumerate(decisions) if decision is ABSENT]
        if absent and self._aliases.are_any:
            self._ask_earlier(jobs, decisions, absent)
        return decisions

    def _decide(self, job: Job, answer: CacheAnswer) -> Hit | Miss:
        options = job.options
        return decide(
            answer,
            self._current_tasks,
            options.get("max_age"),
            job.context,
            options.get("allowed_cache_results"),
        )

    def _ask_earlier(
        self,
        jobs: Sequence[Job],
        decisions: list[Hit | Miss],
        absent: Sequence[int],
    ) -> None:
        """Put what is known under an earlier task hash in the place of a miss; nearest first."""
        queries: list[CacheQuery] = []
        asked: list[tuple[int, Earlier]] = []
        for index in absent:
            job = jobs[index]
            assert job.args_hash is not None
            for earlier in self._aliases.earlier_than(job.task_hash):
                eval_hash = hash_eval(earlier.task_hash, job.args_hash)
                queries.append(query_of(job)._replace(eval_hash=eval_hash))
                asked.append((index, earlier))
        if not queries:
            return
        answers = self._backend.check_cache(queries)
        for (index, earlier), answer in zip(asked, answers, strict=True):
            if isinstance(decisions[index], Hit):
                continue
            decision = self._decide(jobs[index], answer)
            if isinstance(decision, Hit):
                decisions[index] = decision._replace(earlier=earlier)
