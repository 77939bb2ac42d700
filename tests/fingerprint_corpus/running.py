"""Runs the projects of the corpus with taskgraph in this process, and tells what ran."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from taskgraph.app import Scheduler
from taskgraph.cli.scripts import find_task, load_script
from taskgraph.config import load_settings
from taskgraph.events import JobsSubmitted
from taskgraph.tasks.registry import get_task_registry
from taskgraph.testing import MemoryBackend, RecordingObserver
from tests.fingerprint_corpus.cases import Case, edited_cells
from tests.fingerprint_corpus.loading import Kernel, fresh_modules


class Ran(NamedTuple):
    """What a run gave, as text, and the tasks whose bodies ran."""

    result: str
    tasks: tuple[str, ...]


@contextlib.contextmanager
def fresh_project(folder: Path) -> Iterator[None]:
    """Work in a folder as a new process would: no modules and no tasks of an earlier load."""
    registry = get_task_registry()
    before = {task.fullname: task for task in registry}
    try:
        with fresh_modules(folder):
            yield
    finally:
        registry._tasks.clear()
        registry._tasks.update(before)


def run_script(folder: Path, database: str | None, task: str = "main") -> Ran:
    """Load flow.py afresh and run its task; without a database nothing is remembered."""
    with fresh_project(folder):
        return run_task(find_task(load_script(str(folder / "flow.py")), task), folder, database)


def run_task(task: Any, folder: Path, database: str | None) -> Ran:
    """Run a task that is loaded."""
    observer = RecordingObserver()
    settings = load_settings(folder / ".taskgraph")
    backend = database or MemoryBackend()
    with Scheduler(settings, backend=backend, executor="inline", observers=[observer]) as scheduler:
        result = scheduler.run(task())
    submitted = [name for event in observer.of(JobsSubmitted) for name in event.tasks]
    return Ran(repr(result), tuple(sorted(set(submitted))))


def run_notebook(case: Case, folder: Path, database: str) -> tuple[Ran, Ran]:
    """Run all cells and main, then the edited cells and main again, in one kernel."""
    folder.mkdir(exist_ok=True)
    with fresh_project(folder):
        kernel = Kernel()
        kernel.run({name: case.before[name] for name in case.cells})
        first = run_task(kernel.module.__dict__["main"], folder, database)
        kernel.run(edited_cells(case))
        return first, run_task(kernel.module.__dict__["main"], folder, database)


def run_new_kernel(case: Case, folder: Path, database: str | None) -> Ran:
    """Run all cells as they are after the edit, and main, in a new kernel."""
    folder.mkdir(exist_ok=True)
    with fresh_project(folder):
        kernel = Kernel()
        cells = {name: case.before[name] for name in case.cells} | edited_cells(case)
        kernel.run(cells)
        return run_task(kernel.module.__dict__["main"], folder, database)
