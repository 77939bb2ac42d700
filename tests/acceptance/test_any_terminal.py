"""Whatever a terminal or a pipe is like, a command says what it has to say, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from taskgraph import archive
from taskgraph.errors import NoCallError
from tests.acceptance.space import ROOT

# No locale, and nothing that Python does about that by itself.
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
# All that moves a cursor, colours a screen or turns the direction of writing.
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def odd(space: Any) -> Any:
    """A run in which a call fails, with a text that a terminal would obey."""
    space.write(
        "odd.py",
        r"""
        from taskgraph import File, catch, task

        taskgraph_namespace = "odd"
        TEXT = 'a "b" <i>\n]]> --> %% \\ \x1b[31mred\x1b]0;title\x07\r\u202eback\x9b2J é ✓'

        @task
        def make(path: str) -> File:
            made = File(path)
            made.write("made")
            return made

        @task
        def fail(text: str, file: File) -> str:
            raise ValueError(text)

        @task
        def main() -> str:
            return fail(TEXT, make('out/\x1b[2J\u202e"<b>.txt'))
        """,
    )
    space("init")
    return space


PAGES: list[tuple[str, ...]] = [
    ("log",),
    ("log", "-"),
    ("log", "--type", "job", "--detail"),
    ("log", "--type", "value", "--since", "1d"),
    ("log", "--file", "out/*", "--type", "value", "--detail"),
    ("diff",),
    ("explain", "-"),
    ("plan", "odd.py", "main"),
    ("graph", "-"),
    ("graph", "-", "--format", "dot"),
    ("graph", "-", "--format", "mermaid"),
    ("graph", "-", "--format", "json"),
    ("log", "-", "--json"),
    ("report",),
    ("tag", "list", "-", "--history"),
]

UNREAD: list[tuple[str, ...]] = [
    ("log", "--help"),
    ("log",),
    ("log", "-", "--json"),
    ("graph", "-", "--format", "dot"),
    ("report",),
    ("export",),
    ("repo", "list"),
    ("repl", "-c", "print(1)"),
]


def test_nothing_of_a_record_is_obeyed_by_a_terminal(odd: Any) -> None:
    tag = ("--tag", 'note="a\\n\\u001b[2J\\u202e<b>"', "--doc", "doc \x1b[31m")
    runs = [odd("run", *tag, "odd.py", "main") for _ in range(2)]

    for done in [*runs, *(odd(*page) for page in PAGES)]:
        assert CONTROL.search(done.out + done.err) is None


def test_without_utf8_every_page_is_written(odd: Any) -> None:
    for _ in range(2):
        assert odd("run", "odd.py", "main", **NO_UTF8).code == 1

    for page in PAGES:
        done = odd(*page, **NO_UTF8)
        assert done.err == "" and done.code == (1 if page[0] == "plan" else 0), page


def test_without_utf8_marks_are_signs_that_every_terminal_has(odd: Any) -> None:
    odd("run", "odd.py", "main")

    assert "x failed" in odd("log", **NO_UTF8).out
    assert "✗ failed" in odd("log", PYTHONIOENCODING="utf-8").out


def test_pages_for_programs_are_utf8_in_any_locale(odd: Any) -> None:
    odd("run", "odd.py", "main")

    assert "✗" in odd("report", **NO_UTF8, PYTHONIOENCODING="ascii").out


def test_when_nobody_reads_any_more_it_ends_with_a_code_of_its_own(odd: Any) -> None:
    odd("run", "odd.py", "main")
    path = f"{ROOT}{os.pathsep}{ROOT / 'backend'}"

    for words in UNREAD:
        with subprocess.Popen(
            [sys.executable, "-m", "taskgraph.cli.main", *words],
            cwd=odd.folder,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            said = process.stderr.read()
        assert (process.returncode, said) == (141, b""), words


def test_a_page_past_the_end_says_so(odd: Any) -> None:
    odd("run", "odd.py", "main")

    assert odd("log", "--page", "9").out == "There are no more records.\n"
    assert odd("log", "--task", "nobody").out == "No record is like that.\n"


def test_what_no_call_is_behind_cannot_be_explained_and_that_is_said(odd: Any) -> None:
    odd("run", "odd.py", "main")
    values = odd.json("log", "--type", "value", "--since", "1d")
    (text,) = [each["value_hash"] for each in values if each["preview"].startswith("'a ")]

    done = odd("explain", text)

    assert done.code == 3
    assert f"No recorded call is behind '{text}'" in done.err
    with archive.open(odd.folder) as records, pytest.raises(NoCallError):
        records.explain(text)


@pytest.mark.parametrize(
    ("closed", "executor"), [((1,), "inline"), ((2,), "threads"), ((0, 1, 2), "processes")]
)
def test_without_streams_as_a_daemon_has_none_a_run_ends_well(
    space: Any, closed: tuple[int, ...], executor: str
) -> None:
    space.write(
        "quiet.py",
        """
        import os
        from taskgraph import task

        taskgraph_namespace = "quiet"

        @task
        def says(x: int) -> int:
            print("said")
            os.write(2, b"said")
            return x

        @task
        def main() -> list[int]:
            return [says(1), says(2)]
    """,
    )
    words = ["run", "--executor", executor, "quiet.py", "main"]
    program = f"""
import os, sys
for number in {closed}:
    os.close(number)
os.execv(sys.executable, [sys.executable, "-m", "taskgraph.cli.main", *{words}])
"""

    done = space.python(program)

    assert done.code == 0
    assert ("[1, 2]" in done.out) is (1 not in closed)
    assert "Error" not in done.err
    log = space("execution", "list")
    assert "Completed" in log.out
    assert space("db", "check").code == 0
