"""What became of the cached fixtures of a test session, noted while it runs."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import Any, Final, NamedTuple

from taskgraph.errors import FixtureNotKeptWarning, UnhashableValueError
from taskgraph.plug.memo import Cached
from taskgraph.plug.verbs import CallKey, CallRecord

_SPLIT_IT: Final = (
    "Return plain data or files, and let a fixture without @cached make of these what tests use."
)


class Note(NamedTuple):
    """What became of one set-up of a fixture.

    Attributes:
        word: ``found``, ``ran``, ``raised`` or ``not kept``.
        fixture: Its full name.
        text: What else there is to say.
        call: The key of the cache; "" if it has none.
        job_id: The record; "" if there is none.
        folder: The config directory of the record.
    """

    word: str
    fixture: str
    text: str = ""
    call: str = ""
    job_id: str = ""
    folder: str = ""


class FixtureNotes:
    """Notes on one fixture.

    Args:
        cached: The fixture.
        folder: The config directory of its records.
        notes: Those of the session.
    """

    def __init__(self, cached: Cached[..., Any], folder: Path, notes: list[Note]) -> None:
        self._fixture = cached.fullname
        self._code = inspect.unwrap(cached).__code__
        self._folder = str(folder)
        self._notes = notes

    def add(self, word: str, call: CallKey, made: CallRecord, text: str = "") -> None:
        """Note a set-up that is recorded."""
        note = Note(word, self._fixture, text, call.eval_hash, made.job_id, self._folder)
        self._notes.append(note)

    def add_not_kept(self, reason: str, advice: str = "") -> None:
        """Note a set-up whose result will not be found again, and warn of it."""
        reason = reason.rstrip(".")
        self._notes.append(Note("not kept", self._fixture, reason))
        warning = FixtureNotKeptWarning(self._fixture, reason, advice)
        warnings.warn_explicit(warning, None, self._code.co_filename, self._code.co_firstlineno)

    def add_unstored(self, made: CallRecord) -> None:
        """Note a set-up whose result cannot be stored."""
        self.add_not_kept(f"its result: {made.unstored}", _SPLIT_IT)

    def add_unhashable(self, error: UnhashableValueError) -> None:
        """Note a set-up with an argument that has no stable hash."""
        path = error.path.removeprefix("args.")
        name = re.split(r"\W", path)[0]
        why = f"{path} (a {error.type_name}) has no stable hash: {error.reason}"
        self.add_not_kept(why, _advice(name))

    def add_tool(self, name: str) -> None:
        """Note a set-up with an argument that is pytest's and no value."""
        self.add_not_kept(f"its argument {name} belongs to this session", _advice(name))


def _advice(name: str) -> str:
    return (
        "If the result does not depend on it, leave it out of the key with "
        f'@cached(config_args=["{name}"]); else let a fixture without @cached use it.'
    )
