"""Several schedulers on one PostgreSQL: each call is found by all, whoever is killed meanwhile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

import taskgraph
from benchmarks.line import open_line
from taskgraph import Scheduler
from taskgraph.config import BackendSettings, Settings
from taskgraph.errors import DatabaseError
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from taskgraph_backend.models import Job
from tests.forked import start_python
from tests.postgres import Server

ROOT = Path(__file__).parents[2]

ENDED = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    " AND datname = current_database() AND application_name = 'taskgraph'"
)
PROGRAM = """
import os, signal, sys
from pathlib import Path
import taskgraph
from taskgraph import Scheduler, task
from taskgraph.config import BackendSettings, Settings
from taskgraph_backend import SqlBackend

uri, folder, role, ENDED = sys.argv[1:]

@task(namespace="team", version="1")
def square(x: int) -> int:
    with open("ran.txt", "a") as ran:
        ran.write(f"{role} {x}\\n")
    if role == "killed" and x == 150:
        with SqlBackend(uri) as other:
            while not other._connection().execute("SELECT 1 FROM evaluation OFFSET 9").fetchone():
                pass
        os.kill(os.getpid(), signal.SIGKILL)
    if role == "cut off" and x % 50 == 10:
        with SqlBackend(uri) as other:
            other._connection().execute(ENDED)
    return x * x

@task(namespace="team", version="1")
def total(parts: list) -> int:
    return sum(parts)

@task(namespace="team", version="1")
def main(n: int) -> int:
    return total([square(x) for x in range(n)])

settings = Settings(config_dir=Path(folder), backend=BackendSettings(db_uri=uri))
with Scheduler(settings, executor="threads" if role == "killed" else "inline") as scheduler:
    print(scheduler.run(main(200)))
"""
TOTAL = f"{sum(x * x for x in range(200))}\n"


def _start(uri: str, folder: Path, role: str) -> subprocess.Popen[str]:
    return start_python(
        ["-c", PROGRAM, uri, str(folder), role, ENDED],
        folder,
        {"PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}", "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _ran(folder: Path, role: str) -> int:
    return (folder / "ran.txt").read_text().count(f"{role} ")


def test_several_run_the_same_at_once(tmp_path: Path, postgres_uri: str) -> None:
    running = [_start(postgres_uri, tmp_path, f"worker{number}") for number in range(3)]

    told = [each.communicate() for each in running]

    assert told == [(TOTAL, "")] * 3
    with SqlBackend(postgres_uri) as backend:
        assert check(backend) == []


def test_what_one_has_made_nobody_makes_again(tmp_path: Path, postgres_uri: str) -> None:
    _start(postgres_uri, tmp_path, "first").communicate()

    out, err = _start(postgres_uri, tmp_path, "second").communicate()

    assert (out, err) == (TOTAL, "")
    assert (_ran(tmp_path, "first"), _ran(tmp_path, "second")) == (200, 0)


def test_a_run_that_was_killed_is_known_to_be_and_gone_on_with(
    tmp_path: Path, postgres_uri: str
) -> None:
    _start(postgres_uri, tmp_path, "killed").communicate()

    out, err = _start(postgres_uri, tmp_path, "next").communicate()

    assert (out, err) == (TOTAL, "")
    # What was done in the last moments is done again.
    assert _ran(tmp_path, "next") < 200
    with SqlBackend(postgres_uri) as backend, backend.reader() as reader:
        assert [each.execution.state_type for each in reader.executions()] == [
            "COMPLETED",
            "CRASHED",
        ]
        assert check(backend) == []


def test_a_reader_outlives_the_loss_of_its_connection(tmp_path: Path, postgres_uri: str) -> None:
    _start(postgres_uri, tmp_path, "alone").communicate()
    with (
        SqlBackend(postgres_uri) as backend,
        SqlBackend(postgres_uri) as other,
        backend.reader() as reader,
    ):
        (before,) = reader.executions()
        for _ in range(2):
            other._connection().execute(ENDED)

            (again,) = reader.executions()
            assert again.counts == before.counts
            assert sum(again.counts.values()) == 202
            # What was read before the loss is there as well.
            assert before.execution.job is not None
            other._connection().execute(ENDED)
            assert len(list(reader.job_tree(again.execution.id).walk())) == 202


def test_a_reader_whose_server_does_not_come_back_says_so_once(
    postgres_server: Server, postgres_uri: str
) -> None:
    name = postgres_uri.partition("?")[0].rpartition("/")[2]
    with open_line(str(postgres_server.folder / ".s.PGSQL.5432")) as port:
        uri = f"postgresql://postgres@127.0.0.1:{port}/{name}"
        backend = SqlBackend(uri, {"busy_timeout": 0.2})
        backend.load()
        reader = backend.reader()
        assert reader.scalars(select(Job)).all() == []

    with pytest.raises(DatabaseError) as error:
        reader.scalars(select(Job)).all()

    assert error.value.was_waited_for
    with pytest.raises(DatabaseError):
        backend._wait_or_raise(error.value, 1)
    reader.close()
    backend.close()


def test_a_run_outlives_the_loss_of_its_connection(tmp_path: Path, postgres_uri: str) -> None:
    out, err = _start(postgres_uri, tmp_path, "cut off").communicate()

    assert (out, err) == (TOTAL, "")
    with SqlBackend(postgres_uri) as backend, backend.reader() as reader:
        (execution,) = reader.executions()
        assert (execution.status, sum(execution.counts.values())) == ("DONE", 202)
        assert check(backend) == []


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
def test_each_executor_records_there(tmp_path: Path, postgres_uri: str, executor: str) -> None:
    settings = Settings(config_dir=tmp_path, backend=BackendSettings(db_uri=postgres_uri))
    with Scheduler(settings, executor=executor) as scheduler:
        assert scheduler.run(double(21)) == 42

    with Scheduler(settings, executor=executor) as scheduler:
        assert scheduler.run(double(21)) == 42
        assert check(scheduler.backend) == []  # type: ignore[arg-type]
    with taskgraph.open(postgres_uri) as archive:
        assert [each.status for each in archive.history()] == ["DONE", "DONE"]


@taskgraph.task(namespace="team", version="1")
def double(x: int) -> int:
    return 2 * x
