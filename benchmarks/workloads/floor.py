"""The floor: the least that lazy calls with a cache and these rows can cost in Python on SQLite.

Lazy calls, xxh3, one lookup and one insert for many calls at once, and nothing else: no options, no
errors, no fingerprint (a task's hash is that of its name), two kinds of expression. Its rows and
indexes are those of the real schema, without foreign keys. Its hashers are the floor of hashing:
pickle (or the raw buffer) and xxh3.
"""

from __future__ import annotations

import marshal
import mmap
import os
import pickle
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shapes import READ
from xxhash import xxh3_128, xxh3_128_digest, xxh3_128_hexdigest

SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
CREATE TABLE value (value_hash BLOB PRIMARY KEY, type, format, size, preview, digest, trusted,
  value);
CREATE TABLE evaluation (eval_hash BLOB PRIMARY KEY, task_hash, args_hash, value_hash, timestamp);
CREATE TABLE call_node (call_hash BLOB PRIMARY KEY, eval_hash, task_name, task_hash, args_hash,
  value_hash, timestamp);
CREATE INDEX a ON call_node (eval_hash); CREATE INDEX b ON call_node (value_hash);
CREATE INDEX c ON call_node (task_hash);
CREATE TABLE call_edge (parent_id, child_id, call_order, PRIMARY KEY (parent_id, child_id,
  call_order)) WITHOUT ROWID;
CREATE INDEX d ON call_edge (child_id);
CREATE TABLE argument (arg_hash BLOB PRIMARY KEY, call_hash, value_hash, arg_position, arg_key);
CREATE INDEX e ON argument (call_hash); CREATE INDEX f ON argument (value_hash);
CREATE TABLE argument_result (arg_hash, result_call_hash, PRIMARY KEY (arg_hash,
  result_call_hash)) WITHOUT ROWID;
CREATE INDEX g ON argument_result (result_call_hash);
CREATE TABLE call_subtree_task (call_hash, task_hash, PRIMARY KEY (call_hash, task_hash))
  WITHOUT ROWID;
CREATE TABLE job (id BLOB PRIMARY KEY, execution_id, parent_id, task_hash, eval_hash, call_hash,
  start_time, end_time, cached, state_type);
CREATE INDEX h ON job (execution_id); CREATE INDEX i ON job (parent_id);
CREATE INDEX j ON job (call_hash);
"""
# In the order in which they are written; those that a cached call has come last.
WIDTHS = {
    "value": 8, "evaluation": 5, "call_node": 7, "call_edge": 3, "argument": 5,
    "argument_result": 2, "call_subtree_task": 2, "job": 10,
}  # fmt: skip
KEYS_A_QUESTION = 500


class Lazy:
    """A lazy call, or a lazy sum when it has no task."""

    __slots__ = (
        "args", "cached", "call_hash", "eval_hash", "insides", "job", "outside", "parent", "task",
        "value", "waits",
    )  # fmt: skip

    def __init__(self, task: Task | None, args: tuple[Any, ...]) -> None:
        self.task = task
        self.args = args
        self.outside: Lazy | None = None
        self.parent: bytes | None = None

    def __add__(self, other: Lazy) -> Lazy:
        return Lazy(None, (self, other))


class Task:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = function.__name__
        self.hash = xxh3_128_digest(self.name.encode())

    def __call__(self, *args: Any) -> Lazy:
        return Lazy(self, args)


def final(value: Any) -> Any:
    return value.value if type(value) is Lazy else value


def plain(value: Any) -> Any:
    """Turn an expression into builtins, for the store."""
    if type(value) is not Lazy:
        return value
    return ("?", value.task and value.task.name, [plain(each) for each in value.args])


class Floor:
    def __init__(self, path: Path, tasks: Sequence[Task]) -> None:
        is_new = not path.exists()
        self.database = sqlite3.connect(path, isolation_level=None)
        if is_new:
            self.database.executescript(SCHEMA)
        self.database.execute("PRAGMA synchronous = NORMAL")
        self.tasks = {task.name: task for task in tasks}

    def lazy(self, value: Any) -> Any:
        """Turn what `plain` made into an expression again."""
        if type(value) is not tuple or value[0] != "?":
            return value
        return Lazy(value[1] and self.tasks[value[1]], tuple(map(self.lazy, value[2])))

    def find(self, keys: list[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), KEYS_A_QUESTION):
            some = keys[start : start + KEYS_A_QUESTION]
            found.update(
                self.database.execute(
                    "SELECT eval_hash, value FROM evaluation JOIN value USING (value_hash)"
                    f" WHERE eval_hash IN ({','.join('?' * len(some))})",
                    some,
                )
            )
        return found

    def write(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        self.database.execute("BEGIN")
        for table, width in WIDTHS.items():
            if rows[table]:
                marks = ",".join("?" * width)
                self.database.executemany(
                    f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows[table]
                )
                rows[table] = []
        self.database.execute("COMMIT")

    def run(self, roots: list[Lazy]) -> list[Any]:
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in WIDTHS}
        execution = os.urandom(16)
        ready: list[Lazy] = []
        written = time.monotonic()

        def admit(stack: list[Lazy]) -> None:
            while stack:
                node = stack.pop()
                node.waits = 0
                if node.task:
                    node.insides = []
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
                    record(node)
                outside = node.outside
                if outside is None:
                    return
                # A call waits for the expression that it returned, or for its arguments.
                returned = outside.task is not None and outside.waits == 0
                if returned:
                    node = outside
                    continue
                outside.waits -= 1
                if outside.waits:
                    return
                if outside.task is not None:
                    ready.append(outside)
                    return
                node, value = outside, sum(final(each) for each in outside.args)

        def keep(value: Any) -> bytes:
            content = marshal.dumps(plain(value), 2)
            digest = xxh3_128_digest(content)
            kind = type(value).__name__
            rows["value"].append(
                (digest, kind, "m", len(content), repr(value)[:100], digest, 1, content)
            )
            return digest

        def record(node: Lazy) -> None:
            assert node.task is not None
            task_hash = node.task.hash
            result = xxh3_128_digest(marshal.dumps(node.value, 2))
            children = [child.call_hash for child in node.insides]
            call = xxh3_128_digest(b"".join((node.eval_hash, result, *children)))
            node.call_hash = call
            now = time.time_ns() // 1000
            if not node.cached:
                keep(node.value)
                args_hash = node.eval_hash
                rows["call_node"].append(
                    (call, node.eval_hash, node.task.name, task_hash, args_hash, result, now)
                )
                for order, child in enumerate(children):
                    rows["call_edge"].append((call, child, order))
                for position, each in enumerate(node.args):
                    digest = keep(final(each))
                    argument = xxh3_128_digest(call + digest + b"%d" % position)
                    rows["argument"].append((argument, call, digest, position, "x"))
                    if type(each) is Lazy:
                        rows["argument_result"].append((argument, each.call_hash))
                rows["call_subtree_task"].append((call, task_hash))
            rows["job"].append(
                (
                    node.job, execution, node.parent, task_hash, node.eval_hash, call, now, now,
                    node.cached, "COMPLETED",
                )
            )  # fmt: skip

        admit(list(roots))
        while ready:
            batch, ready[:] = ready[:], []
            for node in batch:
                assert node.task is not None
                pieces = [xxh3_128_digest(marshal.dumps(final(each), 2)) for each in node.args]
                node.eval_hash = xxh3_128_digest(node.task.hash + b"".join(pieces))
            found = self.find([node.eval_hash for node in batch])
            for node in batch:
                assert node.task is not None
                content = found.get(node.eval_hash)
                node.cached = content is not None
                node.job = os.urandom(16)
                if content is not None:
                    result = self.lazy(marshal.loads(content))
                else:
                    result = node.task.function(*map(final, node.args))
                    digest = keep(result)
                    now = time.time_ns() // 1000
                    rows["evaluation"].append(
                        (node.eval_hash, node.task.hash, node.eval_hash, digest, now)
                    )
                if type(result) is Lazy:
                    result.outside = node
                    node.insides = list(result.args) if result.task is None else [result]
                    for child in node.insides:
                        child.parent = node.job
                    admit([result])
                else:
                    settle(node, result)
            if time.monotonic() - written > 0.02:
                self.write(rows)
                written = time.monotonic()
        self.write(rows)
        return [root.value for root in roots]


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
    name = "floor"

    def __init__(self, folder: Path) -> None:
        self.floor = Floor(folder / "floor.db", [warm, inc, tree])

    def warm_up(self) -> None:
        self.floor.run([warm()])

    def fanout(self, tasks: int) -> list[Any]:
        return self.floor.run([inc(i) for i in range(tasks)])

    def chain(self, length: int) -> Any:
        expression: Any = 0
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
        self.floor.database.close()
