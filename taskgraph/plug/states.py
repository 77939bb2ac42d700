"""What became of a call, in words: for tools that show it beside what they ran.

Each says it in the same way: whether the call ran, why, how long that took, by which execution a
result was made that was there, and which value has no stable hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from taskgraph.assembly.reading import open_reader
from taskgraph.config import Settings
from taskgraph.errors import UnhashableValueError
from taskgraph.plug.verbs import CallKey
from taskgraph.provenance.explain import ChangeKind
from taskgraph.provenance.explain_runs import explain_asked, explain_job
from taskgraph.provenance.explain_words import reason_of
from taskgraph.provenance.render import duration, moment, short_id
from taskgraph.records import JobId
from taskgraph.values.kinds import class_name
from taskgraph.values.weigh import hash_value

_HIT: Final = "✓ from the cache"
_RAN: Final = "▶ ran"
_STYLE: Final = "border-left:3px solid {};padding:1px 8px;font-size:90%;opacity:.85"
_COLORS: Final = {_HIT: "#2e9d55", _RAN: "#4078c0"}


@dataclass(frozen=True, slots=True)
class CallState:
    """What became of a call; shown as text or, where that can be, as HTML.

    Attributes:
        head: Whether it ran.
        body: The rest of the sentence.
        notes: Sentences on what was not as one would think.
    """

    head: str
    body: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of_hit(cls, made: str, names: Iterable[str]) -> CallState:
        """Return the state of a call that did not run.

        Args:
            made: When its result was, and how.
            names: What it gave.
        """
        return cls(_HIT, f"({made}){_listed(names)}")

    @classmethod
    def of_run(
        cls, why: str, seconds: float, names: Iterable[str], notes: Iterable[str] = ()
    ) -> CallState:
        """Return the state of a call that ran.

        Args:
            why: Why it did.
            seconds: How long.
            names: What it gave.
            notes: What else is to be said.
        """
        return cls(_RAN, f"({duration(seconds).text}, {why}){_listed(names)}", tuple(notes))

    def __repr__(self) -> str:
        return "\n  ".join([f"{self.head} {self.body}", *self.notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<br>{escape(each)}" for each in self.notes)
        style = _STYLE.format(_COLORS[self.head])
        return f'<div style="{style}"><b>{self.head}</b> {escape(self.body)}{notes}</div>'


def how_made(settings: Settings, job_id: JobId) -> str:
    """Say when the result that a job found was made, how long that took, and by which execution."""
    with closing(open_reader(settings)) as reader:
        made = explain_job(reader, job_id).made_by
    if made is None:
        return "made by an earlier call"
    when, took = moment(made.started).text, duration(made.seconds).text
    return f"made {when} in {took} by execution {short_id(made.execution_id).text}"


def why_it_runs(settings: Settings, call: CallKey) -> str:
    """Say in a few words why a call is about to run."""
    asked = call.ask()
    with closing(open_reader(settings)) as reader:
        told = explain_asked(reader, asked.call, asked.is_hit)
    if not told.changes:
        return "an equal call has ended meanwhile"
    if told.changes[0].kind is ChangeKind.NEW:
        return "the first time"
    return reason_of(told).replace("__main__.", "")


def without_hash(error: UnhashableValueError) -> str:
    """Say which argument of a call has no hash, and why."""
    path = error.path.removeprefix("args.")
    return f"{path} (a {error.type_name}) has no stable hash: {error.reason}"


def not_stored(result: Mapping[str, Any]) -> str:
    """Say which part of a result cannot be stored, and why; "" if it is none of them.

    Args:
        result: Its parts by their names.
    """
    for name, value in result.items():
        try:
            hash_value(value, name)
        except UnhashableValueError as error:
            where = "" if error.path == name else f" (at {error.path})"
            kind = class_name(type(value))
            return f"{name} (a {kind}) cannot be stored: {error.reason}{where}"
    return ""


def with_hash(values: Mapping[str, Any]) -> list[str]:
    """Return the names of those values that have a stable hash."""
    return [name for name, value in values.items() if _has_hash(value)]


def _has_hash(value: Any) -> bool:
    try:
        hash_value(value)
    except UnhashableValueError:
        return False
    return True


def _listed(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f": {listed}" if listed else ""
