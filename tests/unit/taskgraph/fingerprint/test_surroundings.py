"""What counts besides code: distributions, executables, and the switches strict and opaque."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from taskgraph import opaque, task
from taskgraph.errors import TaskOptionError, UnfollowedCodeError
from taskgraph.fingerprint.project import Project, use_project
from taskgraph.tasks.task import Task
from tests.unit.taskgraph.fingerprint.test_code import load


def made(**options: Any) -> Task[..., Any]:
    @task(name="surrounded", namespace="unit", **options)
    def surrounded(x: int) -> int:
        return x

    return surrounded


def named(one: Task[..., Any]) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in one.parts if each.kind != "function"]


def test_the_version_of_a_distribution_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(packages=["numpy"])
    before = first.hash

    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.1")

    assert named(first) == [("package", "numpy")]
    assert made(packages=["numpy"]).hash != before
    assert made(packages="numpy").hash == made(packages=["numpy"]).hash
    assert made().hash != before


def test_auto_means_the_distributions_that_the_code_imports(tmp_path: Path) -> None:
    text = "import json\nimport numpy as np\ndef f(x):\n    return np.sum(json.loads(x))\n"
    func = load(tmp_path / "imports_numpy.py", text).f

    found = task(name="auto", namespace="unit", packages="auto")(func)

    assert [each.name for each in found.parts if each.kind == "package"] == ["numpy"]


def test_a_distribution_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TaskOptionError, match="no distribution named 'no-such-thing'"):
        _ = made(packages=["no-such-thing"]).hash


def test_an_executable_counts_by_content_or_by_what_it_prints(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho 1.0 # one\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    by_content, by_output = made(tools=[str(tool)]), made(tools=[f"{tool} --version"])
    before = by_content.hash, by_output.hash

    tool.write_text("#!/bin/sh\necho 1.0 # two\n")

    assert named(by_content) == [("tool", str(tool))]
    assert by_content.hash != before[0]
    assert by_output.hash == before[1]
    tool.write_text("#!/bin/sh\necho 1.1\n")
    assert by_output.hash != before[1]


@pytest.mark.parametrize("tool", ["no-such-tool", "no-such-tool --version", "false --version"])
def test_an_executable_that_is_not_there_or_fails_is_an_error(tool: str) -> None:
    with pytest.raises(TaskOptionError, match="'tools'"):
        _ = made(tools=[tool]).hash


@pytest.mark.parametrize("value", [3, [3], None])
def test_packages_and_tools_are_lists_of_names(value: Any) -> None:
    with pytest.raises(TaskOptionError, match="must be a list of names"):
        made(packages=value)


def test_a_strict_task_refuses_what_cannot_be_followed() -> None:
    @task(namespace="unit", strict=True)
    def strict(text: str) -> Any:
        return eval(text)

    with pytest.raises(UnfollowedCodeError) as caught:
        _ = strict.hash

    assert caught.value.task == "unit.strict"
    assert "eval() runs code that only shows at run time" in str(caught.value)
    assert "@taskgraph.opaque" in str(caught.value)


def test_a_strict_project_can_be_overruled_by_a_task() -> None:
    def body(text: str) -> Any:
        return eval(text)

    before = use_project(Project(strict=True))
    try:
        with pytest.raises(UnfollowedCodeError):
            _ = task(name="strict", namespace="unit")(body).hash
        assert task(name="lax", namespace="unit", strict=False)(body).hash
        assert task(name="versioned", namespace="unit", version="1")(body).hash
    finally:
        use_project(before)


def test_opaque_things_never_count(tmp_path: Path) -> None:
    text = "from taskgraph import opaque\n@opaque\ndef note(x):\n    {}\ndef f(x):\n    note(x)\n"
    one = load(tmp_path / "opaque_one.py", text.format("print(x)")).f
    other = load(tmp_path / "opaque_two.py", text.format("return eval(x)")).f

    hashes = {task(name="noted", namespace="unit", strict=True)(each).hash for each in (one, other)}

    assert len(hashes) == 1


def test_what_takes_no_attribute_cannot_be_opaque() -> None:
    with pytest.raises(TypeError, match="cannot be marked as opaque"):
        opaque(3)


def test_the_folders_of_the_project_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours = load(tmp_path / "ours" / "ours_module.py", "def f(): return 1\n").f
    theirs = load(tmp_path / "theirs" / "their_module.py", "def f(): return 1\n").f

    before = use_project(Project((str(tmp_path / "ours"),)))
    try:
        kinds = [task(name="f", namespace="unit")(each).parts[0].kind for each in (ours, theirs)]
    finally:
        use_project(before)

    assert kinds == ["function", "outside"]
