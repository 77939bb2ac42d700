"""A failed run says of each failure where, with which values, and how to look into it."""

from __future__ import annotations

import re
from typing import Any

import pytest


@pytest.fixture
def halves(space: Any) -> Any:
    space.write(
        "halves.py",
        """
        from taskgraph import task

        taskgraph_namespace = "halves"


        @task
        def half(x: int) -> int:
            rest = x % 2
            if rest:
                raise ValueError(f"{x} is odd")
            return x // 2


        @task
        def main(*xs: int) -> list[int]:
            return [half(x) for x in xs]
        """,
    )
    return space


def test_a_failure_is_told_with_the_command_that_debugs_it(halves: Any) -> None:
    done = halves("run", "halves.py", "main", "2", "3")

    assert done.code == 1
    found = re.search(r"taskgraph run --rerun ([0-9a-f]{8}) --pdb halves\.py", done.err)
    assert found is not None, done.err
    assert "halves.half failed" in done.err
    assert done.err.splitlines()[-1] == "ValueError: 3 is odd"

    session = halves.typing("p x, rest\nq\n", "run", "-q", "--rerun", found[1], "--pdb")
    assert session.code == 1
    assert "(Pdb) (3, 1)" in session.err
    assert "-> raise ValueError" in session.err


def test_keep_going_tells_of_all_failures(halves: Any) -> None:
    done = halves("run", "--keep-going", "halves.py", "main", "2", "3", "4", "5", "6")

    assert done.code == 1
    assert "2 calls failed." in done.err
    assert "1. halves.half failed" in done.err and "2. halves.half failed" in done.err
    assert "ValueError: 3 is odd" in done.err and "ValueError: 5 is odd" in done.err
    assert len(set(re.findall(r"--rerun ([0-9a-f]{8})", done.err))) == 2
    after = halves("run", "halves.py", "main", "2", "4", "6")
    assert after.summary.startswith("4 jobs: 1 done, 3 cached")


def test_many_failures_are_told_in_a_line_each(halves: Any) -> None:
    odd = [str(each) for each in range(1, 30, 2)]

    done = halves("run", "--keep-going", "halves.py", "main", *odd)

    assert "15 calls failed." in done.err
    assert done.err.count("Task trace") == 10
    assert "5 more:" in done.err


def test_a_run_under_the_debugger_stops_in_the_failing_task(halves: Any) -> None:
    session = halves.typing("p x\nq\n", "run", "-q", "--pdb", "halves.py", "main", "7")

    assert session.code == 1
    assert "(Pdb) 7" in session.err


def test_a_call_that_succeeds_now_says_what_it_gives(halves: Any) -> None:
    failed = halves("run", "halves.py", "main", "3")
    job = re.search(r"--rerun ([0-9a-f]{8})", failed.err)
    assert job is not None
    path = halves.folder / "halves.py"
    path.write_text(path.read_text().replace("if rest:", "if False:"))

    done = halves("run", "--rerun", job[1])

    assert (done.code, done.out) == (0, "1\n")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--rerun", "feedbeef"], 3, "feedbeef"),
        (["--rerun", "feedbeef", "halves.py", "main"], 2, "takes no task"),
        (["--rerun", "-", "halves.py"], 1, "cannot be made again"),
    ],
)
def test_what_cannot_be_made_again_says_why(
    halves: Any, words: list[str], code: int, says: str
) -> None:
    halves("run", "halves.py", "main", "2")
    halves("run", "halves.py", "main")

    done = halves("run", *words)

    assert done.code == code, done.err
    assert says in done.err
    assert "Traceback" not in done.err
