"""Scripts are loaded by path or by name, and what is wrong with them is theirs to read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.cli.scripts import find_task, load_script, tasks_of
from taskgraph.errors import ScriptLoadError, ScriptNotFoundError, UnknownTaskError

FLOW = """
from taskgraph.tasks.decorator import task

taskgraph_namespace = "tried"

@task
def second(): ...

@task
def first(): ...
"""


@pytest.fixture(autouse=True)
def kept_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in {each for each in set(sys.modules) - before if each.startswith("tried_")}:
        del sys.modules[name]


def test_a_script_is_a_module_of_its_stem(tmp_path: Path) -> None:
    path = tmp_path / "tried_flow.py"
    path.write_text(FLOW)

    module = load_script(str(path))

    assert sys.modules["tried_flow"] is module
    assert sys.path[0] == str(tmp_path)
    assert [task.name for task in tasks_of(module)] == ["second", "first"]


def test_an_edit_of_the_same_size_in_the_same_second_counts(tmp_path: Path) -> None:
    path = tmp_path / "tried_edit.py"
    path.write_text("answer = 41\n")
    load_script(str(path))
    path.write_text("answer = 42\n")

    assert load_script(str(path)).answer == 42


def test_a_task_is_found_by_its_bare_and_its_full_name(tmp_path: Path) -> None:
    path = tmp_path / "tried_names.py"
    path.write_text(FLOW)
    module = load_script(str(path))

    assert find_task(module, "first") is find_task(module, "tried.first")


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "tried_nearest.py"
    path.write_text(FLOW)

    with pytest.raises(UnknownTaskError) as caught:
        find_task(load_script(str(path)), "frist")

    assert caught.value.nearest == ("tried.first",)


def test_a_missing_script_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "tried_there.py").write_text("")

    with pytest.raises(ScriptNotFoundError, match=r"tried_there\.py"):
        load_script(str(tmp_path / "tried_their.py"))


def test_a_missing_module_is_not_found() -> None:
    with pytest.raises(ScriptNotFoundError, match="no such file or module"):
        load_script("tried_nothing.at_all")


def test_a_script_that_raises_leaves_no_half_of_a_module(tmp_path: Path) -> None:
    path = tmp_path / "tried_raises.py"
    path.write_text("1 / 0\n")

    with pytest.raises(ScriptLoadError, match="division by zero") as caught:
        load_script(str(path))

    assert "tried_raises" not in sys.modules
    assert "1 / 0" in caught.value.trace
    assert "taskgraph/cli" not in caught.value.trace


def test_what_a_module_misses_is_an_error_inside_of_it(tmp_path: Path) -> None:
    path = tmp_path / "tried_misses.py"
    path.write_text("import tried_missing_one\n")

    with pytest.raises(ScriptLoadError, match="tried_missing_one") as caught:
        load_script(str(path))

    assert not isinstance(caught.value, ScriptNotFoundError)
