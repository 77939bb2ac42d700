"""The cells on the page about notebooks run in real kernels, and show what the page says."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

if not os.environ.get("CI"):
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbclient")

from tests.plugs.notebook import ROOT, Notebook, kernel

PAGE = ROOT / "docs" / "howto" / "jupyter.md"
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What is another one each time.
_VARIABLE = (
    (re.compile(r"\d+\.\d+ m?s\b"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<when>"),
    (re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}\b"), "<id>"),
    (re.compile(r" +$", re.MULTILINE), ""),
)

# What the kernels' client leaves open when it ends is its own affair.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_the_cells_on_the_page_show_what_the_page_says(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    wanted = [steady(block[2]) for block in _BLOCK.finditer(text) if block[1].startswith("text")]

    shown = list(show(text, tmp_path))

    assert len(wanted) > 5
    assert shown == wanted


def show(text: str, folder: Path) -> Iterator[str]:
    """Yield what is shown under the cells of a page, where it says anything of that."""
    (folder / ".taskgraph").mkdir()
    last = ""
    with ExitStack() as stack:
        notebook = start(folder, stack)
        for kind, source in (match.groups() for match in _BLOCK.finditer(text)):
            match kind:
                case "python restart":
                    stack.close()
                    notebook = start(folder, stack)
                case "python cell":
                    done = notebook.run(source.rstrip("\n"))
                    assert not done.error, done.error
                    below = [*done.shown, done.state]
                    last = done.printed + "".join(f"{each}\n" for each in below if each)
                case "text cell":
                    yield steady(last)


def start(folder: Path, stack: ExitStack) -> Notebook:
    """Start a kernel that finds the command `taskgraph`."""
    command = folder / "bin" / "taskgraph"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m taskgraph "$@"\n')
    command.chmod(0o755)
    notebook = stack.enter_context(kernel(folder))
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    notebook.run(f"import os\nos.environ['PATH'] = {path!r}\ndel os")
    return notebook


def steady(text: str) -> str:
    """Return a text without times and ids."""
    for pattern, word in _VARIABLE:
        text = pattern.sub(word, text)
    return text
