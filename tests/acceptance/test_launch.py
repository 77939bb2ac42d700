"""``taskgraph launch``: a run that goes on when who asked for it has gone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest


def until_ended(flow: Any) -> Any:
    deadline = time.monotonic() + 100
    while True:
        if flow("log", "-").code == 0:
            found = flow.json("log", "-")["execution"]
            if found["status"] not in {"RUNNING", "PENDING"}:
                return found
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_run_is_handed_over_and_goes_on_by_itself(flow: Any) -> None:
    done = flow("launch", "--executor", "inline", "flow.py", "greet", "--name", "ann", "--loud")

    assert done.code == 0, done.err
    first, second = done.out.splitlines()
    assert first.startswith("greet was launched on processes: process ")
    until_ended(flow)
    log = Path(second.removeprefix("Its output goes to ").partition(";")[0])
    assert log.parent == flow.folder / ".taskgraph" / "launched"
    deadline = time.monotonic() + 30
    while "ANN" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_its_output_goes_where_it_is_told_and_a_failure_is_there(flow: Any) -> None:
    done = flow("launch", "--output", "out.txt", "-q", "flow.py", "half", "--x", "3")

    assert done.code == 0, done.err
    assert until_ended(flow)["status"] == "FAILED"
    deadline = time.monotonic() + 30
    while "3 is odd" not in (flow.folder / "out.txt").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["submitit", "dask"])
def test_a_run_is_a_job_of_a_cluster(flow: Any, executor: str, dask_address: str) -> None:
    tables = {
        "submitit": 'cluster = "local"\nfolder = "jobs"\n',
        "dask": f'address = "{dask_address}"\n',
    }
    flow.write(".taskgraph/config.toml", f"[executors.{executor}]\n{tables[executor]}")
    words = ["flow.py", "greet", "--name", "ann"]

    done = flow("launch", "--on", executor, "--output", "out.txt", "--executor", "inline", *words)

    assert done.code == 0, done.err
    assert done.out.startswith(f"greet was launched on {executor}: ")
    assert until_ended(flow)["status"] == "DONE"
    deadline = time.monotonic() + 30
    while "ann" not in (flow.folder / "out.txt").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["flow.py", "greet"], 2, "--name"),
        (["flow.py", "gret"], 3, "greet"),
        (["flow.py"], 2, "SCRIPT TASK"),
        (["--pdb", "flow.py", "greet", "--name", "a"], 2, "terminal"),
        (["--nonsense", "flow.py", "greet", "--name", "a"], 2, "--nonsense"),
        (["--memory", "lots", "flow.py", "greet", "--name", "a"], 2, "memory"),
        (["--on", "threads", "flow.py", "greet", "--name", "a"], 2, "cannot launch a run"),
        (["--on", "nowhere", "flow.py", "greet", "--name", "a"], 2, "no executor 'nowhere'"),
    ],
)
def test_what_would_not_run_is_refused_at_once(
    flow: Any, words: list[str], code: int, says: str
) -> None:
    done = flow("launch", *words)

    assert done.code == code, done.err
    assert says in done.err
    assert "Traceback" not in done.err
