"""`cached` where the disk, other threads or the user get in its way: nothing that ran is lost."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from taskgraph.testing.plug_in import job_states

HEAD = """
import os
import shutil
import sys
import threading
import time
import warnings
from taskgraph import cached
from taskgraph.plug.execution import close_executions

ran = []

@cached
def double(x):
    ran.append(x)
    return 2 * x

"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".taskgraph").mkdir()
    return tmp_path


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(HEAD + textwrap.dedent(program))
    return subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_result_that_cannot_be_written_is_returned_and_written_later(project: Path) -> None:
    done = run(
        project,
        """
        import resource
        double(1)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, most))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            made = [double(2), double(3)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        print(made, [each.category.__name__ for each in told])
        print("ulimit -f" in str(told[0].message), told[0].filename.endswith("program.py"))
        close_executions()
        print(double(2), double(4), ran)
        """,
    )

    assert done.stdout.splitlines() == [
        "[4, 6] ['NotRecordedWarning', 'NotRecordedWarning']",
        "True True",
        "4 8 [1, 2, 3, 4]",
    ], done.stderr
    states = job_states(project)
    assert states == Counter({("double", "DONE"): 4, ("double", "CACHED"): 1})


def test_a_project_that_is_cleared_meanwhile_is_begun_anew(project: Path) -> None:
    done = run(
        project,
        """
        double(1)
        shutil.rmtree(".taskgraph")
        deadline = time.monotonic() + 20
        while len(ran) < 2 and time.monotonic() < deadline:
            double(1)
            time.sleep(0.02)
        double(2)
        print(ran)
        """,
    )

    assert (done.stdout, done.stderr) == ("[1, 1, 2]\n", "")
    states = job_states(project)
    assert (states["double", "DONE"], states["double", "CACHED"]) == (2, 0)


def test_a_fork_beside_busy_threads_does_not_hang_the_new_process(project: Path) -> None:
    done = run(
        project,
        """
        def call():
            for number in range(1000):
                double(number % 100)
                if is_over.is_set():
                    return

        is_over = threading.Event()
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=call) for _ in range(4)]
        for each in threads:
            each.start()
        codes = []
        for number in range(20):
            child = os.fork()
            if not child:
                is_right = double(1000 + number) == 2000 + 2 * number and double(1) == 2
                sys.exit(0 if is_right else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        is_over.set()
        for each in threads:
            each.join()
        print(codes)
        """,
    )

    assert done.stdout == f"{[0] * 20}\n", done.stderr
    assert job_states(project)["double", "DONE"] >= 20
