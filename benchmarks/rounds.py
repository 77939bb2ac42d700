"""Runs the processes of a plan in turn and collects what they print.

Everyone has his turn within each round, so that whatever the machine does meanwhile is done to all.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from shapes import Sizes

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent

# In the order of the tables; the first is the measure of the others.
CONTESTANTS = (
    "ours", "floor", "redun_peer", "mandala_peer", "hamilton_peer", "joblib_peer", "dask_peer",
    "diskcache_peer",
)  # fmt: skip
OF_OUR_OWN = ("ours", "floor")
# They take milliseconds a task: fewer of them say the same.
SLOW = ("redun_peer", "mandala_peer", "hamilton_peer")
# All in one process; the last one in another, for its calls are those of the tree.
GRAPHS = ("fanout", "chain", "tree", "grid")
SHALLOW = "tree_shallow"
# One look-up, whatever the size of the tree: the same over 131,071 calls.
SHALLOW_LARGE = "tree_shallow_large"
# Those that know where files came from, by the module that asks them.
OF_FLOWS = {"ours": "our_provenance", "redun_peer": "redun_provenance"}
OF_SHALLOW = ("ours", "redun_peer")
# What a second run of the same is called, and who runs it.
OF_CENSUS = ("ours", "redun_peer", "joblib_peer")
WORKLOADS = (
    "start", *GRAPHS, SHALLOW, "whole", "durable", "hashing", "lookup", "fingerprint", "files",
    "row", "census", "far", "provenance", SHALLOW_LARGE, "flat",
)  # fmt: skip
# Nobody sees settings of the caller's shell. Compiled modules are kept, as of installed packages.
_PRIVATE = ("TASKGRAPH_", "REDUN_", "JOBLIB_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Plan:
    """What is to be measured, how large, and how often.

    Attributes:
        slow_sizes: For those that take milliseconds a task.
        flat: How many tasks the workflows of growth have, by shape.
        evaluations: In the archive that is looked up in.
        functions: Of each module, of what is fingerprinted.
        files: How many files databases have that are asked by path.
        report_files: How many files a report gathers.
        far_tasks: How many cached tasks run on a server that is 1 ms away.
        packages: Of Python's library, for the census.
        with_postgres: Whether there is a server.
    """

    contestants: tuple[str, ...]
    workloads: tuple[str, ...]
    rounds: int
    sizes: Sizes
    slow_sizes: Sizes
    flat: dict[str, tuple[int, ...]]
    evaluations: int
    functions: int
    files: tuple[int, ...]
    report_files: int
    far_tasks: int
    packages: tuple[str, ...]
    pin: bool
    with_postgres: bool


class Bench:
    """Runs a plan.

    Attributes:
        measurements: What was measured, in order.
    """

    def __init__(self, plan: Plan, peers_python: Path, scratch: Path) -> None:
        self.plan = plan
        self.measurements: list[dict[str, Any]] = []
        self._peers_python = peers_python
        self._scratch = scratch

    def run(self, keep: Callable[[], None]) -> None:
        """Measure all; ``keep`` is called now and then, for a run that is ended early."""
        # These take the medians of many repeats themselves, or minutes each.
        once = {
            "lookup": self._lookup,
            "fingerprint": self._fingerprint,
            "whole": self._whole,
            SHALLOW_LARGE: self._shallow_large,
            "flat": self._flat,
            "provenance": self._provenance,
        }
        for number in range(self.plan.rounds):
            graphs = [each for each in GRAPHS if each in self.plan.workloads]
            if graphs:
                self._say(f"round {number + 1} of {self.plan.rounds}: {', '.join(graphs)}")
                for contestant in self.plan.contestants:
                    self._graph(number, contestant, ",".join(graphs))
            for workload in self.plan.workloads:
                if workload not in once and workload not in GRAPHS:
                    self._say(f"round {number + 1} of {self.plan.rounds}: {workload}")
                    self._round(number, workload)
            keep()
        for workload, measure in once.items():
            if workload in self.plan.workloads:
                self._say(workload)
                measure()
                keep()

    def _say(self, text: str) -> None:
        print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)

    def _round(self, number: int, workload: str) -> None:
        match workload:
            case "start":
                self._start(number)
            case "durable":
                self._durable(number)
            case "census":
                self._census(number)
            case "far":
                self._far(number)
            case "hashing" | "files" | "row":
                for contestant in self.plan.contestants:
                    if workload != "row" or contestant in OF_OUR_OWN:
                        self._process(number, contestant, workload)
            case _:
                for contestant in self.plan.contestants:
                    if contestant in OF_SHALLOW:
                        self._graph(number, contestant, workload)

    # What is measured in one process each

    def _graph(
        self, number: int, contestant: str, workload: str, name: str = "", **how: Any
    ) -> None:
        # Fresh, and then the same again in a new process.
        folder = self._folder(contestant)
        for phase in ("fresh", "again"):
            for each in self._process(
                number, contestant, workload, phase=phase, folder=folder, **how
            ):
                each["workload"] = name or each["workload"]
                if each["measure"] == "fresh":
                    files = [path for path in folder.rglob("*") if path.is_file()]
                    each["disk"] = sum(path.stat().st_size for path in files)
        shutil.rmtree(folder)

    def _whole(self) -> None:
        # The slow ones too with as many tasks as the others, for a process as a whole.
        for number in range(min(self.plan.rounds, 2)):
            for contestant in ("ours", "redun_peer"):
                if contestant in self.plan.contestants:
                    how = {"name": "whole", "sizes": self.plan.sizes, "more": ["--once"]}
                    self._graph(number, contestant, "fanout", **how)

    def _durable(self, number: int) -> None:
        for workload in ("fanout", "chain"):
            for synchronous in ("normal", "full"):
                for contestant in OF_OUR_OWN:
                    if contestant in self.plan.contestants:
                        how = {"name": f"{workload} {synchronous}"}
                        more = ["--synchronous", synchronous]
                        self._graph(number, contestant, workload, more=more, **how)

    def _flat(self) -> None:
        for number in range(min(self.plan.rounds, 2)):
            for shape, counts in self.plan.flat.items():
                for count in counts:
                    if count > 100_000 and number:
                        continue  # minutes each
                    self._say(f"growth: {shape} of {count}")
                    for contestant in OF_OUR_OWN:
                        if contestant in self.plan.contestants:
                            sizes = _grown(self.plan.sizes, shape, count)
                            name = f"flat {shape}"
                            self._graph(number, contestant, shape, sizes=sizes, name=name)

    def _shallow_large(self) -> None:
        if "ours" in self.plan.contestants:
            large = replace(self.plan.sizes, depth=self.plan.sizes.depth + 6)
            for number in range(min(self.plan.rounds, 2)):
                self._graph(number, "ours", SHALLOW, sizes=large, name=SHALLOW_LARGE)

    def _process(
        self,
        number: int,
        contestant: str,
        workload: str,
        *,
        phase: str = "fresh",
        folder: Path | None = None,
        sizes: Sizes | None = None,
        more: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        script = str(HERE / "workloads" / "measure.py")
        command = [
            self._python(contestant), script, contestant, workload, "--phase", phase,
            "--folder", str(folder or self._folder(contestant)), *more,
        ]  # fmt: skip
        usual = self.plan.slow_sizes if contestant in SLOW else self.plan.sizes
        chosen = sizes or usual
        for each in fields(chosen):
            command += [f"--{each.name}", str(getattr(chosen, each.name))]
        started, used = time.perf_counter(), _cpu_of_children()
        found = self._collect(number, command)
        seconds, cpu = time.perf_counter() - started, _cpu_of_children() - used
        if workload in (*GRAPHS, SHALLOW) and found:
            whole = {"tool": found[0]["tool"], "workload": workload, "count": 1}
            figures = {"seconds": seconds, "cpu": cpu, "round": number}
            measure = {"measure": f"process {phase}", **figures}
            found.append({**whole, **measure})
            self.measurements.append(found[-1])
        return found

    # What scripts of their own measure

    def _start(self, number: int) -> None:
        script = str(HERE / "workloads" / "measure_start.py")
        for contestant in ("ours", "redun_peer"):
            if contestant in self.plan.contestants:
                name = contestant.removesuffix("_peer")
                folder = self._scratch / f"start-{name}"
                folder.mkdir(exist_ok=True)
                command = [self._python(contestant), script, name, "--folder", str(folder)]
                self._collect(number, command)

    def _lookup(self) -> None:
        script = str(HERE / "bench_backend.py")
        if "ours" in self.plan.contestants:
            arguments = ["--json", "--calls", str(self.plan.evaluations)]
            if self.plan.with_postgres:
                arguments.append("--postgres")
            self._collect(0, [sys.executable, script, *arguments])

    def _fingerprint(self) -> None:
        script = str(HERE / "bench_fingerprint.py")
        if "ours" in self.plan.contestants:
            repeats = str(min(self.plan.rounds, 5))
            size = ["--functions", str(self.plan.functions), "--repeats", repeats]
            self._collect(0, [sys.executable, script, "--json", *size])

    def _census(self, number: int) -> None:
        script = str(HERE / "workloads" / "measure_census.py")
        for contestant in OF_CENSUS:
            if contestant in self.plan.contestants:
                folder = self._folder(contestant)
                for step in ("fresh", "again", "edited"):
                    command = [
                        self._python(contestant), script, contestant.removesuffix("_peer"),
                        "--step", step, "--folder", str(folder),
                        "--packages", ",".join(self.plan.packages),
                    ]  # fmt: skip
                    self._collect(number, command)
                shutil.rmtree(folder)

    def _far(self, number: int) -> None:
        if "ours" in self.plan.contestants and self.plan.with_postgres:
            script = str(HERE / "workloads" / "measure_far.py")
            folder = self._folder("far")
            tasks = ["--folder", str(folder), "--tasks", str(self.plan.far_tasks)]
            self._collect(number, [sys.executable, script, *tasks])
            shutil.rmtree(folder, ignore_errors=True)

    def _provenance(self) -> None:
        # Once: they take the medians of many questions themselves, and what takes long is to build.
        if "ours" in self.plan.contestants:
            script = str(HERE / "bench_provenance.py")
            sizes = ["--wide", str(self.plan.report_files), "--rounds", str(self.plan.rounds)]
            for files in self.plan.files:
                sizes += ["--files", str(files)]
            self._collect(0, [sys.executable, script, "--json", *sizes])
        script = str(HERE / "workloads" / "measure_flow.py")
        for contestant, module in OF_FLOWS.items():
            if contestant in self.plan.contestants:
                folder = self._folder(contestant)
                sizes = ["--folder", str(folder), "--files", str(self.plan.report_files)]
                rounds = ["--rounds", str(self.plan.rounds)]
                self._collect(0, [self._python(contestant), script, module, *sizes, *rounds])
                shutil.rmtree(folder)

    # Processes

    def _collect(self, number: int, command: Sequence[str]) -> list[dict[str, Any]]:
        # Contestants see neither each other's settings nor a database of the caller's.
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(_PRIVATE)
        }
        environment["XDG_CACHE_HOME"] = str(self._scratch / "cache")
        environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "backend")])
        done = subprocess.run(
            command,
            cwd=self._scratch,
            env=environment,
            preexec_fn=pin_to_one_core if self.plan.pin else None,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\nfailed with exit code {done.returncode}")
        found = list(_lines(done.stdout, number))
        self.measurements += found
        return found

    def _python(self, contestant: str) -> str:
        return sys.executable if contestant in OF_OUR_OWN else str(self._peers_python)

    def _folder(self, contestant: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{contestant}-", dir=self._scratch))


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _lines(text: str, number: int) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield {**json.loads(line), "round": number}


def _grown(sizes: Sizes, shape: str, count: int) -> Sizes:
    match shape:
        case "fanout":
            return replace(sizes, tasks=count)
        case "chain":
            return replace(sizes, chain=count)
        case "tree":
            return replace(sizes, depth=(count + 1).bit_length() - 2)
        case _:
            return replace(sizes, side=round(count**0.5))


def pin_to_one_core() -> None:
    """Keep this process on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
