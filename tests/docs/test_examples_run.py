"""The Python code in README.md and docs/ runs, and prints what the page says that it prints.

All blocks fenced as ``python`` on a page are one program, run in an empty folder by a new process;
line numbers in its tracebacks are those of the page. Blocks fenced as ``text output`` are what it
prints, in order. ``python fragment`` is shown and not run: for signatures and for what the page
says that it fails. Each public name of the package, and of the modules that users import from, is
in at least one of these programs.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import taskgraph
import taskgraph.expression
from tests.forked import run_python

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
# The doors that users come in by, and what is public behind each of them.
DOORS = ("taskgraph.functools", "taskgraph.scripting", "taskgraph.testing", "taskgraph.tools")
PUBLIC_NAMES = [
    *(f"taskgraph.{name}" for name in (*taskgraph.__all__, "open")),
    *(f"{door}.{name}" for door in DOORS for name in import_module(door).__all__),
    *(f"taskgraph.expression.{name}" for name in taskgraph.expression.__all__),
]
PROGRAMS = [page for page in PAGES if program_of(page.read_text(encoding="utf-8"))]


def names_used_in(program: str) -> set[str]:
    """Return the names of this package that a program does more with than to import them.

    They come with the module that they were taken from: ``taskgraph.functools.map_``.
    """
    nodes = list(ast.walk(ast.parse(program)))
    imported = {"taskgraph": "taskgraph"}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            for each in node.names:
                imported[each.asname or each.name] = f"{node.module}.{each.name}"
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.asname and _is_ours(each.name):
                    imported[each.asname] = each.name
    return {name for node in nodes if (name := _name_of(node, imported)) is not None}


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "taskgraph"


def _name_of(node: ast.AST, imported: dict[str, str]) -> str | None:
    """Return the full name that a piece of a program stands for, if it is one of ours."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return imported.get(node.id)
    if isinstance(node, ast.Attribute):
        inner = _name_of(node.value, imported)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


@pytest.mark.parametrize(
    ("program", "used"),
    [
        ("from taskgraph import File, task\n@task\ndef f(): ...", {"taskgraph.task"}),
        ("from taskgraph import File as F\nprint(F('a'))", {"taskgraph.File"}),
        ("import taskgraph\ntaskgraph.run(other.plan)", {"taskgraph", "taskgraph.run"}),
        ("from elsewhere import task\n@task\ndef f(): ...", set()),
        ("# taskgraph.run\nprint('taskgraph.run')", set()),
        ("from taskgraph.tools import copy_file\ncopy_file()", {"taskgraph.tools.copy_file"}),
        (
            "import taskgraph.tools as t\nt.copy_dir",
            {"taskgraph.tools", "taskgraph.tools.copy_dir"},
        ),
        (
            "from taskgraph import tools\ntools.copy_dir",
            {"taskgraph.tools", "taskgraph.tools.copy_dir"},
        ),
    ],
)
def test_a_name_is_used_where_code_does_something_with_it(program: str, used: set[str]) -> None:
    assert names_used_in(program) == used


@pytest.fixture(scope="module")
def used_on_pages() -> set[str]:
    """All public names that some page has an example of, as they are imported there."""
    programs = [program_of(page.read_text(encoding="utf-8")) for page in PROGRAMS]
    return set().union(*map(names_used_in, programs))


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_name_has_an_example_that_runs(name: str, used_on_pages: set[str]) -> None:
    # What is public in two places needs one example.
    homes = {name, f"taskgraph.{name.rpartition('.')[2]}"}

    assert homes & used_on_pages, f"show what {name} is for, in a Python block of a page in docs/"


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_name_has_a_docstring_with_a_summary_line(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute)
    lines = (inspect.getdoc(found) or "").splitlines()

    # Of a task the docstring is that of its function.
    assert attribute == "__version__" or (lines and lines[0].endswith("."))
    assert not lines[1:] or not lines[1].strip() or attribute == "__version__"


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
    # Its server takes longer than the 20 s that it is given, where others use the machine.
    env["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "100"
    env.pop("TASKGRAPH_CONFIG", None)

    done = run_python([script], tmp_path, env)

    assert done.code == 0, done.err
    if output_of(text):
        assert done.out == output_of(text), done.err
