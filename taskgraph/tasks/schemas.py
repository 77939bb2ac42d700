"""What a task may be given by name, as a JSON schema: from its signature, or as it was said.

A schema says nothing of the code: it counts in no hash, and is made when somebody asks for it.
"""

from __future__ import annotations

import copy
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from taskgraph.errors import TaskOptionError
from taskgraph.jsontext import to_json
from taskgraph.tasks.standing import JobInfo

#: What stands for a schema that is derived from the signature.
AUTO: Final = "auto"
#: The type of datasets that fits all others.
ANY_TYPE: Final = "Any"
#: The version of JSON schema that schemas are of.
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
#: What to install for schemas that say more than those that are derived.
EXTRA: Final = "pip install 'taskgraph[schema]'"

_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TYPES: Final[Mapping[Any, str]] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}
# What is understood here; all else is left to a library.
_SAID: Final = frozenset({"$schema", "$comment", "title", "description", "default", "examples"})
_CHECKED: Final = frozenset(
    {"type", "enum", "anyOf", "items", "properties", "required", "additionalProperties"}
)


def derive(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Return the schema of the parameters of a function but the first, which is given its input.

    Args:
        function: The function, for its annotations.
        signature: What a call of it may be given.
    """
    hints = _hints(function)
    properties: dict[str, Any] = {}
    required = []
    is_open = False
    for each in list(signature.parameters.values())[1:]:
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            is_open = True
        if each.kind not in _BY_NAME or isinstance(each.default, JobInfo):
            continue
        found = type_of(hints.get(each.name, each.annotation))
        if each.default is inspect.Parameter.empty:
            required.append(each.name)
        else:
            found = _with_default(found, each.default)
        properties[each.name] = found
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": is_open,
    }


def _with_default(said: dict[str, Any], default: Any) -> dict[str, Any]:
    """Return what an annotation says, with a default, which it may not allow: ``x: int = None``."""
    is_json = _is_json(default)
    if said and (is_json or default is None) and find_problem(said, default) is not None:
        allowed = said.get("anyOf", [said])
        own = {"type": "null"} if default is None else {"enum": [copy.deepcopy(default)]}
        said = {"anyOf": [*allowed, own]}
    return {**said, "default": copy.deepcopy(default)} if is_json else said


def type_of(annotation: Any) -> dict[str, Any]:
    """Return what an annotation says in JSON schema; nothing where that cannot be said."""
    if annotation is None:
        annotation = type(None)
    if isinstance(annotation, type) and annotation in _TYPES:
        return {"type": _TYPES[annotation]}
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        is_plain = all(each is None or type(each) in (str, int, bool) for each in inside)
        return {"enum": list(inside)} if is_plain else {}
    if origin in (typing.Union, types.UnionType):
        parts = [type_of(each) for each in inside]
        return {"anyOf": parts} if all(parts) else {}
    if origin is list:
        return {"type": "array", **_if_said("items", inside[0])}
    if origin is dict:
        says = _if_said("additionalProperties", inside[1]) if inside[0] is str else {}
        return {"type": "object", **says}
    return {}


def _if_said(keyword: str, annotation: Any) -> dict[str, Any]:
    found = type_of(annotation)
    return {keyword: found} if found else {}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # of names that are not there: then it is not known what they mean
        return {}


def _is_json(given: Any) -> bool:
    if type(given) not in (str, int, float, bool, list, dict):
        return False
    try:
        to_json(given)
    except ValueError:
        return False
    return True


def checked_schema(task: str, given: Any) -> Mapping[str, Any] | None:
    """Return a schema that a task brings; None for one that is to be derived.

    Raises:
        TaskOptionError: It is none of an object, or refers to something outside of itself.
    """
    if isinstance(given, str) and given == AUTO:
        return None
    if not isinstance(given, Mapping):
        reason = f"must be {AUTO!r} or a JSON schema, not {given!r}"
        raise TaskOptionError(task, "args_schema", reason)
    try:
        to_json(dict(given))
        found: dict[str, Any] = copy.deepcopy(dict(given))
    except ValueError as error:
        raise TaskOptionError(task, "args_schema", f"is no JSON: {error}") from None
    except RecursionError:
        raise TaskOptionError(task, "args_schema", "is nested too deeply") from None
    if found.get("type") != "object" or not isinstance(found.get("properties", {}), Mapping):
        reason = 'must be the schema of an object: {"type": "object", "properties": {...}}'
        raise TaskOptionError(task, "args_schema", reason)
    from taskgraph.tasks.references import reference_problem  # for tasks that bring one

    problem = reference_problem(found)
    if problem is not None:
        raise TaskOptionError(task, "args_schema", problem)
    return found


def checked_type(task: str, option: str, given: Any) -> str:
    """Return the name of a type of datasets.

    Raises:
        TaskOptionError: It is none.
    """
    if not isinstance(given, str) or not given.strip():
        raise TaskOptionError(task, option, f"must be the name of a type, not {given!r}")
    try:
        to_json(given)
    except ValueError as error:
        raise TaskOptionError(task, option, f"cannot be kept: {error}") from None
    return given.strip()


def defaults_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that a schema has on top; those that are null say nothing."""
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):  # which is said when it is used
        return {}
    return {
        name: copy.deepcopy(each["default"])
        for name, each in properties.items()
        if isinstance(each, Mapping) and each.get("default") is not None
    }


def find_problem(schema: Mapping[str, Any], given: Any) -> str | None:
    """Return what is wrong with a value; None if it is what a schema says.

    What is derived from signatures is checked here, all else by the library ``jsonschema``. What is
    wrong with the schema itself is a problem as well.

    Raises:
        ImportError: The library is needed, and is not installed.
    """
    try:
        if is_simple(schema):
            return _problem(schema, given, "")
        return _problem_by_library(schema, given)
    except RecursionError:
        return "the schema of the task goes in circles, or is nested too deeply, or this is"


def _problem_by_library(schema: Mapping[str, Any], given: Any) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, best_match
    from referencing import Registry

    try:
        Draft202012Validator.check_schema(schema)
        # Nothing is fetched, whatever a schema refers to.
        judge = Draft202012Validator(schema, registry=Registry())
        # As it will be kept: there are lists in JSON, and no tuples.
        found = best_match(judge.iter_errors(json.loads(json.dumps(given))))
    except SchemaError as error:
        return f"the schema of the task is none: {error.message}"
    except RecursionError:
        raise
    except Exception as error:
        # What others have written shows some of what is wrong with it only when it is used: a
        # pattern, a reference, a number that is too large. Nothing was checked then.
        return f"the schema of the task cannot be used: {type(error).__name__}: {error}"
    if found is None:
        return None
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in found.path)
    return _at(place, str(found.message))


def with_whole_numbers(schema: Any, given: Any) -> Any:
    """Return a value with whole numbers where a schema wants such: for JSON schema 2.0 is one too.

    For the code that is given them it is another number, and for a cache another argument.

    Args:
        schema: What the value is to be.
        given: A JSON value that it allows.
    """
    if not isinstance(schema, Mapping):
        return given
    if "anyOf" in schema and is_simple(schema):
        # As whoever allows it wants it, if they are of one mind.
        allowed = [each for each in schema["anyOf"] if _problem(each, given, "") is None]
        found = [with_whole_numbers(each, given) for each in allowed]
        return found[0] if found and len(set(map(repr, found))) == 1 else given
    if isinstance(given, float) and given.is_integer():
        return int(given) if _wants_whole(schema, given) else given
    if isinstance(given, dict):
        properties, others = schema.get("properties"), schema.get("additionalProperties")
        named = properties if isinstance(properties, Mapping) else {}
        return {key: with_whole_numbers(named.get(key, others), given[key]) for key in given}
    if isinstance(given, list):
        return [with_whole_numbers(schema.get("items"), each) for each in given]
    return given


def _wants_whole(schema: Mapping[str, Any], given: float) -> bool:
    wanted, listed = schema.get("type"), schema.get("enum")
    if isinstance(listed, list):
        same = [each for each in listed if _is_same(each, given)]
        return bool(same) and all(isinstance(each, int) for each in same)
    kinds = wanted if isinstance(wanted, list) else [wanted]
    return "integer" in kinds and "number" not in kinds


def is_simple(schema: Any) -> bool:
    """Tell whether a schema says nothing but what is understood without a library."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, Mapping) or not schema.keys() <= _SAID | _CHECKED:
        return False
    lists = [schema.get(each, []) for each in ("anyOf", "enum", "required")]
    properties = schema.get("properties", {})
    if not all(isinstance(each, list) for each in lists) or not isinstance(properties, Mapping):
        return False
    allowed, _, required = lists
    inner = [
        *allowed,
        *properties.values(),
        schema.get("items", True),
        schema.get("additionalProperties", True),
    ]
    kind = schema.get("type", "null")
    is_known = isinstance(kind, str) and kind in _IS_OF
    is_named = all(isinstance(each, str) for each in required)
    return is_known and is_named and all(map(is_simple, inner))


def _problem(schema: Any, given: Any, place: str) -> str | None:
    if isinstance(schema, bool):
        return None if schema else _at(place, "there is nothing of this name")
    own = _own_problem(schema, given)
    if own is not None:
        return _at(place, own)
    if isinstance(given, Mapping):
        return _problem_of_object(schema, given, place)
    if isinstance(given, list | tuple):
        each_says = schema.get("items", True)
        found = (_problem(each_says, each, f"{place}[{i}]") for i, each in enumerate(given))
        return next((each for each in found if each is not None), None)
    return None


def _own_problem(schema: Mapping[str, Any], given: Any) -> str | None:
    """Return what is wrong with a value itself, whatever lies in it."""
    wanted = schema.get("type")
    if wanted is not None and not _IS_OF[wanted](given):
        return f"{given!r} is not of type {wanted!r}"
    if "enum" in schema and not any(_is_same(each, given) for each in schema["enum"]):
        return f"{given!r} is not one of {schema['enum']!r}"
    allowed = schema.get("anyOf")
    if allowed and all(_problem(each, given, "") is not None for each in allowed):
        return f"{given!r} is nothing that is allowed: {_listed(allowed)}"
    return None


def _problem_of_object(schema: Any, given: Mapping[str, Any], place: str) -> str | None:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in given:
            return _at(place, f"{name!r} is missing, which has no default")
    for name, each in given.items():
        if name not in properties and others is False:
            there = ", ".join(properties) or "none"
            return _at(place, f"there is no parameter {name!r}. There are: {there}")
        problem = _problem(properties.get(name, others), each, f"{place}.{name}")
        if problem is not None:
            return problem
    return None


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


_IS_OF: Final[Mapping[str, Callable[[Any], bool]]] = {
    "integer": lambda given: _is_number(given) and (isinstance(given, int) or given.is_integer()),
    "number": _is_number,
    "string": lambda given: isinstance(given, str),
    "boolean": lambda given: isinstance(given, bool),
    "array": lambda given: isinstance(given, list | tuple),
    "object": lambda given: isinstance(given, Mapping),
    "null": lambda given: given is None,
}


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _listed(schemas: Sequence[Any]) -> str:
    return " or ".join(
        str(each.get("type", each.get("enum", each))) if isinstance(each, Mapping) else str(each)
        for each in schemas
    )


def _at(place: str, problem: str) -> str:
    return f"{place.removeprefix('.')}: {problem}" if place else problem


__all__ = [
    "ANY_TYPE",
    "AUTO",
    "DRAFT",
    "EXTRA",
    "checked_schema",
    "checked_type",
    "defaults_of",
    "derive",
    "find_problem",
    "is_simple",
    "type_of",
    "with_whole_numbers",
]
