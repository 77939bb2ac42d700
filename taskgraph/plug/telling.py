"""What became of the calls of a session, told at its end, with what the records say of them.

    a call has ended       a note of it: text alone, so that nothing of the call is kept alive
    the session has ended  a line for each note: found, and who made it; ran, and why; not kept

Where a session has several processes, each sends its notes to the one that tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

from taskgraph.assembly.reading import open_reader
from taskgraph.config import load_settings
from taskgraph.errors import TaskgraphError
from taskgraph.plug.execution import close_executions
from taskgraph.plug.keeping import NOT_KEPT, KeptCall
from taskgraph.provenance.explain import Explanation
from taskgraph.provenance.explain_runs import explain_job
from taskgraph.provenance.explain_words import reason_of
from taskgraph.provenance.render import duration, moment, short_id


class Note(NamedTuple):
    """What became of a call.

    Attributes:
        word: That of `KeptCall`.
        name: The function's.
        text: What is known without the records.
        call: The key of the cache; "" if it has none.
        job_id: The record; "" if there is none.
        config_dir: The config directory of the record.
    """

    word: str
    name: str
    text: str = ""
    call: str = ""
    job_id: str = ""
    config_dir: str = ""


def note_of(name: str, call: KeptCall) -> Note:
    """Return the note of a call that has ended.

    Args:
        name: What it is told as.
        call: The call.
    """
    if call.key is None or call.record is None:
        return Note(call.word, name, call.text)
    folder = str(call.key.config_dir)
    return Note(call.word, name, call.text, call.key.eval_hash, call.record.job_id, folder)


def end_session(notes: list[Note]) -> None:
    """End the executions of this process; what could not be recorded at last is noted."""
    try:
        close_executions()
    except TaskgraphError as error:
        notes.append(Note(NOT_KEPT, "the last calls of this session", str(error)))


def told(notes: Iterable[Note], *, in_full: bool) -> list[str]:
    """Return a line for each call, in columns. Lines that are equal are one, with their number.

    Args:
        notes: The calls, in their order. Plain tuples will do.
        in_full: Whether to tell of all of them, and to ask the records who made a result, or why
            it was made; by default of those that are not kept.
    """
    shown = [each for each in (Note(*each) for each in notes) if in_full or each.word == NOT_KEPT]
    texts = _explained(shown)
    word, name = (max((len(each[at]) for each in shown), default=0) for at in (0, 1))
    lines = Counter(
        f"{each.word:{word}}  {each.name:{name}}  {each.text or texts.get(_same(each), '')}"
        for each in shown
    )
    return [line if count == 1 else f"{line}  (x{count})" for line, count in lines.items()]


def counted(notes: Iterable[Note]) -> str:
    """Return how many calls were found, how many ran, and so on."""
    counts = Counter(word for word, *_ in notes)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def history_of(told: Explanation) -> str:
    """Return what the records say of a job in a few words: why it ran, or who made its result."""
    assert told.job is not None
    if told.changes:
        more = "" if told.against is None else f" (taskgraph explain {short_id(told.job.id).text})"
        return f"{reason_of(told)}{more}"
    made = told.made_by
    if made is None or made.execution_id == told.job.execution_id:
        return "made in this session"
    when, took = moment(made.started).text, duration(made.seconds).text
    return f"made by execution {short_id(made.execution_id).text} at {when} in {took}"


def _same(note: Note) -> Note:
    return note._replace(job_id="")


def _explained(notes: Sequence[Note]) -> dict[Note, str]:
    """Return what the records say of calls; those that are the same are asked about once."""
    asked = {_same(each): each for each in reversed(notes) if each.job_id and not each.text}
    texts = {}
    for folder in {each.config_dir for each in asked}:
        here = {same: each.job_id for same, each in asked.items() if each.config_dir == folder}
        try:
            with closing(open_reader(load_settings(folder))) as reader:
                for same, job_id in here.items():
                    texts[same] = history_of(explain_job(reader, job_id))
        except TaskgraphError as error:
            texts = {**dict.fromkeys(here, str(error)), **texts}
    return texts
