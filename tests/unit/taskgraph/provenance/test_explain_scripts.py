"""Executables that scripts call and that do not count are told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, Task, script, task
from taskgraph.provenance.explain_runs import explain_current_code
from taskgraph.scripting import exec_script, quote_shell


def advice_of(task: Task[..., Any]) -> dict[str, str]:
    """Return what is said of each executable that does not count."""
    unfollowed = explain_current_code(task).unfollowed
    return {each.name: each.text for each in unfollowed if each.kind == "executable"}


def test_of_a_script_task_the_text_that_it_returns_is_looked_at() -> None:
    @task(namespace="advice", script=True, tools=["sort", "cat /dev/null"])
    def counted(path: File, tool: str, is_short: bool) -> str:
        """Look: not a command."""
        note = "whatever this says; is not run"
        text = f"""
            cat {quote_shell(path)} | sort | uniq -c
            {tool} {note} | cut -f 1
        """
        if is_short:
            text += "head -n 1"
        return text

    assert advice_of(counted) == {
        name: f"called by a script: it counts with tools=[{name!r}]"
        for name in ("uniq", "cut", "head")
    }


def test_texts_and_words_that_are_handed_to_script_are_looked_at() -> None:
    def helped(path: File) -> Any:
        command = "samtools view " + quote_shell(path) + " | bgzip"
        return script(command, inputs=path)

    @task(namespace="advice", tools=["sort"])
    def steps(path: File) -> Any:
        words = ["bwa" if path else "minimap2", "mem"]
        return [
            helped(path),
            script(words),
            script(["./own tool", path]),
            script(command="sort {} | wc".format("a"), tools=["wc"]),
        ]

    found = advice_of(steps)
    assert found == {
        # What the task around declares is nothing to the script.
        name: f"called by a script: it counts with script(..., tools=[{name!r}])"
        for name in ("samtools", "bgzip", "sort")
    }


def test_what_runs_in_a_body_counts_with_the_tools_of_its_task() -> None:
    @task(namespace="advice", tools=["sort"])
    def body(path: str) -> bytes:
        return exec_script(f"sort {path} | uniq")

    assert advice_of(body) == {"uniq": "called by a script: it counts with tools=['uniq']"}


def test_tasks_without_scripts_are_told_nothing() -> None:
    @task(namespace="advice")
    def plain(path: str) -> str:
        return f"sort {path}"

    assert advice_of(plain) == {}


def test_a_strict_task_may_call_them(tmp_path: Path) -> None:
    @task(namespace="advice", script=True, strict=True, version=None)
    def strict() -> str:
        return "sort /dev/null"

    assert strict.hash
    assert set(advice_of(strict)) == {"sort"}


@pytest.mark.parametrize("tools", [["uniq"], ["/usr/bin/env", "uniq"], ["uniq --version"]])
def test_tools_are_known_by_their_names(tools: list[str]) -> None:
    @task(namespace="advice", script=True, tools=tools)
    def named() -> str:
        return "/usr/bin/uniq /dev/null"

    assert advice_of(named) == {}
