"""Where the output of a job is kept, and in what form: a file for each job that printed something.

A line is ``2026-01-31T12:00:00.000000Z stdout F text``, as containers log: the time, the stream,
``F`` or, where the line goes on in the next one, ``P``. Of a job that says more than fits, the
beginning and the end are kept: ``JOB.log`` is the beginning, and ``JOB.12345.log`` what begins at
that byte.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final, NamedTuple

STDOUT: Final = "stdout"
STDERR: Final = "stderr"
SUFFIX: Final = ".log"
#: A longer line is written in pieces.
MOST_IN_LINE: Final = 8192
#: No file is kept smaller than this.
LEAST_SIZE: Final = 64 * 1024


class OutputPlace(NamedTuple):
    """Where the output of an execution's jobs is kept.

    Attributes:
        folder: That of the execution.
        max_size: So many bytes are kept of a job.
        is_echoed: Whether what is printed is shown as well.
        host: Whose folder it is; "" if all machines have it.
    """

    folder: str
    max_size: int
    is_echoed: bool = True
    host: str = ""


def folder_of(root: str | Path, execution_id: str) -> str:
    """Return the folder with the output of an execution."""
    return os.path.join(root, execution_id)


def segments_of(folder: str, job_id: str) -> list[tuple[int, str]]:
    """Return the files of a job by the bytes that they begin at, in order."""
    found = []
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if name.startswith(job_id) and name.endswith(SUFFIX):
            middle = name[len(job_id) : -len(SUFFIX)]
            if not middle:
                found.append((0, os.path.join(folder, name)))
            elif middle[0] == "." and middle[1:].isdecimal():
                found.append((int(middle[1:]), os.path.join(folder, name)))
    return sorted(found)


def jobs_in(folder: str) -> list[str]:
    """Return the jobs of an execution that printed something, by the time when they last did."""
    try:
        found = [each for each in os.scandir(folder) if each.name.endswith(SUFFIX)]
        found.sort(key=lambda each: each.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return list(dict.fromkeys(each.name.partition(".")[0] for each in found))


def path_of(folder: str, job_id: str, start: int) -> str:
    """Return the path of what a job said from some byte on."""
    middle = f".{start}" if start else ""
    return os.path.join(folder, f"{job_id}{middle}{SUFFIX}")


def reached(place: OutputPlace | None) -> OutputPlace | None:
    """Return a place if this machine has the folder that is meant."""
    if place is None or place.host in ("", platform.node()):
        return place
    return None
