"""What is said under a cell: whether it ran, why, how long that took, and which names it bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from taskgraph.assembly import open_reader
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
class CellState:
    """What became of a cell; shown as text or, where that can be, as HTML.

    Attributes:
        head: Whether it ran.
        body: The rest of the sentence.
        notes: Sentences on what was not as one would think.
    """

    head: str
    body: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "\n  ".join([f"{self.head} {self.body}".rstrip(), *self.notes])

    def _repr_html_(self) -> str:
        notes = "".join(f"<br>{escape(each)}" for each in self.notes)
        style = _STYLE.format(_COLORS[self.head])
        return f'<div style="{style}"><b>{self.head}</b> {escape(self.body)}{notes}</div>'


def hit_state(settings: Settings, job_id: JobId, names: Iterable[str]) -> CellState:
    """Return the state of a cell that did not run.

    Args:
        settings: Those of the project.
        job_id: This time that it was asked for.
        names: Those that are bound.
    """
    with closing(open_reader(settings)) as reader:
        made = explain_job(reader, job_id).made_by
    if made is None:
        return CellState(_HIT, f"(made by an earlier call){_listed(names)}")
    when = f"made {_plain(moment(made.started))} in {_plain(duration(made.seconds))}"
    by = f"by execution {short_id(made.execution_id).text}"
    return CellState(_HIT, f"({when} {by}){_listed(names)}")


def run_state(
    why: str, seconds: float, names: Iterable[str], notes: Sequence[str] = ()
) -> CellState:
    """Return the state of a cell that ran.

    Args:
        why: Why it did.
        seconds: How long.
        names: Those that are bound.
        notes: What else is to be said.
    """
    took = _plain(duration(seconds))
    return CellState(_RAN, f"({took}, {why}){_listed(names)}", tuple(notes))


def why_it_runs(settings: Settings, call: CallKey) -> str:
    """Say in a few words why a cell is about to run."""
    asked = call.ask()
    with closing(open_reader(settings)) as reader:
        told = explain_asked(reader, asked.call, asked.is_hit)
    if not told.changes:
        return "an equal cell has ended meanwhile"
    if told.changes[0].kind is ChangeKind.NEW:
        return "the first time"
    return reason_of(told).replace("__main__.", "")


def notes_of(changed: Iterable[str], is_whole: bool, unstored: str) -> list[str]:
    """Return what else is to be said of a run.

    Args:
        changed: Inputs that it changed in place.
        is_whole: Whether all that it printed is kept.
        unstored: Why its result is not kept; "" if it is.
    """
    notes: list[str] = []
    if changed:
        notes.append(f"changed in place, and kept as it is now: {', '.join(changed)}")
    if not is_whole:
        notes.append("it prints a lot: what it shows on a hit is not all of it")
    if unstored:
        notes.append(f"not kept, so it runs each time: {unstored}")
    return notes


def unhashable(error: UnhashableValueError, inputs: Mapping[str, Any]) -> str:
    """Say which input has no hash, and what to do.

    Args:
        error: What was said of it.
        inputs: All of them.
    """
    path = error.path.removeprefix("args.")
    return (
        f"the input {path} (a {error.type_name}) has no stable hash: {error.reason}. To have the "
        f"others count alone: %%cached --inputs {_others(inputs)}"
    )


def unstorable(result: Mapping[str, Any], reason: str) -> str:
    """Say which name has a value that cannot be stored, and what to do.

    Args:
        result: All that is to be kept, by name.
        reason: Why it cannot, as the store says it.
    """
    for name, value in result.items():
        try:
            hash_value(value, name)
        except UnhashableValueError as error:
            where = "" if error.path == name else f" (at {error.path})"
            return (
                f"{name} (a {class_name(type(value))}) cannot be stored: {error.reason}{where}. "
                f"To keep the others alone: %%cached --outputs {_others(result)}"
            )
    return reason


def _others(values: Mapping[str, Any]) -> str:
    """Return the names whose values have a hash, as an option takes them."""
    return ",".join(name for name, value in values.items() if _has_hash(value)) or "''"


def _has_hash(value: Any) -> bool:
    try:
        hash_value(value)
    except UnhashableValueError:
        return False
    return True


def _listed(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f": {listed}" if listed else ""


def _plain(line: Sequence[object]) -> str:
    return "".join(str(each[0]) for each in line if isinstance(each, tuple))
