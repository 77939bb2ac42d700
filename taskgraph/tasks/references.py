"""What a JSON schema refers to: definitions of its own, which are there, and do not go in circles.

Schemas lie in a schema at places that are known; what lies elsewhere, as a default or an example,
is data, whatever its keys are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_OWN: Final = "#/$defs/"
_REFS: Final = ("$ref", "$dynamicRef")
# Keywords that say more of the very value that the schema speaks of; and those that speak of what
# lies in it. Of each a schema is the value, or schemas are in a list, or by name.
_SAME: Final = ("not", "if", "then", "else")
_SAME_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SAME_NAMED: Final = ("dependentSchemas",)
_INNER: Final = (
    "additionalProperties",
    "contains",
    "contentSchema",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_INNER_LISTS: Final = ("prefixItems",)
_INNER_NAMED: Final = ("$defs", "patternProperties", "properties")
_MOST_DIGITS: Final = 9

Schema = Mapping[str, Any]


def reference_problem(schema: Schema) -> str | None:
    """Return what is wrong with the references in a schema that is JSON; None if nothing is."""
    waiting = [schema]
    every: dict[int, Schema] = {}
    while waiting:
        each = waiting.pop()
        if id(each) in every:
            continue
        every[id(each)] = each
        for ref in _refs_of(each):
            if not ref.startswith(_OWN):
                return f"refers to {ref!r}: there are only definitions of its own, {_OWN}NAME"
            found = _resolved(schema, ref)
            if isinstance(found, Mapping):
                waiting.append(found)
            elif not isinstance(found, bool):
                return f"refers to {ref!r}: there is no such one among definitions of its own"
        waiting += _same(each)
        waiting += _schemas(each, _INNER, _INNER_LISTS, _INNER_NAMED)
    done: set[int] = set()
    if any(_goes_in_circles(schema, each, done) for each in every.values()):
        return "refers to itself, of one and the same value: nobody could judge by that"
    return None


def _refs_of(schema: Schema) -> Iterator[str]:
    for key in _REFS:
        if isinstance(schema.get(key), str):
            yield schema[key]


def _same(schema: Schema) -> Iterator[Schema]:
    """Yield the schemas in a schema that speak of the same value."""
    return _schemas(schema, _SAME, _SAME_LISTS, _SAME_NAMED)


def _schemas(
    schema: Schema, alone: tuple[str, ...], lists: tuple[str, ...], named: tuple[str, ...]
) -> Iterator[Schema]:
    """Yield the schemas that some keywords of a schema have; what is none is left out."""
    found: list[Any] = [schema.get(key) for key in alone]
    for key in lists:
        inside = schema.get(key)
        found += inside if isinstance(inside, list | tuple) else ()
    for key in named:
        inside = schema.get(key)
        found += inside.values() if isinstance(inside, Mapping) else ()
    return (each for each in found if isinstance(each, Mapping))


def _resolved(root: Schema, ref: str) -> Any:
    """Return what a reference points to; None where there is nothing."""
    from urllib.parse import unquote  # only here, for it takes its time

    found: Any = root
    for part in unquote(ref.removeprefix("#/")).split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list | tuple) and key.isdecimal() and len(key) <= _MOST_DIGITS:
            found = dict(enumerate(found)).get(int(key))
        else:
            return None
    return found


def _goes_in_circles(root: Schema, start: Schema, done: set[int]) -> bool:
    """Tell whether a schema comes back to itself without having gone into a value.

    Args:
        root: That in which it lies.
        start: The schema.
        done: Those that are known not to; more are added.
    """
    trail = [(id(start), _next(root, start))]
    under_way = {id(start)}
    while trail:
        key, following = trail[-1]
        found = next(following, None)
        if found is None:
            trail.pop()
            under_way.discard(key)
            done.add(key)
        elif id(found) in under_way:
            return True
        elif id(found) not in done:
            under_way.add(id(found))
            trail.append((id(found), _next(root, found)))
    return False


def _next(root: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the schemas by which the value of a schema is judged as well."""
    for ref in _refs_of(schema):
        found = _resolved(root, ref)
        if isinstance(found, Mapping):
            yield found
    yield from _same(schema)


__all__ = ["reference_problem"]
