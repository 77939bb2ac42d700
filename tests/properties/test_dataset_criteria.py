"""What filters mean of datasets, and of executions by what they use: SQL and plain Python agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskgraph
from taskgraph import F
from taskgraph.archive import Archive
from taskgraph.catalog.criteria import All, Any_, Criteria, Leaf, Not
from taskgraph.catalog.data_rows import Dataset
from taskgraph.filters import AnyValue
from taskgraph.jsontext import to_json

_TYPES = ["cmip6", "obs", "a.b", "Any"]
_KEYS = ["model", "year", "a.b", "b.model"]
_VALUES: list[Any] = ["A", "B", 1, None, True]
_ASKED = [*_KEYS, "cmip6.model", "obs.year", "a.b.model", "a.b.a.b", "cmip6.b.model", "zz", "."]
_Used = dict[str, list[tuple[str, Dataset]]]


@pytest.fixture
def filled(database_uri: str) -> Iterator[tuple[Archive, list[Dataset], _Used]]:
    """An archive with datasets of each type, and executions that use some of them."""
    with taskgraph.open(database_uri, migrate=True) as archive:
        made = []
        for number in range(24):
            facets = {
                key: [_VALUES[(number + at) % 5], _VALUES[(number // 2) % 5]]
                for at, key in enumerate(_KEYS)
                if (number >> at) & 1
            }
            made.append(
                archive.datasets.register(
                    f"d{number:02}",
                    [],
                    type=_TYPES[number % 4],
                    study=[None, "s", "t"][number % 3],
                    facets=facets,
                )
            )
        used: _Used = {}
        for number in range(20):
            inputs = [made[(number * 7 + step) % 23] for step in range(number % 4)]
            output = made[number] if number % 3 == 0 else None
            created = archive.executions.create("e", inputs=inputs, output=output).execution
            used[created.id] = [("input", each) for each in inputs]
            used[created.id] += [("output", output)] if output is not None else []
        yield archive, made, used


# What it means, read literally


def _has(dataset: Dataset, key: str, value: Any) -> bool:
    ways = [(None, key)]
    ways += [(key[:at], key[at + 1 :]) for at, each in enumerate(key) if each == "."]
    for type, name in ways:
        if type not in (None, dataset.type):
            continue
        values = [to_json(each) for each in dataset.facets.get(name, [])]
        if values if isinstance(value, AnyValue) else to_json(value) in values:
            return True
    return False


def _facets_fit(dataset: Dataset, operator: str, labels: Any) -> bool:
    if operator == "not_any_":
        return not any(_has(dataset, *each) for each in labels)
    keys = {key for key, _ in labels}
    return all(any(_has(dataset, k, v) for k, v in labels if k == key) for key in keys)


def _fits(dataset: Dataset, criteria: Criteria, role: str | None = None) -> bool:
    match criteria:
        case All(parts):
            return all(_fits(dataset, each, role) for each in parts)
        case Any_(parts):
            return any(_fits(dataset, each, role) for each in parts)
        case Not(part):
            return not _fits(dataset, part, role)
        case Leaf("facet", operator, labels):
            return _facets_fit(dataset, operator, labels)
        case Leaf("role", operator, values):
            return (role in values) == (operator == "any_")
        case Leaf("study", "is_null_", value):
            return (dataset.study is None) == value
        case Leaf(key, "like_", value):
            return value.lower() in str(getattr(dataset, key)).lower()
        case Leaf(key, operator, values):
            return (getattr(dataset, key) in values) == (operator == "any_")
        case _:
            return True


def _uses(used: list[tuple[str, Dataset]], criteria: Criteria) -> bool:
    match criteria:
        case All(parts):
            return all(_uses(used, each) for each in parts)
        case Any_(parts):
            return any(_uses(used, each) for each in parts)
        case Not(part):
            return not _uses(used, part)
        case Leaf("datasets", _, inner):
            return any(_fits(dataset, inner, role) for role, dataset in used)
        case Leaf("facet", operator, labels):
            inputs = [dataset for role, dataset in used if role == "input"]
            if operator == "not_any_":
                return not any(_has(each, *label) for each in inputs for label in labels)
            keys = {key for key, _ in labels}
            return all(
                any(_has(each, k, v) for each in inputs for k, v in labels if k == key)
                for key in keys
            )
        case _:
            return True


# What is asked

_labels = st.lists(
    st.one_of(
        st.sampled_from(_ASKED),
        st.fixed_dictionaries({"key": st.sampled_from(_ASKED), "value": st.sampled_from(_VALUES)}),
    ),
    max_size=3,
)


def _many(key: str, values: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    operators = st.sampled_from(["any_", "not_any_"])
    some = st.lists(st.sampled_from(values), max_size=3)
    return st.builds(lambda operator, value: {key: {operator: value}}, operators, some)


_facet_leaves = st.builds(
    lambda operator, labels: {"facet": {operator: labels}},
    st.sampled_from(["any_", "not_any_"]),
    _labels,
)
_dataset_leaves = st.one_of(
    _facet_leaves,
    _many("type", [*_TYPES, "x"]),
    _many("study", ["s", "t"]),
    _many("name", ["d01", "d05", "D05", "d22"]),
    st.sampled_from([{"study": {"is_null_": True}}, {"name": {"like_": "D1"}}, {}]),
)


def _joined(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: {"and_": parts}),
            st.lists(inner, max_size=3).map(lambda parts: {"or_": parts}),
            inner.map(lambda part: {"not_": part}),
        ),
        max_leaves=5,
    )


_used_leaves = st.one_of(_dataset_leaves, _many("role", ["input", "output"]))
_execution_leaves = st.one_of(
    _facet_leaves, _joined(_used_leaves).map(lambda inner: {"datasets": {"exists_": inner}})
)
_relaxed = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_relaxed
@given(where=_joined(_dataset_leaves))
def test_database_and_python_agree_on_datasets(
    filled: tuple[Archive, list[Dataset], _Used], where: dict[str, Any]
) -> None:
    from taskgraph.catalog.criteria import DATASET_FIELDS
    from taskgraph.catalog.reading import parse

    archive, rows, _ = filled
    meant = parse(where, DATASET_FIELDS)

    found = archive.datasets.list(where)

    assert found == [each for each in rows if _fits(each, meant)]
    assert archive.datasets.count(where) == len(found)
    assert parse(meant.to_json(), DATASET_FIELDS) == meant


@_relaxed
@given(where=_joined(_execution_leaves))
def test_database_and_python_agree_on_executions_by_what_they_use(
    filled: tuple[Archive, list[Dataset], _Used], where: dict[str, Any]
) -> None:
    from taskgraph.catalog.reading import parse

    archive, _, used = filled
    meant = parse(where)

    found = {each.id for each in archive.executions.list(where, limit=1000)}

    assert found == {id for id, uses in used.items() if _uses(uses, meant)}
    assert archive.executions.count(where) == len(found)
    assert parse(meant.to_json()) == meant


def test_criteria_of_datasets_are_made_by_f(
    filled: tuple[Archive, list[Dataset], _Used],
) -> None:
    archive, rows, _ = filled

    found = archive.datasets.list(F.type("cmip6", "obs") & ~F.study("s") & F.facet("model"))

    assert found == [
        each
        for each in rows
        if each.type in ("cmip6", "obs") and each.study != "s" and "model" in each.facets
    ]
