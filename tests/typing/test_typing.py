"""Programs that must type-check, and programs that must not."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def check(tmp_path: Path, program: str) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--hide-error-context", "--cache-dir", str(tmp_path / "cache"), str(path)),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"MYPYPATH": f"{ROOT}:{ROOT / 'backend'}", "PATH": ""},
        check=False,
    )
    assert not done.stderr, done.stderr
    return [line.partition("program.py:")[2] for line in done.stdout.splitlines()]


def test_a_call_of_a_task_is_its_return_type(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import File, Scheduler, Task, run, task

        @task
        def double(x: int, times: int = 2) -> int:
            return x * times

        @task(namespace="a", check_valid="shallow")
        def write(number: int) -> File:
            return File(str(number))

        @task
        def main(n: int) -> list[int]:
            return [double(each) for each in range(n)]

        assert_type(double(1), int)
        assert_type(write(double(1)), File)
        assert_type(run(main(3)), list[int])
        assert_type(double.options(executor="inline")(1), int)
        with Scheduler() as scheduler:
            assert_type(scheduler.run(double(1) + double(2)), int)
        """,
    )

    assert errors == []


def test_wrong_arguments_of_a_task_are_errors(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from taskgraph import task

        @task
        def double(x: int) -> int:
            return 2 * x

        double("1")
        double()
        double(1, 2)
        double(y=1)
        text: str = double(1)
        """,
    )

    assert sorted({int(line.partition(":")[0]) for line in errors}) == [8, 9, 10, 11, 12]


def test_handles_keep_their_class_on_their_way_through_tasks(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        import sqlite3
        from typing import Any
        from typing_extensions import assert_type
        from taskgraph import Handle, merge_handles, run, task

        class Db(Handle):
            instance: sqlite3.Connection

            def __init__(self, name: str, path: str) -> None:
                self.instance = sqlite3.connect(path)

        @task
        def load(db: Db, rows: int) -> Db:
            db.execute("SELECT 1")
            return db

        db = Db("main", "a.db")
        assert_type(db.fork("a"), Db)
        assert_type(db.is_valid(), bool)
        assert_type(run(load(db, 1)), Db)
        assert_type(run(merge_handles([load(db, 1), db])), Db)
        load("main", 1)
        """,
    )

    assert [int(line.partition(":")[0]) for line in errors] == [23]


def test_an_observer_a_backend_and_an_executor_are_checked_by_their_ports(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from taskgraph.executors.inline import InlineExecutor
        from taskgraph.executors.processes import ProcessExecutor
        from taskgraph.executors.threads import ThreadExecutor
        from taskgraph.ports import Backend, Executor, Observer
        from taskgraph.testing import MemoryBackend, RecordingObserver
        from taskgraph_backend import SqlBackend

        executors: list[Executor] = [InlineExecutor(), ThreadExecutor(), ProcessExecutor()]
        backends: list[Backend] = [MemoryBackend(), SqlBackend()]
        observers: list[Observer] = [RecordingObserver()]
        """,
    )

    assert errors == []


def test_a_script_task_gives_bytes_and_takes_what_its_function_takes(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import File, run, script, task
        from taskgraph.scripting import exec_script, prepare_command, quote_shell

        @task(script=True, cpus=4)
        def sort(path: File) -> str:
            return f"sort {quote_shell(path)}"

        assert_type(run(sort(File("a"))), bytes)
        assert_type(exec_script(["ls", File("a"), 3]), bytes)
        assert_type(prepare_command("ls"), str)
        run(script(["ls"], inputs=[File("a")], outputs={"a": File("b")}, timeout=3))
        sort(3)
        """,
    )

    assert len(errors) == 1
    assert '"int"; expected "File"' in errors[0]


def test_each_side_of_what_is_staged_has_its_type(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import Dir, File, IFile, IStagingFile, StagingDir, StagingFile, release
        from taskgraph.tools import copy_file

        staged, folder = File("a").stage(), StagingDir("a", "s3://b/c")
        assert_type(staged, StagingFile)
        assert_type(staged.stage(), File)
        assert_type(staged.remote, File)
        assert_type(folder.unstage(), Dir)
        assert_type(folder.local, Dir)
        assert_type(Dir("a").stage("b"), StagingDir)
        assert_type(StagingFile(None, "a").render_stage(elsewhere=True), str)
        File("a").shell_copy_to(None)
        assert_type(IFile("a").stage(), IStagingFile)
        assert_type(copy_file(File("a", temp=True), "b"), File)
        for each in release("a", dry_run=True):
            assert_type(each.size, int)
        """,
    )

    assert errors == []


def test_what_is_told_of_jobs_and_failures_is_typed(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import FailedCall, JobInfo, run, task
        from taskgraph.functools import no_prov

        @task
        def tell(error: BaseException, call: FailedCall) -> str:
            return f"{call.task} {call.attempts + 1} {call.arguments[0][1]}"

        @task(on_failure=tell, prov=False, cpus=2, memory="4GB", allowed_cache_results={"CSE"})
        def step(x: int, job: JobInfo = JobInfo()) -> str:
            return job.job_id + (job.eval_hash or "")

        assert_type(run(step(1)), str)
        assert_type(step(1, JobInfo("mine")), str)
        no_prov(step(1))
        step.options(on_failure=None)(2)
        """,
    )

    assert errors == []
