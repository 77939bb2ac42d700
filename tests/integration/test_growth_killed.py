"""Whoever deletes or collects may be killed at any moment: the next one takes away what is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import taskgraph
from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.forked import start_python
from tests.integration.test_deletion import counts, lineage, root_call, tasks

taskgraph_namespace = "killed"

_PROGRAM = """
import sys
import taskgraph
from taskgraph_backend.growth import collecting, deleting
deleting.TOGETHER = collecting.TOGETHER = 7
collecting._EVICTED_TOGETHER = 5
uri, what, name = sys.argv[1:]
with taskgraph.open(uri) as tg:
    print("ready", flush=True)
    if what == "delete":
        tg.executions.delete(name)
    else:
        tg.storage.gc(max_size=0)
    print("done", flush=True)
"""


@task
def leaf(n: int) -> list[int]:
    """Make something of some size."""
    return [n] * 500


@task
def pair(n: int) -> list[int]:
    """Add up what another call made."""
    return [len(each) for each in [[n], [n, n]]]


@task
def many(start: int, count: int) -> list[object]:
    """Make many calls."""
    return [[leaf(start + each), pair(start + each)] for each in range(count)]


@pytest.fixture
def grown(database_uri: str) -> Iterator[Archive]:
    """A database with two executions that share half of what they made."""
    with taskgraph.open(database_uri, migrate=True) as tg:
        backend = SqlBackend(database_uri)
        backend.load()
        with Scheduler(backend=backend) as scheduler:
            scheduler.run(many(0, 80))
            scheduler.run(many(40, 80))
        yield tg


def _kill(tg: Archive, what: str, name: str, after: float, folder: Path) -> bool:
    """Have a process begin and be killed; returns whether it had ended before."""
    process = start_python(
        ["-c", _PROGRAM, tg.backend.db_uri, what, name],
        folder,
        os.environ,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    deadline = time.monotonic() + after
    while time.monotonic() < deadline and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    with process.stdout:
        rest = process.stdout.read()
    process.wait()
    return "done" in rest


def test_a_deletion_that_is_killed_again_and_again_is_whole_in_the_end(
    grown: Archive, tmp_path: Path
) -> None:
    second, first = [each.id for each in grown.executions.list()]
    before = lineage(grown, root_call(grown, second))
    chance = random.Random(7)
    kills = 0

    while grown.executions.find(first) is not None:
        kills += not _kill(grown, "delete", first, chance.uniform(0.0, 0.1), tmp_path)
        assert check(grown.backend) == []
        assert lineage(grown, root_call(grown, second)) == before
    while not _kill(grown, "gc", "", chance.uniform(0.0, 0.4), tmp_path):
        kills += 1
        assert check(grown.backend) == []

    assert check(grown.backend, deep=True) == []
    assert kills > 0
    assert lineage(grown, root_call(grown, second)) == before
    (calls,) = grown.backend._connection().execute("SELECT count(*) FROM call_node").fetchone()
    assert calls == len(before)
    grown.executions.delete(second)
    grown.storage.gc()
    assert counts(grown) == {"value": tasks(grown)}


def test_a_collection_that_is_killed_gives_up_less(grown: Archive, tmp_path: Path) -> None:
    known = {each.id: lineage(grown, root_call(grown, each.id)) for each in grown.executions.list()}
    chance = random.Random(11)
    ended, patience = False, 0.0
    sizes = [sum(each.size for each in grown.storage.stats().types)]

    while not ended:
        # Sooner than it can end, and later each time.
        patience += chance.uniform(0.0, 0.01)
        ended = _kill(grown, "gc", "", patience, tmp_path)
        sizes.append(sum(each.size for each in grown.storage.stats().types))
        assert check(grown.backend) == []
        assert {each: lineage(grown, root_call(grown, each)) for each in known} == known

    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) > 2
    assert sizes[-1] < sizes[0] / 2
    assert grown.storage.gc(max_size=0, dry_run=True).evicted == 0
