"""Executions are managed from a shell: listed, shown, cancelled, and run once for a key."""

from __future__ import annotations

import json
from typing import Any

import pytest

import taskgraph
from taskgraph.errors import StateRefusedError


@pytest.fixture
def ran(flow: Any) -> Any:
    flow(
        *("run", "--study", "nightly", "--workspace", "work", "--name", "first try"),
        *("--idempotency-key", "monday", "--tag", "team=ml", "flow.py", "main"),
    )
    return flow


def test_before_any_run_there_is_nothing_and_nothing_is_made(space: Any) -> None:
    assert space("execution", "list").out == (
        "There are no executions yet: taskgraph run SCRIPT TASK\n"
    )
    assert space.json("execution", "list") == {"executions": [], "next": None}
    assert space("execution", "list", "--count").out == "0\n"
    assert "taskgraph run --study NAME" in space("study", "list").out
    assert space("execution", "show", "-").code == 3
    assert space("execution", "cancel", "-").code == 3
    assert space("study", "show", "x").code == 3
    assert space("execution", "fail-running").out == "Nothing is stuck.\n"
    assert list(space.folder.iterdir()) == []


def test_a_run_is_an_execution_with_all_that_was_said_of_it(ran: Any) -> None:
    found = ran.json("execution", "show", "work", "--states", "--deps", "--snapshot")

    assert (found["name"], found["study"], found["status"]) == ("first try", "nightly", "DONE")
    assert found["workspace"] == str((ran.folder / "work").resolve())
    assert (found["idempotency_key"], found["run_count"]) == ("monday", 1)
    assert found["tags"]["team"] == ["ml"]
    assert [each["name"] for each in found["states"]] == ["Pending", "Running", "Completed"]
    assert found["submitted"]["name"] == "first try"
    assert found["submitted"]["study"] == "nightly"
    assert found["dependencies"]
    assert ran.json("execution", "list")["executions"][0]["id"] == found["id"]
    (study,) = ran.json("study", "list")["studies"]
    assert (study["name"], study["executions"]) == ("nightly", 1)
    assert ran.json("study", "show", "nightly")["newest"][0]["id"] == found["id"]


def test_under_one_key_a_task_is_run_once(ran: Any) -> None:
    again = ran("run", "--idempotency-key", "monday", "flow.py", "main")

    assert again.code == 4
    (ran_id,) = [each["id"][:8] for each in ran.json("execution", "list")["executions"]]
    assert f"submitted before, as execution {ran_id}, which is COMPLETED" in again.err
    assert "jobs:" not in again.err
    assert "Traceback" not in again.err
    assert ran.json("execution", "list", "--count") == {"count": 1}
    taken = ran("run", "--workspace", "work", "flow.py", "main")
    assert (taken.code, "Name another folder" in taken.err) == (4, True)


def test_a_list_is_filtered_ordered_and_cut(ran: Any) -> None:
    for number in range(3):
        ran("run", "--name", f"more {number}", "flow.py", "main")

    def names(*words: str) -> list[str]:
        return [each["name"] for each in ran.json("execution", "list", *words)["executions"]]

    assert names() == ["more 2", "more 1", "more 0", "first try"]
    assert names("--name", "MORE", "--sort", "name", "--ascending") == [
        "more 0",
        "more 1",
        "more 2",
    ]
    assert names("--study", "nightly", "--state", "completed", "--task", "main") == ["first try"]
    assert names("--tag", "team=ml") == ["first try"]
    assert names("--filter", '{"study": {"is_null_": true}}', "--since", "1h", "-n", "1") == [
        "more 2"
    ]
    page = ran.json("execution", "list", "-n", "3")
    assert names("-n", "3", "--after", page["next"]) == ["first try"]
    assert f"add --after {page['next']}" in ran("execution", "list", "-n", "3").out
    nothing = ran("execution", "list", "--state", "CRASHED", "--name", "x")
    assert nothing.out == "None of 4 executions is meant by --state CRASHED --name x.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--state", "DONE"), "this is no state"),
        (("--filter", "{"), "this is no JSON"),
        (("--filter", '{"nam": {}}'), "There are: id, name"),
        (("--sort", "size"), "sort 'size'"),
        (("--after", "x"), "no place in this list"),
        (("--since", "soon"), "expected a date"),
    ],
)
def test_what_cannot_be_understood_is_said_and_exits_with_two(
    ran: Any, words: tuple[str, ...], said: str
) -> None:
    done = ran("execution", "list", *words)

    assert (done.code, said in done.err) == (2, True), done.err
    assert "Traceback" not in done.err


def test_states_are_proposed_and_refused(ran: Any) -> None:
    refused = ran("execution", "cancel", "-")
    forced = ran("execution", "set-state", "-", "failed", "--force", "--message", "wrong data")

    assert refused.code == 5
    found = ran.json("execution", "show", "-")["id"]
    reason = StateRefusedError(found, "Cancelled", "it is COMPLETED, and has ended")
    assert refused.err == f"Error: {reason}\n"
    assert (forced.code, "is Failed (FAILED)" in forced.out) == (0, True)
    shown = ran("execution", "show", "-", "--states").out
    assert "wrong data" in shown and "forced: true" in shown
    aborted = ran("execution", "set-state", "-", "RUNNING", "--json")
    answer = json.loads(aborted.out)
    assert (aborted.code, answer["outcome"]) == (5, "ABORT")
    assert answer["state"]["type"] == "FAILED"
    assert ran("execution", "set-state", "-", "GONE").code == 2
    assert ran("execution", "show", "nowhere").code == 3


def test_what_is_stuck_is_shown_asked_for_and_failed(ran: Any) -> None:
    with taskgraph.open(ran.folder) as archive:  # what others run is left to them
        made = archive.executions.create("elsewhere", name="lost").execution
        archive.executions.set_state(made, "RUNNING")

    assert ran("execution", "fail-running", "--older-than", "1h").out == "Nothing is stuck.\n"
    assert "lost" in ran("execution", "fail-running", "--dry-run").out
    assert ran.json("execution", "show", "-")["state"]["type"] == "RUNNING"
    assert (
        ran("execution", "fail-running", "--study", "other", "--yes").out == "Nothing is stuck.\n"
    )
    failed = ran("execution", "fail-running", "--yes")
    assert (failed.code, "1 are CRASHED." in failed.out) == (0, True)
    assert ran.json("execution", "show", "-")["state"]["type"] == "CRASHED"
    assert ran("execution", "fail-running", "--older-than", "3").code == 2
