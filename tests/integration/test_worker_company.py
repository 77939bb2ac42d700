"""What a worker does besides: it runs calls that others send, and tells who is to be told."""

from __future__ import annotations

import signal

import pytest

from taskgraph import Webhook
from taskgraph.records import (
    ExecutionId,
    JobId,
    LeaseRecord,
    Micros,
    RoutedCall,
    execution_lease,
)
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.holders import this_process
from taskgraph_backend.routing.calls import RoutedCalls, find_served
from tests.hooks import SECRET, Receiver
from tests.workers import SECONDS, Project, until

STEPS = """

@task(queue="gpu")
def heavy(n: int) -> int:
    begin(n)
    note("end", n, os.getpid())
    return 2 * n


@task
def both(n: int) -> list[int]:
    return [one(n), heavy(n + 1)]


@task(queue="gpu", executor="queues")
def far(n: int) -> int:
    begin(n)
    note("end", n, os.getpid())
    return n


@task
def later(n: int) -> int:
    return far(held(n) + 1)
"""


def waiting(project: Project) -> list[str]:
    """Return the queues of the calls that wait."""
    with project.archive.backend.reader() as reader:
        return [each.queue for each in reader.query(models.RoutedCall)]


def serving(project: Project) -> set[str]:
    """Return the queues that are served."""
    backend = project.archive.backend
    assert isinstance(backend, SqlBackend)
    return backend._ask(find_served)


def others_call(project: Project) -> None:
    """Have a call wait of a run that this very process would have."""
    backend, run = project.archive.backend, ExecutionId("e" * 32)
    assert isinstance(backend, SqlBackend)
    expires = Micros(backend.clock() + 3_600_000_000)
    backend.take([LeaseRecord(execution_lease(run), run, *this_process(), expires)])
    calls = RoutedCalls(backend)
    calls.put([RoutedCall("c" * 32, run, JobId("0" * 32), "gpu", "others", b"")])
    calls.close()


def with_steps(project: Project) -> Project:
    """Return the same project with a task that calls one of another queue."""
    script = project.folder / "flow.py"
    script.write_text(script.read_text() + STEPS)
    return project


def test_a_step_runs_on_the_worker_of_its_queue(served: Project) -> None:
    project = with_steps(served)
    made = project.submit("both", n=1)
    project.worker(queues="a", name="here")

    until(lambda: project.ran("end", 1), "the end of the step that is served here")
    assert until(lambda: waiting(project), "the call of another queue") == ["gpu"]
    assert project.ran("begin", 2) == []
    there = project.worker(queues="gpu", name="there")
    until(lambda: project.state(made) == "Completed")

    assert project.archive.find(made) is not None
    (one,) = project.ran("end", 1)
    (heavy,) = project.ran("end", 2)
    assert one[2] != heavy[2]
    assert there.poll() is None
    assert waiting(project) == []
    with project.archive.backend.reader() as reader:
        queues = {job.task.name: job.queue for job in reader.query(models.Job)}
    assert queues["heavy"] == "gpu"


def test_a_worker_that_ends_when_nothing_waits_serves_its_own_calls_first(
    served_small: Project,
) -> None:
    project = with_steps(served_small)
    made = project.submit("both", n=1)
    project.burst(queues="a,gpu")

    assert project.state(made) == "Completed"
    assert waiting(project) == []


def test_a_worker_that_is_drained_serves_what_its_own_executions_send_and_no_others(
    served_small: Project,
) -> None:
    project = with_steps(served_small)
    made = project.submit("later", n=1)
    worker = project.worker(queues="a,gpu")
    project.slot_of(1)
    worker.send_signal(signal.SIGTERM)
    until(lambda: not serving(project), "the end of what is served")

    others_call(project)
    project.go(1)
    assert worker.wait(SECONDS) == 0, project.log()

    assert project.state(made) == "Completed"
    assert len(project.ran("end", 2)) == 1
    with project.archive.backend.reader() as reader:
        (left,) = reader.query(models.RoutedCall)
        assert (left.task_name, left.taken_at) == ("others", None)


def test_a_worker_tells_who_is_to_be_told_of_what_it_ran(
    served: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    with Receiver() as receiver:
        target = Webhook(receiver.url, "env:HOOK")
        served.archive.policies.create("failed", states=["FAILED"], target=target)
        made = served.submit("fails", n=3)
        served.submit("one", n=4)
        served.burst()

    assert receiver.wrong == []
    (told,) = receiver.accepted
    assert told["data"]["execution"]["id"] == made
    assert SECRET not in served.log()


def test_a_receiver_that_is_away_keeps_no_worker_from_ending(
    served_small: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    with Receiver(answers=(500,) * 100) as receiver:
        target = Webhook(receiver.url, "env:HOOK")
        served_small.archive.policies.create("failed", states=["FAILED"], target=target)
        made = served_small.submit("fails", n=3)
        said = served_small.burst()

    assert served_small.state(made) == "Failed"
    assert "policy failed:" in said
    assert [each.attempts for each in served_small.archive.policies.notifications()] == [1]
