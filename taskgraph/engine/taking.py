"""Rows that are taken: written by another thread, and taken back where adding them is interrupted.

For calls that are made one at a time (`engine.eager`): nobody waits for their commit, and whoever
makes them may be interrupted in any line.
"""

from __future__ import annotations

from dataclasses import fields

from taskgraph.engine.jobs import Job
from taskgraph.engine.recorder import Recorder
from taskgraph.ports import Backend
from taskgraph.records import ExecutionId, ExecutionRecord, RecordBatch

_ROWS = [each.name for each in fields(RecordBatch)]

#: How many rows of each kind there were.
Mark = list[int]


class TakenRecorder(Recorder):
    """A recorder whose rows are taken by who writes them."""

    def __init__(
        self, backend: Backend, execution_id: ExecutionId, max_value_size: int | None
    ) -> None:
        super().__init__(backend, execution_id, max_value_size)
        self._taken: RecordBatch | None = None

    def take(self) -> RecordBatch | None:
        """Return all rows, to be written by who asks; None if there are none.

        The same ones again until they were `written`, wherever that was interrupted.
        """
        self.announcing.announce_slow()
        if self._taken is None and self._oldest is not None:
            self._batch.jobs = list(self._jobs.values())
            self._taken = self._batch
            self._begin_batch()
        return self._taken

    @property
    def is_taken(self) -> bool:
        """Whether rows were taken and are not written yet."""
        return self._taken is not None

    def written(self) -> None:
        """Take note that what was taken is written."""
        self._taken = None

    def give_up(self, execution: ExecutionRecord) -> None:
        """Take note that what was taken never will be written: what comes must not build on it.

        Args:
            execution: The row of the execution, which may have been among it.
        """
        self._taken = None
        self._forget()
        self.add_execution(execution)

    def mark(self) -> Mark:
        """Return where the rows end now."""
        return [len(getattr(self._batch, name)) for name in _ROWS]

    def roll_back(self, job: Job, mark: Mark | None) -> None:
        """Take back all rows since a mark, and that of a job: adding them was interrupted."""
        for name, length in zip(_ROWS, mark or (), strict=mark is not None):
            del getattr(self._batch, name)[length:]
        self._jobs.pop(job.id, None)
        self._shown.pop(job.id, None)
        self._forget()

    def _forget(self) -> None:
        """Add all again that was added: another time does no harm, and what is missing does."""
        self._tasks.clear()
        self._values.clear()
