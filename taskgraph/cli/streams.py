"""Streams that take all that is written to them, whatever the locale says.

A terminal or a pipe that is not UTF-8 has no marks, lines and dots. They become signs that every
terminal has, of the same width, so that columns stay below each other; all else that it cannot
show is written as Python escapes it.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable
from typing import Final, TextIO

_NAME: Final = "taskgraph.marks"
_SIGNS: Final = {
    **dict(zip("✓○✗●·⊘…", "+=x*.-.", strict=True)),
    **dict(zip("─━│├└", "--||`", strict=True)),
}


def settle_streams(streams: Iterable[TextIO | None] | None = None) -> None:
    """Have streams write what their encoding has no letters for: in UTF-8, only broken file names.

    Args:
        streams: Those to settle; stdout and stderr by default. One that is closed is None.
    """
    for stream in (sys.stdout, sys.stderr) if streams is None else streams:
        if isinstance(stream, io.TextIOWrapper):
            codecs.register_error(_NAME, _replaced)
            stream.reconfigure(errors=_NAME)


def write_utf8(text: str) -> None:
    """Write text for programs to stdout: in UTF-8, as its format says, whatever the locale is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # nothing is read from these
    text = error.object[error.start : error.end]
    return "".join(_SIGNS.get(each) or _escaped(each) for each in text), error.end


def _escaped(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode()


__all__ = ["settle_streams", "write_utf8"]
