"""What a policy is about, and where it goes, as its columns hold it: read strictly.

A newer library may have written them, or damage changed them: what cannot be read is an error that
says so, and never stands for something else. Beside the target is kept what else there is to a
policy: how often something is tried, until when its receiver wants nothing, and what it was about
before it was changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from taskgraph.catalog.fitting import label_json, read_label
from taskgraph.catalog.policy_rows import ATTEMPTS
from taskgraph.catalog.targets import Target, read_target
from taskgraph.errors import SecretError, ValidationError
from taskgraph.filters import TagFilter
from taskgraph.jsontext import to_json

_DAY: Final = 24 * 3600 * 1_000_000
_NUMBER: Final = "expected a whole number."


@dataclass(frozen=True, slots=True)
class About:
    """Which states of which executions a policy is about.

    Attributes:
        states: Types of states, or names; none for any.
        labels: Tags of which an execution has one; none for any.
    """

    states: tuple[str, ...]
    labels: tuple[TagFilter, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a policy was about before it was changed.

    Attributes:
        until: When that was: microseconds.
        about: What it was about until then.
    """

    until: int
    about: About


@dataclass(frozen=True, slots=True)
class Kept:
    """What the column of the target holds.

    Attributes:
        target: Where notifications go.
        attempts: How often one is tried.
        held_until: Until when the receiver wants nothing: microseconds; 0 for any time.
        earlier: What the policy was about before, the first first: of states that came then, and
            whose rows may still come.
        active_since: When it was made active again: microseconds; 0 where it always was.
    """

    target: Target
    attempts: int = ATTEMPTS
    held_until: int = 0
    earlier: tuple[Earlier, ...] = ()
    active_since: int = 0

    def held_at(self, now: int) -> int:
        """Return until when the receiver wants nothing, as it is then; 0 for any time."""
        # Nobody asks for more than a day: that was a clock that was ahead.
        return self.held_until if now < self.held_until <= now + _DAY else 0


def read_about(states: Any, labels: Any) -> About:
    """Return what a policy is about. Any: JSON, as text or read.

    Raises:
        ValidationError: It cannot be read.
    """
    named, tagged = _list("states", states), _list("tags", labels)
    if not all(isinstance(each, str) for each in named):
        raise ValidationError("states", "expected text.")
    return About(tuple(named), tuple(_label(each) for each in tagged))


def about_columns(about: About) -> tuple[str, str]:
    """Return what a policy is about as two columns hold it."""
    return to_json(list(about.states)), to_json([label_json(each) for each in about.labels])


def read_kept(said: Any) -> Kept:
    """Return what the column of the target holds. Any: JSON, as text or read.

    Raises:
        ValidationError: It cannot be read.
    """
    found = _read("target", said)
    if not isinstance(found, dict):
        raise ValidationError("target", "expected an object.")
    rest = dict(found)
    attempts = _number("attempts", rest.pop("attempts", ATTEMPTS))
    held = _number("held_until", rest.pop("held_until", 0))
    since = _number("active_since", rest.pop("active_since", 0))
    earlier = tuple(_earlier(each) for each in _list("earlier", rest.pop("earlier", [])))
    try:
        target = read_target(rest)
    except SecretError as error:
        raise ValidationError("target", f"{error}") from error
    return Kept(target, attempts, held, earlier, since)


def held_at(said: Any, now: int) -> int:
    """Return until when a receiver wants nothing, of the column of the target. Any: JSON.

    Of what cannot be read nothing is known: 0.
    """
    try:
        return read_kept(said).held_at(now)
    except ValidationError:
        return 0


def kept_column(kept: Kept) -> str:
    """Return what the column of the target is to hold."""
    found = {**kept.target.to_json(), "attempts": kept.attempts}
    if kept.held_until:
        found["held_until"] = kept.held_until
    if kept.active_since:
        found["active_since"] = kept.active_since
    if kept.earlier:
        found["earlier"] = [
            {
                "until": each.until,
                "states": list(each.about.states),
                "tags": [label_json(label) for label in each.about.labels],
            }
            for each in kept.earlier
        ]
    return to_json(found)


def _earlier(said: Any) -> Earlier:
    if not isinstance(said, dict) or said.keys() != {"until", "states", "tags"}:
        raise ValidationError("earlier", "expected until, states and tags.")
    about = read_about(said["states"], said["tags"])
    return Earlier(_number("until", said["until"]), about)


def _label(said: Any) -> TagFilter:
    # A key, and a value if one is meant.
    is_one = isinstance(said, list) and len(said) in (1, 2) and isinstance(said[0], str)
    if not is_one:
        raise ValidationError("tags", "expected a key, or a key with a value.")
    return read_label(said)


def _number(what: str, said: Any) -> int:
    if not isinstance(said, int) or isinstance(said, bool):
        raise ValidationError(what, _NUMBER)
    return said


def _list(what: str, said: Any) -> list[Any]:
    found = _read(what, said)
    if not isinstance(found, list):
        raise ValidationError(what, "expected a list.")
    return found


def _read(what: str, said: Any) -> Any:
    if not isinstance(said, str):
        return said
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        raise ValidationError(what, "this is no JSON.") from None


__all__ = [
    "About",
    "Earlier",
    "Kept",
    "about_columns",
    "held_at",
    "kept_column",
    "read_about",
    "read_kept",
]
