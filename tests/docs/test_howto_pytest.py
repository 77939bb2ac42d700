"""The files and sessions on pages about pytest are real, and print what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"pytest": 5, "testing": 1}  # with how many outputs each
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What is another each time: ids, times, durations.
_VARIES = [
    (r"\b[0-9a-f]{8}\b", "ID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN"),
    (r"\d+\.\d+ ?m?s\b", "TOOK"),
]


def same_each_time(text: str) -> str:
    for pattern, name in _VARIES:
        text = re.sub(pattern, name, text)
    return text


def run_session(command: str, folder: Path) -> str:
    """Run a session as the page says, with no plug-in but taskgraph's."""
    tool, *args = shlex.split(command)
    assert tool == "pytest"
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "80",
    }
    for name in ("TASKGRAPH_CONFIG", "PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        env.pop(name, None)
    plugins = ["-ptaskgraph.plug.pytest", "-ptaskgraph.plug.trials"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *args],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def walk_through(text: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Do what a page says; yield what it says that is printed, and what is."""
    printed = ""
    for head, body in _BLOCK.findall(text):
        _, _, what = head.partition(" ")
        if what.startswith("file="):
            (folder / what.removeprefix("file=")).write_text(body, encoding="utf-8")
        elif head == "sh run":
            printed = "".join(run_session(line, folder) for line in body.splitlines())
        elif head == "text output":
            yield body, printed


@pytest.mark.parametrize("page", PAGES)
def test_the_sessions_print_what_the_page_says(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text(encoding="utf-8")
    steps = list(walk_through(text, tmp_path))

    assert len(steps) == PAGES[page]
    for said, printed in steps:
        assert same_each_time(printed) == same_each_time(said)
