"""Functions that are called as ever and remembered: what holds besides the contract of plug-ins."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy
import pytest

import taskgraph
from taskgraph import cached, task
from taskgraph.assembly.reading import open_reader
from taskgraph.config import load_settings
from taskgraph.errors import (
    GeneratorCallError,
    LazyResultError,
    TagKeyError,
    TaskOptionError,
    UnhashableValueError,
)
from taskgraph.plug import CallRecord, Hit, Miss, key, lookup, record
from taskgraph.plug.execution import close_executions, current_execution
from taskgraph.plug.memo import as_cached
from taskgraph.testing.plug_in import job_states

ran: list[Any] = []
lock = threading.Lock()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    ran.clear()
    yield tmp_path
    close_executions()


def select(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    import sqlite3

    with closing(open_reader(load_settings(folder / ".taskgraph"))):
        pass  # what is waiting is written
    with closing(sqlite3.connect(folder / ".taskgraph" / "taskgraph.db")) as connection:
        return connection.execute(sql).fetchall()


@cached
def double(x: Any) -> Any:
    ran.append(x)
    return x * 2


def test_it_is_called_as_ever_and_runs_once() -> None:
    assert [double(4), double(x=4), double(4)] == [8, 8, 8]
    assert ran == [4]
    assert double.__name__ == "double"


def test_tools_take_functions_and_cached_ones_alike() -> None:
    made = as_cached(lambda: ran.append("once"), config_args=[])

    assert as_cached(double) is double
    assert [made(), made()] == [None, None]
    assert ran == ["once"]
    with pytest.raises(TypeError, match="cached with its own options; say max_age there"):
        as_cached(double, max_age=1)


def test_results_are_new_objects_each_time() -> None:
    first, second, third = double([1]), double([1]), double([1])

    assert first == second == third == [1, 1]
    assert second is not third
    second.append(3)
    assert double([1]) == [1, 1]


def test_cached_may_be_used_without_an_at_sign() -> None:
    def triple(x: int) -> int:
        ran.append(x)
        return x * 3

    assert [cached(triple)(2), cached(triple)(2)] == [6, 6]
    assert ran == [2]


class Model:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @cached
    def fit(self, x: int) -> int:
        ran.append(x)
        return x * self.factor

    @classmethod
    @cached
    def make(cls, factor: int) -> int:
        ran.append(factor)
        return cls(factor).factor

    @staticmethod
    @cached
    def plain(x: int) -> int:
        ran.append(x)
        return x


def test_methods_count_with_their_object() -> None:
    assert [Model(2).fit(3), Model(2).fit(3), Model(3).fit(3)] == [6, 6, 9]
    assert ran == [3, 3]
    assert Model.fit.fullname.endswith("test_cached.Model.fit")


def test_methods_of_classes_and_static_ones_are_kept_too() -> None:
    assert [Model.make(2), Model.make(2), Model.plain(5), Model(1).plain(5)] == [2, 2, 5, 5]
    assert ran == [2, 5]


def test_generators_are_refused_with_advice() -> None:
    def lines() -> Iterator[int]:
        yield 1

    with pytest.raises(GeneratorCallError, match=r"Return a list instead"):
        cached(lines)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TaskOptionError, match="max_age"):
        cached(max_agee=3)(lambda x: x)


def test_an_argument_without_a_hash_is_refused_with_the_ways_out() -> None:
    with pytest.raises(UnhashableValueError, match="config_args"):
        double(threading.Lock())


def test_arguments_may_be_left_out_of_the_key() -> None:
    @cached(config_args=["where"])
    def load(x: int, where: Any) -> int:
        ran.append(x)
        return x

    assert [load(1, threading.Lock()), load(1, object())] == [1, 1]
    assert ran == [1]


def test_a_version_stands_in_for_the_code() -> None:
    def make(version: str, more: int) -> Callable[[int], int]:
        def add(x: int) -> int:
            ran.append(x)
            return x + more

        return cached(version=version)(add)

    assert [make("1", 1)(1), make("1", 2)(1), make("2", 2)(1)] == [2, 2, 3]
    assert ran == [1, 1]


# Calls within calls


@cached
def inner(x: int) -> int:
    ran.append(f"inner {x}")
    return x + 1


@cached
def outer(x: int) -> int:
    ran.append(f"outer {x}")
    return inner(x) + inner(x + 1)


def test_calls_within_a_call_are_its_children(project: Path) -> None:
    assert outer(1) == 5

    names = select(
        project,
        "SELECT p.task_name, c.task_name, call_order FROM call_edge e"
        " JOIN call_node p ON p.call_hash = e.parent_id"
        " JOIN call_node c ON c.call_hash = e.child_id ORDER BY call_order",
    )
    assert [(a.rpartition(".")[2], b.rpartition(".")[2], n) for a, b, n in names] == [
        ("outer", "inner", 0),
        ("outer", "inner", 1),
    ]
    jobs = select(project, "SELECT count(*) FROM job WHERE parent_id IS NOT NULL")
    assert jobs == [(2,)]


def test_the_code_of_a_cached_function_counts_for_who_calls_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert outer(1) == 5

    @cached
    def inner(x: int) -> int:
        return x + 10

    monkeypatch.setitem(globals(), "inner", inner)

    assert outer(1) == 23


@task
def step(x: int) -> int:
    return x + 1


@cached
def runs_a_workflow(x: int) -> int:
    ran.append(x)
    return taskgraph.run(step(x))


def test_the_code_of_tasks_counts_where_a_body_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [runs_a_workflow(1), runs_a_workflow(1)] == [2, 2]
    assert ran == [1]

    @task(name="step")
    def later(x: int) -> int:
        return x + 5

    monkeypatch.setitem(globals(), "step", later)

    assert runs_a_workflow(1) == 6


def test_a_cached_function_counts_with_its_code_in_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    @task
    def whole(x: int) -> int:
        return inner(x)

    assert taskgraph.run(whole(1)) == 2

    @cached
    def other(x: int) -> int:
        return x + 10

    monkeypatch.setitem(globals(), "inner", other)

    assert taskgraph.run(whole(1)) == 11


def test_a_lazy_call_is_no_result() -> None:
    @cached
    def lazy(x: int) -> Any:
        return step(x)

    for _ in range(2):
        with pytest.raises(LazyResultError, match=r"taskgraph\.run"):
            lazy(1)


def test_a_function_that_calls_itself_alike_does_not_wait_for_itself() -> None:
    @cached
    def endless(x: int) -> int:
        return endless(x)

    with pytest.raises(RecursionError):
        endless(1)


def test_recursion_is_kept_level_by_level() -> None:
    @cached
    def factorial(n: int) -> int:
        ran.append(n)
        return n * factorial(n - 1) if n else 1

    assert [factorial(5), factorial(6), factorial(5)] == [120, 720, 120]
    assert ran == [5, 4, 3, 2, 1, 0, 6]


# What is left behind


def test_a_counter_that_a_body_changes_is_no_edit() -> None:
    assert [double(1), double(1), double(2), double(1)] == [2, 2, 4, 2]
    assert ran == [1, 2]


def test_what_is_only_written_to_counts_for_nothing() -> None:
    double(1)
    ran.append("from outside")

    double(1)

    assert ran == [1, "from outside"]


def test_an_edit_of_a_variable_from_outside_counts() -> None:
    seen: list[int] = []

    @cached
    def count(x: int) -> int:
        seen.append(x)
        return len(seen)

    assert [count(1), count(1), count(2), count(1)] == [1, 1, 2, 1]
    seen.append(0)

    assert count(1) == 4


def test_errors_are_raised_recorded_and_not_kept(project: Path) -> None:
    @cached
    def fail(x: int) -> int:
        raise ValueError(f"not {x}")

    for _ in range(2):
        with pytest.raises(ValueError, match="not 1"):
            fail(1)

    assert job_states(project)["fail", "FAILED"] == 2


def test_an_interrupted_call_is_recorded_as_cancelled(project: Path) -> None:
    @cached
    def interrupted(x: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(1)

    assert job_states(project)["interrupted", "CANCELLED"] == 1


def test_what_is_too_large_is_returned_and_recorded_as_not_kept(project: Path) -> None:
    (project / ".taskgraph" / "config.toml").write_text("[backend]\nmax_value_size = 1000\n")

    @cached
    def large(n: int) -> bytes:
        ran.append(n)
        return bytes(n)

    assert [len(large(2000)), len(large(2000)), len(large(10)), len(large(10))] == [
        *(2000, 2000, 10, 10)
    ]
    assert ran == [2000, 2000, 10]
    assert select(project, "SELECT count(*) FROM value WHERE format = 'unstored'") == [(2,)]


def test_items_of_a_result_are_known_again(project: Path) -> None:
    @cached
    def split(n: int) -> tuple[Any, Any]:
        return numpy.arange(n), numpy.arange(n) * 0.5

    @cached
    def total(values: Any) -> float:
        return float(values.sum())

    for _ in range(2):
        total(split(4)[1])

    joined = select(
        project,
        "SELECT u.task_name, c.task_name, count(*) FROM argument_result r"
        " JOIN call_node u ON u.call_hash = r.result_call_hash"
        " JOIN argument a ON a.arg_hash = r.arg_hash"
        " JOIN call_node c ON c.call_hash = a.call_hash GROUP BY 1, 2",
    )
    assert [(a.rpartition(".")[2], b.rpartition(".")[2], n) for a, b, n in joined] == [
        ("split", "total", 1)
    ]


def test_values_that_python_shares_come_from_nowhere(project: Path) -> None:
    double(True)
    double(double(3))  # six is the same object everywhere

    assert select(project, "SELECT count(*) FROM argument_result") == [(0,)]


def test_explain_tells_of_a_call_before_it_is_made() -> None:
    double(1)

    assert "nothing changed" in str(taskgraph.explain(double.key(1)))
    assert "x" in str(taskgraph.explain(double.key(2)))
    assert "never called" in str(taskgraph.explain(double))


# The verbs


def test_a_key_says_what_it_was_made_of() -> None:
    made = key(double, ([1, 2],))

    assert made.eval_hash == double.key([1, 2]).eval_hash
    assert list(made.arguments) == ["x"]
    assert any(part.name.endswith("double") for part in made.parts)


def test_what_is_recorded_is_found_and_tells_where_it_came_from(project: Path) -> None:
    first, second = key(inner, (100_000,)), key(double, (100_001,))
    assert isinstance(lookup(first), Miss)
    made = record(first, 100_001, host="there", tags={"run": 7})
    record(second, 200_002, upstream=[made])

    found = lookup(key(double, (100_001,)))

    assert isinstance(found, Hit)
    assert isinstance(found.record, CallRecord)
    assert found.value == 200_002
    tags = select(project, "SELECT key, value FROM tag ORDER BY key")
    assert tags == [("host", '"there"'), ("run", "7")]
    assert select(project, "SELECT count(*) FROM argument_result") == [(1,)]


def test_tags_that_cannot_be_written_are_refused_before_anything_runs(project: Path) -> None:
    with pytest.raises(TagKeyError, match="taskgraph's own"):
        lookup(key(inner, (100_000,)), tags={"taskgraph.run": 7})


def test_upstream_calls_are_found_inside_of_arguments(project: Path) -> None:
    made = record(key(inner, (1,)), "a long text")
    record(key(double, (["a long text", 2],)), 1, upstream=[made])

    assert select(project, "SELECT count(*) FROM argument_result") == [(1,)]


# Many at once


def test_threads_that_make_one_call_run_it_once(project: Path) -> None:
    started = threading.Barrier(10)

    @cached(config_args=["gate"])
    def slow(x: int, gate: Any) -> int:
        ran.append(x)
        time.sleep(0.05)
        return x

    def call(_: int) -> int:
        started.wait()
        return slow(1, started)

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(call, range(10)))

    assert results == [1] * 10
    assert ran == [1]
    assert job_states(project) == Counter({("slow", "DONE"): 1, ("slow", "CACHED"): 9})


def test_threads_share_a_result_that_cannot_be_kept(project: Path) -> None:
    started = threading.Barrier(5)

    @cached(config_args=["gate"])
    def unstorable(x: int, gate: Any) -> Any:
        ran.append(x)
        time.sleep(0.05)
        return threading.Lock()

    def call(_: int) -> Any:
        started.wait()
        return unstorable(1, started)

    with ThreadPoolExecutor(5) as pool:
        results = set(pool.map(call, range(5)))

    assert len(results) == 1
    assert ran == [1]


def test_calls_that_would_wait_for_each_other_go_on() -> None:
    @cached(config_args=["gate"])
    def one(x: int, gate: Any) -> int:
        gate.append(1)
        while len(gate) < 2:
            time.sleep(0.001)
        return other(x, gate) if len(gate) < 6 else 0

    @cached(config_args=["gate"])
    def other(x: int, gate: Any) -> int:
        gate.append(2)
        while len(gate) < 2:
            time.sleep(0.001)
        return one(x, gate) if len(gate) < 6 else 0

    gate: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(each, 1, gate) for each in (one, other)]
        assert [each.result(timeout=30) for each in results] == [0, 0]


def test_thirty_threads_get_what_they_ask_for(project: Path) -> None:
    def call(number: int) -> list[int]:
        return [double(100 + (number + step) % 40) for step in range(40)]

    with ThreadPoolExecutor(30) as pool:
        results = list(pool.map(call, range(30)))

    for number, found in enumerate(results):
        assert found == [2 * (100 + (number + step) % 40) for step in range(40)]
    assert sorted(ran) == list(range(100, 140))
    assert job_states(project) == Counter({("double", "DONE"): 40, ("double", "CACHED"): 1160})


SCRIPT = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from taskgraph import cached

@cached
def square(x):
    return [x * x, "of", x]

def call(number):
    return [square((number * 7 + step) % 50) for step in range(50)]

if __name__ == "__main__":
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(call, range(int(sys.argv[1]), int(sys.argv[1]) + 4)):
            assert sorted(found) == [[x * x, "of", x] for x in range(50)], found
    print("right")
"""


def test_eight_processes_lose_no_record(project: Path) -> None:
    (project / "many.py").write_text(SCRIPT)
    started = [
        subprocess.Popen(
            [sys.executable, "many.py", str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(8)
    ]

    assert [each.communicate(timeout=120)[0] for each in started] == ["right\n"] * 8

    found = job_states(project)
    assert found["square", "DONE"] + found["square", "CACHED"] == 8 * 4 * 50
    assert found["square", "DONE"] >= 50
    states = select(project, "SELECT DISTINCT state_type FROM execution")
    assert states == [("COMPLETED",)]
    assert select(project, "SELECT count(*) FROM evaluation") == [(50,)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_process_pool_record_their_calls(project: Path, method: str) -> None:
    (project / "pooled.py").write_text(
        textwrap.dedent(f"""
        import multiprocessing
        from taskgraph import cached

        @cached
        def square(x):
            return x * x

        if __name__ == "__main__":
            square(100)
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(pool.map(square, range(10)))
                pool.close()
                pool.join()
        """)
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "pooled.py"], capture_output=True, text=True, check=True
    )

    assert done.stdout == f"{[x * x for x in range(10)]}\n"
    assert job_states(project)["square", "DONE"] == 11
    assert select(project, "SELECT DISTINCT state_type FROM execution") == [("COMPLETED",)]


def test_what_was_returned_survives_kill_9(project: Path) -> None:
    (project / "killed.py").write_text(
        textwrap.dedent("""
        import os, signal
        from taskgraph import cached

        @cached
        def square(x):
            return x * x

        for number in range(20):
            square(number)
        os.kill(os.getpid(), signal.SIGKILL)
        """)
    )

    done = subprocess.run([sys.executable, "killed.py"], check=False)

    assert done.returncode == -signal.SIGKILL
    assert job_states(project)["square", "DONE"] == 20
    assert select(project, "SELECT state_type FROM execution") == [("CRASHED",)]


def test_a_cached_function_travels_by_its_name() -> None:
    again = pickle.loads(pickle.dumps(double))

    assert again is double


def test_a_new_execution_begins_after_the_last_one_was_ended(project: Path) -> None:
    double(1)
    first = current_execution().id
    close_executions()

    assert double(1) == 2
    assert ran == [1]
    assert current_execution().id != first


# async


def test_an_async_function_is_awaited_as_ever(project: Path) -> None:
    @cached
    async def fetch(x: int) -> int:
        ran.append(x)
        await asyncio.sleep(0.01)
        return x * 2

    async def main() -> list[int]:
        return [*await asyncio.gather(*(fetch(1) for _ in range(5))), await fetch(1)]

    assert asyncio.run(main()) == [2] * 6
    assert ran == [1]
    assert job_states(project) == Counter({("fetch", "DONE"): 1, ("fetch", "CACHED"): 5})


def test_a_cancelled_call_is_recorded_and_made_again(project: Path) -> None:
    @cached
    async def fetch(x: int) -> int:
        ran.append(x)
        await asyncio.sleep(0 if len(ran) > 1 else 3600)
        return x

    async def main() -> int:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fetch(1), 0.05)
        return await fetch(1)

    assert asyncio.run(main()) == 1
    assert ran == [1, 1]
    assert job_states(project) == Counter({("fetch", "CANCELLED"): 1, ("fetch", "DONE"): 1})


def test_calls_within_an_async_call_are_its_children(project: Path) -> None:
    @cached
    async def leaf(x: int) -> int:
        await asyncio.sleep(0)
        return x

    @cached
    async def root(x: int) -> int:
        return sum(await asyncio.gather(*(leaf(x + step) for step in range(3))))

    assert asyncio.run(root(1)) == 6  # type: ignore[arg-type]  # a coroutine, as its function says

    edges = select(project, "SELECT count(*), count(DISTINCT parent_id) FROM call_edge")
    assert edges == [(3, 1)]


def test_a_config_dir_of_its_own_holds_the_calls(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"

    @cached(config_dir=elsewhere)
    def square(x: int) -> int:
        return x * x

    assert [square(3), square(3)] == [9, 9]
    assert (elsewhere / "taskgraph.db").exists()
    assert not os.path.exists(".taskgraph/taskgraph.db")


# Edits while others are under way


FACTOR = 1


@cached(config_args=["started", "go_on"])
def waiting(started: threading.Event, go_on: threading.Event) -> int:
    started.set()
    go_on.wait()
    return 1


@cached
def times(x: int) -> int:
    ran.append(x)
    return x * FACTOR


def test_an_edit_is_seen_while_another_call_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(waiting, started, go_on)
        started.wait()
        assert times(10_000) == 10_000
        monkeypatch.setitem(globals(), "FACTOR", 2)
        assert [times(10_000), times(20_000)] == [20_000, 40_000]
        go_on.set()
        under_way.result()

    assert times(10_000) == 20_000
    monkeypatch.setitem(globals(), "FACTOR", 1)
    assert times(20_000) == 20_000


def test_a_result_of_code_that_changed_meanwhile_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def helper(x: int) -> int:
        return x + 1

    def other(x: int) -> int:
        return x + 2

    monkeypatch.setitem(globals(), "helper_of_edited", helper)

    @cached
    def edited(x: int) -> int:
        ran.append(x)
        if len(ran) == 1:  # not by monkeypatch: all that it holds would count as reached
            globals()["helper_of_edited"] = other
        return helper_of_edited(x)  # type: ignore[name-defined,no-any-return]  # noqa: F821

    assert edited(1) == 3
    monkeypatch.setitem(globals(), "helper_of_edited", helper)

    assert [edited(1), edited(1)] == [2, 2]
    assert ran == [1, 1]


def test_the_end_of_the_stack_leaves_nothing_half_written(project: Path) -> None:
    @cached
    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + deep(n - 1)

    with pytest.raises(RecursionError):
        deep(2_000)

    assert [double(100_000), double(100_000)] == [200_000, 200_000]
    close_executions()
    assert select(project, "SELECT state_type FROM execution") == [("COMPLETED",)]


def test_two_tasks_of_one_name_both_count() -> None:
    def make(values: list[int]) -> Any:
        @task(name="of_one_name", namespace="twice")
        def total() -> int:
            return sum(values)

        return total

    first, second = [1], [2]
    both = {"a": make(first), "b": make(second)}

    @cached
    def totals() -> list[int]:
        return [both["a"].func(), both["b"].func()]

    assert totals() == [1, 2]
    first.append(5)
    assert totals() == [6, 2]
    second.append(5)
    assert totals() == [6, 7]


def test_calls_that_are_not_to_be_kept_run_side_by_side() -> None:
    barrier = threading.Barrier(2)

    @cached(cache=False)
    def meet() -> int:
        barrier.wait(timeout=30)
        return 1

    with ThreadPoolExecutor(2) as pool:
        assert [each.result() for each in [pool.submit(meet), pool.submit(meet)]] == [1, 1]


@cached(version="1")
def make_temporary(path: str) -> taskgraph.File:
    ran.append("make")
    file = taskgraph.File(path, temp=True)
    file.write("xyz")
    return file


@cached(version="1")
def read_temporary(file: taskgraph.File) -> str:
    ran.append("read")
    return str(file.read())


def test_a_temporary_file_that_is_gone_is_made_again_for_whoever_is_given_it(
    project: Path,
) -> None:
    assert read_temporary(make_temporary("a")) == "xyz"

    released = taskgraph.release("a", config_dir=project / ".taskgraph", force=True)

    assert [each.fate for each in released] == ["deleted"]
    assert read_temporary(make_temporary("a")) == "xyz"
    assert ran == ["make", "read", "make"]
