"""The disk is full, or fails, at each write in turn: what was confirmed is there, all of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from taskgraph.errors import DatabaseError, DatabaseFullError
from taskgraph.records import CacheQuery, RecordBatch, State
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.rows import (
    a_call,
    a_job,
    a_task,
    a_value,
    an_argument,
    an_evaluation,
    an_execution,
    key,
    together,
)
from tests.torture import failing_vfs
from tests.torture.disks import only_root, small_disk
from tests.torture.failing_vfs import SQLITE_FULL, SQLITE_IOERR_WRITE, Failing
from tests.torture.servers import own_server
from tests.torture.starting import TORTURE, chance

BATCHES, PER_BATCH = 4, 6
#: Of the calls that may fail so many do, at random; all of them for long.
AT_MOST = 100_000 if TORTURE else 10

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def _batch(number: int, large: int = 0) -> RecordBatch:
    numbers = range(number * 1000, number * 1000 + PER_BATCH)
    far = 10**12
    return together(
        *(a_call(n + far, n, n + 2 * far) for n in numbers),
        *(an_argument(n + 3 * far, n + far, n + 2 * far) for n in numbers),
        *(an_evaluation(n, n + 2 * far) for n in numbers),
        *(a_job(n + 4 * far, call=n + far) for n in numbers),
        RecordBatch(values=[a_value(n + 5 * far, os.urandom(large)) for n in numbers if large]),
    )


def _is_there(backend: SqlBackend, number: int) -> bool:
    """Tell whether a batch is there; it is all there, or not at all."""
    numbers = range(number * 1000, number * 1000 + PER_BATCH)
    answers = backend.check_cache([CacheQuery(key(n), True) for n in numbers])
    jobs = backend.has_records(key(n + 4 * 10**12) for n in numbers)
    states = {bool(each.evaluation and each.calls) for each in answers}
    assert len(states) == 1, f"half of batch {number} is there"
    assert len(jobs) == (PER_BATCH if states == {True} else 0), f"half of batch {number} is there"
    return states == {True}


def _write_all(uri: str) -> list[int]:
    """Write batches with tags between them; return those that were confirmed."""
    confirmed = []
    backend = SqlBackend(uri)
    try:
        backend.load()
        backend.record(together(a_task(), an_execution(state=State.COMPLETED)))
        for number in range(BATCHES):
            with suppress(DatabaseError):
                backend.record(_batch(number))
                confirmed.append(number)
            with suppress(DatabaseError):
                backend.record_tags("Task", key(0x7A51), [("n", number)])
    except DatabaseError:
        pass
    finally:
        backend.close()
    return confirmed


@pytest.fixture(scope="module")
def failing() -> Failing:
    """What fails in the file system ``failing``."""
    made = failing_vfs.register()
    if made is None:
        pytest.skip("SQLite is built into this Python: no file system can be put below it")
    return made


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", [SQLITE_FULL, SQLITE_IOERR_WRITE], ids=["full", "error"])
def test_each_write_fails_in_turn(
    tmp_path: Path, failing: Failing, code: int, for_good: bool
) -> None:
    failing.reset()
    path = tmp_path / "whole.db"
    assert _write_all(f"sqlite:///{path}?vfs=failing") == list(range(BATCHES))
    count = len(failing.calls)
    assert count > 50
    random = chance("writes")
    places = sorted(random.sample(range(count), min(count, AT_MOST)))

    for place in places:
        path = tmp_path / f"{place}.db"
        failing.reset(place, code, for_good)
        confirmed = _write_all(f"sqlite:///{path}?vfs=failing")
        assert failing.failed, f"call {place} of {count} was never made"
        failing.reset()
        if not path.exists() or not path.stat().st_size:
            assert confirmed == []
            continue
        with SqlBackend(f"sqlite:///{path}") as backend:
            for number in range(BATCHES):
                there = _is_there(backend, number)
                assert there or number not in confirmed, f"call {place}: batch {number} is lost"
            assert check(backend) == [], f"call {place} of {count}"
            # And it goes on from there.
            backend.record(together(a_task(), an_execution(state=State.COMPLETED)))
            for number in range(BATCHES):
                backend.record(_batch(number))
            assert check(backend) == []
        for each in tmp_path.glob(f"{place}.db*"):
            each.unlink()
    print(f"{len(places)} of {count} calls failed")


@only_root
def test_a_disk_that_fills_up_and_is_freed(tmp_path: Path) -> None:
    random = chance("disk")
    with small_disk(tmp_path / "disk", "4m") as disk:
        uri = f"sqlite:///{disk / 'taskgraph.db'}"
        confirmed: set[int] = set()
        with SqlBackend(uri) as backend:
            backend.record(together(a_task(), an_execution(state=State.COMPLETED)))
            number = 0
            refused = 0
            for _ in range(5 if TORTURE else 2):
                ballast = disk / "ballast"
                free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
                ballast.write_bytes(b"\0" * (free * random.randrange(30, 70) // 100))
                while True:
                    number += 1
                    try:
                        backend.record(_batch(number, random.randrange(200, 4000)))
                    except DatabaseFullError as error:
                        assert "disk is full" in str(error)
                        refused += 1
                        break
                    confirmed.add(number)
                assert not _is_there(backend, number)
                assert all(_is_there(backend, each) for each in confirmed)
                ballast.unlink()
                with suppress(DatabaseFullError):
                    backend.record(_batch(number))
                    confirmed.add(number)
            assert refused >= 2
            assert check(backend) == []
        with SqlBackend(uri) as backend:
            assert all(_is_there(backend, each) for each in confirmed)
            assert check(backend) == []


@pytest.mark.skipif(not TORTURE, reason="a server of its own on a small disk takes a minute")
@only_root
def test_a_disk_of_the_server_that_fills_up_and_is_freed(
    tmp_path: Path, postgres_server: object
) -> None:
    random = chance("server's disk")
    place = Path("/tmp", f"taskgraph-disk-{os.getpid()}")
    with (
        small_disk(place, "110m") as disk,
        own_server(disk, max_wal_size="32MB", min_wal_size="32MB", wal_recycle="off") as server,
    ):
        uri = server.make_database("filled")
        confirmed: set[int] = set()
        number = refused = 0
        with SqlBackend(uri, {"busy_timeout": 1.0}) as backend:
            backend.record(together(a_task(), an_execution(state=State.COMPLETED)))
        for _ in range(4):
            ballast = disk / "ballast"
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            ballast.write_bytes(b"\0" * max(0, free - random.randrange(3_000_000, 9_000_000)))
            with suppress(DatabaseError), SqlBackend(uri, {"busy_timeout": 1.0}) as backend:
                while True:
                    number += 1
                    backend.record(_batch(number, 20_000))
                    confirmed.add(number)
            refused += 1
            ballast.unlink()
            # Where not even its log could be written the server gave up.
            with suppress(Exception):
                server.stop("immediate")
            server.start()
            with SqlBackend(uri) as backend:
                for each in range(1, number + 1):
                    assert _is_there(backend, each) or each not in confirmed, f"{each} is lost"
                assert check(backend) == []
        assert (refused, len(confirmed) > 10) == (4, True)
    place.rmdir()
