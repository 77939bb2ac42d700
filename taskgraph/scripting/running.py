"""Running a script to its end: its output is kept in files meanwhile, however much that is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from taskgraph.errors import ScriptError, ScriptStartError
from taskgraph.outputs.place import STDERR
from taskgraph.outputs.streams import said
from taskgraph.scripting.groups import ProcessGroup
from taskgraph.scripting.text import interpreter_of, prepare_command, shown, word_of

#: Of what a script says, so much is kept with its job, and shown if it fails: the last of it.
MOST_SAID = 4_000
_PREFIX = "taskgraph-script-"


def exec_script(command: str | Sequence[object]) -> bytes:
    """Run a script here and now, outside of any task, and return what it writes to stdout.

    Args:
        command: Its text, or a list of words, which run without a shell.

    Raises:
        ScriptError: It failed, or cannot be started.
    """
    given = prepare_command(command) if isinstance(command, str) else list(command)
    with ScriptRun(given, os.getcwd()) as run:
        run.to_end()
        return run.stdout()


class ScriptRun:
    """One run of a script, with a folder for what it says, which is gone afterwards.

    Args:
        command: Its whole text, or its words.
        here: The working directory, absolute.
        is_apart: Whether it runs in a temporary folder instead, which is kept if it fails.

    Attributes:
        folder: Where it runs.
    """

    def __init__(self, command: str | Sequence[object], here: str, is_apart: bool = False) -> None:
        self.command = command
        self.here = here
        self.is_apart = is_apart
        self.folder = here
        self._kept = ""

    def __enter__(self) -> Self:
        self._kept = tempfile.mkdtemp(prefix=_PREFIX)
        if self.is_apart:
            self.folder = self._path("work")
            os.mkdir(self.folder)
        return self

    def within(self, path: str) -> str:
        """Return the absolute path that a path has where the script runs."""
        return os.path.normpath(os.path.join(self.folder, path))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ScriptError) and error.folder is not None:
            return
        # What a script made unreadable stays behind; its result does not depend on that.
        shutil.rmtree(self._kept, ignore_errors=True)

    @property
    def to_keep(self) -> str | None:
        """The temporary folder that it runs in, if it does."""
        return self.folder if self.is_apart else None

    def to_end(self) -> None:
        """Run the script, and wait for it.

        Raises:
            ScriptError: It failed, or cannot be started.
        """
        words = self._words()
        wrong = _why_not(words[0], self.folder)
        if wrong is not None:
            raise ScriptStartError(shown(self.command), wrong)
        with open(self._path("stdout"), "wb") as out, open(self._path("stderr"), "wb") as err:
            try:
                group = ProcessGroup(words, self.folder, out, err)
            except (OSError, ValueError) as error:
                raise ScriptStartError(shown(self.command), str(error)) from error
            try:
                code = group.wait()
            finally:
                said(STDERR, self.said("stderr"))
        if code:
            raise ScriptError(shown(self.command), code, self.said("stderr"), self.to_keep)

    def stdout(self) -> bytes:
        """Return all that it wrote to its standard output."""
        with open(self._path("stdout"), "rb") as stream:
            return stream.read()

    def said(self, stream: str) -> str:
        """Return the end of what it wrote to ``stdout`` or ``stderr``, as text."""
        with open(self._path(stream), "rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - MOST_SAID))
            # No column takes a NUL.
            text = opened.read().decode(errors="replace").replace("\0", "\ufffd")
        if size <= MOST_SAID:
            return text
        # From the start of a line on, unless it is all one line.
        line = text.partition("\n")[2] or text
        return f"... ({size - len(line.encode()):,} bytes before)\n{line}"

    def _words(self) -> list[str]:
        if not isinstance(self.command, str):
            return [word_of(each) for each in self.command]
        # Run by its interpreter and not by itself: a file that was just written cannot always be
        # executed (another thread may start a process meanwhile, which holds it open).
        path = self._path("script")
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(f"{self.command}\n")
        try:
            words = interpreter_of(self.command)
        except ValueError as error:
            raise ScriptStartError(self.command, f"its first line: {error}") from None
        if not words:
            raise ScriptStartError(self.command, "its first line names nothing that runs it")
        missing = _missing(words)
        if missing is not None:
            raise ScriptStartError(
                self.command,
                f"its first line asks for {missing!r}, and there is none. Install it, or put it on "
                "PATH",
            )
        return [*words, path]

    def _path(self, name: str) -> str:
        return os.path.join(self._kept, name)


def _missing(interpreter: Sequence[str]) -> str | None:
    """Return the program that is to run a script, if it is not there."""
    program = interpreter[0]
    if os.path.basename(program) == "env":
        named = [each for each in interpreter[1:] if "=" not in each]
        if named and not named[0].startswith("-"):
            program = named[0]
    return program if shutil.which(program) is None else None


def _why_not(program: str, folder: str) -> str | None:
    """Return why a program cannot be started in a folder; None if it can."""
    if os.sep in program:
        path = os.path.join(folder, program)
        if os.path.exists(path) and not os.access(path, os.X_OK):
            return f"{program!r} is not executable. Give it the permission (chmod +x)"
        is_there = os.path.isfile(path)
    else:
        is_there = shutil.which(program) is not None
    return (
        None if is_there else f"there is no executable {program!r}. Install it, or put it on PATH"
    )
