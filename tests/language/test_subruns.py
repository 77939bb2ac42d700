"""`subrun`: a workflow within a workflow, with a scheduler of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import JobInfo, Scheduler, catch, get_context, subrun, task
from taskgraph.config import Settings
from taskgraph.errors import SchedulerError, WorkerLostError
from taskgraph.functools import no_prov
from taskgraph.subruns import _modules_of
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.language.tasks import add, describe, double, fail, inc, total

EXECUTORS = ["threads", "processes"]


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    (tmp_path / ".taskgraph").mkdir()
    return Settings(tmp_path / ".taskgraph")


@pytest.fixture
def scheduler(project: Settings) -> Iterator[Scheduler]:
    with Scheduler(project, executor="threads") as made:
        yield made


def jobs_of(scheduler: Scheduler, number: int = 1) -> list[tuple[int, str, bool]]:
    """Return depth, name and whether it was cached of each job of a run, the newest by default."""
    with scheduler.reading() as reader:
        execution = reader.newest_execution(number)
        tree = reader.job_tree(execution.id)
        return [(depth, job.task.fullname, job.cached) for depth, job in tree.walk()]


@task(namespace="subruns", version="1")
def noted(folder: str, n: int) -> int:
    with open(Path(folder) / "ran.txt", "a") as file:
        file.write(f"{n}\n")
    return n


def ran(folder: Path) -> list[str]:
    path = folder / "ran.txt"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize("executor", EXECUTORS)
def test_it_gives_the_value_and_its_calls_are_below_its_own(
    scheduler: Scheduler, executor: str
) -> None:
    assert scheduler.run(inc(subrun(total([inc(1), double(3)]), executor))) == 9

    assert sorted(jobs_of(scheduler)) == [
        (0, "taskgraph.root_task", False),
        (1, "language.inc", False),
        (1, "taskgraph.subrun", False),
        (2, "taskgraph.root_task", False),
        (3, "language.double", False),
        (3, "language.inc", False),
        (3, "language.total", False),
    ]
    assert isinstance(scheduler.backend, SqlBackend)
    assert check(scheduler.backend) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_nothing_runs_again(scheduler: Scheduler, executor: str, tmp_path: Path) -> None:
    expr = subrun([noted(str(tmp_path), n) for n in range(3)], executor)
    for _ in range(2):
        assert scheduler.run(expr) == [0, 1, 2]

    assert sorted(ran(tmp_path)) == ["0", "1", "2"]
    assert scheduler.run(noted(str(tmp_path), 1)) == 1
    assert ran(tmp_path) == []
    assert all(cached for depth, _, cached in jobs_of(scheduler, 2) if depth)


def test_a_call_that_is_taken_as_a_whole_sees_an_edit_in_it(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    @task(namespace="subruns", version="1", check_valid="shallow")
    def whole() -> Any:
        return subrun(inner(1), "threads")

    @task(namespace="subruns", name="inner", version="1")
    def inner(n: int) -> int:
        return n + 1

    assert scheduler.run(whole()) == 2
    assert scheduler.run(whole()) == 2
    assert [name for _, name, _ in jobs_of(scheduler)] == ["subruns.whole"]

    @task(namespace="subruns", name="inner", version="2")
    def edited(n: int) -> int:
        return n + 10

    assert scheduler.run(whole()) == 11


@pytest.mark.parametrize("executor", EXECUTORS)
def test_its_errors_are_those_of_its_calls(scheduler: Scheduler, executor: str) -> None:
    with pytest.raises(ValueError, match="inside"):
        scheduler.run(subrun(fail("inside"), executor))
    names = [name for _, name, _ in jobs_of(scheduler)]
    assert names == ["taskgraph.subrun", "language.fail"]

    expr = catch(subrun(fail("caught"), executor), ValueError, describe)
    assert scheduler.run(expr) == "ValueError caught"


@task(namespace="subruns", version="1")
def vanish(n: int, job: JobInfo = JobInfo()) -> int:
    os._exit(n)  # its job is written down, for the body is told of it


@task(namespace="subruns", version="1")
def vanish_below(n: int) -> Any:
    return add(inc(n), vanish.options(executor="inline")(n))


@pytest.mark.parametrize("is_caught", [False, True])
def test_a_worker_that_dies_in_it_leaves_no_job_running(
    scheduler: Scheduler, is_caught: bool
) -> None:
    expr = subrun(vanish_below(3), "processes")
    if is_caught:
        scheduler.run(catch(expr, Exception, describe))
    else:
        with pytest.raises(WorkerLostError):
            scheduler.run(expr)

    assert isinstance(scheduler.backend, SqlBackend)
    assert check(scheduler.backend) == []
    with scheduler.reading() as reader:
        execution = reader.newest_execution()
        assert execution is not None
        states = {job.task.name: job.state_type for job in execution.jobs}
    assert states["vanish_below"] == states["vanish"] == "CANCELLED"


def test_context_and_options_that_are_handed_on_reach_it(scheduler: Scheduler) -> None:
    @task(namespace="subruns", version="1")
    def reads(value: Any = get_context("place")) -> Any:
        return value

    @task(namespace="subruns", version="1", export_options={"tags": [("handed", "on")]})
    def caller() -> Any:
        return subrun(reads(), "threads")

    assert scheduler.run(caller(), context={"place": "here"}) == "here"
    assert scheduler.run(caller(), context={"place": "there"}) == "there"
    with scheduler.reading() as reader:
        tree = reader.job_tree(reader.newest_execution().id)
        jobs = {job.id: job.task.name for _, job in tree.walk()}
    assert isinstance(scheduler.backend, SqlBackend)
    tags = scheduler.backend.get_tags(list(jobs))
    assert "reads" in {jobs[each] for each, found in tags.items() if "handed" in found}


def test_it_may_be_an_execution_of_its_own(scheduler: Scheduler, tmp_path: Path) -> None:
    expr = subrun(noted(str(tmp_path), 1), "threads", new_execution=True)

    assert scheduler.run(expr, execution_id="a" * 32) == 1

    trees = {tuple(name for _, name, _ in jobs_of(scheduler, n)) for n in (1, 2)}
    assert trees == {("taskgraph.subrun",), ("subruns.noted",)}
    with scheduler.reading() as reader:
        ids = [reader.newest_execution(number).id for number in (1, 2)]
    assert isinstance(scheduler.backend, SqlBackend)
    tags = scheduler.backend.get_tags(ids).values()
    assert [each["taskgraph.parent_execution"] for each in tags if each] == [["a" * 32]]


def test_it_may_have_another_database(scheduler: Scheduler, tmp_path: Path) -> None:
    other = tmp_path / "other" / ".taskgraph"
    other.mkdir(parents=True)

    @task(namespace="subruns", version="1", check_valid="shallow")
    def far() -> Any:
        return subrun(noted(str(tmp_path), 7), "threads", config_dir=str(other))

    assert scheduler.run(far()) == 7
    assert ran(tmp_path) == ["7"]
    assert scheduler.run(far()) == 7
    assert ran(tmp_path) == []
    assert [name for _, name, _ in jobs_of(scheduler)] == ["subruns.far", "taskgraph.subrun"]
    with Scheduler(Settings(other)) as there:
        assert ("subruns.noted", True) in {(name, cached) for _, name, cached in jobs_of(there)}


def test_a_database_in_memory_cannot_be_shared() -> None:
    for backend in (MemoryBackend(), "sqlite:///:memory:"):
        with (
            Scheduler(backend=backend, executor="inline") as made,
            pytest.raises(SchedulerError, match="this one is in memory"),
        ):
            made.run(subrun(inc(1), "inline"))


def test_a_run_is_extended_below_a_job(scheduler: Scheduler, project: Settings) -> None:
    scheduler.run(add(1))
    with scheduler.reading() as reader:
        execution = reader.newest_execution()
        (job,) = execution.jobs
        job_id = job.id

    with Scheduler(project) as other:
        found = other.extend_run(double(4), job_id)
    assert found.value == 8
    assert jobs_of(scheduler) == [(0, "language.add", False), (1, "language.double", False)]
    with scheduler.reading() as reader:
        assert reader.newest_execution().id == execution.id
        assert Counter(each.status for each in reader.executions()) == {"DONE": 1}


def test_what_is_handed_on_is_for_its_calls_and_not_for_itself(scheduler: Scheduler) -> None:
    @task(namespace="subruns", version="1")
    def caller(n: int) -> Any:
        return subrun(inc(n), "threads")

    exported = caller.export_options(limits=["api"], timeout=60, retries=1)
    assert scheduler.run(exported(5)) == 6
    assert scheduler.run(caller(6), options={"limits": ["api"]}) == 7


def test_how_the_run_is_carried_out_is_how_it_is(scheduler: Scheduler, tmp_path: Path) -> None:
    expr = subrun(noted(str(tmp_path), 1), "threads")
    scheduler.run(expr)
    scheduler.run(expr, cache=False)
    scheduler.run(expr, options={"cache": False})
    assert ran(tmp_path) == ["1"] * 3


def test_where_nothing_is_recorded_nothing_of_it_is(scheduler: Scheduler, tmp_path: Path) -> None:
    expr = subrun(noted(str(tmp_path), 1), "threads")

    @task(namespace="subruns", version="1")
    def caller() -> Any:
        return subrun(noted(str(tmp_path), 2), "threads")

    assert scheduler.run(no_prov(expr)) == 1
    assert scheduler.run(caller.options(prov=False)()) == 2
    assert scheduler.run(expr, options={"prov": False}) == 1
    assert scheduler.run(subrun(noted.options(prov=False)(str(tmp_path), 3), "threads")) == 3
    assert isinstance(scheduler.backend, SqlBackend)
    assert check(scheduler.backend) == []
    with scheduler.reading() as reader:
        names = {job.task.fullname for each in reader.executions() for job in each.execution.jobs}
    assert "subruns.noted" not in names


@task(namespace="subruns", version="1")
def whole_with_failure(n: int) -> Any:
    return subrun([inc(n), fail("inside")], "processes")


def test_one_that_failed_may_be_run_again(scheduler: Scheduler) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"):
            scheduler.run(whole_with_failure(1))


def test_tasks_that_are_given_as_values_are_there_as_well() -> None:
    given = catch(add(1, 2), ValueError, {"by": [describe.partial(3)]})

    assert set(_modules_of([given])) >= {catch.func.__module__, describe.func.__module__}
