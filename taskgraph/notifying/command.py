"""Hands a notification to a program: as JSON on stdin, and in variables of its environment."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, Final

from taskgraph.catalog.policy_rows import Answer, Notification
from taskgraph.catalog.targets import Command
from taskgraph.notifying.secrets import cleaned

_PREFIX: Final = "TASKGRAPH_"
_LAST: Final = 600
# Bytes of a variable: the kernel takes 128 KiB of one, and some megabytes of all.
_LONGEST: Final = 16 * 1024
_TOO_LARGE: Final = ": the environment of the process that delivers is too large for a program"


def run(target: Command, told: Notification, seconds: float) -> Answer:
    """Run a command; no shell reads its words.

    Args:
        target: The command.
        told: What it is given.
        seconds: How long it may take; what it has started by then ends with it.
    """
    given = json.dumps(told.to_json()).encode()
    # Files, not pipes: nobody has to read or write while it runs, however much it says.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
        stdin.write(given)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                target.words,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment_of(told)},
                start_new_session=True,
            )
        except OSError as error:
            more = _TOO_LARGE if error.errno == errno.E2BIG else ""
            return Answer(f"{target.words[0]} cannot be run: {error.strerror}{more}")
        except ValueError as error:
            return Answer(f"{target.words[0]} cannot be given its words: {cleaned(str(error))}")
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            said = f"{target.words[0]} took longer than {seconds:g} s{_said(output)}"
            return Answer(said, is_late=True)
        finally:
            # Whatever ends the waiting, a Ctrl-C included: nothing of it goes on.
            _end(process)
        if code == 0:
            return Answer()
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return Answer(f"{target.words[0]} {ended}{_said(output)}")


def environment_of(told: Notification) -> dict[str, str]:
    """Return the variables that a command is given: those of templates, and a few more.

    What is too long for a variable is cut: the whole stands in the JSON.
    """
    variables = {
        **told.variables(),
        "text": told.text,
        "notification_id": told.id,
        "test": "1" if told.is_test else "",
    }
    return {f"{_PREFIX}{name.upper()}": _cut(text) for name, text in variables.items()}


def _cut(text: str) -> str:
    said = text.replace("\0", "").encode("utf-8", "backslashreplace")
    return said[:_LONGEST].decode("utf-8", "ignore")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a command that still runs, with what it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _said(output: IO[bytes]) -> str:
    """Return the last that a command said, without secrets that are known."""
    size = output.seek(0, os.SEEK_END)
    # More than is shown: a secret is not to be cut where it could not be told any more.
    output.seek(max(0, size - 10 * _LAST))
    text = cleaned(output.read().decode("utf-8", "replace")).strip()
    return f": {text[-_LAST:]}" if text else ""


__all__ = ["environment_of", "run"]
