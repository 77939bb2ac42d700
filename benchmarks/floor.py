"""The floor: the least that lazy calls with a cache and our rows can cost in Python on SQLite.

Lazy calls, xxh3, one look-up and one insert for many calls at once, and nothing else: no options,
no errors, no files, no fingerprint (a task's hash is that of its name), two kinds of expression,
each used once. Its database is ours: the same tables, indexes, foreign keys and seals
(`migrations/sqlite.sql`), the same settings of SQLite, a commit each 20 ms. So it is as durable,
and what is above it is what everything else costs. Its hashers are the floor of hashing: pickle (or
the raw buffer) and xxh3.
"""

from __future__ import annotations

import marshal
import mmap
import os
import pickle
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from shapes import CHAIN_START, READ
from xxhash import xxh3_64_digest, xxh3_128, xxh3_128_digest, xxh3_128_hexdigest

SCHEMA = Path(__file__).resolve().parent.parent / "migrations" / "sqlite.sql"
PRAGMAS = """
PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 16000; PRAGMA synchronous = {synchronous};
"""
# In the order in which rows are written: parents first, for a key whose row is there costs least.
COLUMNS = {
    "value": "value_hash, type, format, value, size, preview, content_digest, trusted, seal",
    "task": "hash, name, namespace, source, seal",
    "call_node": "call_hash, eval_hash, task_name, task_hash, args_hash, value_hash, timestamp,"
    " seal",
    "call_edge": "parent_id, child_id, call_order",
    "argument": "arg_hash, call_hash, value_hash, arg_position, arg_key",
    "argument_result": "arg_hash, result_call_hash",
    "call_subtree_task": "call_hash, task_hash",
    "evaluation": "eval_hash, task_hash, args_hash, value_hash, timestamp, seal",
    "execution": "id, args, job_id, updated_time, state_type, state_time",
    "job": "id, execution_id, parent_id, task_hash, eval_hash, call_hash, start_time, end_time,"
    " cached, state_type",
}
# Rows of what goes on are written a second time when it has ended.
REPLACED = {"execution", "job"}
INSERTS = {
    table: f"INSERT OR {'REPLACE' if table in REPLACED else 'IGNORE'} INTO {table} ({columns})"
    f" VALUES ({', '.join('?' * len(columns.split(',')))})"
    for table, columns in COLUMNS.items()
}
KEYS_A_QUESTION = 500
COMMIT_EACH = 0.02  # seconds

Row = tuple[Any, ...]


class Lazy:
    """A lazy call, or a lazy sum when it has no task."""

    __slots__ = (
        "args", "args_hash", "cached", "call_hash", "eval_hash", "insides", "job", "outside",
        "parent", "started", "task", "value", "waits",
    )  # fmt: skip

    def __init__(self, task: Task | None, args: tuple[Any, ...]) -> None:
        self.task = task
        self.args = args
        self.outside: Lazy | None = None
        self.parent: Lazy | None = None

    def __add__(self, other: Lazy) -> Lazy:
        return Lazy(None, (self, other))


class Task:
    """A function that is called lazily."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = function.__name__
        self.hash = xxh3_128_digest(self.name.encode())

    def __call__(self, *args: Any) -> Lazy:
        return Lazy(self, args)


@Task
def root(*values: Any) -> Any:
    """Stand for the run as a whole: all that is asked for is an argument of this call."""
    return list(values)


def final(value: Any) -> Any:
    return value.value if type(value) is Lazy else value


def plain(value: Any) -> Any:
    """Turn an expression into builtins, for the store."""
    if type(value) is not Lazy:
        return value
    return ("?", value.task and value.task.name, [plain(each) for each in value.args])


class Floor:
    """A database, and the tasks that it can bring back to life."""

    def __init__(self, path: Path, tasks: Iterable[Task], synchronous: str = "NORMAL") -> None:
        is_new = not path.exists()
        self.database = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        self.database.executescript(PRAGMAS.format(synchronous=synchronous))
        if is_new:
            self.database.executescript(SCHEMA.read_text(encoding="utf-8"))
        self.tasks = {task.name: task for task in (root, *tasks)}
        self.rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
        self.known: set[bytes] = set()
        # Calls that have called others, and have no row of a job yet.
        self.open: dict[bytes | None, Lazy] = {}
        self.execution = b""
        for task in self.tasks.values():
            seal = xxh3_64_digest(task.hash)
            self.keep_bytes(task.hash, "Task", b"", task.name)
            self.rows["task"].append((task.hash, task.name, "floor", "", seal))
        self.write()

    def close(self) -> None:
        self.database.close()

    # The rows

    def write(self) -> None:
        """Write all rows in one transaction, with rows for the callers that go on meanwhile."""
        for caller in {row[2] for row in self.rows["job"]} & self.open.keys():
            node = self.open.get(caller)
            while node is not None and self.open.pop(node.job, None) is not None:
                self.add_job(node, None)
                node = node.parent
        self.database.execute("BEGIN IMMEDIATE")
        for table, insert in INSERTS.items():
            if self.rows[table]:
                self.database.executemany(insert, self.rows[table])
                self.rows[table] = []
        self.database.execute("COMMIT")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return what is known of some calls."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), KEYS_A_QUESTION):
            some = keys[start : start + KEYS_A_QUESTION]
            marks = ",".join("?" * len(some))
            found.update(
                self.database.execute(
                    "SELECT eval_hash, value FROM evaluation JOIN value USING (value_hash)"
                    f" WHERE eval_hash IN ({marks})",
                    some,
                )
            )
        return found

    def keep(self, value: Any) -> bytes:
        """Add the row of a value, unless this process has; returns its hash."""
        content = marshal.dumps(plain(value), 2)
        digest = xxh3_128_digest(content)
        if digest not in self.known:
            self.keep_bytes(digest, type(value).__name__, content, repr(value)[:100])
        return digest

    def keep_bytes(self, digest: bytes, kind: str, content: bytes, preview: str) -> None:
        self.known.add(digest)
        seal = xxh3_64_digest(digest + kind.encode())
        self.rows["value"].append(
            (digest, kind, "m", content, len(content), preview, digest, 1, seal)
        )

    def add_job(self, node: Lazy, end: int | None) -> None:
        """Add the row of a call that goes on, or has ended."""
        assert node.task is not None
        parent = None if node.parent is None else node.parent.job
        call = None if end is None else node.call_hash
        state = "RUNNING" if end is None else "COMPLETED"
        self.rows["job"].append(
            (
                node.job, self.execution, parent, node.task.hash, node.eval_hash, call,
                node.started, end, node.cached, state,
            )
        )  # fmt: skip

    def record(self, node: Lazy) -> None:
        """Add the rows of a call that has its value."""
        task, rows = node.task, self.rows
        assert task is not None
        now = time.time_ns() // 1000
        result = xxh3_128_digest(marshal.dumps(node.value, 2))
        children = [child.call_hash for child in node.insides]
        call = xxh3_128_digest(b"".join((node.eval_hash, result, *children)))
        node.call_hash = call
        if not node.cached:
            self.keep(node.value)
            seal = xxh3_64_digest(call + node.eval_hash + task.hash + result + b"%d" % now)
            rows["call_node"].append(
                (call, node.eval_hash, task.name, task.hash, node.args_hash, result, now, seal)
            )
            for order, child in enumerate(children):
                rows["call_edge"].append((call, child, order))
            for position, each in enumerate(node.args if task is not root else ()):
                digest = self.keep(final(each))
                argument = xxh3_128_digest(call + digest + b"%d" % position)
                rows["argument"].append((argument, call, digest, position, "x"))
                if type(each) is Lazy and each.task is not None:
                    rows["argument_result"].append((argument, each.call_hash))
            for other in {child.task.hash for child in node.insides if child.task}:
                if other != task.hash:
                    rows["call_subtree_task"].append((call, other))
        self.open.pop(node.job, None)
        self.add_job(node, now)

    # The run

    def lazy(self, value: Any) -> Any:
        """Turn what `plain` made into an expression again."""
        if type(value) is not tuple or not value or value[0] != "?":
            return value
        return Lazy(value[1] and self.tasks[value[1]], tuple(map(self.lazy, value[2])))

    def run(self, wanted: Sequence[Any]) -> list[Any]:
        """Return the values of some expressions, remembered or computed."""
        execution = self.execution = os.urandom(16)
        ready: list[Lazy] = []
        whole = Lazy(root, tuple(wanted))
        whole.insides = []
        whole.job, whole.started, whole.cached = os.urandom(16), time.time_ns() // 1000, False
        whole.eval_hash = None
        self.add_job(whole, None)
        self.rows["execution"].append((execution, "", whole.job, None, "RUNNING", whole.started))

        def admit(expressions: Iterable[Lazy], parent: Lazy) -> None:
            stack = list(expressions)
            while stack:
                node = stack.pop()
                node.waits = 0
                node.parent = parent
                if node.task:
                    node.insides = []
                    parent.insides.append(node)
                for each in node.args:
                    if type(each) is Lazy:
                        node.waits += 1
                        each.outside = node
                        stack.append(each)
                if node.task and not node.waits:
                    ready.append(node)

        def settle(node: Lazy, value: Any) -> None:
            while True:
                node.value = value
                if node.task:
                    self.record(node)
                outside = node.outside
                if outside is None or outside is whole:
                    return
                # A call waits for the expression that it returned, or for its arguments.
                if outside.task is not None and outside.waits == 0:
                    node = outside
                    continue
                outside.waits -= 1
                if outside.waits:
                    return
                if outside.task is not None:
                    ready.append(outside)
                    return
                node, value = outside, sum(final(each) for each in outside.args)

        roots = [each for each in wanted if type(each) is Lazy]
        for each in roots:
            each.outside = whole
        admit(roots, whole)
        written = time.monotonic()
        while ready:
            batch, ready[:] = ready[:], []
            for node in batch:
                assert node.task is not None
                pieces = [xxh3_128_digest(marshal.dumps(final(each), 2)) for each in node.args]
                node.args_hash = xxh3_128_digest(b"".join(pieces))
                node.eval_hash = xxh3_128_digest(node.task.hash + node.args_hash)
            found = self.find([node.eval_hash for node in batch])
            for node in batch:
                assert node.task is not None
                content = found.get(node.eval_hash)
                node.cached = content is not None
                node.job, node.started = os.urandom(16), time.time_ns() // 1000
                if content is not None:
                    result = self.lazy(marshal.loads(content))
                else:
                    result = node.task.function(*map(final, node.args))
                    self.remember(node, result)
                if type(result) is Lazy:
                    result.outside = node
                    self.open[node.job] = node
                    admit([result], node)
                else:
                    settle(node, result)
            if time.monotonic() - written > COMMIT_EACH:
                self.write()
                written = time.monotonic()
        whole.value = [final(each) for each in wanted]
        keys = b"".join([each.eval_hash for each in whole.insides])
        whole.args_hash = whole.eval_hash = xxh3_128_digest(keys)
        self.record(whole)
        now = time.time_ns() // 1000
        self.rows["execution"].append((execution, "", whole.job, now, "COMPLETED", now))
        self.write()
        return list(whole.value)

    def remember(self, node: Lazy, result: Any) -> None:
        """Add the cache entry of a call that has run."""
        assert node.task is not None
        digest, now = self.keep(result), time.time_ns() // 1000
        keys = (node.eval_hash, node.task.hash, node.args_hash, digest)
        seal = xxh3_64_digest(b"".join(keys) + b"%d" % now)
        self.rows["evaluation"].append((*keys, now, seal))


@Task
def warm() -> int:
    return 0


@Task
def inc(x: int) -> int:
    return x + 1


@Task
def tree(depth: int, index: int) -> Any:
    if depth == 0:
        return index
    return tree(depth - 1, 2 * index) + tree(depth - 1, 2 * index + 1)


def hash_file(path: str) -> str:
    with open(path, "rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as at:
        return xxh3_128_hexdigest(at)


def hash_value(value: Any) -> str:
    if isinstance(value, bytes):
        return xxh3_128_hexdigest(value)
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, 5, buffer_callback=buffers.append)
    if not buffers:
        return xxh3_128_hexdigest(content)
    hasher = xxh3_128(content)
    for buffer in buffers:
        hasher.update(buffer.raw())
    return hasher.hexdigest()


def hash_by_pickle(value: Any) -> str:
    return xxh3_128_hexdigest(pickle.dumps(value, 5))


class Contestant:
    """The floor, as the benchmarks ask their contestants."""

    name = "floor"

    def __init__(self, folder: Path, synchronous: str = "normal") -> None:
        path = folder / "floor.db"
        self.floor = Floor(path, [warm, inc, tree], synchronous.upper())

    def warm_up(self) -> None:
        self.floor.run([warm()])

    def fanout(self, tasks: int) -> list[Any]:
        return self.floor.run([inc(i) for i in range(tasks)])

    def chain(self, length: int) -> Any:
        expression: Any = CHAIN_START
        for _ in range(length):
            expression = inc(expression)
        return self.floor.run([expression])[0]

    def tree(self, depth: int) -> Any:
        return self.floor.run([tree(depth, 1)])[0]

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {"floor": hash_value, "pickle + xxh3": hash_by_pickle}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {("floor", READ): hash_file}

    def close(self) -> None:
        self.floor.close()
