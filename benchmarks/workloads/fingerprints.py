"""Runs projects of the corpus of edits with one tool: JSON requests on stdin, answers on stdout.

Each request is carried out by a child of its own, forked after the tool was imported: as in a new
process nothing of an earlier run is left, and nobody waits for imports.

The projects import ``task`` and ``run`` from a module ``taskgraph``. For other tools that is a
stand-in with their decorator; nothing else of a project is changed. Which bodies ran is seen by
Python's own profiler, for all tools alike.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import runpy
import shutil
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.append(str(CHECKOUT))

from tests.fingerprint_corpus.loading import Kernel  # noqa: E402

Request = dict[str, Any]


class Bodies:
    """Sees which task functions are entered, on any thread."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        # By identity: two functions of the same text have equal code objects.
        self._names: dict[int, str] = {}
        self._kept: list[CodeType] = []

    def add(self, func: Callable[..., Any]) -> None:
        code = func.__code__
        self._kept.append(code)
        self._names[id(code)] = func.__name__

    def watch(self) -> None:
        threading.setprofile(self._see)
        sys.setprofile(self._see)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            name = self._names.get(id(frame.f_code))
            if name is not None:
                self.ran.add(name)


class Ours:
    """taskgraph, as it is."""

    def __init__(self) -> None:
        import taskgraph.cli.scripts  # noqa: F401
        from taskgraph.app import Scheduler

        # Run once, so that all is imported that a run needs; nothing of it is left.
        with Scheduler(backend="sqlite:///:memory:") as scheduler:
            scheduler.run([1])

    def prepare(self, store: Path, bodies: Bodies) -> None:
        from taskgraph.tasks.registry import TaskRegistry

        os.environ["TASKGRAPH_BACKEND__DB_URI"] = f"sqlite:///{store / 'taskgraph.db'}"
        added = TaskRegistry.add

        def add(registry: TaskRegistry, task: Any) -> None:
            bodies.add(task.func)
            added(registry, task)

        TaskRegistry.add = add  # type: ignore[method-assign]

    def load(self, folder: Path) -> ModuleType:
        from taskgraph.cli.scripts import load_script

        return load_script(str(folder / "flow.py"))

    def run(self, task: Any) -> Any:
        import taskgraph

        return taskgraph.run(task())

    def lists(self, task: Any) -> list[str]:
        unfollowed = [part for part in task.fingerprint.parts if part.kind == "unfollowed"]
        return [f"{part.name}: {part.source}" for part in unfollowed]


class Peer:
    """Another tool, under the name that the projects import."""

    def __init__(self) -> None:
        self.stand_in = ModuleType("taskgraph")
        sys.modules["taskgraph"] = self.stand_in

    def load(self, folder: Path) -> ModuleType:
        sys.path.insert(0, str(folder))
        return importlib.import_module("flow")

    def lists(self, task: Any) -> list[str]:
        return []


class Redun(Peer):
    """redun with its defaults on an SQLite file."""

    def __init__(self) -> None:
        super().__init__()
        import logging

        import redun.scheduler  # noqa: F401

        logging.getLogger("redun").setLevel(logging.ERROR)

    def prepare(self, store: Path, bodies: Bodies) -> None:
        import redun
        from redun.config import Config

        uri = f"sqlite:///{store / 'redun.db'}"
        self.scheduler = redun.Scheduler(config=Config({"backend": {"db_uri": uri}}))
        self.scheduler.load()

        def task(func: Any = None, **options: Any) -> Any:
            def decorate(func: Any) -> Any:
                bodies.add(func)
                return redun.task(**options)(func)

            return decorate if func is None else decorate(func)

        self.stand_in.__dict__.update(task=task, run=self.scheduler.run)

    def run(self, task: Any) -> Any:
        return self.scheduler.run(task())


class Joblib(Peer):
    """joblib.Memory with its defaults: each task is a cached function, called eagerly."""

    def __init__(self) -> None:
        super().__init__()
        import joblib  # noqa: F401

    def prepare(self, store: Path, bodies: Bodies) -> None:
        import joblib

        memory = joblib.Memory(store / "joblib", verbose=0)

        def task(func: Any = None, **options: Any) -> Any:
            def decorate(func: Any) -> Any:
                bodies.add(func)
                return memory.cache(func, **options)

            return decorate if func is None else decorate(func)

        self.stand_in.__dict__.update(task=task, run=lambda result: result)

    def run(self, task: Any) -> Any:
        return task()


TOOLS = {"taskgraph": Ours, "redun": Redun, "joblib": Joblib}
Tool = Ours | Redun | Joblib


def answer(tool: Tool, request: Request) -> dict[str, Any]:
    """Run a project's main and say what it gave, what ran, and what was listed as unfollowed."""
    folder, store = Path(request["folder"]), Path(request["store"])
    store.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    bodies = Bodies()
    tool.prepare(store, bodies)
    printed = io.StringIO()
    listed: list[str] = []
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        if request["how"] == "script":
            bodies.watch()
            runpy.run_path(str(folder / "flow.py"), run_name="__main__")
            result = printed.getvalue()
        else:
            main = _load(tool, folder, request)
            bodies.watch()
            result = repr(tool.run(main))
            sys.setprofile(None)
            listed = tool.lists(main)
    return {"result": result, "ran": sorted(bodies.ran), "listed": listed}


def _load(tool: Tool, folder: Path, request: Request) -> Any:
    if request["how"] == "notebook":
        kernel = Kernel()
        kernel.run(request["cells"])
        return kernel.module.__dict__["main"]
    return tool.load(folder).main


def in_child(tool: Tool, request: Request) -> dict[str, Any]:
    """Answer a request in a child of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            said = answer(tool, request)
        except BaseException as error:
            said = {"error": "".join(traceback.format_exception_only(error)).strip()}
        with os.fdopen(writing, "w") as stream:
            json.dump(said, stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"error": "the process ended"}  # type: ignore[no-any-return]


def main() -> None:
    tool = TOOLS[sys.argv[1]]()
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("template"):
            shutil.copytree(request["template"], request["store"], dirs_exist_ok=True)
        print(json.dumps(in_child(tool, request)), flush=True)


if __name__ == "__main__":
    main()
