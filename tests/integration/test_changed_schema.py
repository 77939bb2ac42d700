"""A schema changes while others write: more they do not mind, else they are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from taskgraph.errors import DatabaseError, DatabaseVersionError
from taskgraph.records import CacheQuery, RecordBatch, State
from taskgraph_backend import SqlBackend, schema
from taskgraph_backend.integrity import check
from tests.rows import a_call, a_job, a_task, a_value, an_evaluation, an_execution, key, together

MORE = f"{schema.CURRENT.major}.{schema.CURRENT.minor + 7}"
OTHER = f"{schema.CURRENT.major + 1}.0"
LESS = f"{schema.CURRENT.major}.{schema.CURRENT.minor - 1}"
WRITE_VERSION = "INSERT INTO taskgraph_version (version, timestamp) VALUES (?, ?)"


@pytest.fixture
def running(own_database_uri: str) -> Iterator[SqlBackend]:
    """A client that has the database open, and has written to it."""
    with SqlBackend(own_database_uri) as backend:
        backend.record(a_task())
        yield backend


def _change(uri: str, version: str, *statements: str) -> None:
    """Do as a newer library: change the schema in one transaction, and say so."""
    newer = SqlBackend(uri)
    with newer.database.changing_schema() as connection:
        driver = newer.database.driver_of(connection)
        for each in statements:
            driver.execute(each)
        driver.execute(WRITE_VERSION, (version, 1))
    newer.close()


def _a_run(number: int) -> RecordBatch:
    return together(
        a_call(number + 100, number, number + 200),
        an_evaluation(number, number + 200),
        an_execution(number + 300, root=number + 400, state=State.COMPLETED),
        a_job(number + 400, execution=number + 300, call=number + 100),
    )


def test_an_older_client_goes_on_with_a_schema_that_has_more(
    running: SqlBackend, own_database_uri: str
) -> None:
    _change(
        own_database_uri,
        MORE,
        "ALTER TABLE job ADD COLUMN later TEXT",
        "ALTER TABLE value ADD COLUMN later BIGINT DEFAULT 7",
        "CREATE TABLE later (id INTEGER PRIMARY KEY)",
        "CREATE INDEX ix_later ON job (state_type)",
    )

    running.record(_a_run(1))
    with SqlBackend(own_database_uri) as another:
        another.record(_a_run(2))

        assert another.get_db_version() == schema.parse_db_version(MORE)
        answers = another.check_cache([CacheQuery(key(1), True), CacheQuery(key(2), True)])
        assert all(each.evaluation and each.calls for each in answers)
        with another.reader() as reader:
            assert len(reader.executions()) == 2
        assert check(another) == []


@pytest.mark.parametrize(
    ("version", "advice"), [(OTHER, "Upgrade taskgraph"), (LESS, "taskgraph db upgrade")]
)
def test_a_running_client_is_told_of_a_schema_that_it_does_not_know(
    running: SqlBackend, own_database_uri: str, version: str, advice: str
) -> None:
    _change(own_database_uri, version)

    with pytest.raises(DatabaseVersionError, match=f"was changed to {version} while.*{advice}"):
        running.record(_a_run(1))
    with pytest.raises(DatabaseVersionError, match="Nothing of the last step was written"):
        running.record_tags("Task", key(0x7A51), [("a", 1)])

    assert running.check_cache([CacheQuery(key(1))])[0].evaluation is None
    assert running.has_records([key(401), key(301)]) == set()


def test_a_client_that_comes_later_is_told_when_it_comes(
    running: SqlBackend, own_database_uri: str
) -> None:
    _change(own_database_uri, OTHER)

    with pytest.raises(DatabaseVersionError, match=r"too new.*Upgrade taskgraph"):
        SqlBackend(own_database_uri).load()


def test_what_is_gone_is_never_half_written(running: SqlBackend, own_database_uri: str) -> None:
    _change(own_database_uri, MORE, "ALTER TABLE evaluation RENAME TO evaluations")

    with pytest.raises(DatabaseError):
        running.record(_a_run(1))

    assert running.has_records([key(401), key(301), key(101), key(201)]) == set()


def test_a_schema_is_upgraded_while_others_write(own_database_uri: str) -> None:
    old = SqlBackend(own_database_uri)
    old.migrate("1.4")
    old.close()
    with SqlBackend(own_database_uri, {"automigrate": True}) as backend:
        backend.record(a_task())
        failed: list[BaseException] = []
        begun, ended = threading.Event(), threading.Event()

        def write(start: int) -> None:
            number = start
            try:
                with SqlBackend(own_database_uri) as other:
                    while not ended.is_set() or number < start + 30:
                        other.record(_a_run(number))
                        number += 1
                        if number == start + 5:
                            begun.set()
            except BaseException as error:
                failed.append(error)

        writers = [threading.Thread(target=write, args=(1000 * each,)) for each in (1, 2, 3)]
        for each in writers:
            each.start()
        begun.wait(30)
        for number in range(4):
            _change(own_database_uri, MORE, f"ALTER TABLE job ADD COLUMN more{number} TEXT")
        ended.set()
        for each in writers:
            each.join()

        assert failed == []
        assert check(backend) == []


def test_values_are_recorded_as_ever_after_an_upgrade(
    running: SqlBackend, own_database_uri: str
) -> None:
    _change(own_database_uri, MORE, "ALTER TABLE value ADD COLUMN later TEXT")

    running.record(RecordBatch(values=[a_value(5)]))

    assert set(running.load_values([key(5)])) == {key(5)}
