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


class _StandIn:
    """Stands for another object, with some functions in place of its methods."""

    def __init__(self, target: Any, **methods: Callable[..., Any]) -> None:
        self._target = target
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class NotebookScreen:
    """The output of a cell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell: Any = shell

    @contextmanager
    def listening(self, transcript: Transcript) -> Iterator[None]:
        """Take down what is shown in this block."""
        shell, stdout, hook = self._shell, sys.stdout, sys.displayhook
        publisher = shell.display_pub

        def write(text: str) -> Any:
            transcript.add_text(text)
            return stdout.write(text)

        def show_value(value: Any) -> None:
            if value is not None and not hasattr(value, "_ipython_display_"):
                transcript.add_data(*shell.displayhook.compute_format_data(value))
            with redirect_stdout(stdout):  # where a terminal shows it
                hook(value)

        def publish(data: Any, metadata: Any = None, *, transient: Any = None, **more: Any) -> None:
            name = (transient or {}).get("display_id")
            transcript.add_data(data, metadata or {}, name, is_update=more.get("update", False))
            with redirect_stdout(stdout):
                publisher.publish(data, metadata, transient=transient, **more)

        def clear_output(wait: bool = False) -> None:
            transcript.clear()
            publisher.clear_output(wait)

        sys.displayhook = show_value
        shell.display_pub = _StandIn(publisher, publish=publish, clear_output=clear_output)
        try:
            with redirect_stdout(_StandIn(stdout, write=write)):
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
