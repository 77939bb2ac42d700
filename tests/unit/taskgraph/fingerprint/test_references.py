"""References: a name is looked up once for a module, and never kept as standing for nothing."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from taskgraph.fingerprint.code import fingerprint, frozen
from taskgraph.fingerprint.parts import Fingerprint
from tests.unit.taskgraph.fingerprint.test_code import load


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[ModuleType]:
    made = load(tmp_path / "tools_of_references.py", "def scale(x):\n    return x * 2\n")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def names(found: Fingerprint, kind: str) -> list[str]:
    return [each.name.rpartition(".")[2] for each in found.parts if each.kind == kind]


def test_what_stands_for_nothing_is_looked_up_again_in_the_same_execution(tmp_path: Path) -> None:
    text = "def one():\n    return helper(1)\ndef two():\n    return helper(2)\n"
    made = load(tmp_path / "later_helper.py", text)
    more = load(tmp_path / "more_helpers.py", "def helper(x):\n    return x\n")

    with frozen():
        first = fingerprint(made.one)
        made.helper = more.helper
        second = fingerprint(made.two)

    assert (names(first, "function"), names(first, "name")) == (["one"], ["helper"])
    assert (names(second, "function"), names(second, "name")) == (["two", "helper"], [])


def test_so_is_an_attribute_of_a_module(tmp_path: Path, tools: ModuleType) -> None:
    text = f"""
import {tools.__name__} as tools
def one():
    return tools.late(1)
def two():
    return tools.late(2)
"""
    made = load(tmp_path / "later_attribute.py", text)

    with frozen():
        first = fingerprint(made.one)
        tools.late = tools.scale
        second = fingerprint(made.two)

    assert names(first, "function") == ["one"]
    assert names(second, "function") == ["two", "scale"]


def test_a_name_is_the_same_through_its_module_and_inside_of_it(
    tmp_path: Path, tools: ModuleType
) -> None:
    tools.AMOUNT = [1, 2]
    text = f"""
import {tools.__name__} as tools
def outside():
    return tools.AMOUNT, tools.scale(1), tools.len
"""
    made = load(tmp_path / "through_a_module.py", text)

    found = fingerprint(made.outside)

    constants = [(each.name, each.source) for each in found.parts if each.kind == "constant"]
    assert constants == [(f"{tools.__name__}.AMOUNT", "[1, 2]")]
    # Not the builtin of this name: a module does not have these as attributes.
    assert names(found, "name") == ["len"]


def test_a_closure_hides_the_name_of_the_module(tmp_path: Path) -> None:
    text = """
amount = 1
def plain():
    return amount
def make(amount):
    def inner():
        return amount
    return inner
"""
    made = load(tmp_path / "hidden_names.py", text)

    with frozen():
        prints = [fingerprint(each) for each in (made.plain, made.make(2), made.make(3))]

    values = [[each.source for each in found.parts[1:]] for found in prints]
    assert values == [["1"], ["2"], ["3"]]
    assert len({found.code_hash for found in prints}) == 3


def test_what_was_followed_before_makes_no_difference(tmp_path: Path, tools: ModuleType) -> None:
    tools.AMOUNT = [1, 2]
    text = f"""
import collections.abc
import os
import os.path
import xml.etree.ElementTree
import {tools.__name__} as tools
def step0(x): return os.path.join(x, "a"), step1(x)
def step1(x): return os.getpid(), os.sep, collections.OrderedDict(x)
def step2(x): return isinstance(x, collections.abc.Mapping), os
def step3(x): return xml.etree.ElementTree.parse(x), tools.AMOUNT
def step4(x): return xml.etree, xml, tools.scale(x), tools.AMOUNT
def step5(x): return [step0, step1, step2, step3, step4]
"""
    made = load(tmp_path / "in_any_order.py", text)
    steps = [getattr(made, f"step{number}") for number in range(6)]
    alone = [fingerprint(each, "task").code_hash for each in steps]

    for order in itertools.permutations(range(6), 3):
        with frozen():
            for number in order:
                assert fingerprint(steps[number], "task").code_hash == alone[number], order
