"""A program that is tortured: it runs a workflow of some tasks, again and again with other numbers.

    python -m tests.torture.workflow URI FOLDER EXECUTOR SIZE SEED...

For each seed it says "begin SEED" when it begins and "done SEED RESULT" when the caller has the
result. Each body writes a line to FOLDER/ran.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from taskgraph import Scheduler, task
from taskgraph.config import BackendSettings, Settings
from taskgraph.errors import DatabaseError

#: Calls of `leaf` in a group; beside them one of `total`.
LEAVES = 8


def note(text: str) -> None:
    folder = os.environ["TORTURE_FOLDER"]
    ran = os.open(os.path.join(folder, "ran"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ran, f"{text}\n".encode())
    os.close(ran)


@task(namespace="torture", version="1")
def leaf(seed: int, number: int) -> dict[str, object]:
    note(f"leaf {seed} {number}")
    return {"number": number, "text": f"{seed}-{number}" * 20}


@task(namespace="torture", version="1")
def total(seed: int, leaves: list[dict[str, int]]) -> int:
    return seed * 1000 + sum(each["number"] for each in leaves)


@task(namespace="torture", version="1")
def group(seed: int, number: int) -> int:
    first = number * LEAVES
    return total(seed, [leaf(seed, each) for each in range(first, first + LEAVES)])


@task(namespace="torture", version="1")
def main(seed: int, groups: int) -> list[int]:
    return [group(seed, each) for each in range(groups)]


def expected(seed: int, groups: int) -> list[int]:
    """What `main` gives, by plain Python."""
    return [seed * 1000 + sum(range(each * LEAVES, (each + 1) * LEAVES)) for each in range(groups)]


def calls(groups: int) -> int:
    """How many calls a run of `main` makes, its own included."""
    return 1 + groups * (LEAVES + 2)


def opened(settings: Settings, executor: str) -> Scheduler:
    """Open a database; a server that is away for longer than anybody waits is asked again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return Scheduler(settings, executor=executor)
        except DatabaseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def run() -> None:
    uri, folder, executor, size, *seeds = sys.argv[1:]
    os.environ["TORTURE_FOLDER"] = folder
    settings = Settings(config_dir=Path(folder), backend=BackendSettings(db_uri=uri))
    for seed in seeds:
        print("begin", seed, flush=True)
        with opened(settings, executor) as scheduler:
            print("done", seed, scheduler.run(main(int(seed), int(size))), flush=True)


if __name__ == "__main__":
    # Under its own name: worker processes import what they run.
    from tests.torture import workflow

    workflow.run()
