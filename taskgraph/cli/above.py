"""What is printed while a table is drawn anew on a terminal: it goes above the table."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

from taskgraph.outputs.upon import UponStream

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live


class Above(UponStream):
    """A stream whose lines are drawn above a table.

    Rich has such a stream, which does not take the lock that the table is drawn under: of two
    threads that write at once, one would write over the other's lines.

    Args:
        live: The table.
        under: The stream that was there before.
    """

    def __init__(self, live: Live, under: TextIO) -> None:
        super().__init__(under)
        self._live = live
        self._begun = ""

    def write(self, text: str, /) -> int:
        """Draw what is a whole line by now."""
        whole, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self._draw(whole)
        return len(text)

    def flush(self) -> None:
        """Draw a line that has begun as a whole one."""
        rest, self._begun = self._begun, ""
        if rest:
            self._draw(rest)

    def _draw(self, text: str) -> None:
        from rich.text import Text

        with self._live._lock:
            self._live.console.print(Text.from_ansi(text), soft_wrap=True)

    @property
    def buffer(self) -> io.BufferedIOBase | None:
        """The bytes of the stream under it: they are not drawn above anything."""
        return getattr(self.under, "buffer", None)


class Streams:
    """Has what is printed go above a table, from `begin` to `end`.

    Args:
        live: The table.
        console: The terminal.
        with_stdout: Whether stdout leads there too.
    """

    def __init__(self, live: Live, console: Console, *, with_stdout: bool) -> None:
        self._names = ("stdout", "stderr") if with_stdout else ("stderr",)
        self._live = live
        self._console = console
        self._made: dict[str, Above] = {}

    def begin(self) -> None:
        """Put the streams in place."""
        if not self._console.is_terminal:
            return
        for name in self._names:
            self._made[name] = Above(self._live, getattr(sys, name))
            setattr(sys, name, self._made[name])

    def end(self) -> None:
        """Put back those that were there; those that somebody else has put in place stay."""
        for name, above in self._made.items():
            above.flush()
            if getattr(sys, name) is above:
                setattr(sys, name, above.under)
        self._made = {}
