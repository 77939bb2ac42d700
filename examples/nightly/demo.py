"""Four nights of a small archive of weather, as a user has them, each of them checked.

    python examples/nightly/demo.py [--work FOLDER]

Each step is a command of its own. What must run is said here beforehand, and compared with what the
database has; exit code 1 if they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# The installed command, or the same from a checkout that is only on the path.
_INSTALLED = Path(sys.executable).with_name("taskgraph")
TASKGRAPH = (
    [str(_INSTALLED)] if _INSTALLED.exists() else [sys.executable, "-m", "taskgraph.cli.main"]
)
STATIONS = ("alps", "coast", "heath")
VARIABLES = {"rain": 3.0, "wind": 12.0}
WORKFLOW = "nightly.means"
PATIENCE = 120.0  # seconds that a worker may take at most


class DiffersError(Exception):
    """Something is not as it was said to be."""


class Archive:
    """A folder with files of measurements, and a database of its own."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._env = {**os.environ, "TASKGRAPH_CONFIG": str(work / ".taskgraph")}

    def command(self, *words: str) -> str:
        """Run ``taskgraph`` with some words; returns what it wrote."""
        print("$ taskgraph", " ".join(repr(each) if " " in each else each for each in words))
        done = subprocess.run(
            [*TASKGRAPH, *words],
            check=False,
            cwd=self.work,
            env=self._env,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise DiffersError(f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def show(self, *words: str) -> None:
        """Run a command, and show what it wrote."""
        print("".join(f"    {line}\n" for line in self.command(*words).splitlines()))

    def ask(self, *words: str) -> Any:
        """Run a command that writes JSON. Any: that."""
        return json.loads(self.command(*words, "--json"))

    @contextmanager
    def worker(self, queue: str) -> Iterator[subprocess.Popen[bytes]]:
        """Have a worker in a process of its own, which is asked to stop at the end."""
        words = ["worker", "start", "--pool", "machines", "--queues", queue, "--poll", "0.2"]
        print("$ taskgraph", *words, "&")
        with (self.work / "worker.log").open("wb") as log:
            started = subprocess.Popen(
                [*TASKGRAPH, *words], cwd=self.work, env=self._env, stdout=log, stderr=log
            )
        try:
            yield started
            started.send_signal(signal.SIGTERM)
            started.wait(PATIENCE)
        finally:
            started.kill()
            started.wait()

    def wait_for(self, execution: str) -> Any:
        """Wait until an execution has ended. Any: it, as JSON."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            words = [*TASKGRAPH, "execution", "show", execution, "--json"]
            shown = subprocess.run(words, check=True, cwd=self.work, env=self._env, stdout=-1)
            found = json.loads(shown.stdout)
            if found["status"] not in {"PENDING", "RUNNING"}:
                return found
            time.sleep(0.2)
        raise DiffersError(f"nobody ended execution {execution} in {PATIENCE:.0f} s")

    def measure(self, station: str, variable: str, shift: float = 0.0) -> None:
        """Write a file of measurements, and register it under its name."""
        first = VARIABLES[variable] + len(station) + shift
        rows = [f"{station},{variable},{first + hour / 4}" for hour in range(24)]
        path = self.work / "data" / f"{station}-{variable}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("station,variable,value\n" + "\n".join(rows) + "\n")
        facets = ("--facet", f"station={station}", "--facet", f"variable={variable}")
        name = f"{station}-{variable}"
        self.command("dataset", "register", name, f"data/{name}.csv", "--type", "weather", *facets)

    def planned(self) -> dict[str, str]:
        """Return why each group is to run, or is not."""
        decisions = self.ask("group", "plan", WORKFLOW)["decisions"]
        return {each["group"]["selectors"]["station"]: each["reason"] for each in decisions}

    def run(self) -> list[str]:
        """Run what is to run; returns which stations that were."""
        made = self.ask("group", "run", WORKFLOW)["executions"]
        _check("all executions end well", {each["status"] for each in made} <= {"DONE"}, True)
        return [each["name"].rpartition("=")[2] for each in made]


def _check(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise DiffersError(f"{what}: expected {expected!r}, and found {found!r}")
    print(f"    checked: {what}")


def _refuse(archive: Archive, words: tuple[str, ...], why: str) -> None:
    try:
        archive.command(*words)
    except DiffersError as error:
        _check(f"it is refused: {why}", why in str(error), True)
    else:
        raise DiffersError(f"{' '.join(words)} was to be refused: {why}")


def demo(archive: Archive) -> None:
    """Live through four nights."""
    report = first_night(archive)
    second_night(archive, report)
    bad = third_night(archive, report)
    fourth_night(archive)
    what_there_is(archive, bad)


def first_night(archive: Archive) -> list[str]:
    """Run what was never run; return the command that makes the report."""
    print("\n1. The first night: files are registered, and each station is a group.\n")
    for station in STATIONS:
        for variable in VARIABLES:
            archive.measure(station, variable)
    steps = ("read", "average digits=2", "write")
    said = ("--group-by", "station", "--study", "nightly")
    archive.command("workflow", "create", WORKFLOW, "nightly.py", *steps, *said)
    _check("no group has run", archive.planned(), dict.fromkeys(STATIONS, "never_run"))
    _check("each group runs", archive.run(), list(STATIONS))
    tables = [word for each in STATIONS for word in ("--tables", f"means/{each}.csv")]
    report = ["run", "-q", "--study", "nightly", "nightly.py", "report", *tables]
    archive.command(*report)
    return report


def second_night(archive: Archive, report: list[str]) -> None:
    """Change one file."""
    first = (archive.work / "report.csv").read_text()
    print("\n2. The second night: one file has changed.\n")
    archive.measure("coast", "rain", shift=1.0)
    expected = {"alps": "up_to_date", "coast": "inputs_changed", "heath": "up_to_date"}
    _check("one group has other inputs", archive.planned(), expected)
    _check("only that one runs", archive.run(), ["coast"])
    archive.command(*report)
    second = (archive.work / "report.csv").read_text()
    differing = [line for line in second.splitlines() if line not in first.splitlines()]
    _check("one line of the report differs", len(differing), 1)


def third_night(archive: Archive, report: list[str]) -> str:
    """Retract a file; return the execution that had made it."""
    second = (archive.work / "report.csv").read_text()
    print("\n3. The third night: a gauge was broken, and what came of it is not to be used.\n")
    bad = archive.ask("group", "list", "--facet", "station=alps")["groups"][0]["newest"]["id"]
    why = ("--reason", "the gauge was broken")
    archive.command("retract", "means/alps.csv", *why)
    retracted = {
        each["id"]
        for each in archive.ask("execution", "list", "--study", "nightly", "--include-retracted")[
            "executions"
        ]
        if each["retracted"]
    }
    _check("its execution is retracted, and both reports", len(retracted), 3)
    _check("the execution that made it is among them", bad in retracted, True)
    _check("its group is to run again", archive.planned()["alps"], "dirty")
    archive.measure("alps", "rain", shift=-2.0)
    _check("only that one runs", archive.run(), ["alps"])
    archive.command(*report)
    third = (archive.work / "report.csv").read_text()
    _check("the report is another one", third == second, False)
    return str(bad)


def fourth_night(archive: Archive) -> None:
    """Submit a workflow, and have a worker run it."""
    print("\n4. The fourth night: what is submitted here is run by a worker, in another process.\n")
    archive.command("dataset", "register", "shared", "means/coast.csv", "--type", "table")
    archive.command("workflow", "new-version", WORKFLOW)
    archive.command("workflow", "update-step", f"{WORKFLOW}@2:2", "folder=shared")
    inputs = [word for each in VARIABLES for word in ("--input", f"coast-{each}")]
    apply = (
        "workflow",
        "apply",
        f"{WORKFLOW}@2",
        *inputs,
        "--output",
        "shared",
        "--queue",
        "night",
    )
    submitted = archive.ask(*apply)
    _check("it waits for a worker", submitted["status"], "PENDING")
    _refuse(archive, apply, "one at a time writes a dataset")
    archive.command("workflow", "update-step", f"{WORKFLOW}@2:2", "folder=elsewhere")
    with archive.worker("night") as worker:
        made = archive.wait_for(submitted["id"])
        archive.show("worker", "list")
    _check("the worker has run it", made["status"], "DONE")
    _check("it stops when it is asked to", worker.returncode, 0)
    shared = archive.ask("dataset", "show", "shared")
    _check("the dataset is what it made", shared["files"], ["shared/coast.csv"])
    _check("of the steps as they were", (archive.work / "elsewhere").exists(), False)


def what_there_is(archive: Archive, bad: str) -> None:
    """Look at the records, and delete an execution."""
    print("\n5. What there is, and what goes.\n")
    archive.show("execution", "list", "--study", "nightly")
    archive.show("group", "stats")
    count = archive.ask("execution", "list", "--count", "--include-retracted")["count"]
    archive.command("execution", "delete", bad, "--yes")
    left = archive.ask("execution", "list", "--count", "--include-retracted")["count"]
    _check("one execution has gone", left, count - 1)
    current = dict.fromkeys(STATIONS, "up_to_date")
    _check("all groups are as they should be", archive.planned(), current)
    archive.show("db", "check")


def main() -> int:
    """Run the demo in a folder that is made anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=HERE / "work")
    work = parser.parse_args().work.absolute()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shutil.copyfile(HERE / "nightly.py", work / "nightly.py")
    try:
        demo(Archive(work))
    except DiffersError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print("All of it is as it was said to be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
