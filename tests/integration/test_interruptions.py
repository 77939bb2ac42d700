"""Ctrl-C, a full disk, a killed worker, two runs at once: what is finished is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph.errors import DatabaseFullError, WorkerLostError
from taskgraph.records import State
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.integrity import check
from taskgraph_backend.reader import Reader
from tests.forked import start_python

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}

SCRIPT = """
import os, sys, time
from pathlib import Path
from taskgraph import Scheduler, task
from taskgraph.config import Settings

@task(namespace="stop")
def step(n):
    with open(sys.argv[1] + "/log", "a") as log:
        print(n, file=log, flush=True)
    time.sleep(0.02)
    return n

@task(namespace="stop")
def total(ns):
    return sum(ns)

if __name__ == "__main__":
    with Scheduler(Settings(Path(sys.argv[1]) / ".taskgraph"), executor=sys.argv[2]) as scheduler:
        print(scheduler.run(total([step(n) for n in range(int(sys.argv[3]))])))
"""


def start(folder: Path, executor: str, count: int) -> subprocess.Popen[str]:
    script = folder / "script.py"
    if not script.exists():
        (folder / ".taskgraph").mkdir()
        script.write_text(textwrap.dedent(SCRIPT))
    return start_python(
        [script, str(folder), executor, str(count)],
        ROOT,
        ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def lines(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text().split() if log.exists() else []


def uri(folder: Path) -> str:
    return f"sqlite:///{folder / '.taskgraph' / 'taskgraph.db'}"


def states(folder: Path) -> list[State]:
    with SqlBackend(uri(folder)) as backend, Reader(backend) as reader:
        found = [each.state_type for each in reader.query(models.Execution).all()]
        assert check(backend) == []
    return [State(each) for each in found]


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_ctrl_c_keeps_what_is_finished(executor: str, tmp_path: Path) -> None:
    process = start(tmp_path, executor, 200)
    while process.poll() is None and len(lines(tmp_path)) < 20:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    before = lines(tmp_path)
    assert "KeyboardInterrupt" in complaints
    assert len(before) < 200
    assert states(tmp_path) == [State.CANCELLED]

    (tmp_path / "log").unlink()
    process = start(tmp_path, executor, 200)
    output, complaints = process.communicate(timeout=60)

    assert process.returncode == 0, complaints
    assert output.split() == [str(sum(range(200)))]
    # Two workers, and what was on its way to them.
    assert len(set(lines(tmp_path)) & set(before)) <= 6


SLEEPERS = """
import sys, time
from pathlib import Path
from taskgraph import task

taskgraph_namespace = "sleepers"

@task
def sleep(n: int, seconds: float) -> int:
    Path(f"begun-{n}").touch()
    time.sleep(seconds)
    return n

@task
def total(ns: list[int]) -> int:
    return sum(ns)

@task
def main(seconds: float) -> int:
    return total([sleep(n, seconds) for n in range(8)])
"""


def sleepers(folder: Path, executor: str, seconds: float) -> subprocess.Popen[str]:
    (folder / "sleepers.py").write_text(SLEEPERS)
    process = start_python(
        [
            *("-m", "taskgraph.cli.main", "run", "--executor", executor),
            *("sleepers.py", "main", "--seconds", str(seconds)),
        ],
        folder,
        ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until_begun(process, folder)
    return process


def until_begun(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until a body of a process sleeps."""
    while process.poll() is None and not list(folder.glob("begun-*")):
        time.sleep(0.005)
    time.sleep(0.3)  # a signal just before a sleep begins is heard of when that ends


def job_states(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with SqlBackend(uri(folder)) as backend, Reader(backend) as reader:
        for job in reader.query(models.Job).all():
            found.setdefault(job.task.name, []).append(job.state_type)
    return found


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_at_the_first_ctrl_c_what_runs_ends_and_is_recorded(executor: str, tmp_path: Path) -> None:
    process = sleepers(tmp_path, executor, 1.0)
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=60)

    assert process.returncode == 130, complaints
    begun = len(list(tmp_path.glob("begun-*")))
    assert 1 <= begun < 8
    assert "Press Ctrl-C again to stop now" in complaints
    command = f"taskgraph run --executor {executor} sleepers.py main --seconds 1.0"
    assert complaints.splitlines()[-2:] == [
        "Interrupted. What had finished is kept. To go on from there:",
        f"  {command}",
    ]
    assert "Traceback" not in complaints
    assert states(tmp_path) == [State.CANCELLED]
    found = job_states(tmp_path)["sleep"]
    assert found.count("COMPLETED") == begun
    assert set(found) <= {"COMPLETED", "CANCELLED"}, "those that no worker had are cancelled"


ON_DASK = """
[executors.dask]
type = "dask"
n_workers = 2
"""


def test_a_cluster_of_its_own_hears_nothing_of_a_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    (tmp_path / ".taskgraph" / "config.toml").write_text(ON_DASK)
    process = sleepers(tmp_path, "dask", 1.0)
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=60)

    assert process.returncode == 130, complaints
    assert "Traceback" not in complaints
    begun = len(list(tmp_path.glob("begun-*")))
    assert job_states(tmp_path)["sleep"].count("COMPLETED") == begun


def test_a_cluster_of_its_own_is_killed_at_the_second_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    (tmp_path / ".taskgraph" / "config.toml").write_text(ON_DASK)
    process = sleepers(tmp_path, "dask", 3600.0)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1.0)  # time in which it must not end
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=30)

    assert process.returncode == 130, complaints
    assert "Traceback" not in complaints
    assert left_in_group(process.pid) == []


def test_what_takes_long_is_not_begun_after_a_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    (tmp_path / ".taskgraph" / "config.toml").write_text("[executors.processes]\nmax_workers = 1\n")
    process = sleepers(tmp_path, "processes", 1.0)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    assert len(list(tmp_path.glob("begun-*"))) == 1


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_at_the_second_ctrl_c_it_ends_now(executor: str, tmp_path: Path) -> None:
    process = sleepers(tmp_path, executor, 3600.0)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1.0)  # time in which it must not end
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=30)

    assert process.returncode == 130, complaints
    assert "Interrupted." in complaints
    assert "Traceback" not in complaints
    assert states(tmp_path) == [State.CANCELLED]
    assert "RUNNING" not in set().union(*job_states(tmp_path).values())
    assert left_in_group(process.pid) == []


def left_in_group(group: int) -> list[str]:
    """Return the command lines of a group's processes, once what is left of it is reaped."""
    for _ in range(200):
        if not alive_in_group(group):
            break
        time.sleep(0.05)
    return alive_in_group(group)


def alive_in_group(group: int) -> list[str]:
    """Return the command lines of the processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, _, of_group, *_ = (path / "stat").read_text().rpartition(")")[2].split()
            if int(of_group) == group and state != "Z":
                found.append((path / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_two_runs_of_one_workflow_at_once_both_end_well(tmp_path: Path) -> None:
    both = [start(tmp_path, "threads", 60) for _ in range(2)]

    for process in both:
        output, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
        assert output.split() == [str(sum(range(60)))]

    assert states(tmp_path) == [State.COMPLETED, State.COMPLETED]


@task(namespace="stop")
def grow(n: int) -> bytes:
    return os.urandom(20_000)


@task(namespace="stop")
def lengths(parts: list[bytes]) -> int:
    return sum(map(len, parts))


def test_a_full_disk_ends_the_run_with_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    settings = Settings(tmp_path / ".taskgraph")

    with Scheduler(settings, executor="inline") as scheduler:
        scheduler.run(grow(-1))
        backend = scheduler.backend
        assert isinstance(backend, SqlBackend)
        backend._connection().execute("PRAGMA max_page_count = 300")
        with pytest.raises(DatabaseFullError, match="full"):
            scheduler.run(lengths([grow(n) for n in range(200)]))

    with SqlBackend(uri(tmp_path)) as again:
        assert check(again) == []
    with Scheduler(settings, executor="inline") as scheduler:
        assert scheduler.run(lengths([grow(n) for n in range(200)])) == 200 * 20_000


@task(namespace="stop")
def die_once(marker: str) -> str:
    path = Path(marker)
    if not path.exists():
        path.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def test_a_killed_worker_is_an_error_that_says_so_and_the_next_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()

    with Scheduler(Settings(tmp_path / ".taskgraph"), executor="processes") as scheduler:
        with pytest.raises(WorkerLostError, match=r"stop\.die_once"):
            scheduler.run(die_once(str(tmp_path / "marker")))
        assert scheduler.run(die_once(str(tmp_path / "marker"))) == "alive"

    with SqlBackend(uri(tmp_path)) as backend:
        assert check(backend) == []


GROUPS = """
import time
from pathlib import Path

import taskgraph
from taskgraph import File, task

@task(namespace="naps", version="1")
def nap(files: list[File]) -> str:
    Path(f"begun-{Path(files[0].path).stem}").touch()
    time.sleep(1.0)
    return files[0].read()

if __name__ == "__main__":
    with taskgraph.open("sqlite:///.taskgraph/taskgraph.db", migrate=True) as tg:
        for name in "ABC":
            Path(f"{name}.txt").write_text(name)
            tg.datasets.register(name, [File(f"{name}.txt")], facets={"model": name})
        tg.workflows.create("naps", steps=[nap])
        tg.groups.run(tg.groups.plan("naps", ["A", "B", "C"], group_by=["model"]))
"""


def test_after_a_ctrl_c_in_the_last_call_of_one_group_no_other_one_is_run(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    (tmp_path / "naps.py").write_text(GROUPS)
    process = start_python(
        ["naps.py"],
        tmp_path,
        ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until_begun(process, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=60)

    assert "KeyboardInterrupt" in complaints
    assert "Stopping: waiting for 1 call to end. Press Ctrl-C again to stop now." in complaints
    assert len(list(tmp_path.glob("begun-*"))) == 1
    assert sorted(states(tmp_path)) == [State.CANCELLED, State.CANCELLED, State.COMPLETED]
