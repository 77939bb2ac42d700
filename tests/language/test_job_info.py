"""What a body may know of its job: told on every executor, counted and recorded nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskgraph import JobInfo, Scheduler, task
from taskgraph.records import JobRecord
from taskgraph.testing import MemoryBackend
from tests.language.tasks import (
    about_job,
    about_job_async,
    fail_with_job,
    inc,
    job_in_between,
    stepped_with_job,
)


def job_of(backend: MemoryBackend, name: str) -> JobRecord:
    found = [each for each in backend.jobs.values() if backend.tasks[each.task_hash].name == name]
    return found[-1]


def test_it_is_what_is_recorded(scheduler: Scheduler, backend: MemoryBackend) -> None:
    call = about_job.options(limits={"a": 1}, retries=inc(0), tags={"a": 1}, memory=2)

    found = scheduler.run([call(1)])[0]

    job = job_of(backend, "about_job")
    assert job.eval_hash is not None and job.call_hash is not None
    assert found == JobInfo(
        job.execution_id,
        job.id,
        job.eval_hash,
        backend.call_nodes[job.call_hash].args_hash,
        {"limits": {"a": 1}, "retries": 1, "tags": (("a", 1),), "memory": 2},
    )


def test_it_is_no_argument(scheduler: Scheduler, backend: MemoryBackend) -> None:
    first = scheduler.run(about_job(1))
    second = scheduler.run(about_job(x=1))

    assert first == second, "it is that of the job which ran"
    assert job_of(backend, "about_job").cached
    assert [each.arg_key for each in backend.arguments.values()] == ["x"]


def test_one_that_is_given_by_hand_is_given(scheduler: Scheduler, backend: MemoryBackend) -> None:
    mine = JobInfo("mine", "1")

    assert scheduler.run(about_job(1, mine)) == mine
    assert scheduler.run(about_job(2, JobInfo())).job_id == job_of(backend, "about_job").id
    assert scheduler.run(about_job(1)) == mine, "given or not, it does not count"
    assert about_job.func is not None
    assert about_job.func(1) == JobInfo()


def test_whatever_stands_around_it(scheduler: Scheduler, backend: MemoryBackend) -> None:
    found = scheduler.run(job_in_between(1))
    assert found == [1, job_of(backend, "job_in_between").id, (), 0]

    found = scheduler.run(job_in_between(1, JobInfo(), 2, 3, y=inc(1)))
    assert found == [1, job_of(backend, "job_in_between").id, (2, 3), 2]


def test_coroutines_and_scheduler_tasks_are_told(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    assert scheduler.run(about_job_async()) == job_of(backend, "about_job_async").id
    assert scheduler.run(stepped_with_job(inc(1))) == [2, job_of(backend, "stepped_with_job").id]


def test_all_attempts_are_of_one_job(
    scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path
) -> None:
    found = scheduler.run(fail_with_job.options(retries=3)(str(tmp_path / "ids")))

    assert found == job_of(backend, "fail_with_job").id


def test_a_job_that_leaves_no_records_has_an_id(scheduler: Scheduler) -> None:
    found = scheduler.run([about_job.options(prov=False)(1)])[0]

    assert len(found.job_id) == len(found.execution_id) == 32
    assert found.eval_hash is found.args_hash is None


def test_a_plan_and_a_failure_know_nothing_of_it(tmp_path: Path) -> None:
    def fail(x: int, job: JobInfo = JobInfo()) -> None:
        raise ValueError(x)

    failing = task(name="failing", namespace="job_info", version="1")(fail)
    with Scheduler(backend=f"sqlite:///{tmp_path}/taskgraph.db", executor="inline") as scheduler:
        assert [each.call for each in scheduler.plan(failing(1)).calls] == ["job_info.failing(x=1)"]
        caught: Any = None
        try:
            scheduler.run(failing(1))
        except ValueError as error:
            caught = error
        trace = caught.__taskgraph_trace__
        assert trace.tasks[-1].arguments == (("x", "1"),)
        again = scheduler.recorded_call(trace.tasks[-1].job_id)

    assert again.kwargs == {"x": 1}
