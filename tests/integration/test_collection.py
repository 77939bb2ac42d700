"""Values give up their bytes as a policy says; what is known of them stays, and lineage with it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.catalog.deletions import Policy
from taskgraph.errors import ValidationError
from taskgraph.records import LeaseRecord, Micros, execution_lease
from taskgraph_backend import SqlBackend
from taskgraph_backend.foreign import trust_all
from taskgraph_backend.growth.choosing import choose, still_free
from taskgraph_backend.holders import this_process
from taskgraph_backend.integrity import check
from taskgraph_backend.models import Base
from taskgraph_backend.moving import Mover
from tests.integration.test_deletion import counts, ids, lineage, root_call

taskgraph_namespace = "collection"

_KIB = 1024


@task
def blob(n: int, size: int) -> bytes:
    """Make some bytes."""
    return bytes([n]) * size


@task
def length(content: bytes) -> int:
    """Return how many there are."""
    return len(content)


@task
def job(n: int, size: int = 10 * _KIB) -> list[Any]:
    """Make bytes, and count them."""
    made = blob(n, size)
    return [length(made), n]


def live(tg: Archive) -> int:
    """Return how many bytes values have."""
    return sum(each.size for each in tg.storage.stats().types)


def rows_but_bytes(tg: Archive) -> Any:
    """Return all that lineage can be told from."""
    driver = tg.backend._connection()
    found = {}
    for table in Base.metadata.sorted_tables:
        if table.name in ("lease", "taskgraph_version"):
            continue
        names = [each.name for each in table.columns]
        if table.name == "value":
            names = [each for each in names if each not in ("format", "value", "seal")]
        rows = driver.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall()
        found[table.name] = sorted(
            str([bytes(each) if isinstance(each, memoryview) else each for each in row])
            for row in rows
        )
    return found


def test_what_was_used_longest_ago_goes_until_the_rest_fits(
    tg: Archive, recording: Scheduler
) -> None:
    for n in range(4):
        recording.run(job(n))
    recording.run(job(0))
    before = rows_but_bytes(tg)
    budget = live(tg) - 15 * _KIB

    planned = tg.storage.gc(max_size=budget, dry_run=True)
    assert rows_but_bytes(tg) == before
    done = tg.storage.gc(max_size=budget)

    assert rows_but_bytes(tg) == before
    assert check(tg.backend, deep=True) == []
    assert (done.evicted, done.evicted_size) == (planned.evicted, planned.evicted_size)
    assert live(tg) == done.size_after <= budget
    assert done.over == 0
    again = {n: _ran(tg, recording, n) for n in range(4)}
    assert {n for n, ran in again.items() if "blob" in ran} == {1, 2}
    assert check(tg.backend, deep=True) == []


def _ran(tg: Archive, recording: Scheduler, n: int) -> set[str]:
    """Run a job once more; return the tasks whose bodies ran."""
    recording.run(job(n))
    nodes = tg.executions.dependencies("-")
    return {each.task.rpartition(".")[2] for each in nodes if not each.cached}


def test_lineage_is_the_same_before_and_after_and_after_it_ran_again(
    tg: Archive, recording: Scheduler
) -> None:
    expected = recording.run(job(3))
    call = root_call(tg, ids(tg)[0])
    before = lineage(tg, call)
    page = tg.page(call)

    tg.storage.gc(max_size=0)

    assert lineage(tg, call) == before
    assert tg.page(call) == page
    assert recording.run(job(3)) == expected
    assert lineage(tg, call) == before
    value = tg.backend.get_call_cache(call)  # type: ignore[arg-type]
    assert value == (expected, True)


def test_a_miss_says_that_the_result_was_given_up(tg: Archive, recording: Scheduler) -> None:
    recording.run(job(3))
    tg.storage.gc(max_size=0)

    recording.run(job(3))

    explained = tg.explain("-")
    assert "EVICTED" in repr(explained)


def test_what_is_young_or_of_the_last_runs_or_pinned_stays(
    tg: Archive, recording: Scheduler
) -> None:
    for n in range(4):
        recording.run(job(n))
    first = ids(tg)[0]
    tg.backend.record_tags("Execution", first, [("pin", True)])
    tg.backend.record_tags("Execution", ids(tg)[1], [("pin", "no")])

    assert tg.storage.gc(older_than=timedelta(hours=1)).evicted == 0
    done = tg.storage.gc(keep_last=1, pins=["pin=true"])

    assert done.evicted_size > 20 * _KIB
    ran = [_ran(tg, recording, n) for n in (0, 3)]
    assert ran == [set(), set()]
    assert "blob" in _ran(tg, recording, 1)
    assert "blob" in _ran(tg, recording, 2)


def test_pins_are_of_any_record(tg: Archive, recording: Scheduler) -> None:
    for n in range(4):
        recording.run(job(n))
    driver = tg.backend._connection()

    def keys(sql: str) -> list[str]:
        return [bytes(key).hex() for (key,) in driver.execute(sql).fetchall()]

    (task_hash,) = keys("SELECT hash FROM task WHERE name = 'length'")
    blobs = keys(
        "SELECT c.call_hash FROM call_node c WHERE c.task_name = 'collection.blob'"
        " ORDER BY c.timestamp"
    )
    values = keys(
        "SELECT c.value_hash FROM call_node c WHERE c.task_name = 'collection.blob'"
        " ORDER BY c.timestamp"
    )
    jobs = keys(
        "SELECT j.id FROM job j JOIN call_node c ON c.call_hash = j.call_hash"
        " WHERE c.task_name = 'collection.job' ORDER BY j.start_time"
    )
    tg.backend.record_tags("Task", task_hash, [("archive", 1)])
    tg.backend.record_tags("CallNode", blobs[0], [("archive", 1)])
    tg.backend.record_tags("Value", values[1], [("archive", 1)])
    tg.backend.record_tags("Job", jobs[2], [("archive", 1)])

    # What a task was given is not kept for its sake, but its results are: here, numbers.
    kept = tg.storage.gc(max_size=0, pins=["archive"])

    assert kept.over > 3 * 10 * _KIB
    for each in values:
        assert tg.backend.get_value(each)[1]  # type: ignore[arg-type]
    kept = tg.storage.gc(max_size=0)
    for each in values:
        assert not tg.backend.get_value(each)[1]  # type: ignore[arg-type]


def test_a_pin_is_one_text_and_whatever_has_such_a_tag_is_no_trouble(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(job(1))
    made = tg.executions.get("-")
    tg.backend.record_tags("Execution", made.id, [("pin", "paper")])
    (tmp_path / "a.txt").write_text("a")
    # A facet and a dimension are tags as well.
    tg.datasets.register("raw", [tmp_path / "a.txt"], facets={"pin": "paper"})
    tg.vocabulary.define("pin")
    tg.artifacts.add(made, "data", "number", value=7, dimensions={"pin": "paper"})

    assert tg.storage.stats().evictable == 0
    assert tg.storage.gc(max_size=0, pins="pin=paper").evicted == 0
    assert tg.storage.gc(max_size=0, pins="pin=thesis").evicted > 0


def test_what_is_used_or_bound_after_it_was_chosen_stays(tg: Archive, recording: Scheduler) -> None:
    for n in range(3):
        recording.run(job(n))
    driver = tg.backend._connection()
    chosen = choose(driver, Policy(max_size=0)).values
    assert len([each for each in chosen if each.size > 10 * _KIB]) == 3

    recording.run(job(1))  # from the cache: it is used, and what it is made of is not
    (value,) = driver.execute(
        "SELECT value_hash FROM call_node WHERE task_name = 'collection.blob' LIMIT 1"
    ).fetchone()
    driver.execute(
        "UPDATE execution SET snapshot_hash = ? WHERE id = ?",
        (bytes(value), bytes.fromhex(ids(tg)[0])),
    )

    free = {each.key for each in still_free(driver, chosen)}
    used = {
        bytes(key)
        for (key,) in driver.execute(
            "SELECT c.value_hash FROM job j JOIN call_node c ON c.call_hash = j.call_hash"
            " WHERE j.cached AND j.execution_id = ?",
            (bytes.fromhex(ids(tg)[-1]),),
        ).fetchall()
    }
    assert used
    assert bytes(value) not in free
    assert not free & used
    assert free < {each.key for each in chosen}
    assert free


def test_without_a_policy_nothing_is_given_up(tg: Archive, recording: Scheduler) -> None:
    recording.run(job(1))
    before = rows_but_bytes(tg)
    size = live(tg)

    done = tg.storage.gc()

    assert (done.evicted, done.calls, done.values) == (0, 0, 0)
    assert rows_but_bytes(tg) == before
    assert live(tg) == size


def test_what_people_gave_to_a_call_is_kept(tg: Archive, recording: Scheduler) -> None:
    recording.run(length(b"x" * 50 * _KIB))

    done = tg.storage.gc(max_size=0)

    assert done.over > 50 * _KIB


def test_values_that_nothing_names_go(tg: Archive) -> None:
    kept = tg.backend.record_value(["kept"])
    tg.backend.record_tags("Value", kept, [("note", "mine")])
    lost = tg.backend.record_value(["lost"])

    done = tg.storage.gc()

    assert done.values == 1
    assert tg.backend.get_value(kept)[1]
    assert not tg.backend.get_value(lost)[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_size": -1}, "max_size -1"),
        ({"max_size": "many"}, "10 GiB"),
        ({"older_than": timedelta(-1)}, "older_than"),
        ({"keep_last": -1}, "keep_last -1"),
        ({"max_size": [1]}, "max_size"),
        ({"older_than": 90}, "timedelta"),
        ({"keep_last": "3"}, "keep_last '3'"),
        ({"pins": [5]}, "pins"),
        ({"pins": [""]}, "pins"),
    ],
)
def test_what_is_no_policy_is_refused(tg: Archive, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        tg.storage.gc(**given)


def test_a_dry_run_says_what_is_done_then(tg: Archive, recording: Scheduler) -> None:
    for n in range(4):
        recording.run(job(n))
    place, other = this_process(), "ab" * 16
    lease = LeaseRecord(
        execution_lease(other),  # type: ignore[arg-type]
        other,
        place.host,
        place.pid,
        place.started,
        Micros(tg.backend.clock() + 60_000_000),
    )
    tg.backend.take([lease])
    tg.executions.delete("-")  # its calls are left, for somebody runs

    for _ in range(2):
        would = tg.storage.gc(max_size=15 * _KIB, dry_run=True)
        done = tg.storage.gc(max_size=15 * _KIB)
        assert replace(would, is_dry_run=False) == done
        tg.backend.release(other, [lease.key])

    assert (done.calls, done.left) == (3, 0) and done.values > 3
    assert tg.storage.gc(dry_run=True).values == 0


def test_what_gave_up_its_bytes_elsewhere_answers_nothing_and_is_sound(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(job(1))
    tg.storage.gc(max_size=0)
    with SqlBackend(f"sqlite:///{tmp_path / 'other.db'}") as other:
        Mover(tg.backend, other, "lab").move()
        assert check(other, deep=True) == []
        with other._writing() as driver:
            trust_all(driver)

        assert check(other, deep=True) == []
        with Scheduler(backend=other) as scheduler:
            assert scheduler.run(job(1)) == [10 * _KIB, 1]
        other.load()
        assert check(other, deep=True) == []


# The value store


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    """A database whose values of a kilobyte and more lie beside it."""
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    with taskgraph.open(uri, migrate=True) as tg:
        backend = SqlBackend(uri, {"value_store_min_size": 1000})
        backend.load()
        with Scheduler(backend=backend) as scheduler:
            yield tg, scheduler, tmp_path / "taskgraph.db-values"
        backend.close()


def entries(folder: Path) -> list[Path]:
    """Return the entries of a store."""
    return sorted(each for each in folder.glob("??/*") if each.is_file())


def test_entries_of_the_value_store_go_with_their_values(stored: Any) -> None:
    tg, scheduler, folder = stored
    scheduler.run(job(1))
    scheduler.run(job(2))
    assert len(entries(folder)) == 2
    assert tg.storage.stats().store_entries == 2

    # They were written just now: whoever is about to name them has an hour for that.
    assert tg.storage.gc(max_size=0).entries == 0
    assert len(entries(folder)) == 2
    done = tg.storage.gc(max_size=0, grace=timedelta(0))

    assert (done.entries, entries(folder)) == (2, [])
    assert check(tg.backend, deep=True) == []
    assert scheduler.run(job(1)) == [10 * _KIB, 1]
    assert len(entries(folder)) == 1
    assert check(tg.backend, deep=True) == []


def test_entries_go_with_what_is_deleted_unless_somebody_wants_them(stored: Any) -> None:
    tg, scheduler, folder = stored
    for n in (1, 2):
        scheduler.run(job(n))
    for each in entries(folder):
        os.utime(each, (1, 1))
    first, second = ids(tg)

    tg.executions.delete(first)
    assert len(entries(folder)) == 1
    (left,) = entries(folder)
    scheduler.backend.value_store.publish("x", left.read_bytes())  # somebody makes the same
    tg.executions.delete(second)

    assert entries(folder) == [left]
    os.utime(left, (1, 1))
    assert tg.storage.gc().entries == 1
    assert entries(folder) == []


def test_entries_that_are_wanted_or_nobody_knows(stored: Any) -> None:
    tg, scheduler, folder = stored
    scheduler.run(job(1))
    stranger = folder / "ab" / ("cd" * 15)
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes(b"left by somebody who was killed")

    assert tg.storage.gc(dry_run=True, grace=timedelta(0)).entries == 1
    assert tg.storage.gc(grace=timedelta(0)).entries == 1

    assert not stranger.exists()
    assert len(entries(folder)) == 1
    tg.executions.delete("-")
    tg.storage.gc(grace=timedelta(0))
    assert entries(folder) == []


def test_space_is_given_back_to_the_file_system(stored: Any, tmp_path: Path) -> None:
    tg, scheduler, _ = stored
    for n in range(40):
        scheduler.run(job(n, 900))
        scheduler.run(blob(n, 999))
    tg.executions.delete_many(all=True)
    before = tg.storage.stats()
    assert before.free_size > 100 * _KIB

    freed = tg.storage.compact()

    after = tg.storage.stats()
    assert freed == before.file_size - after.file_size >= before.free_size - 4096
    assert after.free_size == 0
    assert (tmp_path / "taskgraph.db").stat().st_size == after.file_size


def test_what_is_counted_is_what_is_there(tg: Archive, recording: Scheduler) -> None:
    recording.run(job(1))
    tg.storage.gc(max_size=0)

    found = tg.storage.stats()

    for name, number in counts(tg).items():
        assert found.tables[name][0] == number
    by_type = {each.type: each for each in found.types}
    assert (by_type["builtins.bytes"].evicted, by_type["builtins.bytes"].size) == (1, 0)
    assert sum(number for _, number, _ in found.sizes) == sum(
        each.count - each.evicted for each in found.types
    )
    assert sum(size for _, _, size in found.sizes) == sum(each.size for each in found.types)
    assert (found.unneeded_calls, found.unneeded_values, found.evictable) == (0, 0, 0)
    assert found.to_json()["tables"]["job"]["rows"] == 3
