"""What became of the calls of a session: noted as text, told with what the records say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import DatabaseFullError
from taskgraph.plug import telling
from taskgraph.plug.keeping import kept, key_if_any
from taskgraph.plug.telling import Note, counted, end_session, note_of, told


def half(x: Any) -> Any:
    return x / 2


def session(*given: Any) -> list[Note]:
    """Call `half` with each of some values, in a session of its own; return the notes."""
    notes: list[Note] = []
    for x in given:
        with kept(key_if_any(half, (x,)), tell=lambda c: notes.append(note_of("half", c))) as call:
            if not call.is_found:
                call.result = call.body()
    end_session(notes)
    return notes


def test_notes_are_text_alone(project: Path) -> None:
    (note,) = session(3)

    assert all(type(each) is str for each in note)
    assert (note.word, note.name, note.config_dir) == ("ran", "half", str(project / ".taskgraph"))


def test_it_is_told_who_made_a_result_and_why_it_was_made(project: Path) -> None:
    session(3)
    notes = session(3, 3, 5, 5)

    lines = told(notes, in_full=True)

    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d in [\d.]+ ms"
    assert re.fullmatch(rf"found  half  made by execution \w{{8}} at {when}  \(x2\)", lines[0])
    assert re.fullmatch(r"ran    half  x changed .*\(taskgraph explain \w{8}\)", lines[1])
    assert lines[2:] == ["found  half  made in this session"]
    assert counted(notes) == "3 found, 1 ran"


def test_without_being_asked_only_what_is_not_kept_is_told() -> None:
    notes = [("ran", "a", "", "", "", ""), ("not kept", "b", "no", "", "", "")]

    assert told([Note(*each) for each in notes], in_full=False) == ["not kept  b  no"]
    assert counted([Note(*each) for each in notes]) == "1 ran, 1 not kept"


def test_notes_of_another_process_are_plain_tuples(project: Path) -> None:
    notes = session(3)

    sent: Any = [tuple(each) for each in notes]

    assert told(sent, in_full=True) == told(notes, in_full=True)


def test_what_is_lost_at_the_end_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def close() -> None:
        raise DatabaseFullError("sqlite:///x.db", "the disk is full")

    monkeypatch.setattr(telling, "close_executions", close)
    notes: list[Note] = []

    end_session(notes)

    (line,) = told(notes, in_full=False)
    assert line.startswith("not kept  the last calls of this session  ") and "is full" in line


def test_records_that_are_gone_are_told_of(project: Path) -> None:
    notes = session(3)
    (project / ".taskgraph" / "taskgraph.db").write_bytes(b"no database " * 1000)

    (line,) = told(notes, in_full=True)

    assert line.startswith("ran  half  ") and "database" in line
