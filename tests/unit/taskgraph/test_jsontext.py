"""What is kept as JSON is read as it was: also the floats that JSON takes for whole numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskgraph.jsontext import mark_floats, normalize_json, read_floats, to_json

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
_KEYS = _TEXT | st.sampled_from(["$float", "$plain"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-3, 3).map(float)
    | _TEXT
    | st.sampled_from(["1.0", "inf", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def exact(value: Any) -> str:
    """Return a text that tells numbers apart which compare equal."""
    return json.dumps(value, sort_keys=True)


@given(value=JSON)
@example(value=[1.0, -0.0, 0.0, 1e22, -1e308, 5e-324, 0.1, 1, 10**40, True])
@example(value={"$float": "1.0"})
@example(value={"$plain": {"$float": 1.0}})
@example(value={"$float": 1.0, "$plain": 2.0})
def test_numbers_come_back_as_they_were(value: Any) -> None:
    kept = to_json(mark_floats(value))

    assert exact(read_floats(json.loads(kept))) == exact(value)
    assert normalize_json(kept) == kept  # as any database has it


def test_what_was_kept_before_is_read_as_it_is() -> None:
    assert read_floats({"a": [1, 0.5, {"b": None}]}) == {"a": [1, 0.5, {"b": None}]}
    assert mark_floats((1.0, 2)) == [{"$float": "1.0"}, 2]


_NONE = [float("nan"), float("inf"), -float("inf"), 10**5_000]


@pytest.mark.parametrize("value", _NONE, ids=["nan", "inf", "-inf", "large"])
def test_what_is_no_number_of_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"not a JSON number|limit \(4300 digits\)"):
        to_json(mark_floats({"x": value}))
