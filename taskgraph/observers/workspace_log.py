"""The log of a run in its workspace: lines for people, of what is no routine."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from taskgraph.events import (
    CacheEntryRefused,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    JobCached,
    JobDone,
    JobFailed,
    JobRetried,
    JobWaits,
    ResultUnstored,
    RunStopping,
    Warned,
)


class WorkspaceLog:
    """Adds lines to a file: how a run begins and ends, and what goes wrong in it.

    Calls that end well are only counted, for there may be millions.

    Args:
        path: The file; what is in it stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIOWrapper | None = None
        self._counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def notify(self, event: Event) -> None:
        """Add what there is to say of an event.

        Raises:
            OSError: It cannot be written.
        """
        kind = type(event)
        if kind is JobDone or kind is JobCached:
            self._counts["done" if kind is JobDone else "cached"] += 1
            return
        if kind is JobFailed:
            self._counts["failed"] += 1
        text = _text_of(event)
        if text:
            self._add(text)
        if isinstance(event, ExecutionEnded):
            counted = ", ".join(f"{count} {what}" for what, count in sorted(self._counts.items()))
            self._add(f"calls: {counted or 'none'}")
            self.close()

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _add(self, text: str) -> None:
        if self._file is None:
            # Closed when the run ends.
            self._file = open(  # noqa: SIM115
                self._path, "a", encoding="utf-8", errors="backslashreplace"
            )
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(f"{moment} {text}\n")
        self._file.flush()


def _text_of(event: Event) -> str:  # noqa: PLR0911 - one line for each kind
    match event:
        case ExecutionStarted():
            return f"execution {event.execution_id} runs {event.task}"
        case ExecutionEnded():
            return f"execution {event.execution_id} is {event.state} after {event.seconds:.3f} s"
        case JobFailed():
            return f"{event.task} failed (job {event.job_id[:8]}): {event.error}"
        case JobRetried():
            again = f"attempt {event.attempt} failed, tried again after {event.seconds:g} s"
            return f"{event.task} (job {event.job_id[:8]}): {again}: {event.error}"
        case JobWaits():
            return f"{event.task} (job {event.job_id[:8]}) {event.text}"
        case ResultUnstored():
            return f"{event.task} (job {event.job_id[:8]}): not stored: {event.reason}"
        case CacheEntryRefused():
            return f"{event.task}: a cached result is not used: {event.reason}"
        case RunStopping():
            return f"a Ctrl-C came; {event.running} calls that run are waited for"
        case Warned():
            return f"warning: {event.message}"
    return ""


__all__ = ["WorkspaceLog"]
