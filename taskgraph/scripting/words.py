"""The executables that shell text calls, as far as a quick look tells: for advice, not for keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress

# What the shell does by itself. After these keywords comes a command,
_BEFORE_COMMANDS = frozenset(
    {"!", "do", "done", "elif", "else", "esac", "fi", "if", "then", "time", "until", "while"}
) | {"{", "}"}
# and after these comes none.
_BEFORE_WORDS = frozenset({"[[", "case", "for", "function", "select"})
_BUILTIN_WORDS = """
    . : [ ]] alias bg bind break builtin caller cd compgen complete compopt continue declare dirs
    disown echo enable eval exit export false fc fg getopts hash help history in jobs kill let local
    logout mapfile popd printf pushd pwd read readarray readonly return set shift shopt source
    suspend test times trap true type typeset ulimit umask unalias unset wait
"""
_BUILTINS = frozenset(_BUILTIN_WORDS.split())
# Programs, and builtins, that run what comes after them.
_RUNNERS = frozenset(
    {"command", "env", "exec", "ionice", "nice", "nohup", "setsid", "stdbuf", "timeout", "xargs"}
)
_SILENT_RUNNERS = frozenset({"command", "exec"})
_SHELLS = frozenset({"bash", "dash", "ksh", "sh", "zsh"})

_HEREDOC = re.compile(r"<<-?[ \t]*(['\"]?)(\w+)\1(.*?)$(?:.*?)^[ \t]*\2[ \t]*$", re.M | re.S)
_COMMENT = re.compile(r"^[ \t]*#.*$", re.M)
_IN_QUOTES = re.compile(r"\"[^\"'\n]*?\$\(\s*([\w./+-]+)")
_NAME = re.compile(r"[\w./+-]*[A-Za-z][\w./+-]*")
_ASSIGNMENT = re.compile(r"\w+(\[[^]]*\])?\+?=")
# Options and numbers of programs that run others.
_NO_PROGRAM = re.compile(r"-.*|\d+(\.\d+)?[smhd]?|\{\}")
_PUNCTUATION = ";()<>|&\n"


def find_executables(text: str) -> list[str]:
    """Return the names of the executables that a script calls, in the order of its text.

    Those of functions and builtins are left out, and what is only known when it runs.

    Args:
        text: Shell text; one that another interpreter runs calls that.
    """
    first, _, rest = text.strip().partition("\n")
    if first.startswith("#!"):
        named = [each for each in first[2:].split() if not each.startswith("-") and "=" not in each]
        program = named[1:2] or named[:1] if named and named[0].endswith("/env") else named[:1]
        name = program[0].rpartition("/")[2] if program else ""
        if name not in _SHELLS:
            return [name] if name else []
        text = rest
    text = _COMMENT.sub("", _HEREDOC.sub(r"\3", text))
    try:
        found = _commands(_tokens(text))
    except ValueError:  # a quotation that does not end: an apostrophe in a comment behind a command
        found = [name for each in text.splitlines() for name in _commands_of_line(each)]
    found += _IN_QUOTES.findall(text)
    defined = set(re.findall(r"(?m)^\s*(?:function\s+)?([\w-]+)\s*\(\)", text))
    names = [each for each in dict.fromkeys(found) if _NAME.fullmatch(each)]
    return [each for each in names if each not in _BUILTINS and each not in defined]


def _commands_of_line(line: str) -> list[str]:
    for each in (line, re.sub(r"\s#.*", "", line)):
        with suppress(ValueError):
            return _commands(_tokens(each))
    return []


def _tokens(text: str) -> list[str]:
    # A backslash at the end of a line joins it with the next.
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    lexer.whitespace_split = True
    return list(lexer)


def _commands(tokens: Sequence[str]) -> list[str]:
    """Return the words that stand where commands stand."""
    position = _Position()
    found: list[str] = []
    line = 0  # how many were found before the line, or the part of a case, that is being read
    for place, token in enumerate(tokens):
        if token and set(token) <= set(_PUNCTUATION):
            if token.startswith(")") and position.depth == 0:
                del found[line:]  # they were the patterns of a case
            if "\n" in token or ";;" in token:
                line = len(found)
            position.pass_punctuation(token)
            continue
        follower = tokens[place + 1] if place + 1 < len(tokens) else ""
        if position.takes(token, follower):
            found.append(token)
    return found


class _Position:
    """What kind of word comes next."""

    def __init__(self) -> None:
        self._is_command = True
        self._is_target = False  # of a redirection
        self._is_comment = False
        self.depth = 0
        self._list_depth: int | None = None  # within the items of an array

    def pass_punctuation(self, token: str) -> None:
        if "\n" in token:
            self._is_comment = False
        self.depth = max(0, self.depth + token.count("(") - token.count(")"))
        if self._list_depth is not None and self.depth <= self._list_depth:
            self._list_depth = None
        if set(token) & set("<>") and "(" not in token:
            self._is_target = not token.endswith("\n")
            return
        self._is_target = False
        self._is_command = self._list_depth is None and not token.startswith("((")

    def takes(self, word: str, follower: str) -> bool:
        """Go past a word; tells whether it names a command that is no keyword."""
        is_target, self._is_target = self._is_target, False
        self._is_comment |= word.startswith("#") and not is_target
        if is_target or self._is_comment or not self._is_command:
            return False
        if _ASSIGNMENT.match(word):
            if word.endswith("=") and follower.startswith("("):
                self._list_depth = self.depth
            return False
        if word in _RUNNERS:
            return word not in _SILENT_RUNNERS
        if word in _BEFORE_COMMANDS or _NO_PROGRAM.fullmatch(word):
            return False
        self._is_command = False
        # Behind it, the name of a function that begins here.
        return word not in _BEFORE_WORDS and not follower.startswith("()")


__all__ = ["find_executables"]
