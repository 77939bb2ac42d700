"""Variables that a run changes: what it leaves behind is taken for what it found."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskgraph.fingerprint.code import fingerprint, frozen
from tests.unit.taskgraph.fingerprint.test_code import load

_numbers = itertools.count()


def module(tmp_path: Path, text: str) -> ModuleType:
    return load(tmp_path / f"state_{next(_numbers)}.py", text)


def run(made: ModuleType) -> str:
    with frozen():
        code_hash = fingerprint(made.f, "task").code_hash
        made.f()
    return code_hash


@pytest.mark.parametrize(
    "text",
    [
        "log = []\ndef f(): log.append(1)",
        "memo = {}\ndef f(): memo[len(memo)] = 1",
        "seen = set()\ndef f(): seen.add(len(seen))",
        "count = 0\ndef f():\n    global count\n    count += 1",
        "class Stats:\n    n = 0\nstats = Stats()\ndef f(): stats.n += 1",
        "log = []\ndef g(): log.append(1)\ndef f(): g()",
    ],
)
def test_what_a_run_leaves_behind_makes_nothing_run_again(tmp_path: Path, text: str) -> None:
    made = module(tmp_path, text)

    assert run(made) == run(made) == run(made)


def test_what_somebody_else_changes_counts(tmp_path: Path) -> None:
    made = module(tmp_path, "log = []\ndef f(): log.append(1)")
    first = run(made)

    made.log.append("by hand")

    assert run(made) != first


def test_a_registered_function_that_is_replaced_counts(tmp_path: Path) -> None:
    made = module(
        tmp_path,
        "HELPERS = {}\n"
        "def register(g):\n    HELPERS[g.__name__] = g\n    return g\n"
        "@register\ndef scale(): return 1\n"
        "def f(): return HELPERS['scale']()",
    )
    first = run(made)

    assert run(made) == first
    made.HELPERS["scale"] = lambda: 2
    assert run(made) != first


def test_a_variable_that_nobody_changes_counts_by_its_value(tmp_path: Path) -> None:
    made = module(tmp_path, "SCALE = [1]\ndef f(): return SCALE")
    first = run(made)

    made.SCALE.append(2)

    assert run(made) != first


def test_within_an_execution_it_is_what_it_was_at_first(tmp_path: Path) -> None:
    made = module(tmp_path, "SCALE = [1]\ndef f(): return SCALE")
    hashes: list[Any] = []

    with frozen():
        hashes.append(fingerprint(made.f).code_hash)
        made.SCALE.append(2)
        hashes.append(fingerprint(made.f).code_hash)

    assert hashes[0] == hashes[1]
