"""The supervisor of a worker: it is known, beats, looks after its slots, and runs nothing itself.

    begin        as many slots as were asked for
    repeat       until no slot is left
      wait       for what slots say, for one that ends, for a signal; not for longer than a moment
      a slot ended       what it held is given back at once, and another one is started
      now and then       it beats, looks what is asked of it, gives back what dead workers had,
                         and does its other duties
    drain        at the first signal, or when it is asked to stop: slots take no more
    stop now     at the second one: slots are ended, and what they ran waits in its queues again
    end          it is known to be stopped

A body that brings its process down brings down a slot. Whatever becomes of the supervisor, its
slots end with it, and others find what they ran by its leases.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Protocol

from taskgraph.catalog.worker_rows import GivenBack, Wish, Worker
from taskgraph.errors import DatabaseError, ExecutorError
from taskgraph.records import LEASE_SECONDS
from taskgraph.serving.companions import Companion
from taskgraph.serving.orders import DONE, EDITED, FAILED, Report, SlotOrder
from taskgraph.serving.pauses import Pauses
from taskgraph.serving.slot_processes import Slot
from taskgraph.silence import Silence

_MOMENT: Final = 0.5  # seconds between two looks at slots
_LOOK: Final = 1.0  # seconds between two looks at what is asked
_BEAT: Final = LEASE_SECONDS / 6  # seconds between two heartbeats, and two sweeps
_QUICK: Final = 2.0  # a slot that ends sooner is started again only after a pause
_FIRST_PAUSE: Final = 0.5
_READ: Final = 65536


class Routed(Protocol):
    """What a supervisor asks of a database."""

    def beat(self, worker_id: str, pid: int | None) -> bool:
        """Say that a worker lives; returns whether it is still this process."""

    def wish_of(self, worker_id: str) -> Wish | None:
        """Return what somebody asks of a worker."""

    def end_worker(self, worker_id: str, pid: int) -> None:
        """Say that the process of a worker has ended."""

    def is_waiting(self, queues: Sequence[str]) -> bool:
        """Tell whether anything in some queues is to start by now."""

    def give_back(
        self, worker_id: str | None = None, why: str | None = None, *, is_loss: bool = True
    ) -> GivenBack:
        """Have wait again what workers have taken and no living process holds any more."""


class Supervisor:
    """Looks after the slots of one worker.

    Args:
        routing: Where the worker is known, and what it serves.
        worker: The worker, registered.
        order: What each slot is told.
        command: What starts a slot; two numbers of pipes follow it.
        concurrency: How many slots there are.
        say: Told a line now and then.
        duties: Called every few seconds, for what else a worker sees to.
        companions: What it does besides by itself, from its start until its slots have ended.
        silence: Told whether the database answers, which it asks all the time; what was lost is
            judged by that.

    Attributes:
        reason: Why it could not go on, if it could not.
    """

    def __init__(
        self,
        routing: Routed,
        worker: Worker,
        order: SlotOrder,
        command: Sequence[str],
        *,
        concurrency: int = 1,
        say: Callable[[str], None] = lambda line: None,
        duties: Sequence[Callable[[], object]] = (),
        companions: Sequence[Companion] = (),
        silence: Silence | None = None,
    ) -> None:
        self._routing = routing
        self._worker = worker
        self._order = order
        self._command = list(command)
        self._concurrency = concurrency
        self._say = say
        self._duties = list(duties)
        self._companions = list(companions)
        self._silence = Silence(LEASE_SECONDS) if silence is None else silence
        self._silence.gap = LEASE_SECONDS / 2
        self._slots: dict[int, Slot] = {}
        self._due: list[tuple[float, int, int | None]] = []  # slots to be started: when, which
        self._pauses = Pauses(_FIRST_PAUSE)
        self._was_ready = False  # whether any slot could begin so far
        self._unused: int | None = 0  # what slots that have ended might still have taken
        self._may_wait = False  # whether it is to be asked if anything waits for them
        self._next_ask = 0.0
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._is_draining = False
        self._is_stopping = False
        self._next_beat = self._next_look = 0.0
        self.reason: str | None = None

    def run(self) -> bool:
        """Serve until it is told to stop, or nothing is left to do.

        Returns:
            Whether it ended well; otherwise `reason` says why not.
        """
        with self._hearing_signals():
            try:
                self._start_companions()
                for number, quota in enumerate(self._quotas(self._order.quota)):
                    self._start(number, quota)
                while self._slots or self._due or self._may_wait or self._end_companions():
                    self._turn()
            finally:
                self._end_slots()
                for companion in self._companions:
                    companion.stop()
                self._end()
        return self.reason is None

    def _quotas(self, total: int | None) -> Iterator[int | None]:
        """Give each slot its part of what is taken at most; those without any are not started."""
        for number in range(self._concurrency):
            if total is None:
                yield None
                continue
            part = total // self._concurrency + (number < total % self._concurrency)
            if part:
                yield part

    # Companions

    def _start_companions(self) -> None:
        for each in list(self._companions):
            try:
                each.start()
            except ExecutorError as error:
                self._say(f"{error}")
                self._companions.remove(each)

    def _end_companions(self) -> bool:
        """Have companions end whose worker has no slot any more; tell whether some have not yet.

        Not before: what a slot runs may wait for a call that is served here. One that is only to
        serve what waits goes on as long as there is something.
        """
        living = [each for each in self._companions if each.is_alive]
        for each in living:
            if self._is_stopping:
                each.stop()
            elif self._is_draining or not self._order.is_burst or each.is_idle:
                each.drain(0)
        return any(each.is_alive for each in living)

    # One turn

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._seconds_left()):
            slot = self._slots.get(key.data)
            if slot is None:
                os.read(key.fd, _READ)  # a signal has come, and is counted
            else:
                self._read(slot)
        self._obey(self._signals)
        for slot in list(self._slots.values()):
            if slot.process.poll() is not None:
                self._reap(slot)
        moment = time.monotonic()
        for each in [each for each in self._due if self._is_draining or self._may_start(each[0])]:
            self._due.remove(each)
            if not self._is_draining:
                self._start(each[1], each[2])
        if self._may_wait and not self._slots and not self._due and moment >= self._next_ask:
            self._begin_again(moment)
        if moment >= self._next_look:
            self._look(moment)

    def _may_start(self, due: float) -> bool:
        """Tell whether a slot may be started by now that is due.

        Who opens the database looks who is dead. One that is new knows nothing of its having been
        away: it does not begin before silence tells something.
        """
        return due <= time.monotonic() and self._silence.tells

    def _seconds_left(self) -> float:
        left = [at - time.monotonic() for at, _, _ in self._due]
        return max(0.0, min(_MOMENT, *left)) if left and self._silence.tells else _MOMENT

    def _look(self, moment: float) -> None:
        """See what is asked of it, beat, give back what is lost, and do what else is due."""
        self._next_look = moment + _LOOK
        try:
            wish = self._routing.wish_of(self._worker.id)
            self._silence.heard()
            if wish is not None:
                self._obey(2 if wish is Wish.STOP_NOW else 1)
            if moment >= self._next_beat:
                self._next_beat = moment + _BEAT
                if not self._routing.beat(self._worker.id, self._worker.pid):
                    self._say("this worker was deleted, or its name is another one's: it stops")
                    self._obey(1)
                self._tell_of(self._routing.give_back())
                for each in self._duties:
                    self._do(each)
        except DatabaseError as error:
            self._silence.missed()
            self._say(f"{error}")  # the next look may find it again
        except OSError as error:
            # Too many open files, say: what the slots run goes on.
            self._say(f"{type(error).__name__}: {error}")

    def _do(self, duty: Callable[[], object]) -> None:
        try:
            duty()
        except DatabaseError:
            raise
        except Exception as error:
            # One that fails keeps neither the others nor what runs from going on.
            self._say(f"{type(error).__name__}: {error}")

    def _obey(self, asked: int) -> None:
        if asked and not self._is_draining:
            self._is_draining = True
            self._may_wait = False
            running = sum(len(each.running) for each in self._slots.values())
            self._say(f"it takes no more, and ends when what runs has ended: {running}")
            for companion in self._companions:
                companion.retire()
            for slot in self._slots.values():
                slot.drain()
        if asked > 1 and not self._is_stopping:
            self._is_stopping = True
            self._say("it stops now: what runs goes back to its queues")
            for slot in self._slots.values():
                slot.kill()

    # Slots

    def _start(self, number: int, quota: int | None) -> None:
        try:
            slot = Slot.start(number, quota, self._command, self._order)
        except OSError as error:
            # No memory, no more processes: what the other slots run goes on.
            self._say(f"slot {number} cannot be started for now: {error}")
            self._due.append((time.monotonic() + self._pauses.next(), number, quota))
            return
        self._slots[slot.reports] = slot
        self._selector.register(slot.reports, selectors.EVENT_READ, slot.reports)

    def _read(self, slot: Slot) -> None:
        """Take what a slot says."""
        data = os.read(slot.reports, _READ)
        if not data:
            self._selector.unregister(slot.reports)
            return
        *lines, slot.unread = (slot.unread + data).split(b"\n")
        for line in lines:
            self._take(slot, Report.parse(line))

    def _take(self, slot: Slot, report: Report) -> None:
        start = report.execution_id[:8]
        match report.kind:
            case "ready":
                self._was_ready = True
            case "failed" if self._was_ready:
                self._say(f"slot {slot.number} cannot begin for now: {report.text}")
            case "failed":
                self.reason = report.text
            case "took":
                slot.running[report.execution_id] = report.text
                if slot.quota is not None:
                    slot.quota -= 1
                self._say(f"{start} {report.text} was taken from {report.queue}")
            case "ended":
                name = slot.running.pop(report.execution_id, "")
                self._pauses.reset()
                self._say(f"{start} {name} is {report.text} after {report.seconds:.1f} s")
            case _:
                self._say(report.text)

    def _reap(self, slot: Slot) -> None:
        """See to what a slot leaves that has ended: what it held is given back at once."""
        while slot.reports in self._selector.get_map():
            self._read_rest(slot)
        self._slots.pop(slot.reports)
        slot.close()
        code = slot.process.returncode
        # One that ends by itself has nothing left that runs: with any code a body has done that.
        is_lost = code not in (DONE, EDITED) or bool(slot.running)
        if is_lost:
            slot.kill()  # what it started must not go on while another one begins with that
            slot.wait_for_scripts()
            self._give_back(slot, code)
        if code == FAILED and not self._was_ready:
            self._is_draining, self._may_wait = True, False
            for each in self._slots.values():
                each.drain()
            return
        if self._is_draining:
            return
        if slot.quota == 0 or (code == DONE and not is_lost):
            self._leave(slot.quota)
            return
        pause = 0.0
        is_quick = time.monotonic() - slot.started < _QUICK and not slot.running
        if code == FAILED or (is_lost and is_quick):
            pause = self._pauses.next()
        self._due.append((time.monotonic() + pause, slot.number, slot.quota))

    def _read_rest(self, slot: Slot) -> None:
        """Take what a slot said before it ended; what it left behind may hold the pipe."""
        os.set_blocking(slot.reports, False)
        try:
            self._read(slot)
        except BlockingIOError:
            self._selector.unregister(slot.reports)

    def _leave(self, quota: int | None) -> None:
        """Take note of what a slot might still have taken that has ended."""
        self._unused = None if self._unused is None or quota is None else self._unused + quota
        self._may_wait = self._unused != 0

    def _begin_again(self, moment: float) -> None:
        """Start slots anew, now that all have ended, if something waits that they might take."""
        try:
            is_waiting = self._routing.is_waiting(self._worker.queues)
        except DatabaseError as error:
            self._silence.missed()
            self._say(f"{error}")
            self._next_ask = moment + self._pauses.next()
            return
        self._may_wait = False
        if is_waiting:
            left, self._unused = self._unused, 0
            every = enumerate(self._quotas(left))
            self._due += [(moment, number, quota) for number, quota in every]

    def _give_back(self, slot: Slot, code: int) -> None:
        """Have what a slot ran wait again, or be given up."""
        how = f"signal {-code}" if code < 0 else f"code {code}"
        why = None
        if self._is_stopping:
            why = f"worker {self._worker.name} was stopped"
        else:
            self._say(f"slot {slot.number} ended by {how}, with {len(slot.running)} running")
            if slot.running:
                why = f"worker {self._worker.name} on {self._worker.host} lost its process ({how})"
        try:
            given = self._routing.give_back(self._worker.id, why, is_loss=not self._is_stopping)
            self._tell_of(given)
        except DatabaseError as error:
            self._say(f"{error}")  # whoever sweeps next finds it

    def _tell_of(self, given: GivenBack) -> None:
        for each in given.returned:
            self._say(f"{each[:8]} waits in its queues again")
        for each in given.crashed:
            self._say(f"{each[:8]} is CRASHED: too many workers were lost with it")

    # The end

    def _end_slots(self) -> None:
        """End the slots that are left, which is none after a drain."""
        if not self._slots:
            return
        self._is_stopping = self._is_draining = True
        for slot in self._slots.values():
            slot.kill()
        for slot in list(self._slots.values()):
            slot.process.wait()
            self._reap(slot)

    def _end(self) -> None:
        self._selector.close()
        assert self._worker.pid is not None
        try:
            self._routing.end_worker(self._worker.id, self._worker.pid)
        except DatabaseError as error:
            self._say(f"{error}")

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Count the signals that ask it to end, and wake up at each, and when a slot ends."""
        woken, wake = os.pipe()
        for each in (woken, wake):
            os.set_blocking(each, False)
        self._selector.register(woken, selectors.EVENT_READ, None)

        def count(number: int, frame: FrameType | None) -> None:
            self._signals += 1

        def ignore(number: int, frame: FrameType | None) -> None:
            """Wake up alone."""

        before: dict[int, Any] = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, count),
            signal.SIGINT: signal.signal(signal.SIGINT, count),
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, ignore),
        }
        fd = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(woken)
            os.close(wake)


__all__ = ["Routed", "Supervisor"]
