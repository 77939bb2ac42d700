"""Recorded calls that are made again: what they were given, fitted to the task as it is now."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from taskgraph.errors import DamagedValueError
from taskgraph.hashing import ValueHash
from taskgraph.ports import Backend
from taskgraph.records import ArgumentRecord
from taskgraph.tasks.registry import AnyTask
from taskgraph.values import codec, walk
from taskgraph.values.stored import UNSTORED


def values_of(backend: Backend, arguments: Sequence[ArgumentRecord]) -> dict[ValueHash, Any] | str:
    """Return the values of a call's arguments by their hashes, or why one of them is not there."""
    stored = backend.load_values([each.value_hash for each in arguments])
    values: dict[ValueHash, Any] = {}
    for argument in arguments:
        label = argument.arg_key or f"*{argument.arg_position}"
        found = stored.get(argument.value_hash)
        if found is None or found.format == UNSTORED:
            return f"its argument {label} is not in the store"
        try:
            value = codec.decode(*found)
        except DamagedValueError as error:
            return f"its argument {label}: {error.reason}"
        changed = walk.find_invalid(value)
        if changed is not None:
            return f"its argument {label}: {walk.describe_change(changed)}"
        values[argument.value_hash] = value
    return values


def fitted(
    arguments: Sequence[ArgumentRecord], values: Mapping[ValueHash, Any], task: AnyTask
) -> tuple[tuple[Any, ...], dict[str, Any], list[str]]:
    """Return the arguments as they are passed, and those parameters that nothing is known for."""
    parameters = task.signature.parameters
    named = {each.arg_key: each for each in arguments if each.arg_key is not None}
    stars = [values[each.value_hash] for each in arguments if each.arg_key is None]
    args: list[Any] = []
    for name, parameter in parameters.items():
        is_positional = parameter.kind is inspect.Parameter.POSITIONAL_ONLY or (
            stars and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        if is_positional and name in named:
            args.append(values[named.pop(name).value_hash])
    kwargs = {name: values[each.value_hash] for name, each in named.items()}
    given = {each.arg_key for each in arguments}
    missing = [name for name in task.binder.ignored if name not in given]
    return (*args, *stars), kwargs, sorted(missing)
