"""What a body notes down about its own call while it runs: tags of its job."""

from __future__ import annotations

from contextvars import ContextVar

#: Where the body that runs here has its notes; set by who runs it.
taken_notes: ContextVar[list[tuple[str, object]] | None] = ContextVar(
    "taskgraph_notes", default=None
)


def note(key: str, value: object) -> None:
    """Tag the job whose body this is called in; without one nothing happens.

    Args:
        key: The tag.
        value: What is JSON.
    """
    notes = taken_notes.get()
    if notes is not None:
        notes.append((key, value))
