"""The Python code in README.md and docs/ runs, and prints what the page says that it prints.

All blocks fenced as ``python`` on a page are one program, run in an empty folder by a new process;
line numbers in its tracebacks are those of the page. Blocks fenced as ``text output`` are what it
prints, in order. ``python fragment`` is shown and not run: for signatures and for what the page
says that it fails. Each public name of the package is in at least one of these programs.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import taskgraph

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def program_of(text: str) -> str:
    """Return the Python blocks of a page, each on the lines where the page has it."""
    lines = [""] * (text.count("\n") + 1)
    for match in _BLOCK.finditer(text):
        if match[1] == "python":
            start = text.count("\n", 0, match.start(2))
            block = match[2].splitlines()
            lines[start : start + len(block)] = block
    return "\n".join(lines).rstrip()


def output_of(text: str) -> str:
    """Return what a page says that its program prints."""
    return "".join(match[2] for match in _BLOCK.finditer(text) if match[1] == "text output")


# What a page needs besides, on CI a missing one is an error; its program is called flow.py, for one
# of the tool's own name would be imported in place of the tool.
TOOLS = {"dask.md": "distributed", "prefect.md": "prefect"}
PROGRAMS = [page for page in PAGES if program_of(page.read_text(encoding="utf-8"))]


def names_used_in(program: str) -> set[str]:
    """Return the public names that a program does more with than to import them."""
    nodes = list(ast.walk(ast.parse(program)))
    imported = {
        alias.asname or alias.name: alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "taskgraph"
        for alias in node.names
    }
    used = set()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in imported:
            used.add(imported[node.id])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used |= {node.attr} if node.value.id == "taskgraph" else set()
    return used


@pytest.mark.parametrize(
    ("program", "used"),
    [
        ("from taskgraph import File, task\n@task\ndef f(): ...", {"task"}),
        ("from taskgraph import File as F\nprint(F('a'))", {"File"}),
        ("import taskgraph\ntaskgraph.run(other.plan)", {"run"}),
        ("from elsewhere import task\n@task\ndef f(): ...", set()),
        ("# taskgraph.run\nprint('taskgraph.run')", set()),
    ],
)
def test_a_name_is_used_where_code_does_something_with_it(program: str, used: set[str]) -> None:
    assert names_used_in(program) == used


@pytest.fixture(scope="module")
def used_on_pages() -> set[str]:
    """All public names that some page has an example of."""
    programs = [program_of(page.read_text(encoding="utf-8")) for page in PROGRAMS]
    return set().union(*map(names_used_in, programs))


@pytest.mark.parametrize("name", taskgraph.__all__)
def test_each_public_name_has_an_example_that_runs(name: str, used_on_pages: set[str]) -> None:
    assert name in used_on_pages, f"show what {name} is for, in a Python block of a page in docs/"


def test_there_are_pages_with_programs() -> None:
    assert ROOT / "README.md" in PROGRAMS


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_on_the_page_runs(page: Path, tmp_path: Path) -> None:
    tool = TOOLS.get(page.name)
    if tool is not None and not os.environ.get("CI") and find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    text = page.read_text(encoding="utf-8")
    name = "flow" if page.name in TOOLS else page.stem.replace("-", "_").lower()
    script = tmp_path / f"{name}.py"
    script.write_text(program_of(text), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}", "NO_COLOR": "1"}
    env["PREFECT_HOME"] = str(tmp_path / "prefect")
    env.pop("TASKGRAPH_CONFIG", None)

    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    if output_of(text):
        assert done.stdout == output_of(text), done.stderr
