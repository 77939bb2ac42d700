"""Pools are names for sets of queues; a worker is known by its name, and lives while it beats."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.archive import Archive
from taskgraph.assembly.managing import routing_of
from taskgraph.catalog.worker_rows import Wish, WorkerPool, WorkerStatus, pool_key
from taskgraph.errors import (
    AmbiguousIdError,
    PoolNotFoundError,
    UnknownFilterError,
    ValidationError,
    WorkerInUseError,
    WorkerNotFoundError,
)
from taskgraph_backend.holders import earlier_name, host_name
from taskgraph_backend.integrity import check

_names = st.text(min_size=1, max_size=8).filter(lambda each: each.strip() and "\0" not in each)


@pytest.fixture
def pool(tg: Archive) -> WorkerPool:
    return tg.pools.get_or_create("gpu", ["b", "a"])


@pytest.fixture
def living() -> Iterator[int]:
    """The number of a process that lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def begin(tg: Archive, pool: Any, name: str = "w", pid: int | None = None, **how: Any) -> Any:
    how = {"host": host_name(), "pid": os.getpid() if pid is None else pid, **how}
    return tg.workers.register(name, pool, **how)


def make_silent(tg: Archive) -> None:
    """Have no worker have been heard of for a while."""
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE worker SET heartbeat_at = ?", (1_000,)).rowcount
    )


# Pools


def test_a_pool_is_the_same_in_any_order_of_its_queues(tg: Archive) -> None:
    ids = {
        tg.pools.get_or_create("p", order).id for order in itertools.permutations(["a", "b", "c"])
    }
    assert len(ids) == 1
    assert len(tg.pools.list()) == 1
    assert tg.pools.get(name="p", queues=["c", "b", "a", "a"]).queues == ("a", "b", "c")


@given(name=_names, queues=st.lists(_names, min_size=1, max_size=4, unique_by=str.strip))
def test_the_id_follows_from_name_and_set_alone(name: str, queues: list[str]) -> None:
    """The same for each order and for what is named twice; another one for another set."""
    try:
        known = pool_key(name, queues)
    except ValidationError:  # what no database keeps
        return
    assert pool_key(name, [*reversed(queues), queues[0]]) == known
    assert pool_key(name, [*queues, "one more"])[0] != known[0]
    assert pool_key(f"{name}x", queues)[0] != known[0]


@pytest.mark.parametrize(("name", "queues"), [("", ["a"]), ("p", []), ("p", "a"), ("p", [" "])])
def test_what_is_no_pool_is_refused(tg: Archive, name: str, queues: Any) -> None:
    with pytest.raises(ValidationError):
        tg.pools.get_or_create(name, queues)
    assert tg.pools.list() == []


def test_a_pool_is_found_by_id_alone_or_by_name_and_queues(tg: Archive, pool: WorkerPool) -> None:
    other = tg.pools.get_or_create("cpu", ["a"])
    assert tg.pools.get(pool.id) == tg.pools.get(pool.id[:8]) == tg.pools.get(pool)
    assert tg.pools.get(pool.id) == tg.pools.get(name="gpu", queues=["a", "b"])
    assert tg.pools.get("gpu").id == pool.id
    for how in ({}, {"name": "gpu"}, {"queues": ["a"]}, {"id": pool.id, "name": "gpu"}):
        with pytest.raises(ValueError, match="by its id alone"):
            tg.pools.get(**how)  # type: ignore[arg-type]
    with pytest.raises(PoolNotFoundError, match="worker start"):
        tg.pools.get(name="gpu", queues=["a"])
    with pytest.raises(PoolNotFoundError):
        tg.pools.get("f" * 32)
    tg.pools.get_or_create("gpu", ["a"])
    with pytest.raises(AmbiguousIdError):
        tg.pools.get("gpu")
    assert [each.name for each in tg.pools.list()] == ["cpu", "gpu", "gpu"]
    assert tg.pools.delete(other)


def test_a_pool_that_is_deleted_leaves_its_workers_without_one(
    tg: Archive, pool: WorkerPool
) -> None:
    begin(tg, pool)
    assert tg.pools.get(pool.id).workers == 1
    assert tg.pools.delete(pool)
    assert tg.workers.get("w").pool is None
    assert tg.workers.get("w").queues == ()
    assert not tg.pools.delete(pool, missing_ok=True)
    with pytest.raises(PoolNotFoundError):
        tg.pools.delete(pool)
    assert not list(check(tg.backend))


# Workers


def test_a_worker_is_revived_by_its_name(tg: Archive, pool: WorkerPool) -> None:
    first = begin(tg, pool, args={"concurrency": 2}, launch_cmd="taskgraph worker start")
    assert (first.status, first.restart_count, first.queues) == ("running", 0, ("a", "b"))
    assert (first.args, first.launch_cmd) == ({"concurrency": 2}, "taskgraph worker start")
    tg.workers.stop(first)
    stopped = tg.workers.set_status("w", "stopped")
    assert (stopped.status, stopped.pid, stopped.wish) == (WorkerStatus.STOPPED, None, None)

    again = begin(tg, pool, pid=os.getppid())
    assert (again.id, again.restart_count, again.pid) == (first.id, 1, os.getppid())
    assert again.started_at > first.started_at
    assert [each.id for each in tg.workers.list()] == [first.id]


def test_a_name_is_that_of_one_living_process(tg: Archive, pool: WorkerPool, living: int) -> None:
    begin(tg, pool, pid=living)
    with pytest.raises(WorkerInUseError, match=rf"process {living}.*worker stop w"):
        begin(tg, pool)
    with pytest.raises(WorkerInUseError):
        tg.workers.delete("w")
    begin(tg, pool, pid=living)  # the same one once more
    make_silent(tg)
    assert begin(tg, pool).restart_count == 2


def test_one_on_another_host_lives_as_long_as_it_beats(tg: Archive, pool: WorkerPool) -> None:
    begin(tg, pool, host="elsewhere", pid=1)
    with pytest.raises(WorkerInUseError, match="elsewhere"):
        begin(tg, pool)
    make_silent(tg)
    assert tg.workers.get("w").status is WorkerStatus.STALLED
    assert tg.workers.heartbeat("w").status is WorkerStatus.RUNNING
    with pytest.raises(WorkerInUseError):
        begin(tg, pool)


def test_the_same_number_on_another_machine_is_another_worker(
    tg: Archive, pool: WorkerPool
) -> None:
    own = begin(tg, pool)
    routing = routing_of(tg.backend, lambda: None)
    assert routing.beat(own.id, os.getpid())
    make_silent(tg)
    other = begin(tg, pool, host=f"{own.host}/ffffffffffff", pid=os.getpid())

    assert (other.id, other.host, other.restart_count) == (own.id, own.host, 1)
    assert not routing.beat(own.id, os.getpid())
    routing.end_worker(own.id, os.getpid())
    assert tg.workers.get("w").status is WorkerStatus.RUNNING
    with pytest.raises(WorkerInUseError, match=rf"on {own.host} as process"):
        begin(tg, pool)


def test_a_worker_that_an_earlier_library_has_named_is_the_same_one(
    tg: Archive, pool: WorkerPool
) -> None:
    own = begin(tg, pool, host=earlier_name())
    routing = routing_of(tg.backend, lambda: None)
    assert routing.beat(own.id, os.getpid())
    assert begin(tg, pool).restart_count == 1
    routing.end_worker(own.id, os.getpid())
    assert tg.workers.get("w").status is WorkerStatus.STOPPED


def test_one_whose_process_is_gone_is_stalled_at_once(tg: Archive, pool: WorkerPool) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    begin(tg, pool, pid=process.pid)
    assert [each.name for each in tg.workers.list({"status": {"any_": ["stalled"]}})] == ["w"]
    assert begin(tg, pool).status is WorkerStatus.RUNNING


def test_workers_are_listed_by_what_is_known_of_them(tg: Archive, pool: WorkerPool) -> None:
    other = tg.pools.get_or_create("cpu", ["c"])
    begin(tg, pool, "one")
    begin(tg, pool, "two", host="elsewhere", pid=7)
    begin(tg, other, "three")
    tg.workers.set_status("three", "stopped")
    tg.pools.delete(other)

    def listed(where: Any) -> list[str]:
        return [each.name for each in tg.workers.list(where)]

    assert listed(None) == ["one", "three", "two"]
    assert listed({"pool": {"any_": ["gpu"]}}) == listed({"pool": {"any_": [pool.id]}})
    assert listed({"pool": {"any_": ["gpu"]}}) == ["one", "two"]
    assert listed({"pool": {"not_any_": ["gpu"]}}) == ["three"]
    assert listed({"pool": {"is_null_": True}}) == ["three"]
    assert listed({"host": {"any_": ["elsewhere"]}}) == ["two"]
    assert listed({"name": {"like_": "T"}, "status": {"any_": ["running"]}}) == ["two"]
    assert listed({"status": {"any_": ["stopped"]}}) == ["three"]
    begin(tg, pool, "four", host="far/ffffffffffff-7", pid=8)
    assert tg.workers.get("four").host == "far"
    assert listed({"host": {"any_": ["far", "nowhere"]}}) == ["four"]
    assert listed({"host": {"any_": ["far/ffffffffffff-7"]}}) == ["four"]
    assert listed({"host": {"any_": ["fa", "Far"]}}) == []
    assert "four" not in listed({"host": {"not_any_": ["far"]}})
    assert "two" in listed({"host": {"not_any_": ["far"]}})
    for where in ({"pid": {"any_": ["1"]}}, {"host": {"before_": "x"}}):
        with pytest.raises(UnknownFilterError):
            listed(where)
    with pytest.raises(ValidationError, match="stalled"):
        listed({"status": {"any_": ["asleep"]}})


def test_what_is_asked_of_a_worker_waits_for_it(tg: Archive, pool: WorkerPool) -> None:
    begin(tg, pool)
    assert tg.workers.stop("w").wish is Wish.STOP
    assert tg.workers.stop("w", now=True).wish is Wish.STOP_NOW
    assert begin(tg, pool).wish is None
    assert tg.workers.set_status("w", "rebooting").status is WorkerStatus.REBOOTING
    with pytest.raises(ValidationError, match="rebooting"):
        tg.workers.set_status("w", "asleep")


def test_there_is_no_such_worker(tg: Archive, pool: WorkerPool) -> None:
    assert tg.workers.find("nobody") is None
    for ask in (tg.workers.get, tg.workers.heartbeat, tg.workers.stop, tg.workers.delete):
        with pytest.raises(WorkerNotFoundError, match="worker list"):
            ask("nobody")
    with pytest.raises(WorkerNotFoundError):
        tg.workers.set_status("nobody", "stopped")
    assert not tg.workers.delete("nobody", missing_ok=True)
    with pytest.raises(PoolNotFoundError):
        begin(tg, "nobody")
    for wrong in ({"pid": 0}, {"pid": True}, {"name": ""}, {"host": " "}, {"args": [1]}):
        with pytest.raises(ValidationError):
            begin(tg, pool, **{"name": "w", **wrong})  # type: ignore[arg-type]


def test_a_worker_that_is_deleted_is_forgotten_by_what_it_ran(
    tg: Archive, pool: WorkerPool
) -> None:
    begin(tg, pool)
    tg.workers.set_status("w", "stopped")
    assert tg.workers.delete("w")
    assert tg.workers.list() == []
    assert not list(check(tg.backend))
