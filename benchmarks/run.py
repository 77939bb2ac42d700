"""Measures taskgraph beside its peers: each round asks each of them in turn, and medians count.

    make bench                                  everything, after setting up .bench/peers
    python benchmarks/run.py --only ours,floor  without the peers
    python benchmarks/run.py --quick            a smoke test of ours: tiny, no real figures

A measurement is one process on one core. What the processes print is kept in
`results/latest.json`; tables go to the terminal and into README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "workloads"))

import shapes  # noqa: E402
import tables  # noqa: E402

CHECKOUT = HERE.parent
PEERS_FOLDER = CHECKOUT / ".bench" / "peers"
RESULTS = HERE / "results"

# In the order of the tables; the first is the measure of the others.
CONTESTANTS = ("ours", "floor", "redun_peer", "joblib_peer", "diskcache_peer")
OF_OUR_OWN = ("ours", "floor")
GRAPHS = ("fanout", "chain", "tree", "tree_shallow")
# Those that know where files came from, by the module that asks them.
OF_FLOWS = {"ours": "our_provenance", "redun_peer": "redun_provenance"}
FLAT_TASKS = (1_000, 5_000, 20_000, 50_000)


@dataclass(frozen=True)
class Plan:
    """What is to be measured, how large, and how often."""

    contestants: tuple[str, ...]
    workloads: tuple[str, ...]
    rounds: int
    sizes: shapes.Sizes
    flat_tasks: tuple[int, ...]
    evaluations: int
    functions: int
    # How many files databases have that are asked by path; how many a report gathers.
    files: tuple[int, ...]
    report_files: int
    pin: bool


class Bench:
    """Runs the processes of a plan and collects what they print."""

    def __init__(self, plan: Plan, peers_python: Path, scratch: Path) -> None:
        self.plan = plan
        self.peers_python = peers_python
        self.scratch = scratch
        self.measurements: list[dict[str, Any]] = []

    def run(self) -> None:
        for number in range(self.plan.rounds):
            print(f"round {number + 1} of {self.plan.rounds}", file=sys.stderr)
            for workload in GRAPHS:
                if workload in self.plan.workloads:
                    for contestant in self.plan.contestants:
                        self._graph(number, contestant, workload)
            if "hashing" in self.plan.workloads:
                for contestant in self.plan.contestants:
                    self._process(number, contestant, "hashing")
            if "lookup" in self.plan.workloads:
                self._lookup(number)
            if "fingerprint" in self.plan.workloads:
                self._fingerprint(number)
        if "provenance" in self.plan.workloads:
            self._provenance()
            self._flow()
        if "flat" in self.plan.workloads:
            for number in range(min(self.plan.rounds, 2)):
                for tasks in self.plan.flat_tasks:
                    for contestant in self.plan.contestants:
                        if contestant in OF_OUR_OWN:
                            self._flat(number, contestant, tasks)
                if "ours" in self.plan.contestants:
                    self._large_shallow_tree(number)

    def _graph(self, number: int, contestant: str, workload: str) -> None:
        # Fresh, and then the same again in a new process.
        folder = self._folder(contestant)
        self._process(number, contestant, workload, phase="fresh", folder=folder)
        self._process(number, contestant, workload, phase="again", folder=folder)
        shutil.rmtree(folder)

    def _flat(self, number: int, contestant: str, tasks: int) -> None:
        folder = self._folder(contestant)
        at_this_size = replace(self.plan.sizes, tasks=tasks)
        for phase in ("fresh", "again"):
            for each in self._process(
                number, contestant, "fanout", phase=phase, folder=folder, sizes=at_this_size
            ):
                each["workload"] = "flat"
                if each["measure"] == "fresh":
                    files = [path for path in folder.rglob("*") if path.is_file()]
                    each["disk"] = sum(path.stat().st_size for path in files)
        shutil.rmtree(folder)

    def _large_shallow_tree(self, number: int) -> None:
        # One look-up, whatever the size of the tree: 64 times as many calls as in `tree_shallow`.
        folder = self._folder("ours")
        large = replace(self.plan.sizes, depth=self.plan.sizes.depth + 6)
        for phase in ("fresh", "again"):
            for each in self._process(
                number, "ours", "tree_shallow", phase=phase, folder=folder, sizes=large
            ):
                each["workload"] = "tree_shallow_large"
        shutil.rmtree(folder)

    def _lookup(self, number: int) -> None:
        script = HERE / "bench_backend.py"
        if script.exists() and "ours" in self.plan.contestants:
            arguments = ["--json", "--calls", str(self.plan.evaluations)]
            self._collect(number, [sys.executable, str(script), *arguments])

    def _fingerprint(self, number: int) -> None:
        script = str(HERE / "bench_fingerprint.py")
        if "ours" in self.plan.contestants:
            size = ["--functions", str(self.plan.functions)]
            self._collect(number, [sys.executable, script, "--json", *size])

    def _provenance(self) -> None:
        # Once: it takes the medians of many questions itself, and what takes long is to build.
        script = str(HERE / "bench_provenance.py")
        if "ours" in self.plan.contestants:
            sizes = ["--wide", str(self.plan.report_files)]
            for files in self.plan.files:
                sizes += ["--files", str(files)]
            rounds = ["--rounds", str(max(1, self.plan.rounds))]
            self._collect(0, [sys.executable, script, "--json", *sizes, *rounds])

    def _flow(self) -> None:
        # Once as well: with redun the run takes minutes.
        script = str(HERE / "workloads" / "measure_flow.py")
        for contestant, module in OF_FLOWS.items():
            if contestant in self.plan.contestants:
                python = sys.executable if contestant in OF_OUR_OWN else str(self.peers_python)
                folder = self._folder(contestant)
                sizes = ["--folder", str(folder), "--files", str(self.plan.report_files)]
                rounds = ["--rounds", str(self.plan.rounds)]
                self._collect(0, [python, script, module, *sizes, *rounds])
                shutil.rmtree(folder)

    def _process(
        self,
        number: int,
        contestant: str,
        workload: str,
        *,
        phase: str = "fresh",
        folder: Path | None = None,
        sizes: shapes.Sizes | None = None,
    ) -> list[dict[str, Any]]:
        python = Path(sys.executable) if contestant in OF_OUR_OWN else self.peers_python
        command = [
            str(python), str(HERE / "workloads" / "measure.py"), contestant, workload,
            "--phase", phase, "--folder", str(folder or self._folder(contestant)),
        ]  # fmt: skip
        chosen = sizes or self.plan.sizes
        for each in fields(chosen):
            command += [f"--{each.name}", str(getattr(chosen, each.name))]
        return self._collect(number, command, phase=phase, workload=workload)

    def _collect(
        self, number: int, command: Sequence[str], *, phase: str = "", workload: str = ""
    ) -> list[dict[str, Any]]:
        # Contestants see neither each other's settings nor a database of the caller's.
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(_PRIVATE)
        }
        environment["XDG_CACHE_HOME"] = str(self.scratch / "cache")
        environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "backend")])
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.scratch,
            env=environment,
            preexec_fn=_pin_to_one_core if self.plan.pin else None,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\nfailed with exit code {done.returncode}")
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if workload in GRAPHS and found:
            whole = {"tool": found[0]["tool"], "workload": workload, "count": 1}
            found.append({**whole, "measure": f"process {phase}", "seconds": seconds})
        for each in found:
            each["round"] = number
        self.measurements += found
        return found

    def _folder(self, contestant: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{contestant}-", dir=self.scratch))


_PRIVATE = ("TASKGRAPH_", "REDUN_", "JOBLIB_", "PYTHONPATH")


def _pin_to_one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def peers_python() -> Path:
    """Return the Python of the peers' virtual environment, which is made if need be."""
    python = PEERS_FOLDER / "bin" / "python"
    wanted = (HERE / "peers-requirements.txt").read_text()
    stamp = PEERS_FOLDER / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the peers into {PEERS_FOLDER}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS_FOLDER], check=True)
        requirements = str(HERE / "peers-requirements.txt")
        install = [python, "-m", "pip", "install", "--quiet", "-r", requirements]
        subprocess.run([str(part) for part in install], check=True)
        stamp.write_text(wanted)
    return python


def _by_key(measurements: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in measurements:
        count = each["count"] if each["workload"] in {"flat", "provenance"} else 0
        key = f"{each['workload']}/{each['measure']}/{count}/{each['tool']}"
        groups.setdefault(key, []).append(each)
    return groups


def seconds_of_rounds(measurements: Iterable[dict[str, Any]]) -> dict[str, list[float]]:
    """Return what each round took, to see how much the machine was at rest."""
    groups = _by_key(measurements)
    return {key: [each["seconds"] for each in group] for key, group in groups.items()}


def summarize(measurements: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over all rounds, as `workload/measure/count/tool` -> figures."""
    groups = _by_key(measurements)
    return {
        key: {
            name: median(each[name] for each in group)
            for name in ("seconds", "least", "cpu", "memory", "disk", "bytes", "count")
            if all(name in each for each in group)
        }
        for key, group in groups.items()
    }


def versions(python: Path | None) -> dict[str, str]:
    """Return what was measured: versions here, and those of the peers as they are pinned."""
    import sqlite3

    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in ("sqlalchemy", "xxhash", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if python is not None:
        lines = (HERE / "peers-requirements.txt").read_text().splitlines()
        found |= {
            name: version
            for name, _, version in (line.partition("==") for line in lines)
            if name in {"redun", "joblib", "diskcache"}
        }
    return found


def machine() -> str:
    """Describe the machine in a few words."""
    model = platform.processor() or platform.machine()
    with_name = Path("/proc/cpuinfo")
    if with_name.exists():
        for line in with_name.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def _chosen(text: str, known: Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    full = [
        next((each for each in known if each in (name, f"{name}_peer")), name) for name in names
    ]
    unknown = [name for name in full if name not in known]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(full)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    workloads = (*GRAPHS, "hashing", "lookup", "fingerprint", "provenance", "flat")
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny, ours only")
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="contestants, with commas")
    parser.add_argument("--workloads", default=",".join(workloads), help="with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="hash 1 GB instead of 64 MB")
    parser.add_argument("--peers-python", type=Path, help="instead of the one in .bench/peers")
    parser.add_argument("--no-pin", action="store_true", help="let a process use all cores")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where latest.json goes")
    parser.add_argument("--readme", type=Path, help="write the tables into this page as well")
    options = parser.parse_args(arguments)
    options.only = ("ours",) if options.quick else _chosen(options.only, CONTESTANTS)
    options.workloads = _chosen(options.workloads, workloads)
    return options


def _plan(options: argparse.Namespace) -> Plan:
    if options.quick:
        return Plan(
            options.only, options.workloads, 1, shapes.QUICK, (50,), 500, 2, (100,), 20, pin=False
        )
    sizes = shapes.Sizes(megabytes=1024) if options.large else shapes.FULL
    pin = not options.no_pin and hasattr(os, "sched_setaffinity")
    return Plan(
        options.only,
        options.workloads,
        options.rounds,
        sizes,
        FLAT_TASKS,
        evaluations=100_000,
        functions=25,
        files=(10_000, 1_000_000),
        report_files=10_000,
        pin=pin,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    plan = _plan(options)
    python = None
    if not set(plan.contestants) <= set(OF_OUR_OWN):
        python = options.peers_python or peers_python()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(plan, python or Path(sys.executable), Path(scratch))
        bench.run()
    report = {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "versions": versions(python),
        "rounds": plan.rounds,
        "sizes": asdict(plan.sizes),
        "medians": summarize(bench.measurements),
        "rounds_seconds": seconds_of_rounds(bench.measurements),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "latest.json").write_text(json.dumps(report, indent=1) + "\n")
    made = tables.tables(report)
    tables.show(made)
    if options.readme:
        tables.write_into(options.readme, report, made)


if __name__ == "__main__":
    main()
