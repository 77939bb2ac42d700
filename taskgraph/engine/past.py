"""What is known of the past of calls that would run: for plans and budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from taskgraph.engine.cache import Miss, Reason
from taskgraph.engine.jobs import Job
from taskgraph.expression import SchedulerExpression
from taskgraph.hashing import EvalHash, TaskHash, hash_eval
from taskgraph.ports import Backend
from taskgraph.records import JobId, PastBelow, PastCall, TaskVersion
from taskgraph.tasks.registry import get_task_registry

# Versions of a task's code that a call is looked for under, those that ran last first.
_MOST_VERSIONS = 16

# Recorded results of a version that a call may turn out to have, the newest ones.
_MOST_RECORDED = 100

# Misses of calls that ran before, and whose results were turned down.
_TURNED_DOWN = frozenset(
    {
        Reason.DAMAGED,
        Reason.EVICTED,
        Reason.INVALID,
        Reason.UNPLANTED,
        Reason.AGE,
        Reason.REFUSED,
        Reason.REFUTED,
        Reason.RETRACTED,
    }
)


class Past:
    """Finds the calls of the past that calls of today compare with, many at once.

    Args:
        backend: What is recorded.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._versions: dict[str, list[TaskVersion]] = {}
        self._calls: dict[JobId, PastCall] = {}

    def learn(self, jobs: Sequence[Job]) -> None:
        """Ask for the past of weighed jobs: of the same calls by this code and by any other."""
        names = {each.task.fullname for each in jobs} - self._versions.keys()
        if names:
            self._versions |= self._backend.find_versions(sorted(names))
        keys = {job.id: self._keys(job) for job in jobs}
        found = self._backend.find_past([key for each in keys.values() for key in each])
        for job_id, each in keys.items():
            calls = [found[key] for key in each if key in found]
            if calls:
                self._calls[job_id] = max(calls, key=lambda call: call.timestamp)

    def _keys(self, job: Job) -> list[EvalHash]:
        args_hash = job.args_hash
        if args_hash is None:
            return []
        versions = self._versions[job.task.fullname][:_MOST_VERSIONS]
        hashes = dict.fromkeys([job.task_hash, *(each.hash for each in versions)])
        return [hash_eval(each, args_hash) for each in hashes]

    def of(self, job: Job) -> PastCall | None:
        """Return the same call as it was made the last time, by whatever code."""
        return self._calls.get(job.id)

    def most_below(
        self, versions: Iterable[TaskHash], is_now: Callable[[str, TaskHash], bool]
    ) -> list[PastBelow]:
        """Return what would run below a call that is answered with a recorded result.

        Which result that will be is not known: of each task it is the most, of all below results
        that some other code made. Where no code changed, nothing would run.

        Args:
            versions: The code whose results count for the call.
            is_now: Whether a task of this name has this code today.
        """
        most: dict[str, PastBelow] = {}
        for version in versions:
            for below in self._backend.find_below(version, _MOST_RECORDED):
                if all(is_now(each.task, each.task_hash) for each in below):
                    continue
                here: dict[str, PastBelow] = {}
                for each in below:
                    _, calls, seconds = here.get(each.task, (each.task, 0, 0.0))
                    here[each.task] = PastBelow(
                        each.task, calls + each.calls, seconds + each.seconds
                    )
                for name, found in here.items():
                    if name not in most or found.calls > most[name].calls:
                        most[name] = found
        return self.without_steps([most[name] for name in sorted(most)])

    def usual(self, fullname: str) -> TaskVersion | None:
        """Return the version of a task that ran last; None if none ever did."""
        ran = [each for each in self._versions[fullname] if each.last_time is not None]
        return ran[0] if ran else None

    def is_rerun(self, job: Job, miss: Miss) -> bool:
        """Tell whether a call that would run has run before, with a result that is not used.

        One that failed is none: it is not run for what it gave before. Nor is one that the cache is
        never asked for.
        """
        if miss.reason in _TURNED_DOWN:
            return True
        last = self.of(job)
        return miss.reason is Reason.ABSENT and last is not None and last.task_hash != job.task_hash

    def why(self, job: Job, miss: Miss) -> str:
        """Say why a call would run, by what is known of its past."""
        if miss.reason is not Reason.ABSENT:
            return miss.text
        last = self.of(job)
        if last is not None:
            is_other = last.task_hash != job.task_hash
            return "its code changed" if is_other else "it gave no result the last time"
        if self.usual(job.task.fullname) is None:
            return "its task was never run"
        return "never called with these arguments"

    @staticmethod
    def without_steps(below: Sequence[PastBelow]) -> list[PastBelow]:
        """Return calls without those of scheduler tasks, which are no work."""
        find = get_task_registry().find
        kept = []
        for each in below:
            task = find(each.task)
            if task is None or not issubclass(task.expression_type, SchedulerExpression):
                kept.append(each)
        return kept
