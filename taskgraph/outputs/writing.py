"""Writing what a job prints: each line at once, so that nothing of it is lost with a process.

The first half of what may be kept is the beginning; the rest are two files, of which the older one
is dropped when the newer one is full.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import ClassVar

from taskgraph.outputs.place import (
    LEAST_SIZE,
    MOST_IN_LINE,
    OutputPlace,
    path_of,
    segments_of,
)

# More files are not held open: each line of the others opens its own.
_MOST_OPEN = 100
_TOGETHER = 100  # lines in one piece


class OutputFile:
    """The output of one job, as it is printed.

    Args:
        place: Where that of the execution is.
        job_id: The job. What it printed before, in an earlier attempt, stays.
    """

    open_files: ClassVar[int] = 0

    def __init__(self, place: OutputPlace, job_id: str) -> None:
        self._folder = place.folder
        self._job_id = job_id
        size = max(place.max_size, LEAST_SIZE)
        self._head, self._tail = size // 2, size // 4
        self._start = self._older = self._size = 0
        self._file: int | None = None
        try:
            self._open(os.O_EXCL)
        except FileNotFoundError:  # the first one of this execution
            os.makedirs(place.folder, exist_ok=True)
            self._open(os.O_EXCL)
        except FileExistsError:
            # Only now: the folder may have a file for each of a hundred thousand jobs.
            segments = segments_of(place.folder, job_id)
            self._start = segments[-1][0]
            self._older = segments[-2][0] if len(segments) > 2 else 0
            self._size = os.path.getsize(segments[-1][1])

    def write(self, stream: str, text: str, *, is_whole: bool) -> None:
        """Write one line, or a part of one that goes on.

        Raises:
            OSError: It cannot be written.
        """
        when = _now()
        # No rest is cut off again and again: of a line of 100 MB that alone would take minutes.
        last = max(0, len(text) - 1) // MOST_IN_LINE * MOST_IN_LINE
        for at in range(0, last, MOST_IN_LINE):
            self._add(f"{when} {stream} P {text[at : at + MOST_IN_LINE]}\n")
        self._add(f"{when} {stream} {'F' if is_whole else 'P'} {text[last:]}\n")

    def write_lines(self, stream: str, text: str) -> None:
        """Write lines that are whole and came together: millions of them, at times.

        Args:
            stream: ``stdout`` or ``stderr``.
            text: The lines, without the end of the last one.

        Raises:
            OSError: They cannot be written.
        """
        lines = text.split("\n")
        for at in range(0, len(lines), _TOGETHER):
            some = lines[at : at + _TOGETHER]
            if len(some) == 1 or sum(map(len, some)) > MOST_IN_LINE:
                for each in some:
                    self.write(stream, each, is_whole=True)
                continue
            begin = f"{_now()} {stream} F "
            self._add(begin + f"\n{begin}".join(some) + "\n")

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            OutputFile.open_files -= 1

    def _add(self, text: str) -> None:
        record = text.encode(errors="backslashreplace")
        if self._size and self._size + len(record) > (self._tail if self._start else self._head):
            self._turn()
        os.write(self._open() if self._file is None else self._file, record)
        self._size += len(record)
        if OutputFile.open_files > _MOST_OPEN:
            self.close()

    def _open(self, how: int = 0) -> int:
        path = path_of(self._folder, self._job_id, self._start)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | how
        self._file = os.open(path, flags, 0o666)
        OutputFile.open_files += 1
        return self._file

    def _turn(self) -> None:
        """Begin a new file, and drop the one before the last of the end."""
        self.close()
        if self._older:
            os.unlink(path_of(self._folder, self._job_id, self._older))
        self._older = self._start
        self._start += self._size
        self._size = 0


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
