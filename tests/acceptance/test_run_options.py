"""Options, tags and the context of a run are said on the command line."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def genome(space: Any) -> Any:
    space.write(
        "genome.py",
        """
        from taskgraph import get_context, task

        taskgraph_namespace = "genome"


        @task
        def align(sample: str, build: str = get_context("genome.build", "hg19")) -> str:
            print("align", sample, build)
            return f"{sample} on {build}"


        @task
        def main() -> list:
            return [align("a"), align("b")]
        """,
    )
    return space


def test_the_context_of_a_run(genome: Any) -> None:
    genome.write("more.toml", '[genome]\nbuild = "mm10"\n')

    runs = [
        genome("run", "-q", "genome.py", "main"),
        genome("run", "-q", "--context", "genome.build=hg38", "genome.py", "main"),
        genome("run", "-q", "--context-file", "more.toml", "genome.py", "main"),
    ]

    builds = ["hg19", "hg38", "mm10"]
    assert [each.out.splitlines()[-1] for each in runs] == [
        f"['a on {build}', 'b on {build}']" for build in builds
    ]
    planned = genome("plan", "--context", "genome.build=hg38", "genome.py", "main")
    assert planned.out.startswith("Nothing would run")
    other = genome("plan", "--context", "genome.build=t2t", "genome.py", "main")
    assert other.out.startswith("2 calls would run")


def test_a_context_file_that_is_not_there_is_named(genome: Any) -> None:
    done = genome("run", "--context-file", "gone.toml", "genome.py", "main")

    assert done.code == 2
    assert "gone.toml" in done.err and "no such file" in done.err
    assert "Traceback" not in done.err


def test_options_and_tags_of_a_run(genome: Any) -> None:
    done = genome(
        *("run", "--option", "executor=inline", "--option", "retries=2"),
        *("--tag", "project=demo", "--tag", 'n={"a": [1]}', "genome.py", "main"),
    )

    assert done.code == 0, done.err
    (execution,) = genome.json("log")
    from taskgraph_backend import SqlBackend

    with SqlBackend(f"sqlite:///{genome.folder / '.taskgraph/taskgraph.db'}") as backend:
        tags = backend.get_tags([execution["id"]])[execution["id"]]
    assert {key: tags[key] for key in tags if not key.startswith("taskgraph.")} == {
        "project": ["demo"],
        "n": [{"a": [1]}],
    }


def test_a_run_that_leaves_no_records(genome: Any) -> None:
    for _ in range(2):
        done = genome("run", "-q", "--no-prov", "--executor", "inline", "genome.py", "main")
        assert sorted(done.out.splitlines()) == [
            "['a on hg19', 'b on hg19']",
            "align a hg19",
            "align b hg19",
        ]

    assert genome("log").out.startswith("Nothing was run yet")
    assert genome("plan", "genome.py", "main").out.startswith("1 call would run")


def test_an_executor_that_the_script_registers_can_be_chosen(space: Any) -> None:
    space.write(
        "flow.py",
        """
        import threading
        from taskgraph import register_executor, task
        from taskgraph.executors.threads import ThreadExecutor

        register_executor("mine", ThreadExecutor)

        @task(namespace="flow")
        def where() -> str:
            return threading.current_thread().name
        """,
    )

    done = space("run", "-q", "--executor", "mine", "flow.py", "where")

    assert done.out == "taskgraph-mine-1\n", done.err
