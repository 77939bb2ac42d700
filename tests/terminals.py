"""A terminal for tests: what a command shows on one, as lines of text."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path


def on_a_terminal(
    words: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    width: int,
    look: Callable[[subprocess.Popen[bytes], str], None] = lambda process, shown: None,
) -> list[str]:
    """Return the lines that a command leaves on a terminal.

    Args:
        words: The command.
        folder: Where it runs.
        environment: Its environment variables.
        width: How many columns there are.
        look: Given the process and what it has written, each time that it writes something.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {**environment, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    with suppress(OSError):  # nobody has the other end any more
        while more := os.read(ours, 65536):
            written += more
            look(process, written.decode(errors="replace"))
    os.close(ours)
    process.wait(60)
    return seen_on_a_terminal(written.decode(errors="replace"))


def seen_on_a_terminal(written: str) -> list[str]:
    """Return the lines of a terminal without an end, for what rich writes."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            count = int(re.sub(r"\D", "", part) or 1)
            if part[-1] == "A":
                row -= count
            elif part[-1] == "K":
                rows[row] = ""
        else:
            rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
            column += len(part)
    return [each.rstrip() for each in rows]
