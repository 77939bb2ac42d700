"""Streams that stand in place of another one, and say of themselves what that one would."""

from __future__ import annotations

import io
from typing import TextIO


class UponStream(io.TextIOBase):
    """A text stream upon another one: what it is (a terminal, an encoding) is that one's to say.

    Args:
        under: The stream that was there before.
    """

    def __init__(self, under: TextIO | io.TextIOBase) -> None:
        self.under = under

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def isatty(self) -> bool:
        """Tell whether it leads to a terminal."""
        return self.under.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream under it."""
        return self.under.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # that of the stream under it
        """That of the stream under it."""
        return getattr(self.under, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # the same
        """Those of the stream under it."""
        return getattr(self.under, "errors", None)
