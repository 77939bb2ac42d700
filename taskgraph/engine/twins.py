"""Equal calls in other contexts: a body is given no context, so that one run of it serves all."""

from __future__ import annotations

from collections.abc import Container, Mapping

from taskgraph.engine import phases
from taskgraph.engine.jobs import Job
from taskgraph.hashing import EvalHash
from taskgraph.records import JobId


class Twins:
    """The calls whose bodies run for others as well.

    One that awaits calls does so in its own context: who comes later does not wait for it.

    Args:
        calls: The calls of this execution by ``call_key``; that of one in the context of the run is
            its eval_hash.
        submitted: The calls that executors have.
        awaiting: Those of them that await others.
    """

    def __init__(
        self, calls: Mapping[str, Job], submitted: Mapping[JobId, Job], awaiting: Container[Job]
    ) -> None:
        self._awaiting = awaiting
        self._calls = calls
        self._submitted = submitted
        self._inner: dict[EvalHash, Job] = {}
        self._waiting: dict[JobId, list[Job]] = {}

    def join(self, job: Job) -> bool:
        """Have a call wait for the body of an equal one; False if its own must run."""
        first = self._first(job)
        if first is None or first.id not in self._submitted or first in self._awaiting:
            return False
        job.phase = phases.AWAY
        self._waiting.setdefault(first.id, []).append(job)
        return True

    def has_returned(self, job: Job) -> bool:
        """Tell whether the body of an equal call has ended, so that its result is to be found."""
        first = self._first(job)
        return first is not None and first.phase in {phases.REDUCING, phases.DONE}

    def _first(self, job: Job) -> Job | None:
        if not job.context.is_inner and not self._inner:
            return None
        if not job.is_recorded or job.is_aftermath:  # it shares nothing with the run
            return None
        assert job.call_key is not None and job.eval_hash is not None
        if self._calls.get(job.call_key) is not job:  # it wants a body of its own
            return None
        first = self._calls.get(job.eval_hash)
        if first is None or first is job:
            first = self._inner.get(job.eval_hash)
        if job.context.is_inner:
            self._inner.setdefault(job.eval_hash, job)
        return None if first is job else first

    def leave(self, job: Job) -> list[Job]:
        """Return the calls that waited for a body that has ended now."""
        return self._waiting.pop(job.id, [])
