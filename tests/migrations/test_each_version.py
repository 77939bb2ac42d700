"""Data of each version go up and down through all others, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import F
from taskgraph_backend import SqlBackend, schema
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity import check
from tests.migrations.old_rows import ADDED, HASHES, NEW_COLUMNS, TIMES, rows_of

_FLAGS = frozenset(
    {
        "trusted",
        "is_current",
        "is_valid",
        "cached",
        "retracted",
        "promoted",
        "enabled",
        "dirty",
        "cascades",
    }
    | {"recompute", "read_only", "in_use"}
)
_EMPTY_OF_JOBS = ("state_name", "run_count", "dynamic_key", "queue", "step_position")
VERSIONS = [str(each) for each in schema.all_versions()]


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlBackend]:
    """A database of each kind without any table."""
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    if request.param == "postgres":
        uri = request.getfixturevalue("empty_postgres_uri")
    with closing(SqlBackend(uri)) as made:
        yield made


def _stored(column: str, value: Any) -> Any:
    return value.to_bytes(16, "big") if column in HASHES and value is not None else value


def _fill(backend: SqlBackend, tables: dict[str, list[dict[str, Any]]]) -> None:
    driver = backend.database.connect()
    driver.execute("BEGIN")
    for table, rows in tables.items():
        for row in rows:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            driver.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                [_stored(column, value) for column, value in row.items()],
            )
    driver.execute("COMMIT")
    driver.close()


def _read(driver: Driver, tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    found = {}
    for table, rows in tables.items():
        columns = list(rows[0])
        read = driver.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        found[table] = sorted(
            (
                tuple(_plain(column, value) for column, value in zip(columns, row, strict=True))
                for row in read
            ),
            key=repr,
        )
    return found


def _plain(column: str, value: Any) -> Any:
    if column in HASHES and value is not None:
        return int.from_bytes(value, "big")
    if column in _FLAGS:
        return bool(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    if column == "value" and isinstance(value, str):
        return json.loads(value)
    return value


def _expected(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    return {
        table: sorted(
            (
                tuple(
                    json.loads(value) if column == "value" and isinstance(value, str) else value
                    for column, value in row.items()
                )
                for row in rows
            ),
            key=repr,
        )
        for table, rows in tables.items()
    }


def _there(backend: SqlBackend, tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    driver = backend.database.connect()
    try:
        return _read(driver, tables)
    finally:
        driver.close()


def test_there_are_rows_of_each_version() -> None:
    """Whoever adds a version says what a database of it has."""
    assert list(ADDED) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_version_wrote_is_there_in_all_later_ones_and_on_the_way_back(
    backend: SqlBackend, version: str
) -> None:
    backend.migrate(version)
    rows = rows_of(version)
    _fill(backend, rows)
    later = VERSIONS[VERSIONS.index(version) + 1 :]

    for step in later:
        backend.migrate(step)
        assert _there(backend, rows) == _expected(rows), f"on the way to {step}"
    for step in reversed([version, *later[:-1]]):
        backend.migrate(step)
        assert _there(backend, rows) == _expected(rows), f"on the way back to {step}"

    assert str(backend.get_db_version()) == version


def test_the_newest_one_has_nothing_wrong(backend: SqlBackend) -> None:
    backend.migrate(VERSIONS[0])
    _fill(backend, {**rows_of(VERSIONS[0]), "lease": []})
    backend.migrate()

    found = {each.rule for each in check(backend, contents=False)}

    # These rows are none that hang together in all ways, but none of them dangles.
    assert "what a row refers to is there" not in found
    assert "the file is sound" not in found


def test_tags_of_what_an_earlier_version_has_no_place_for_go_with_it(
    backend: SqlBackend, tmp_path: Path
) -> None:
    backend.migrate()
    (tmp_path / "a.txt").write_text("a")
    with taskgraph.open(backend.db_uri) as tg:
        made = tg.executions.create("x", tags={"team": "ml"}, state="COMPLETED").execution
        for value in ("v", "w"):
            tg.datasets.register("raw", [tmp_path / "a.txt"], facets={"k": value})
        tg.vocabulary.define("k")
        tg.artifacts.add(made, "data", "number", value=7, dimensions={"k": "w"})

    backend.migrate("1.7")
    backend.migrate()

    assert check(backend) == []
    with taskgraph.open(backend.db_uri) as tg:
        assert tg.executions.count(F.tags(all={"team": "ml"})) == 1


def _columns(backend: SqlBackend) -> set[tuple[str, str]]:
    from sqlalchemy import inspect

    backend.create_engine().dispose()
    found = inspect(backend.create_engine())
    return {
        (table, column["name"])
        for table in found.get_table_names()
        for column in found.get_columns(table)
    }


_TYPES_OF_STEPS = {("workflow_step", "input_type"), ("workflow_step", "output_type")}
_GOES_WITH_OTHERS = {
    "assignment",
    "execution_pool",
    "notification",
    "package_task",
    "routed_call",
}


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_what_a_way_back_would_lose_is_told_before(backend: SqlBackend, version: str) -> None:
    backend.migrate()
    _fill(backend, rows_of(VERSIONS[-1]))
    before = _columns(backend)

    told = {each.what: each.count for each in backend.find_losses(version)}
    untouched = _there(backend, rows_of(VERSIONS[-1]))
    backend.migrate(version)
    lost = before - _columns(backend)

    assert untouched == _expected(rows_of(VERSIONS[-1]))
    # A seal says nothing that its row does not say: rows without one are taken as they are. The
    # call of an entry is found by its key again, and which calls were retracted by their tags.
    said_elsewhere = {("evaluation", "call_hash"), ("call_node", "retracted")}
    # Nothing is in these; and steps go with their workflows, links with their datasets.
    said_elsewhere |= {("job", column) for column in _EMPTY_OF_JOBS}
    said_elsewhere |= {each for each in lost if each[0] == "execution_dataset"}
    said_elsewhere |= {each for each in lost if each[0] == "workflow_step"} - _TYPES_OF_STEPS
    # These go with workers, policies, users, packages and runs, which are told of.
    said_elsewhere |= {each for each in lost if each[0] in _GOES_WITH_OTHERS}
    tables = {t for t, column in lost if column != "seal" and (t, column) not in said_elsewhere}
    expected = {
        "task_alias": ("aliases of tasks", 1),
        "job": ("reasons why jobs were run", 2),
        "foreign_record": ("marks of where records came from", 1),
        "foreign_evaluation": ("cache entries from elsewhere", 1),
        "foreign_alias": ("aliases from elsewhere", 1),
        "quarantine": ("rows that a repair put aside", 1),
        "state": ("states that executions were in", 1),
        "study": ("studies", 1),
        "workflow": ("workflows", 1),
        "execution_group": ("groups of executions", 1),
        "dataset": ("datasets", 1),
        "artifact": ("artifacts", 1),
        "tag_key": ("keys of the vocabulary", 1),
        "retraction": ("retractions", 1),
        "queued": ("executions that wait for a worker", 1),
        "worker": ("workers", 1),
        "worker_pool": ("pools of workers", 1),
        "notification_policy": ("policies of notifications", 1),
        "task_package": ("packages of tasks", 1),
        "operation": ("operations", 1),
        "user_account": ("users", 1),
        "user_group": ("groups of users", 1),
        "user_group_member": ("members of groups of users", 1),
        "workflow_step": ("types of steps of workflows", 1),
        "execution": ("executions with a study, a workspace or a key", 1),
    }
    # Whatever is gone was announced, and nothing else.
    assert told == dict(expected[table] for table in tables)


def test_a_way_back_that_loses_nothing_says_nothing(backend: SqlBackend) -> None:
    backend.migrate()

    assert backend.find_losses("1.0") == []


def test_versions_hold_columns_of_all_tables() -> None:
    named = {column for rows in rows_of(VERSIONS[-1]).values() for row in rows for column in row}

    assert named >= HASHES
    assert named >= TIMES
    assert set(NEW_COLUMNS) <= set(VERSIONS)


def test_what_is_known_of_earlier_executions_is_written_into_the_new_columns(
    backend: SqlBackend,
) -> None:
    backend.migrate("1.7")
    _fill(backend, rows_of("1.7"))

    backend.migrate("1.8")

    columns = "entrypoint, start_time, end_time, created_at, run_count, state_name, total_run_time"
    with closing(backend.database.connect()) as driver:
        (row,) = driver.execute(f"SELECT {columns} FROM execution").fetchall()
    began, ended = 1_700_000_000_000_006, 1_700_000_000_000_002
    assert tuple(row) == ("ns.f", began, ended, began, 1, "", 0)


def test_older_library_goes_on_beside_the_new_columns(backend: SqlBackend) -> None:
    backend.migrate("1.8")

    _fill(backend, rows_of("1.7"))

    with closing(backend.database.connect()) as driver:
        (row,) = driver.execute("SELECT name, created_at, retracted FROM execution").fetchall()
        assert (row[0], row[1], bool(row[2])) == ("", 0, False)
