"""Stand-ins for values that lie elsewhere."""

from __future__ import annotations

import pytest

from taskgraph.errors import UnstorableValueError
from taskgraph.hashing import CallHash
from taskgraph.values.pack import pack, pack_or_name
from taskgraph.values.remote import Remote, remotes_in
from taskgraph.values.stored import UNSTORED
from taskgraph.values.walk import find_live
from taskgraph.values.weigh import hash_value, weigh


def remote(name: str = "one", value: object = None) -> Remote:
    made = Remote(name, "builtins.int", f"<{name}>")
    if value is not None:
        made.know(hash_value(value), CallHash("0" * 32))
    return made


def test_one_that_is_known_weighs_what_its_value_weighs() -> None:
    assert remote(value=21).weight == weigh(21)


def test_one_that_is_not_known_is_told_by_its_name() -> None:
    assert remote("one").weight == remote("one").weight
    assert remote("one").weight != remote("two").weight


def test_a_list_with_one_counts_by_its_value_and_is_no_list_of_values() -> None:
    assert hash_value([remote("one", 21)]) == hash_value([remote("two", 21)])
    assert hash_value([remote("one", 21)]) != hash_value([remote("one", 22)])
    assert hash_value([remote("one", 21)]) != hash_value([21])


def test_it_is_never_stored_for_its_value() -> None:
    with pytest.raises(UnstorableValueError, match="<one>"):
        pack([1, remote("one", 21)])


def test_what_it_lies_in_is_recorded_by_what_it_looks_like() -> None:
    value = [1, remote("one", 21)]

    (row,) = pack_or_name(value, weigh(value)).values

    assert (row.value_hash, row.type, row.format) == (hash_value(value), "builtins.list", UNSTORED)
    assert row.preview == "[1, <one>]"


def test_all_are_found_in_what_was_weighed() -> None:
    first, second = remote("one", 1), remote("two")
    value = {"a": [first, [[second]]], "b": 3}

    assert list(remotes_in(value, weigh(value))) == [first, second]
    assert list(remotes_in(first, first.weight)) == [first]
    assert list(remotes_in([1, 2], weigh([1, 2]))) == []


def test_nothing_of_it_is_looked_at_in_the_world() -> None:
    assert find_live([remote()]) == []
