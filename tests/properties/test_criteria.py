"""Filters mean the same to a database as to plain Python, on random executions; so does counting.

The oracle reads the rules literally, and knows nothing of SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskgraph
from taskgraph.archive import Archive
from taskgraph.catalog.criteria import All, Any_, Criteria, Leaf, Not
from taskgraph.catalog.reading import leaf, parse
from taskgraph.catalog.rows import Execution
from taskgraph.filters import AnyValue
from taskgraph.jsontext import to_json

_NAMES = ["nightly", "Night%ly", "smoke_test", "SMOKE", "é", "a.b", "", "\\"]
_PARTS = ["night", "NIGHT", "%", "_", "\\", "e", "É", "", ".b", "zz"]
_STUDIES = ["s", "S2", "other"]
_TAGS: list[tuple[str, Any]] = [("k", 1), ("k", "1"), ("k", None), ("team", "ml"), ("l", [1])]
_STATES = ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED"]


class Rows(list[Execution]):
    """What is there; shown as a word, for hypothesis writes down what it was given."""

    def __repr__(self) -> str:
        return "rows"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Archive, Rows]]:
    """A database with executions of all sorts, and what is in it."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('criteria') / 'taskgraph.db'}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        uri = server.make_database()
    with taskgraph.open(uri, migrate=True) as archive:
        _fill(archive)
        yield archive, Rows(archive.executions.list(limit=1000, include_retracted=True))
    if request.param == "postgres":
        server.drop_database(uri)


def _fill(archive: Archive) -> None:
    for number in range(40):
        name = _NAMES[number % 8]
        made = archive.executions.create(
            f"flows.{name or 'f'}" if number % 3 else name or "f",
            name=name or None,
            study=(*_STUDIES, None)[number % 4],
            queues=["gpu"] if number % 5 == 0 else (),
            tags=[tag for at, tag in enumerate(_TAGS) if (number >> at) & 1],
            state=_STATES[number % 7],
            submitted_by=None if number % 2 else "Ada",
            idempotency_key=f"K{number}" if number % 6 == 0 else None,
        ).execution
        if number % 4 == 0:
            archive.executions.set_state(made, "RUNNING", force=True)
        if number % 8 == 0:
            archive.executions.set_state(made, "COMPLETED")


# The oracle


def _fits(execution: Execution, criteria: Criteria) -> bool:
    match criteria:
        case All(parts):
            return all(_fits(execution, each) for each in parts)
        case Any_(parts):
            return any(_fits(execution, each) for each in parts)
        case Not(part):
            return not _fits(execution, part)
        case Leaf(key, operator, value):
            return _leaf_fits(execution, key, operator, value)
        case _:
            return True


_COLUMNS = {
    "id": "id",
    "name": "name",
    "entrypoint": "entrypoint",
    "status": "status",
    "study": "study",
    "workspace": "workspace",
    "idempotency_key": "idempotency_key",
    "submitted_by": "submitted_by",
    "created": "created_at",
    "started": "start_time",
    "ended": "end_time",
    "expected_start": "expected_start_time",
    "next_scheduled_start": "next_scheduled_start_time",
}


def _lower(text: str) -> str:
    return "".join(each.lower() if each.isascii() else each for each in text)


def _leaf_fits(execution: Execution, key: str, operator: str, value: Any) -> bool:
    match key:
        case "tags" | "queues":
            return _tags_fit(execution, key, operator, value)
        case "state.type":
            found: Any = execution.state.type.value
        case "state.name":
            found = execution.state.name
        case "task":
            full = execution.entrypoint
            named = any(full == each or full.endswith(f".{each}") for each in value)
            return named if operator == "any_" else not named
        case "jobs":
            return False  # there are none
        case "retracted":
            return execution.retracted == value
        case _:
            found = getattr(execution, _COLUMNS[key])
    match operator:
        case "any_":
            return found in value
        case "not_any_":
            return found not in value
        case "like_" if key == "id":
            return bool(value) and str(found).startswith(value)
        case "like_":
            return found is not None and _lower(value) in _lower(found)
        case "before_":
            return found is not None and found <= value
        case "after_":
            return found is not None and found >= value
        case _:
            return (found is None) == value


def _tags_fit(execution: Execution, key: str, operator: str, value: Any) -> bool:
    if key == "queues":
        own = {("taskgraph.queue", to_json(each)) for each in value}
        wanted = [({pair}, pair[0]) for pair in own]
        tags = [(k, v) for k, vs in execution.tags.items() for v in vs if k == "taskgraph.queue"]
    else:
        tags = [(k, v) for k, vs in execution.tags.items() for v in vs]
        wanted = (
            [(set() if isinstance(v, AnyValue) else {(k, to_json(v))}, k) for k, v in value or ()]
            if not isinstance(value, bool)
            else []
        )
    have = {(k, to_json(v)) for k, v in tags}
    keys = {k for k, _ in tags}
    hits = [bool(pairs & have) if pairs else k in keys for pairs, k in wanted]
    match operator:
        case "all_":
            return all(hits)
        case "any_":
            return any(hits)
        case "not_any_":
            return not any(hits)
        case _:
            mine = {k for k in keys if key == "queues" or not k.startswith("taskgraph.")}
            return (not mine) == value


# What is asked


def _texts(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=3)


@st.composite
def _leaves(draw: st.DrawFn, rows: Rows) -> Criteria:
    text = {
        "name": [*_NAMES, "f"],
        "entrypoint": [f"flows.{each}" for each in _NAMES],
        "study": _STUDIES,
        "idempotency_key": ["K0", "K6", "k0"],
        "submitted_by": ["Ada", "ada"],
        "state.name": ["Running", "Completed", "running"],
        "id": [each.id for each in rows[:3]],
    }
    key = draw(st.sampled_from([*text, "state.type", "status", "task", "tags", "queues", "time"]))
    if key == "time":
        when = draw(st.sampled_from(rows)).created_at + timedelta(
            microseconds=draw(st.integers(-1, 1))
        )
        name = draw(st.sampled_from(["created", "started", "ended", "expected_start"]))
        nullable = name != "created" and draw(st.booleans())
        if nullable:
            return leaf(name, "is_null_", draw(st.booleans()))
        return leaf(name, draw(st.sampled_from(["before_", "after_"])), when)
    many = draw(st.sampled_from(["any_", "not_any_"]))
    match key:
        case "state.type":
            return leaf(key, many, draw(_texts(_STATES)))
        case "status":
            return leaf(key, many, draw(_texts(["RUNNING", "DONE", "FAILED", "PENDING", "CACHED"])))
        case "task":
            return leaf(key, many, draw(_texts([*_NAMES, "flows.é", "b"])))
        case "queues":
            return leaf(key, draw(st.sampled_from(["any_", "all_"])), draw(_texts(["gpu", "x"])))
        case "tags":
            operator = draw(st.sampled_from(["all_", "any_", "not_any_", "is_null_"]))
            if operator == "is_null_":
                return leaf(key, operator, draw(st.booleans()))
            some = st.one_of(st.sampled_from(_TAGS), st.sampled_from(["k", "team=ml", "zz"]))
            return leaf(key, operator, draw(st.lists(some, max_size=3)))
        case _:
            operator = draw(st.sampled_from(["any_", "not_any_", "like_", "is_null_"]))
            if operator == "is_null_" and key in {"study", "idempotency_key", "submitted_by"}:
                return leaf(key, operator, draw(st.booleans()))
            if operator == "like_":
                return leaf(key, operator, draw(st.sampled_from([*_PARTS, rows[0].id[:2]])))
            return leaf(key, many, draw(_texts(text[key])))


def _criteria(rows: Rows) -> st.SearchStrategy[Criteria]:
    return st.recursive(
        st.one_of(_leaves(rows), st.just(Criteria())),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
            st.lists(inner, max_size=3).map(lambda parts: Any_(tuple(parts))),
            inner.map(lambda part: ~part),
            st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        ),
        max_leaves=6,
    )


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_database_and_python_agree(filled: tuple[Archive, Rows], data: st.DataObject) -> None:
    archive, rows = filled
    where = data.draw(_criteria(rows))

    found = archive.executions.list(where, limit=1000)

    assert {each.id for each in found} == {each.id for each in rows if _fits(each, where)}
    assert archive.executions.count(where) == len(found)


@given(data=st.data())
def test_json_stands_for_the_same(data: st.DataObject) -> None:
    moment = datetime.fromisoformat("2026-01-31T18:00:00+00:00")
    rows = Rows([Execution("ab" * 16, "n", "f", taskgraph.State.parse("RUNNING"), moment)])
    where = data.draw(_criteria(rows))

    assert parse(where.to_json()) == where
