"""Reading what a job printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from taskgraph.outputs.place import STDERR, STDOUT, segments_of


class OutputLine(NamedTuple):
    """A line that a job printed.

    Attributes:
        time: When it began.
        stream: ``stdout`` or ``stderr``.
        text: Without its end. It may hold anything that a terminal obeys.
    """

    time: datetime
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """What a job printed.

    Attributes:
        lines: In the order in which they began.
        left_out: How many bytes of the file were not kept.
        left_out_after: After how many of the lines these stood.
    """

    lines: tuple[OutputLine, ...]
    left_out: int = 0
    left_out_after: int = 0

    def tail(self, count: int, stream: str | None = None) -> list[str]:
        """Return the last lines as a terminal would show them, of one stream or of both."""
        chosen = [each for each in self.lines if stream in (None, each.stream)]
        return [seen_of(each.text) for each in chosen[-count:]]


def seen_of(text: str) -> str:
    """Return what stays of a line on a terminal: a bar that is drawn anew is seen once."""
    return text.rstrip("\r").rpartition("\r")[2]


def read_output(folder: str, job_id: str) -> Output | None:
    """Return what a job printed; None if it printed nothing, or it is not kept here.

    Raises:
        OSError: A file is there and cannot be read.
    """
    segments = segments_of(folder, job_id)
    if not segments:
        return None
    lines: list[OutputLine] = []
    left_out = after = end = 0
    content = b""
    for start, path in segments:
        try:
            with open(path, "rb") as opened:
                more = opened.read()
        except FileNotFoundError:  # dropped meanwhile: what comes next begins later
            continue
        if start > end:
            lines += _lines_of(content)
            content = b""
            left_out, after = left_out + start - end, len(lines)
        content += more
        end = start + len(more)
    lines += _lines_of(content)
    return Output(tuple(lines), left_out, after)


def _lines_of(content: bytes) -> Iterator[OutputLine]:
    found: list[tuple[datetime, str, list[str]]] = []
    begun: dict[str, list[str]] = {}
    for record in content.split(b"\n")[:-1]:
        when, _, rest = record.decode(errors="replace").partition(" ")
        stream, _, rest = rest.partition(" ")
        mark, _, text = rest.partition(" ")
        if stream not in (STDOUT, STDERR) or mark not in ("F", "P"):
            continue
        try:
            time = datetime.fromisoformat(when)
        except ValueError:
            continue
        if stream not in begun:
            begun[stream] = []
            found.append((time, stream, begun[stream]))
        begun[stream].append(text)
        if mark == "F":
            del begun[stream]
    for time, stream, texts in found:
        yield OutputLine(time, stream, "".join(texts))
