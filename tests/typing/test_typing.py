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
            # One cache for all: the library is looked at once, and each program anew.
            *("--hide-error-context", "--cache-dir", str(tmp_path.parent / "mypy"), str(path)),
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


def test_a_call_of_a_coroutine_task_is_what_it_gives(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import Scheduler, evaluate, run, task

        @task
        async def half(x: int) -> float:
            return x / 2

        @task(timeout=3)
        async def total(numbers: list[float]) -> float:
            return sum(numbers)

        @task
        async def main(n: int) -> list[float]:
            first = await evaluate(half(n))
            assert_type(first, float)
            assert_type(await evaluate([half(1), half(2)]), list[float])
            assert_type(await evaluate({"a": (half(1), n)}), dict[str, tuple[float, int]])
            return [first]

        async def outside() -> None:
            assert_type(await Scheduler().arun(main(1)), list[float])

        assert_type(half(1), float)
        assert_type(run(total([half(1), half(2)])), float)
        assert_type(run(main(1)), list[float])
        total([half("1")])
        text: str = run(half(1))
        """,
    )

    assert [int(line.partition(":")[0]) for line in errors] == [27, 28]


def test_choosing_ordering_and_forking_give_what_their_expressions_do(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import Any, assert_type
        from taskgraph import apply_tags, catch, catch_all, cond, fork_thread, join_thread, run
        from taskgraph import scheduler_task, seq, subrun, task
        from collections.abc import Generator

        @task
        def inc(x: int) -> int:
            return x + 1

        @task
        def zero(error: Exception) -> int:
            return 0

        @scheduler_task()
        def first(exprs: list[int]) -> Generator[Any, Any, int]:
            value: int = yield exprs[0]
            return value

        assert_type(cond(inc(0) == 1, inc(1), inc(2)), int | Any)
        assert_type(catch(inc(1), ValueError, zero), int | Any)
        assert_type(catch_all([inc(1), inc(2)]), list[int] | Any)
        assert_type(seq([inc(1), inc(2)]), list[int])
        assert_type(apply_tags(inc(1), {"kind": "demo"}), int)
        assert_type(join_thread(fork_thread([inc(1)])), list[int])
        assert_type(run(subrun({"a": inc(1)}, "threads", timeout=3)), dict[str, int])
        assert_type(first([inc(1)]), int)
        number: str = join_thread(fork_thread(inc(1)))
        join_thread(inc(1))
        seq(inc(1))
        """,
    )

    assert [int(line.partition(":")[0]) for line in errors] == [28, 29, 30]


def test_functions_over_lazy_values_keep_types(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import PartialTask, run, task
        from taskgraph.functools import const, flat_map, flatten, identity, map_, no_prov, starmap
        from taskgraph.functools import zip_

        @task
        def inc(x: int) -> int:
            return x + 1

        @task
        def sizes(n: int) -> list[int]:
            return list(range(n))

        @task
        def show(number: int, digits: int) -> str:
            return f"{number:{digits}}"

        assert_type(show.partial(digits=3), PartialTask[str])
        assert_type(show.partial(digits=3).options(retries=1)(1), str)
        assert_type(map_(inc, map_(inc, sizes(3))), list[int])
        assert_type(map_(show.partial(digits=3), [inc(1), 2]), list[str])
        assert_type(starmap(show, [{"number": 1, "digits": 2}, (1, 2)]), list[str])
        assert_type(flat_map(sizes, [1, 2]), list[int])
        assert_type(flatten([sizes(1), sizes(2)]), list[int])
        assert_type(zip_(sizes(1), sizes(2)), list[tuple[int, ...]])
        assert_type(run([identity(inc(1)), const(inc(1), "a"), no_prov(inc(1))]), list[int])
        map_(inc, ["a"])
        map_(inc, inc(1))
        """,
    )

    assert sorted({int(line.partition(":")[0]) for line in errors}) == [28, 29]


def test_what_a_body_and_a_handler_are_told_is_typed(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from collections.abc import Callable, Mapping
        from typing import Any, assert_type
        from taskgraph import FailedCall, JobInfo, Scheduler, Task, run, task, wraps_task

        def tell(error: Exception, call: FailedCall) -> None:
            assert_type(call.task, str)
            assert_type(call.attempts, int)

        @task(on_failure=tell)
        def name_it(x: int, job: JobInfo = JobInfo()) -> str:
            assert_type(job.job_id, str)
            assert_type(job.eval_hash, str | None)
            assert_type(job.options, Mapping[str, Any])
            return job.job_id

        @wraps_task()
        def doubled(inner: Task[..., Any]) -> Callable[..., Any]:
            return lambda *args: inner(*args) * 2

        @doubled
        @task
        def triple(x: int) -> int:
            return 3 * x

        assert_type(run(name_it(1)), str)
        assert_type(name_it.options(on_failure=tell)(1, JobInfo(job_id="1")), str)
        assert_type(triple(1), int)
        with Scheduler() as scheduler:
            assert_type(scheduler.extend_run(triple(1), None).value, int)
        triple("1")
        """,
    )

    assert [int(line.partition(":")[0]) for line in errors] == [31]


def test_what_is_read_of_a_file_is_text_unless_the_mode_is_binary(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import ContentDir, ContentStagingFile, Dir, File, FileSet, IDir, IStagingDir

        assert_type(File("a").read(), str)
        assert_type(File("a").read("rb"), bytes)
        assert_type(File("a").readlines(encoding="ascii"), list[str])
        assert_type(File("a").readlines("rb"), list[bytes])
        assert_type([each.read() for each in Dir("a")], list[str])
        assert_type([each.path for each in FileSet("*.txt")], list[str])
        assert_type(list(ContentDir("a")), list[File])
        assert_type(IDir("a").file("b"), File)
        assert_type(IStagingDir("a", "b").unstage(), Dir)
        assert_type(ContentStagingFile("a", "b").remote, File)
        File("a").read("rb", "ascii").upper().title()
        number: int = File("a").read()
        """,
    )

    assert [int(line.partition(":")[0]) for line in errors] == [16]


def test_questions_to_the_records_have_typed_answers(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import cached, explain, get_current_scheduler, lineage, opaque, plan, task
        from taskgraph import Scheduler, exponential
        from taskgraph.provenance.explain import AnyExplanation

        @opaque
        def note(message: str) -> None: ...

        @cached(max_age=60)
        def load(path: str) -> int:
            note(path)
            return 1

        @task(retries=2, retry_delay=exponential(1))
        def inc(x: int) -> int:
            return x + 1

        assert_type(load("a"), int)
        assert_type(plan(inc(1)).calls[0].task, str)
        assert_type(explain(inc(1)), AnyExplanation)
        assert_type(explain(load.key("a")), AnyExplanation)
        assert_type(len(lineage("a").story.steps), int)
        assert_type(lineage("a", down=True, types=["File"]).edges[0].name, str)
        assert_type(get_current_scheduler(), Scheduler | None)
        assert_type(inc.export_options(retries=1).update_context(a=1)(1), int)
        note(1)
        """,
    )

    assert [int(line.partition(":")[0]) for line in errors] == [27]


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


def test_scripts_give_what_their_outputs_say(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import Any, assert_type
        from taskgraph import ContentFile, Dir, File, FileSet, StagingDir, run, script

        assert_type(run(script("ls")), bytes)
        assert_type(script(["ls", File("a")], [File("a")], tempdir=True, timeout=3), bytes)
        assert_type(script("ls", outputs=File("a")), File)
        assert_type(script("ls", [], outputs=ContentFile("a"), cpus=2), ContentFile)
        assert_type(script("ls", outputs=File("a").stage("b")), File)
        assert_type(script("ls", outputs=StagingDir("a", "b")), Dir)
        assert_type(script("ls", outputs=FileSet("*.txt")), FileSet)
        assert_type(script("ls", outputs={"a": File("a")}), Any)
        assert_type(script("ls", [], [File("a")]), Any)
        text: str = run(script("ls"))
        number: int = script("ls", outputs=File("a"))
        script("ls", tempdir="yes")
        """,
    )

    assert sorted({int(line.partition(":")[0]) for line in errors}) == [14, 15, 16]


def test_what_is_held_back_composed_or_made_a_task_keeps_its_type(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import Any, assert_type
        from taskgraph import PartialTask, cond, get_context, quote, run, task, throw
        from taskgraph.expression import QuotedExpression
        from taskgraph.functools import apply_func, as_task, compose, delay, eval_, force, seq

        @task
        def size(x: str) -> int:
            return len(x)

        @task
        def half(x: int, build: str = get_context("genome.build", "hg19")) -> float:
            return x / 2

        def shout(x: str) -> str:
            return x.upper()

        assert_type(quote(size("a")), QuotedExpression[int])
        assert_type(quote([size("a")]).eval(), list[int])
        assert_type(run(force(delay(size("a")))), int)
        assert_type(compose(half, size), PartialTask[float])
        assert_type(run(compose(half, size, shout)("a")), float)
        assert_type(compose(size)("a"), int)
        assert_type(as_task(shout)("a"), str)
        assert_type(as_task(size, retries=1)("a"), int)
        assert_type(as_task(size.partial("a")), PartialTask[int])
        assert_type(apply_func(shout, size("a")), str)
        assert_type(eval_("1 + x", x=size("a")), Any)
        assert_type(get_context("genome.size", 3), int)
        assert_type(get_context("genome.size"), Any)
        assert_type(get_context.options(prov=False).fullname, str)
        number: int = cond(size("a") > 1, size("a"), throw(ValueError("small")))
        assert_type(seq([size("a"), size("b")]), list[int])
        compose(size, half)
        compose(shout, half, size)
        force(size("a"))
        text: str = get_context("genome.size", 3)
        as_task(3)
        """,
    )

    assert sorted({int(line.partition(":")[0]) for line in errors}) == [34, 35, 36, 37, 38]


def test_names_at_the_front_door_are_typed(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import Any, assert_type
        import taskgraph
        from taskgraph import Archive, CacheScope, ErrorValue, Frame, Traceback, task
        from taskgraph import get_context_value, get_tuple_type_length, hash_args_eval
        from taskgraph.catalog.rows import Execution
        from taskgraph.provenance.views import ExecutionView

        @task(compat=["ab" * 16], cache_scope=CacheScope.CSE)
        def size(x: str) -> int:
            return len(x)

        with taskgraph.open("sqlite:///a.db", migrate=True) as archive:
            assert_type(archive, Archive)
            assert_type(archive.history(3), list[ExecutionView])
            assert_type(archive.executions.get("-"), Execution)
            assert_type(archive.page(), str)
            archive.history("3")
        assert_type(size.func("a"), int)
        assert_type(size.compat, tuple[str, ...])
        assert_type(size.is_defined, bool)
        eval_hash, args_hash = hash_args_eval(None, size, ["a"], {})
        text: str = eval_hash
        assert_type(get_context_value({"a": 1}, "a"), Any)
        assert_type(get_tuple_type_length(tuple[int, str]), int | None)
        trace = Traceback.from_error(ValueError("a"))
        assert_type(trace.format(), str)
        assert_type(trace.frames, list[Frame])
        assert_type(ErrorValue(ValueError("a")).error, BaseException)
        taskgraph.open(3)
        size.func(3)
        """,
    )

    assert sorted({int(line.partition(":")[0]) for line in errors}) == [18, 30, 31]


def test_an_open_file_is_of_text_or_of_bytes_by_its_mode(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import IO, Any, assert_type
        from taskgraph import Dir, File, IFile
        from taskgraph.files import copy_file, get_filesystem, glob_file

        def read(mode: str) -> None:
            assert_type(File("a").open(), IO[str])
            assert_type(File("a").open("w", encoding="ascii"), IO[str])
            assert_type(IFile("a").open("r+t", newline=""), IO[str])
            assert_type(File("a").open("rb"), IO[bytes])
            assert_type(Dir("a").file("b").open("w+b"), IO[bytes])
            assert_type(File("a").open(mode), IO[Any])
            assert_type(File("a").read(), str)
            assert_type(File("a").read("rb"), bytes)
            assert_type(File("a").readlines("rb"), list[bytes])
            assert_type(glob_file("*"), list[str])
            assert_type(get_filesystem(url="s3://a/b").exists("s3://a/b"), bool)
            copy_file("a", "b", recursive=True)

        with File("a").open("w") as stream:
            stream.write(b"bytes")
        with File("a").open("wb") as binary:
            binary.write("text")
        """,
    )

    wrong = [each for each in errors if ": error: " in each]
    assert len(wrong) == 2
    assert all('"write" of "IO"' in each for each in wrong)


def test_values_that_speak_for_themselves(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import Any, assert_type
        from taskgraph import FileCache, ProxyValue, Value, get_type_registry
        from taskgraph import is_unknown_function, run, task

        class Point(Value):
            type_name = "geo.Point"

            def __init__(self, x: int) -> None:
                self.x = x

            def is_valid(self) -> bool:
                return self.x > 0

        class Model: ...

        class ModelValue(ProxyValue):
            type = Model

            def get_hash(self, data: bytes | None = None) -> str:
                return str(self.instance)

        class ModelFile(FileCache):
            type = Model
            base_path = "s3://bucket/models"

            def _serialize(self) -> bytes:
                return b""

            @classmethod
            def _deserialize(cls, data: bytes) -> Any:
                return Model()

        @task
        def point(x: int) -> Point:
            return Point(x)

        assert_type(run(point(1)), Point)
        types = get_type_registry()
        assert_type(types.get_hash(Point(1)), str)
        assert_type(types.serialize(Point(1)), bytes)
        assert_type(types.get_value(Model()), Value)
        assert_type(types.get_type(Model), type[Value] | None)
        assert_type(is_unknown_function(print), bool)
        """,
    )

    assert errors == []


def test_promises_keep_the_types_of_their_values(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import Promise, wait_promises

        number: Promise[int] = Promise()
        number.do_resolve(1)
        number.do_resolve(Promise(lambda resolve, reject: resolve(1)))
        assert_type(number.value, int)
        assert_type(number.then(), Promise[int])
        assert_type(number.then(str), Promise[str])
        assert_type(number.then(lambda x: Promise.all([number])), Promise[list[int]])
        assert_type(number.then(str, lambda error: ""), Promise[str])
        assert_type(number.catch(lambda error: None), Promise[int | None])
        assert_type(Promise.all([number, number]), Promise[list[int]])
        assert_type(wait_promises([number]), Promise[list[Promise[int]]])
        number.do_resolve("one")
        """,
    )

    found = [each for each in errors if each]
    assert len(found) == 1
    assert 'Argument 1 to "do_resolve"' in found[0]


def test_scheduler_tasks_in_the_style_of_callbacks_are_called_without_the_three(
    tmp_path: Path,
) -> None:
    errors = check(
        tmp_path,
        """
        from typing import assert_type
        from taskgraph import Job, Promise, Scheduler, scheduler_task, task
        from taskgraph.expression import SchedulerExpression

        @task
        def inc(x: int) -> int:
            return x + 1

        @scheduler_task()
        def shown(
            scheduler: Scheduler, parent_job: Job, sexpr: SchedulerExpression, x: int, y: int = 0
        ) -> Promise[str]:
            assert_type(scheduler.evaluate(inc(x)), Promise[int])
            assert_type(scheduler.evaluate([inc(x)], parent_job=parent_job), Promise[list[int]])
            assert_type(parent_job.parent_job, Job | None)
            return scheduler.evaluate(inc(x)).then(str)

        assert_type(shown(inc(1), y=2), str)
        shown("one")
        """,
    )

    found = [each for each in errors if each]
    assert len(found) == 1
    assert 'Argument 1 to "__call__"' in found[0] or "incompatible type" in found[0]


def test_schedulers_are_told_how_by_name(tmp_path: Path) -> None:
    errors = check(
        tmp_path,
        """
        import logging
        from typing import assert_type
        from taskgraph import Scheduler
        from taskgraph.config import Settings, load_settings

        scheduler = Scheduler(
            config={"limits": {"api": 1}}, logger=logging.getLogger("x"), job_status_interval=1
        )
        Scheduler(load_settings(), use_task_traceback=False, migrate=None)
        scheduler.load(migrate=True)
        assert_type(scheduler.config, Settings)
        assert_type(scheduler.limits, dict[str, int])
        assert_type(scheduler.limits_used, dict[str, int])
        assert_type(scheduler.get_job_status_report(), list[str])
        scheduler.log("a", 1, indent=2)
        Scheduler(logger="taskgraph")
        """,
    )

    found = [each for each in errors if each]
    assert len(found) == 1
    assert 'Argument "logger"' in found[0]
