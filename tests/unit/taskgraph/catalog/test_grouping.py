"""Which groups datasets make: each with all facets is in just the groups of its values."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.catalog.group_rows import Candidate
from taskgraph.catalog.grouping import EVERYTHING, derive, facet_of, key_of
from taskgraph.catalog.uses import DatasetPin
from taskgraph.errors import ValidationError

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
_VALUES = st.one_of(
    _TEXT, st.integers(-3, 3), st.booleans(), st.none(), st.sampled_from(["1", "a,b"])
)
_SELECTORS = st.dictionaries(st.sampled_from(["a", "b", "t.a"]), _VALUES, min_size=1)
_FACETS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.lists(_VALUES, min_size=1, max_size=2), max_size=3
)


def same(one: Any, other: Any) -> bool:
    """Tell whether two are one as JSON: 1 and True are not."""
    return repr(one) == repr(other)


def candidates(every: list[tuple[str, dict[str, list[Any]]]]) -> list[Candidate]:
    return [
        Candidate(DatasetPin(f"d{number}", f"{number:032x}", kind, "0" * 32), facets)
        for number, (kind, facets) in enumerate(every)
    ]


@given(_SELECTORS, _SELECTORS)
def test_a_key_is_that_of_its_facets_alone(one: dict[str, Any], other: dict[str, Any]) -> None:
    is_same = same(sorted(one.items()), sorted(other.items()))

    assert (key_of(one) == key_of(other)) == is_same


@given(
    st.lists(st.tuples(st.sampled_from(["t", "u"]), _FACETS), max_size=6),
    st.lists(st.sampled_from(["a", "b", "t.a"]), unique=True, max_size=3),
)
def test_each_dataset_is_in_the_groups_of_its_values(
    every: list[tuple[str, dict[str, list[Any]]]], group_by: list[str]
) -> None:
    given = candidates(every)

    found = derive(given, group_by)

    assert [each.key for each in found] == sorted({each.key for each in found})
    for dataset in given:
        choices = [facet_of(dataset, key) for key in group_by]
        keys = {key_of(dict(zip(group_by, values, strict=True))) for values in product(*choices)}
        assert keys == {each.key for each in found if dataset.pin in each.datasets}


def test_facets_that_are_read_by_people_stay_as_they_are_written() -> None:
    assert key_of({"model": "ACCESS-CM2", "run": 1}) == "model=ACCESS-CM2,run=1"
    assert key_of({"run": "1"}) == 'run="1"'
    assert key_of({}) == EVERYTHING


def test_two_datasets_of_one_name_in_a_group_are_refused() -> None:
    one = Candidate(DatasetPin("same", "0" * 32, "t", "0" * 32), {"a": [1]})
    other = Candidate(DatasetPin("same", "1" * 32, "t", "0" * 32), {"a": [1]})

    with pytest.raises(ValidationError, match="one study at a time"):
        derive([one, other], ["a"])
