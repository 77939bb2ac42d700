"""No secret is kept: what is one by its name or by its looks is refused, and never repeated.

Records are copied, exported and shown. A secret belongs in a keyring, and its entry is named here:
``keyring:SERVICE/NAME``. What others wrote (a traceback, say) is kept without what looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from taskgraph.errors import SecretError

#: What stands for a secret that was left out.
LEFT_OUT: Final = "***"

_ADVICE: Final = "Keep it in a keyring, and name the entry: keyring:SERVICE/NAME."
# Names of secrets, without case and without what parts their words.
_NAMES: Final = frozenset(
    {"apikeys", "authorization", "bearer", "jwt", "passwd", "passwordhash", "passwords", "pwd"}
    | {"secrets", "tokens"}
)
_ENDINGS: Final = (
    "accesskey",
    "apikey",
    "credential",
    "credentials",
    "passphrase",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "signingkey",
    "token",
)
# Texts that only secrets look like: those of well-known services, of JSON Web Tokens, of keys, and
# of addresses with a password in them.
_LOOKS: Final = re.compile(
    r"(?:"
    r"\bwhsec_[^\s'\"]*"
    r"|\bgh[opsur]_\w+"
    r"|\bgithub_pat_\w+"
    r"|\bglpat-[\w-]+"
    r"|\bxox[a-z]-[\w-]+"
    r"|\b[sr]k_(?:live|test)_\w+"
    r"|\bsk-[\w-]{16,}"
    r"|\bhf_\w{16,}"
    r"|\bpypi-[\w-]{16,}"
    r"|\bAKIA[0-9A-Z]{12,}"
    r"|\beyJ[\w-]{4,}(?:\.[\w-]*){0,2}"
    r"|-----BEGIN[^\n]*(?:\n(?!-----END)[^\n]*)*(?:\n-----END[^\n]*)?"
    r")"
)
_IN_ADDRESS: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_REFERENCE: Final = re.compile(r"keyring:[^\s/:]+/[^\s]+")


def check_no_secret(what: str, given: Any) -> None:
    """Check that nothing that is to be kept is a secret, at any depth. Any: JSON.

    Args:
        what: What it is part of; that is what the error says of it.
        given: What is to be kept.

    Raises:
        SecretError: Something is one by its name or by its looks.
    """
    waiting: list[tuple[str, Any]] = [(what, given)]
    while waiting:
        place, value = waiting.pop()
        match value:
            case str() if has_secret(value):
                raise SecretError(place, f"it looks like one, and none is kept here. {_ADVICE}")
            case Mapping():
                for key, inner in value.items():
                    if has_secret(str(key)):
                        raise SecretError(
                            place, f"a name in it looks like one, and none is kept here. {_ADVICE}"
                        )
                    if inner is not None and _is_name(str(key)):
                        raise SecretError(
                            f"{place}.{key}", f"it is one by its name, and none is kept. {_ADVICE}"
                        )
                    waiting.append((f"{place}.{key}", inner))
            case list() | tuple():
                waiting += [(f"{place}[{at}]", each) for at, each in enumerate(value)]
            case _:
                continue


def has_secret(text: str) -> bool:
    """Tell whether a part of a text looks like a secret."""
    return _LOOKS.search(text) is not None or _has_password(text)


def without_secrets(text: str) -> str:
    """Return a text that others wrote without what looks like a secret."""
    return _IN_ADDRESS.sub(LEFT_OUT, _LOOKS.sub(LEFT_OUT, text))


def json_without_secrets(given: Any) -> Any:
    """Return JSON that others wrote without what looks like a secret in it. Any: JSON."""
    match given:
        case str():
            return without_secrets(given)
        case Mapping():
            return {str(key): json_without_secrets(each) for key, each in given.items()}
        case list() | tuple():
            return [json_without_secrets(each) for each in given]
        case _:
            return given


def checked_reference(given: str) -> str:
    """Return the name of an entry of a keyring.

    Raises:
        SecretError: It is none, and may be the secret itself.
    """
    if not isinstance(given, str) or not _REFERENCE.fullmatch(given) or has_secret(given):
        raise SecretError("keyring", "expected the name of an entry: keyring:SERVICE/NAME.")
    return given


def _has_password(text: str) -> bool:
    return any(":" in each for each in _IN_ADDRESS.findall(text))


def _is_name(key: str) -> bool:
    name = re.sub(r"[^a-z0-9]", "", key.lower())
    return name in _NAMES or name.endswith(_ENDINGS)


__all__ = [
    "LEFT_OUT",
    "check_no_secret",
    "checked_reference",
    "has_secret",
    "json_without_secrets",
    "without_secrets",
]
