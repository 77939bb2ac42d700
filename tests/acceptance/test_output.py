"""What jobs print is kept wherever they run, and found again."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.space import Space

_FLOW = """
    import logging
    import os
    import subprocess
    import sys

    from taskgraph import File, script, task

    taskgraph_namespace = "flow"
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


    @task
    def quiet(n: int) -> int:
        return n


    @task
    def loud(n: int) -> int:
        print("out", n)
        print("err", n, file=sys.stderr)
        logging.info("logged %d", n)
        return n


    @task(executor="processes")
    def far(n: int) -> int:
        print("out", n)
        subprocess.run(["sh", "-c", f"echo program {n}; echo complains {n} >&2"])
        os.write(1, b"from C, with no end")
        logging.info("logged %d", n)
        return n


    @task(executor="async")
    async def later(n: int) -> int:
        print("awaited", n)
        return n


    @task(executor="processes", timeout=60)
    def limited(n: int) -> int:
        os.write(2, b"limited\\n")
        return n


    @task
    def nasty() -> int:
        print("\\x1b]0;title\\x07\\x1b[2J red")
        for percent in (10, 50, 100):
            print(f"\\r{percent}%", end="", file=sys.stderr, flush=True)
        return 1


    @task
    def tool() -> str:
        return script("echo to stdout; echo to stderr >&2")


    @task
    def fails(n: int) -> int:
        for number in range(30):
            print("step", number, file=sys.stderr)
        raise ValueError("no")
"""


@pytest.fixture
def flow(space: Space) -> Space:
    """A project with tasks that print."""
    space.write("flow.py", _FLOW)
    return space


def output_of(space: Space, task: str) -> list[tuple[str, str]]:
    """Return the streams and lines of the newest job of a task."""
    job = space.json("log", "--task", task)[0]["id"]
    (found,) = space.json("log", job, "--output")
    return [(each["stream"], each["text"]) for each in found["lines"]]


def test_of_a_thread_all_is_kept_and_shown(flow: Space) -> None:
    done = flow("run", "flow.py", "loud", "--n", "1")

    assert done.out == "out 1\n1\n"
    assert "err 1\n" in done.err
    assert "INFO logged 1\n" in done.err
    assert output_of(flow, "loud") == [
        ("stdout", "out 1"),
        ("stderr", "err 1"),
        ("stderr", "INFO logged 1"),
    ]


def test_of_a_process_programs_and_c_code_are_kept_too(flow: Space) -> None:
    done = flow("run", "flow.py", "far", "--n", "7")

    assert done.out.startswith("out 7\nprogram 7\nfrom C, with no end")
    assert "complains 7\n" in done.err
    assert sorted(output_of(flow, "far")) == sorted(
        [
            ("stdout", "out 7"),
            ("stdout", "program 7"),
            ("stderr", "complains 7"),
            ("stdout", "from C, with no end"),
            ("stderr", "INFO logged 7"),
        ]
    )


def test_coroutines_and_calls_with_a_time_limit_are_kept(flow: Space) -> None:
    flow("run", "flow.py", "later", "--n", "1")
    flow("run", "flow.py", "limited", "--n", "1")

    assert output_of(flow, "later") == [("stdout", "awaited 1")]
    assert output_of(flow, "limited") == [("stderr", "limited")]


def test_of_a_script_its_stderr_is_kept(flow: Space) -> None:
    done = flow("run", "flow.py", "tool")

    assert done.code == 0, done.err
    found = flow.json("log", "-", "--output")
    assert found[0]["lines"][-1]["text"] == "to stderr"


def test_a_cached_job_shows_what_the_call_printed_when_it_ran(flow: Space) -> None:
    flow("run", "flow.py", "loud", "--n", "1")
    flow("run", "flow.py", "loud", "--n", "1")
    cached = flow.json("log", "--task", "loud", "--status", "CACHED")[0]["id"]
    ran = flow.json("log", "--task", "loud", "--status", "DONE")[0]["id"]

    shown = flow("log", cached, "--output")
    (found,) = flow.json("log", cached, "--output")

    assert shown.out.splitlines() == [
        f"Job {cached[:8]} was cached. This was printed by job {ran[:8]}, which ran it:",
        "out 1",
        "err 1",
        "INFO logged 1",
    ]
    assert (found["job"], found["ran"]) == (cached, ran)


def test_a_job_that_printed_nothing_has_none_and_no_file(flow: Space) -> None:
    flow("run", "flow.py", "quiet", "--n", "1")
    job = flow.json("log", "--task", "quiet")[0]["id"]

    done = flow("log", job, "--output")

    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith(f"Error: There is no output of job {job[:8]}: it printed nothing")
    assert not (flow.folder / ".taskgraph" / "taskgraph.db-logs").exists()


def test_no_output_moves_the_cursor_or_names_the_terminal(flow: Space) -> None:
    flow("run", "flow.py", "nasty")
    job = flow.json("log", "--task", "nasty")[0]["id"]

    done = flow("log", job, "--output")

    assert "\x1b" not in done.out
    assert "\x07" not in done.out
    assert done.out.splitlines() == ["\\x1b]0;title\\x07\\x1b[2J red", "100%"]


def test_a_failure_ends_with_the_last_words_of_the_job(flow: Space) -> None:
    done = flow("run", "flow.py", "fails", "--n", "1")

    job = flow.json("log", "--task", "fails")[0]["id"]
    assert done.code == 1
    assert done.err.splitlines()[-11:] == [
        f"The last it wrote to stderr (all: taskgraph log {job[:8]} --output):",
        *(f"  step {number}" for number in range(20, 30)),
    ]


def test_the_last_lines_are_enough_if_asked_for(flow: Space) -> None:
    flow("run", "flow.py", "fails", "--n", "1")
    job = flow.json("log", "--task", "fails")[0]["id"]

    assert flow("log", job, "--output", "-n", "2").out == "step 28\nstep 29\n"


def test_where_it_is_kept_and_whether_it_is_shown_are_settings(flow: Space) -> None:
    flow.write(".taskgraph/config.toml", '[logs]\nfolder = "printed"\necho = false\n')

    done = flow("run", "flow.py", "loud", "--n", "1")

    assert done.out == "1\n"
    assert output_of(flow, "loud")[0] == ("stdout", "out 1")
    (execution,) = (each for each in (flow.folder / "printed").iterdir() if each.is_dir())
    assert len(list(execution.iterdir())) == 1


def test_nothing_is_kept_where_nobody_wants_it(flow: Space) -> None:
    flow("run", "flow.py", "loud", "--n", "1", TASKGRAPH_LOGS__FOLDER="none")

    done = flow("log", "-", "--output", TASKGRAPH_LOGS__FOLDER="none")

    assert done.code == 3
    assert "it is not kept. See [logs] folder" in done.err
    assert not (flow.folder / ".taskgraph" / "taskgraph.db-logs").exists()


def test_output_is_of_one_record(flow: Space) -> None:
    flow("run", "flow.py", "loud", "--n", "1")

    assert flow("log", "--output").code == 2
    value = flow("log", "flow.loud", "--output")
    assert value.code == 3
    assert "only jobs, calls and executions print anything" in value.err


def test_json_of_no_output_is_no_json(flow: Space) -> None:
    flow("run", "flow.py", "quiet", "--n", "1")

    done = flow("log", "-", "--output", "--json")

    assert done.code == 3
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.out)


def test_the_page_of_a_job_says_how_what_it_printed_is_shown(flow: Space) -> None:
    flow("run", "flow.py", "loud", "--n", "1")
    flow("run", "flow.py", "loud", "--n", "1")
    flow("run", "flow.py", "quiet", "--n", "1")
    cached, ran = (each["id"] for each in flow.json("log", "--task", "loud"))
    silent = flow.json("log", "--task", "quiet")[0]["id"]

    assert f"taskgraph log {ran[:8]} --output" in flow("log", ran).out
    assert f"taskgraph log {cached[:8]} --output" in flow("log", cached).out
    assert "--output" not in flow("log", silent).out
