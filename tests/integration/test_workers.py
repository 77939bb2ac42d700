"""Workers as processes: what they take, how they stop, and what becomes of it if they die."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from taskgraph.catalog.states import StateType
from taskgraph.records import ExecutionId, execution_lease
from taskgraph_backend.integrity import check
from tests.torture.races import race
from tests.workers import Project, lives, project, small_project, until

__all__ = ["project", "small_project"]  # fixtures


# What is taken


def test_what_one_process_submits_a_worker_in_another_runs(project: Project) -> None:
    one = project.submit("twice", n=1)
    other = project.submit("one", "elsewhere", n=9)
    wrong = project.submit("fails", n=3)

    said = project.burst()

    made = project.archive.executions.get(one)
    assert made.state.type is StateType.COMPLETED
    assert project.states(one) == ["Pending", "Running", "Completed"]
    assert (made.run_count, made.command) == (1, ())
    assert project.archive.find(one) is not None
    assert {n for _, n, _ in project.ran("end")} == {1, 2}
    assert project.state(wrong) == "Failed"
    assert project.state(other) == "Pending"
    assert f"{one[:8]} flow.twice was taken from a" in said
    assert f"{one[:8]} flow.twice is COMPLETED after" in said
    (worker,) = project.archive.workers.list()
    assert (worker.status, worker.pid, worker.restart_count) == ("stopped", None, 0)
    assert [each.queues for each in project.archive.pools.list()] == [("a",)]
    assert not list(check(project.archive.backend))


def test_a_task_that_the_worker_does_not_know_fails_and_says_how_to_start_it(
    small_project: Project,
) -> None:
    tg = small_project.archive
    lost = tg.executions.create("nowhere.main", {}, queues=["a"]).execution
    gone = tg.executions.create(
        "flow.one", {"n": 1}, queues=["a"], options={"script": "gone.py"}
    ).execution
    unfit = small_project.submit("one", m=1)
    known = tg.executions.create("flow.one", {"n": 5}, queues=["a"]).execution
    small_project.burst("--script", "flow.py")

    for each, text in ((lost, "--script FILE"), (gone, "gone.py"), (unfit, "m")):
        found = tg.executions.get(each)
        assert found.state.type is StateType.FAILED
        assert text in (found.state.message or "")
    assert small_project.state(known.id) == "Completed"


def test_a_script_that_cannot_be_loaded_ends_the_worker(small_project: Project) -> None:
    worker = small_project.worker("--script", "missing.py")
    assert worker.wait(60) == 1
    assert "missing.py" in small_project.log()
    assert small_project.archive.workers.get("w").status == "stopped"


def test_a_worker_takes_so_many_at_most_and_the_first_first(small_project: Project) -> None:
    every = [small_project.submit("one", n=n) for n in range(5)]
    small_project.archive.executions.enqueue(every[4], priority=-1)

    assert small_project.worker("--max-executions", "3", "--concurrency", "2").wait(60) == 0

    ended = [small_project.state(each) for each in every]
    assert ended.count("Completed") == 3
    assert ended[4] == "Completed"


def test_code_that_is_edited_is_run_as_it_is_then(small_project: Project) -> None:
    first = small_project.submit("one", n=1)
    small_project.worker()
    until(lambda: small_project.state(first) == "Completed")
    script = small_project.folder / "flow.py"
    script.write_text(script.read_text().replace("return n\n", "return n + 100\n"))

    second = small_project.submit("one", n=1)
    until(lambda: small_project.state(second) == "Completed")

    tg = small_project.archive
    results = []
    for each in (first, second):
        job = tg.backend.get_job(tg.executions.get(each).job_id or "")
        assert job is not None and job.call_hash is not None
        results.append(tg.backend.get_call_cache(job.call_hash)[0])
    assert results == [1, 101]
    assert "was edited" in small_project.log()


def test_a_rerun_is_given_to_the_queues_of_the_first_one(small_project: Project) -> None:
    first = small_project.submit("one", n=1)
    small_project.burst()
    again = small_project.archive.executions.rerun(first, queue=True, no_cache=True)
    assert again.state.name == "Pending"
    small_project.burst()

    assert small_project.state(again.id) == "Completed"
    assert len(small_project.ran("end", 1)) == 2


def test_a_workspace_is_made_where_it_is_run(small_project: Project) -> None:
    tg, folder = small_project.archive, small_project.folder / "space"
    made = tg.executions.create(
        "flow.one", {"n": 1}, queues=["a"], workspace=folder, options={"script": "flow.py"}
    ).execution
    small_project.burst()

    assert tg.executions.get(folder).id == made.id
    assert (folder / "taskgraph.log").exists()


# How it stops


@pytest.mark.parametrize("how", ["signal", "wish"])
def test_a_worker_that_is_to_stop_ends_what_runs_and_takes_no_more(
    small_project: Project, how: str
) -> None:
    one = small_project.submit("held", n=1)
    worker = small_project.worker()
    slot = small_project.slot_of(1)
    two = small_project.submit("one", n=2)
    if how == "signal":
        worker.send_signal(signal.SIGTERM)
    else:
        small_project.archive.workers.stop("w")
    until(lambda: "takes no more" in small_project.log())
    assert lives(slot)
    small_project.go(1)

    assert worker.wait(60) == 0
    assert small_project.states(one) == ["Pending", "Running", "Completed"]
    assert small_project.state(two) == "Pending"
    assert small_project.archive.workers.get("w").status == "stopped"


@pytest.mark.parametrize("how", ["signal", "wish"])
def test_what_runs_goes_back_to_its_queues_when_it_stops_now(
    small_project: Project, how: str
) -> None:
    one = small_project.submit("held", n=1)
    worker = small_project.worker()
    slot = small_project.slot_of(1)
    if how == "signal":
        worker.send_signal(signal.SIGINT)
        until(lambda: "takes no more" in small_project.log())
        worker.send_signal(signal.SIGINT)
    else:
        small_project.archive.workers.stop("w", now=True)

    assert worker.wait(60) == 0
    assert not lives(slot)
    assert small_project.states(one)[-2:] == ["Running", "AwaitingRetry"]
    assert "was stopped" in (small_project.archive.executions.get(one).state.message or "")
    small_project.go(1)
    small_project.burst()
    found = small_project.archive.executions.get(one)
    assert (found.state.type, found.run_count) == (StateType.COMPLETED, 2)
    assert not small_project.ran("overlap")


def test_one_that_was_cancelled_while_it_waited_is_not_run(small_project: Project) -> None:
    one = small_project.submit("one", n=1)
    small_project.archive.executions.set_state(one, "CANCELLED")
    small_project.burst()
    assert small_project.ran() == []
    assert small_project.states(one) == ["Pending", "Cancelled"]


# Who dies


def test_a_slot_that_dies_is_started_again_and_so_is_what_it_ran(project: Project) -> None:
    one, two = project.submit("dies", n=1, times=1), project.submit("one", n=2)
    said = project.burst()

    assert project.states(one) == [
        "Pending", "Running", "AwaitingRetry", "Pending", "Running", "Completed",
    ]  # fmt: skip
    found = project.archive.executions.get(one)
    assert (found.run_count, found.state.type) == (2, StateType.COMPLETED)
    message = project.archive.executions.states(one)[2].message or ""
    assert "worker w on" in message and "signal 9" in message
    assert "ended by signal 9" in said
    assert project.state(two) == "Completed"
    jobs = project.archive.executions.dependencies(one)
    assert [each.state.type for each in jobs].count(StateType.RUNNING) == 0
    assert not list(check(project.archive.backend))


def test_what_brings_down_each_worker_is_given_to_no_other_one(small_project: Project) -> None:
    poison, fine = small_project.submit("dies", n=1), small_project.submit("one", n=2)
    small_project.burst()

    found = small_project.archive.executions.get(poison)
    assert (found.state.type, found.run_count) == (StateType.CRASHED, 3)
    assert "3 workers were lost with it" in (found.state.message or "")
    assert len(small_project.ran("begin", 1)) == 3
    assert small_project.state(fine) == "Completed"


def test_slots_end_with_their_supervisor_and_others_take_what_they_had(
    small_project: Project,
) -> None:
    one = small_project.submit("held", n=1)
    worker = small_project.worker()
    slot = small_project.slot_of(1)
    worker.kill()
    worker.wait()
    until(lambda: not lives(slot), "the end of the slot")
    assert small_project.archive.workers.get("w").status == "stalled"

    small_project.go(1)
    small_project.burst(name="other")
    assert small_project.state(one) == "Completed"
    assert small_project.archive.executions.get(one).run_count == 2
    assert not small_project.ran("overlap")


def test_one_that_stood_still_writes_nothing_when_it_wakes(project: Project) -> None:
    one = project.submit("held", n=1)
    project.worker()
    stood = project.slot_of(1)
    until(lambda: project.state(one) == "Running")
    os.kill(stood, signal.SIGSTOP)

    def expire(driver: Any) -> None:  # as after half a minute
        sql = "UPDATE lease SET expires = ? WHERE key = ?"
        driver.execute(sql, (1_000, execution_lease(ExecutionId(one))))

    project.archive.backend._transact(expire)
    project.archive.executions.sweep()
    assert project.state(one) == "AwaitingRetry"
    project.worker(name="other")
    until(lambda: len(project.ran("begin", 1)) == 2)
    until(lambda: project.states(one)[-1] == "Running")
    os.kill(stood, signal.SIGCONT)
    until(lambda: not lives(stood), "the end of who stood still")

    assert project.states(one)[-1] == "Running"
    project.go(1)
    until(lambda: project.state(one) == "Completed")
    assert project.states(one).count("Completed") == 1
    ended = {pid for _, _, pid in project.ran("end", 1)}
    assert ended == {project.ran("begin", 1)[-1][2]}


def test_workers_that_are_killed_at_random_end_each_execution_once(project: Project) -> None:
    race(project, workers=3, submissions=40, kills=6)
