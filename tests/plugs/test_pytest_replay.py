"""Recorded calls as tests of the code of now; each session here is a process of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.space import Space

ROOT = Path(__file__).resolve().parents[2]

_FLOW = """
from taskgraph import File, script, task

taskgraph_namespace = "flow"


@task
def clean(rows: list, unit: str) -> dict:
    return {"count": len(rows), "unit": unit, "rows": rows}


@task
def stays(n: int) -> int:
    return n + 1


@task
def writes(path: str, text: str) -> File:
    file = File(path)
    file.write(text)
    return file


@task(limits=["api"])
def asks(n: int) -> int:
    return n


@task(tags={"replay": False})
def sends(n: int) -> int:
    return n


@task
def tool() -> str:
    return "x"


@task
def main() -> list:
    cleaned = [clean([1, 2], "kg"), clean([3], "g")]
    return [cleaned, stays(1), asks(1), sends(1), writes("out.txt", "1")]
"""


@pytest.fixture
def project(tmp_path: Path) -> Space:
    """A project that was run once, with a test that imports its tasks."""
    space = Space(tmp_path)
    space.write("flow.py", _FLOW)
    space.write("test_flow.py", "import flow\n\ndef test_it():\n    assert flow.stays\n")
    done = space("run", "flow.py", "main")
    assert done.code == 0, done.err
    return space


def edit(space: Space, old: str, new: str) -> None:
    text = (space.folder / "flow.py").read_text()
    assert old in text
    (space.folder / "flow.py").write_text(text.replace(old, new))


def pytest_in(space: Space, *words: str) -> subprocess.CompletedProcess[str]:
    left_out = ("TASKGRAPH_CONFIG", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "taskgraph.plug.pytest", "-rs", *words],
        cwd=space.folder,
        env={
            **{name: value for name, value in os.environ.items() if name not in left_out},
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def content_of(space: Space) -> str:
    """Return what tells whether the database was written to."""
    found = hashlib.sha256()
    for path in sorted((space.folder / ".taskgraph").glob("taskgraph.db")):
        found.update(path.read_bytes())
    return found.hexdigest()


def test_where_no_code_changed_nothing_is_made_again(project: Space) -> None:
    done = pytest_in(project, "--taskgraph-replay")

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert "No task whose code changed has recorded calls" in done.stdout


def test_a_change_of_results_fails_and_names_the_places(project: Space) -> None:
    edit(project, '"count": len(rows)', '"count": len(rows) + 1')
    before = content_of(project)

    done = pytest_in(project, "--taskgraph-replay")

    assert done.returncode == 1, done.stdout
    assert "2 failed, 1 passed" in done.stdout
    assert 'at ["count"]: 2 -> 3' in done.stdout
    assert 'at ["count"]: 1 -> 2' in done.stdout
    assert 'at ["rows"]' not in done.stdout
    assert "2 recorded calls of 1 task made again: 2 changed" in done.stdout
    assert content_of(project) == before


def test_a_refactor_that_changes_no_result_passes(project: Space) -> None:
    edit(project, '"count": len(rows)', '"count": sum(1 for _ in rows)')

    done = pytest_in(project, "--taskgraph-replay")

    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    assert "2 recorded calls of 1 task made again: 2 same" in done.stdout


def test_an_error_and_a_parameter_that_went_are_failures(project: Space) -> None:
    edit(project, "    return n + 1", '    raise ValueError("no more")')
    edit(project, "def clean(rows: list, unit: str)", "def clean(rows: list, unit: str, more: int)")

    done = pytest_in(project, "--taskgraph-replay")

    assert done.returncode == 1
    assert "3 failed" in done.stdout
    assert "now raises: ValueError: no more" in done.stdout
    assert "more" in done.stdout


def test_named_tasks_are_made_again_whatever_their_code_is(project: Space) -> None:
    done = pytest_in(project, "--taskgraph-replay=flow.stays", "-k", "flow.stays")

    assert "1 passed, 1 deselected" in done.stdout
    assert "1 recorded call of 1 task made again: 1 same" in done.stdout


def test_what_is_known_to_do_more_is_skipped_and_says_how_not_to(project: Space) -> None:
    (project.folder / "out.txt").write_text("1")
    edit(project, "    file.write(text)", "    file.write(text * 2)")
    edit(
        project,
        "def asks(n: int) -> int:\n    return n",
        "def asks(n: int) -> int:\n    return n+1",
    )
    edit(project, "def sends(n: int) -> int:\n    return n", "def sends(n: int) -> int:\n    1/0")

    done = pytest_in(project, "--taskgraph-replay")
    assert done.returncode == 0, done.stdout
    assert "flow.asks was not made again: it uses something that is limited" in done.stdout
    assert "flow.sends was not made again: it is tagged replay=False" in done.stdout
    assert "1 skipped" in done.stdout
    assert (project.folder / "out.txt").read_text() == "1"

    done = pytest_in(project, "--taskgraph-replay", "--taskgraph-replay-all")
    assert "flow.sends was not made again" in done.stdout
    assert "flow.asks(n=1)" in done.stdout


def test_values_that_nobody_trusts_are_not_loaded(project: Space) -> None:
    other = Space(project.folder / "other")
    other.write("flow.py", _FLOW.replace('"count": len(rows)', '"count": 7'))
    other.write("test_flow.py", "import flow\n\ndef test_it():\n    assert flow.stays\n")
    project("export", "-", "-o", "records.jsonl")
    other("init")
    imported = other("import", "../records.jsonl")
    assert imported.code == 0, imported.err

    done = pytest_in(other, "--taskgraph-replay")

    assert done.returncode == 0, done.stdout
    assert "No task whose code changed has recorded calls" in done.stdout


def test_a_name_that_is_no_task_and_a_missing_database_are_said(project: Space) -> None:
    unknown = pytest_in(project, "--taskgraph-replay=flow.stay")
    assert unknown.returncode == 4
    assert "--taskgraph-replay: " in unknown.stderr + unknown.stdout
    assert "flow.stay" in unknown.stderr + unknown.stdout

    empty = Space(project.folder / "empty")
    empty.write("test_nothing.py", "def test_it(): pass\n")
    (empty.folder / ".taskgraph").mkdir()
    missing = pytest_in(empty, "--taskgraph-replay")
    assert missing.returncode == 4
    assert "nothing was run here yet" in missing.stderr + missing.stdout
