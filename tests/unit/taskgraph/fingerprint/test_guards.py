"""Guards: a fingerprint that is asked for again is never an old one, and mostly a quick one."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

from taskgraph.fingerprint.code import Code, fingerprint
from taskgraph.fingerprint.state import Hold
from tests.unit.taskgraph.fingerprint.test_code import load

TOOLS = """
import enum
import functools
def scale(x, by=2, *, plus=[0]):
    return x * by + plus[0]
def other(x):
    return x
LIMIT = 5
LEVELS = [1, 2]
NESTED = {"a": {"b": [1]}}
HANDLERS = {"scale": scale}
class Model:
    factor = 2
    names = ["a"]
    def fit(self, x):
        return x * self.factor
class Config:
    def __init__(self):
        self.rate = 0.5
        self.steps = [1]
CONFIG = Config()
def make(amount):
    def inner(x):
        return x + amount
    return inner
added = make(1)
def counted(x):
    counted.calls = 1
    return x
counted.limit = 1
@functools.lru_cache
def looked_up():
    return looked_up.table
looked_up.table = {"a": 1}
Model.fit.unit = 1
class Unit(enum.Enum):
    METRE = "m"
    def __init__(self, sign):
        self.factors = [len(sign)]
Unit.METRE.scale = 1
"""
FLOW = """
import tools_of_guards as tools
from tools_of_guards import (
    HANDLERS, LEVELS, LIMIT, NESTED, CONFIG, Model, Unit, added, counted, looked_up, scale
)
def main(x):
    model = Model()
    total = model.fit(scale(x)) + tools.other(x) + added(x) + counted(x)
    total += LIMIT + LEVELS[0] + NESTED["a"]["b"][0] + HANDLERS["scale"](x) + CONFIG.rate
    total += looked_up()["a"] + Unit.METRE.scale + Model.fit.unit
    return total + CONFIG.steps[0] + missing(x) + len(LEVELS) + late.value
def grow(x):
    global LIMIT
    LIMIT += 1
    LEVELS.append(x)
    return main(x)
"""


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[ModuleType]:
    tools = load(tmp_path / "tools_of_guards.py", TOOLS)
    sys.modules[tools.__name__] = tools
    made = load(tmp_path / "flow_of_guards.py", FLOW)
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[tools.__name__], sys.modules[made.__name__]


def rename(tools: ModuleType) -> Callable[[Any], Any]:
    def scale(x: Any) -> Any:
        return x * 3

    return scale


def new_cell(flow: ModuleType) -> None:
    flow.added.__closure__[0].cell_contents = 2


EDITS: dict[str, Callable[[ModuleType], object]] = {
    "a function under its name": lambda flow: setattr(flow, "scale", rename(flow)),
    "a function of a module": lambda flow: setattr(flow.tools, "other", rename(flow)),
    "the module under its name": lambda flow: setattr(flow, "tools", ModuleType("tools")),
    "the code of a function": lambda flow: setattr(
        flow.scale, "__code__", (lambda x, by=1, *, plus=1: x).__code__
    ),
    "a default": lambda flow: setattr(flow.scale, "__defaults__", (3,)),
    "a default that is a list": lambda flow: flow.scale.__kwdefaults__["plus"].append(1),
    "a default by name": lambda flow: flow.scale.__kwdefaults__.update(plus=[9]),
    "a cell": new_cell,
    "an attribute of a function": lambda flow: setattr(flow.counted, "limit", 2),
    "a new attribute of a function": lambda flow: setattr(flow.counted, "more", 2),
    "an attribute of a method": lambda flow: setattr(flow.Model.fit, "unit", 2),
    "an attribute of a cached function": lambda flow: setattr(flow.looked_up, "table", {}),
    "in an attribute of a cached function": lambda flow: flow.looked_up.table.update(a=2),
    "an attribute of a member": lambda flow: setattr(flow.Unit.METRE, "scale", 2),
    "a new attribute of a member": lambda flow: setattr(flow.Unit.METRE, "more", 2),
    "in an attribute of a member": lambda flow: flow.Unit.METRE.factors.append(2),
    "a number": lambda flow: setattr(flow, "LIMIT", 6),
    "a number of another type": lambda flow: setattr(flow, "LIMIT", 5.0),
    "an item of a list": lambda flow: flow.LEVELS.append(3),
    "deep in a dict": lambda flow: flow.NESTED["a"]["b"].append(2),
    "a function in a dict": lambda flow: flow.HANDLERS.update(scale=flow.tools.other),
    "a new function in a dict": lambda flow: flow.HANDLERS.update(other=flow.tools.other),
    "the code of a method": lambda flow: setattr(
        flow.Model.fit, "__code__", (lambda self, x: x).__code__
    ),
    "the class of an object": lambda flow: setattr(
        flow.CONFIG,
        "__class__",
        type("Other", (flow.Model,), {"__module__": flow.Model.__module__}),
    ),
    "a method": lambda flow: setattr(flow.Model, "fit", lambda self, x: x),
    "a new method": lambda flow: setattr(flow.Model, "__call__", lambda self, x: x),
    "an attribute of a class": lambda flow: setattr(flow.Model, "factor", 3),
    "in an attribute of a class": lambda flow: flow.Model.names.append("b"),
    "an attribute of an object": lambda flow: setattr(flow.CONFIG, "rate", 0.6),
    "in an attribute of an object": lambda flow: flow.CONFIG.steps.append(2),
    "a name that stood for nothing": lambda flow: setattr(flow, "missing", rename(flow)),
    "a builtin that is hidden": lambda flow: setattr(flow, "len", rename(flow)),
    "an array in place of nothing": lambda flow: setattr(flow, "late", numpy.arange(3)),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_edited_in_the_running_program_is_seen(flow: ModuleType, name: str) -> None:
    code = Code(flow.main)
    first = code.live_fingerprint
    assert code.live_fingerprint is first
    assert first.code_hash == fingerprint(flow.main, "task").code_hash

    EDITS[name](flow)

    later = code.live_fingerprint
    assert later.code_hash == fingerprint(flow.main, "task").code_hash
    assert later.code_hash != first.code_hash


def test_arrays_are_looked_at_each_time(flow: ModuleType) -> None:
    code = Code(flow.main)
    flow.late = numpy.arange(3)
    first = code.live_fingerprint

    flow.late[0] = 7

    assert code.live_fingerprint.code_hash != first.code_hash
    flow.late[0] = 0
    assert code.live_fingerprint.code_hash == first.code_hash


def test_what_code_leaves_behind_is_no_edit_for_it(flow: ModuleType) -> None:
    code = Code(flow.grow)
    first = code.live_fingerprint
    hold = Hold(code.touches)
    flow.LEVELS.append(99)
    flow.LIMIT += 1
    assert code.live_fingerprint.code_hash == first.code_hash
    hold.release()

    assert code.live_fingerprint.code_hash == first.code_hash
    flow.LEVELS.append(100)
    assert code.live_fingerprint.code_hash != first.code_hash


def test_what_code_leaves_behind_is_an_edit_for_who_only_looks(flow: ModuleType) -> None:
    grow, main = Code(flow.grow), Code(flow.main)
    assert grow.live_fingerprint
    first = main.live_fingerprint.code_hash
    hold = Hold(grow.touches)
    flow.LIMIT += 1
    during = main.live_fingerprint.code_hash
    hold.release()

    assert during != first
    assert main.live_fingerprint.code_hash == during
    flow.LIMIT -= 1
    assert main.live_fingerprint.code_hash == first


def test_what_is_changed_under_who_only_looks_is_an_edit(flow: ModuleType) -> None:
    code = Code(flow.main)
    first = code.live_fingerprint
    hold = Hold(code.touches)
    flow.LIMIT += 1

    assert code.live_fingerprint.code_hash != first.code_hash
    hold.release()
    assert code.live_fingerprint.code_hash != first.code_hash


def test_a_hold_that_was_forgotten_holds_nothing(flow: ModuleType) -> None:
    code = Code(flow.grow)
    first = code.live_fingerprint
    Hold(code.touches)
    flow.LIMIT += 1

    assert code.live_fingerprint.code_hash != first.code_hash


def test_many_objects_in_a_container_are_looked_into_each_time(flow: ModuleType) -> None:
    flow.late = [type(flow.CONFIG)() for _ in range(2_000)]
    code = Code(flow.main)
    first = code.live_fingerprint

    flow.late[5].rate = -1

    assert code.live_fingerprint.code_hash != first.code_hash


def test_what_is_registered_with_a_function_from_outside_is_seen(flow: ModuleType) -> None:
    flow.late = functools.singledispatch(flow.tools.other)
    code = Code(flow.main)
    first = code.live_fingerprint

    flow.late.register(int, flow.tools.scale)

    assert code.live_fingerprint.code_hash == fingerprint(flow.main, "task").code_hash
    assert code.live_fingerprint.code_hash != first.code_hash


def test_a_logger_does_not_make_it_slow(flow: ModuleType) -> None:
    code = Code(flow.main)
    flow.late = logging.getLogger("of guards")
    first = code.live_fingerprint

    assert code.live_fingerprint is first


def test_a_module_that_makes_its_attributes_is_asked_each_time(flow: ModuleType) -> None:
    code = Code(flow.main)
    made: list[Any] = [flow.tools.scale]
    flow.late = flow.tools
    flow.tools.__getattr__ = lambda name: made[-1]
    first = code.live_fingerprint

    made.append(flow.tools.other)

    later = code.live_fingerprint
    assert later.code_hash == fingerprint(flow.main, "task").code_hash
    assert later.code_hash != first.code_hash


def test_other_folders_of_the_project_forget_what_was_seen(flow: ModuleType) -> None:
    code = Code(flow.main)
    from taskgraph.fingerprint.project import Project, use_project

    first = code.live_fingerprint
    before = use_project(Project(("/nowhere",)))
    try:
        assert code.live_fingerprint.code_hash != first.code_hash
    finally:
        use_project(before)
    assert code.live_fingerprint.code_hash == first.code_hash


def test_what_a_member_of_an_enum_keeps_for_later_is_no_edit(tmp_path: Path) -> None:
    made = load(
        tmp_path / "units_of_guards.py",
        "import enum, functools\n"
        "class Unit(enum.Enum):\n"
        "    METRE = 'm'\n"
        "    @functools.cached_property\n"
        "    def sign(self):\n"
        "        return self.value * 2\n"
        "def main():\n"
        "    return Unit.METRE.sign\n",
    )
    code = Code(made.main)
    before = code.live_fingerprint.code_hash

    assert made.main() == "mm"
    assert code.live_fingerprint.code_hash == before
