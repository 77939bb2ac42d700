"""Takes the census of `examples/census` with one tool: a real pipeline, from files to reports.

    python benchmarks/workloads/measure_census.py redun --step fresh --folder /tmp/here

The workflow is the example's, as it is. It imports `task`, `File` and `Dir` from a module
`taskgraph`: for the others that is a stand-in with theirs. joblib has no files: a stand-in counts
by path, size and time of change. Each step is a process of its own; "edited" changes a comment in
one file. Prints a JSON line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

CENSUS = Path(__file__).resolve().parents[2] / "examples" / "census"
Run = Callable[[str, str], Any]


def ours(folder: Path) -> Callable[[Any], Run]:
    """Use the example as it is."""
    from taskgraph import Dir, Scheduler

    def start(census: Any) -> Run:
        scheduler = Scheduler(backend=f"sqlite:///{folder / 'taskgraph.db'}")
        return lambda source, out: scheduler.run(census.main(Dir(source), out))

    return start


def redun(folder: Path) -> Callable[[Any], Run]:
    """Give the example redun's words."""
    import logging

    import redun as tool
    from redun.config import Config

    logging.getLogger("redun").setLevel(logging.ERROR)

    def task(func: Any = None, **options: Any) -> Any:
        return tool.task(**options) if func is None else tool.task()(func)

    _stand_in(task=task, File=tool.File, Dir=tool.Dir)

    def start(census: Any) -> Run:
        uri = f"sqlite:///{folder / 'redun.db'}"
        scheduler = tool.Scheduler(config=Config({"backend": {"db_uri": uri}}))
        scheduler.load()
        return lambda source, out: scheduler.run(census.main(tool.Dir(source), out))

    return start


class PlainFile:
    """A file for tools that have none: it counts by its path, size and time of change."""

    def __init__(self, path: str) -> None:
        self.path = path
        found = Path(path)
        stat = found.stat() if found.exists() else None
        self.stamp = None if stat is None else (stat.st_size, stat.st_mtime_ns)

    def open(self, mode: str = "r") -> Any:
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        return open(self.path, mode)

    def write(self, text: str) -> None:
        with self.open("w") as stream:
            stream.write(text)


class PlainDir:
    """A folder for tools that have none: it counts by its files."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = [PlainFile(str(each)) for each in Path(path).rglob("*") if each.is_file()]

    def __iter__(self) -> Iterator[PlainFile]:
        return iter(self.files)

    def rel_path(self, path: str) -> str:
        return str(Path(path).relative_to(self.path))


def joblib(folder: Path) -> Callable[[Any], Run]:
    """Give the example joblib's cache: each call is eager, and kept by itself."""
    from joblib import Memory

    memory = Memory(folder / "joblib", verbose=0)

    def task(func: Any = None, **_options: Any) -> Any:
        return memory.cache if func is None else memory.cache(func)

    _stand_in(task=task, File=PlainFile, Dir=PlainDir)
    return lambda census: lambda source, out: census.main(PlainDir(source), out)


def _stand_in(**names: Any) -> None:
    module = ModuleType("taskgraph")
    module.__dict__.update(names)
    sys.modules["taskgraph"] = module


def copy_library(folder: Path, packages: list[str]) -> None:
    """Copy some packages of Python's library."""
    standard = Path(sysconfig.get_path("stdlib"))
    for path in standard.rglob("*.py"):
        inside = path.relative_to(standard)
        if inside.parts[0] in packages and "__pycache__" not in inside.parts:
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def edit(path: Path) -> None:
    """Change a comment in one file."""
    with path.open("a") as stream:
        stream.write("# A comment.\n")


def main() -> None:
    """Do one step and print what it took, without imports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=["ours", "redun", "joblib"])
    parser.add_argument("--step", choices=["fresh", "again", "edited"], required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--packages", required=True, help="of Python's library, with commas")
    options = parser.parse_args()
    library, reports = options.folder / "library", options.folder / "reports"
    if options.step == "fresh":
        copy_library(library, options.packages.split(","))
        # Until then nobody can know that files have not changed since they were read.
        time.sleep(0.2)
    if options.step == "edited":
        edit(library / "json" / "decoder.py")
    start = {"ours": ours, "redun": redun, "joblib": joblib}[options.tool](options.folder)
    sys.path.insert(0, str(CENSUS))
    import census  # type: ignore[import-not-found]  # the example's

    run = start(census)
    wall, cpu = time.perf_counter(), time.process_time()
    found = run(str(library), str(reports))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    files = sum(1 for _ in library.rglob("*.py"))
    if found["totals"]["files"] != files:
        raise SystemExit(f"wrong result: {found['totals']} of {files} files")
    tool = "taskgraph" if options.tool == "ours" else options.tool
    line = {"tool": tool, "workload": "census", "measure": options.step, "count": files}
    print(json.dumps({**line, "seconds": wall, "cpu": cpu}))


if __name__ == "__main__":
    main()
