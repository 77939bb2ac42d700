"""Why a call ran although a result might have been there: noted on its job."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Dir, File, Scheduler, task
from taskgraph.tasks.registry import get_task_registry
from taskgraph.testing import MemoryBackend


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def scheduler(backend: MemoryBackend) -> Any:
    with Scheduler(backend=backend, executor="inline") as scheduler:
        yield scheduler


def misses(backend: MemoryBackend, task_hash: str) -> list[Any]:
    """Return what was noted on the jobs of a task, in the order in which they ended."""
    noted = [each.miss for each in backend.jobs.values() if each.task_hash == task_hash]
    return [None if each is None else tuple(json.loads(each).values()) for each in noted]


@task(namespace="misses")
def inc(x: int) -> int:
    return x + 1


@task(namespace="misses", max_age=timedelta(hours=1))
def aging(x: int) -> int:
    return x


@task(namespace="misses", max_age=3600, check_valid="shallow")
def aging_as_a_whole(x: int) -> Any:
    return inc(x)


def grow_old(backend: MemoryBackend, hours: float) -> None:
    """Let all that is recorded be so much older."""
    micros = round(hours * 3_600_000_000)
    for key, entry in backend.evaluations.items():
        backend.evaluations[key] = entry._replace(timestamp=entry.timestamp - micros)
    for calls in backend._calls_of.values():
        calls[:] = [each._replace(timestamp=each.timestamp - micros) for each in calls]


@task(namespace="misses", cache=False)
def always(x: int) -> int:
    return x


@task(namespace="misses", cache_scope="NONE")
def apart(x: int) -> int:
    return x


@task(namespace="misses")
def write(path: str) -> File:
    file = File(path)
    file.write("content")
    return file


@task(namespace="misses")
def fill(path: str) -> Dir:
    folder = Dir(path)
    File(f"{path}/a").write("a")
    File(f"{path}/b").write("b")
    return folder


def test_a_call_that_was_never_made_has_no_note(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(inc(1))
    scheduler.run(inc(1))

    assert misses(backend, inc.hash) == [None, None]


@pytest.mark.parametrize(
    ("called", "detail"), [(always, "cache=False"), (apart, "cache_scope=NONE")]
)
def test_a_cache_that_was_not_asked_is_noted_with_the_option(
    scheduler: Scheduler, backend: MemoryBackend, called: Any, detail: str
) -> None:
    scheduler.run(called(1))

    assert misses(backend, called.hash) == [("SCOPE", detail)]


def test_a_run_without_the_cache_is_noted(scheduler: Scheduler, backend: MemoryBackend) -> None:
    scheduler.run(inc(1), cache=False)

    assert misses(backend, inc.hash) == [("SCOPE", "the run was asked not to use it")]


def test_a_damaged_value_is_noted(scheduler: Scheduler, backend: MemoryBackend) -> None:
    scheduler.run(inc(1))
    (evaluation,) = backend.evaluations.values()
    broken = backend.values[evaluation.value_hash]._replace(value=b"other bytes")
    backend.values[evaluation.value_hash] = broken

    scheduler.run(inc(1))

    assert [each and each[0] for each in misses(backend, inc.hash)] == [None, "DAMAGED"]


def test_a_file_that_is_gone_and_one_that_changed_are_told_apart(
    scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path
) -> None:
    path = tmp_path / "out.txt"
    scheduler.run(write(str(path)))

    path.unlink()
    scheduler.run(write(str(path)))
    path.write_text("mine")
    scheduler.run(write(str(path)))

    assert misses(backend, write.hash) == [
        None,
        ("INVALID", f"{path}: it is not there any more"),
        ("INVALID", f"{path}: its content changed"),
    ]


def test_a_result_that_is_too_old_is_made_again_and_is_young_then(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(aging(1))
    grow_old(backend, 0.9)
    scheduler.run(aging(1))
    grow_old(backend, 0.2)
    scheduler.run(aging(1))
    grow_old(backend, 0.9)
    scheduler.run(aging(1))

    assert misses(backend, aging.hash) == [
        None,
        None,
        ("AGE", "it is 1:06:00 old, and may be 1:00:00"),
        None,
    ]
    assert [job.cached for job in backend.jobs.values()] == [False, True, False, True]


def test_the_age_of_a_call_may_be_given_where_it_is_made(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(inc(1))
    grow_old(backend, 1)

    scheduler.run(inc.options(max_age=7200)(1))
    scheduler.run(inc.options(max_age=60)(1))

    assert [job.cached for job in backend.jobs.values()] == [False, True, False]


def test_age_is_nothing_to_an_equal_call_of_the_same_run(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run([aging.options(max_age=1e-6)(1), aging.options(max_age=1e-6)(1)])

    of_task = [job for job in backend.jobs.values() if job.task_hash == aging.hash]
    assert sorted(job.cached for job in of_task) == [False, True]


def test_a_whole_call_that_is_too_old_is_put_together_again(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(aging_as_a_whole(1))
    scheduler.run(aging_as_a_whole(1))
    grow_old(backend, 2)
    scheduler.run(aging_as_a_whole(1))

    noted = misses(backend, aging_as_a_whole.hash)
    assert [each and each[0] for each in noted] == [None, None, "AGE"]
    # It ran again; what it calls has no such limit and did not.
    assert [job.cached for job in backend.jobs.values()].count(False) == 3


def test_a_folder_names_the_files_that_came_and_went(
    scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    scheduler.run(fill(str(path)))

    (path / "a").rename(path / "c")
    scheduler.run(fill(str(path)))
    (path / "b").write_text("mine")
    scheduler.run(fill(str(path)))

    assert misses(backend, fill.hash)[1:] == [
        ("INVALID", f"{path}: {path / 'a'} no longer there, {path / 'c'} newly there"),
        ("INVALID", f"{path}: the content of its files changed"),
    ]


def test_a_result_that_calls_what_is_gone_is_noted(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    @task(namespace="misses")
    def helper(x: int) -> int:
        return x

    @task(namespace="misses", version="1")
    def caller() -> Any:
        return helper(1) if "misses.helper" in get_task_registry() else 5

    scheduler.run(caller())
    del get_task_registry()._tasks["misses.helper"]
    scheduler.run(caller())

    assert [each and each[0] for each in misses(backend, caller.hash)] == [None, "UNPLANTED"]
