"""What is kept of a schema has no secret in it, and allows what the schema allowed."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.catalog.schema_secrets import schema_without_secrets

KEY = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"  # of a documentation, and no one's


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"type": "string", "default": KEY}, {"type": "string"}),
        ({"enum": ["a", KEY]}, {}),
        ({"enum": ["a", 1, None]}, {"enum": ["a", 1, None]}),
        ({"enum": [{"enum": [KEY]}]}, {}),
        ({"const": KEY, "title": "t"}, {"title": "t"}),
        ({"pattern": f"^{KEY}$"}, {}),
        ({"description": f"as {KEY}"}, {"description": "as ***"}),
        ({"examples": [{"a": [KEY]}], "minimum": 1}, {"minimum": 1}),
        (
            {"properties": {"default": {"default": KEY}, "enum": {"enum": [1]}}},
            {"properties": {"default": {}, "enum": {"enum": [1]}}},
        ),
        (
            {"anyOf": [{"enum": [KEY]}, {"type": "null"}, True]},
            {"anyOf": [{}, {"type": "null"}, True]},
        ),
        ({"items": {"default": {"a": KEY}}}, {"items": {}}),
        (
            {"$defs": {"a": {"const": KEY}}, "$ref": "#/$defs/a"},
            {"$defs": {"a": {}}, "$ref": "#/$defs/a"},
        ),
        (
            {"additionalProperties": False, "required": ("a",)},
            {"additionalProperties": False, "required": ("a",)},
        ),
        (None, None),
        (True, True),
    ],
)
def test_a_keyword_with_a_secret_in_it_is_left_out_whole(said: Any, kept: Any) -> None:
    found = schema_without_secrets(said)

    assert found == kept
    assert KEY not in str(found)
