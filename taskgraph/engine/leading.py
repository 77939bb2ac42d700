"""Single flight: of equal calls that several processes ask for at once, one runs.

    a call is to run
      this run is alone    it leads all calls, and writes nothing down for each
      it is not            it takes a lease on the call; all of a tick in one question
        taken              looked up once more if others wrote since it was; it runs
        held by others     it waits, and holds nothing meanwhile: no worker, no limit, no lease
    what came of it is recorded
                           the lease is given back in the same transaction
    others wait
      given back, or the holder is gone     looked up; there is a result, or it takes the lease

A lease is on one body, and held while that body runs: what it returned is recorded, and the lease
given back, before calls below it begin. So no call waits for another one's children, and the only
bodies that wait while they are led are those that await calls: see `Leading.yield_if_stuck`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from taskgraph.engine import phases
from taskgraph.engine.cache import Reason, miss_of, scope_of
from taskgraph.engine.jobs import Job
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.recorder import Recorder
from taskgraph.errors import DatabaseError
from taskgraph.events import Event, JobWaits, Warned
from taskgraph.expression import SchedulerExpression
from taskgraph.hashing import EvalHash
from taskgraph.ports import Backend
from taskgraph.records import (
    ALL_CALLS,
    JobId,
    LeaseRecord,
    call_lease,
    execution_of_holder,
    shown_host,
    stuck_lease,
)
from taskgraph.tasks.options import CacheScope

_FIRST_POLL, _LAST_POLL = 0.010, 0.250  # seconds between two questions whether a call is free
_LOOK = 0.500  # seconds after which it is asked even if nobody wrote: a holder may have died
_TELL = 0.500  # seconds after which observers are told that a call waits
_PATIENCE = 0.500  # seconds that a heartbeat waits until the scheduler rests
_STUCK = 1.0  # seconds of nothing but waiting after which bodies that await calls are led no more


class _Waiter:
    """A call that somebody else runs."""

    __slots__ = ("in_the_way", "is_told", "job", "since")

    def __init__(self, job: Job, in_the_way: LeaseRecord) -> None:
        self.job = job
        self.in_the_way = in_the_way
        self.since = time.monotonic()
        self.is_told = False


class Leading:
    """Which calls this run leads, and which ones wait because others do.

    Args:
        backend: Where leases are.
        lease: Those of this execution.
        recorder: Records what came of calls, and gives their leases back with that.
        notify: Tells of calls that wait; on the scheduler's thread.
        tell: Has observers told; from any thread.
        in_flight: Gives the calls that were begun and are not recorded.
        may_wait: Whether calls may wait for others. A run within a body may not: it keeps a worker,
            which what it waits for may be queued for.

    Attributes:
        guard: Held by the scheduler's thread but while it waits or runs a body: what is in flight
            is then written down all the same if others ask.
        held: The calls that it leads one by one, each with the jobs that want it.
    """

    def __init__(
        self,
        backend: Backend,
        lease: ExecutionLease,
        recorder: Recorder,
        notify: Callable[[JobWaits], None],
        tell: Callable[[Event], None],
        in_flight: Callable[[], Iterable[Job]],
        *,
        use_cache: bool,
        may_wait: bool,
    ) -> None:
        self._backend = backend
        self._lease = lease
        self._recorder = recorder
        self._notify = notify
        self._tell = tell
        self._in_flight = in_flight
        self._use_cache = use_cache
        self._may_wait = may_wait
        self.guard = threading.Lock()
        self.held: dict[EvalHash, set[JobId]] = {}
        self._waiting: dict[JobId, _Waiter] = {}
        self._pause = _FIRST_POLL
        self._next_poll = self._next_look = 0.0
        self._seen: int | None = None
        self._stuck_since: float | None = None
        lease.on_wanted = self._share
        lease.on_late = self._on_late

    @property
    def any_wait(self) -> bool:
        """Whether any calls wait for others."""
        return bool(self._waiting)

    # Who may run

    def leads_all_still(self) -> bool:
        """Tell whether nobody else leads any call, so that all may run that are to.

        After it stood still for too long, the leases are taken again first, as far as they can be.
        """
        lease = self._lease
        if lease.is_late:
            self._take_again()
        return lease.leads_all

    def version(self) -> int | None:
        """Return a number that is another one once others have recorded anything."""
        return None if self._lease.leads_all else self._backend.version()

    def lead(self, jobs: Sequence[Job], seen: int | None) -> tuple[list[Job], list[Job]]:
        """Take leases on calls that are to run; those that others run wait.

        Args:
            jobs: The calls.
            seen: What `version` said before they were looked up. None if it was not asked, or could
                not say: then somebody may have written since.

        Returns:
            Those that may run, and those that may, but are to be looked up once more: somebody may
            have recorded a result between the look-up and the lease.
        """
        free: list[Job] = []
        wanted: list[tuple[Job, EvalHash]] = []
        for job in jobs:
            key = job.eval_hash
            if key is None or not self._is_shared(job):
                free.append(job)
            elif key in self.held:
                self.held[key].add(job.id)
                free.append(job)
            else:
                wanted.append((job, key))
        if not wanted:
            return free, []
        self._recorder.keep(call_lease(key) for _, key in wanted)
        answers = self._lease.take_calls(dict.fromkeys(key for _, key in wanted))
        is_news = seen is None or self._backend.version() != seen
        to_ask: list[Job] = []
        for job, key in wanted:
            other = answers[key]
            if other is None:
                self.held.setdefault(key, set()).add(job.id)
                (to_ask if is_news and not _is_refuted(job) else free).append(job)
            elif not self._may_wait:
                free.append(job)
            else:
                self._wait(job, other)
        return free, to_ask

    def _is_shared(self, job: Job) -> bool:
        """Tell whether a call may have the result of another execution at all."""
        if job.is_aftermath or isinstance(job.expr, SchedulerExpression):
            return False
        return scope_of(job, self._use_cache) is CacheScope.BACKEND

    def end(self, job: Job) -> None:
        """Give a call's lease back, with what is recorded next."""
        key = job.eval_hash
        wanted_by = None if key is None else self.held.get(key)
        if key is None or wanted_by is None:
            return
        wanted_by.discard(job.id)
        if not wanted_by:
            del self.held[key]
            self._recorder.release(call_lease(key), self._lease.holder)

    def close(self) -> None:
        """Lead nothing any more, and wait for nothing."""
        self._lease.on_wanted = self._lease.on_late = _nothing
        self._waiting.clear()
        held, self.held = self.held, {}
        if held:
            # If that fails too, they are free as soon as this process is gone.
            with suppress(DatabaseError):
                self._lease.give_back(map(call_lease, held))

    # Waiting

    def _wait(self, job: Job, in_the_way: LeaseRecord) -> None:
        job.phase = phases.AWAY
        if not self._waiting:
            self._pause = _FIRST_POLL
            self._next_poll = time.monotonic() + self._pause
        waiter = _Waiter(job, in_the_way)
        self._waiting[job.id] = waiter

    def seconds_left(self, most: float) -> float:
        """Return how long it is until it is asked again whether calls are free."""
        if not self._waiting:
            return most
        return min(most, max(0.0, self._next_poll - time.monotonic()))

    def take_free(self) -> list[Job]:
        """Return the calls that nobody else leads any more, to be looked up again."""
        moment = time.monotonic()
        if moment < self._next_poll:
            return []
        found = self._find_free(moment)
        self._pause = _FIRST_POLL if found else min(_LAST_POLL, self._pause * 1.6)
        self._next_poll = moment + self._pause
        for waiter in found:
            del self._waiting[waiter.job.id]
            waiter.job.phase = phases.READY
        self._tell_of_waiting(moment)
        return [each.job for each in found]

    def _find_free(self, moment: float) -> list[_Waiter]:
        seen = self._backend.version()
        if seen is not None and seen == self._seen and moment < self._next_look:
            return []
        self._seen, self._next_look = seen, moment + _LOOK
        waiting = list(self._waiting.values())
        keys = {each.in_the_way.key for each in waiting} - {ALL_CALLS}
        held = self._backend.find_leases(sorted(keys))
        free = []
        for each in waiting:
            other = held.get(each.in_the_way.key)
            if other is None:  # or who leads all is asked once more to say which
                free.append(each)
            else:
                each.in_the_way = other
        return free

    def _tell_of_waiting(self, moment: float) -> None:
        for each in self._waiting.values():
            if not each.is_told and moment - each.since >= _TELL:
                each.is_told = True
                other, job = each.in_the_way, each.job
                where = (execution_of_holder(other.holder), shown_host(other.host), other.pid)
                self._notify(JobWaits(job.id, job.task.fullname, *where))

    def drop(self, is_over: Callable[[Job], bool]) -> list[Job]:
        """Return the calls that wait and are over; none of them will run."""
        dropped = [each.job for each in self._waiting.values() if is_over(each.job)]
        for job in dropped:
            del self._waiting[job.id]
        return dropped

    # Bodies that await calls

    def yield_if_stuck(self, all_wait: bool, awaiting: Iterable[Job]) -> None:
        """Lead bodies no more that only wait, where whom they wait for only waits as well.

        They wait for each other then: who waits for one of these bodies runs it too, and finds out
        what is called in a circle.

        Args:
            all_wait: Whether all bodies that run here wait for calls.
            awaiting: The calls whose bodies these are.
        """
        led = [each for each in awaiting if each.eval_hash in self.held]
        stuck = stuck_lease(self._lease.holder)
        if not all_wait or not led or not self._waiting:
            if self._stuck_since is not None:
                self._stuck_since = None
                self._lease.give_back([stuck])
            return
        moment = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = moment
            self._lease.take_all([stuck])
        if moment - self._stuck_since < _STUCK:
            return
        self._stuck_since = moment
        others = {each.in_the_way.holder for each in self._waiting.values()}
        asked = {stuck_lease(each): each for each in others}
        # In each circle somebody has the least name: who sees none but greater ones gives way.
        are_all_stuck = self._backend.find_leases(sorted(asked)).keys() == asked.keys()
        if are_all_stuck and self._lease.holder < min(others):
            for job in led:
                self.end(job)
            self._recorder.flush()

    # While others lead calls, too

    def rest(self) -> None:
        """Have what is in flight be written down if others ask for it, until `resume`."""
        self.guard.release()

    def resume(self) -> None:
        """Have what is in flight be the affair of this thread again."""
        interrupted: KeyboardInterrupt | None = None
        while True:
            try:
                self.guard.acquire()
                break
            except KeyboardInterrupt as error:  # it is held all the same when the run ends
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def _share(self) -> None:
        """Say which calls are led here, for others want to lead some; on the lease's thread."""
        with self._at_rest() as is_at_rest:
            if is_at_rest and self._lease.leads_all:
                self._recorder.flush()  # of what is recorded nothing need be said
                held = self._begun()
                self._lease.lead_some(held)
                self.held = held

    @contextmanager
    def _at_rest(self) -> Iterator[bool]:
        """Tell whether the scheduler rests; if so it goes on after this.

        If it is at work for longer, this is tried again: the heartbeat, on the same thread, must
        not wait for it.
        """
        is_at_rest = self.guard.acquire(timeout=_PATIENCE)
        try:
            yield is_at_rest
        finally:
            if is_at_rest:
                self.guard.release()

    def _begun(self) -> dict[EvalHash, set[JobId]]:
        held: dict[EvalHash, set[JobId]] = {}
        for job in self._in_flight():
            if job.eval_hash is not None and self._is_shared(job):
                held.setdefault(job.eval_hash, set()).add(job.id)
        return held

    def _on_late(self) -> None:
        with self._at_rest() as is_at_rest:
            if is_at_rest and self._lease.is_late:
                self._take_again()

    def _take_again(self) -> None:
        """Take what it had, after it stood still for longer than leases live."""
        did_lead_all = self._lease.leads_all
        held = self._begun() if did_lead_all else self.held
        answers = self._lease.take_again(held)
        if did_lead_all and not self._lease.leads_all:
            self.held = held
        lost = {key: other for key, other in answers.items() if other is not None}
        for key in lost:
            self.held.pop(key, None)
        names = {each.task.fullname for each in self._in_flight() if each.eval_hash in lost}
        if names:
            other = next(iter(lost.values()))
            self._tell(
                Warned(
                    f"This process stood still for longer than its leases live, and others have "
                    f"taken over {', '.join(sorted(names))} meanwhile: execution "
                    f"{other.holder[:8]} on host {shown_host(other.host)}, pid {other.pid}. "
                    "What comes of it here is recorded all the same."
                )
            )


def _is_refuted(job: Job) -> bool:
    """Tell whether what is recorded of a call is known not to stand: it would be found again."""
    return job.note is not None and miss_of(job).reason is Reason.REFUTED


def _nothing() -> None:
    """The run has ended."""
