"""What people do with executions, from a shell and on both databases; groups and retraction have
stories of their own beside their commands."""

from __future__ import annotations

import json
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import taskgraph
from taskgraph import F

CLIENT = """
    import os, signal, sys, taskgraph

    with taskgraph.open(sys.argv[1]) as archive:
        made = archive.executions.create("flow.main", {"n": 2}, idempotency_key="monday", tags={"team": "ml"})
        if sys.argv[2] == "dies":
            os.kill(os.getpid(), signal.SIGKILL)  # before it could tell anybody
        print(made.execution.id, made.is_new)
"""  # noqa: E501 - a program


@pytest.fixture
def project(flow: Any, database_uri: str) -> Any:
    """A project that cleans files and joins them, recorded in a database of each kind."""
    settings = {"db_uri": json.dumps(database_uri), "automigrate": "true"}
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    flow.write(".taskgraph/config.toml", f"[backend]\n{lines}\n")
    taskgraph.open(database_uri, migrate=True).close()
    return flow


def listed(project: Any, *words: str) -> Any:
    return project.json("execution", "list", *words)


def test_a_run_is_submitted_exactly_once_by_a_client_that_dies(
    project: Any, database_uri: str
) -> None:
    program = textwrap.dedent(CLIENT)
    for _ in range(2):
        assert project.python(program, database_uri, "dies").code != 0
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(
            lambda _: project.python(program, database_uri, "lives").out.split(), range(4)
        )

    (execution,) = listed(project)["executions"]
    assert {tuple(each) for each in answers} == {(execution["id"], "False")}
    assert execution["state"]["type"] == "PENDING"
    done = project("run", "--idempotency-key", "tuesday", "flow.py", "main")
    again = project("run", "--idempotency-key", "tuesday", "flow.py", "main")
    assert (done.code, again.code, listed(project, "--count")) == (0, 4, {"count": 2})
    assert project.ran() == ["clean in0.txt", "clean in1.txt", "join"]


def test_runs_are_listed_by_state_tag_and_time_in_pages(project: Any) -> None:
    for n in range(5):
        project(
            "run",
            "--name",
            f"nightly {n}",
            "--tag",
            f"even={json.dumps(n % 2 == 0)}",
            "flow.py",
            "main",
        )
    project("run", "--name", "odd", "flow.py", "half", "--x", "3")

    seen: list[str] = []
    after: list[str] = []
    while True:
        page = listed(project, "-n", "2", "--sort", "name", "--ascending", *after)
        seen += [each["name"] for each in page["executions"]]
        if page["next"] is None:
            break
        after = ["--after", page["next"]]
    assert seen == [f"nightly {n}" for n in range(5)] + ["odd"]
    assert [each["name"] for each in listed(project, "--state", "failed")["executions"]] == ["odd"]
    even = listed(project, "--tag", "even=true", "--since", "1h")["executions"]
    assert [each["name"] for each in even] == ["nightly 4", "nightly 2", "nightly 0"]
    assert listed(
        project, "--filter", '{"created": {"before_": "2001-01-01T00:00Z"}}', "--count"
    ) == {"count": 0}


def test_the_dependency_map_of_a_run_is_the_same_when_all_of_it_is_cached(project: Any) -> None:
    def edges() -> set[tuple[str, str]]:
        nodes = project.json("execution", "show", "-", "--deps")["dependencies"]
        names = {each["id"]: each["task"] for each in nodes}
        return {
            (names[given["job"]], each["task"])
            for each in nodes
            for given in each["upstream"]
            if given["job"] is not None
        }

    project("run", "flow.py", "main")
    first = edges()
    again = project("run", "flow.py", "main")

    assert "cached" in again.err
    assert ("flow.clean", "flow.join") in first
    assert edges() == first


def test_a_run_is_deleted_with_what_only_it_owns(project: Any, database_uri: str) -> None:
    project("run", "flow.py", "main", "--n", "1", "--out", "one.txt")
    project("run", "flow.py", "main", "--n", "2")
    newest = listed(project)["executions"][0]["id"]

    asked = project.typing("n\n", "execution", "delete", newest)
    assert (asked.code, listed(project, "--count")) != (0, {"count": 1})
    gone = project.json("execution", "delete", "--yes", newest)

    assert (gone["calls"] > 0, gone["kept"] > 0) == (True, True)
    assert project("db", "check").code == 0
    project.ran()
    project("run", "flow.py", "main", "--n", "1", "--out", "one.txt")
    assert project.ran() == []
    project("run", "flow.py", "main", "--n", "2")
    assert "clean in1.txt" in project.ran()
    with taskgraph.open(database_uri) as archive:
        assert archive.executions.count(F.id(newest)) == 0


def test_runs_are_grouped_in_a_study_and_found_by_their_workspace(project: Any) -> None:
    with ThreadPoolExecutor(3) as pool:
        every = pool.map(
            lambda n: project(
                "run", "--study", "nightly", "--workspace", f"w{n}", "flow.py", "main"
            ),
            range(3),
        )
    assert [each.code for each in every] == [0, 0, 0]

    (study,) = project.json("study", "list")["studies"]
    assert (study["name"], listed(project, "--study", "nightly", "--count")) == (
        "nightly",
        {"count": 3},
    )
    shown = project.json("execution", "show", "w1")
    assert (shown["study"], shown["workspace"]) == ("nightly", str(project.folder / "w1"))
    taken = project("run", "--workspace", "w1", "flow.py", "main")
    assert (taken.code, "Name another folder" in taken.err) == (4, True)
