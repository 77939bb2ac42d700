"""Finds a secret by its name, at the moment in which it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from taskgraph.catalog.said_secrets import said_without_secrets
from taskgraph.catalog.secrets import NAMES, checked_reference, hosts_alone, without_secrets
from taskgraph.errors import SecretError

_LARGEST: Final = 64 * 1024
# What is shorter is a word that may stand anywhere.
_SHORTEST: Final = 6


def find_secret(reference: str) -> str:
    """Return the secret that a reference names.

    Args:
        reference: ``env:NAME``, ``file:/path`` or ``keyring:SERVICE/USER``.

    Raises:
        SecretError: It is not there, or the reference is none.
    """
    checked_reference("a reference", reference)
    kind, _, place = reference.partition(":")
    match kind:
        case "env":
            found = os.environ.get(place)
            if not found:
                reason = "this process has no such variable. Set it where notifications are sent."
                raise SecretError(reference, reason)
        case "file":
            found = _of_file(reference, place)
        case _:
            found = _of_keyring(reference, *place.split("/", 1))
    return found


def _of_file(reference: str, place: str) -> str:
    path = Path(place).expanduser()
    try:
        with path.open("rb") as file:
            found = file.read(_LARGEST + 1)
        text = found.decode().strip()
    except OSError as error:
        reason = f"the file cannot be read here ({error.strerror})."
        raise SecretError(reference, reason) from error
    except UnicodeDecodeError:
        raise SecretError(reference, "what is in the file is no text.") from None
    if not text or len(found) > _LARGEST:
        raise SecretError(reference, "the file is empty, or too large to be a secret.")
    return text


def _of_keyring(reference: str, service: str, user: str) -> str:
    try:
        import keyring
    except ImportError:
        raise SecretError(
            reference, "keyring is not installed. Install it: pip install 'taskgraph[keyring]'"
        ) from None
    try:
        found: Any = keyring.get_password(service, user)
    except Exception as error:
        # Of whatever kind its own parts raise: the name of the kind says enough, and no secret.
        reason = f"the keyring cannot be asked here ({type(error).__name__})."
        raise SecretError(reference, reason) from error
    if not found:
        reason = f"the keyring has none. Add it: keyring set {service} {user}"
        raise SecretError(reference, reason)
    return str(found)


def cleaned(text: str) -> str:
    """Return a text of strangers without the secrets that this process has in its environment.

    Of URLs it keeps the hosts: the rest can be a secret, wherever it comes from.
    """
    return hosts_alone(said_without_secrets(without_secrets(text, _known())))


def _known() -> Iterator[str]:
    for name, value in os.environ.items():
        if NAMES.search(name) and len(value) >= _SHORTEST:
            yield value


__all__ = ["cleaned", "find_secret"]
