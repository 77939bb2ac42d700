"""What code says of itself as it works, kept without what it calls a secret: ``password=...``.

Whoever reads it does without such a word more easily than its owner does with it: here it is left
out where a text that somebody wants to keep would be let through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from taskgraph.catalog.secrets import (
    LEFT_OUT,
    is_reference,
    is_secret_name,
    is_secret_part,
    without_secrets,
)

# A name with what is said to be its value: directly behind it, or in quotes.
_SAID: Final = re.compile(
    r"(?<![\w-])(?P<before>-*)(?P<name>[A-Za-z_][\w-]*)(?P<end>['\"]?)"
    r"(?P<between>=|\s*[=:]\s*(?=['\"]))"
    r"(?:(?P<quote>['\"])(?P<quoted>[^'\"\n]+)(?P=quote)|(?P<bare>[^\s'\"&,;)\]}]+))"
)
# As code says where a value comes from: a call, a part of something, what a template puts in.
_IS_CODE: Final = re.compile(
    r"[($\[{<*%].*|[\w.]+[(\[{].*|(?:self|cls|os|args|config|settings|options)\..*"
)
_IS_WORD: Final = re.compile(r"(?i)none|null|true|false|\*+")
_IS_PATH: Final = re.compile(r"(?:~|\.{0,2})/.*", re.DOTALL)


def said_without_secrets(text: str) -> str:
    """Return a text of a program without what it calls a secret, and what looks like one."""
    return without_secrets(_SAID.sub(_left_out, text))


def data_without_secrets(given: Any) -> Any:
    """Return JSON of a program without texts that it calls a secret, and what looks like one.

    Any: JSON. What is said to be secret is so as a whole, however it is made; numbers are none.
    """
    match given:
        case str():
            return said_without_secrets(given)
        case Mapping():
            return {
                str(key): _hidden(each) if is_secret_name(str(key)) else data_without_secrets(each)
                for key, each in given.items()
            }
        case list() | tuple():
            return [data_without_secrets(each) for each in given]
        case _:
            return given


def _hidden(given: Any) -> Any:
    match given:
        case str():
            return given if _is_harmless(given) else LEFT_OUT
        case Mapping():
            return {str(key): _hidden(each) for key, each in given.items()}
        case list() | tuple():
            return [_hidden(each) for each in given]
        case _:
            return given


def _left_out(found: re.Match[str]) -> str:
    name, bare, quoted = found["name"], found["bare"], found["quoted"]
    if not is_secret_name(name) or _is_harmless(quoted or bare):
        return found[0]
    before = f"{found['before']}{name}{found['end']}{found['between']}"
    if bare is not None:
        # Where code is shown, what it calls a secret stands there by a name of that kind.
        is_code = _IS_CODE.fullmatch(bare) or is_secret_name(bare.rpartition(".")[2])
        return found[0] if is_code else f"{before}{LEFT_OUT}"
    # Errors of parsers say: unexpected token: ')'
    is_prose = ":" in found["between"] and not found["end"] and not is_secret_part(name, quoted)
    return found[0] if is_prose else f"{before}{found['quote']}{LEFT_OUT}{found['quote']}"


def _is_harmless(text: str) -> bool:
    """Tell whether a text names a secret, or a file, or says that there is none."""
    is_plain = not text.strip() or _IS_WORD.fullmatch(text) or is_reference(text)
    return bool(is_plain or _IS_PATH.fullmatch(text))


__all__ = ["data_without_secrets", "said_without_secrets"]
