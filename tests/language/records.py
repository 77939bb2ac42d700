"""What is recorded in the backend of a test's own."""

from __future__ import annotations

from taskgraph import Scheduler
from taskgraph.testing import MemoryBackend


def backend_of(scheduler: Scheduler) -> MemoryBackend:
    """Return the backend of a scheduler whose tables are dictionaries to look into."""
    assert isinstance(scheduler.backend, MemoryBackend)
    return scheduler.backend
