"""Who leads which calls: what one process decides, with others played by rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskgraph.engine import leading as module
from taskgraph.engine.jobs import Job
from taskgraph.engine.leading import Leading
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.recorder import Recorder
from taskgraph.events import Event, JobWaits, Warned
from taskgraph.expression import TaskExpression
from taskgraph.hashing import EvalHash
from taskgraph.records import (
    ALL_CALLS,
    CALLS_WANTED,
    ExecutionId,
    JobId,
    LeaseRecord,
    Micros,
    call_lease,
    stuck_lease,
)
from taskgraph.tasks.decorator import task
from taskgraph.tasks.options import CacheScope
from taskgraph.testing import FixedClock, MemoryBackend

ME, THEY = ExecutionId("11" * 16), "22" * 16
SECOND = 1_000_000


@task(namespace="leading", version="1")
def align(number: int) -> int:
    return number


def a_job(number: int, call: int | None = None, **options: object) -> Job:
    expr = align(number)
    assert isinstance(expr, TaskExpression)
    job = Job(JobId(f"{number:032x}"), align, align.hash, expr, None, options)
    job.eval_hash = EvalHash(f"{number if call is None else call:032x}")
    return job


class Run:
    """One run, without an engine: what is in flight is said by the test."""

    def __init__(self, leads: bool = True, may_wait: bool = True) -> None:
        self.clock = FixedClock()
        self.backend = MemoryBackend(self.clock)
        if not leads:
            self.theirs(99)
        self.lease = ExecutionLease(self.backend, ME, "host", 1, Micros(5))
        self.lease.take(leads=True)
        self.recorder = Recorder(self.backend, ME, None)
        self.events: list[Event] = []
        self.in_flight: list[Job] = []
        self.leading = Leading(
            self.backend,
            self.lease,
            self.recorder,
            self.events.append,
            self.events.append,
            lambda: self.in_flight,
            use_cache=True,
            may_wait=may_wait,
        )

    def theirs(self, number: int, seconds: float = 3600) -> str:
        """Have others lead a call."""
        key = call_lease(EvalHash(f"{number:032x}"))
        expires = Micros(self.clock() + int(seconds * SECOND))
        self.backend.take([LeaseRecord(key, THEY, "there", 7, Micros(1), expires)])
        return key

    def lead(self, *jobs: Job) -> tuple[list[Job], list[Job]]:
        return self.leading.lead(jobs, None)


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    made: list[Run] = []
    yield made
    for each in made:
        each.leading.close()
        each.lease.release()


@pytest.fixture
def run(runs: list[Run]) -> Run:
    """A run beside others."""
    runs.append(Run(leads=False))
    return runs[-1]


@pytest.fixture
def alone(runs: list[Run]) -> Run:
    """A run that leads all calls."""
    runs.append(Run())
    return runs[-1]


def test_who_is_alone_leads_all_calls(alone: Run, run: Run) -> None:
    assert alone.leading.leads_all_still()
    assert not run.leading.leads_all_still()
    assert ALL_CALLS in alone.backend.leases and ALL_CALLS not in run.backend.leases


def test_a_wish_that_was_for_somebody_else_is_forgotten(runs: list[Run]) -> None:
    first = Run()
    runs.append(first)
    wish = LeaseRecord(CALLS_WANTED, THEY, "there", 7, Micros(1), Micros(first.clock() + SECOND))
    first.backend.leases[CALLS_WANTED] = wish

    first.lease.lead_some([])

    assert not first.lease.leads_all
    assert CALLS_WANTED not in first.backend.leases


def test_what_is_in_flight_is_said_when_others_ask(alone: Run) -> None:
    alone.in_flight = [a_job(1), a_job(2), a_job(3, cache_scope=CacheScope.NONE)]

    alone.lease.on_wanted()

    calls = sorted(each for each in alone.backend.leases if each.startswith("call:"))
    assert calls == [call_lease(EvalHash(f"{number:032x}")) for number in (1, 2)]
    assert ALL_CALLS not in alone.backend.leases
    assert not alone.leading.leads_all_still()


def test_free_calls_are_led_and_looked_up_again_and_those_of_others_wait(run: Run) -> None:
    run.theirs(2)
    one, two, scoped = a_job(1), a_job(2), a_job(2, cache_scope=CacheScope.CSE)

    free, to_ask = run.lead(one, two, scoped)

    assert (free, to_ask) == ([scoped], [one])
    assert run.leading.any_wait
    assert run.leading.drop(lambda job: True) == [two]
    assert not run.leading.any_wait


def test_a_run_within_a_body_waits_for_nobody(runs: list[Run]) -> None:
    inner = Run(leads=False, may_wait=False)
    runs.append(inner)
    inner.theirs(2)
    two = a_job(2)

    assert inner.lead(two) == ([two], [])


def test_a_call_that_two_jobs_want_is_led_until_both_have_ended(run: Run) -> None:
    first, second = a_job(1, call=5), a_job(2, call=5)
    run.lead(first)

    assert run.lead(second) == ([second], [])
    run.leading.end(first)
    assert not run.recorder.has_released
    run.leading.end(second)
    assert run.recorder.has_released
    run.recorder.flush()

    assert call_lease(EvalHash(f"{5:032x}")) not in run.backend.leases


def test_a_lease_that_is_wanted_again_is_not_given_back(run: Run) -> None:
    job, again = a_job(1, call=5), a_job(2, call=5)
    run.lead(job)
    run.leading.end(job)

    run.lead(again)
    run.recorder.flush()

    assert call_lease(EvalHash(f"{5:032x}")) in run.backend.leases


def test_who_waits_is_told_of_after_a_while_and_goes_on_when_the_lease_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])
    run.theirs(2, seconds=10)
    job = a_job(2)
    run.lead(job)

    early = run.leading.take_free()
    moment[0] += 0.6
    told_of = run.leading.take_free(), list(run.events)
    run.clock.now = Micros(run.clock.now + 11 * SECOND)
    moment[0] += 0.6
    free = run.leading.take_free()

    assert early == []
    assert told_of == ([], [JobWaits(job.id, "leading.align", THEY, "there", 7)])
    assert free == [job]
    assert run.leading.seconds_left(5.0) == 5.0


def test_bodies_that_only_wait_are_led_no_more_if_all_others_only_wait(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])
    asker, waiting = a_job(1), a_job(2)
    run.theirs(2)
    run.lead(asker, waiting)
    mine = call_lease(EvalHash(f"{1:032x}"))

    run.leading.yield_if_stuck(True, [asker])
    moment[0] += 2
    run.leading.yield_if_stuck(True, [asker])  # they work
    is_kept = mine in run.backend.leases and stuck_lease(ME) in run.backend.leases
    forever = Micros(run.clock() + 3600 * SECOND)
    run.backend.take([LeaseRecord(stuck_lease(THEY), THEY, "there", 7, Micros(1), forever)])
    moment[0] += 2
    run.leading.yield_if_stuck(True, [asker])
    run.leading.yield_if_stuck(False, [asker])

    assert is_kept
    assert mine not in run.backend.leases
    assert stuck_lease(ME) not in run.backend.leases


def test_who_stood_still_takes_what_is_left_and_is_told_of_the_rest(
    alone: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, lost = a_job(1), a_job(2)
    alone.in_flight = [mine, lost]
    alone.clock.now = Micros(alone.clock.now + 60 * SECOND)
    alone.backend.release(ME, [ALL_CALLS])
    alone.theirs(2)
    monkeypatch.setattr("taskgraph.silence.time.clock_gettime", lambda _: 1e12)

    is_alone = alone.leading.leads_all_still()

    assert not is_alone
    assert list(alone.leading.held) == [mine.eval_hash]
    (warned,) = alone.events
    assert isinstance(warned, Warned)
    assert "stood still" in warned.message and "pid 7" in warned.message


def test_the_scheduler_rests_and_resumes_through_an_interrupt(run: Run) -> None:
    class Interrupted:
        """A lock that a Ctrl-C comes to while somebody waits for it."""

        count = 0

        def acquire(self) -> bool:
            self.count += 1
            if self.count == 1:
                raise KeyboardInterrupt
            return True

    guard = Interrupted()
    run.leading.guard = guard  # type: ignore[assignment]

    with pytest.raises(KeyboardInterrupt):
        run.leading.resume()

    assert guard.count == 2
