"""Scripts: those that are tasks, and those that tasks are defined in."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError


class ScriptError(TaskgraphError):
    """A script ended with an exit code that says that it failed, or was killed.

    Attributes:
        command: Its text, or its words.
        exit_code: What it ended with; minus the number of the signal if one killed it.
        stderr: The end of what it said on its standard error.
        folder: The temporary folder that it ran in, which is kept; None if it had none.
    """

    def __init__(
        self, command: str, exit_code: int, stderr: str = "", folder: str | None = None
    ) -> None:
        super().__init__(command, exit_code, stderr, folder)
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr
        self.folder = folder

    @property
    def message(self) -> str:
        """All that is said of it."""
        return str(self)

    def __str__(self) -> str:
        return "\n".join([f"A script {_how_it_ended(self.exit_code)}.", *self._details()])

    def _details(self) -> list[str]:
        said = self.stderr.rstrip()
        lines = [f"The end of its stderr:\n{_indented(said)}" if said else "Its stderr is empty."]
        if self.folder is not None:
            lines.append(f"It ran in {self.folder}, which is kept.")
        return [*lines, f"The script:\n{_indented(self.command, _MOST_LINES)}"]


class ScriptOutputError(ScriptError):
    """A script ended well, and did not make all of its outputs.

    Attributes:
        missing: The paths where nothing is.
    """

    def __init__(
        self,
        command: str,
        missing: Sequence[str],
        stderr: str = "",
        folder: str | None = None,
    ) -> None:
        super().__init__(command, 0, stderr, folder)
        self.args = (command, tuple(missing), stderr, folder)
        self.missing = tuple(missing)

    def __str__(self) -> str:
        first = f"A script ended well, and did not make {', '.join(self.missing)}: "
        hint = "write there, or leave it out of the outputs."
        return "\n".join([first + hint, *self._details()])


class ScriptStartError(ScriptError):
    """A script could not be started: what is to run it is not there, or cannot be run.

    Attributes:
        reason: Why, and what to do.
    """

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, _NOT_FOUND)
        self.args = (command, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"A script cannot be started: {self.reason}.\nThe script:\n" + _indented(
            self.command, _MOST_LINES
        )


# The exit codes that shells have for what cannot be run.
_NOT_EXECUTABLE = 126


_NOT_FOUND = 127


_SIGNALS = 128


_MOST_LINES = 40


def _how_it_ended(code: int) -> str:
    import signal

    if code < 0:
        return f"was killed by {_signal_name(-code)}"
    text = f"ended with exit code {code}"
    if code == _NOT_EXECUTABLE:
        return f"{text} (a command in it is not executable)"
    if code == _NOT_FOUND:
        return f"{text} (a command in it was not found: is it installed, and on PATH?)"
    if _SIGNALS < code < _SIGNALS + signal.NSIG:
        return f"{text} (a command in it was killed by {_signal_name(code - _SIGNALS)})"
    return text


def _signal_name(number: int) -> str:
    import signal

    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name} (out of memory, or killed by hand)" if name == "SIGKILL" else name


def _indented(text: str, most: int | None = None) -> str:
    lines = text.splitlines()
    if most is not None and len(lines) > most:
        lines = [*lines[:most], f"... ({len(lines) - most:,} more lines)"]
    return "\n".join(f"  {each}" for each in lines)


class ScriptLoadError(TaskgraphError):
    """A script or module that holds tasks cannot be loaded.

    ``trace`` is the traceback of the exception that it raised, cut to the user's own frames.
    """

    def __init__(self, script: str, reason: str, trace: str = "") -> None:
        super().__init__(script, reason, trace)
        self.script = script
        self.reason = reason
        self.trace = trace

    def __str__(self) -> str:
        return f"Cannot load {self.script}: {self.reason}"


class ScriptNotFoundError(ScriptLoadError, LookupError):
    """There is no script or module of this name."""
