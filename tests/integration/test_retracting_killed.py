"""Who is killed while retracting has retracted all or nothing; several at once lose nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from taskgraph.archive import Archive
from taskgraph.records import CallEdgeRecord, CallNodeRecord, RecordBatch, TaskRecord
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.archives import name, value_row
from tests.forked import start_python
from tests.rows import NOW

ROOT = Path(__file__).resolve().parents[2]
KILLS = 100 if os.environ.get("TASKGRAPH_TORTURE") else 8
_CALLS = 1_500

_OVER_AND_OVER = """
import sys
import taskgraph
with taskgraph.open(sys.argv[1]) as tg:
    print("ready", flush=True)
    while True:
        made = tg.retract(sys.argv[2], reason="over and over", by="me")
        tg.unretract(made)
"""

_ONCE_EACH = """
import sys
import taskgraph
with taskgraph.open(sys.argv[1]) as tg:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(5):
        made = tg.retract(sys.argv[2], reason=f"{sys.argv[3]} {number}", by="me")
        if number % 2:
            tg.unretract(made)
"""


def _chain(backend: SqlBackend, count: int) -> str:
    """Record a call with many above it, in rows of ten; returns it."""
    batch = RecordBatch()
    task, value = name("task"), name("value")
    batch.values += [value_row(task, "f", "taskgraph.Task"), value_row(value, "1")]
    batch.tasks.append(TaskRecord(task, "f", "", "def f(): ..."))
    for number in range(count):
        call = name(number)
        batch.call_nodes.append(
            CallNodeRecord(call, name("e", number), "f", task, name("a", number), value, NOW)
        )
        if number:
            batch.call_edges.append(CallEdgeRecord(call, name((number - 1) // 10), 0))
    backend.record(batch)
    return name(0)


def _start(program: str, uri: str, *words: str) -> subprocess.Popen[str]:
    started = start_python(
        ["-c", program, uri, *words],
        ROOT,
        dict(os.environ, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'backend'}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def _count(archive: Archive, question: str) -> int:
    with archive.backend._writing() as driver:
        return int(driver.execute(question).fetchone()[0])


def test_who_is_killed_has_retracted_all_or_nothing(tg: Archive, database_uri: str) -> None:
    call = _chain(tg.backend, _CALLS)
    moments = random.Random(7)

    for _ in range(KILLS):
        started = _start(_OVER_AND_OVER, database_uri, call)
        time.sleep(moments.random() * 0.4)  # anywhere in the midst of it
        started.send_signal(signal.SIGKILL)
        started.communicate()
        marked = _count(tg, "SELECT count(*) FROM call_node WHERE retracted")
        said = _count(
            tg, "SELECT count(*) FROM tag WHERE is_current AND key = 'taskgraph.retracted'"
        )
        live = tg.retractions.list()
        assert marked == said == sum(len(each.calls) for each in live)
        assert marked in (0, _CALLS)
        for each in live:
            tg.unretract(each)

    assert _count(tg, "SELECT count(*) FROM call_node WHERE retracted") == 0
    assert check(tg.backend) == []


def test_several_who_retract_at_once_lose_nothing_of_each_other(
    tg: Archive, database_uri: str
) -> None:
    call = _chain(tg.backend, 60)
    started = [_start(_ONCE_EACH, database_uri, call, f"process {each}") for each in range(3)]

    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in started:
        each.communicate(timeout=120)

    assert [each.returncode for each in started] == [0, 0, 0]
    live = tg.retractions.list()
    assert len(live) == 9
    assert {len(each.calls) for each in live} == {60}
    for each in live:
        assert _count(tg, "SELECT count(*) FROM call_node WHERE retracted") == 60
        tg.unretract(each)
    assert _count(tg, "SELECT count(*) FROM call_node WHERE retracted") == 0


def test_a_process_that_lives_long_sees_what_another_one_retracts(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    folder = tmp_path / "project" / ".taskgraph"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'[backend]\ndb_uri = "{database_uri}"\n')
    script = folder.parent / "lives.py"
    script.write_text(_LIVES)
    started = start_python(
        [str(script)],
        folder.parent,
        dict(os.environ, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'backend'}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdin is not None and started.stdout is not None
    assert started.stdout.readline() == "1\n"

    (call,) = _calls(tg)
    tg.retract(call, reason="wrong")
    deadline = time.monotonic() + 60
    answers = []
    while "2\n" not in answers and time.monotonic() < deadline:
        started.stdin.write("again\n")
        started.stdin.flush()
        answers.append(started.stdout.readline())
    started.stdin.close()
    started.stdout.close()
    started.wait(60)

    # What is kept in memory is used until it is known, and never after that.
    assert answers[-1] == "2\n"
    assert set(answers[:-1]) <= {"1\n"}


_LIVES = """
import sys
from pathlib import Path
from taskgraph import cached

RUNS = Path("runs.txt")

@cached
def count(word):
    with Path("runs.txt").open("a") as file:
        file.write(word)
    return word

for _ in range(2):
    count("x")
print(len(Path("runs.txt").read_text()), flush=True)
for line in sys.stdin:
    count("x")
    print(len(Path("runs.txt").read_text()), flush=True)
"""


def _calls(tg: Archive) -> list[str]:
    with tg.query() as query:
        return [
            each.call_hash
            for each in query.filter_types(["CallNode"]).all()
            if each.task_name.endswith("count")
        ]
