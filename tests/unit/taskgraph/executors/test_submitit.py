"""Runs whose calls are jobs; submitit's executor of this machine stands in for SLURM."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("CI"):
    pytest.importorskip("submitit")

from taskgraph import File, Scheduler, task
from taskgraph.errors import WorkerLostError
from taskgraph.executors.submitit import SubmititExecutor
from taskgraph.ports import Call, Resources, Returned
from taskgraph.records import JobId
from taskgraph.testing import MemoryBackend
from taskgraph.values.pack import pack
from tests.contracts.test_executor import Inbox

ROOT = Path(__file__).parents[4]

FLOW = """
import os, time
from pathlib import Path
from taskgraph import Scheduler, task

@task(namespace="jobs")
def slow(number: int) -> int:
    with open("begun", "a") as notes:
        print(number, file=notes)
    while not Path("go").exists():
        time.sleep(0.05)
    return 2 * number

@task(namespace="jobs")
def total(numbers: list) -> int:
    return sum(numbers)
"""
RUN = """
from flow import slow, total
from taskgraph import Scheduler
settings = {
    "backend": {"db_uri": "sqlite:///taskgraph.db"},
    "executors": {"submitit": {"cluster": "local", "folder": "jobs", "max_jobs": 2}},
}
with Scheduler(settings) as scheduler:
    calls = [slow.options(executor="submitit")(n) for n in (1, 2)]
    print(scheduler.run(total(calls)))
"""


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_jobs_that_outlive_their_scheduler_are_found_again_and_not_begun_twice(
    tmp_path: Path,
) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "backend")])
    how: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": path}}
    words = [sys.executable, "-c", RUN]
    first = subprocess.Popen(words, **how)
    begun = tmp_path / "begun"
    until(lambda: begun.exists() and len(begun.read_text().split()) == 2)

    first.send_signal(signal.SIGKILL)
    first.wait()
    (tmp_path / "go").touch()
    second = subprocess.run(words, **how, capture_output=True, text=True, timeout=200)

    assert second.stdout == "6\n", second.stderr
    assert sorted(begun.read_text().split()) == ["1", "2"]
    assert list((tmp_path / "jobs" / "notes").iterdir()) == []


@task(namespace="jobs")
def die() -> None:
    os._exit(3)


@pytest.mark.slow
def test_a_job_that_dies_is_a_worker_that_was_lost(tmp_path: Path) -> None:
    tables = {"submitit": {"cluster": "local", "folder": str(tmp_path)}}
    with (
        Scheduler({"executors": tables}, backend=MemoryBackend()) as scheduler,
        pytest.raises(WorkerLostError, match=r"jobs\.die"),
    ):
        scheduler.run(die.options(executor="submitit")())


@task(namespace="jobs")
def remove(folder: str) -> int:
    shutil.rmtree(folder)
    return 1


@task(namespace="jobs")
def after(number: int) -> int:
    return number + 1


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_folder_that_is_removed_meanwhile_ends_the_run_and_does_not_hang_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "jobs"
    tables = {"submitit": {"cluster": "local", "folder": str(folder)}}
    settings = {"executors": tables, "backend": {"db_uri": f"sqlite:///{tmp_path / 'a.db'}"}}
    with Scheduler(settings, executor="submitit") as scheduler:
        scheduler.run(after(1))
        shutil.rmtree(folder)  # between two of its jobs

        assert scheduler.run(after(2)) == 3

        with pytest.raises(WorkerLostError, match=r"jobs\.remove"):
            scheduler.run(remove(str(folder)))
        assert scheduler.run(after(3)) == 4


@pytest.fixture
def executor(tmp_path: Path) -> SubmititExecutor:
    made = SubmititExecutor(folder=str(tmp_path / "jobs"), cluster="local", slurm_partition="gpu")
    made.start(Inbox())
    return made


def call(timeout: float | None = None, **needs: Any) -> Call:
    return Call(JobId("a"), "jobs.die", die.func, (), {}, None, timeout, Resources(**needs))  # type: ignore[arg-type]


def test_a_job_is_asked_for_what_the_hints_of_its_call_say(executor: SubmititExecutor) -> None:
    wanted = executor._parameters_of(call(600.0, cpus=2.5, gpus=1, memory=3 * 1024**3))

    assert wanted["cpus_per_task"] == 3
    assert wanted["gpus_per_node"] == 1
    assert wanted["mem_gb"] == 3
    assert wanted["timeout_min"] == 11
    assert wanted["slurm_partition"] == "gpu"
    assert "gpus_per_node" not in executor._parameters_of(call())


def test_what_a_job_gave_that_was_found_holds_only_if_its_files_do(
    executor: SubmititExecutor, tmp_path: Path
) -> None:
    from taskgraph.executors import border
    from taskgraph.values import codec

    path = tmp_path / "made.txt"
    path.write_text("one")
    value = File(str(path))
    outcome = Returned(JobId("b"), value, pack(value), None, 1, 2)  # type: ignore[arg-type]
    message = codec.dumps([border._encode_outcome(outcome)])

    (found,) = executor.read((message, True), [call()])
    assert found.value.path == str(path)  # type: ignore[union-attr]
    path.write_text("other")
    assert executor.read((message, True), [call()]) == []
    assert executor.read((b"", True), [call()]) == []
    assert len(executor.read((message, False), [call()])) == 1


def test_a_note_of_a_job_that_is_gone_is_taken_away(
    executor: SubmititExecutor, tmp_path: Path
) -> None:
    executor.open()
    note = tmp_path / "jobs" / "notes" / ("0" * 32)
    for number in ("999999999", "../../etc", ""):
        note.write_text(number)
        assert executor._job_of(note) is None
