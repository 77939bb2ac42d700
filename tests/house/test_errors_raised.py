"""Each error that users can meet is met by some test."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from taskgraph import errors

TESTS = Path(__file__).resolve().parents[1]
# Classes that only group others.
GROUPS = {errors.TaskgraphError, errors.SchedulerError, errors.ExecutorError}
CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, errors.TaskgraphError) and each not in GROUPS
]


@pytest.fixture(scope="module")
def names_in_tests() -> frozenset[str]:
    sources = [path for path in TESTS.rglob("*.py") if path != Path(__file__)]
    return frozenset(
        name
        for path in sources
        for name in re.findall(r"\b[A-Z]\w+\b", path.read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_some_test_raises(error: type, names_in_tests: frozenset[str]) -> None:
    assert error.__name__ in names_in_tests


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_the_docstring_says_when(error: type) -> None:
    assert (inspect.getdoc(error) or "").partition("\n")[0].endswith(".")
