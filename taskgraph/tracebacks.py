"""Where an error came from, as plain data: the calls on the way to it, and the user's own frames.

What crosses processes, is stored or is shown to people holds none of the live frames, which would
keep alive all that their variables refer to.
"""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


@dataclass(frozen=True, slots=True)
class Frame:
    """One place on the way to an error: a line of code, or the definition of a task.

    Attributes:
        filename: The file.
        lineno: The line in it.
        name: The function, or the full name of the task.
        locals: Short texts by name: the arguments of a task. Of other frames there are none.
        lookup_line: Whether the text of the line is read from the file where it is not given.
        line: The text of the line.
        job: The id of the job, of a task.
    """

    filename: str
    lineno: int
    name: str
    locals: Mapping[str, str] | None = None
    lookup_line: bool = True
    line: str | None = None
    job: str | None = None

    @property
    def text(self) -> str:
        """The text of the line; empty where it is not known."""
        if self.line is None and self.lookup_line:
            return linecache.getline(self.filename, self.lineno).strip()
        return (self.line or "").strip()

    @property
    def is_ours(self) -> bool:
        """Whether it lies in this library, and not in the user's code."""
        return self.job is None and self.filename.startswith(_OURS)

    def format(self) -> str:
        """Return the frame as it stands in a trace, without an end of line."""
        if self.job is not None:
            where = f'file "{self.filename}", line {self.lineno}'
            lines = [f"  Job {self.job[:8]}, task {self.name}, {where}"]
        else:
            lines = [f'  File "{self.filename}", line {self.lineno}, in {self.name}']
            lines += [f"    {self.text}"] if self.text else []
        return "\n".join(
            [*lines, *(f"    {n} = {each}" for n, each in (self.locals or {}).items())]
        )


class Traceback:
    """An error with the frames that it came through, outermost first.

    Args:
        error: The exception.
        frames: The calls of tasks on the way to it, then the frames of the user's code.
        logs: Lines that were said on the way, shown below the error.
    """

    __slots__ = ("error", "frames", "logs")

    def __init__(
        self, error: BaseException, frames: Iterable[Frame], logs: Iterable[str] | None = None
    ) -> None:
        self.error = error
        self.frames = list(frames)
        self.logs = list(logs or ())

    @classmethod
    def from_error(cls, error: BaseException, trim_frames: bool = True) -> Traceback:
        """Return the traceback of an exception that was caught.

        Of one that `taskgraph.run` raised it has the calls of tasks as well, and the frames in the
        body that failed, wherever that ran.

        Args:
            error: The exception.
            trim_frames: Whether frames of this library are left out.
        """
        trace = getattr(error, "__taskgraph_trace__", None)
        frames = _frames_of(error) if trace is None else _frames_of_trace(trace)
        return cls(error, cls.trim_frames(frames) if trim_frames else frames)

    @staticmethod
    def trim_frames(frames: Sequence[Frame]) -> list[Frame]:
        """Return frames without those of this library."""
        return [each for each in frames if not each.is_ours]

    def format(self) -> str:
        """Return the trace as text, in the form of Python's own."""
        has_tasks = any(each.job is not None for each in self.frames)
        first = "Task trace (outermost task first):" if has_tasks else _FIRST
        told = traceback.format_exception_only(type(self.error), self.error)
        lines = [first, *(each.format() for each in self.frames), "".join(told).rstrip("\n")]
        return "\n".join([*lines, *self.logs])

    def __repr__(self) -> str:
        return f"Traceback({self.error!r}, {len(self.frames)} frames)"


_FIRST = "Traceback (most recent call last):"


def _frames_of(error: BaseException) -> list[Frame]:
    found = traceback.extract_tb(error.__traceback__)
    return [Frame(each.filename, each.lineno or 0, each.name, line=each.line) for each in found]


def _frames_of_trace(trace: Any) -> list[Frame]:
    """Return the frames of the trace that a run puts on what it raises."""
    tasks = [
        Frame(each.filename, each.lineno, each.task, dict(each.arguments), False, job=each.job_id)
        for each in trace.tasks
    ]
    return [*tasks, *(Frame(e.filename, e.lineno, e.name, line=e.line) for e in trace.frames)]
