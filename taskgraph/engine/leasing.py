"""The claim of a living execution: as long as its heartbeat goes on, nobody calls it crashed.

taken            the execution's lease, and that of all calls if nobody else leads any
while it lives   a heartbeat now and then; while it leads all calls, a look whether others ask
                 for some
it stood still   for longer than a lease lives: what it holds is taken anew, as far as it can be

An execution that a worker took is held by a name of that taking alone (`Assigned`). Such a lease is
never taken anew: once it is gone, or another one has it, the run here is none any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from taskgraph.errors import DatabaseError, LeaseLostError
from taskgraph.hashing import EvalHash
from taskgraph.ports import Backend
from taskgraph.records import (
    ALL_CALLS,
    CALLS_WANTED,
    LEASE_SECONDS,
    ExecutionId,
    HeldLeaseRecord,
    LeaseRecord,
    Micros,
    call_lease,
    execution_lease,
    stuck_lease,
)
from taskgraph.silence import since_boot

SECONDS = LEASE_SECONDS
_BEATS = 6  # heartbeats in that time
_WATCH = 0.050  # seconds between two looks whether others ask for calls
_WATCH_FAR = 0.250  # the same, where each is a question to a server


def _nothing() -> None:
    """Nobody is to be told."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """That a worker has taken an execution, and holds its lease already.

    Attributes:
        holder: By which name.
        on_lost: Called, by any thread, when somebody else has it; by default the run stops.
    """

    holder: str
    on_lost: Callable[[], object] | None = None


class ExecutionLease:
    """Holds the leases of one execution, with a heartbeat on a thread of its own.

    A busy scheduler, or a long inline task, does not keep it from beating. Leases expire by the
    clock of the store, whatever the clocks of its users say.

    Attributes:
        leads_all: Whether it leads all calls, so that it need not say which.
        on_wanted: Called by the thread when others ask for calls while it leads all.
        on_late: Called by the thread when it stood still for too long.
        on_beat: Called by the thread after each heartbeat.
        on_lost: Called when an execution that a worker took is somebody else's; by any thread.
    """

    def __init__(
        self,
        backend: Backend,
        execution_id: ExecutionId,
        host: str,
        pid: int,
        started: Micros,
        assigned: Assigned | None = None,
    ) -> None:
        self._backend = backend
        self._execution_id = execution_id
        self._key = execution_lease(execution_id)
        self.holder: str = execution_id if assigned is None else assigned.holder
        self._lease = LeaseRecord(self._key, self.holder, host, pid, started, Micros(0))
        self._is_assigned = assigned is not None
        self.on_lost: Callable[[], object] = _nothing
        if assigned is not None and assigned.on_lost is not None:
            self.on_lost = assigned.on_lost
        self.leads_all = False
        self.on_wanted: Callable[[], None] = _nothing
        self.on_late: Callable[[], object] = lambda: self.take_again(())
        self.on_beat: Callable[[], object] = _nothing
        self._beaten = 0.0
        self._seconds = SECONDS
        self._seen: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="taskgraph-heartbeat", daemon=True)

    def take(self, leads: bool = False) -> None:
        """Take the lease and begin to beat.

        Args:
            leads: Whether to lead all calls, if nobody else leads any.

        Raises:
            LeaseLostError: A worker took the execution, and somebody else has it by now.
        """
        moment = self._set_expiry()
        if self._is_assigned and not self._prolong_ours():
            raise LeaseLostError(self._execution_id, "it was given to another one")
        wanted = [] if self._is_assigned else [self._lease]
        if leads:
            wanted.append(self._lease._replace(key=ALL_CALLS))
        # What is said of our own lease is not looked at: of a plain run nobody else has that name.
        answers = self._backend.take(wanted)
        self._beaten = moment
        if leads and answers[-1] is None:
            self._begin_to_lead()
        self._thread.start()

    def _begin_to_lead(self) -> None:
        # A wish that is left from before was for somebody else.
        for wish in self._backend.find_leases([CALLS_WANTED]).values():
            self._backend.release(wish.holder, [CALLS_WANTED])
        self.leads_all = True

    @property
    def held(self) -> list[HeldLeaseRecord]:
        """What must still be held when something is written: nothing, of a plain run."""
        return [HeldLeaseRecord(self._key, self.holder)] if self._is_assigned else []

    @property
    def is_late(self) -> bool:
        """Whether it stood still for so long that others may have taken what it holds."""
        return since_boot() - self._beaten > self._seconds

    def take_all(self, keys: Iterable[str]) -> list[str]:
        """Claim what of this is free for this execution; returns what was claimed."""
        wanted = [self._lease._replace(key=each) for each in keys]
        answers = self._backend.take(wanted)
        pairs = zip(wanted, answers, strict=True)
        return [each.key for each, in_the_way in pairs if in_the_way is None]

    def take_calls(self, eval_hashes: Iterable[EvalHash]) -> dict[EvalHash, LeaseRecord | None]:
        """Lead calls, each that nobody leads; returns for each the lease that is in the way."""
        wanted = list(eval_hashes)
        keys = [self._lease._replace(key=call_lease(each)) for each in wanted]
        return dict(zip(wanted, self._backend.take(keys), strict=True))

    def give_back(self, keys: Iterable[str]) -> None:
        """Let others have what was claimed."""
        self._backend.release(self.holder, list(keys))

    def lead_some(self, eval_hashes: Iterable[EvalHash]) -> None:
        """Lead these calls in place of all, for others want to lead some, too."""
        self.take_calls(eval_hashes)
        # Until here both are held: nobody sees one of these calls free.
        self._backend.release(self.holder, [ALL_CALLS])
        self.leads_all = False
        for wish in self._backend.find_leases([CALLS_WANTED]).values():
            self._backend.release(wish.holder, [CALLS_WANTED])

    def take_again(self, eval_hashes: Iterable[EvalHash]) -> dict[EvalHash, LeaseRecord | None]:
        """Take what it had, after it stood still; returns who has its calls by now, if anybody.

        Raises:
            LeaseLostError: A worker took the execution, and somebody else has it by now.
        """
        moment = self._set_expiry()
        if not self._is_assigned:
            self._backend.take([self._lease])
        elif not self._prolong_ours():
            self.on_lost()
            raise LeaseLostError(self._execution_id, "this process stood still")
        if self.leads_all:
            (other,) = self._backend.take([self._lease._replace(key=ALL_CALLS)])
            self.leads_all = other is None
        lost = {} if self.leads_all else self.take_calls(eval_hashes)
        self._beaten = moment
        return lost

    def release(self) -> None:
        """Stop beating and give all leases back, but for that of what a worker took.

        That one has it until it says that it is done with it.
        """
        self._ended.set()
        self._thread.join()
        keys = [ALL_CALLS, CALLS_WANTED, stuck_lease(self.holder)]
        if not self._is_assigned:
            keys.append(self._key)
        try:
            self._backend.release(self.holder, keys)
        except DatabaseError:
            # The run says itself what is wrong with the database. A lease that is left is taken
            # over as soon as this process is gone.
            return

    # On a thread of its own

    def _set_expiry(self) -> float:
        """Have leases that are taken from now on live for as long as leases do.

        Returns:
            When that began, by the clock of this host.
        """
        moment = since_boot()
        expires = Micros(self._backend.clock() + int(self._seconds * 1_000_000))
        self._lease = self._lease._replace(expires=expires)
        return moment

    def _live(self) -> None:
        pause = self._seconds / _BEATS
        while not self._ended.wait(min(pause, self._watch) if self.leads_all else pause):
            try:
                if self.is_late:
                    self.on_late()
                elif self.leads_all and self._are_calls_wanted():
                    self.on_wanted()
                if since_boot() - self._beaten >= pause:
                    self._beat()
            except DatabaseError:
                # A database that is busy or gone for a moment does not end the run: the next beat
                # comes before the lease expires, and the run's own writes say what is wrong.
                continue

    def _beat(self) -> None:
        moment = self._set_expiry()
        if not self._is_assigned:
            self._backend.heartbeat(self.holder, self._lease.expires)
        elif not self._prolong_ours():
            self.on_lost()
            return
        self._beaten = moment
        self.on_beat()

    def _prolong_ours(self) -> bool:
        """Prolong what a worker took; tell whether nobody else has it, and nobody gave it back."""
        if not self._backend.heartbeat(self.holder, self._lease.expires):
            return False
        found = self._backend.find_leases([self._key]).get(self._key)
        return found is not None and found.holder == self.holder

    @property
    def _watch(self) -> float:
        return _WATCH if self._seen is not None else _WATCH_FAR

    def _are_calls_wanted(self) -> bool:
        seen = self._backend.version()
        if seen is not None and seen == self._seen:
            return False
        are_wanted = bool(self._backend.find_leases([CALLS_WANTED]))
        # Looked at again the next time if nothing could be done about it now.
        self._seen = None if are_wanted else seen
        return are_wanted
