from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskgraph.records import RecordBatch, State, SubvalueRecord
from taskgraph_backend import SqlBackend
from taskgraph_backend.reader import Reader
from tests.rows import (
    EXECUTION,
    NOW,
    TASK,
    a_call,
    a_file,
    a_job,
    a_task,
    an_argument,
    an_execution,
    key,
    together,
)

SECOND = 1_000_000
OTHER = 0x7A52


def job_of(number: int, task: int, **said: object) -> RecordBatch:
    batch = a_job(number, **said)  # type: ignore[arg-type]  # as said
    return RecordBatch(jobs=[each._replace(task_hash=key(task)) for each in batch.jobs])


@pytest.fixture
def reader(sql_backend: SqlBackend) -> Iterator[Reader]:
    sql_backend.record(
        together(
            a_task(),
            a_task(OTHER, "g"),
            an_execution(root=10, state=State.FAILED),
            a_job(10, end=NOW + 9 * SECOND, state=State.FAILED),
            a_job(11, parent=10, call=1001, start=NOW + 1, end=NOW + 1 + 2 * SECOND),
            a_job(12, parent=10, call=1002, start=NOW + 2, end=NOW + 3, cached=True),
            job_of(13, OTHER, parent=10, start=NOW + 3, end=NOW + 3 + SECOND, state=State.FAILED),
            job_of(14, OTHER, parent=10, start=NOW + 4, end=None, state=State.RUNNING),
            a_call(1001, 101, 201),
            a_call(1002, 102, 202),
            a_file(301, "in.txt"),
            a_file(302, "out.txt"),
            a_file(303, "between.txt"),
            an_argument(501, 1001, 301),
            an_argument(502, 1002, 303),
            RecordBatch(
                subvalues=[
                    SubvalueRecord(key(201), key(303)),
                    SubvalueRecord(key(202), key(302)),
                ]
            ),
        )
    )
    with Reader(sql_backend) as found:
        yield found


def test_tasks_are_told_by_the_time_that_they_took(reader: Reader) -> None:
    times = reader.task_times(key(EXECUTION), 9)

    told = [(each.task.name, each.ran, each.cached, each.seconds, each.longest) for each in times]
    assert told == [("f", 2, 1, 11.0, 9.0), ("g", 1, 0, 1.0, 1.0)]
    assert [each.task.hash for each in reader.task_times(key(EXECUTION), 1)] == [key(TASK)]
    assert reader.task_times(key(1), 9) == []


def test_the_longest_jobs_come_by_their_start(reader: Reader) -> None:
    assert [job.id for job in reader.longest_jobs(key(EXECUTION), 2)] == [key(10), key(11)]
    assert [job.id for job in reader.longest_jobs(key(EXECUTION), 9)] == [key(10), key(11), key(13)]


def test_a_job_failed_by_itself_if_none_below_it_did(reader: Reader) -> None:
    assert [job.id for job in reader.failed_jobs(key(EXECUTION), 9)] == [key(13)]


def test_files_are_given_from_outside_or_made(reader: Reader) -> None:
    assert [each.path for each in reader.files_given(key(EXECUTION), 9)] == ["in.txt"]
    made = [each.path for each in reader.files_made(key(EXECUTION), 9)]
    assert made == ["between.txt", "out.txt"]
    assert len(reader.files_made(key(EXECUTION), 1)) == 1
