"""`get_context_value`: what stands at a dotted path of nested dicts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph import get_context_value
from taskgraph.tasks.context import context_of_paths

CONTEXT = {"genome": {"build": "hg38", "size": None, "chromosomes": ["1", "2"]}, "rate": 3}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("rate", 3),
        ("genome.build", "hg38"),
        ("genome", CONTEXT["genome"]),
        ("genome.size", None),  # there, and None
        ("genome.name", "?"),
        ("genome.build.year", "?"),
        ("genome.chromosomes.0", "?"),  # a list has no names
        ("", "?"),
        ("genome.", "?"),
        ("absent.at.all", "?"),
    ],
)
def test_a_path_leads_to_a_value_or_to_the_default(path: str, found: Any) -> None:
    assert get_context_value(CONTEXT, path, "?") == found


def test_the_default_is_none_if_none_is_given() -> None:
    assert get_context_value({}, "a.b.c") is None


names = st.text(st.characters(exclude_characters="."), min_size=1, max_size=3)


@given(st.lists(names, min_size=1, max_size=4), st.integers())
def test_what_is_put_at_a_path_is_found_there(path: list[str], value: int) -> None:
    dotted = ".".join(path)

    assert get_context_value(context_of_paths({dotted: value}), dotted) == value
