"""A script prints when it is loaded, and so do its tasks: stdout is what the command says."""

from __future__ import annotations

import json
from typing import Any

import pytest

FLOW = """
    import os

    from taskgraph import File, task

    taskgraph_namespace = "loud"
    print("hello")
    os.write(1, b"hello of C\\n")

    @task
    def read(sources: list[File]) -> list[File]:
        print("read")
        return sources

    @task
    def main(n: int = 1) -> int:
        print("main")
        return n
"""


@pytest.fixture
def loud(space: Any) -> Any:
    """A project with a script that prints."""
    space.write("loud.py", FLOW)
    space("init")
    return space


def told(loud: Any, *words: str, code: int = 0) -> Any:
    """Run a command; returns its JSON."""
    done = loud(*words)
    assert done.code == code, done.err
    assert "hello" in done.err and "hello of C" in done.err
    return json.loads(done.out)


def test_what_a_script_prints_is_not_among_json(loud: Any) -> None:
    submit = ("submit", "--json", "--queue", "q", "loud.py", "main")
    assert told(loud, *submit)["entrypoint"] == "loud.main"
    assert loud("run", "loud.py", "main").out == "hello\nhello of C\nmain\n1\n"
    assert told(loud, "execution", "rerun", "-", "--no-cache", "--json")["executions"]
    created = ("workflow", "create", "reading", "loud.py", "read", "--json")
    assert told(loud, *created)["name"] == "reading"
    for name in ("raw", "made"):
        assert loud("dataset", "register", name, "loud.py").code == 0
    applied = ("workflow", "apply", "reading", "--input", "raw", "--output", "made", "--here")
    (ended,) = told(loud, *applied, "--json")["executions"]
    assert ended["state"]["type"] == "COMPLETED"
    told(loud, "workflow", "add-step", "reading", "main", "--script", "loud.py", "--json")
    told(loud, "workflow", "export", "reading", "--script", "loud.py")
    collected = told(loud, "package", "collect", "loud.py", "--version", "1", "--json")
    assert collected["status"] == "ok"
