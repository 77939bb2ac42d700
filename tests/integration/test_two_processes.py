"""Several processes record on one database at once: nothing is lost, nothing is half there."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from taskgraph.records import CacheQuery
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.forked import start_python
from tests.rows import a_task, key

ROOT = Path(__file__).parents[2]
BATCHES, PER_BATCH = 40, 25

PROGRAM = """
import sys
from taskgraph_backend import SqlBackend
from tests.rows import *
uri, process, batches, per_batch = sys.argv[1], *map(int, sys.argv[2:])
print("ready", flush=True)
input()
with SqlBackend(uri) as backend:
    backend.record(together(a_task(), an_execution(process, state=State.COMPLETED)))
    for batch in range(batches):
        numbers = [process * 10**9 + batch * 1000 + each for each in range(per_batch)]
        backend.record(together(
            *(an_evaluation(n, n + 10**12) for n in numbers),
            *(a_call(n + 10**13, n, n + 10**12) for n in numbers),
            *(a_job(n + 10**14, execution=process, call=n + 10**13) for n in numbers),
            *(an_evaluation(n % 1000, 5, n) for n in numbers),
        ))
        print(batch, flush=True)
"""


def _start(uri: str, process: int, batches: int = BATCHES) -> subprocess.Popen[str]:
    started = start_python(
        ["-c", PROGRAM, uri, str(process), str(batches), str(PER_BATCH)],
        ROOT,
        {"PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _keys(process: int, batches: int = BATCHES) -> list[CacheQuery]:
    return [
        CacheQuery(key(process * 10**9 + batch * 1000 + each), True)
        for batch in range(batches)
        for each in range(PER_BATCH)
    ]


def test_two_processes_record_at_once_and_nothing_is_lost(database_uri: str) -> None:
    both = [_start(database_uri, 1), _start(database_uri, 2)]

    for each in both:
        _go(each)
    for each in both:
        each.communicate()

    assert [each.returncode for each in both] == [0, 0]
    with SqlBackend(database_uri) as backend:
        answers = backend.check_cache(_keys(1) + _keys(2))
        assert all(answer.evaluation and answer.calls for answer in answers)
        assert check(backend) == []
        with backend.reader() as reader:
            assert [each.counts for each in reader.executions()] == [
                {"DONE": BATCHES * PER_BATCH}
            ] * 2


def test_killed_process_leaves_whole_batches(database_uri: str) -> None:
    process = _start(database_uri, 1, batches=100_000)
    _go(process)
    assert process.stdout is not None
    while process.stdout.readline() != "20\n":
        pass

    process.send_signal(signal.SIGKILL)
    process.communicate()

    with SqlBackend(database_uri) as backend:
        answers = backend.check_cache(_keys(1, 21))
        # What it said that it had written is there; of what came after, all of a batch or none.
        assert all(answer.evaluation and answer.calls for answer in answers)
        assert check(backend) == []
        driver = backend.database.connect()
        (jobs,) = driver.execute("SELECT count(*) FROM job").fetchone()
        driver.close()
        assert jobs % PER_BATCH == 0


def test_database_in_use_can_be_read_by_another_process(database_uri: str) -> None:
    process = _start(database_uri, 1)
    with SqlBackend(database_uri) as backend, backend.reader() as reader:
        backend.record(a_task())
        reader.executions()

        _go(process)
        process.communicate()

        reader.rollback()
        assert sum(reader.executions()[0].counts.values()) == BATCHES * PER_BATCH
    assert process.returncode == 0
