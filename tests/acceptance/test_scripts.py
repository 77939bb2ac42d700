"""Scripts on the command line: what they said is in the log, and how they fail is told."""

from __future__ import annotations

from typing import Any

FLOW = """
from taskgraph import File, script, task

taskgraph_namespace = "flow"


@task(script=True, tags={"kind": "small"})
def sort(path: File):
    return f"echo sorting >&2; echo done >&2; sort {path.path}"


@task
def main():
    return script("sort in.txt | tee out.txt", [File("in.txt")], File("out.txt"))


@task
def fails():
    return script("echo reason >&2; exit 3")
"""


def test_the_log_of_a_job_shows_what_its_script_said(space: Any) -> None:
    space.write("flow.py", FLOW)
    space.write("in.txt", "b\na\n")

    assert space("run", "flow.py", "sort", "--path", "in.txt").code == 0
    jobs = space.json("log", "-")["jobs"]
    (run,) = [each for each in jobs if each["task"] == "taskgraph.script"]
    (sort,) = [each for each in jobs if each["task"] == "flow.sort"]

    (said,) = space.json("log", run["id"])["tags"]["taskgraph.stderr"]
    assert said.endswith("done\n+ sort in.txt\n")
    assert "\ntaskgraph.stderr\n    + echo sorting\n    sorting\n" in space("log", run["id"]).out
    assert "Tags\nkind  small\n" in space("log", sort["id"]).out


def test_stdout_beside_outputs_is_in_the_log(space: Any) -> None:
    space.write("flow.py", FLOW)
    space.write("in.txt", "b\na\n")

    assert "out.txt" in space("run", "flow.py", "main").out
    (run,) = [e for e in space.json("log", "-")["jobs"] if e["task"] == "taskgraph.script"]

    assert "\ntaskgraph.stdout\n    a\n    b\n" in space("log", run["id"]).out


def test_a_script_that_fails_is_told_with_its_stderr(space: Any) -> None:
    space.write("flow.py", FLOW)

    done = space("run", "flow.py", "fails")

    assert done.code == 1
    for told in ("A script ended with exit code 3.", "  reason", "taskgraph.script"):
        assert told in done.err + done.out
