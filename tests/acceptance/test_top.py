"""What runs is seen from another process, by way of the database alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.acceptance.space import ROOT, Space

_FLOW = """
    import os
    import time

    from taskgraph import task

    taskgraph_namespace = "flow"


    @task
    def waits(n: int) -> int:
        while not os.path.exists("go"):
            time.sleep(0.01)
        return n


    @task(executor="inline")
    def waits_inline(n: int) -> int:
        while not os.path.exists("go"):
            time.sleep(0.01)
        return n


    @task
    def quick(n: int) -> int:
        return n


    @task
    def crowd(n: int, executor: str) -> list:
        return [waits.options(executor=executor)(i) for i in range(n)]


    @task
    def main(n: int) -> list:
        return [quick(i) for i in range(n)] + [waits(1)]
"""


@contextmanager
def running(space: Space, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run something until the file ``go`` is there, or longer than this lasts."""
    space.write("flow.py", _FLOW)
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("TASKGRAPH_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "taskgraph.cli.main", "run", "flow.py", *words],
        cwd=space.folder,
        env={
            **inherited,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "XDG_CACHE_HOME": str(space.folder / ".cache"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def seen(space: Space, is_there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the only execution once it is as expected."""
    deadline = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        found = space.json("top")["executions"]
        if len(found) == 1 and is_there(found[0]):
            return found[0]
    raise AssertionError(found)


def test_where_nothing_was_run_nothing_runs(space: Space) -> None:
    done = space("top", "--once")

    assert done.code == 0
    assert "0 executions running" in done.out
    assert "Nothing runs." in done.out
    assert not (space.folder / ".taskgraph").exists()
    assert space.json("top")["executions"] == []


def test_a_run_is_seen_with_its_process_its_counts_and_its_jobs(space: Space) -> None:
    with running(space, "main", "--n", "3") as process:
        found = seen(space, lambda each: "flow.waits" in each["counts"])
        page = space("top", "--once").out
        (space.folder / "go").touch()
        process.wait(60)

    assert found["state"] == "RUNNING"
    assert found["task"] == "flow.main"
    assert found["pid"] == process.pid
    assert 0 <= found["heartbeat"] < 30
    assert found["counts"]["flow.quick"] == {"DONE": 3}
    assert found["counts"]["flow.waits"] == {"RUNNING": 1}
    # The root waits for others: what is told is what it waits for.
    assert [job["task"] for job in found["jobs"]] == ["flow.waits"]
    assert "1 execution running" in page
    assert f"pid {process.pid}" in page
    assert "flow.waits" in page
    assert space.json("top")["executions"] == []


def test_one_that_was_killed_is_said_to_have_crashed(space: Space) -> None:
    with running(space, "main", "--n", "1") as process:
        seen(space, lambda each: bool(each["jobs"]))
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        found = seen(space, lambda each: each["state"] == "CRASHED")
        page = space("top", "--once").out

    assert found["jobs"] == []
    assert found["host"] is None
    assert "0 executions running" in page
    assert "crashed after" in page
    assert "what had finished is kept" in page


def test_a_run_whose_body_runs_on_the_schedulers_thread_is_seen(space: Space) -> None:
    with running(space, "waits_inline", "--n", "1") as process:
        found = seen(space, lambda each: True)

    assert found["pid"] == process.pid


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_what_waits_for_a_worker_is_told_from_what_runs(space: Space, executor: str) -> None:
    space.write(".taskgraph/config.toml", f"[executors.{executor}]\nmax_workers = 2\n")
    with running(space, "crowd", "--n", "5", "--executor", executor) as process:
        expected = {"RUNNING": 2, "PENDING": 3}

        found = seen(space, lambda each: each["counts"].get("flow.waits") == expected)

        assert len([each for each in found["jobs"] if each["task"] == "flow.waits"]) == 2
        assert "queued" in space("top").out
        (space.folder / "go").touch()
        process.wait(60)

    ended = [each["status"] for each in space.json("log", "--task", "waits")]
    assert ended == ["DONE"] * 5


def test_what_waited_when_its_process_died_has_crashed(space: Space) -> None:
    space.write(".taskgraph/config.toml", "[executors.threads]\nmax_workers = 1\n")
    with running(space, "crowd", "--n", "3", "--executor", "threads"):
        seen(space, lambda each: each["counts"].get("flow.waits", {}).get("PENDING") == 2)

    found = seen(space, lambda each: each["state"] == "CRASHED")

    assert "PENDING" not in found["counts"]["flow.waits"]
    assert space("db", "check").code == 0
