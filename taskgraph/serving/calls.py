"""`CallServer`: takes the calls of queues, runs them in processes, and says what came of them.

    again and again
      a heartbeat         of the leases by which runs and other servers know this one
      what has ended      is answered; what its process died of waits once more
      every 2 seconds     what dead servers had waits again, what dead runs have left is taken away,
                          and calls that nobody waits for any more are ended
      there is room       calls are taken, as many as there is room for
        none can begin      they go back, and none is taken for a while, which grows
      else                it waits, ever longer while there is nothing to do
    its worker retires    only calls of what that runs itself are taken
    it fails              what it ran goes back, it says so, and begins again after a while

All of it is done by one thread, which nothing but the database can hold up. Who has said nothing
for the life of a lease is dead, unless this server could not have heard: `taskgraph.silence`.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from taskgraph.assembly.routing import served_calls
from taskgraph.config import Settings
from taskgraph.errors import DatabaseError, ExecutorError, ValidationError
from taskgraph.executors.border import answer_of_error
from taskgraph.executors.parcels import check_size
from taskgraph.executors.served import Ended, ServedProcesses
from taskgraph.ports import Backend
from taskgraph.records import LEASE_SECONDS
from taskgraph.serving.pauses import LONGEST, Pauses
from taskgraph.silence import since_boot
from taskgraph.tasks.options import checked_queue
from taskgraph.worker import describe_error

if TYPE_CHECKING:
    from taskgraph_backend.routing.served import ServedCalls

#: Seconds after which a server looks for calls again that has found none.
POLL: Final = 0.5
_SHORTEST: Final = 0.010  # the same, while there was something to do a moment ago
_BEATS: Final = 6  # heartbeats in the life of a lease
_TEND_EVERY: Final = 2.0  # seconds


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
        failed: How often it has begun again after an error of its own.
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
        self._slots = slots
        self._worker_id = worker_id
        self._poll = poll
        self._tell = tell
        self._seconds = lease_seconds
        self.holder = uuid.uuid4().hex
        self.answered = 0
        self.lost = 0
        self.failed = 0
        self._processes = ServedProcesses(slots)
        self._unsaid: list[tuple[str, bytes]] = []  # answers that are not written yet
        self._died: list[str] = []  # calls of dead processes that are not given back yet
        self._returned: list[str] = []  # calls that nobody has begun, and are not given back yet
        self._is_retiring = False
        self._has_retired = False
        self._is_draining = False
        self._is_stopping = False
        self._ending = threading.Event()
        self._beaten = 0.0
        self._was_late = False  # and has not looked yet what others have by now
        self._tended = 0.0
        self._refusals = Pauses()
        self._started = 0
        self._resumes = 0.0  # when calls are taken again, after none could begin
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
            ExecutorError: Nobody could send it any calls, they are not to be trusted, or there are
                no more threads.
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
        thread = threading.Thread(
            target=self._live, args=(made,), name="taskgraph-calls", daemon=True
        )
        try:
            self._beat(made)
            thread.start()
        except BaseException as error:
            with suppress(DatabaseError):
                made.close()
            if isinstance(error, RuntimeError):
                raise ExecutorError(f"This worker takes no calls: {error}.") from error
            raise
        self._thread = thread

    def retire(self) -> None:
        """Take no more calls but those of what its worker runs itself; returns at once.

        These would wait for ever where nobody else serves their queue, and its worker for them.
        """
        self._is_retiring = True
        self._processes.wake()

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
        self._ending.set()
        self._processes.wake()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # On its thread

    def _live(self, calls: ServedCalls) -> None:
        """Serve until the end, and begin again where that fails: nobody else would see it."""
        pauses = Pauses()
        while True:
            began = since_boot()
            try:
                self._serve(calls)
                break
            except BaseException as error:
                if since_boot() - began > 2 * LONGEST:
                    pauses.reset()
                self._begin_again(calls, error, pauses.next())
            if self._is_draining or self._is_stopping:
                break
        self._let_go(calls)
        with suppress(Exception):
            calls.close()

    def _begin_again(self, calls: ServedCalls, error: BaseException, pause: float) -> None:
        """Let go of all that it had, after an error that nobody has foreseen, and wait."""
        self.failed += 1
        self._has_looked = False
        self._say(
            f"Serving calls has failed: {describe_error(error)}. What ran goes to others, and this "
            f"worker takes calls again in {pause:g} s."
        )
        self._let_go(calls)
        # What could not be said even now may be what it fails of: that counts, lest it goes on for
        # ever. All else that it still has goes back at the next look.
        self._died = [key for key, _ in self._unsaid]
        self._unsaid, self._returned = [], []
        self._processes = ServedProcesses(self._slots)
        self._started = 0
        self._ending.wait(pause)

    def _serve(self, calls: ServedCalls) -> None:
        pause = _SHORTEST
        while not self._is_stopping:
            # However seldom it looks for calls, it says in time that it lives.
            ended = self._processes.wait(min(pause, _TEND_EVERY, self._seconds / _BEATS))
            self._note(ended)
            if self._is_draining:
                self._give_back_waiting()
            taken = 0
            try:
                taken = self._turn(calls)
                self._troubled = False
            except DatabaseError as error:
                # It is busy, or gone for a moment: what was not said is said the next time.
                self._be_told(error)
            if self._is_draining and not self._known():
                break
            is_busy = bool(ended) or taken > 0
            self._has_looked = self._may_take and not (is_busy or self._troubled)
            pause = _SHORTEST if is_busy else min(self._poll, pause * 1.5)

    def _turn(self, calls: ServedCalls) -> int:
        """Do what is due; returns how many calls were taken."""
        if since_boot() - self._beaten >= self._seconds / _BEATS:
            self._beat(calls)
        self._answer(calls)
        if self._was_late or since_boot() - self._tended >= _TEND_EVERY:
            calls.tend()
            self._drop_unwanted(calls)
            self._tended, self._was_late = since_boot(), False
        if self._is_draining:
            return 0
        if self._is_retiring and not self._has_retired:
            self._give_back_waiting()
            calls.retire()
            self._has_retired = True
        return self._take(calls) if self._may_take else 0

    @property
    def _is_late(self) -> bool:
        """Whether its leases may be over, so that others have what it has."""
        return since_boot() - self._beaten > self._seconds

    @property
    def _may_take(self) -> bool:
        return since_boot() >= self._resumes and not self._is_late

    def _be_told(self, error: DatabaseError) -> None:
        if not self._troubled:
            self._troubled = True
            self._say(f"The database does not answer; this worker goes on asking. {error}")

    def _say(self, sentence: str) -> None:
        with suppress(Exception):  # that nobody can be told is no reason to end
            self._tell(sentence)

    # What has ended

    def _note(self, ended: list[Ended]) -> None:
        """Take note of what has ended, and is not said yet."""
        if self._processes.started != self._started:
            self._started = self._processes.started
            self._refusals.reset()
        refused: list[BaseException] = []
        for each in ended:
            if each.unbegun is not None:
                refused.append(each.unbegun)
                self._returned.append(each.id)
            elif each.answer is None:
                self._died.append(each.id)
                self.lost += 1
            else:
                self._unsaid.append((each.id, _that_fits(each.answer)))
        if refused:
            pause = self._refusals.next()
            self._resumes = since_boot() + pause
            self._say(
                "No process for a call can be started here: "
                f"{describe_error(refused[0])}. It goes to others, and this worker takes "
                f"none for {pause:g} s."
            )

    def _answer(self, calls: ServedCalls) -> None:
        """Say what came of calls; what could not be said before is said as well."""
        if self._unsaid:
            calls.answer(self._unsaid)
            self.answered += len(self._unsaid)
            self._unsaid = []
        while self._died:
            calls.lose(self._died[0])
            del self._died[0]
        if self._returned:
            calls.release(self._returned)
            self._returned = []

    # What is due now and then

    def _beat(self, calls: ServedCalls) -> None:
        moment = since_boot()
        calls.beat()
        self._was_late |= self._is_late  # also if it was this that took so long
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
        """Return the calls that it has, as far as it knows."""
        said = {key for key, _ in self._unsaid}
        here = {*self._processes.waiting, *self._processes.unbegun} | self._processes.running
        return here | said | {*self._died, *self._returned}

    # What is taken

    def _take(self, calls: ServedCalls) -> int:
        """Take as many calls as there is room for; returns how many that were."""
        room = self._processes.room
        if room <= 0:
            return 0
        taken = calls.take(room, own=self._is_retiring)
        for each in taken:
            try:
                self._processes.submit(each.id, each.parcel, each.task_name)
            except ExecutorError as error:
                self._unsaid.append((each.id, answer_of_error(error)))
        return len(taken)

    def _give_back_waiting(self) -> None:
        """Have others take what was not begun here."""
        waiting = self._processes.waiting
        self._processes.drop(waiting)
        self._returned += waiting

    def _let_go(self, calls: ServedCalls) -> None:
        """End the processes, and have others take what they ran."""
        here = self._processes.running | {*self._processes.waiting}
        with suppress(Exception):  # whatever it failed of
            self._processes.close()
        self._returned += sorted(here)
        try:
            self._answer(calls)
            left = calls.find_held()  # by a question whose answer was lost
            if left:
                calls.release(sorted(left))
        except DatabaseError as error:
            # Its leases end by themselves, and others take what it had.
            self._be_told(error)
        except Exception as error:
            self._say(f"What ran here cannot be given back: {describe_error(error)}")


def _that_fits(answer: bytes) -> bytes:
    """Return an answer, or in place of one that no row takes what is wrong with it."""
    try:
        check_size("What came of the call", answer)
    except ExecutorError as error:
        return answer_of_error(error)
    return answer


__all__ = ["POLL", "CallServer"]
