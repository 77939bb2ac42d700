"""A run that is killed with -9 at any moment costs what was running, and a blink.

Each body writes a line when it starts and one when it ends, with the time of the host's monotonic
clock, so that what the next run may execute again is known to the call.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.forked import start_python

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200 if os.environ.get("TASKGRAPH_TORTURE") else 12
LOST = 0.250  # seconds before the kill whose results may be lost

SCRIPT = """
import os, sys, time
from pathlib import Path
from taskgraph import File, Scheduler, task
from taskgraph.config import Settings

def note(event, name):
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{event} {name} {time.monotonic()}\\n".encode())
    os.close(log)

@task(namespace="kill")
def step(group, number):
    name = f"step-{group}-{number}"
    note("start", name)
    time.sleep(0.003)
    file = File(os.path.join(sys.argv[1], "files", name))
    file.write(name)
    note("end", name)
    return {"file": file, "number": number}

@task(namespace="kill")
def gather(group, steps):
    note("start", f"gather-{group}")
    total = sum(each["number"] for each in steps)
    note("end", f"gather-{group}")
    return total

@task(namespace="kill")
def group(number):
    note("start", f"group-{number}")
    calls = gather(number, [step(number, each) for each in range(40)])
    note("end", f"group-{number}")
    return calls

@task(namespace="kill")
def main():
    note("start", "main")
    calls = [group(each) for each in range(10)]
    note("end", "main")
    return calls

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with Scheduler(Settings(folder / ".taskgraph"), executor=sys.argv[3]) as scheduler:
        note("begin", "run")
        assert scheduler.run(main()) == [sum(range(40))] * 10
"""

Times = dict[str, float]


def read_log(path: Path) -> tuple[Times, Times]:
    started: Times = {}
    ended: Times = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        event, name, when = line.split()
        if event != "begin":
            (started if event == "start" else ended)[name] = float(when)
    return started, ended


def start(folder: Path, log: Path, executor: str) -> subprocess.Popen[str]:
    script = folder / "script.py"
    if not script.exists():
        script.write_text(textwrap.dedent(SCRIPT))
        (folder / ".taskgraph").mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
    words = [script, str(folder), str(log), executor]
    return start_python(words, ROOT, environment, start_new_session=True, stderr=subprocess.PIPE)


def wait_for_log(log: Path, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("executor", ["threads", "processes", "inline"])
def test_a_killed_run_loses_what_was_running_and_a_blink(executor: str, tmp_path: Path) -> None:
    chance = random.Random(f"kill {executor}")
    kills = {"threads": KILLS, "processes": KILLS // 5, "inline": KILLS // 5}[executor]

    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        first, second = folder / "first.log", folder / "second.log"
        process = start(folder, first, executor)
        wait_for_log(first, process)
        time.sleep(chance.uniform(0.0, 1.2))
        killed_at = time.monotonic()
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()

        started, ended = read_log(first)
        spent = {name for name, when in ended.items() if when < killed_at - LOST}
        # Far less than a lease lives: a run that waited for the dead one would not make it.
        process = start(folder, second, executor)
        _, complaints = process.communicate(timeout=20)
        assert process.returncode == 0, complaints

        again, _ = read_log(second)
        lost = spent & set(again)
        assert not lost, f"kill {number}: {sorted(lost)} were finished and ran again"
        with SqlBackend(f"sqlite:///{folder / '.taskgraph' / 'taskgraph.db'}") as backend:
            assert check(backend) == []
        del started
