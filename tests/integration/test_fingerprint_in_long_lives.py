"""Long lives, odd objects and edits while something runs: what a corpus of edits cannot show."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from taskgraph.cli.scripts import find_task, load_script
from tests.fingerprint_corpus.running import fresh_project, run_task
from tests.forked import run_python

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
    # Python itself takes a file that was written twice in a second for the same.
    "PYTHONDONTWRITEBYTECODE": "1",
}

#: What a run leaves behind in the program, and what makes a second one see another program.
LEFT_BEHIND = {
    "a global that is made when it is first needed": """
        MODEL = None

        def model():
            global MODEL
            if MODEL is None:
                MODEL = [1, 2]
            return MODEL

        @task
        def main():
            return len(model())
        """,
    "an attribute that a method makes when it is first needed": """
        class Tool:
            def __init__(self):
                self.model = None

            def use(self, x):
                if self.model is None:
                    self.model = [2]
                return self.model[0] * x

        TOOL = Tool()

        @task
        def main():
            return TOOL.use(21)
        """,
    "a method that counts its calls": """
        class Tool:
            def __init__(self):
                self.calls = 0

            def use(self, x):
                self.calls += 1
                return 2 * x

        TOOL = Tool()

        @task
        def main():
            return TOOL.use(21)
        """,
    "a memo in a decorator": """
        def memo(func):
            seen = {}

            def wrapper(x):
                if x not in seen:
                    seen[x] = func(x)
                return seen[x]

            return wrapper

        @memo
        def scale(x):
            return 2 * x

        @task
        def main():
            return scale(21)
        """,
    "a number in a closure": """
        def make():
            calls = 0

            def count(x):
                nonlocal calls
                calls += 1
                return x

            return count

        COUNT = make()

        @task
        def main():
            return COUNT(21)
        """,
    "a list in a dictionary": """
        from collections import defaultdict

        SEEN = defaultdict(list)

        @task
        def main():
            SEEN["main"].append(1)
            return 1
        """,
    "a dictionary that a helper is given": """
        CACHE = {}

        def put(cache, key):
            cache[key] = 1

        @task
        def main():
            put(CACHE, 2)
            return 1
        """,
    "a list that is a default": """
        def scale(x, seen=[]):
            seen.append(x)
            return 2 * x

        @task
        def main():
            return scale(21)
        """,
    "a list of a class": """
        class Tool:
            made = []

            def __init__(self):
                self.made.append(1)

        @task
        def main():
            Tool()
            return 1
        """,
    "a global that is imported when it is first needed": """
        json = None

        @task
        def main():
            global json
            import json

            return json.dumps(1)
        """,
}


def write_flow(folder: Path, text: str) -> None:
    (folder / "flow.py").write_text("from taskgraph import task\n\n" + textwrap.dedent(text))


@pytest.mark.parametrize("text", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
def test_a_second_run_in_a_process_finds_what_the_first_one_left(text: str, tmp_path: Path) -> None:
    write_flow(tmp_path, text)
    database = f"sqlite:///{tmp_path / 'taskgraph.db'}"

    with fresh_project(tmp_path):
        main = find_task(load_script(str(tmp_path / "flow.py")), "main")
        ran = [run_task(main, tmp_path, database).tasks for _ in range(3)]

    assert ran == [("main",), (), ()]


# Objects of all kinds

ODD = {
    "a proxy whose attributes are proxies": """
        class Node:
            def __init__(self, path=""):
                self.path = path

            def __getattr__(self, name):
                return Node(f"{self.path}/{name}")

            def __call__(self):
                return self.path

        API = Node()
        """,
    "a proxy of the standard library": """
        import xmlrpc.client

        API = xmlrpc.client.ServerProxy("http://localhost:1")
        """,
    "a state without an end": """
        class Node:
            def __getstate__(self):
                return {"next": Node()}

        API = Node()
        """,
    "an object that cannot be shown": """
        class Row:
            def __repr__(self):
                raise RuntimeError("not loaded")

        API = [Row()]
        """,
    "a list that is too deep to be shown": """
        API = []
        for _ in range(5000):
            API = [API]
        """,
    "a number that is too large to be shown": """
        API = [10 ** 5000]
        """,
    "classes that are equal to none": """
        class Meta(type):
            def __eq__(self, other):
                return False

        class Tool(metaclass=Meta):
            pass

        API = Tool()
        """,
    "an object that refuses every attribute": """
        class Tool:
            def __getattribute__(self, name):
                raise RuntimeError("unbound")

        API = Tool()
        """,
    "a weak reference that is dead": """
        import weakref

        class Tool:
            pass

        API = weakref.proxy(Tool())
        """,
    "a module that ends the program": """
        API = None

        def never():
            import ends

            return ends.never()

        """,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_a_task_that_reaches_an_odd_object_runs(text: str, tmp_path: Path) -> None:
    body = "\n\n@task\ndef main():\n    return 42 if id(API) else never()\n"
    write_flow(tmp_path, textwrap.dedent(text) + body)
    (tmp_path / "ends.py").write_text("import sys\n\nsys.exit(3)\n")

    words = ("-m", "taskgraph.cli.main", "run", "-q", "flow.py", "main")
    done = run_python(words, tmp_path, ENVIRONMENT)

    assert (done.out, done.code) == ("42\n", 0), done.err


# Edits

TOOL = "class Tool:\n    def use(self, x):\n        return 2 * x\n"
MAIN = "from taskgraph import task\n\n\n@task\ndef main():\n    return Tool().use(21)\n"


def run_cell(kernel: ModuleType, name: str, text: str) -> None:
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec", dont_inherit=True), kernel.__dict__)


def test_a_cell_that_keeps_its_file_name_is_read_again(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    with fresh_project(tmp_path):
        kernel = sys.modules["__main__"] = ModuleType("__main__")
        run_cell(kernel, "<cell tool>", TOOL)
        run_cell(kernel, "<cell main>", MAIN)
        run_task(kernel.__dict__["main"], tmp_path, database)

        run_cell(kernel, "<cell tool>", TOOL.replace("2", "3"))
        again = run_task(kernel.__dict__["main"], tmp_path, database)

    assert again.result == "63"


def test_a_class_that_was_edited_after_it_was_loaded_is_not_taken_for_the_edited_one(
    tmp_path: Path,
) -> None:
    database = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    fields = ("    x: int = 1\n", "    y: int = 1\n")
    head = "from dataclasses import dataclass\n\n\n@dataclass\nclass Point:\n"
    (tmp_path / "points.py").write_text(head + "".join(fields))
    (tmp_path / "flow.py").write_text(
        "import points\n" + MAIN.replace("Tool().use(21)", "points.Point(1, 2).x")
    )
    with fresh_project(tmp_path):
        main = find_task(load_script(str(tmp_path / "flow.py")), "main")
        (tmp_path / "points.py").write_text(head + "".join(reversed(fields)))
        run_task(main, tmp_path, database)

    with fresh_project(tmp_path):
        new = run_task(
            find_task(load_script(str(tmp_path / "flow.py")), "main"), tmp_path, database
        )

    assert new.result == "2"


EDITED_WHILE_IT_RUNS = """
import sys
from pathlib import Path

import helpers
from taskgraph import Scheduler, task


@task
def step(x):
    return helpers.scale(x)


@task(executor="inline", cache_scope="NONE")
def prepare(is_edited):
    if is_edited:  # stands for a user who saves the file while the run is on
        Path("helpers.py").write_text("def scale(x):\\n    return 3 * x\\n")
    return 21


@task(executor="inline", cache_scope="NONE")
def main(is_edited):
    return step(prepare(is_edited))


if __name__ == "__main__":
    step.fingerprint
    scheduler = Scheduler(executor="processes", backend="sqlite:///taskgraph.db")
    print(scheduler.run(main("edit" in sys.argv)))
"""


def test_a_helper_that_is_saved_while_workers_start_is_not_recorded_as_the_loaded_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "flow.py").write_text(EDITED_WHILE_IT_RUNS)
    helpers = "def scale(x):\n    return 2 * x\n"

    def run(*words: str) -> str:
        (tmp_path / "helpers.py").write_text(helpers)
        command = [sys.executable, "flow.py", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        return done.stdout

    run("edit")

    assert run() == "42\n"


# Ways to start

STARTED = """
import logging

import taskgraph
from taskgraph import task

log = logging.getLogger(__name__)


class Tool:
    def use(self, x):
        return 2 * x


TOOL = Tool()


@task
def main():
    log.debug("running")
    print("ran")
    return TOOL.use(21)


if __name__ == "__main__":
    print(taskgraph.run(main()))
"""


# Memory
