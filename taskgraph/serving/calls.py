"""`CallServer`: takes the calls of queues, runs them in processes, and says what came of them.

    again and again
      what has ended    is answered; what its process died of waits once more
      a heartbeat       of the leases by which runs and other servers know this one
      every 2 seconds   what dead servers had waits again, what dead runs have left is taken away,
                        and calls that nobody waits for any more are ended
      there is room     calls are taken, as many as there is room for
      else              it waits, ever longer while there is nothing to do

All of it is done by one thread, which nothing but the database can hold up.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskgraph.assembly.routing import served_calls
from taskgraph.config import Settings
from taskgraph.errors import DatabaseError, ExecutorError, ValidationError
from taskgraph.executors.border import answer_of_error
from taskgraph.executors.served import Ended, ServedProcesses
from taskgraph.ports import Backend
from taskgraph.records import LEASE_SECONDS
from taskgraph.tasks.options import checked_queue

if TYPE_CHECKING:
    from taskgraph_backend.routing.served import ServedCalls

#: Seconds after which a server looks for calls again that has found none.
POLL: Final = 0.5
_SHORTEST: Final = 0.010  # the same, while there was something to do a moment ago
_BEATS: Final = 6  # heartbeats in the life of a lease
_TEND_EVERY: Final = 2.0  # seconds

# A clock that goes on while the process, or the machine, sleeps: where there is one.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class CallServer:
    """Serves queues with processes of this machine, until it is drained or stopped.

    Each is used once: started, then drained or stopped.

    Args:
        settings: Those of the project.
        backend: The database; the server has a connection of its own.
        queues: What it serves.
        slots: How many calls run at once.
        worker_id: The worker that it is part of, if that is registered.
        poll: Seconds after which it looks for calls again when it has found none.
        tell: Told in a sentence what went wrong, and goes on.
        lease_seconds: How long others wait for a sign of life before they take this one for dead.

    Raises:
        ValidationError: There are no queues, or no slots.
        TaskOptionError: A name is none of a queue.

    Attributes:
        holder: The name of its leases.
        answered: How many calls it has answered.
        lost: How many processes have died of calls.
    """

    def __init__(
        self,
        settings: Settings,
        backend: Backend,
        queues: Iterable[str],
        *,
        slots: int = 1,
        worker_id: str | None = None,
        poll: float = POLL,
        tell: Callable[[str], object] = lambda sentence: None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._queues = tuple(sorted({checked_queue(each) for each in queues}))
        if not self._queues:
            raise ValidationError("queues", "expected the name of a queue, or several.")
        if slots < 1:
            raise ValidationError("slots", f"expected 1 or more, not {slots}.")
        self._settings = settings
        self._backend = backend
        self._worker_id = worker_id
        self._poll = poll
        self._tell = tell
        self._seconds = lease_seconds
        self.holder = uuid.uuid4().hex
        self.answered = 0
        self.lost = 0
        self._processes = ServedProcesses(slots)
        self._unsaid: list[tuple[str, bytes]] = []  # answers that are not written yet
        self._died: list[str] = []  # calls that are not given back yet
        self._is_draining = False
        self._is_stopping = False
        self._beaten = 0.0
        self._tended = 0.0
        self._troubled = False
        self._has_looked = False  # and found nothing
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has looked for calls, and neither found any nor runs one."""
        return self._has_looked and not self._processes.running

    @property
    def running(self) -> int:
        """How many calls run."""
        return len(self._processes.running)

    @property
    def is_alive(self) -> bool:
        """Whether it serves: it was started, and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to serve, on a thread of its own.

        Raises:
            ExecutorError: Nobody could send it any calls, or they are not to be trusted.
            DatabaseError: The database cannot be reached.
        """
        made = served_calls(
            self._settings,
            self._backend,
            self.holder,
            self._queues,
            self._worker_id,
            self._seconds,
        )
        self._beat(made)
        self._thread = threading.Thread(
            target=self._serve, args=(made,), name="taskgraph-calls", daemon=True
        )
        self._thread.start()

    def drain(self, timeout: float | None = None) -> bool:
        """Take no more calls, and end once those that run have ended.

        Args:
            timeout: How many seconds to wait for that; None for as long as it takes, 0 for not at
                all.

        Returns:
            Whether it has ended.
        """
        self._is_draining = True
        return self._end(timeout)

    def stop(self) -> None:
        """End what runs, which goes to other workers, and wait until that is said."""
        self._is_stopping = True
        self._end(None)

    def _end(self, timeout: float | None) -> bool:
        self._processes.wake()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # On its thread

    def _serve(self, calls: ServedCalls) -> None:
        pause = _SHORTEST
        try:
            while not self._is_stopping:
                ended = self._processes.wait(pause)
                taken = 0
                try:
                    self._answer(calls, ended)
                    self._look_after(calls)
                    if self._is_draining:
                        if self._is_done(calls):
                            break
                    else:
                        taken = self._take(calls)
                    self._troubled = False
                except DatabaseError as error:
                    # It is busy, or gone for a moment: what was not said is said the next time.
                    self._be_told(error)
                    taken = 0
                is_busy = bool(ended) or taken > 0
                self._has_looked = not (is_busy or self._troubled)
                pause = _SHORTEST if is_busy else min(self._poll, pause * 1.5)
        finally:
            self._finish(calls)

    def _be_told(self, error: DatabaseError) -> None:
        if not self._troubled:
            self._troubled = True
            self._tell(f"The database does not answer; this worker goes on asking. {error}")

    def _answer(self, calls: ServedCalls, ended: list[Ended]) -> None:
        """Say what came of calls; what could not be said before is said as well."""
        for each in ended:
            if each.answer is None:
                self._died.append(each.id)
                self.lost += 1
            else:
                self._unsaid.append((each.id, each.answer))
        if self._unsaid:
            calls.answer(self._unsaid)
            self.answered += len(self._unsaid)
            self._unsaid = []
        while self._died:
            calls.lose(self._died[0])
            del self._died[0]

    def _look_after(self, calls: ServedCalls) -> None:
        moment = time.clock_gettime(_CLOCK)
        is_late = moment - self._beaten > self._seconds
        if moment - self._beaten >= self._seconds / _BEATS:
            self._beat(calls)
        if is_late or moment - self._tended >= _TEND_EVERY:
            self._tended = moment
            calls.tend()
            self._drop_unwanted(calls)

    def _beat(self, calls: ServedCalls) -> None:
        moment = time.clock_gettime(_CLOCK)
        calls.beat()
        self._beaten = moment

    def _drop_unwanted(self, calls: ServedCalls) -> None:
        """End the calls that were withdrawn, or that others have by now because this stood still.

        What is held and not known here was taken by a question whose answer was lost.
        """
        held = calls.find_held()
        known = self._known()
        self._processes.drop(known - held)
        unknown = held - known
        unknown |= set(self._give_up_stuck())
        if unknown:
            calls.release(sorted(unknown))

    def _give_up_stuck(self) -> list[str]:
        """Return the calls that others may have, for they wait here behind what takes long."""
        stuck = self._processes.stuck
        self._processes.drop(stuck)
        return stuck

    def _known(self) -> set[str]:
        said = {key for key, _ in self._unsaid}
        return self._processes.running | {*self._processes.waiting} | said | {*self._died}

    def _take(self, calls: ServedCalls) -> int:
        """Take as many calls as there is room for; returns how many that were."""
        room = self._processes.room
        if room <= 0:
            return 0
        taken = calls.take(room)
        for each in taken:
            try:
                self._processes.submit(each.id, each.parcel)
            except ExecutorError as error:
                self._unsaid.append((each.id, answer_of_error(error)))
        return len(taken)

    def _is_done(self, calls: ServedCalls) -> bool:
        """Tell whether nothing runs any more; what was not begun goes to others."""
        waiting = self._processes.waiting
        if waiting:
            self._processes.drop(waiting)
            calls.release(waiting)
        return not self._processes.running and not self._unsaid and not self._died

    def _finish(self, calls: ServedCalls) -> None:
        """End the processes, and have others take what they ran."""
        left = self._known() - {key for key, _ in self._unsaid}
        self._processes.close()
        try:
            self._answer(calls, [])
            if left:
                calls.release(sorted(left))
        except DatabaseError as error:
            # Its leases end by themselves, and others take what it had.
            self._be_told(error)
        with suppress(DatabaseError):
            calls.close()


__all__ = ["POLL", "CallServer"]
