"""What a body notes down about its own call while it runs: tags of its job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_notes: ContextVar[list[tuple[str, object]] | None] = ContextVar("taskgraph_notes", default=None)


def note(key: str, value: object) -> None:
    """Tag the job whose body this is called in; without one nothing happens.

    Args:
        key: The tag.
        value: What is JSON.
    """
    notes = _notes.get()
    if notes is not None:
        notes.append((key, value))


@contextmanager
def taking_notes() -> Iterator[list[tuple[str, object]]]:
    """Collect what is noted while a body runs."""
    notes: list[tuple[str, object]] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)
