"""What became of the cached fixtures of a test session, in words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Final

from taskgraph.assembly import open_reader
from taskgraph.config import load_settings
from taskgraph.errors import TaskgraphError
from taskgraph.plug.execution import close_executions
from taskgraph.plug.pytest.notes import Note
from taskgraph.provenance.explain import Explanation
from taskgraph.provenance.explain_runs import explain_job
from taskgraph.provenance.explain_words import reason_of
from taskgraph.provenance.render import duration, moment

_ID_DIGITS: Final = 8

Line = tuple[str, str, str]


def end_session(notes: Sequence[Note], in_full: bool) -> list[Line]:
    """End the executions of this process, and tell what became of its fixtures.

    Args:
        notes: What was noted in this session.
        in_full: Whether to ask the records which execution made a result, or why it was made.

    Returns:
        For each note what became of it in a word, the fixture, and the rest.
    """
    lost: list[Line] = []
    try:
        close_executions()
    except TaskgraphError as error:
        lost = [("not kept", "the last fixtures of this session", str(error))]
    texts = _explained(notes) if in_full else {}
    return [
        (each.word, each.fixture, each.text or texts.get(_same(each), "")) for each in notes
    ] + lost


def _same(note: Note) -> tuple[str, str, str]:
    return note.word, note.fixture, note.call


def _explained(notes: Sequence[Note]) -> dict[tuple[str, str, str], str]:
    """Return what the records say; equal set-ups are asked about once."""
    first: dict[tuple[str, str, str], Note] = {}
    for note in notes:
        if note.job_id and not note.text:
            first.setdefault(_same(note), note)
    texts = {}
    for folder in {note.folder for note in first.values()}:
        try:
            with closing(open_reader(load_settings(folder))) as reader:
                for same, note in first.items():
                    if note.folder == folder:
                        texts[same] = _text_of(explain_job(reader, note.job_id))
        except TaskgraphError as error:
            texts.update({same: str(error) for same in first if same not in texts})
    return texts


def _text_of(explanation: Explanation) -> str:
    job, made = explanation.job, explanation.made_by
    assert job is not None
    if explanation.changes:
        more = "" if explanation.against is None else f" (taskgraph explain {job.id[:_ID_DIGITS]})"
        return f"{reason_of(explanation)}{more}"
    if made is None or made.execution_id == job.execution_id:
        return "made in this session"
    maker, took = made.execution_id[:_ID_DIGITS], duration(made.seconds).text
    return f"made by execution {maker} at {moment(made.started).text} in {took}"
