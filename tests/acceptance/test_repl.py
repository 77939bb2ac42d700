"""Python with the records at hand: one line, a pipe, a prompt."""

from __future__ import annotations

import importlib.util
import os
import pty
import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture
def ran(flow: Any) -> Any:
    flow("run", "flow.py", "main")
    return flow


@pytest.mark.parametrize(
    ("code", "out"),
    [
        ("history()[0].status", "'DONE'\n"),
        ("find('-').execution.task", "'flow.main'\n"),
        ("find('gone')", ""),
        ("lineage('results/all.txt').value.file.path", "'results/all.txt'\n"),
        ("session.query(models.Job).count()", "4\n"),
        ("backend.get_tags([]) ; archive.settings.project_dir.name", None),
        ("query().filter_types(['Job']).count()[0][1]", "4\n"),
        ("x = 1\nx + 1", "2\n"),
        ("", ""),
    ],
)
def test_one_line_is_run_and_shown(ran: Any, code: str, out: str | None) -> None:
    done = ran("repl", "-c", code)

    assert (done.code, done.err) == (0, "")
    assert done.out == (f"{ran.folder.name!r}\n" if out is None else out)


def test_log_shows_what_the_command_shows(ran: Any) -> None:
    assert ran("repl", "-c", "log('-')").out == ran("log", "-").out


def test_code_from_a_pipe_is_run_to_its_end(ran: Any) -> None:
    loop = "for each in history():\n    n = each.counts\n\nn\n"
    code = f"{loop}1/0\narchive.get('gone')\ndef f():\n    return 7\n\nf()"

    done = ran.typing(code, "repl")

    assert done.code == 1
    assert done.out == "{'DONE': 4}\n7\n"
    assert "ZeroDivisionError" in done.err
    assert "Error: Nothing is recorded under 'gone'" in done.err
    assert ">>>" not in done.err + done.out


@pytest.mark.parametrize(
    ("code", "said"), [("(1,", "middle of a statement"), ("1 +", "SyntaxError"), ("", "")]
)
def test_code_that_is_no_code(ran: Any, code: str, said: str) -> None:
    done = ran.typing(code, "repl")

    assert done.code == (1 if said else 0)
    assert said in done.err


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [("1/0", 1, "ZeroDivisionError"), ("archive.get('gone')", 3, "Nothing is recorded")],
)
def test_an_error_is_the_exit_code(ran: Any, code: str, exit_code: int, said: str) -> None:
    done = ran("repl", "-c", code)

    assert done.code == exit_code
    assert said in done.err


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        ("find('-')", "Execution "),
        ("lineage('results/all.txt')", "Where it came from\n"),
        ("history()", "id  "),
        ("history()[0]", "id  "),
        ("[1, executions]", "[1, <"),
    ],
)
def test_a_record_is_shown_as_a_page(ran: Any, code: str, begins: str) -> None:
    done = ran("repl", "-c", code)

    assert done.err == ""
    assert done.out.startswith(begins)


def test_without_records_there_is_no_prompt(space: Any) -> None:
    done = space("repl", "-c", "1")

    assert done.code == 1
    assert "nothing was run here yet" in done.err
    assert list(space.folder.iterdir()) == []


def test_a_prompt_has_a_banner_and_a_history(ran: Any) -> None:
    driver, terminal = pty.openpty()
    os.write(driver, b"1 + 41\nexit()\n")
    environment = {name: each for name, each in os.environ.items() if name != "TASKGRAPH_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", "taskgraph.cli.main", "repl"],
        cwd=ran.folder,
        env={**environment, "TERM": "dumb"},
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(driver)
    os.close(terminal)

    assert done.returncode == 0, done.stderr
    assert "42" in done.stdout
    banner = [each for each in done.stderr.splitlines() if each]
    assert banner[0].startswith("taskgraph ")
    assert any(each.startswith("to look") for each in banner[:5])
    assert (ran.folder / ".taskgraph" / "repl_history").exists()


def test_ipython_is_there_if_it_is_installed(ran: Any) -> None:
    folder = str(ran.folder / ".ipython")

    done = ran.typing("history()[0].task\n", "repl", "--ipython", IPYTHONDIR=folder)

    if importlib.util.find_spec("IPython") is None:
        assert (done.code, "pip install ipython" in done.err) == (2, True)
    else:
        assert done.code == 0, done.err
        assert "to look" in done.out and "'flow.main'" in done.out
