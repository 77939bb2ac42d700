"""Where cells of a notebook show things: let through while a cell runs, taken down, shown again.

Taken down are what is printed, what is displayed, figures, and the value at the end of the cell.
What goes to standard error (warnings, the bars of progress) belongs to the run alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from taskgraph.plug.transcripts import Transcript


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


class NotebookScreen:
    """The output of a cell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell: Any = shell

    @contextmanager
    def listening(self, transcript: Transcript) -> Iterator[None]:
        """Take down what is shown in this block."""
        shell, stdout, hook = self._shell, sys.stdout, sys.displayhook

        def value(shown: Any) -> None:
            if shown is not None and not hasattr(shown, "_ipython_display_"):
                transcript.add_data(*shell.displayhook.compute_format_data(shown))
            with redirect_stdout(stdout):  # where a terminal shows it
                hook(shown)

        def publish(data: Any, metadata: Any = None, *, transient: Any = None, **more: Any) -> None:
            name = (transient or {}).get("display_id")
            transcript.add_data(data, metadata or {}, name, is_update=more.get("update", False))

        def clear(wait: bool = False) -> None:
            transcript.clear()

        publisher, sys.displayhook = shell.display_pub, value
        shell.display_pub = _Tee(publisher, publish=publish, clear_output=clear)
        try:
            with redirect_stdout(_Tee(stdout, write=transcript.add_text)):
                yield
                shell.events.trigger("post_execute")  # figures are shown now
        finally:
            shell.display_pub, sys.displayhook = publisher, hook

    def show_text(self, text: str) -> None:
        """Print a text."""
        sys.stdout.write(text)

    def show_data(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Display data by MIME type."""
        self._shell.display_pub.publish(data, metadata)
