"""Variables that change while a program runs: no result is kept under what was not the case.

Each program runs in a process of its own, and says what it computed; in a new process everything is
as it was written, and what was computed with something else must not be found.
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.forked import run_python

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}

STEPS = """
import threading
import time
from taskgraph import cached, task

taskgraph_namespace = "steps"
N = 0
P = {"scale": 1, "deep": {"scale": 1}}
MEMO = {}
LOG = []

def bump_plainly(x):
    global N
    N += x
    return N

def show_plainly():
    return N

@task
def bump(x):
    return bump_plainly(x)

@task
def show(after=None):
    LOG.append(after)
    return N

@task
def scaled(x):
    return x * P["scale"] * P["deep"]["scale"]

@task
def slow(x):
    time.sleep(0.4)
    return x * P["scale"]

def squared(x):
    if x not in MEMO:
        MEMO[x] = x * x
    return MEMO[x]

@task
def first(x):
    return squared(x)

@task
def second(x):
    return squared(x) + squared(x + 1)

@cached
def eager_bump(x):
    return bump_plainly(x)

@cached
def eager_show():
    return show_plainly()

@cached
def eager_scaled(x):
    return x * P["scale"]

@cached
def sweep():
    made = []
    for scale in (1, 2, 3):
        P["scale"] = scale
        made.append(eager_scaled(10))
    return made

@cached
def eager_slow(x):
    time.sleep(0.4)
    return x * P["scale"]

@cached
def counts(x):
    eager_bump(x)
    return x

def later(change):
    timer = threading.Timer(0.2, change)
    timer.start()
    return timer
"""

FLOW = """
import json
import sys
from pathlib import Path
from taskgraph import Scheduler
from taskgraph.events import JobDone, ResultNotKept
from taskgraph.config import Settings
import steps
from steps import *

class Observer:
    def __init__(self, ran, reasons):
        self.ran = ran
        self.reasons = reasons

    def notify(self, event):
        if isinstance(event, JobDone):
            self.ran.append(event.task)
        if isinstance(event, ResultNotKept):
            self.reasons.append(event.reason)

def main():
    ran, reasons = [], []
    settings = Settings(Path(".taskgraph"))
    with Scheduler(settings, executor=sys.argv[1], observers=[Observer(ran, reasons)]) as scheduler:
        said = program(scheduler.run, ran, reasons)
    print(json.dumps(said))

def program(run, ran, reasons):
{program}

if __name__ == "__main__":
    main()
"""


def say(folder: Path, executor: str, program: str) -> Any:
    """Run a program in a new process, on the same project; returns what it says."""
    (folder / ".taskgraph").mkdir(exist_ok=True)
    (folder / "steps.py").write_text(STEPS)
    body = textwrap.indent(textwrap.dedent(program).strip(), "    ")
    (folder / "flow.py").write_text(FLOW.replace("{program}", body))
    done = run_python(["flow.py", executor], folder, ENVIRONMENT)
    assert done.code == 0, done.err
    return json.loads(done.out)


HERE = ["inline", "threads"]
EVERYWHERE = [*HERE, "processes"]


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_what_one_task_did_to_a_number_is_not_found_where_it_was_not_done(
    tmp_path: Path, executor: str
) -> None:
    said = say(tmp_path, executor, "run(bump(3))\nreturn [run(show()), steps.N]")

    assert said[0] == said[1] if executor != "processes" else said
    assert say(tmp_path, executor, "return run(show())") == 0


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_nor_within_one_run(tmp_path: Path, executor: str) -> None:
    said = say(tmp_path, executor, "return run(show(bump(3)))")

    assert said == 3 or executor == "processes"
    assert say(tmp_path, executor, "return run(show(3))") == 0


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_an_edit_while_a_call_runs_is_not_what_the_call_did(tmp_path: Path, executor: str) -> None:
    program = """
        timer = later(lambda: P.update(scale=7))
        run(slow(1))
        timer.join()
        return run(slow(1))
    """
    # Worker processes have the module as it is written.
    assert say(tmp_path, executor, program) == (1 if executor == "processes" else 7)
    assert say(tmp_path, executor, "return run(slow(1))") == 1


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_a_change_deep_in_a_container_is_seen_in_the_same_run_and_after(
    tmp_path: Path, executor: str
) -> None:
    program = """
        before = run(scaled(1))
        P["deep"]["scale"] = 5
        return [before, run(scaled(1))]
    """
    said = say(tmp_path, executor, program)

    assert said == [1, 1 if executor == "processes" else 5]
    assert say(tmp_path, executor, "P['deep']['scale'] = 5\nreturn run(scaled(1))") in (
        (1, 5) if executor == "processes" else (5,)
    )
    assert say(tmp_path, executor, "return run(scaled(1))") == 1


def test_a_worker_process_with_other_values_keeps_nothing(tmp_path: Path) -> None:
    said, reasons = say(tmp_path, "processes", "P['scale'] = 7\nreturn run(scaled(1)), reasons")
    here = say(tmp_path, "inline", "P['scale'] = 7\nreturn run(scaled(1))")

    assert (said, here) == (1, 7)
    (reason,) = reasons
    assert reason.startswith("steps.P holds something else in the worker process")


def test_it_is_told_what_was_changed(tmp_path: Path) -> None:
    program = """
        timer = later(lambda: P.update(scale=7))
        run(slow(1))
        timer.join()
        return reasons
    """
    assert say(tmp_path, "threads", program) == [
        "steps.P was changed while it ran, and not by its own code"
    ]


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_a_memo_that_two_tasks_share_makes_neither_run_again(tmp_path: Path, executor: str) -> None:
    calls = "[first(2), second(2), first(3), second(3)]"

    one_by_one = say(tmp_path, executor, f"return [run(each) for each in {calls}], ran")
    again = say(tmp_path, executor, f"return run({calls}), ran")

    assert one_by_one == [[4, 13, 9, 25], ["steps.first", "steps.second"] * 2]
    assert again == [[4, 13, 9, 25], []]


def test_a_memo_that_two_tasks_share_gives_hits_in_the_same_process(tmp_path: Path) -> None:
    program = """
        calls = [first(2), second(2), first(3), second(3)]
        run(calls)
        ran.clear()
        return run(calls), [run(each) for each in calls], ran
    """
    assert say(tmp_path, "inline", program) == [[4, 13, 9, 25], [4, 13, 9, 25], []]


def test_what_one_cached_function_did_is_not_found_where_it_was_not_done(tmp_path: Path) -> None:
    assert say(tmp_path, "inline", "eager_bump(3)\nreturn eager_show()") == 3
    assert say(tmp_path, "inline", "return eager_show()") == 0


def test_a_sweep_of_a_variable_gives_each_of_its_results(tmp_path: Path) -> None:
    assert say(tmp_path, "inline", "return [sweep(), sweep()]") == [[10, 20, 30]] * 2
    assert say(tmp_path, "inline", "return eager_scaled(10)") == 10
    program = "P['scale'] = 3\nreturn [eager_scaled(10), sweep(), P['scale']]"
    assert say(tmp_path, "inline", program) == [30, [10, 20, 30], 3]


def test_an_edit_while_a_cached_call_runs_is_not_what_the_call_did(tmp_path: Path) -> None:
    program = """
        timer = later(lambda: P.update(scale=7))
        made = eager_slow(1)
        timer.join()
        return [made, eager_slow(1)]
    """
    assert say(tmp_path, "inline", program) == [7, 7]
    assert say(tmp_path, "inline", "return eager_slow(1)") == 1


def test_what_calls_within_a_cached_call_do_is_its_own_doing(tmp_path: Path) -> None:
    program = """
        made = [counts(1), steps.N, counts(1), steps.N]
        return made
    """
    assert say(tmp_path, "inline", program) == [1, 1, 1, 1]
    assert say(tmp_path, "inline", program) == [1, 0, 1, 0]


def test_explain_tells_of_a_result_that_was_not_kept(tmp_path: Path) -> None:
    program = """
        eager_show()  # what is loaded once takes its time
        timer = later(lambda: P.update(scale=7))
        eager_slow(1)
        timer.join()
        P["scale"] = 1
        from taskgraph import explain
        return str(explain(eager_slow.key(1)))
    """
    said = say(tmp_path, "inline", program)

    why = "its earlier result was not kept: a variable changed while it ran"
    assert said == f"steps.eager_slow would run again because {why}"


ODD = {
    "a stand-in that refuses": "class Q:\n    def __getattribute__(self, n): raise RuntimeError(n)",
    "a class that refuses": (
        "class M(type):\n    def __getattr__(cls, n): raise RuntimeError(n)\n"
        "class Q(metaclass=M): pass"
    ),
    "an object that hides its class": (
        "class Q:\n    @property\n    def __class__(self): raise RuntimeError('hidden')"
    ),
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_objects_in_what_code_changes_are_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.py").write_text(
        f"from taskgraph import cached, task\n{text}\n"
        "D = {'q': Q(), 'n': 0, ...: 1}\n"
        "def h(x):\n    D['n'] = D['n'] + x\n    D[...] = x\n    D[-1.5] = x\n"
        "    return D['q'] is not None\n"
        "@cached\ndef eager(x): return h(x)\n"
        "@task\ndef lazy(x): return h(x)\n"
    )

    said = say(
        tmp_path, "threads", "from odd import eager, lazy\nreturn eager(1), run(lazy(1)), eager(2)"
    )

    assert said == [True] * 3


def test_what_threads_change_while_it_is_looked_at_is_no_error(tmp_path: Path) -> None:
    program = """
        import sys, threading
        sys.setswitchinterval(1e-5)
        inner = P["deep"]
        over = threading.Event()

        def change():
            number = 0
            while not over.is_set():
                inner[number % 900] = number
                inner.pop((number * 7) % 900, None)
                number += 1

        thread = threading.Thread(target=change)
        thread.start()
        try:
            made = [run(scaled(each)) for each in range(60)]
        finally:
            over.set()
            thread.join()
        return made == list(range(60))
    """
    assert say(tmp_path, "threads", program)
