"""What was blessed moves with the tasks that it concerns, and counts when it is trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest

_FLOW = """
from pathlib import Path

from taskgraph import task

taskgraph_namespace = "flow"


@task
def double(x: int) -> int:
    with Path("ran.txt").open("a") as log:
        print("double", x, file=log)
    return 2 * x


@task(version="1")
def main(n: int = 2) -> list[int]:
    return [double(x) for x in range(n)]


@task
def other() -> int:
    return 1
"""
_LATER = _FLOW.replace("return 2 * x", "return x + x")


@pytest.fixture
def blessed(space: Any) -> Any:
    """A project in which results of earlier code count for the later one."""
    made = _project(space, "here", _FLOW)
    for name in ("main", "other"):
        assert made("run", "flow.py", name).code == 0
    made.write("flow.py", _LATER)
    done = made("bless", "flow.double", "--script", "flow.py")
    assert done.code == 0, done.err
    return made


@pytest.fixture
def there(space: Any) -> Any:
    """A project with the later code, in which nothing ran."""
    return _project(space, "there", _LATER)


def _project(space: Any, name: str, flow: str) -> Any:
    folder = space.folder / name
    folder.mkdir()
    made = type(space)(folder)
    made.write("flow.py", flow)
    assert made("init", ".").code == 0
    return made


def _execution(project: Any, task: str) -> str:
    (found,) = [each for each in project.json("log") if each["task"] == task]
    return str(found["id"])


def _moved(here: Any, there: Any, way: str, *records: str) -> None:
    if way == "file":
        assert here("export", "-o", "../some.jsonl", *records).code == 0
        assert there("import", "../some.jsonl").code == 0
    elif way == "push":
        here("repo", "add", "lab", "../there")
        assert here("push", "lab", *records).code == 0
    else:
        there("repo", "add", "lab", "../here")
        assert there("pull", "lab", *records).code == 0


def _ran(project: Any) -> bool:
    return (project.folder / "ran.txt").exists()


@pytest.mark.parametrize("way", ["file", "push", "pull"])
@pytest.mark.parametrize("one", [True, False])
def test_an_execution_takes_the_aliases_of_its_tasks_along(
    blessed: Any, there: Any, way: str, one: bool
) -> None:
    _moved(blessed, there, way, *([_execution(blessed, "flow.main")] if one else []))

    assert there.json("bless", "--list") == []
    there("trust", "--all")
    (alias,) = there.json("bless", "--list")
    assert alias["old"] == alias["new"] == "flow.double"
    assert there("run", "flow.py", "main").out == "[0, 2]\n"
    assert not _ran(there)


@pytest.mark.parametrize("way", ["file", "push", "pull"])
def test_an_execution_of_other_tasks_takes_none(blessed: Any, there: Any, way: str) -> None:
    _moved(blessed, there, way, _execution(blessed, "flow.other"))

    there("trust", "--all")

    assert there.json("bless", "--list") == []


def test_an_alias_that_is_not_trusted_counts_for_nothing(blessed: Any, there: Any) -> None:
    # The same results were made here, by the earlier code.
    there.write("flow.py", _FLOW)
    there("run", "flow.py", "main")
    (there.folder / "ran.txt").unlink()
    there.write("flow.py", _LATER)
    _moved(blessed, there, "file")

    there("run", "flow.py", "main")

    assert _ran(there)


def test_who_trusts_an_execution_trusts_the_aliases_that_came_with_it(
    blessed: Any, there: Any
) -> None:
    execution = _execution(blessed, "flow.main")
    _moved(blessed, there, "file")

    done = there("trust", execution, "--json")

    assert json.loads(done.out)["aliases"] == 1
    assert there("run", "flow.py", "main").out == "[0, 2]\n"
    assert not _ran(there)


def test_what_was_taken_back_moves_too(blessed: Any, there: Any) -> None:
    _moved(blessed, there, "push")
    there("trust", "--all")
    blessed("unbless", "flow.double")

    pushed = blessed("push", "lab", _execution(blessed, "flow.main"), "--json")

    assert json.loads(pushed.out)["new"] == {"TaskAlias": 1}
    there("trust", "--all")
    (alias,) = there.json("bless", "--list")
    assert alias["ended"] is not None


def test_moved_again_nothing_is_new(blessed: Any, there: Any) -> None:
    _moved(blessed, there, "push")

    again = blessed("push", "lab", "--json")

    assert json.loads(again.out)["new"] == {}
