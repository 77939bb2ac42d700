"""What values become on their way into the body of a task, and out of it: where they say so.

Only subclasses of `Value` with a ``preprocess`` or ``postprocess`` of their own do: nobody need ask
here while there are none (`values.value.are_hooked`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskgraph.expression import replace_inside
from taskgraph.values import walk
from taskgraph.values.kinds import ValueKind
from taskgraph.values.registry import kind_of
from taskgraph.values.value import Value, ValueClassKind, hooked_classes


def on_the_way_in(
    args: tuple[Any, ...], kwargs: dict[str, Any], known: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a body is given.

    Args:
        args: Those by position.
        kwargs: Those by name.
        known: What the values are told of the call.
    """
    made = _replaced([args, kwargs], lambda each: each.preprocess(known))
    return made[0], made[1]


def on_the_way_out(result: Any, known: dict[str, Any]) -> Any:
    """Return what a result becomes.

    Args:
        result: What a body returned.
        known: What the values are told of the call.
    """
    return _replaced(result, lambda each: each.postprocess(known))


def _replaced(value: Any, ask: Callable[[Value], Any]) -> Any:
    # Looked for first: what contains itself cannot be rebuilt, and is seldom to be.
    if not walk.find_kind(value, _has_speaker):
        return value
    return replace_inside(value, hooked_classes(), lambda each: _answer(each, ask))


def _has_speaker(kind: ValueKind) -> bool:
    return isinstance(kind, ValueClassKind) and issubclass(kind.raw_type, hooked_classes())


def _answer(value: Any, ask: Callable[[Value], Any]) -> Any:
    kind = kind_of(value)
    # Somebody may have registered another kind for the class since.
    return ask(kind.of(value)) if isinstance(kind, ValueClassKind) else value


__all__ = ["on_the_way_in", "on_the_way_out"]
