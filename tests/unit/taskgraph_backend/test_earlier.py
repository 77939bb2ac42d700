"""Earlier calls are found by indexes, in a number of statements that no history changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from taskgraph.hashing import digest_bytes
from taskgraph.records import PartRecord, RecordBatch, State, TaskPartRecord, ValueRecord
from taskgraph_backend import SqlBackend
from taskgraph_backend.reader import Reader
from tests.rows import (
    NOW,
    TASK,
    a_call,
    a_job,
    a_task,
    an_argument,
    an_edge,
    an_execution,
    key,
    together,
)

OTHER, OWN = 0x7A52, 0x7A53
RUN, EARLIER = 0xE1, 0xE2
START = datetime.fromtimestamp(NOW / 1_000_000, UTC)
LATER = START + timedelta(days=1)


def parts() -> RecordBatch:
    return RecordBatch(
        parts=[
            PartRecord(key(801), "function", "m.f", "def f(): ..."),
            PartRecord(key(802), "constant", "m.X", "1"),
        ],
        task_parts=[
            TaskPartRecord(key(TASK), key(801)),  # type: ignore[arg-type]
            TaskPartRecord(key(OTHER), key(801)),  # type: ignore[arg-type]
            TaskPartRecord(key(OTHER), key(802)),  # type: ignore[arg-type]
        ],
    )


@pytest.fixture
def reader(sql_backend: SqlBackend) -> Iterator[Reader]:
    sql_backend.record(
        together(
            a_task(),
            a_task(OTHER),
            a_task(OWN, "root_task", "taskgraph"),
            parts(),
            an_execution(EARLIER, root=10, state=State.COMPLETED),
            an_execution(RUN, root=20, state=State.COMPLETED),
            a_call(1000, 100, 200),
            a_call(1001, 101, 201),
            a_call(1002, 102, 202),
            an_edge(1000, 1001, 0),
            an_edge(1000, 1002, 1),
            an_edge(1000, 1001, 2),
            an_argument(500, 1002, 201, upstream=(1001,)),
            an_argument(501, 1002, 203, position=1, name=None),
            a_job(10, execution=EARLIER, call=1000, end=NOW + 9),
            a_job(11, execution=EARLIER, parent=10, call=1001, start=NOW + 2, end=NOW + 4),
            a_job(20, execution=RUN, call=1000, start=NOW + 20, end=NOW + 29, cached=True),
            a_job(21, execution=RUN, parent=20, call=1001, start=NOW + 21, end=NOW + 22),
            a_job(22, execution=RUN, parent=21, call=1002, start=NOW + 23, end=NOW + 24),
        )
    )
    with sql_backend.reader() as reader:
        yield reader


def test_versions_of_a_task_come_with_the_newest_call_first(reader: Reader) -> None:
    assert reader.task_versions("ns.f", 5) == [key(TASK), key(OTHER)]
    assert reader.task_versions("ns.f", 1) == [key(TASK)]
    assert reader.task_versions("ns.g", 5) == []


def test_calls_are_found_by_their_keys_and_by_time(reader: Reader) -> None:
    (found,) = reader.calls_by_key([key(101), key(999)], LATER)
    versions = [key(TASK), key(OTHER)]

    assert found.call_hash == key(1001)
    assert reader.calls_by_key([key(101)], START) == [], "only those that were made before"
    assert {each.call_hash for each in reader.newest_calls(versions, LATER, 5)} == {
        key(1000),
        key(1001),
        key(1002),
    }
    assert len(reader.newest_calls(versions, LATER, 2)) == 2
    assert reader.newest_calls(versions, START - timedelta(days=1), 5) == []
    assert reader.newest_calls([], LATER, 5) == []


def test_child_calls_are_found_by_their_place(reader: Reader) -> None:
    found = reader.calls_at([(key(1000), 1), (key(1000), 7)])

    assert {place: each.call_hash for place, each in found.items()} == {(key(1000), 1): key(1002)}
    assert reader.orders_in([(key(1000), key(1001)), (key(1000), key(1002))]) == {
        (key(1000), key(1001)): 0,
        (key(1000), key(1002)): 1,
    }


def test_arguments_and_where_they_came_from(reader: Reader) -> None:
    found = reader.arguments_of([key(1000), key(1002)])
    givers = reader.givers_of([key(1002)], key(RUN), 10)

    assert found[key(1000)] == []
    assert {(each.position, each.value_hash) for each in found[key(1002)]} == {
        (0, key(201)),
        (1, key(203)),
    }
    assert [(each.giver_hash, each.job_id) for each in givers[key(1002)]] == [(key(1001), key(21))]


def test_calls_of_an_execution(reader: Reader) -> None:
    calls = [key(1000), key(1001), key(1002)]

    assert reader.calls_made_in(key(EARLIER), calls) == {key(1000), key(1001)}


def test_parts_and_their_texts(reader: Reader) -> None:
    found = reader.parts_of([key(OTHER), key(OWN)])

    assert [(each.kind, each.name) for each in found[key(OTHER)]] == [
        ("function", "m.f"),
        ("constant", "m.X"),
    ]
    assert found[key(OWN)] == []
    assert reader.texts_of_parts([key(802)]) == {key(802): "1"}


def test_jobs_that_ran(reader: Reader) -> None:
    missed = reader.missed_jobs(key(RUN), 10)
    below = reader.missed_below(key(20), 10)

    assert [each.id for each in missed] == [key(21), key(22)]
    assert [each.id for each in reader.missed_jobs(key(RUN), 10, "ns.other")] == []
    assert [each.id for each in reader.missed_jobs(key(RUN), 1, "ns.f")] == [key(21)]
    assert [each.id for each in below] == [key(21), key(22)]
    newest = reader.newest_job("ns.f", 10)
    assert newest is not None and newest.id == key(21), "those that ran come first"
    assert reader.newest_job("ns.none", 10) is None


def test_a_value_that_is_not_trusted_is_not_given_to_be_decoded(
    reader: Reader, sql_backend: SqlBackend
) -> None:
    content = b"imported"
    sql_backend.record(
        RecordBatch(
            values=[
                ValueRecord(
                    key(900),  # type: ignore[arg-type]
                    "builtins.int",
                    "pickle",
                    content,
                    len(content),
                    "<900>",
                    digest_bytes(content),
                    trusted=False,
                )
            ]
        )
    )

    assert reader.trusted_values([key(900), key(201)], 1_000).keys() == {key(201)}
    assert reader.trusted_values([key(201)], 0) == {}
    assert set(reader.values_of([key(900), key(201)])) == {key(900), key(201)}


_SCAN_OF_A_TABLE = re.compile(r"SCAN (?!anon|below|wanted|\(|\d|CONSTANT)")


class _Plans:
    """The plans of the statements that a session runs."""

    def __init__(self, reader: Reader) -> None:
        self.seen: list[tuple[str, Any]] = []
        event.listen(reader.get_bind(), "before_cursor_execute", self._note)

    def _note(self, *given: Any) -> None:
        if "SELECT" in given[2] and "EXPLAIN" not in given[2]:
            self.seen.append((given[2], given[3]))


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: reader.task_versions("ns.f", 5),
        lambda reader: reader.calls_by_key([key(n) for n in range(9)], LATER),
        lambda reader: reader.newest_calls([key(TASK), key(OTHER)], LATER, 200),
        lambda reader: reader.calls_at([(key(1000), 1), (key(1000), 2)]),
        lambda reader: reader.orders_in([(key(1000), key(1001))]),
        lambda reader: reader.calls_made_in(key(RUN), [key(1000)]),
        lambda reader: reader.arguments_of([key(1000), key(1001)]),
        lambda reader: reader.givers_of([key(1000)], key(RUN), 10),
        lambda reader: reader.parts_of([key(TASK)]),
        lambda reader: reader.texts_of_parts([key(801)]),
        lambda reader: reader.values_of([key(201)]),
        lambda reader: reader.trusted_values([key(201)], 10),
        lambda reader: reader.missed_jobs(key(RUN), 10),
        lambda reader: reader.missed_below(key(20), 10),
        lambda reader: reader.newest_job("ns.f", 10),
        lambda reader: reader.jobs_that_ran(key(100), LATER),
        lambda reader: reader.started(key(RUN)),
        lambda reader: reader.past_jobs([key(20)]),
    ],
)
def test_no_table_is_read_as_a_whole(reader: Reader, ask: Any) -> None:
    plans = _Plans(reader)

    ask(reader)

    assert plans.seen
    driver = reader.connection().connection.dbapi_connection
    read = _READ_AS_A_WHOLE[reader.get_bind().dialect.name]
    assert [read(driver, *each) for each in plans.seen] == [[]] * len(plans.seen)


def _read_by_sqlite(driver: Any, statement: str, parameters: Any) -> list[str]:
    cursor = driver.cursor()
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    steps = [row[3] for row in cursor.fetchall()]
    # What was put together in memory may be scanned; tables may not.
    return [each for each in steps if re.match(r"SCAN (?!anon|below|wanted|\(|\d|CONSTANT)", each)]


def _read_by_postgresql(driver: Any, statement: str, parameters: Any) -> list[str]:
    cursor = driver.cursor()
    # Small tables are quicker read than looked up: only where no index can serve it does so now.
    cursor.execute("SET enable_seqscan = off")
    cursor.execute(f"EXPLAIN {statement}", parameters)
    return [step for (step,) in cursor.fetchall() if "Seq Scan" in step]


_READ_AS_A_WHOLE: dict[str, Callable[..., list[str]]] = {
    "sqlite": _read_by_sqlite,
    "postgresql": _read_by_postgresql,
}
