"""Workers as processes: what they take, how they stop, and what becomes of it if they die."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from taskgraph import File
from taskgraph.catalog.states import StateType
from taskgraph.records import ExecutionId, execution_lease
from taskgraph_backend.integrity import check
from tests.torture.races import race
from tests.workers import Project, lives, until

# What is taken


def test_what_one_process_submits_a_worker_in_another_runs(served: Project) -> None:
    one = served.submit("twice", n=1)
    other = served.submit("one", "elsewhere", n=9)
    wrong = served.submit("fails", n=3)

    said = served.burst()

    made = served.archive.executions.get(one)
    assert made.state.type is StateType.COMPLETED
    assert served.states(one) == ["Pending", "Running", "Completed"]
    assert (made.run_count, made.command) == (1, ())
    assert served.archive.find(one) is not None
    assert {n for _, n, _ in served.ran("end")} == {1, 2}
    assert served.state(wrong) == "Failed"
    assert served.state(other) == "Pending"
    assert f"{one[:8]} flow.twice was taken from a" in said
    assert f"{one[:8]} flow.twice is COMPLETED after" in said
    (worker,) = served.archive.workers.list()
    assert (worker.status, worker.pid, worker.restart_count) == ("stopped", None, 0)
    assert [each.queues for each in served.archive.pools.list()] == [("a",)]
    assert not list(check(served.archive.backend))


def test_a_task_that_the_worker_does_not_know_fails_and_says_how_to_start_it(
    served_small: Project,
) -> None:
    tg = served_small.archive
    lost = tg.executions.create("nowhere.main", {}, queues=["a"]).execution
    gone = tg.executions.create(
        "flow.one", {"n": 1}, queues=["a"], options={"script": "gone.py"}
    ).execution
    unfit = served_small.submit("one", m=1)
    known = tg.executions.create("flow.one", {"n": 5}, queues=["a"]).execution
    served_small.burst("--script", "flow.py")

    for each, text in ((lost, "--script FILE"), (gone, "gone.py"), (unfit, "m")):
        found = tg.executions.get(each)
        assert found.state.type is StateType.FAILED
        assert text in served_small.said(found.id)
    assert served_small.state(known.id) == "Completed"


def test_a_script_that_cannot_be_loaded_ends_the_worker(served_small: Project) -> None:
    worker = served_small.worker("--script", "missing.py")
    assert worker.wait(60) == 1
    assert "missing.py" in served_small.log()
    assert served_small.archive.workers.get("w").status == "stopped"


def test_a_script_that_is_half_edited_ends_no_worker_that_has_begun(served_small: Project) -> None:
    first = served_small.submit("one", n=1)
    worker = served_small.worker("--script", "flow.py")
    until(lambda: served_small.state(first) == "Completed")
    script = served_small.folder / "flow.py"
    good = script.read_text()

    script.write_text(good + "\n(")
    until(lambda: "cannot begin for now" in served_small.log(), "the slot that cannot begin")
    assert worker.poll() is None
    script.write_text(good + "\n")
    second = served_small.submit("one", n=2)

    until(lambda: served_small.state(second) == "Completed")
    assert worker.poll() is None


def test_a_worker_takes_so_many_at_most_and_the_first_first(served_small: Project) -> None:
    every = [served_small.submit("one", n=n) for n in range(5)]
    served_small.archive.executions.enqueue(every[4], priority=-1)

    assert served_small.worker("--max-executions", "3", "--concurrency", "2").wait(60) == 0

    ended = [served_small.state(each) for each in every]
    assert ended.count("Completed") == 3
    assert ended[4] == "Completed"


def test_code_that_is_edited_is_run_as_it_is_then(served_small: Project) -> None:
    first = served_small.submit("one", n=1)
    served_small.worker()
    until(lambda: served_small.state(first) == "Completed")
    script = served_small.folder / "flow.py"
    script.write_text(script.read_text().replace("return n\n", "return n + 100\n"))

    second = served_small.submit("one", n=1)
    until(lambda: served_small.state(second) == "Completed")

    tg = served_small.archive
    results = []
    for each in (first, second):
        job = tg.backend.get_job(tg.executions.get(each).job_id or "")
        assert job is not None and job.call_hash is not None
        results.append(tg.backend.get_call_cache(job.call_hash)[0])
    assert results == [1, 101]
    assert "was edited" in served_small.log()


def test_a_rerun_is_given_to_the_queues_of_the_first_one(served_small: Project) -> None:
    first = served_small.submit("one", n=1)
    served_small.burst()
    again = served_small.archive.executions.rerun(first, queue=True, no_cache=True)
    assert again.state.name == "Pending"
    served_small.burst()

    assert served_small.state(again.id) == "Completed"
    assert len(served_small.ran("end", 1)) == 2


def test_a_workspace_is_made_where_it_is_run(served_small: Project) -> None:
    tg, folder = served_small.archive, served_small.folder / "space"
    made = tg.executions.create(
        "flow.one", {"n": 1}, queues=["a"], workspace=folder, options={"script": "flow.py"}
    ).execution
    served_small.burst()

    assert tg.executions.get(folder).id == made.id
    assert (folder / "taskgraph.log").exists()


# How it stops


def test_a_worker_that_is_to_stop_ends_what_runs_and_takes_no_more(
    served_small: Project,
) -> None:
    one = served_small.submit("held", n=1)
    worker = served_small.worker()
    slot = served_small.slot_of(1)
    two = served_small.submit("one", n=2)
    served_small.archive.workers.stop("w")
    until(lambda: "takes no more" in served_small.log())
    assert lives(slot)
    served_small.go(1)

    assert worker.wait(60) == 0
    assert served_small.states(one) == ["Pending", "Running", "Completed"]
    assert served_small.state(two) == "Pending"
    assert served_small.archive.workers.get("w").status == "stopped"


def test_what_runs_goes_back_to_its_queues_at_the_second_signal(served_small: Project) -> None:
    one = served_small.submit("held", n=1)
    worker = served_small.worker()
    slot = served_small.slot_of(1)
    worker.send_signal(signal.SIGTERM)
    until(lambda: "takes no more" in served_small.log())
    assert lives(slot)
    worker.send_signal(signal.SIGINT)

    assert worker.wait(60) == 0
    assert not lives(slot)
    assert served_small.states(one)[-2:] == ["Running", "AwaitingRetry"]
    assert "was stopped" in served_small.said(one)
    served_small.go(1)
    served_small.burst()
    found = served_small.archive.executions.get(one)
    assert (found.state.type, found.run_count) == (StateType.COMPLETED, 2)
    assert not served_small.ran("overlap")


def test_one_that_was_cancelled_while_it_waited_is_not_run(served_small: Project) -> None:
    one = served_small.submit("one", n=1)
    served_small.archive.executions.set_state(one, "CANCELLED")
    served_small.burst()
    assert served_small.ran() == []
    assert served_small.states(one) == ["Pending", "Cancelled"]


# Who dies


@pytest.mark.parametrize(("code", "how"), [(-9, "signal 9"), (0, "code 0")])
def test_a_slot_that_dies_is_started_again_and_so_is_what_it_ran(
    served_small: Project, code: int, how: str
) -> None:
    one = served_small.submit("dies", n=1, times=1, code=code)
    two = served_small.submit("one", n=2)
    log = served_small.burst()

    # It may die before it was said to run.
    states = served_small.states(one)
    assert [each for each in states if each != "Running"] == [
        "Pending", "AwaitingRetry", "Pending", "Completed",
    ]  # fmt: skip
    assert served_small.archive.executions.get(one).run_count == states.count("Running")
    said = served_small.archive.executions.states(one)[states.index("AwaitingRetry")].message or ""
    assert "worker w on" in said and how in said
    assert f"ended by {how}" in log
    assert served_small.state(two) == "Completed"
    jobs = served_small.archive.executions.dependencies(one)
    assert [each.state.type for each in jobs].count(StateType.RUNNING) == 0
    assert not list(check(served_small.archive.backend))


def test_a_body_that_leaves_the_program_has_failed_and_ends_no_slot(served_small: Project) -> None:
    """Whatever it raises, and so of a script that does that when it is loaded."""
    (served_small.folder / "stops.py").write_text("raise KeyboardInterrupt\n")
    left = [served_small.submit("leaves", n=n) for n in range(4)]
    how = {"queues": ["a"], "options": {"script": "stops.py"}}
    stops = served_small.archive.executions.create("stops.main", **how).execution.id
    two = served_small.submit("one", n=7)
    log = served_small.burst()

    for n, one in enumerate(left):
        assert served_small.state(one) == "Failed"
        assert len(served_small.ran("begin", n)) == 1
    assert served_small.state(stops) == "Failed"
    assert "KeyboardInterrupt" in served_small.said(stops)
    assert served_small.state(two) == "Completed"
    assert "ended by" not in log
    assert "Traceback" not in log


def test_what_brings_down_each_worker_is_given_to_no_other_one(served_small: Project) -> None:
    poison, fine = served_small.submit("dies", n=1), served_small.submit("one", n=2)
    served_small.burst()

    found = served_small.archive.executions.get(poison)
    assert found.state.type is StateType.CRASHED
    assert "3 workers were lost with it" in served_small.said(poison)
    assert len(served_small.ran("begin", 1)) == 3
    assert served_small.state(fine) == "Completed"


def test_slots_end_with_their_supervisor_and_others_take_what_they_had(
    served_small: Project,
) -> None:
    one = served_small.submit("held", n=1)
    worker = served_small.worker()
    slot = served_small.slot_of(1)
    worker.kill()
    worker.wait()
    until(lambda: not lives(slot), "the end of the slot")
    assert served_small.archive.workers.get("w").status == "stalled"

    served_small.go(1)
    served_small.burst(name="other")
    assert served_small.state(one) == "Completed"
    assert served_small.archive.executions.get(one).run_count == 2
    assert not served_small.ran("overlap")


def test_one_that_stood_still_writes_nothing_when_it_wakes(served_small: Project) -> None:
    one = served_small.submit("held", n=1)
    served_small.worker()
    stood = served_small.slot_of(1)
    until(lambda: served_small.state(one) == "Running")
    os.kill(stood, signal.SIGSTOP)

    def expire(driver: Any) -> None:  # as after half a minute
        sql = "UPDATE lease SET expires = ? WHERE key = ?"
        driver.execute(sql, (1_000, execution_lease(ExecutionId(one))))

    served_small.archive.backend._transact(expire)
    served_small.archive.executions.sweep()
    assert served_small.state(one) == "AwaitingRetry"
    served_small.worker(name="other")
    until(lambda: len(served_small.ran("begin", 1)) == 2)
    until(lambda: served_small.states(one)[-1] == "Running")
    os.kill(stood, signal.SIGCONT)
    until(lambda: not lives(stood), "the end of who stood still")

    assert served_small.states(one)[-1] == "Running"
    served_small.go(1)
    until(lambda: served_small.state(one) == "Completed")
    assert served_small.states(one).count("Completed") == 1
    ended = {pid for _, _, pid in served_small.ran("end", 1)}
    assert ended == {served_small.ran("begin", 1)[-1][2]}


def test_workers_that_are_killed_at_random_end_each_execution_once(served: Project) -> None:
    race(served, workers=3, submissions=40, kills=6)


def test_a_stored_workflow_is_run_with_the_script_that_it_names(served_small: Project) -> None:
    tg = served_small.archive
    (served_small.folder / "steps.py").write_text(
        "from taskgraph import File, task\n"
        "taskgraph_namespace = 'steps'\n\n"
        "@task\ndef size(files: list[File]) -> int:\n"
        "    return sum(len(each.read()) for each in files)\n\n"
        "@task\ndef more(n: int, by: int = 1) -> int:\n    return n + by\n"
    )
    (served_small.folder / "data.txt").write_text("abc")
    flow = tg.workflows.create(
        "sizes", steps=["steps.size", ("steps.more", {"by": 2})], meta={"script": "steps.py"}
    )
    data = tg.datasets.register("data", [File(str(served_small.folder / "data.txt"))])
    made = tg.executions.create("sizes", workflow=flow, inputs=[data], queues=["a"]).execution
    served_small.burst()

    found = tg.executions.get(made)
    assert found.state.type is StateType.COMPLETED, found.state
    job = tg.backend.get_job(found.job_id or "")
    assert job is not None and job.call_hash is not None
    assert tg.backend.get_call_cache(job.call_hash)[0] == 5
