"""The text of a script: its first line, which says what runs it, and values in it."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Sequence
from numbers import Number
from typing import Any, overload

from taskgraph.expression import Expression, SimpleExpression, find_expressions
from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File
from taskgraph.values.staging import Staging

#: What runs a script that does not say so itself: Bash, which stops at the first command that
#: fails, also within a pipe, and tells each one before it runs it.
DEFAULT_INTERPRETER = "#!/usr/bin/env bash\nset -exo pipefail"


def prepare_command(command: str, interpreter: str = DEFAULT_INTERPRETER) -> str:
    """Return the text of a script as it runs: not indented, and with a line that says what runs it.

    Args:
        command: The text; one that begins with ``#!`` says itself what runs it.
        interpreter: What comes first otherwise.
    """
    text = textwrap.dedent(command).strip()
    return text if text.startswith("#!") else f"{interpreter}\n{text}"


def interpreter_of(text: str) -> list[str]:
    """Return the words of the first line of a script, after its ``#!``.

    ``env`` is given many words as well as one, whatever the system would make of the line.
    """
    words = shlex.split(text.partition("\n")[0].removeprefix("#!"))
    if len(words) > 1 and os.path.basename(words[0]) == "env" and words[1] == "-S":
        del words[1]
    return words


class _TextToBe(SimpleExpression):
    """Quoted values that are not known yet, which an f-string would take for what they are now."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise TypeError(
            "a value that is not known yet cannot be put into an f-string: add it to the text, as "
            'in "cat " + quote_shell(call), or give script a list of words'
        )


@overload
def quote_shell(*values: Expression) -> Expression: ...


@overload
def quote_shell(*values: Any) -> str: ...


def quote_shell(*values: Any) -> Any:
    """Return values as they are written in shell text: each one word, whatever is in it.

    A `File`, `Dir` or path stands for its path, a staged one for its local path; a list for its
    items, with spaces between them. What is not known yet gives text that is not known yet: put it
    together with ``+``, not in an f-string.

    Raises:
        TypeError: A value has no form in shell text; or it is not known, and put into an f-string.
    """
    if find_expressions(values):
        return _TextToBe("call", (quote_shell, *values))
    return " ".join(shlex.quote(each) for value in values for each in _words_of(value))


def word_of(value: Any) -> str:
    """Return a value as one word of a command.

    Raises:
        TypeError: It cannot be one.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or not isinstance(value, _WORDS):
        raise TypeError(
            f"a {type(value).__name__} cannot be a word of a command: {value!r}. Words are text, "
            "numbers, paths, Files and Dirs."
        )
    if isinstance(value, Number):
        return str(value)
    path = path_of(value)
    # No program is to take a path for an option.
    return f"./{path}" if path.startswith("-") else path


def path_of(value: Any) -> str:
    """Return the path that a script knows a file, folder, pattern or path by."""
    if isinstance(value, Staging):
        value = value.local
    if isinstance(value, File):
        return value.path
    return value.text if isinstance(value, FileGroup) else os.fspath(value)


_WORDS = (Number, os.PathLike, File, FileGroup, Staging)


def _words_of(value: Any) -> Sequence[str]:
    if isinstance(value, list | tuple):
        return [word for each in value for word in _words_of(each)]
    return [word_of(value)]


def as_given(command: Any) -> Any:
    """Return a command in the form in which it counts: its whole text, or a list of its words.

    Raises:
        TypeError: It is neither text nor words.
        ValueError: There is nothing in it.
    """
    if isinstance(command, str):
        if not command.strip():
            raise ValueError("a script needs text: this one is empty")
        return prepare_command(command)
    if not isinstance(command, list | tuple):
        raise TypeError(
            f"a command is text, or a list of words, not a {type(command).__name__}: {command!r}"
        )
    if not command:
        raise ValueError("a command needs at least one word: its program")
    for each in command:
        word_of(each)
    return list(command)


def shown(command: Any) -> str:
    """Return a command as text, for messages."""
    return command if isinstance(command, str) else shlex.join(map(word_of, command))
