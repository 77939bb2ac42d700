"""Workers that hold other code, or other values, than who asks: never a cache entry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.executors.processes import ProcessExecutor
from taskgraph.testing import MemoryBackend

HELPER = """
SCALE = 1

def f(x):
    return x * 10

def g(x):
    return x + SCALE

class Item:
    made = 0

    def __init__(self):
        Item.made += 1

    def method(self, x):
        return x + 1
"""

SCRIPT = """
import functools, json, sys
import helper
from taskgraph import Scheduler, task

taskgraph_namespace = "elsewhere"
executor, method, change = sys.argv[1:]

def over(n):
    @task(name="over_f")
    def over_f(x):
        return helper.f(x) + n
    @task(name="over_scale")
    def over_scale(x):
        return helper.SCALE * x + n
    return over_f, over_scale

over_f, over_scale = over(0)

@task
def of_script(x):
    return helper.SCALE * x

def here(x):
    return helper.SCALE * x

@task
def apply(func, x):
    return func(x)

@task
def apply_item(item, x):
    return item.method(x)

@task
def count(item):
    return 1

ITEM = helper.Item()
CALLS = {
    "closure over a function": lambda: over_f(3),
    "closure over a variable": lambda: over_scale(3),
    "function of the script": lambda: of_script(3),
    "function as an argument": lambda: apply(helper.f, 3),
    "function in a partial": lambda: apply(functools.partial(helper.f), 3),
    "method as an argument": lambda: apply(ITEM.method, 3),
    "lambda as an argument": lambda: apply(lambda x: helper.f(x), 3),
    "function of the script as an argument": lambda: apply(here, 3),
    "reader of a variable as an argument": lambda: apply(helper.g, 3),
    "object as an argument": lambda: apply_item(ITEM, 3),
    "object whose class counts": lambda: count(ITEM),
}

def run(scheduler):
    found = {}
    for name, call in CALLS.items():
        try:
            found[name] = scheduler.run(call())
        except Exception as error:
            found[name] = type(error).__name__
    return found

if __name__ == "__main__":
    text = open("helper.py").read()
    if change == "edit":
        open("helper.py", "w").write(text.replace("* 10", "* 99").replace("x + 1", "x + 99"))
    elif change == "value":
        helper.SCALE = 7
    elif change == "patch":
        helper.f = here
    settings = {
        "backend": {"db_uri": "sqlite:///taskgraph.db"},
        "executors": {"processes": {"max_workers": 1, "start_method": method}},
    }
    with Scheduler(settings, executor=executor) as scheduler:
        there = run(scheduler)
    with Scheduler(settings, executor="inline") as scheduler:
        afterwards = run(scheduler)
    with Scheduler({"backend": {"db_uri": "sqlite:///:memory:"}}, executor="inline") as scheduler:
        right = run(scheduler)
    print(json.dumps({"there": there, "afterwards": afterwards, "right": right}))
"""


def results(folder: Path, change: str, method: str) -> dict[str, dict[str, Any]]:
    (folder / "helper.py").write_text(HELPER)
    (folder / "script.py").write_text(SCRIPT)
    words = [sys.executable, "script.py", "processes", method, change]

    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("method", ["spawn", "loky"])
@pytest.mark.parametrize("change", ["edit", "value", "patch"])
def test_what_a_worker_made_of_something_else_is_never_found_again(
    tmp_path: Path, change: str, method: str
) -> None:
    found = results(tmp_path, change, method)

    assert found["afterwards"] == found["right"]


@pytest.mark.parametrize("method", ["spawn", "loky"])
def test_other_code_is_an_error_wherever_in_a_call_it_is(tmp_path: Path, method: str) -> None:
    found = results(tmp_path, "edit", method)["there"]

    for name in (
        "closure over a function",
        "function as an argument",
        "function in a partial",
        "method as an argument",
        "lambda as an argument",
        "object as an argument",
    ):
        assert found[name] == "WorkerCodeError", name


def test_what_is_the_same_on_both_sides_is_kept(tmp_path: Path) -> None:
    found = results(tmp_path, "nothing", "spawn")

    assert found["there"] == found["right"]


@task(namespace="code_on_workers", executor="one")
def of_module(x: int) -> int:
    return x + 1


def test_a_local_function_is_its_own_where_its_module_was_imported_before() -> None:
    """What its decorators are called does not come along: its text is another one there."""

    @task(namespace="code_on_workers", executor="one")
    def local(x: int) -> int:
        return x * 10

    with Scheduler(backend=MemoryBackend()) as scheduler:
        scheduler.add_executor(ProcessExecutor("one", max_workers=1))
        assert scheduler.run(of_module(1)) == 2  # now the worker has the module
        assert scheduler.run([local(2), local(of_module(3))]) == [20, 40]


def decorated(func: Any) -> Any:
    return func if helping() else None


def helping() -> bool:
    return True


def test_what_only_a_decorator_refers_to_is_not_missed_on_a_worker() -> None:
    @task(namespace="code_on_workers", executor="one")
    @decorated
    def local(x: int) -> int:
        return x * 10

    with Scheduler(backend=MemoryBackend()) as scheduler:
        scheduler.add_executor(ProcessExecutor("one", max_workers=1))
        assert scheduler.run(of_module(1)) == 2
        assert scheduler.run(local(2)) == 20
