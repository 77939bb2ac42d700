"""Writes the rows of many executions that made files, in bulk, as these would have left them.

Each small execution makes nine files out of one source, and two large ones 10,000 each, which a
report gathers. In `wide`, the body that asks for the report asks for each file; in `nested`, one
call makes all of the files, as a list, out of a list of sources.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from taskgraph.hashing import digest_bytes, hash_record
from taskgraph_backend import statements

FILES_PER_EXECUTION = 10
WIDE = 10_000
_BATCH = 2_000  # executions a transaction
_START = 1_700_000_000_000_000  # microseconds
_TABLES = {
    "value": statements.VALUE,
    "file": statements.FILE,
    "subvalue": statements.SUBVALUE,
    "task": "INSERT INTO task (hash, name, namespace, source) VALUES (?, ?, ?, ?)",
    "call_node": "INSERT INTO call_node (call_hash, eval_hash, task_name, task_hash, args_hash,"
    " value_hash, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)",
    "call_edge": "INSERT INTO call_edge (parent_id, child_id, call_order) VALUES (?, ?, ?)",
    "argument": "INSERT INTO argument (arg_hash, call_hash, value_hash, arg_position, arg_key)"
    " VALUES (?, ?, ?, ?, ?)",
    "argument_result": "INSERT INTO argument_result (arg_hash, result_call_hash) VALUES (?, ?)",
    "execution": "INSERT INTO execution (id, args, job_id, state_type, state_time)"
    " VALUES (?, ?, ?, 'COMPLETED', ?)",
    "job": "INSERT INTO job (id, execution_id, parent_id, task_hash, eval_hash, call_hash,"
    " start_time, end_time, cached, state_type) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 'COMPLETED')",
}


def _key(*words: object) -> bytes:
    return bytes.fromhex(hash_record(*map(str, words)))


class Rows:
    """The rows of executions, as they would have been recorded."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}
        self._now = _START

    def write(self) -> None:
        """Write all that was added, in one transaction."""
        with self._driver:
            for name, rows in self._rows.items():
                self._driver.executemany(_TABLES[name], rows)
                rows.clear()

    def value(self, type: str, preview: str, *parts: bytes) -> bytes:
        """Add a value and what lies in it."""
        key = _key("value", type, preview, *parts)
        digest = bytes.fromhex(digest_bytes(b""))
        self._rows["value"].append((key, type, "pickle", b"", 0, preview, digest, True, None))
        self._rows["subvalue"] += [(key, part) for part in parts]
        return key

    def file(self, path: str) -> bytes:
        """Add a file."""
        key = self.value("taskgraph.File", f"File(path={path}, hash=0000)")
        self._rows["file"].append((key, "project", path, "0000", 1))
        return key

    def task(self, name: str) -> bytes:
        """Add a task."""
        key = self.value("taskgraph.Task", name)
        self._rows["task"].append((key, name, "bench", f"def {name}(): ..."))
        return key

    def call(
        self,
        task: tuple[str, bytes],
        arguments: list[tuple[bytes, list[bytes]]],
        result: bytes,
        children: list[bytes] | None = None,
    ) -> bytes:
        """Add a call: of each argument its value and the calls that it came from."""
        name, task_hash = task
        self._now += 1_000
        values = [value for value, _ in arguments]
        call = _key("call", task_hash, *values, result, *(children or ()))
        args = _key("args", *values)
        self._rows["call_node"].append(
            (
                call,
                _key("eval", task_hash, args),
                f"bench.{name}",
                task_hash,
                args,
                result,
                self._now,
            )
        )
        for position, (value, makers) in enumerate(arguments):
            arg = _key("argument", call, position, value)
            self._rows["argument"].append((arg, call, value, position, f"x{position}"))
            self._rows["argument_result"] += [(arg, maker) for maker in makers]
        self._rows["call_edge"] += [(call, each, at) for at, each in enumerate(children or ())]
        return call

    def execution(self, number: object, root: tuple[bytes, bytes], below: Any) -> None:
        """Add an execution of a root call: its task and hash, and those of the calls below it."""
        execution = _key("execution", number)
        job = _key("job", number)
        self._rows["execution"].append((execution, "[]", job, self._now))
        self._job(job, execution, None, root)
        self._jobs_below(job, execution, below)

    def _jobs_below(self, parent: bytes, execution: bytes, below: Any) -> None:
        for at, (call, inner) in enumerate(below):
            job = _key("job", parent, at)
            self._job(job, execution, parent, call)
            self._jobs_below(job, execution, inner)

    def _job(
        self, job: bytes, execution: bytes, parent: bytes | None, call: tuple[bytes, bytes]
    ) -> None:
        task_hash, call_hash = call
        self._now += 1
        row = (job, execution, parent, task_hash, call_hash, call_hash, self._now, self._now + 900)
        self._rows["job"].append(row)


def fill(driver: sqlite3.Connection, files: int, wide: int = WIDE) -> None:
    """Write so many files of small executions, and the two large ones in their middle."""
    rows = Rows(driver)
    tasks = {name: (name, rows.task(name)) for name in ("main", "make", "make_all", "report")}
    executions = files // FILES_PER_EXECUTION
    for number in range(executions):
        if number == executions // 2:
            rows.write()
            _wide(rows, tasks, wide)
            _nested(rows, tasks, wide)
        _small(rows, tasks, number)
        if number % _BATCH == 0:
            rows.write()
    rows.write()


def _small(rows: Rows, tasks: dict[str, tuple[str, bytes]], number: int) -> None:
    source = rows.file(f"in/{number}.txt")
    calls, made = [], []
    for at in range(FILES_PER_EXECUTION - 1):
        index = rows.value("builtins.int", str(at)) if number == 0 else _int(at)
        made.append(rows.file(f"out/{number}/{at}.txt"))
        calls.append(rows.call(tasks["make"], [(source, []), (index, [])], made[-1]))
    result = rows.value("builtins.list", f"[File(path=out/{number}/0.txt", *made)
    root = rows.call(tasks["main"], [(source, [])], result, calls)
    below = [((tasks["make"][1], call), ()) for call in calls]
    rows.execution(number, (tasks["main"][1], root), below)


def _int(number: int) -> bytes:
    return _key("value", "builtins.int", str(number))


def _wide(rows: Rows, tasks: dict[str, tuple[str, bytes]], count: int) -> None:
    """One body asks for each file, and for the report over all of them."""
    source = rows.file("wide/source.txt")
    calls, made = [], []
    for at in range(count):
        index = rows.value("builtins.int", str(at)) if at >= FILES_PER_EXECUTION - 1 else _int(at)
        made.append(rows.file(f"wide/{at}.txt"))
        calls.append(rows.call(tasks["make"], [(source, []), (index, [])], made[-1]))
    files = rows.value("builtins.list", "[File(path=wide/0.txt", *made)
    report = rows.file("wide/report.txt")
    top = rows.call(tasks["report"], [(files, calls)], report)
    root = rows.call(tasks["main"], [(source, [])], report, [*calls, top])
    below = [((tasks["make"][1], call), ()) for call in calls]
    rows.execution("wide", (tasks["main"][1], root), [*below, ((tasks["report"][1], top), ())])
    rows.write()


def _nested(rows: Rows, tasks: dict[str, tuple[str, bytes]], count: int) -> None:
    """One call makes all files as a list, out of a list of sources; a report is made of that."""
    sources = [rows.file(f"nested/in/{at}.txt") for at in range(count)]
    given = rows.value("builtins.list", "[File(path=nested/in/0.txt", *sources)
    setting = rows.value("builtins.str", "'fast'")
    calls, made = [], []
    for at, source in enumerate(sources):
        made.append(rows.file(f"nested/{at}.txt"))
        calls.append(rows.call(tasks["make"], [(source, []), (setting, [])], made[-1]))
    files = rows.value("builtins.list", "[File(path=nested/0.txt", *made)
    all_of_them = rows.call(tasks["make_all"], [(given, []), (setting, [])], files, calls)
    report = rows.file("nested/report.txt")
    top = rows.call(tasks["report"], [(files, [all_of_them])], report)
    root = rows.call(tasks["main"], [(given, []), (setting, [])], report, [all_of_them, top])
    below = [((tasks["make"][1], call), ()) for call in calls]
    inner = [((tasks["make_all"][1], all_of_them), below), ((tasks["report"][1], top), ())]
    rows.execution("nested", (tasks["main"][1], root), inner)
    rows.write()
