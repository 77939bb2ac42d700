from __future__ import annotations

from taskgraph.events import JobCached, JobDone
from taskgraph.records import LeaseRecord
from taskgraph.testing import FixedClock, MemoryBackend, RecordingObserver, system_clock


def test_clock_stands_still_until_told() -> None:
    clock = FixedClock(5)

    before = clock(), clock()
    clock.advance(1.5)

    assert before == (5, 5)
    assert clock() == 1_500_005


def test_system_clock_goes_forward() -> None:
    assert 0 < system_clock() <= system_clock()


def test_lease_expires_by_the_clock_that_is_given() -> None:
    clock = FixedClock()
    backend = MemoryBackend(clock)
    theirs = LeaseRecord("a", "they", "host", 1, 1, clock() + 1_000_000)
    mine = theirs._replace(holder="me")
    backend.take([theirs])

    at_once = backend.take([mine])
    clock.advance(1.1)

    assert at_once == [theirs]
    assert backend.take([mine]) == [None]


def test_observer_keeps_events_in_order_and_by_kind() -> None:
    observer = RecordingObserver()
    first, second = JobDone("1", "f", 0.1), JobCached("2", "f")

    observer.notify(first)
    observer.notify(second)

    assert observer.events == [first, second]
    assert observer.of(JobCached) == [second]
