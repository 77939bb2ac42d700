"""What people do with queues and workers, from a shell and on both databases."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

import taskgraph
from tests.workers import until


@pytest.fixture
def project(flow: Any, database_uri: str) -> Any:
    """A project that cleans files and joins them, recorded in a database of each kind."""
    lines = f"[backend]\ndb_uri = {json.dumps(database_uri)}\nautomigrate = true\n"
    flow.write(".taskgraph/config.toml", f"{lines}[workers]\npoll = 0.05\n")
    taskgraph.open(database_uri, migrate=True).close()
    return flow


def burst(project: Any, *words: str) -> Any:
    done = project("worker", "start", "--pool", "p", "--queues", "gpu,big", "--burst", *words)
    assert done.code == 0, done.err
    return done


def test_a_task_is_routed_to_a_named_queue_and_run_by_a_worker_of_it(project: Any) -> None:
    words = ("submit", "--queue", "gpu", "--key", "monday", "flow.py", "main", "--n", "1")
    submitted, again = project(*words), project(*words)
    words = ("submit", "--json", "--queue", "cpu", "flow.py", "half", "--x", "4")
    other = json.loads(project(*words).out)
    assert (submitted.code, again.code) == (0, 0)
    assert "waits in gpu" in submitted.out and "submitted before" in again.out
    assert "taskgraph worker start --pool gpu --queues gpu" in submitted.err
    assert project.ran() == []

    said = burst(project).out

    assert "flow.main is COMPLETED" in said
    assert project.ran() == ["clean in0.txt", "join"]
    states = {
        each["entrypoint"]: each["state"]["type"]
        for each in project.json("execution", "list")["executions"]
    }
    assert states == {"flow.main": "COMPLETED", "flow.half": "PENDING"}
    assert project("execution", "enqueue", other["id"], "--queue", "big").code == 0
    burst(project, "--name", "second")
    assert project.json("execution", "show", other["id"])["state"]["type"] == "COMPLETED"
    pools = project.json("worker", "pools")["pools"]
    assert [(each["name"], each["queues"]) for each in pools] == [("p", ["big", "gpu"])]


def test_who_waits_is_told_how_it_ended(project: Any) -> None:
    line = [sys.executable, "-m", "taskgraph.cli.main", "worker", "start"]
    worker = subprocess.Popen(
        [*line, "--pool", "p", "--queues", "gpu", "--name", "w"],
        cwd=project.folder,
        env=project._environment({}),
        stdout=subprocess.PIPE,
    )
    try:
        until(lambda: project.json("worker", "list", "--status", "running")["workers"])
        well = project("submit", "--wait", "--queue", "gpu", "flow.py", "half", "--x", "4")
        assert (well.code, well.out) == (0, "2.0\n")
        badly = project("submit", "--wait", "--queue", "gpu", "flow.py", "half", "--x", "3")
        assert badly.code == 1 and "FAILED" in badly.err
        assert project("worker", "stop", "w").code == 0
        assert worker.wait(60) == 0
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    (found,) = project.json("worker", "list")["workers"]
    assert (found["status"], found["pid"], found["queues"]) == ("stopped", None, ["gpu"])
    nobody = project("worker", "list", "--host", "mars")
    assert "None of 1 worker is meant by --host mars" in nobody.out
    assert project("worker", "stop", "nobody").code == 3
    assert project("worker", "delete", "w").code == 0
    assert project("worker", "delete", "--pool", "p").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["submit", "flow.py", "main"], 2, "--queue"),
        (["submit", "--queue", "a", "flow.py", "clean", "--source", "in0.txt"], 2, "no JSON"),
        (["submit", "--queue", "a", "flow.py", "nothing"], 3, "nothing"),
        (["submit", "--queue", "a", "--priority", "9999999999", "flow.py", "main"], 2, "priority"),
        (["worker", "start", "--pool", "p", "--queues", ","], 2, "queues"),
        (["worker", "start", "--pool", "p", "--queues", "a", "--script", "no.py"], 1, "no.py"),
        (["worker", "list", "--status", "asleep"], 2, "stalled"),
        (["worker", "list", "--filter", '{"pid": {}}'], 2, "pid"),
        (["execution", "enqueue", "0" * 32, "--queue", "a"], 3, "0000"),
    ],
)
def test_what_cannot_be_done_says_why(flow: Any, words: list[str], code: int, said: str) -> None:
    flow("run", "flow.py", "greet", "--name", "x")
    done = flow(*words)
    assert done.code == code, done.err
    assert said in done.err + done.out


def test_what_is_no_json_says_which_argument_it_is(flow: Any) -> None:
    done = flow("submit", "--queue", "a", "flow.py", "clean", "--source", "in0.txt")
    assert "argument 'source' of flow.clean" in done.err
    assert flow("submit", "--queue", "a", "flow.py", "halves", "2", "4").code == 0
    (made,) = flow.json("execution", "list")["executions"]
    assert made["parameters"] == {"xs": [2, 4]}
    burst_of_a = flow("worker", "start", "--pool", "p", "--queues", "a", "--burst")
    assert "flow.halves is COMPLETED" in burst_of_a.out


def test_the_reason_of_what_failed_before_it_ran_is_where_the_command_says(project: Any) -> None:
    words = ("submit", "--json", "--queue", "gpu", "flow.py", "main", "--n", "1")
    submitted = json.loads(project(*words).out)
    (project.folder / "flow.py").rename(project.folder / "gone.py")
    burst(project)
    reason = "flow.py: there is no such file"

    log, shown, why = (
        project("log", "-"),
        project("execution", "show", "-"),
        project("explain", "-"),
    )

    for each in (log, shown, why):
        assert each.code == 0 and reason in each.out, each
    assert "flow.main: no call ran, it is FAILED: Cannot load" in why.out
    assert "flow.main" in log.out and "command" not in log.out
    assert reason in project.json("log", submitted["id"])["message"]
    assert reason in project.json("execution", "show", "-")["state"]["message"]
    assert reason in project.json("execution", "list")["executions"][0]["state"]["message"]


def test_a_key_that_was_used_for_something_else_is_said(project: Any) -> None:
    words = ("submit", "--queue", "gpu", "--idempotency-key", "monday")
    first = project(*words, "flow.py", "half", "--x", "4")
    same = project(*words, "flow.py", "half", "--x", "4")
    other = project(*words, "flow.py", "half", "--x", "6")
    strict = project(*words, "--strict", "flow.py", "half", "--x", "6")
    told = json.loads(project(*words, "--json", "flow.py", "half", "--x", "6").out)

    assert "submitted before" in same.out and "something else" not in same.err
    assert other.out == first.out and "'monday' something else was submitted before" in other.err
    assert (strict.code, "was used for another request" in strict.err) == (4, True)
    assert (told["is_new"], told["is_other"], told["parameters"]) == (False, True, {"x": 4})


def test_who_waits_for_nobody_is_told_what_waits(project: Any) -> None:
    line = [sys.executable, "-m", "taskgraph.cli.main", "submit", "--wait", "--queue", "gpu"]
    waiting = subprocess.Popen(
        [*line, "flow.py", "half", "--x", "4"],
        cwd=project.folder,
        env=project._environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert waiting.stderr is not None
        first, second = waiting.stderr.readline(), waiting.stderr.readline()
        (made,) = project.json("execution", "list")["executions"]
        assert first == f"{made['id'][:8]} flow.half waits in gpu.\n"
        assert "taskgraph worker start --pool gpu --queues gpu" in second
        burst(project)
        assert waiting.wait(60) == 0
        assert waiting.communicate()[0] == "2.0\n"
    finally:
        waiting.kill()
        waiting.communicate()
