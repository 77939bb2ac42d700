"""Which states of which executions a policy is about; pure, and told of nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from taskgraph.catalog.requests import checked_json, checked_text
from taskgraph.catalog.secrets import refuse_secrets
from taskgraph.catalog.states import State, StateType
from taskgraph.errors import ValidationError
from taskgraph.filters import ANY_VALUE, AnyValue, TagFilter, read_tag
from taskgraph.jsontext import to_json

_TYPES: Final = frozenset(each.value for each in StateType)


def checked_states(given: Iterable[State | StateType | str]) -> tuple[str, ...]:
    """Return the states that a policy is about, each once: types as FAILED, names as Late.

    A text has to be a type, or a name that is known; a `State` may have any name.

    Raises:
        InvalidStateError: One is no state.
        ValidationError: They are no list.
    """
    if isinstance(given, str | State) or not isinstance(given, Iterable):
        raise ValidationError("states", f"expected a list of states, not {given!r}.")
    found = []
    for each in given:
        state = State.parse(each)
        checked_text("name of a state", state.name)
        is_type = state.name == state.type.value.capitalize()
        found.append(state.type.value if is_type else state.name)
    return tuple(dict.fromkeys(found))


def checked_labels(given: Mapping[str, Any] | Iterable[TagFilter | str]) -> tuple[TagFilter, ...]:
    """Return the tags of which an execution has to have one.

    Args:
        given: Keys with values, pairs, or texts as ``key=value`` and, for whatever value, ``key``.

    Raises:
        FilterError: A text is no tag.
        ValidationError: They are no list of tags.
        SecretError: There is a secret in one.
    """
    every: Any = given.items() if isinstance(given, Mapping) else given
    if isinstance(every, str) or not isinstance(every, Iterable):
        raise ValidationError("tags", f"expected a list of tags, not {given!r}.")
    found: dict[str, TagFilter] = {}
    for each in every:
        pair = read_tag(each) if isinstance(each, str) else each
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValidationError("tags", f"expected a key with a value, not {each!r}.")
        said = label_json((pair[0], pair[1]))
        checked_json("tags", said)
        text = to_json(said)
        refuse_secrets("tags", text)
        found[text] = (pair[0], pair[1])
    return tuple(found.values())


def label_json(label: TagFilter) -> list[Any]:
    """Return a tag as it is kept: its key, and its value if one is meant."""
    key, value = label
    return [key] if isinstance(value, AnyValue) else [key, value]


def read_label(said: Sequence[Any]) -> TagFilter:
    """Return a tag as it was kept."""
    key, *values = said
    return key, values[0] if values else ANY_VALUE


def types_of(states: Iterable[str]) -> tuple[str, ...]:
    """Return the types that all of some states are; nothing where one is a name, or any will do."""
    wanted = tuple(states)
    return wanted if all(each in _TYPES for each in wanted) else ()


def fits_state(wanted: Sequence[str], type: str, name: str) -> bool:
    """Tell whether a state is one of some: by its type, or by its name whatever the case."""
    if not wanted:
        return True
    folded = name.casefold()
    return any(each == type if each in _TYPES else each.casefold() == folded for each in wanted)


def fits_tags(wanted: Sequence[TagFilter], tags: Mapping[str, Sequence[Any]]) -> bool:
    """Tell whether an execution with some tags has one that is wanted; 1 is 1.0, and not true."""
    if not wanted:
        return True
    return any(
        isinstance(value, AnyValue) or to_json(value) in map(to_json, tags[key])
        for key, value in wanted
        if key in tags
    )


__all__ = [
    "checked_labels",
    "checked_states",
    "fits_state",
    "fits_tags",
    "label_json",
    "read_label",
    "types_of",
]
