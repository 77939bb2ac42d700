"""The folder of an execution says what it is of, and keeps the log of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.space import Space

FLOW = """
from taskgraph import task

@task
def bad(x):
    if x:
        raise ValueError("bad luck")
    return x

@task
def main(x: int = 0):
    return bad(x)
"""


@pytest.fixture
def space(tmp_path: Path) -> Space:
    made = Space(tmp_path)
    made.write("flow.py", FLOW)
    return made


def card(folder: Path) -> Any:
    return json.loads((folder / "taskgraph-execution.json").read_text())


def test_a_run_leaves_a_card_and_a_log_which_is_an_artifact(space: Space) -> None:
    assert space("run", "--workspace", "runs/monday", "flow.py", "main").code == 0

    folder = space.folder / "runs" / "monday"
    (execution,) = space.json("execution", "list")["executions"]
    assert card(folder)["id"] == execution["id"]
    assert card(folder)["state"]["type"] == "COMPLETED"
    log = (folder / "taskgraph.log").read_text()
    assert f"execution {execution['id']} runs " in log
    assert "is COMPLETED after" in log
    assert "calls: 2 done" in log
    (artifact,) = space.json("artifact", "list")["artifacts"]
    assert (artifact["kind"], artifact["key"], artifact["path"]) == ("log", "run", "taskgraph.log")


def test_a_run_that_fails_leaves_its_log_too(space: Space) -> None:
    assert space("run", "--workspace", "work", "flow.py", "main", "--x", "1").code == 1

    log = (space.folder / "work" / "taskgraph.log").read_text()
    assert "bad failed (job " in log
    assert "ValueError: bad luck" in log
    assert "is FAILED after" in log
    assert card(space.folder / "work")["state"]["type"] == "FAILED"
    assert len(space.json("artifact", "list")["artifacts"]) == 1


def test_a_folder_that_was_moved_is_still_known(space: Space) -> None:
    space("run", "--workspace", "work", "flow.py", "main")
    (space.folder / "work").rename(space.folder / "moved")

    shown = space.json("execution", "show", "moved")

    assert shown["id"] == card(space.folder / "moved")["id"]


@pytest.mark.parametrize(
    "said", ["", "{", "[1]", '{"id": 3}', '{"id": "x"}', '{"id": "' + "0" * 32]
)
def test_a_card_that_says_nothing_is_as_none(space: Space, said: str) -> None:
    space("run", "flow.py", "main")
    (space.folder / "other").mkdir()
    (space.folder / "other" / "taskgraph-execution.json").write_text(said)

    done = space("execution", "show", "other")

    assert (done.code, "Traceback" in done.err) == (3, False)


def test_the_card_says_what_is_true_after_a_change(space: Space) -> None:
    space("run", "--workspace", "work", "flow.py", "main")
    space("execution", "set-state", "work", "FAILED", "--force")

    assert card(space.folder / "work")["state"]["type"] == "FAILED"


def test_a_workspace_that_cannot_be_made_is_an_error_before_anything_runs(space: Space) -> None:
    space.write("taken", "a file")

    done = space("run", "--workspace", "taken", "flow.py", "main")

    assert (done.code, "cannot be made" in done.err, "Traceback" in done.err) == (2, True, False)
    (execution,) = space.json("execution", "list")["executions"]
    assert execution["state"]["type"] == "FAILED"
