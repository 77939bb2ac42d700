"""What is asked by those who watch runs: the same on both databases, in a few statements."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from taskgraph import Scheduler, task
from taskgraph.events import Event, JobsSubmitted
from taskgraph.provenance.top import Top, look_at_top, top_page
from taskgraph_backend import SqlBackend
from tests.statements import Statements

taskgraph_namespace = "watched"


@task
def takes(seconds: float, n: int) -> int:
    time.sleep(seconds)
    return n


@task
def main(count: int) -> list[int]:
    return [takes(0.02, n) for n in range(count)]


def run(backend: SqlBackend, expr: object, *observers: Callable[[Event], object]) -> None:
    own = SqlBackend(backend.db_uri)
    own.load(migrate=True)
    with Scheduler(backend=own, observers=observers) as scheduler:
        scheduler.run(expr)


def test_how_long_calls_usually_take_is_known_by_name(sql_backend: SqlBackend) -> None:
    run(sql_backend, main(4))

    with sql_backend.reader() as reader:
        found = reader.usual_seconds(["watched.takes", "watched.main", "watched.never", "bare"])

    assert set(found) == {"watched.takes", "watched.main"}
    assert 0.02 <= found["watched.takes"] < 10
    with sql_backend.reader() as reader:
        assert reader.usual_seconds([]) == {}


def test_it_takes_two_statements_whatever_there_is(sql_backend: SqlBackend) -> None:
    run(sql_backend, main(3))
    with sql_backend.reader() as reader:
        few = Statements(reader)
        reader.usual_seconds(["watched.takes"])
        first = len(few.texts)
    run(sql_backend, main(40))
    with sql_backend.reader() as reader:
        many = Statements(reader)
        reader.usual_seconds([f"watched.{name}" for name in ("takes", "main", *"abcdefgh")])

    assert first == len(many.texts) == 2


def test_a_cached_job_knows_who_ran_its_call(sql_backend: SqlBackend) -> None:
    run(sql_backend, takes(0.0, 1))
    run(sql_backend, takes(0.0, 1))

    with sql_backend.reader() as reader:
        newest, before = (reader.newest_execution(number) for number in (1, 2))
        assert newest is not None
        assert before is not None
        assert newest.job is not None
        assert newest.job.cached
        assert [each.id for each in reader.jobs_behind(newest.job)] == [before.job_id]
        assert [each.id for each in reader.jobs_named([newest.job.id])] == [newest.job.id]


def test_what_runs_is_seen_while_it_runs_by_another_connection(sql_backend: SqlBackend) -> None:
    seen: list[Top] = []
    statements: list[int] = []

    @task(namespace="watched", version="1")
    def looks(n: int) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with other.reader() as reader:
                asked = Statements(reader)
                top = look_at_top(reader)
            # Its statements are no snapshot: the execution is there before its jobs are.
            if top.executions and top.executions[0].jobs and top.executions[0].task:
                statements.append(len(asked.texts))
                seen.append(top)
                break
        return n

    with SqlBackend(sql_backend.db_uri) as other:
        run(sql_backend, looks(1))
        with other.reader() as reader:
            assert look_at_top(reader).executions == ()

    (found,) = seen[0].executions
    assert found.state == "RUNNING"
    assert found.task == "watched.looks"
    assert found.pid is not None
    assert found.heartbeat is not None
    assert 0 <= found.heartbeat < 30
    assert found.counts == {"watched.looks": {"RUNNING": 1}}
    assert [job.task for job in found.jobs] == ["watched.looks"]
    assert statements[0] <= 10  # with those that look for executions that crashed
    assert top_page(seen[0])


def test_what_ended_long_ago_is_not_watched(sql_backend: SqlBackend) -> None:
    run(sql_backend, takes(0.0, 1))

    with sql_backend.reader() as reader:
        assert list(reader.watched(datetime.now(UTC) - timedelta(days=1), 10)) == []


def test_events_of_calls_that_wait_for_room_name_their_jobs(sql_backend: SqlBackend) -> None:
    events: list[Event] = []

    @task(namespace="watched", version="1", limits=["one"])
    def alone(n: int) -> int:
        return n

    run(sql_backend, [alone(n) for n in range(4)], events.append)

    submitted = [each for each in events if isinstance(each, JobsSubmitted)]
    assert all(len(each.tasks) == len(each.jobs) == len(each.callers) for each in submitted)
    jobs = [job for each in submitted for job in each.jobs]
    assert len(jobs) == len(set(jobs))
