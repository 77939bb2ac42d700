"""Of a random workflow, one ingredient is changed: explain names that one, and no other.

Each case is a package of real files (tasks, helpers, constants, classes, input files) that is run,
left alone (nothing may run), changed in exactly one place, and run again.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import sqlite3
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskgraph import Scheduler
from taskgraph.config import Settings
from taskgraph.provenance.explain import (
    ChangeKind,
    ExecutionExplanation,
    Explanation,
    Verdict,
)

TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
CASES = 5_000 if TORTURE else 200


@dataclass
class Step:
    """A task: what its text is made of, and what it is given."""

    name: str
    number: int
    given: list[Any]
    inputs: list[int] = field(default_factory=list)
    helper: int | None = None
    constant: int | None = None
    scores: bool = False
    made: bool = False
    closure: int | None = None
    picks: int | None = None
    rounds: str | None = None
    reads: str | None = None
    writes: str | None = None
    options: dict[str, str] = field(default_factory=dict)


@dataclass
class Workflow:
    """All that a case is made of; each field is an ingredient."""

    name: str
    steps: list[Step]
    helpers: list[tuple[int, int]]
    constants: list[int]
    weight: int
    made_with: int
    fan: list[int]
    fan_number: int
    in_main: bool
    main_number: int = 0


@dataclass(frozen=True)
class Expected:
    """What explain must say of a task, after one ingredient was changed.

    Attributes:
        task: The task that is asked about.
        kind: The kind of the first change.
        name: How its name ends.
        path: The place in the argument, where it is known.
        pair: The old and new preview, where they are known.
        caused_by: The task that gave the argument.
    """

    task: str
    kind: ChangeKind
    name: str
    path: str = ""
    pair: tuple[str, str] | None = None
    caused_by: str = ""
    verdict: Verdict = Verdict.MISS


# Making workflows


def nested(draw: random.Random, depth: int = 0) -> Any:
    """Return a random value of containers, text and numbers."""
    kind = draw.choice(["int", "str", "list", "tuple", "dict", "point"] if depth < 3 else ["int"])
    match kind:
        case "list":
            return [nested(draw, depth + 1) for _ in range(draw.randint(1, 3))]
        case "tuple":
            return tuple(nested(draw, depth + 1) for _ in range(draw.randint(1, 3)))
        case "dict":
            return {f"k{i}": nested(draw, depth + 1) for i in range(draw.randint(1, 3))}
        case "point":
            return Point([nested(draw, depth + 1), draw.randint(0, 99)])
        case "str":
            return "t" * draw.randint(0, 5)
    return draw.randint(0, 99)


class Point:
    """Stands for an object of a class of the workflow's own; written as ``Point(x, y)``."""

    def __init__(self, fields: list[Any]) -> None:
        self.fields = fields

    def __repr__(self) -> str:
        return f"Point({', '.join(map(repr, self.fields))})"


def places(value: Any, path: str = "") -> Iterator[tuple[str, Callable[[Any], None], Any]]:
    """Yield the path of each number inside of a value, with what replaces it there."""
    inside: Any
    match value:
        case list():
            inside = [(f"{path}[{i}]", i) for i in range(len(value))]
            holder = value
        case dict():
            inside = [(f'{path}["{key}"]', key) for key in value]
            holder = value
        case Point():
            inside = [(f"{path}.{name}", i) for i, name in enumerate("xy")]
            holder = value.fields
        case _:
            return
    for step, key in inside:
        each = holder[key]
        if type(each) is int:
            yield step, lambda new, holder=holder, key=key: holder.__setitem__(key, new), each  # type: ignore[misc]
        else:
            yield from places(each, step)


def workflow(draw: random.Random, name: str) -> Workflow:
    count = draw.randint(2, 4)
    steps = []
    for index in range(count):
        step = Step(f"t{index}", draw.randint(0, 999), [nested(draw), nested(draw)])
        step.inputs = sorted(draw.sample(range(index), draw.randint(0, min(2, index))))
        step.helper = draw.choice([None, 0, 1, 2])
        step.constant = draw.choice([None, 0, 1])
        step.scores = draw.random() < 0.3
        step.made = draw.random() < 0.3
        step.closure = draw.choice([None, None, draw.randint(0, 99)])
        step.picks = draw.choice([None, None, 0, 1])
        step.rounds = draw.choice([None, None, "floor", "ceil"])
        step.reads = draw.choice([None, f"in{index}.txt"])
        step.writes = draw.choice([None, None, f"out{index}.txt"])
        steps.append(step)
    return Workflow(
        name,
        steps,
        helpers=[(draw.randint(0, 99), draw.randint(0, 99)) for _ in range(3)],
        constants=[draw.randint(0, 99) for _ in range(2)],
        weight=draw.randint(0, 99),
        made_with=draw.randint(0, 99),
        fan=draw.sample(range(100), draw.randint(0, 4)),
        fan_number=draw.randint(0, 99),
        in_main=draw.random() < 0.5,
    )


# Writing them down


def helpers_source(flow: Workflow) -> str:
    lines = [
        "class Point:",
        "    def __init__(self, x, y):",
        "        self.x, self.y = x, y",
        "",
        "class Model:",
        "    def score(self, x):",
        f"        return x * {flow.weight}",
        "",
        "def make(n):",
        "    def inner(x):",
        "        return x + n",
        "    return inner",
        "",
        f"inner = make({flow.made_with})",
    ]
    lines += [f"CONSTANT{index} = {value}" for index, value in enumerate(flow.constants)]
    for index, (number, default) in enumerate(flow.helpers):
        last = index + 1 == len(flow.helpers)
        rest = "0" if last else f"helper{index + 1}(x)"
        lines += [
            "",
            f"def helper{index}(x, k={default}):",
            f"    return x * {number} + k + {rest}",
        ]
    return "\n".join(lines) + "\n"


def step_source(step: Step, number: int) -> str:
    # The number of the case makes all results of all cases different.
    terms = [f"{number * 100_000 + step.number}", "total(given)", "total(more)"]
    if step.helper is not None:
        terms.append(f"{HELPERS}.helper{step.helper}(1)")
    if step.constant is not None:
        terms.append(f"{HELPERS}.CONSTANT{step.constant}")
    if step.scores:
        terms.append(f"{HELPERS}.Model().score(2)")
    if step.made:
        terms.append(f"{HELPERS}.inner(3)")
    if step.picks is not None:
        terms.append(f"picked_{step.name}(4)")
    if step.rounds is not None:
        terms.append(f"rounded_{step.name}(4.5)")
    if step.closure is not None:
        terms.append("held")
    options = ", ".join(f"{name}={value}" for name, value in step.options.items())
    body = [
        f"@task({options})",
        f"def {step.name}(given, more=(), config=None, source=None):",
        f"    result = ('{step.name}', {' + '.join(terms)}, total(config), total(source))",
    ]
    if step.writes is not None:
        body += [
            f"    out = File(os.path.join(FOLDER, {step.writes!r}))",
            "    out.write(repr(result))",
            "    return out",
        ]
    else:
        body.append("    return list(result)")
    if step.closure is None:
        return "\n".join(body) + "\n"
    inner = textwrap.indent("\n".join(body), "    ")
    factory = f"def make_{step.name}(held):\n{inner}\n    return {step.name}\n"
    return f"{factory}{step.name} = make_{step.name}({step.closure})\n"


HELPERS = "h"


def flow_source(flow: Workflow, number: int, folder: Path) -> str:
    lines = [
        "import os",
        "from datetime import timedelta",
        "from taskgraph import File, task",
        f"import {flow.name}_helpers as {HELPERS}",
        f"from {flow.name}_helpers import Point",
        f"taskgraph_namespace = {flow.name!r}",
        f"FOLDER = {str(folder)!r}",
        textwrap.dedent(
            """
            def total(value):
                if isinstance(value, int):
                    return value
                if isinstance(value, File):
                    return len(value.read()) if value.exists() else 1
                if isinstance(value, (list, tuple)):
                    return sum(map(total, value))
                if isinstance(value, dict):
                    return sum(map(total, value.values()))
                return len(value) if isinstance(value, str) else total(vars(value or total))
            """
        ),
        *[
            f"picked_{step.name} = {HELPERS}.helper{step.picks}"
            for step in flow.steps
            if step.picks is not None
        ],
        *[
            f"from math import {step.rounds} as rounded_{step.name}"
            for step in flow.steps
            if step.rounds is not None
        ],
        *[step_source(step, number) for step in flow.steps],
        textwrap.dedent(
            f"""
            @task
            def fan(item):
                return [item, {number * 100_000 + flow.fan_number}, "fan"]
            """
        ),
    ]
    if flow.in_main:
        lines.append("@task")
    lines.append("def main(number):")
    lines.append("    results = []")
    for step in flow.steps:
        arguments = [repr(step.given[0])]
        inputs = ", ".join(f"results[{each}]" for each in step.inputs)
        arguments.append(f"more=[{inputs}]" if step.inputs else f"more={number}")
        arguments.append(f"config={step.given[1]!r}")
        if step.reads is not None:
            arguments.append(f"source=[0, File(os.path.join(FOLDER, {step.reads!r}))]")
        lines.append(f"    results.append({step.name}({', '.join(arguments)}))")
    lines.append(f"    return [*results, *[fan(item) for item in {flow.fan!r}]]\n")
    return "\n".join(lines)


class Case:
    """A workflow in a folder of its own, and its runs."""

    def __init__(self, scheduler: Scheduler, root: Path, number: int, draw: random.Random) -> None:
        self.scheduler = scheduler
        self.number = number
        self.draw = draw
        self.flow = workflow(draw, f"case{number}")
        self._root = root
        self.folder = root / self.flow.name
        self.folder.mkdir()
        for step in self.flow.steps:
            # Some are not there at first.
            if step.reads is not None and draw.random() < 0.8:
                (self.folder / step.reads).write_text("x" * draw.randint(0, 9))
        self.no_cache = False
        #: What was said of misses while the newest run went on.
        self.told: list[Explanation] = []

        step = draw.choice(self.flow.steps)
        if draw.random() < 0.2:
            step.options["packages"] = f"['pack{number}']"
            self.write_package("1.0")
        elif draw.random() < 0.2:
            step.options["tools"] = f"[{str(self.folder / 'tool.sh')!r}]"
            self.write_tool("exit 0")

    def write_package(self, version: str) -> None:
        """Install a distribution that has nothing but a name and a version."""
        name = f"pack{self.number}"
        info = self._root / f"{name}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)

    def write_tool(self, line: str) -> None:
        path = self.folder / "tool.sh"
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def load(self) -> ModuleType:
        """Write the modules and import them anew."""
        name = self.flow.name
        (self._root / f"{name}_helpers.py").write_text(helpers_source(self.flow))
        (self._root / f"{name}.py").write_text(flow_source(self.flow, self.number, self.folder))
        _import(self._root, f"{name}_helpers")
        return _import(self._root, name)

    def run(self, *, told: bool = False) -> Any:
        module = self.load()
        self.told.clear()
        return self.scheduler.run(
            module.main(self.flow.main_number),
            cache=not self.no_cache,
            explain=self.told.append if told else None,
        )

    def last_run(self) -> ExecutionExplanation:
        explained = self.scheduler.explain("-")
        assert isinstance(explained, ExecutionExplanation)
        return explained

    def explain(self, task: str) -> Explanation:
        explained = self.scheduler.explain(f"{self.flow.name}.{task}")
        assert isinstance(explained, Explanation)
        return explained

    def has_input(self, step: Step) -> bool:
        return step.reads is not None and (self.folder / step.reads).exists()

    def choose(self, is_fit: Callable[[Step], bool]) -> Step | None:
        fitting = [step for step in self.flow.steps if is_fit(step)]
        return self.draw.choice(fitting) if fitting else None


def _import(root: Path, name: str) -> ModuleType:
    sys.modules.pop(name, None)
    spec = importlib.util.spec_from_file_location(name, root / f"{name}.py")
    assert spec is not None and spec.loader is not None
    # The source as it is: cached bytecode is told from a stale one by size and second.
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    path = root / f"{name}.py"
    code = compile(path.read_text(), str(path), "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


# Changing one ingredient each; None if the workflow has none of the kind.

Mutation = Callable[[Case], Expected | None]
MUTATIONS: dict[str, Mutation] = {}


def mutation(made: Mutation) -> Mutation:
    MUTATIONS[made.__name__] = made
    return made


def _argument(case: Case, step: Step, place: int, name: str) -> Expected | None:
    found = list(places(step.given[place]))
    if not found:
        return None
    path, put, old = case.draw.choice(found)
    put(old + 1000)
    pair = (str(old), str(old + 1000))
    return Expected(step.name, ChangeKind.ARGUMENT, name, f"{name}{path}", pair)


@mutation
def argument(case: Case) -> Expected | None:
    step = case.choose(lambda step: type(step.given[0]) is int)
    if step is None:
        return None
    old = step.given[0]
    step.given[0] = old + 1000
    pair = (str(old), str(old + 1000))
    return Expected(step.name, ChangeKind.ARGUMENT, "given", "given", pair)


@mutation
def argument_inside(case: Case) -> Expected | None:
    step = case.choose(lambda step: bool(list(places(step.given[1]))))
    return None if step is None else _argument(case, step, 1, "config")


@mutation
def argument_item_appended(case: Case) -> Expected | None:
    step = case.choose(lambda step: type(step.given[0]) is list)
    if step is None:
        return None
    size = len(step.given[0])
    step.given[0].append(4321)
    return Expected(step.name, ChangeKind.ARGUMENT, "given", f"given[{size}]")


@mutation
def item_of_a_fan(case: Case) -> Expected | None:
    if not case.flow.fan:
        return None
    index = case.draw.randrange(len(case.flow.fan))
    old = case.flow.fan[index]
    case.flow.fan[index] = old + 1000
    return Expected("fan", ChangeKind.ARGUMENT, "item", "item", (str(old), str(old + 1000)))


@mutation
def task_text(case: Case) -> Expected | None:
    step = case.choose(lambda step: True)
    assert step is not None
    step.number += 1000
    return Expected(step.name, ChangeKind.FUNCTION, step.name)


@mutation
def task_of_a_fan(case: Case) -> Expected | None:
    if not case.flow.fan:
        return None
    case.flow.fan_number += 1000
    return Expected("fan", ChangeKind.FUNCTION, "fan")


@mutation
def task_closure(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.closure is not None)
    if step is None or step.closure is None:
        return None
    old = step.closure
    step.closure += 1000
    pair = (str(old), str(old + 1000))
    return Expected(step.name, ChangeKind.CLOSURE, "held", pair=pair)


@mutation
def upstream_task(case: Case) -> Expected | None:
    step = case.choose(lambda step: any(not case.flow.steps[i].writes for i in step.inputs))
    if step is None:
        return None
    plain = [i for i in step.inputs if not case.flow.steps[i].writes]
    giver = case.flow.steps[case.draw.choice(plain)]
    giver.number += 1000
    return Expected(step.name, ChangeKind.ARGUMENT, "more", "more[", caused_by=giver.name)


@mutation
def upstream_file(case: Case) -> Expected | None:
    step = case.choose(lambda step: any(case.flow.steps[i].writes for i in step.inputs))
    if step is None:
        return None
    writers = [i for i in step.inputs if case.flow.steps[i].writes]
    giver = case.flow.steps[case.draw.choice(writers)]
    giver.number += 1000
    assert giver.writes is not None
    return Expected(step.name, ChangeKind.FILE, giver.writes, "more[", caused_by=giver.name)


@mutation
def file_content(case: Case) -> Expected | None:
    step = case.choose(case.has_input)
    if step is None or step.reads is None:
        return None
    (case.folder / step.reads).write_text("other content")
    return Expected(step.name, ChangeKind.FILE, step.reads, "source[1]")


@mutation
def file_appeared(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.reads is not None and not case.has_input(step))
    if step is None or step.reads is None:
        return None
    (case.folder / step.reads).write_text("new")
    return Expected(step.name, ChangeKind.FILE, step.reads, "source[1]")


@mutation
def file_vanished(case: Case) -> Expected | None:
    step = case.choose(case.has_input)
    if step is None or step.reads is None:
        return None
    (case.folder / step.reads).unlink()
    return Expected(step.name, ChangeKind.FILE, step.reads, "source[1]")


@mutation
def output_deleted(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.writes is not None)
    if step is None or step.writes is None:
        return None
    (case.folder / step.writes).unlink()
    return Expected(step.name, ChangeKind.OUTPUT, step.writes)


@mutation
def output_altered(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.writes is not None)
    if step is None or step.writes is None:
        return None
    (case.folder / step.writes).write_text("altered")
    return Expected(step.name, ChangeKind.OUTPUT, step.writes)


@mutation
def age(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.writes is None)
    if step is None:
        return None
    # It does not count in the task's hash.
    step.options["max_age"] = "timedelta(microseconds=1)"
    return Expected(step.name, ChangeKind.AGE, step.name)


@mutation
def cache_switched_off(case: Case) -> Expected | None:
    step = case.choose(lambda step: True)
    assert step is not None
    step.options["cache"] = "False"
    return Expected(step.name, ChangeKind.SCOPE, step.name)


@mutation
def run_without_the_cache(case: Case) -> Expected | None:
    case.no_cache = True
    return Expected(case.flow.steps[0].name, ChangeKind.SCOPE, case.flow.steps[0].name)


@mutation
def damaged_result(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.writes is None)
    if step is None:
        return None
    path = case.scheduler.settings.config_dir / "taskgraph.db"
    with sqlite3.connect(path) as driver:
        changed = driver.execute(
            "UPDATE value SET value = x'00' WHERE value_hash IN"
            " (SELECT value_hash FROM call_node WHERE task_name = ?)",
            (f"{case.flow.name}.{step.name}",),
        ).rowcount
    driver.close()
    assert changed == 1
    return Expected(step.name, ChangeKind.DAMAGED, step.name)


@mutation
def new_task(case: Case) -> Expected | None:
    case.flow.steps.append(Step("added", 1, [1, 2]))
    return Expected("added", ChangeKind.NEW, "added")


@mutation
def child_of_a_reduction(case: Case) -> Expected | None:
    step = case.choose(lambda step: not step.writes)
    if step is None or not case.flow.in_main:
        return None
    step.number += 1000
    return Expected("main", ChangeKind.CHILD, step.name, verdict=Verdict.HIT)


@mutation
def argument_of_main(case: Case) -> Expected | None:
    if not case.flow.in_main:
        return None
    case.flow.main_number = 77
    return Expected("main", ChangeKind.ARGUMENT, "number", "number", ("0", "77"))


@mutation
def version(case: Case) -> Expected | None:
    step = case.choose(lambda step: True)
    assert step is not None
    step.options["version"] = "'2'"
    return Expected(step.name, ChangeKind.VERSION, "version")


@mutation
def included(case: Case) -> Expected | None:
    step = case.choose(lambda step: True)
    assert step is not None
    step.options["hash_includes"] = "[7]"
    return Expected(step.name, ChangeKind.INCLUDE, "hash_includes[0]")


@mutation
def number_of_outputs(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.writes is None)
    if step is None:
        return None
    step.options["nout"] = "4"
    return Expected(step.name, ChangeKind.OPTION, "nout")


@mutation
def helper_text(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.helper is not None)
    if step is None or step.helper is None:
        return None
    # The helper itself, or one that it calls.
    index = case.draw.randrange(step.helper, len(case.flow.helpers))
    number, default = case.flow.helpers[index]
    case.flow.helpers[index] = (number + 1000, default)
    return Expected(step.name, ChangeKind.FUNCTION, f"helper{index}")


@mutation
def helper_default(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.helper is not None)
    if step is None or step.helper is None:
        return None
    number, default = case.flow.helpers[step.helper]
    case.flow.helpers[step.helper] = (number, default + 1000)
    pair = (str(default), str(default + 1000))
    return Expected(step.name, ChangeKind.DEFAULT, f"helper{step.helper}: k", pair=pair)


@mutation
def constant(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.constant is not None)
    if step is None or step.constant is None:
        return None
    old = case.flow.constants[step.constant]
    case.flow.constants[step.constant] = old + 1000
    pair = (str(old), str(old + 1000))
    return Expected(step.name, ChangeKind.CONSTANT, f"CONSTANT{step.constant}", pair=pair)


@mutation
def method(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.scores)
    if step is None:
        return None
    case.flow.weight += 1000
    return Expected(step.name, ChangeKind.CLASS, "Model")


@mutation
def helper_closure(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.made)
    if step is None:
        return None
    old = case.flow.made_with
    case.flow.made_with = old + 1000
    return Expected(step.name, ChangeKind.CLOSURE, ": n", pair=(str(old), str(old + 1000)))


@mutation
def name_of_a_helper(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.picks is not None)
    if step is None or step.picks is None:
        return None
    helpers = f"{case.flow.name}_helpers.helper"
    pair = (f"{helpers}{step.picks}", f"{helpers}{1 - step.picks}")
    step.picks = 1 - step.picks
    return Expected(step.name, ChangeKind.NAME, f"picked_{step.name}", pair=pair)


@mutation
def name_of_something_installed(case: Case) -> Expected | None:
    step = case.choose(lambda step: step.rounds is not None)
    if step is None or step.rounds is None:
        return None
    other = "ceil" if step.rounds == "floor" else "floor"
    pair = (f"math.{step.rounds}", f"math.{other}")
    step.rounds = other
    return Expected(step.name, ChangeKind.NAME, f"rounded_{step.name}", pair=pair)


@mutation
def package(case: Case) -> Expected | None:
    step = case.choose(lambda step: "packages" in step.options)
    if step is None:
        return None
    case.write_package("2.0")
    return Expected(step.name, ChangeKind.PACKAGE, f"pack{case.number}", pair=("1.0", "2.0"))


@mutation
def tool(case: Case) -> Expected | None:
    step = case.choose(lambda step: "tools" in step.options)
    if step is None:
        return None
    case.write_tool("exit 1")
    return Expected(step.name, ChangeKind.TOOL, "tool.sh")


# The property


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scheduler, Path]]:
    """One database for all cases: the more history, the better."""
    root = tmp_path_factory.mktemp("explain")
    sys.path.insert(0, str(root))
    config_dir = root / ".taskgraph"
    config_dir.mkdir()
    with Scheduler(Settings(config_dir), executor="inline") as scheduler:
        yield scheduler, root
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.startswith("case")]:
        del sys.modules[name]


_numbers = iter(range(1, 1_000_000))


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_ingredient_that_was_changed_is_the_one_that_is_named(
    name: str, project: tuple[Scheduler, Path]
) -> None:
    scheduler, root = project
    wanted = -(-CASES // len(MUTATIONS))
    done = 0
    draw = random.Random(name)

    while done < wanted:
        case = Case(scheduler, root, next(_numbers), draw)
        case.run()
        expected = MUTATIONS[name](case)
        if expected is None:
            continue
        done += 1
        case.run(told=True)
        whole = case.last_run()
        explained = case.explain(expected.task)
        where = f"case {case.number}: {name} of {case.flow}"
        check(explained, expected, where)
        if explained.verdict is Verdict.MISS:
            check_told(case, explained, where)
        assert not [cause for cause in whole.causes if cause.change.kind is ChangeKind.UNNAMED]


def check(explained: Explanation, expected: Expected, where: str) -> None:
    assert explained.verdict is expected.verdict, where
    assert explained.changes, where
    first, *others = explained.changes
    assert first.kind is expected.kind, f"{where}: {explained.changes}"
    assert first.name.endswith(expected.name), f"{where}: {first}"
    if expected.path.endswith("["):
        assert first.path.startswith(expected.path), f"{where}: {first}"
    else:
        assert first.path == expected.path, f"{where}: {first}"
    if expected.pair is not None:
        assert (first.old, first.new) == expected.pair, f"{where}: {first}"
    if expected.caused_by:
        tasks = [cause.task.rpartition(".")[2] for cause in first.causes if cause.ran]
        assert expected.caused_by in tasks, f"{where}: {first}"
        # What it gave may differ in several places, and others may have followed as well.
        assert all(each.is_caused for each in others), f"{where}: {others}"
    elif expected.kind is not ChangeKind.CHILD:
        assert [each for each in others if each.is_own] == [], f"{where}: {others}"


def check_told(case: Case, explained: Explanation, where: str) -> None:
    """While it ran, the same was said as is said from the records."""
    assert explained.job is not None
    ids = [each.job.id for each in case.told if each.job is not None]
    told = case.told[ids.index(explained.job.id)]

    def said(explanation: Explanation) -> list[Any]:
        return [
            (change.kind, change.name, change.path, change.old, change.new, change.diff)
            for change in explanation.changes
        ]

    assert said(told) == said(explained), where
    assert told.against == explained.against, where


def test_when_nothing_changed_nothing_ran(project: tuple[Scheduler, Path]) -> None:
    scheduler, root = project
    draw = random.Random("nothing")

    for _ in range(500 if TORTURE else 25):
        case = Case(scheduler, root, next(_numbers), draw)
        first = case.run()
        again = case.run(told=True)

        assert repr(again) == repr(first)
        assert case.last_run().ran == 0
        assert case.told == []
        for step in case.flow.steps:
            explained = case.explain(step.name)
            assert explained.verdict is Verdict.HIT
            assert explained.changes == ()
            assert explained.made_by is not None


def test_all_kinds_of_changes_are_made() -> None:
    assert len(MUTATIONS) >= 30
