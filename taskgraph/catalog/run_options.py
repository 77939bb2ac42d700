"""Options of an execution: those of its calls, and what workers and terms are asked by.

A worker would find out much later, and nobody would hear of what is never asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from taskgraph.catalog.queueing import PRIORITY, priority_of
from taskgraph.catalog.requests import (
    ACCOUNT,
    SCRIPT,
    checked_name,
    checked_object,
    checked_title,
)
from taskgraph.catalog.rerunning import NO_CACHE
from taskgraph.errors import TaskOptionError, ValidationError
from taskgraph.tasks.options import KNOWN_OPTIONS, OWN_OPTIONS, known_options

_OTHERS: Final = (ACCOUNT, NO_CACHE, PRIORITY, SCRIPT)
_WHAT: Final = "options"


def checked_run_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of an execution as they are kept: JSON, as it was given.

    Raises:
        ValidationError: There is no such option, or it has a value that it cannot have.
    """
    chosen = checked_object(_WHAT, given)
    _check_names(chosen)
    of_calls = {name: each for name, each in chosen.items() if name not in _OTHERS}
    try:
        known_options("The execution", of_calls)
    except (TaskOptionError, TypeError) as error:
        raise ValidationError(_WHAT, f"{error}") from error
    if chosen.get(SCRIPT) is not None:
        checked_name(SCRIPT, chosen[SCRIPT])
    if chosen.get(ACCOUNT) is not None:
        checked_title(ACCOUNT, chosen[ACCOUNT])
    if not isinstance(chosen.get(NO_CACHE, False), bool):
        raise ValidationError(NO_CACHE, "expected true or false.")
    priority_of(chosen)
    return chosen


def _check_names(chosen: Mapping[str, Any]) -> None:
    known = [*sorted(KNOWN_OPTIONS.keys() - OWN_OPTIONS), *_OTHERS]
    for name in chosen:
        if name not in known and name not in OWN_OPTIONS:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ValidationError(
                _WHAT,
                f"there is no {name!r}.{hint} What else is to be kept with an execution may be a "
                "tag or a parameter.",
            )


__all__ = ["checked_run_options"]
