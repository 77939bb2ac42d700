"""`F`: which executions are meant, as values with ``& | ~`` and as JSON; what it means is SQL's.

What can be asked for is one table, `FIELDS`. An empty filter matches everything, criteria stand
together by AND, and a key that is not in the table is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from taskgraph.catalog.states import State, StateType
from taskgraph.errors import FilterError, UnknownFilterError, ValidationError
from taskgraph.filters import ANY_VALUE, AnyValue, TagFilter, read_status, read_tag
from taskgraph.jsontext import to_json

# More than anybody writes, and less than any database refuses.
_DEEPEST: Final = 50
_LONGEST_PART: Final = 1_000
_MOST_VALUES: Final = 10_000

_MANY: Final = ("any_", "not_any_")
_TEXT: Final = (*_MANY, "like_")
_MAYBE_TEXT: Final = (*_TEXT, "is_null_")
_TIME: Final = ("before_", "after_", "is_null_")
_LABELS: Final = ("all_", "any_", "not_any_", "is_null_")

#: What an execution can be asked for, by key, with what can be said of each.
EXECUTION_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "name": _TEXT,
    "entrypoint": _TEXT,
    "task": _MANY,
    "status": _MANY,
    "state.type": _MANY,
    "state.name": _TEXT,
    "tags": _LABELS,
    "queues": _LABELS,
    "study": _MAYBE_TEXT,
    "workspace": _MAYBE_TEXT,
    "idempotency_key": _MAYBE_TEXT,
    "submitted_by": _MAYBE_TEXT,
    "code_version": _MAYBE_TEXT,
    "workflow": (*_MANY, "is_null_"),
    "group": (*_MANY, "is_null_"),
    "parent_job": (*_MANY, "is_null_"),
    "created": ("before_", "after_"),
    "started": _TIME,
    "ended": _TIME,
    "expected_start": _TIME,
    "next_scheduled_start": _TIME,
    "retracted": ("is_",),
    "jobs": ("exists_",),
}
#: What a job can be asked for, within ``jobs``.
JOB_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "task": _MANY,
    "status": _MANY,
    "state.type": _MANY,
    "tags": _LABELS,
    "started": ("before_", "after_"),
    "ended": _TIME,
    "cached": ("is_",),
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which records are meant; by itself, all of them."""

    def __and__(self, other: Criteria) -> Criteria:
        """Return those that both mean."""
        if not isinstance(other, Criteria):
            return NotImplemented
        return All(tuple(each for part in (self, other) for each in _parts(part, All)))

    def __or__(self, other: Criteria) -> Criteria:
        """Return those that one of them means."""
        if not isinstance(other, Criteria):
            return NotImplemented
        return Any_(tuple(each for part in (self, other) for each in _parts(part, Any_)))

    def __invert__(self) -> Criteria:
        """Return all others."""
        return self.part if isinstance(self, Not) else Not(self)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return type(self) is Criteria or (isinstance(self, All) and not self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, from which `parse` makes an equal one."""
        return {}


@dataclass(frozen=True, slots=True)
class All(Criteria):
    """What all of some criteria mean."""

    parts: tuple[Criteria, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"and_": [each.to_json() for each in self.parts]}


@dataclass(frozen=True, slots=True)
class Any_(Criteria):
    """What any of some criteria means; without any, nothing."""

    parts: tuple[Criteria, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"or_": [each.to_json() for each in self.parts]}


@dataclass(frozen=True, slots=True)
class Not(Criteria):
    """What some criteria do not mean."""

    part: Criteria

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"not_": self.part.to_json()}


@dataclass(frozen=True, slots=True)
class Leaf(Criteria):
    """One thing that is asked of a record.

    Attributes:
        key: As in `EXECUTION_FIELDS`.
        operator: One of those of the key.
        value: What it is compared with. Any: a tuple of texts or tags, a time, a flag, criteria.
    """

    key: str
    operator: str
    value: Any

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = {self.operator: _plain(self.value)}
        for name in reversed(self.key.split(".")):
            found = {name: found}
        return found


def _parts(criteria: Criteria, kind: type[All] | type[Any_]) -> tuple[Criteria, ...]:
    if isinstance(criteria, kind):
        return criteria.parts
    if type(criteria) is Criteria and kind is All:
        return ()
    return (criteria,)


def _plain(value: Any) -> Any:
    match value:
        case Criteria():
            return value.to_json()
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain_item(each) for each in value]
        case _:
            return value


def _plain_item(item: Any) -> Any:
    if not isinstance(item, tuple):
        return item
    key, value = item
    return {"key": key} if isinstance(value, AnyValue) else {"key": key, "value": value}


# From JSON


def parse(given: Criteria | Mapping[str, Any] | None) -> Criteria:
    """Return the criteria that JSON stands for; criteria as they are, and of None empty ones.

    Raises:
        UnknownFilterError: A key or an operator is not known.
        ValidationError: A value is not what it must be.
    """
    if given is None:
        return Criteria()
    if isinstance(given, Criteria):
        return given
    return _parse(given, EXECUTION_FIELDS, 0)


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


# One leaf


def leaf(key: str, operator: str, value: Any) -> Leaf:
    """Return what is asked of an execution, with its value checked.

    Raises:
        UnknownFilterError: There is no such key, or none of it that is called so.
        ValidationError: The value is not what it must be.
    """
    return _leaf(key, operator, value, EXECUTION_FIELDS, 0)


def _leaf(
    key: str, operator: str, value: Any, fields: Mapping[str, tuple[str, ...]], depth: int
) -> Leaf:
    if key not in fields:
        raise UnknownFilterError(key, list(fields))
    if operator not in fields[key]:
        raise UnknownFilterError(f"{key}.{operator}", [f"{key}.{each}" for each in fields[key]])
    return Leaf(key, operator, _read(f"{key}.{operator}", key, operator, value, depth))


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
            return _parse(given, JOB_FIELDS, depth + 1)
        case _ if key in {"tags", "queues"}:
            return _read_labels(what, key, value)
        case _:
            return _read_texts(what, key, value)


def _read_time(what: str, value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _wrong(what, "a time as 2026-01-31T18:00:00+00:00", value) from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _wrong(what, "a time with its time zone", value)
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
        return tuple(State.parse(each).type.value for each in found)
    if key == "status":
        return tuple(read_status(each) for each in found)
    return found


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


# As people write them


class F:
    """Makes criteria: ``F.state("RUNNING") & ~F.name(like="smoke")``."""

    @staticmethod
    def all() -> Criteria:
        """All executions."""
        return Criteria()

    @staticmethod
    def state(*types: str | StateType, name: str | None = None) -> Criteria:
        """Those in a state of some types, or of a name."""
        found: Criteria = Criteria()
        if types:
            found &= leaf("state.type", "any_", [str(each) for each in types])
        return found if name is None else found & leaf("state.name", "any_", name)

    @staticmethod
    def status(*statuses: str) -> Criteria:
        """Those of some statuses, as ``taskgraph log`` shows them."""
        return leaf("status", "any_", statuses)

    @staticmethod
    def tags(
        *,
        all: Any = None,
        any: Any = None,
        not_any: Any = None,
        is_null: bool | None = None,
    ) -> Criteria:
        """Those with all tags, any of them, or none of them; or without any tag."""
        given = {"all_": all, "any_": any, "not_any_": not_any, "is_null_": is_null}
        return _together("tags", given)

    @staticmethod
    def queues(*, all: Any = None, any: Any = None, is_null: bool | None = None) -> Criteria:
        """Those that were declared for queues."""
        return _together("queues", {"all_": all, "any_": any, "is_null_": is_null})

    @staticmethod
    def id(*ids: str) -> Criteria:
        """Those of some ids."""
        return leaf("id", "any_", ids)

    @staticmethod
    def name(*names: str, like: str | None = None) -> Criteria:
        """Those of some names, or with a part in their name, whatever the case."""
        return _together("name", {"any_": names or None, "like_": like})

    @staticmethod
    def entrypoint(*names: str, like: str | None = None) -> Criteria:
        """Those that run something of this name."""
        return _together("entrypoint", {"any_": names or None, "like_": like})

    @staticmethod
    def task(*names: str) -> Criteria:
        """Those that run a task, by its full or its bare name."""
        return leaf("task", "any_", names)

    @staticmethod
    def study(*names: str, like: str | None = None, is_null: bool | None = None) -> Criteria:
        """Those of some studies, by name; or of none."""
        given = {"any_": names or None, "like_": like, "is_null_": is_null}
        return _together("study", given)

    @staticmethod
    def workspace(*folders: str, like: str | None = None, is_null: bool | None = None) -> Criteria:
        """Those whose workspace is one of some folders."""
        given = {"any_": folders or None, "like_": like, "is_null_": is_null}
        return _together("workspace", given)

    @staticmethod
    def created(*, before: Any = None, after: Any = None) -> Criteria:
        """Those that were created in a time; both ends are part of it."""
        return _together("created", {"before_": before, "after_": after})

    @staticmethod
    def started(*, before: Any = None, after: Any = None, is_null: bool | None = None) -> Criteria:
        """Those that began to run in a time; or never did."""
        given = {"before_": before, "after_": after, "is_null_": is_null}
        return _together("started", given)

    @staticmethod
    def ended(*, before: Any = None, after: Any = None, is_null: bool | None = None) -> Criteria:
        """Those that ended in a time; or have not."""
        given = {"before_": before, "after_": after, "is_null_": is_null}
        return _together("ended", given)

    @staticmethod
    def jobs(criteria: Criteria | Mapping[str, Any]) -> Criteria:
        """Those with a job for which all holds that is asked of jobs."""
        return leaf("jobs", "exists_", criteria)

    @staticmethod
    def where(key: str, operator: str, value: Any) -> Criteria:
        """One thing that is asked of an execution, as JSON says it."""
        return leaf(key, operator, value)


def _together(key: str, given: Mapping[str, Any]) -> Criteria:
    found: Criteria = Criteria()
    for operator, value in given.items():
        if value is not None:
            found &= leaf(key, operator, value)
    parts = _parts(found, All)
    return parts[0] if len(parts) == 1 else found


__all__ = [
    "EXECUTION_FIELDS",
    "JOB_FIELDS",
    "All",
    "Any_",
    "Criteria",
    "F",
    "Leaf",
    "Not",
    "leaf",
    "parse",
]
