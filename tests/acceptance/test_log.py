"""The log shows what was run, and where values and files came from."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture
def ran(flow: Any) -> Any:
    flow("run", "flow.py", "main")
    return flow


def test_before_any_run_there_is_nothing_and_nothing_is_made(space: Any) -> None:
    done = space("log")

    assert (done.code, done.out) == (0, "Nothing was run yet: taskgraph run SCRIPT TASK\n")
    assert list(space.folder.iterdir()) == []
    assert space.json("log") == []


def test_executions_are_listed_newest_first(ran: Any) -> None:
    ran("run", "flow.py", "halves", "2", "3")

    listed = ran.json("log")

    assert [each["task"] for each in listed] == ["flow.halves", "flow.main"]
    assert [each["status"] for each in listed] == ["FAILED", "DONE"]
    assert listed[1]["counts"] == {"DONE": 4}
    assert ran("log", "--limit", "1").out.splitlines()[-1].startswith("... and older ones")


def test_an_execution_shows_its_jobs_as_a_tree(ran: Any) -> None:
    done = ran("log", "-")
    detail = ran.json("log", "-")

    lines = done.out.splitlines()
    assert "flow.main" in lines[0]
    assert any("flow.clean" in each and each.split()[1:3] == ["2", "2"] for each in lines)
    assert [job["task"] for job in detail["jobs"] if job["parent_id"] is None] == ["flow.main"]
    assert detail["jobs_total"] == 4


def test_an_execution_of_many_jobs_is_cut(flow: Any) -> None:
    flow("run", "flow.py", "halves", *[str(2 * number) for number in range(300)])

    done = flow("log", "-")

    assert "... and 201 more jobs (--limit shows more)" in done.out
    assert len(done.out.splitlines()) < 130


def test_a_failure_is_among_the_jobs_that_are_shown(flow: Any) -> None:
    flow("run", "flow.py", "halves", *[str(2 * number) for number in range(150)], "7")

    done = flow("log", "-", "--limit", "5")

    assert "flow.half(x=7)" in done.out


@pytest.mark.parametrize("name", ["results/all.txt", "./results/../results/all.txt"])
def test_a_path_says_which_call_wrote_it_and_from_what(ran: Any, name: str) -> None:
    done = ran("log", name)
    story = ran.json("log", name)["story"]

    assert "flow.join" in done.out
    assert "input in0.txt" in done.out and "input in1.txt" in done.out
    assert [step["call"]["task"] for step in story["steps"]] == [
        "flow.join",
        "flow.clean",
        "flow.clean",
    ]
    inputs = [file["path"] for step in story["steps"] for file in step["inputs"]]
    assert sorted(inputs) == ["in0.txt", "in1.txt"]


def test_the_same_is_told_from_a_folder_below(ran: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "taskgraph.cli.main", "log", "all.txt"],
        cwd=ran.folder / "results",
        env={"PYTHONPATH": _python_path()},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "flow.join" in done.stdout


def _python_path() -> str:
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    return f"{root}:{root / 'backend'}"


def test_an_input_says_who_used_it(ran: Any) -> None:
    done = ran("log", "in0.txt")
    detail = ran.json("log", "in0.txt")

    assert "It came from outside" in done.out
    assert [job["task"] for job in detail["used_by"]] == ["flow.clean"]


def test_every_record_is_found_by_eight_digits(ran: Any) -> None:
    execution = ran.json("log", "-")
    job = next(each for each in execution["jobs"] if each["task"] == "flow.join")

    of_job = ran.json("log", job["id"][:8])
    of_call = ran.json("log", job["call_hash"][:8])
    of_task = ran.json("log", job["task_hash"][:8])
    of_value = ran.json("log", of_call["call"]["result"]["value_hash"][:8])

    kinds = [each["type"] for each in (execution, of_job, of_call, of_task, of_value)]
    assert kinds == ["execution", "job", "call", "task", "value"]


def test_a_job_shows_its_trace_arguments_and_code(ran: Any) -> None:
    job = next(each for each in ran.json("log", "-")["jobs"] if each["task"] == "flow.join")

    done = ran("log", job["id"])
    detail = ran.json("log", job["id"])

    assert [each["task"] for each in detail["trace"]] == ["flow.main", "flow.join"]
    upstream = [call["task"] for call in detail["call"]["arguments"][0]["upstream"]]
    assert upstream == ["flow.clean", "flow.clean"]
    assert "def join(" in done.out


def test_a_task_is_found_by_its_name(ran: Any) -> None:
    done = ran("log", "flow.clean")

    assert "def clean(" in done.out
    assert done.out.count("✓ done") == 2


def test_looking_loads_no_script_and_unpickles_nothing(ran: Any) -> None:
    (ran.folder / "flow.py").unlink()

    done = ran("log", "results/all.txt")

    assert done.code == 0


def test_a_reader_that_goes_away_is_no_error(ran: Any) -> None:
    done = subprocess.run(
        f"{sys.executable} -m taskgraph.cli.main log | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=ran.folder,
        env={"PYTHONPATH": _python_path()},
        capture_output=True,
        text=True,
    )

    assert done.stderr == ""
