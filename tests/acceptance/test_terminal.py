"""What a run leaves on a terminal and in a pipe: pages that are read by people.

They are written anew with TASKGRAPH_WRITE_PAGES=1, and read before they are committed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.space import ROOT, Space
from tests.terminals import on_a_terminal

PAGES = Path(__file__).parent / "terminal_pages"

_FLOW = """
    import os, sys
    import time

    from taskgraph import task

    taskgraph_namespace = "flow"


    @task(executor="inline")
    def step(n: int) -> int:
        print("step", n)
        return n


    @task(executor="inline")
    def total_of_steps_with_a_long_name(steps: list) -> int:
        return sum(steps)


    @task(executor="inline")
    def bad(n: int) -> int:
        print("looking at", n, file=sys.stderr)
        print("\\tno good: \\x1b]0;title\\x07", file=sys.stderr)
        raise ValueError(f"no {n}")


    @task
    def waits(n: int) -> int:
        print("waiting", flush=True)
        while not os.path.exists("go"): time.sleep(0.02)
        return n


    @task(executor="inline")
    def good() -> int:
        return total_of_steps_with_a_long_name([step(1), step(2), step(2)])


    @task(executor="inline")
    def broken() -> list:
        return [bad(step(1))]


    @task
    def waiting() -> int:
        return total_of_steps_with_a_long_name([waits(1)])
"""


def environment(space: Space) -> dict[str, str]:
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("TASKGRAPH_")}
    path = f"{ROOT}{os.pathsep}{ROOT / 'backend'}"
    cache = str(space.folder / ".cache")
    return {**inherited, "PYTHONPATH": path, "XDG_CACHE_HOME": cache, "PYTHONUTF8": "1"}


def command(task: str) -> list[str]:
    return [sys.executable, "-m", "taskgraph.cli.main", "run", "flow.py", task]


def settled(lines: list[str], space: Space) -> str:
    """Return lines without what is another one each time: ids, times and folders."""
    text = "\n".join(each.rstrip() for each in lines).strip("\n") + "\n"
    text = text.replace(str(space.folder), "FOLDER")
    text = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", "1234abcd", text)
    return re.sub(r"\d+\.\d+ s\b", "0.00 s", text)


def check(name: str, text: str) -> None:
    path = PAGES / name
    if os.environ.get("TASKGRAPH_WRITE_PAGES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["good", "broken"])
@pytest.mark.parametrize("width", [80, 200])
def test_a_run_on_a_terminal(space: Space, task: str, width: int) -> None:
    space.write("flow.py", _FLOW)

    lines = on_a_terminal(command(task), space.folder, environment(space), width)

    assert max(len(each) for each in lines if str(space.folder) not in each) <= width
    check(f"{task}_{width}.txt", settled(lines, space))


@pytest.mark.parametrize("task", ["good", "broken"])
def test_a_run_in_a_pipe(space: Space, task: str) -> None:
    space.write("flow.py", _FLOW)

    done = space("run", "flow.py", task)

    out = "".join(f"stdout: {each}\n" for each in done.out.splitlines())
    check(f"{task}_pipe.txt", settled([*out.splitlines(), *done.err.splitlines()], space))


def test_an_interrupted_run_on_a_terminal(space: Space) -> None:
    space.write("flow.py", _FLOW)
    sent: list[int] = []

    def interrupt(process: subprocess.Popen[bytes], shown: str) -> None:
        if "waiting\r\n" in shown and not sent:
            sent.append(process.pid)
            process.send_signal(signal.SIGINT)
        elif "Stopping" in shown:
            (space.folder / "go").touch()

    lines = on_a_terminal(command("waiting"), space.folder, environment(space), 80, interrupt)

    assert sent
    check("interrupted_80.txt", settled(lines, space))
