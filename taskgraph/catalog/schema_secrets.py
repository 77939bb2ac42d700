"""Schemas of tasks that others wrote, as they are kept: without what looks like a secret in them.

What is left allows at least what the whole of it did: a keyword that would say something else with
a part of it left out is left out whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from taskgraph.catalog.secrets import json_without_secrets
from taskgraph.jsontext import to_json

# What people read; with a part of it left out it is read still.
_TEXTS: Final = frozenset({"$comment", "description", "title"})
_VALUES: Final = frozenset({"const", "default", "enum", "examples"})
_NAMED: Final = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)


def schema_without_secrets(schema: Any) -> Any:
    """Return a schema that somebody wrote without what looks like a secret. Any: JSON."""
    if not isinstance(schema, Mapping):
        return json_without_secrets(schema)
    kept = {str(key): _kept(str(key), said) for key, said in schema.items()}
    return {key: each for key, each in kept.items() if each is not _GONE}


_GONE: Final = object()


def _kept(key: str, said: Any) -> Any:
    """Return what a keyword may say; `_GONE` where it is to say nothing."""
    if key in _TEXTS:
        return json_without_secrets(said)
    if key in _NAMED and isinstance(said, Mapping):
        return {str(name): schema_without_secrets(each) for name, each in said.items()}
    if key not in _VALUES and isinstance(said, Mapping):
        return schema_without_secrets(said)
    is_list = key not in _VALUES and isinstance(said, list | tuple)
    if is_list and any(isinstance(each, Mapping) for each in said):
        return [schema_without_secrets(each) for each in said]
    return said if to_json(json_without_secrets(said)) == to_json(said) else _GONE


__all__ = ["schema_without_secrets"]
