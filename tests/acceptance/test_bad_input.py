"""What goes wrong says so in a sentence, with an exit code and without a traceback of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["rum", "flow.py"], 2, "No such command 'rum'"),
        (["run"], 2, "Missing argument 'SCRIPT'"),
        (["run", "flow.py"], 2, None),
        (["run", "flow.py", "main", "--m", "3"], 2, "--n"),
        (["run", "flow.py", "main", "--n", "many"], 2, "'many': expected a whole number"),
        (["run", "flow.py", "half"], 2, "Missing option '--x'"),
        (["run", "flow.py", "main", "extra"], 2, "unexpected extra argument (extra)"),
        (["run", "flow.py", "main", "--no-cache"], 2, "put it before the script"),
        (["run", "flow.py", "--no-cache", "main"], 2, "put it before the script"),
        (["run", "--executor", "thraeds", "flow.py", "main"], 2, "threads"),
        (["run", "--option", "retries", "flow.py", "main"], 2, "expected NAME=VALUE"),
        (["run", "--option", "retrys=2", "flow.py", "main"], 2, "Did you mean 'retries'?"),
        (["run", "--option", "retries=no", "flow.py", "main"], 2, "must be a whole number"),
        (["run", "--option", "nout=2", "flow.py", "main"], 2, "cannot be handed on"),
        (["run", "--tag", "=2", "flow.py", "main"], 2, "expected NAME=VALUE"),
        (["run", "--context", "a..b=2", "flow.py", "main"], 2, "without dots"),
        (["run", "flow.py", "mian"], 3, "Did you mean 'flow.main'?"),
        (["run", "flaw.py", "main"], 3, "Did you mean 'flow.py'?"),
        (["run", "no.such.module", "main"], 3, "no such file or module"),
        (["run", ".", "main"], 3, "it is a folder"),
        (["run", "..x", "main"], 3, "the name of no file and of no module"),
        (["package", "collect", "."], 3, "it is a folder"),
        (["package", "collect", "nosuch.py"], 3, "there is no such file"),
        (["log", "feedbeef"], 3, "'feedbeef'"),
        (["log", "nothing.txt"], 3, "'nothing.txt'"),
        (["log", "--limit", "0"], 2, "--limit"),
        (["log", "--limit", "99999999999999999999"], 2, "--limit"),
        (["log", "--since", "9999999999d"], 2, "expected a date"),
        (["log", "--until", "9999-12-31"], 2, "expected a date"),
        (["log", "\udcff"], 3, "Nothing is recorded"),
        (["log", "--task", "\udcff"], 0, None),
        (["log", "--tag", "x=\udcff"], 2, "expected KEY=VALUE"),
        (["tag", "add", "-", "x=1e999"], 2, "not a JSON number"),
        (["tag", "add", "-", "x=\udcff"], 2, "half of a surrogate pair"),
        (["tag", "add", "-", f"x={'[' * 900}{']' * 900}"], 2, "nested too deeply"),
        (["repo", "add", "lab", "\udcff"], 2, "its place is"),
        (["execution", "show", "\udcff"], 2, "workspace"),
        (["execution", "set-state", "-", "FAILED", "--force", "--message", "\udcff"], 2, "message"),
        (["execution", "list", "--state", "\udcff"], 2, "no state"),
        (["execution", "list", "--state", ""], 2, "Error: '': this is no state"),
        (
            ["execution", "list", "--filter", '{"created": {"after_": "2026-01-01"}}'],
            2,
            "expected a time with its time zone, as 2026-01-31T18:00:00+00:00, not '2026-01-01'",
        ),
        (["execution", "list", "--name", "\udcff", "--study", "\udcff"], 0, None),
        (["execution", "sweep", "--late-after", "9999999d"], 0, None),
        (["execution", "fail-running", "--older-than", "999999999999d"], 2, "expected a time"),
        (["study", "show", "\udcff"], 3, "There is no study"),
        (["study", "delete", "\udcff", "--yes"], 3, "There is no study"),
        (["dataset", "show", "\udcff"], 3, "There is no dataset"),
        (["dataset", "list", "--name", "\udcff", "--type", "\udcff"], 0, None),
        (["dataset", "register", "\udcff"], 2, "half of a surrogate pair"),
        (["workflow", "promote", "\udcff"], 3, "There is no workflow"),
        (["workflow", "show", "\udcff"], 3, "There is no workflow"),
        (["workflow", "remove-step", "\udcff:0"], 3, "There is no workflow"),
        (["workflow", "remove-step", "\udcff"], 3, "There is no step"),
        (["workflow", "list", "--name", "\udcff", "--task", "\udcff"], 0, None),
        (
            ["workflow", "apply", "\udcff", "--input", "a", "--output", "b", "--key", "k"],
            3,
            "There is no workflow",
        ),
        (["workflow", "promote", f"x@{'9' * 5000}"], 3, "There is no workflow"),
        (["group", "plan", "\udcff"], 3, "There is no workflow"),
        (["group", "flag-dirty", "\udcff"], 3, "There is no execution group"),
        (["group", "list", "--key", "\udcff", "--workflow", "\udcff"], 0, None),
        (["artifact", "list", "--kind", "\udcff", "--key", "\udcff"], 0, None),
        (["artifact", "add", "-", "\udcff", "k", "p"], 2, "half of a surrogate pair"),
        (["vocabulary", "define", "\udcff"], 2, "cannot be the key of a tag"),
        (["vocabulary", "remove", "\udcff"], 2, "not in the vocabulary"),
        (["retract", "\udcff", "--reason", "x"], 3, "Nothing is recorded"),
        (["retract", "-", "--reason", "\udcff"], 0, None),
        (["unretract", "\udcff"], 3, None),
        (["export", "-o", "gone/all.jsonl"], 2, "No such file or directory"),
        (["export", "-o", "."], 2, "directory"),
        (["report", "-o", "gone/report.html"], 2, "gone/report.html"),
        (["graph", "-", "-o", "gone/graph.dot"], 2, "gone/graph.dot"),
        (["import", "nothing://there"], 5, "cannot be opened"),
        (["init", "x", "y"], 2, "unexpected extra argument"),
    ],
)
def test_a_mistake_has_a_code_and_a_sentence(
    flow: Any, words: list[str], code: int, says: str | None
) -> None:
    if words[0] not in {"run", "rum", "repo", "import", "init"}:
        assert flow("run", "flow.py", "main").code == 0

    done = flow(*words)

    assert done.code == code, done.err
    assert says is None or says in done.err
    assert "Traceback" not in done.err and "not expected" not in done.err


def test_a_failed_run_shows_tasks_and_the_users_line(flow: Any) -> None:
    done = flow("run", "flow.py", "halves", "2", "3", "4")

    assert done.code == 1
    assert done.out == ""
    assert "flow.halves" in done.err and "flow.half" in done.err
    assert 'raise ValueError(f"{x} is odd")' in done.err
    assert done.err.splitlines()[-1] == "ValueError: 3 is odd"
    assert "taskgraph/engine" not in done.err


def test_siblings_of_a_failure_are_kept(flow: Any) -> None:
    flow("run", "flow.py", "halves", "2", "3", "4")

    done = flow("run", "flow.py", "halves", "2", "4")

    assert "cached" in done.summary
    assert done.summary.startswith("3 jobs: 1 done, 2 cached")


def test_a_script_that_raises_shows_its_own_frames_only(space: Any) -> None:
    space.write("helper.py", "def fail():\n    return 1 / 0\n")
    space.write("flow.py", "import helper\n\nhelper.fail()\n")

    done = space("run", "flow.py", "main")

    assert done.code == 1
    assert "Cannot load flow.py: ZeroDivisionError: division by zero" in done.err
    assert "helper.py" in done.err and "helper.fail()" in done.err
    assert "taskgraph/cli" not in done.err and "importlib" not in done.err


def test_a_script_with_a_syntax_error_names_the_line(space: Any) -> None:
    space.write("flow.py", "def main(:\n")

    done = space("run", "flow.py", "main")

    assert done.code == 1
    assert "line 1" in done.err and "SyntaxError" in done.err


def test_a_script_cannot_stand_in_for_another_module(space: Any) -> None:
    space.write("random.py", "")

    done = space("run", "random.py", "main")

    assert done.code == 1
    assert "a module 'random' exists already" in done.err


def test_a_wrong_setting_names_file_and_key(flow: Any) -> None:
    path = flow.write(".taskgraph/config.toml", "[executors.threads]\nmax_workers = 0\n")

    done = flow("run", "flow.py", "main")

    assert done.code == 2
    assert f"Error: {path}: executors.threads.max_workers: expected a whole number" in done.err


def test_a_database_of_somebody_else_is_a_conflict(flow: Any) -> None:
    import sqlite3

    (flow.folder / ".taskgraph").mkdir()
    with sqlite3.connect(flow.folder / ".taskgraph" / "taskgraph.db") as connection:
        connection.execute("create table recipes (name)")
    connection.close()

    done = flow("run", "flow.py", "main")

    assert done.code == 4
    assert "Traceback" not in done.err


def test_our_own_traceback_is_shown_when_asked_for(flow: Any) -> None:
    done = flow("--traceback", "run", "flow.py", "mian")

    assert done.code == 3
    assert "Traceback (most recent call last)" in done.err
    assert "UnknownTaskError" in done.err


def test_help_lists_commands_tasks_and_flags(flow: Any) -> None:
    top, of_file, of_task = (
        flow("--help"),
        flow("run", "flow.py", "--help"),
        flow("run", "flow.py", "main", "--help"),
    )

    assert (top.code, of_file.code, of_task.code) == (0, 0, 0)
    assert "init" in top.out and "log" in top.out
    assert "Clean and join." in of_file.out and "flow.clean" in of_file.out
    assert "--out TEXT" in of_task.out and "Where to write." in of_task.out


def test_init_makes_settings_once(space: Any) -> None:
    first = space("init", "project")
    config = Path(space.folder / "project/.taskgraph/config.toml")
    config.write_text("[executors.threads]\nmax_workers = 2\n")

    second = space("init", "project")

    assert (first.code, second.code) == (0, 0)
    assert config.read_text() == "[executors.threads]\nmax_workers = 2\n"
    assert "left as it is" in second.out
    assert config.with_name("taskgraph.db").exists()


def test_db_info_says_whether_it_can_be_used(space: Any) -> None:
    space("init")

    facts = space.json("db", "info")
    upgrade = space("db", "upgrade")

    assert facts["compatible"] is True
    assert facts["database"] == f"sqlite:///{space.folder}/.taskgraph/taskgraph.db"
    assert (upgrade.code, "up to date" in upgrade.out) == (0, True)
