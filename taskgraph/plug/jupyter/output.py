"""What a cell shows while it runs: let through, kept, and shown once more on a hit.

Kept are what is printed, what is displayed, figures, and the value at the end of the cell. What
goes to standard error (warnings, the bars of progress) belongs to the run alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

_MOST: Final = 1_000_000  # characters that are printed

Shown = list[tuple[Any, ...]]  # ("text", text) or ("data", data by MIME type, metadata)


class _Tee:
    """Stands for another object; calls of some of its methods are told to listeners first."""

    def __init__(self, target: Any, **listeners: Callable[..., None]) -> None:
        self._target = target
        self._listeners = listeners

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        listener = self._listeners.get(name)
        if listener is None:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            listener(*args, **kwargs)
            return found(*args, **kwargs)

        return call


class Recorder:
    """Takes down what is shown.

    Attributes:
        shown: All of it, in order.
        is_whole: Whether nothing was left out.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shown: Shown = []
        self.is_whole = True
        self._shell = shell
        self._stdout = sys.stdout
        self._room = _MOST
        self._by_id: dict[str, int] = {}  # where those lie that may be updated

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take down what is shown in this block."""
        shell: Any = self._shell
        publisher = shell.display_pub
        shell.display_pub = _Tee(publisher, publish=self._published, clear_output=self._cleared)
        try:
            with redirect_stdout(_Tee(self._stdout, write=self._printed)):
                yield
                shell.events.trigger("post_execute")  # figures are shown now
        finally:
            shell.display_pub = publisher

    def show_value(self, value: Any) -> None:
        """Show the value at the end of the cell, as ever."""
        hook: Any = self._shell.displayhook
        if not hasattr(value, "_ipython_display_"):
            self.shown.append(("data", *hook.compute_format_data(value)))
        with redirect_stdout(self._stdout):  # where a terminal shows it
            sys.displayhook(value)

    def _printed(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            self.is_whole = False
        elif self.shown and self.shown[-1][0] == "text":
            self.shown[-1] = ("text", self.shown[-1][1] + text)
        else:
            self.shown.append(("text", text))

    def _published(
        self, data: Any, metadata: Any = None, *, transient: Any = None, **more: Any
    ) -> None:
        entry = ("data", data, metadata or {})
        name = (transient or {}).get("display_id")
        if more.get("update") and name in self._by_id:
            self.shown[self._by_id[name]] = entry
            return
        if name is not None:
            self._by_id[name] = len(self.shown)
        self.shown.append(entry)

    def _cleared(self, wait: bool = False) -> None:
        self.shown.clear()
        self._by_id.clear()


def show_again(shell: InteractiveShell, shown: Sequence[tuple[Any, ...]]) -> None:
    """Show once more what a cell showed."""
    for kind, *content in shown:
        if kind == "text":
            sys.stdout.write(content[0])
        else:
            shell.display_pub.publish(*content)
