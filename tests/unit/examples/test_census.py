"""The census counts what is in a file, and takes any file: what is no Python is a result too."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskgraph import File

ROOT = Path(__file__).resolve().parents[3]

SAMPLE = b'''"""A docstring
of two lines."""

import os.path, json  # two
from os import sep
from . import sibling


class Shape:
    """Not code."""

    def area(self, kind=None):
        # Not code either.
        if kind and not sep or json:
            return [x for x in os.path.sep if x]
        return None
'''


@pytest.fixture
def census(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "census"))
    yield importlib.import_module("census")
    for name in ("census", "page"):
        sys.modules.pop(name, None)


def measure(census: ModuleType, path: Path, content: bytes) -> dict[str, Any]:
    path.write_bytes(content)
    found: dict[str, Any] = census.measure.func(File(path))
    return found


def test_all_that_is_in_a_file_is_counted(census: ModuleType, tmp_path: Path) -> None:
    found = measure(census, tmp_path / "sample.py", SAMPLE)

    assert found == {
        "lines": 16,
        "code": 8,
        "functions": 1,
        "classes": 1,
        "branches": 4,  # if, and, or, and the condition in the comprehension
        "imports": {"json": 1, "os": 2},
        "error": "",
    }


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(b"print 'hello'\nx = 1\n", 2, id="another language"),
        pytest.param(b"x = '\xff\xfe'\n", 1, id="not UTF-8"),
        pytest.param(b"# coding: klingon\n", 1, id="an unknown encoding"),
        pytest.param(b"x = 1\0\n", 1, id="a null byte"),
        pytest.param(b"(" * 5000, 1, id="too deep"),
    ],
)
def test_what_is_no_python_is_a_result(
    census: ModuleType, tmp_path: Path, content: bytes, lines: int
) -> None:
    found = measure(census, tmp_path / "bad.py", content)

    assert (found["lines"], found["functions"], found["error"] != "") == (lines, 0, True)


def test_an_empty_file_has_nothing_in_it(census: ModuleType, tmp_path: Path) -> None:
    found = measure(census, tmp_path / "empty.py", b"")

    assert (found["lines"], found["code"], found["error"]) == (0, 0, "")


def test_the_page_is_drawn_for_a_library_of_nothing(census: ModuleType) -> None:
    page = importlib.import_module("page")

    assert page.render_page([], {"files": 0}).startswith("<!doctype html>")


def test_names_on_the_page_are_escaped(census: ModuleType) -> None:
    page = importlib.import_module("page")
    package = {"package": "<b>", "files": 1, "lines": 3, "code": 2, "imports": {"<b>": 1}}

    drawn = page.render_page([package], {"files": 1})

    assert "<b>:" not in drawn and "&lt;b&gt;" in drawn
