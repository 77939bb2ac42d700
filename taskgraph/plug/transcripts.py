"""Transcripts: what was shown while something ran, in its order, to be shown once more.

Texts that were printed one after the other are one. What is displayed is data by MIME type, with
metadata; where it has a name, an update takes its place. All of it is plain data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

_MOST: Final = 1_000_000  # characters that are printed

#: ``("text", text)`` or ``("data", data by MIME type, metadata)``.
Entry = tuple[Any, ...]


class Viewer(Protocol):
    """Shows things to somebody."""

    def show_text(self, text: str) -> None:
        """Print a text."""

    def show_data(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Display data by MIME type."""


class Transcript:
    """Takes down what is shown.

    Attributes:
        entries: All of it, in order.
        is_whole: Whether nothing was left out: of what is printed, a million characters are kept.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.is_whole = True
        self._room = _MOST
        self._by_name: dict[str, int] = {}

    def add_text(self, text: str) -> None:
        """Take down what is printed."""
        self._room -= len(text)
        if self._room < 0:
            self.is_whole = False
        elif self.entries and self.entries[-1][0] == "text":
            self.entries[-1] = ("text", self.entries[-1][1] + text)
        else:
            self.entries.append(("text", text))

    def add_data(
        self,
        data: Mapping[str, Any],
        metadata: Mapping[str, Any],
        name: str | None = None,
        *,
        is_update: bool = False,
    ) -> None:
        """Take down what is displayed.

        Args:
            data: It, by MIME type.
            metadata: What is said of it.
            name: What it may be updated by.
            is_update: Whether it takes the place of what was displayed under its name.
        """
        entry = ("data", data, metadata)
        if is_update and name in self._by_name:
            self.entries[self._by_name[name]] = entry
            return
        if name is not None:
            self._by_name[name] = len(self.entries)
        self.entries.append(entry)

    def clear(self) -> None:
        """Forget what was shown: it is to be seen no more."""
        self.entries.clear()
        self._by_name.clear()


def show_again(entries: Sequence[Entry], viewer: Viewer) -> None:
    """Show what was taken down."""
    for kind, *content in entries:
        if kind == "text":
            viewer.show_text(*content)
        else:
            viewer.show_data(*content)
