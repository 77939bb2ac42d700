"""Results that hold code: whoever is given one from the records uses that code as it is now."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.forked import run_python

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
    # Python itself takes a file that was written twice in a second for the same.
    "PYTHONDONTWRITEBYTECODE": "1",
}

HELPERS = """
def scale(x):
    return x * {factor}

class Model:
    def __init__(self, a):
        self.a = a
    def predict(self, x):
        return (self.a + x) * {factor}
"""

FLOW = """
import json, sys
import helpers
from taskgraph import evaluate, run, task

taskgraph_namespace = "flow"
ran = []

def note(function):
    ran.append(function)

@task(version="1")
def pick():
    note("pick")
    return helpers.scale

@task(version="1")
def make(a):
    note("make")
    return helpers.Model(a)

@task
def find(name):
    note("find")
    return getattr(helpers, name)

@task(version="1")
def several(a):
    note("several")
    return {"f": helpers.scale, "models": [helpers.Model(a)]}

@task(version="1")
def handed_on(a):
    return make(a)

@task
def call(f, x):
    note("call")
    return f(x)

@task
def predict(model, x):
    note("predict")
    return model.predict(x)

@task
def both(given, x):
    note("both")
    return given["f"](x) + given["models"][0].predict(x)

@task
async def awaits(x):
    note("awaits")
    f = await evaluate(pick())
    return f(x)

X = 2
FLOWS = {
    "function": lambda: call(pick(), X),
    "object": lambda: predict(make(1), X),
    "computed": lambda: call(find("scale"), X),
    "nested": lambda: both(several(1), X),
    "in a list": lambda: [call(each, X) for each in [pick(), helpers.scale]],
    "handed on": lambda: predict(handed_on(1), X),
    "awaited": lambda: awaits(X),
}
print(json.dumps([run(FLOWS[sys.argv[1]]()), sorted(ran)]))
"""


def run(folder: Path, what: str, factor: int) -> tuple[Any, list[str]]:
    (folder / "helpers.py").write_text(HELPERS.format(factor=factor))
    done = run_python(["flow.py", what], folder, ENVIRONMENT)
    assert done.code == 0, done.err
    value, ran = json.loads(done.out)
    return value, ran


@pytest.mark.parametrize(
    ("what", "of", "makers"),
    [
        ("function", lambda k: 2 * k, {"pick"}),
        ("object", lambda k: 3 * k, {"make"}),
        ("computed", lambda k: 2 * k, {"find"}),
        ("nested", lambda k: 5 * k, {"several"}),
        ("in a list", lambda k: [2 * k, 2 * k], {"pick"}),
        ("handed on", lambda k: 3 * k, {"make"}),
        ("awaited", lambda k: 2 * k, {"pick"}),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_edit_of_code_in_a_result_reaches_who_is_given_it(
    what: str, of: Any, makers: set[str], tmp_path: Path
) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    first, _ = run(tmp_path, what, 1)
    assert run(tmp_path, what, 1) == (first, [])

    edited, ran = run(tmp_path, what, 100)

    assert (first, edited) == (of(1), of(100))
    assert makers.isdisjoint(ran)  # what they gave is what they gave
    assert run(tmp_path, what, 100) == (edited, [])
    back, ran = run(tmp_path, what, 1)
    assert back == first
    # Of a body that awaits the last questions are kept: with other answers it runs again.
    assert ran == (["awaits"] if what == "awaited" else [])
