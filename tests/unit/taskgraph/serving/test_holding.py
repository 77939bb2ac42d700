"""What was taken is held from then on, by a heartbeat of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from taskgraph.errors import DatabaseError
from taskgraph.records import LeaseRecord, Micros
from taskgraph.serving.holding import Holding
from taskgraph.testing import FixedClock, MemoryBackend

HOLDER = "5" * 32 + ":token"


class Beaten(MemoryBackend):
    """A backend that is waited for until it was asked to prolong leases."""

    def __init__(self) -> None:
        super().__init__(clock=FixedClock())
        self.beats = threading.Semaphore(0)
        self.is_away = False

    def heartbeat(self, holder: str, expires: Micros) -> int:
        self.beats.release()
        if self.is_away:
            raise DatabaseError("it", "it is away")
        return super().heartbeat(holder, expires)


@pytest.fixture
def backend() -> Iterator[Beaten]:
    made = Beaten()
    made.take([LeaseRecord("execution:" + "5" * 32, HOLDER, "host", 7, Micros(1), Micros(2**62))])
    yield made


def test_a_lease_is_prolonged_until_its_end(backend: Beaten) -> None:
    lost: list[bool] = []
    (before,) = backend.leases.values()
    holding = Holding(backend, HOLDER, lambda: lost.append(True), seconds=0.0625)
    for _ in range(3):
        assert backend.beats.acquire(timeout=60)
    holding.end()
    holding.end()

    (lease,) = backend.leases.values()
    assert lease.expires == backend.clock() + 62_500 != before.expires
    assert not lost


def test_who_lost_it_is_told_once_and_a_database_that_is_away_is_no_loss(backend: Beaten) -> None:
    lost = threading.Semaphore(0)
    backend.is_away = True
    holding = Holding(backend, HOLDER, lost.release, seconds=0.0625)
    for _ in range(3):
        assert backend.beats.acquire(timeout=60)
    assert not lost.acquire(blocking=False)

    backend.is_away = False
    backend.leases.clear()
    assert lost.acquire(timeout=60)
    holding.end()
    assert not lost.acquire(blocking=False)
