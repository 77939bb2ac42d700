"""Prefect's own engine and server, with tasks that are looked up in and recorded by taskgraph."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("CI"):
    # On CI a missing package is an error: these tests are never skipped in silence there.
    pytest.importorskip("prefect")

import cloudpickle
import prefect
from prefect import flow
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    temporary_settings,
)
from prefect.states import Failed
from prefect.testing.utilities import prefect_test_harness

from taskgraph import File, cached, explain, lineage
from taskgraph.assembly.databases import open_database
from taskgraph.assembly.reading import open_reader
from taskgraph.config import load_settings
from taskgraph.errors import (
    DatabaseFullError,
    GeneratorCallError,
    NotRecordedWarning,
    TaskOptionError,
)
from taskgraph.plug import keeping
from taskgraph.plug.execution import close_executions
from taskgraph.plug.prefect import TaskgraphPolicy, task
from taskgraph.testing.plug_in import PlugInContract, Result, Step, edit, load_anew

ROOT = Path(__file__).resolve().parents[2]
ran: list[Any] = []

# Connections of Prefect's clients are closed by the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    settings = {
        PREFECT_LOGGING_TO_API_ENABLED: False,
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
    }
    with temporary_settings(settings), prefect_test_harness():
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    ran.clear()
    yield tmp_path
    close_executions()


def in_flow(body: Callable[[], Any]) -> Any:
    """Run something as a flow; return what it returns, whatever that is."""
    given: list[Any] = []

    @flow(name="pipeline")
    def pipeline() -> None:
        given.append(body())

    pipeline()
    return given[0]


class TestCalledTasks(PlugInContract):
    """Tasks that are called, outside of any flow."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        module = load_anew(folder)
        results: list[Any] = []
        try:
            for name, args in steps:
                given = [results[each.step] if isinstance(each, Result) else each for each in args]
                results.append(task(getattr(module, name))(*given))
        finally:
            close_executions()
        return results


class TestSubmittedTasks(PlugInContract):
    """Tasks that a flow submits to threads; what one gives to the next is a future."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        module = load_anew(folder)

        def body() -> list[Any]:
            futures: list[Any] = []
            for name, args in steps:
                given = [futures[each.step] if isinstance(each, Result) else each for each in args]
                futures.append(task(getattr(module, name)).submit(*given))
            return [each.result() for each in futures]

        try:
            results: list[Any] = in_flow(body)
        finally:
            close_executions()
        return results


class Jobs:
    """What is recorded in a project."""

    def __init__(self, folder: Path) -> None:
        settings = load_settings(folder / ".taskgraph")
        with closing(open_reader(settings)) as reader:
            found = [
                (depth, short(job), str(job.status), str(job.id))
                for each in reader.executions()
                for depth, job in reader.job_tree(each.execution.id).walk()
            ]
        with closing(open_database(settings)) as backend:
            tags = backend.get_tags([job_id for *_, job_id in found])
        self.states = Counter((name, status) for _, name, status, _ in found)
        self.tree = [(depth, name) for depth, name, _, _ in found]
        self.tags = [{key: value for key, (value,) in tags[job_id].items()} for *_, job_id in found]


def short(job: Any) -> str:
    return str(job.task.fullname).rpartition(".")[2]


# What Prefect shows, and what it is told


@task
def double(x: Any) -> Any:
    ran.append(x)
    return x * 2


def test_a_hit_is_shown_as_cached(project: Path) -> None:
    states = [double(2.5, return_state=True) for _ in range(2)]

    assert [state.name for state in states] == ["Completed", "Cached"]
    assert [state.result() for state in states] == [5.0, 5.0]
    assert ran == [2.5]


def test_jobs_are_tagged_with_the_ids_of_prefect(project: Path) -> None:
    told: list[dict[str, str]] = []

    def body() -> None:
        context = prefect.context.FlowRunContext.get()
        assert context is not None and context.flow_run is not None
        for _ in range(2):
            state = double(1, return_state=True)
            told.append(
                {
                    "prefect_flow": "pipeline",
                    "prefect_flow_run": str(context.flow_run.id),
                    "prefect_task_run": str(state.state_details.task_run_id),
                }
            )

    in_flow(body)

    jobs = Jobs(project)
    assert jobs.tags == told
    assert jobs.states == {("double", "DONE"): 1, ("double", "CACHED"): 1}


def test_a_task_that_is_told_to_refresh_runs_again(project: Path) -> None:
    double(1)

    state = double.with_options(refresh_cache=True)(1, return_state=True)

    assert state.name == "Completed"
    assert ran == [1, 1]


def test_prefect_keeps_a_copy_of_each_result_if_it_is_told_to(project: Path) -> None:
    kept = task(persist_result=True)(double.fn.__wrapped__)

    states = [kept(7, return_state=True) for _ in range(2)]

    assert ran == [7]
    keys = [state.data.metadata.storage_key for state in states]
    store = prefect.results.ResultStore()
    assert [store.read(key).result for key in keys] == [14, 14]


def test_a_copy_of_prefect_never_stands_for_a_deleted_file(project: Path) -> None:
    @task(persist_result=True)
    def save() -> File:
        ran.append("save")
        file = File("out.txt")
        file.write("x")
        return file

    save()
    (project / "out.txt").unlink()

    save()

    assert (project / "out.txt").read_text() == "x"
    assert ran == ["save", "save"]


# Errors


def test_each_retry_is_a_call_and_the_last_one_is_kept(project: Path) -> None:
    @task(retries=2)
    def flaky(x: int) -> int:
        ran.append(x)
        if len(ran) < 3:
            raise ValueError("not yet")
        return x

    states = [flaky(1, return_state=True) for _ in range(2)]

    assert [state.name for state in states] == ["Completed", "Cached"]
    assert len(ran) == 3
    assert Jobs(project).states == {
        ("flaky", "FAILED"): 2,
        ("flaky", "DONE"): 1,
        ("flaky", "CACHED"): 1,
    }


def test_a_state_of_failure_that_is_returned_is_not_kept(project: Path) -> None:
    @task
    def refuse() -> Any:
        ran.append("refuse")
        return Failed(message="no")

    states = [refuse(return_state=True) for _ in range(2)]

    assert [(state.name, state.message) for state in states] == [("Failed", "no")] * 2
    assert ran == ["refuse"] * 2
    assert Jobs(project).states == {("refuse", "FAILED"): 2}


def test_a_task_that_takes_too_long_has_failed(project: Path) -> None:
    @task(timeout_seconds=0.05)
    async def wait(x: int) -> None:
        await asyncio.Event().wait()

    state = asyncio.run(wait(1, return_state=True))

    assert state.name == "TimedOut"
    assert Jobs(project).states == {("wait", "FAILED"): 1}


def test_a_generator_is_refused_where_it_is_decorated() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(GeneratorCallError):
        task(numbers)


def test_an_expiration_that_nobody_would_heed_is_refused() -> None:
    with pytest.raises(TypeError, match="max_age"):
        task(cache_expiration=timedelta(days=1))(len)


# Who calls whom, and what comes from what


@task
def outer(x: int) -> Any:
    return double.submit(x).result() + double(x + 1)


@task
async def slow(x: float) -> float:
    ran.append(x)
    await asyncio.sleep(0)
    return x + 0.5


@task
async def both(x: float) -> Any:
    return await asyncio.gather(slow(x), slow(x + 1))


@task
def total(values: list[Any]) -> Any:
    ran.append("total")
    return sum(values)


@task
def save(value: Any, name: str) -> File:
    file = File(name)
    file.write(str(value))
    return file


def test_tasks_within_a_task_are_its_children(project: Path) -> None:
    assert in_flow(lambda: outer(1)) == 6

    assert Jobs(project).tree == [(0, "outer"), (1, "double"), (1, "double")]


def test_async_tasks_are_remembered_and_know_who_called_them(project: Path) -> None:
    results = [asyncio.run(both(x)) for x in (1.0, 1.0, 2.0)]

    assert results == [[1.5, 2.5], [1.5, 2.5], [2.5, 3.5]]
    assert sorted(ran) == [1.0, 2.0, 3.0]
    both_tree = [(0, "both"), (1, "slow"), (1, "slow")]
    assert Jobs(project).tree == [*both_tree, (0, "both"), *both_tree]


def test_what_futures_bring_is_data_flow_even_small_numbers(project: Path) -> None:
    def body() -> None:
        doubled = double.map([1, 2])
        save.submit(total.submit(doubled), "out.txt").result()

    for _ in range(2):
        in_flow(body)

    assert (project / "out.txt").read_text() == "6"
    assert sorted(ran, key=str) == [1, 2, "total"]
    steps = lineage("out.txt").story.steps
    assert Counter((each.depth, each.call.task.rpartition(".")[2]) for each in steps) == {
        (0, "save"): 1,
        (1, "total"): 1,
        (2, "double"): 2,
    }


def test_results_that_were_waited_for_as_a_list_count_as_a_list(project: Path) -> None:
    in_flow(lambda: total(double.map([1, 2])))

    assert total([2, 4]) == 6
    assert ran.count("total") == 1


def test_a_function_called_past_prefect_leaves_the_run_around_it_alone(project: Path) -> None:
    double(3)

    @prefect.task
    def plain() -> Any:
        return double.fn(3)

    assert plain(return_state=True).name == "Completed"
    assert ran == [3]


def test_methods_are_tasks_of_what_their_object_holds(project: Path) -> None:
    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        @task
        def apply(self, x: int) -> int:
            ran.append(x)
            return x * self.factor

    results = [Scale(factor).apply(3) for factor in (2, 2, 5)]

    assert results == [6, 6, 15]
    assert len(ran) == 2


def test_options_are_those_of_taskgraph_and_of_prefect(project: Path) -> None:
    def add(x: int, log: Any) -> int:
        ran.append(x)
        return x + 1

    tasks = [task(cached(config_args=["log"])(add)), task(config_args=["log"], retries=1)(add)]

    states = [each(1, log, return_state=True) for each in tasks for log in ("here", "there")]

    assert [state.name for state in states] == ["Completed", "Cached", "Cached", "Cached"]
    assert ran == [1]
    with pytest.raises(TypeError, match="say max_age there"):
        task(max_age=1)(cached(add))


def test_an_option_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TaskOptionError, match="retrys"):
        task(retrys=2)(len)


def test_a_full_disk_fails_no_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise DatabaseFullError("sqlite:///x.db", "the disk is full")

    monkeypatch.setattr(keeping, "record", full)

    with pytest.warns(NotRecordedWarning, match="the disk is full"):
        state = double(21, return_state=True)

    assert (state.name, state.result()) == ("Completed", 42)


@pytest.mark.parametrize("made_by", ["task", "prefect.task"])
def test_the_code_of_tasks_that_a_task_calls_counts(project: Path, made_by: str) -> None:
    source = """
        import prefect
        from taskgraph.plug.prefect import task

        @{}
        def inner(x):
            return x + 1

        inner = inner.with_options(retries={})

        @task
        def outer(x):
            return inner(x)
        """
    (project / "flows.py").write_text(textwrap.dedent(source).format(made_by, 1))
    assert load_anew(project, "flows").outer(1) == 2
    close_executions()
    edit(project / "flows.py", "retries=1", "retries=2")
    assert load_anew(project, "flows").outer(1) == 2
    assert Jobs(project).states["outer", "CACHED"] == 1
    close_executions()
    edit(project / "flows.py", "x + 1", "x + 2")

    assert load_anew(project, "flows").outer(1) == 3


def test_explain_says_what_would_become_of_a_run(project: Path) -> None:
    before = str(explain(double.key(11)))
    double(11)

    assert before.endswith("double would run because it was never called before")
    assert "would not run" in str(explain(double.key(11)))


def test_a_task_that_other_processes_cannot_find_is_not_sent_to_them(project: Path) -> None:
    @task
    def local(x: int) -> int:
        return x

    with pytest.raises(TypeError, match="made within a function"):
        cloudpickle.dumps(local)
    assert cloudpickle.loads(cloudpickle.dumps(double))(2) == 4


# The policy


def test_the_policy_has_the_key_of_the_recorded_task(project: Path) -> None:
    keys = []

    class Noted(TaskgraphPolicy):
        def compute_key(self, *args: Any, **kwargs: Any) -> str:
            keys.append(super().compute_key(*args, **kwargs))
            return keys[-1]

    def add(x: int, y: int = 1) -> int:
        return x + y

    prefect.task(cache_policy=Noted())(add)(5)
    task(add).with_options(cache_policy=Noted())(5)

    assert keys == [task(add).key(5).eval_hash] * 2


def test_a_policy_looks_at_helpers_files_and_nothing_else(project: Path) -> None:
    (project / "helpers.py").write_text("def factor():\n    return 2\n")
    (project / "in.txt").write_text("abc")
    source = """
        import prefect
        from helpers import factor
        from taskgraph.plug.prefect import TaskgraphPolicy

        @prefect.task(cache_policy=TaskgraphPolicy())
        def length(file, *rest, **named):
            return len(file.read()) * factor()
        """
    (project / "flows.py").write_text(textwrap.dedent(source))

    def name_and_result() -> tuple[str, int]:
        state = load_anew(project, "flows").length(File("in.txt"), 1, a=2, return_state=True)
        close_executions()
        return state.name, state.result()

    assert [name_and_result() for _ in range(2)] == [("Completed", 6), ("Cached", 6)]
    edit(project / "helpers.py", "return 2", "# Thrice.\n    return 3")
    assert [name_and_result() for _ in range(2)] == [("Completed", 9), ("Cached", 9)]
    edit(project / "helpers.py", "Thrice", "Three times")
    assert name_and_result() == ("Cached", 9)
    (project / "in.txt").write_text("abcd")
    assert name_and_result() == ("Completed", 12)


def test_what_has_no_key_runs_and_is_not_kept_by_the_policy(project: Path) -> None:
    @prefect.task(cache_policy=TaskgraphPolicy())
    def use(x: Any) -> int:
        ran.append("use")
        return 1

    for _ in range(2):
        assert use(object()) == 1

    assert ran == ["use"] * 2


# Other processes

PROCESSES = """
from prefect import flow
from prefect.task_runners import ProcessPoolTaskRunner
from taskgraph import File
from taskgraph.plug.prefect import task


@task
def double(x):
    with open("ran.txt", "a") as file:
        file.write("double\\n")
    return x * 2


@task
def save(value, name):
    file = File(name)
    file.write(str(value))
    return file


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def pipeline():
    for _ in range(2):
        state = save.submit(double.submit(2.5), "out.txt", return_state=True)
        print(state.name, state.result().path)


if __name__ == "__main__":
    pipeline()
"""


def test_tasks_in_other_processes_are_remembered(project: Path) -> None:
    (project / "flows.py").write_text(PROCESSES)
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }

    done = subprocess.run(
        [sys.executable, "flows.py"], env=env, capture_output=True, text=True, timeout=120
    )

    assert done.stdout == "Completed out.txt\nCached out.txt\n", done.stderr
    assert (project / "ran.txt").read_text() == "double\n"
    assert Jobs(project).states == {
        (name, state): 1 for name in ("double", "save") for state in ("DONE", "CACHED")
    }
