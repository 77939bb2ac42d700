"""Criteria that ask for nothing are known as such, however they are written."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.deleting import checked_where
from taskgraph.catalog.reading import parse
from taskgraph.catalog.writing import F
from taskgraph.errors import ValidationError

EVERYTHING: list[Any] = [
    None,
    {},
    {"and_": []},
    {"and_": [{}, {"name": {}}]},
    {"or_": [{"name": {"like_": "a"}}, {}]},
    {"not_": {"not_": {}}},
    {"not_": {"or_": []}},
    {"not_": {"name": {"any_": []}}},
    {"name": {"like_": ""}},
    {"state": {"type": {"not_any_": []}}},
    {"tags": {"all_": []}},
    {"facet": {"any_": []}},
    {"facet": {"not_any_": []}},
    Criteria() & Criteria(),
    F.state() & F.name(),
    F.name("a") | F.all(),
]
SOMETHING: list[Any] = [
    {"name": {"any_": []}},
    {"not_": {}},
    {"or_": []},
    {"retracted": {"is_": False}},
    {"study": {"is_null_": False}},
    {"jobs": {"exists_": {}}},
    {"and_": [{}, {"name": {"like_": "a"}}]},
    {"or_": [{"name": {"like_": "a"}}, {"name": {"any_": []}}]},
    ~F.name("a"),
]


@pytest.mark.parametrize("given", EVERYTHING, ids=str)
def test_what_means_everything_is_empty_and_deletes_nothing(given: Any) -> None:
    meant = parse(given)

    assert meant.is_empty
    with pytest.raises(ValidationError, match="every execution"):
        checked_where(meant, False)
    assert checked_where(meant, True) is meant


@pytest.mark.parametrize("given", SOMETHING, ids=str)
def test_what_means_some_or_none_is_a_filter(given: Any) -> None:
    meant = parse(given)

    assert not meant.is_empty
    assert checked_where(meant, False) is meant
    with pytest.raises(ValidationError, match="one of both"):
        checked_where(meant, True)


def test_a_text_is_one_value_of_a_facet_and_not_its_letters() -> None:
    assert F.facet("model", any="CESM2") == F.facet("model", "CESM2")
    assert F.facet("model", not_any="CESM2") == F.facet("model", not_any=["CESM2"])
    assert F.facet("year", any=2026) == F.facet("year", 2026)
    assert F.facet("model", any=("A", "B")) == F.facet("model", "A", "B")
