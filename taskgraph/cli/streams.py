"""Streams that take all that is written to them, whatever the locale says.

A terminal or a pipe that is not UTF-8 has no marks, lines and dots. They become signs that every
terminal has, of the same width, so that columns stay below each other; all else that it cannot
show is written as Python escapes it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

_NAME: Final = "taskgraph.marks"
_SIGNS: Final = {
    **dict(zip("✓○✗●·⊘…", "+=x*.-.", strict=True)),
    **dict(zip("─━│├└", "--||`", strict=True)),
}


def have_streams() -> None:
    """Have streams where this process was started without some, as by ``>&-`` or a daemon.

    What is written to them goes nowhere, and no file that is opened later is taken for them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, os.O_RDWR)
        try:
            os.fstat(number)
        except OSError:
            os.dup2(null, number)
        if null != number:
            os.close(null)
        else:
            os.set_inheritable(number, True)
        stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


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


__all__ = ["have_streams", "settle_streams", "write_utf8"]
