"""Which executions are meant, as values with ``& | ~`` that become JSON; what it means is SQL's.

What can be asked for is one table, `EXECUTION_FIELDS`. Criteria that ask for nothing mean all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from taskgraph.filters import AnyValue

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
    "datasets": ("exists_",),
    "facet": _LABELS[1:3],
    "dataset_hash": (*_MANY, "is_null_"),
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
#: What a group of executions can be asked for.
GROUP_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "key": _TEXT,
    "workflow": _MANY,
    "namespace": _TEXT,
    "study": _MAYBE_TEXT,
    "facet": _LABELS[1:3],
    "dirty": ("is_",),
    "dirty_reason": _MAYBE_TEXT,
    "successful": ("is_", "is_null_"),
    "created": ("before_", "after_"),
    "updated": ("before_", "after_"),
}
#: What a stored workflow can be asked for; ``task`` is that of one of its steps.
WORKFLOW_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "workflow": _MANY,
    "name": _TEXT,
    "namespace": _TEXT,
    "study": _MAYBE_TEXT,
    "task": _TEXT,
    "promoted": ("is_",),
    "enabled": ("is_",),
    "created": ("before_", "after_"),
}
#: What a dataset can be asked for.
DATASET_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "name": _TEXT,
    "type": _TEXT,
    "study": _MAYBE_TEXT,
    "facet": _LABELS[1:3],
    "tags": _LABELS,
    "value": _MANY,
    "created": ("before_", "after_"),
    "updated": ("before_", "after_"),
    "read_only": ("is_",),
    "retracted": ("is_",),
}
#: What a worker can be asked for.
WORKER_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "name": _TEXT,
    "pool": _MAYBE_TEXT,
    "status": _MANY,
    "host": _TEXT,
    "heartbeat": ("before_", "after_"),
    "started": ("before_", "after_"),
}
#: What a dataset can be asked for that an execution uses, within ``datasets``.
USED_DATASET_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    **DATASET_FIELDS,
    "role": _MANY,
}


# What every record fits if it is asked for no value, and what none does.
_WITHOUT: Final = {True: ("all_", "not_any_", "like_"), False: ("any_",)}


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
        """Whether nothing is asked for, however that is written: it means all records."""
        return _says(self, True)

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


def _says(criteria: Criteria, answer: bool) -> bool:
    """Tell whether the answer for a record is known whatever the record is."""
    match criteria:
        case All(parts) | Any_(parts):
            each_says = (_says(each, answer) for each in parts)
            found = all(each_says) if isinstance(criteria, All) is answer else any(each_says)
        case Not(part):
            found = _says(part, not answer)
        case Leaf("facet", _, ()):  # facets of no key: all of them are there
            found = answer
        case Leaf(_, operator, "" | ()):
            found = operator in _WITHOUT[answer]
        case _:
            found = answer and not isinstance(criteria, Leaf)
    return found


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


__all__ = [
    "DATASET_FIELDS",
    "EXECUTION_FIELDS",
    "GROUP_FIELDS",
    "JOB_FIELDS",
    "USED_DATASET_FIELDS",
    "WORKER_FIELDS",
    "WORKFLOW_FIELDS",
    "All",
    "Any_",
    "Criteria",
    "Leaf",
    "Not",
]
