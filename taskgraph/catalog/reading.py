"""Criteria out of JSON, and out of single keys: whatever is given is checked before any SQL.

Keys of an object stand together by AND, an empty one means all, and a key that there is not is an
error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from taskgraph.catalog.criteria import (
    DATASET_FIELDS,
    EXECUTION_FIELDS,
    JOB_FIELDS,
    USED_DATASET_FIELDS,
    WORKER_FIELDS,
    All,
    Any_,
    Criteria,
    Leaf,
    Not,
)
from taskgraph.catalog.states import State
from taskgraph.catalog.worker_rows import WorkerStatus
from taskgraph.errors import FilterError, UnknownFilterError, ValidationError
from taskgraph.filters import ANY_VALUE, AnyValue, TagFilter, read_status, read_tag
from taskgraph.jsontext import to_json

# More than anybody writes, and less than any database refuses.
_DEEPEST: Final = 50
_LONGEST_PART: Final = 1_000
_MOST_VALUES: Final = 10_000
# What is asked of others that belong to a record.
_INNER: Final = {"jobs": JOB_FIELDS, "datasets": USED_DATASET_FIELDS}
# Keys whose values are tags, or their like.
_LABELLED: Final = frozenset({"tags", "queues", "facet"})


def parse(
    given: Criteria | Mapping[str, Any] | None,
    fields: Mapping[str, tuple[str, ...]] = EXECUTION_FIELDS,
) -> Criteria:
    """Return the criteria that JSON stands for; criteria as they are, and of None empty ones.

    Args:
        given: Criteria, or their JSON.
        fields: What can be asked for.

    Raises:
        UnknownFilterError: A key or an operator is not known.
        ValidationError: A value is not what it must be.
    """
    if given is None:
        return Criteria()
    if isinstance(given, Criteria):
        _check(given, fields)
        return given
    return _parse(given, fields, 0)


def _check(criteria: Criteria, fields: Mapping[str, tuple[str, ...]]) -> None:
    """Check that criteria ask for what can be asked for: `F` makes those of several kinds."""
    match criteria:
        case All(parts) | Any_(parts):
            for each in parts:
                _check(each, fields)
        case Not(part):
            _check(part, fields)
        case Leaf(key, operator, _):
            _check_key(key, operator, fields)


def _check_key(key: str, operator: str, fields: Mapping[str, tuple[str, ...]]) -> None:
    if key not in fields:
        raise UnknownFilterError(key, list(fields))
    if operator not in fields[key]:
        raise UnknownFilterError(f"{key}.{operator}", [f"{key}.{each}" for each in fields[key]])


def _parse(given: Any, fields: Mapping[str, tuple[str, ...]], depth: int) -> Criteria:
    if not isinstance(given, Mapping):
        raise ValidationError("a filter", f"expected an object, not {_shown(given)}.")
    if depth > _DEEPEST:
        raise ValidationError("a filter", f"it is nested deeper than {_DEEPEST}.")
    parts: list[Criteria] = []
    join: type[All] | type[Any_] = All
    for key, value in given.items():
        match key:
            case "operator":
                join = _read_join(value)
            case "and_" | "or_":
                if not isinstance(value, Sequence) or isinstance(value, str):
                    raise ValidationError(f"filter {key!r}", "expected a list of filters.")
                inner = tuple(_parse(each, fields, depth + 1) for each in value)
                parts.append(All(inner) if key == "and_" else Any_(inner))
            case "not_":
                parts.append(Not(_parse(value, fields, depth + 1)))
            case _:
                parts += _parse_field(str(key), value, fields, depth)
    if len(parts) == 1:
        return parts[0]
    return join(tuple(parts)) if parts else Criteria()


def _read_join(given: Any) -> type[All] | type[Any_]:
    match given:
        case "and_":
            return All
        case "or_":
            return Any_
        case _:
            raise ValidationError("filter 'operator'", f"expected and_ or or_, not {given!r}.")


def _parse_field(
    key: str, given: Any, fields: Mapping[str, tuple[str, ...]], depth: int
) -> list[Criteria]:
    inner = [name for name in fields if name.startswith(f"{key}.")]
    if key not in fields and not inner:
        raise UnknownFilterError(key, [*fields, "and_", "or_", "not_", "operator"])
    if not isinstance(given, Mapping):
        raise ValidationError(f"filter {key!r}", f"expected an object, not {_shown(given)}.")
    parts: list[Criteria] = []
    join: type[All] | type[Any_] = All
    for name, value in given.items():
        if name == "operator":
            join = _read_join(value)
        elif inner:
            parts += _parse_field(f"{key}.{name}", value, fields, depth)
        else:
            parts.append(_leaf(key, str(name), value, fields, depth))
    return parts if join is All or len(parts) < 2 else [Any_(tuple(parts))]


def leaf(key: str, operator: str, value: Any) -> Leaf:
    """Return what is asked of an execution, or of a dataset, with its value checked.

    Raises:
        UnknownFilterError: There is no such key, or none of it that is called so.
        ValidationError: The value is not what it must be.
    """
    fields = EXECUTION_FIELDS if key in EXECUTION_FIELDS else {**EXECUTION_FIELDS, **DATASET_FIELDS}
    return _leaf(key, operator, value, fields, 0)


def any_of(key: str, values: Sequence[str]) -> Criteria:
    """Return the criteria that something is one of some texts, however many they are."""
    pieces = [values[at : at + _MOST_VALUES] for at in range(0, len(values), _MOST_VALUES)]
    every = [leaf(key, "any_", each) for each in pieces or [()]]
    return every[0] if len(every) == 1 else Any_(tuple(every))


def _leaf(
    key: str, operator: str, value: Any, fields: Mapping[str, tuple[str, ...]], depth: int
) -> Leaf:
    _check_key(key, operator, fields)
    kind = f"worker.{key}" if fields is WORKER_FIELDS else key  # whose statuses are others
    return Leaf(key, operator, _read(f"{key}.{operator}", kind, operator, value, depth))


def _read(what: str, key: str, operator: str, value: Any, depth: int) -> Any:
    match operator:
        case "is_null_" | "is_":
            if not isinstance(value, bool):
                raise _wrong(what, "true or false", value)
            return value
        case "before_" | "after_":
            return _read_time(what, value)
        case "like_":
            if not isinstance(value, str) or len(value) > _LONGEST_PART:
                raise _wrong(what, f"text of at most {_LONGEST_PART} characters", value)
            return value
        case "exists_":
            given = value.to_json() if isinstance(value, Criteria) else value
            return _parse(given, _INNER[key], depth + 1)
        case _ if key in _LABELLED:
            return _read_labels(what, key, value)
        case _:
            return _read_texts(what, key, value)


def _read_time(what: str, value: Any) -> datetime:
    said = value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _wrong(what, "a time as 2026-01-31T18:00:00+00:00", said) from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _wrong(what, "a time with its time zone, as 2026-01-31T18:00:00+00:00", said)
    return value.astimezone(UTC)


def _read_texts(what: str, key: str, value: Any) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise _wrong(what, "a list of texts", value)
    found = tuple(values)
    if len(found) > _MOST_VALUES:
        raise _wrong(what, f"at most {_MOST_VALUES:,} values", value)
    if not all(isinstance(each, str) for each in found):
        raise _wrong(what, "a list of texts", value)
    if key == "state.type":
        return tuple(_read_type(what, each) for each in found)
    if key == "worker.status":
        return tuple(WorkerStatus.parse(each).value for each in found)
    if key == "status":
        return tuple(read_status(each) for each in found)
    return found


def _read_type(what: str, given: str) -> str:
    """Return a type of states; of a name that says more, nothing but that name is meant."""
    found = State.parse(given)
    if found.name != State(found.type).name:
        said = f"{found.name} is a name of {found.type}: ask for it by state.name, F.state(name=)."
        raise ValidationError(f"filter {what!r}", said)
    return found.type.value


def _read_labels(what: str, key: str, value: Any) -> tuple[Any, ...]:
    """Return tags as pairs, or names of queues, which are tags too."""
    if key == "queues":
        return _read_texts(what, key, value)
    if isinstance(value, Mapping):
        value = list(value.items())
    elif isinstance(value, str):
        value = [value]
    if not isinstance(value, Iterable):
        raise _wrong(what, "tags", value)
    return tuple(_read_label(what, each) for each in value)


def _read_label(what: str, given: Any) -> TagFilter:
    match given:
        case str():
            try:
                return read_tag(given)
            except FilterError as error:
                raise _wrong(what, "KEY=VALUE or KEY", given) from error
        case {"key": str(key), **rest} if set(rest) <= {"value"}:
            pair = (key, rest.get("value", ANY_VALUE))
        case (str(key), value):
            pair = (key, value)
        case _:
            raise _wrong(what, "a tag: KEY=VALUE, or an object with key and value", given)
    if not isinstance(pair[1], AnyValue):
        try:
            to_json(pair[1])
        except ValueError as error:
            raise ValidationError(f"filter {what!r}", f"{error}.") from error
    return pair


def _wrong(what: str, expected: str, given: Any) -> ValidationError:
    return ValidationError(f"filter {what!r}", f"expected {expected}, not {_shown(given)}.")


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


__all__ = ["any_of", "leaf", "parse"]
