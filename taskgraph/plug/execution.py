"""The one execution of this process: it holds the calls of everything that is called as it is.

Made at the first of these calls and ended with the process. What hits leave behind is committed by
a thread of its own, some 20 ms later; what ran is committed before its caller sees the result.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from taskgraph.assembly.databases import has_others, open_database, take_lease
from taskgraph.assembly.reading import before_reading
from taskgraph.assembly.surroundings import places_of, project_of
from taskgraph.config import Settings, find_config_dir, load_settings, write_default_config
from taskgraph.engine.eager import EagerCalls
from taskgraph.engine.environment import Environment
from taskgraph.engine.options import RunOptions
from taskgraph.engine.origins import Origins
from taskgraph.engine.recorder import MAX_DELAY
from taskgraph.errors import DatabaseError, DatabaseGoneError
from taskgraph.events import Event
from taskgraph.fingerprint.project import current_project, use_project
from taskgraph.plug.flights import Flights
from taskgraph.records import ExecutionId, JobId, RecordBatch
from taskgraph.tags import tag_record
from taskgraph.tasks.requests import read_tags
from taskgraph.values.places import current_places, use_places

_SHOW_AFTER = 0.250  # seconds between two looks at what still runs


class ProcessExecution:
    """The execution of this process in one project.

    Attributes:
        id: That of the execution.
        settings: Those of the project.
        calls: Weighs, looks up and records.
        origins: Which call a value came from.
        flights: The calls that are under way.
        observers: Told what happens, in the thread of the call; they must not call back.
        value_store: Where the bytes of large values go.
    """

    def __init__(self, settings: Settings) -> None:
        self.id = ExecutionId(uuid.uuid4().hex)
        self.settings = settings
        self.origins = Origins()
        self.flights = Flights()
        self.observers: list[Callable[[Event], None]] = []
        self._places = places_of(settings)
        self._project = project_of(settings)
        self._backend = open_database(settings)
        self.value_store = self._backend.value_store
        self._environment = Environment(settings.project_dir)
        self._lease = take_lease(self._backend, self.id)
        size = settings.backend.max_value_size
        options = RunOptions(self.id, command_line=json.dumps(sys.argv), max_value_size=size)
        has_flights = settings.scheduler.single_flight and has_others(self._backend)
        lease = self._lease if has_flights else None
        self.calls = EagerCalls(self._backend, options, self._notify, lease)
        self.calls.begin()
        self._is_ours = True
        self._ended = threading.Event()
        self._wakes = threading.Event()
        self._thread = threading.Thread(target=self._flush, name="taskgraph-flush", daemon=True)
        self._thread.start()

    def _notify(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)

    @property
    def is_open(self) -> bool:
        """Whether calls of this process may be added."""
        return self._is_ours and not self._ended.is_set()

    def disown(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._is_ours = False

    def pause(self) -> None:
        """Wait until no thread of its own is at work, and have none be until ``calls.go_on``."""
        self._environment.packed()
        self.calls.pause()

    def put_in_force(self) -> None:
        """Have files and code known as the project's settings say."""
        if current_places() is not self._places:
            use_places(self._places)
        if current_project() is not self._project:
            use_project(self._project)

    def add_tags(self, job_id: JobId, tags: Mapping[str, Any]) -> None:
        """Add tags to a job that is recorded."""
        rows = [tag_record("Job", job_id, key, value) for key, value in read_tags(tags)]
        self._backend.record(RecordBatch(tags=rows))

    def commit_soon(self) -> None:
        """Have what was written down be committed within some milliseconds."""
        if not self._wakes.is_set():
            self._wakes.set()

    def _flush(self) -> None:
        while not self._ended.is_set():
            self._wakes.wait(_SHOW_AFTER)
            self._ended.wait(MAX_DELAY)
            self._wakes.clear()
            # The rows wait for the next time, and the next call that must be committed says what is
            # wrong with the database.
            with suppress(DatabaseError):
                self.calls.flush()
            if self._backend.is_gone:
                self._ended.set()  # somebody cleared the project: the next call begins another one

    def close(self) -> None:
        """End the execution: all is committed. A second call does nothing."""
        if not self.is_open:
            return
        self._ended.set()
        self._wakes.set()
        self._thread.join()
        try:
            with suppress(DatabaseGoneError):  # somebody cleared the project
                self.calls.end(self._environment.packed())
        finally:
            self._lease.release()
            self._backend.close()


_executions: dict[Path, ProcessExecution] = {}
_first: dict[str | None, ProcessExecution] = {}  # by what was asked for
_after_forks: list[Callable[[], object]] = []
_paused: list[ProcessExecution] = []
_abandoned: list[ProcessExecution] = []
_lock = threading.RLock()


def current_execution(config_dir: str | Path | None = None) -> ProcessExecution:
    """Return the execution of this process in a project: made at the first call, and kept.

    Args:
        config_dir: The folder of settings and database; by default the nearest ``.taskgraph``
            upward of the working directory at the first call, or a new one there.
    """
    asked = None if config_dir is None else str(config_dir)
    found = _first.get(asked)
    if found is not None and found.is_open:
        return found
    with _lock:
        folder = find_config_dir(given=config_dir)
        found = _executions.get(folder)
        if found is None or not found.is_open:
            write_default_config(folder)
            found = _executions[folder] = ProcessExecution(load_settings(folder))
            _close_at_exit()
        _first[asked] = found
        return found


def close_executions() -> None:
    """End the executions of this process: the next call that is recorded begins another one."""
    with ExitStack() as stack:
        for found in _executions.values():
            stack.callback(found.close)
        _executions.clear()
        _first.clear()


_closing_for: list[int] = []


def _close_at_exit() -> None:
    if os.getpid() in _closing_for:
        return
    _closing_for.append(os.getpid())
    atexit.register(close_executions)
    if "multiprocessing.util" in sys.modules:
        # Its workers leave without what atexit promises, and with what it promises itself.
        from multiprocessing.util import Finalize

        Finalize(None, close_executions, exitpriority=0)


def after_fork(forget: Callable[[], object]) -> None:
    """Have something called in a process that was forked from this one."""
    _after_forks.append(forget)


def _before_fork() -> None:
    """Let no thread be in the middle of the database, or of loading what the other will load."""
    _lock.acquire()
    _paused.extend(found for found in _executions.values() if found.is_open)
    for found in _paused:
        found.pause()


def _after_fork_here() -> None:
    while _paused:
        _paused.pop().calls.go_on()
    _lock.release()


def _after_fork() -> None:
    """Begin anew in a process that was forked: connections and threads are those of the other."""
    global _lock  # noqa: PLW0603 - another thread may have held it
    _lock = threading.RLock()
    for found in _executions.values():
        found.disown()
    _abandoned.extend(_executions.values())  # whose connections nobody may close here
    _executions.clear()
    _first.clear()
    _paused.clear()
    for forget in _after_forks:
        forget()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork
)


def _commit() -> None:
    for found in list(_executions.values()):
        if found.is_open:
            found.calls.flush()


before_reading(_commit)
