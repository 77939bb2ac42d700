"""Explain says what changed: after a run, and while one goes on."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def edited(flow: Any) -> Any:
    """A project that ran, was edited in one place, and ran again."""
    flow("run", "-q", "flow.py", "main")
    text = (flow.folder / "flow.py").read_text()
    flow.write("flow.py", text.replace("text.upper()", "text.upper() + '!'"))
    flow.again = flow("run", "--explain", "flow.py", "main")
    return flow


def test_the_first_line_answers_the_question(edited: Any) -> None:
    done = edited("explain", "flow.clean")

    assert done.code == 0
    assert done.out.splitlines()[0] == "flow.clean ran again because flow.shout changed"
    assert "    -    return text.upper()\n    +    return text.upper() + '!'\n" in done.out
    assert "\x1b" not in done.out


def test_what_followed_names_the_call_that_it_followed_from(edited: Any) -> None:
    (first, *_) = edited.json("explain", "flow.join")["changes"]

    assert (first["kind"], first["name"]) == ("file", "work/in0.txt")
    assert first["path"] == "parts[0]"
    assert {cause["task"] for cause in first["causes"]} == {"flow.clean"}
    assert all(cause["ran"] for cause in first["causes"])


def test_of_an_execution_the_root_causes_are_told(edited: Any) -> None:
    done = edited("explain", "-")
    explained = edited.json("explain", "-")

    assert done.out.splitlines()[0] == (
        "flow.main: 3 calls ran, 1 came from the cache, because flow.shout changed"
    )
    (cause,) = explained["causes"]
    assert [(each["task"], each["count"]) for each in cause["tasks"]] == [("flow.clean", 2)]
    assert [(each["task"], each["count"]) for each in cause["followed"]] == [("flow.join", 1)]


def test_while_it_runs_each_miss_is_told_on_stderr(edited: Any) -> None:
    told = [line for line in edited.again.err.splitlines() if line.startswith(">")]

    assert [line.split()[1] for line in told] == ["flow.clean", "flow.clean", "flow.join"]
    assert all("runs again because flow.shout changed" in line for line in told[:2])
    assert "flow.clean gave another work/in0.txt" in told[2]
    # The change is shown in full but once.
    assert edited.again.err.count("+    return text.upper() + '!'") == 1
    assert "results/all.txt" in edited.again.out


def test_a_dry_run_says_why_the_first_calls_would_run(flow: Any) -> None:
    done = flow("run", "--explain", "--dryrun", "flow.py", "main")

    assert done.code == 0
    assert "because it was never called before" in done.err


def test_a_file_says_why_the_call_that_wrote_it_ran(edited: Any) -> None:
    (edited.folder / "results/all.txt").unlink()
    edited("run", "-q", "flow.py", "main")

    done = edited("explain", "results/all.txt")

    assert done.out.splitlines()[0] == (
        "flow.join ran again because its output results/all.txt is not there any more"
    )


def test_a_call_that_did_not_run_says_who_made_its_result(edited: Any) -> None:
    edited("run", "-q", "flow.py", "main")

    done = edited("explain", "flow.clean")
    explained = edited.json("explain", "flow.clean")

    assert done.out.splitlines()[0].startswith("flow.clean was not run: nothing changed since job")
    assert explained["verdict"] == "hit"
    assert explained["changes"] == []
    assert "def clean" in explained["made_by"]["source"]


def test_ids_of_jobs_calls_and_executions_are_explained(edited: Any) -> None:
    execution = edited.json("log", "-")
    job = next(each for each in execution["jobs"] if each["task"] == "flow.join")

    by_job = edited.json("explain", job["id"][:8])
    by_call = edited.json("explain", job["call_hash"][:8])
    by_run = edited.json("explain", execution["execution"]["id"][:8])

    assert by_job["headline"] == by_call["headline"]
    assert by_job["type"] == "explanation"
    assert by_run["type"] == "execution_explanation"


def test_all_that_counts_of_the_code_is_listed(edited: Any) -> None:
    recorded = edited.json("explain", "--code", "flow.clean")
    edited.write("other.py", "x = 1")
    current = edited.json("explain", "--code", "flow.clean", "--script", "flow.py")

    parts = [(each["kind"], each["name"]) for each in recorded["parts"]]
    assert ("function", "flow.clean") in parts
    assert ("function", "flow.shout") in parts
    assert current["task_hash"] == recorded["task_hash"]
    assert current["parts"] == recorded["parts"]


def test_what_cannot_be_followed_is_listed_apart(space: Any) -> None:
    space.write(
        "flow.py",
        """
        from taskgraph import task

        @task(namespace="flow")
        def main(name: str = "len") -> int:
            return globals()[name]
        """,
    )

    done = space("explain", "--code", "main", "--script", "flow.py")

    assert "and 1 cannot be followed" in done.out.splitlines()[0]
    assert "What cannot be followed: a change there is not seen" in done.out
    assert "globals()" in done.out


def test_what_is_not_there_is_not_found(flow: Any) -> None:
    before = flow("explain", "-")
    flow("run", "-q", "flow.py", "main")
    after = flow("explain", "flow.nothing")

    assert (before.code, after.code) == (3, 3)
    assert "Nothing is recorded under 'flow.nothing'" in after.err
    assert not (flow.folder / "nothing").exists()


def test_a_script_goes_with_code_only(flow: Any) -> None:
    done = flow("explain", "--script", "flow.py", "flow.main")

    assert done.code == 2
    assert "--script goes with --code" in done.err
