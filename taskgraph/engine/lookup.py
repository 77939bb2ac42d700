"""Looking calls up: one question for all of a tick, and one more for blessed code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Protocol

from taskgraph.engine.aliases import Aliases, Earlier
from taskgraph.engine.cache import ABSENT, CurrentTasks, Hit, Miss, Reason, decide, query_of
from taskgraph.engine.jobs import Job
from taskgraph.hashing import hash_eval
from taskgraph.records import CacheAnswer, CacheQuery
from taskgraph.tasks.context import handle_of_path
from taskgraph.values import handles


class Answerer(Protocol):
    """Who is asked: a backend, or what stands before one."""

    def check_cache(self, queries: Sequence[CacheQuery]) -> list[CacheAnswer]:
        """Answer all questions at once, in their order."""
        ...

    def find_valid_handles(self, hashes: Sequence[str]) -> set[str]:
        """Return those of the states of handles that are recorded and still valid."""
        ...


class Lookup:
    """Decides for weighed calls what may be used of the records.

    Args:
        backend: What knows them.
        aliases: The earlier code that counts for later code.
        spared: States of handles that are valid as well, whatever the records say.
    """

    def __init__(self, backend: Answerer, aliases: Aliases, spared: Set[str] = frozenset()) -> None:
        self._spared = spared
        self._backend = backend
        self._aliases = aliases
        self._current_tasks = CurrentTasks(aliases)

    def ask(self, jobs: Sequence[Job]) -> list[Hit | Miss]:
        """Return what may be used for each job; files in it were not looked at yet."""
        answers = self._backend.check_cache([query_of(job) for job in jobs])
        decisions = [self._decide(job, answer) for job, answer in zip(jobs, answers, strict=True)]
        absent = [index for index, decision in enumerate(decisions) if _is_absent(decision)]
        if absent and self._aliases.are_any:
            self._ask_earlier(jobs, decisions, absent)
        if handles.met or [each for each in decisions if type(each) is Hit and each.reads]:
            self._check_handles(jobs, decisions, answers)
        return decisions

    def _decide(self, job: Job, answer: CacheAnswer) -> Hit | Miss:
        options = job.options
        if not options:
            return decide(answer, self._current_tasks, context=job.context)
        return decide(
            answer,
            self._current_tasks,
            options.get("max_age"),
            job.context,
            options.get("allowed_cache_results"),
        )

    def _check_handles(
        self, jobs: Sequence[Job], decisions: list[Hit | Miss], answers: Sequence[CacheAnswer]
    ) -> None:
        """Refuse the hits that rest on states which services have left; one question for all."""
        states = _states_of(jobs, decisions, range(len(jobs)))
        for index in list(states):
            hit, answer = decisions[index], answers[index]
            if not isinstance(hit, Hit) or hit.subtree is None or hit.earlier is not None:
                continue
            if len({call.result.value_hash for call in answer.calls}) > 1:
                # What it gave depends on what its service had gone through, and which of the calls
                # that was nobody wrote down. Of its parts the last ones are known.
                decisions[index] = self._decide(jobs[index], answer._replace(calls=()))
                del states[index]
                states |= _states_of(jobs, decisions, [index])
        while states:
            every = frozenset[str]().union(*states.values())
            valid = self._backend.find_valid_handles(sorted(every)) | (every & self._spared)
            again: list[int] = []
            for index, wanted in states.items():
                hit, job = decisions[index], jobs[index]
                assert isinstance(hit, Hit)
                if wanted <= valid:
                    decisions[index] = hit._replace(states=wanted)
                elif hit.subtree is None or hit.earlier is not None:
                    decisions[index] = _left(job)
                else:
                    # Not as a whole; but some of its parts may still be good.
                    answer = answers[index]._replace(calls=())
                    decisions[index] = self._decide(job, answer)
                    again.append(index)
            states = _states_of(jobs, decisions, again)

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


def _is_absent(decision: Hit | Miss) -> bool:
    """Tell whether nothing is recorded that was made here."""
    return decision is ABSENT or (
        isinstance(decision, Miss) and decision.reason is Reason.UNTRUSTED
    )


def _left(job: Job) -> Miss:
    given = () if job.handles is None else job.handles.forks
    names = sorted({repr(handle.__handle__.fullname) for handle, _ in given})
    of = f"handle {' and '.join(names)}" if names else "a handle in it"
    return Miss(Reason.INVALID, f"the service of {of} is not, or no more, as this call left it")


def _states_of(
    jobs: Sequence[Job], decisions: Sequence[Hit | Miss], indices: Iterable[int]
) -> dict[int, frozenset[str]]:
    """Return the states of handles that hits rest on, of those that rest on any."""
    found: dict[int, frozenset[str]] = {}
    for index in indices:
        hit = decisions[index]
        if isinstance(hit, Hit):
            states = frozenset(_states(jobs[index], hit))
            if states:
                found[index] = states
    return found


def _states(job: Job, hit: Hit) -> Iterator[str]:
    if job.handles is not None:
        assert job.args_hash is not None and job.eval_hash is not None
        earlier = hit.earlier
        key = job.eval_hash if earlier is None else hash_eval(earlier.task_hash, job.args_hash)
        for _, fork in job.handles.forks:
            yield handles.hash_after(fork.__handle__.hash, key)
    if handles.met:
        for each in handles.find_handles(hit.value):
            if not each.__handle__.is_initial:
                yield each.__handle__.hash
    for path in hit.reads:
        state = handle_of_path(path)
        if state is not None:
            yield state
