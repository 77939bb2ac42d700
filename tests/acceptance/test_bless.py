"""A refactor that changes no meaning keeps its results, if somebody says that it is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

_FLOW = """
from pathlib import Path

from taskgraph import task

taskgraph_namespace = "flow"


def note(line):
    with Path("ran.txt").open("a") as log:
        print(line, file=log)


@task
def double(x: int) -> int:
    note(f"double {x}")
    return 2 * x


@task
def total(xs: list[int]) -> int:
    note("total")
    return sum(xs)


@task
def main(n: int = 3):
    note("main")
    return total([double(x) for x in range(n)])
"""


@pytest.fixture
def doubled(space: Any) -> Any:
    """A project whose workflow ran once."""
    space.write("flow.py", _FLOW)

    def ran() -> list[str]:
        path = space.folder / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(lines)

    def edit(old: str, new: str) -> None:
        path = space.folder / "flow.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run() -> str:
        done = space("run", "flow.py", "main")
        assert done.code == 0, done.err
        return str(done.out.strip())

    space.ran, space.edit, space.run = ran, edit, run
    assert run() == "6"
    ran()
    return space


def test_without_a_blessing_a_rename_runs_again(doubled: Any) -> None:
    doubled.edit("double(x", "twice(x")

    doubled.run()

    assert doubled.ran() == ["double 0", "double 1", "double 2", "main"]


def test_a_blessed_rename_runs_nothing(doubled: Any) -> None:
    doubled.edit("double(x", "twice(x")

    renamed = doubled("bless", "flow.double", "flow.twice", "--script", "flow.py")
    caller = doubled("bless", "flow.main", "--script", "flow.py")

    assert (renamed.code, caller.code) == (0, 0), renamed.err + caller.err
    assert doubled.run() == "6"
    assert doubled.ran() == []


def test_a_rename_is_found_by_cached_results_that_call_the_old_name(doubled: Any) -> None:
    # The caller keeps its version: what is stored of it calls the old name.
    doubled.edit("@task\ndef main", '@task(version="1")\ndef main')
    doubled.run()
    doubled.ran()
    doubled.edit("double(x", "twice(x")

    doubled("bless", "flow.double", "flow.twice", "--script", "flow.py")

    assert doubled.run() == "6"
    assert doubled.ran() == []


def test_a_rewritten_task_is_blessed_under_its_own_name(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x + x")

    done = doubled("bless", "double", "--script", "flow.py", "--why", "an addition is faster")

    assert done.out.startswith("Results of flow.double (")
    assert doubled.run() == "6"
    assert doubled.ran() == []


def test_what_was_not_recorded_before_runs_the_new_code(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x + x")
    doubled("bless", "flow.double", "--script", "flow.py")

    done = doubled("run", "flow.py", "main", "--n", "4")

    assert done.out == "12\n"
    assert doubled.ran() == ["double 3", "main", "total"]


def test_a_blessing_that_is_taken_back_is_undone(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x + x")
    doubled("bless", "flow.double", "--script", "flow.py")
    doubled.run()

    done = doubled("unbless", "flow.double")
    doubled.run()

    assert done.code == 0, done.err
    assert "no more" in done.out
    assert doubled.ran() == ["double 0", "double 1", "double 2"]


def test_blessings_make_a_chain(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x + x")
    doubled("bless", "flow.double", "--script", "flow.py")
    doubled.run()
    doubled.edit("return x + x", "return x << 1")

    done = doubled("bless", "flow.double", "--script", "flow.py")
    doubled.run()

    assert done.code == 0, done.err
    assert doubled.ran() == []


def test_a_check_makes_calls_again_and_blesses_what_gives_the_same(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x + x")

    done = doubled("bless", "flow.double", "--script", "flow.py", "--check", "2")

    assert done.code == 0, done.err
    assert "2 calls made again gave the same results." in done.out
    assert len(doubled.ran()) == 2
    doubled.run()
    assert doubled.ran() == []


def test_a_check_refuses_code_that_gives_something_else(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x * x * x")

    done = doubled("bless", "flow.double", "--script", "flow.py", "--check", "3")
    listed = doubled.json("bless", "--list")

    assert done.code == 5
    # 0 gives the same; whichever of the others comes first is named.
    assert "flow.double(x=1)" in done.err or "flow.double(x=2)" in done.err
    assert "nothing was blessed" in done.err
    assert listed == []


def test_a_check_of_a_caller_takes_a_blessed_rename_for_the_same(doubled: Any) -> None:
    doubled.edit("double(x", "twice(x")

    too_early = doubled("bless", "flow.main", "--script", "flow.py", "--check", "1")
    doubled("bless", "flow.double", "flow.twice", "--script", "flow.py")
    done = doubled("bless", "flow.main", "--script", "flow.py", "--check", "1")

    assert too_early.code == 5
    assert "bless these tasks first" in too_early.err
    assert done.code == 0, done.err


def test_a_check_records_nothing(doubled: Any) -> None:
    before = doubled.json("log")
    doubled.edit("return 2 * x", "return x + x")

    doubled("bless", "flow.double", "--script", "flow.py", "--check", "3")

    assert doubled.json("log") == before


def test_the_list_tells_who_and_why_and_what_was_taken_back(doubled: Any) -> None:
    doubled.edit("return 2 * x", "return x + x")
    doubled("bless", "flow.double", "--script", "flow.py", "--why", "faster")
    doubled("unbless", "flow.double", "flow.double")

    (alias,) = doubled.json("bless", "--list")
    shown = doubled("bless", "--list").out

    assert (alias["old"], alias["new"], alias["why"]) == ("flow.double", "flow.double", "faster")
    assert alias["old_hash"] != alias["new_hash"]
    assert "@" in alias["author"]
    assert alias["ended"] > alias["time"]
    assert alias["ended_by"] == alias["author"]
    assert "taken back" in shown
    assert "faster" in shown


def test_versions_may_be_given_by_their_digits(doubled: Any) -> None:
    old = json.loads(doubled("log", "flow.double", "--json").out)["hash"]
    doubled.edit("return 2 * x", "return x + x")

    done = doubled("bless", old[:10], "flow.double", "--script", "flow.py")
    doubled.run()

    assert done.code == 0, done.err
    assert doubled.ran() == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["bless"], 2, "OLD, or --list"),
        (["bless", "--list", "flow.main"], 2, "--list takes no tasks"),
        (["bless", "flow.double", "--check", "1"], 2, "--script FILE"),
        (["bless", "flow.nothing", "--script", "flow.py"], 3, "no task named 'flow.nothing'"),
        (["bless", "flow.none", "flow.main", "--script", "flow.py"], 3, "in the database"),
        (["bless", "flow.double", "--script", "flow.py"], 5, "only this very code is recorded"),
        (["unbless", "flow.double"], 3, "flow.double is not blessed"),
    ],
)
def test_what_cannot_be_done_is_said(doubled: Any, words: list[str], code: int, text: str) -> None:
    done = doubled(*words)

    assert (done.code, text in done.err) == (code, True), done.err


def test_an_edit_of_a_helper_is_blessed_under_the_names_of_the_tasks(doubled: Any) -> None:
    doubled.edit("print(line, file=log)", 'log.write(line + "\\n")')
    planned = doubled("plan", "flow.py", "main")

    for name in ("double", "total", "main"):
        done = doubled("bless", name, "--script", "flow.py", "--check", "1")
        assert done.code == 0, done.err
    doubled.ran()  # what the checks wrote

    assert planned.code == 1
    assert doubled("plan", "flow.py", "main").code == 0
    assert doubled.run() == "6"
    assert doubled.ran() == []
