"""What a run says of its arguments can always be kept, and is never large."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskgraph import task
from taskgraph.app.roots import root_of
from taskgraph.app.submitting import Wanted, with_submission
from taskgraph.engine.options import RunOptions
from taskgraph.jsontext import to_json
from taskgraph.records import ExecutionId

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=30,
)
_OPTIONS = RunOptions(ExecutionId("5a" * 16))


@task
def keeps(x: Any, *rest: Any, **more: Any) -> None:
    """Take anything."""


def _said(*args: Any, **kwargs: Any) -> Any:
    import json

    options = with_submission(root_of(keeps(*args, **kwargs)), _OPTIONS, Wanted())
    return json.loads(options.submission.parameters)


@given(value=_VALUES)
def test_any_argument_can_be_kept(value: Any) -> None:
    assert to_json(_said(value, value, more=value))


def test_plain_arguments_are_as_they_are() -> None:
    given = {"a": [1, 2.5, None, True, "ä\n"]}

    assert _said(given, 3, y="z") == {"x": given, "rest": [3], "more": {"y": "z"}}


def test_what_is_large_or_strange_is_known_by_its_type() -> None:
    assert _said(list(range(10_000))) == {"x": {"type": "builtins.list"}}
    assert _said("x" * 5_000) == {"x": {"type": "builtins.str"}}
    assert _said(2**70) == {"x": {"type": "builtins.int"}}
    assert _said("a\0b") == {"x": {"type": "builtins.str"}}
    assert _said("\ud800") == {"x": {"type": "builtins.str"}}
    assert _said(float("nan")) == {"x": {"type": "builtins.float"}}


def test_what_is_no_call_has_no_parameters() -> None:
    options = with_submission(root_of([keeps(1)]), _OPTIONS, Wanted(name="list"))

    assert (options.submission.name, options.submission.parameters) == ("list", "{}")
