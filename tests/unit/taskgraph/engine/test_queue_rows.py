"""Jobs that wait for a worker have a row, as far as that is of use."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from taskgraph import Scheduler, task
from taskgraph.engine import announcing, recorder
from taskgraph.records import RecordBatch, State
from taskgraph.testing import MemoryBackend

MOST = 20


class Counting(MemoryBackend):
    """Counts the rows of jobs that it is given, by their state."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Counter[State] = Counter()
        self.starts: dict[tuple[str, State], int] = {}

    def record(self, batch: RecordBatch) -> None:
        """Count, and add them."""
        self.rows.update(each.state_type for each in batch.jobs)
        self.starts.update({(each.id, each.state_type): each.start_time for each in batch.jobs})
        super().record(batch)


@task(namespace="queue_rows")
def one(x: int) -> int:
    return x


@task(namespace="queue_rows")
def slow(x: int) -> int:
    time.sleep(0.1)
    return x


def test_of_many_that_wait_the_first_have_a_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_ANNOUNCE_AFTER", 0.0)
    monkeypatch.setattr(announcing, "_MOST_QUEUED", MOST)
    monkeypatch.setattr(announcing, "_ASK_EVERY", 3600.0)
    backend = Counting()

    made = Scheduler(backend=backend, executor="inline").run([one(each) for each in range(500)])

    assert made == list(range(500))
    assert backend.rows[State.PENDING] == MOST
    assert backend.rows[State.COMPLETED] == 501


def test_when_those_have_begun_the_next_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_ANNOUNCE_AFTER", 0.0)
    monkeypatch.setattr(announcing, "_MOST_QUEUED", MOST)
    monkeypatch.setattr(announcing, "_ASK_EVERY", 0.0)
    monkeypatch.setattr(recorder, "MAX_DELAY", 0.0)
    backend = Counting()

    Scheduler(backend=backend, executor="inline").run([one(each) for each in range(5_000)])

    assert backend.rows[State.PENDING] > MOST
    assert backend.rows[State.COMPLETED] == 5_001


def test_one_that_waited_runs_since_it_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_ANNOUNCE_AFTER", 0.0)
    monkeypatch.setattr(announcing, "_ASK_EVERY", 0.0)
    backend = Counting()
    settings = {"executors": {"threads": {"max_workers": 1}}}

    Scheduler(settings, backend=backend, executor="threads").run([slow(each) for each in range(8)])

    pending = {job: start for (job, state), start in backend.starts.items() if state == "PENDING"}
    begun = {job: start for (job, state), start in backend.starts.items() if state == "RUNNING"}
    both = pending.keys() & begun.keys()
    assert both
    assert max(begun[each] - pending[each] for each in both) > 100_000
