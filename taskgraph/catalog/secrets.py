"""Secrets are named and never kept: what a reference is, and what looks like a secret itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from taskgraph.errors import SecretError

#: How references begin, with what each looks like.
FORMS: Final = {
    "env": "env:NAME",
    "file": "file:/path",
    "keyring": "keyring:SERVICE/USER",
}
_REFERENCE: Final = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:[/~][^\0]*|keyring:[^/\0]+/[^\0]+", re.DOTALL
)
#: Names of what is secret: of an option, of a variable of the environment.
NAMES: Final = re.compile(
    r"(?i)(^|[^a-z])(token|secret|password|passwd|pwd|api[-_]?key|access[-_]?key|authorization"
    r"|credentials?|webhook[-_]?url)s?([^a-z]|$)"
)
# Those of the parts of a query besides.
_ASKED: Final = re.compile(r"(?i)(.*[-_.])?(key|auth|sig|signature|code|pass|hash|t)")
_MADE: Final = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]{6,}"  # a secret of signed webhooks
    r"|\b(?:ghp|gho|ghs|github_pat|glpat|xox[abpors]|sk|pk|rk)[-_][A-Za-z0-9_-]{10,}"
    r"|\bAKIA[A-Z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"  # a signed token of JSON
    r"|(?i:\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,})"
)
_USER: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@]*@")
_GIVEN: Final = re.compile(
    r"(?P<name>--?[A-Za-z_][\w-]*|[A-Za-z_][\w-]*(?==|:))(?:=|:?\s+|:)"
    r"(?=(?P<value>[^\s{}$-][^\s{}$]{2,}))"  # looked at, and read on from there
)
# So long a piece, in which letters, capitals and digits change so often, was made by no person.
_LONG: Final = 16
_CHANGES: Final = 5
_CHANGE: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[a-z0-9])|(?<=[0-9])(?=[A-Za-z])")
_INSTEAD: Final = (
    "it is kept in a database that is copied and exported. Keep the secret elsewhere and name it: "
    "env:NAME, file:/path or keyring:SERVICE/USER."
)


def is_reference(text: str) -> bool:
    """Tell whether a text names a secret, in one of the `FORMS`."""
    return _REFERENCE.fullmatch(text) is not None


def checked_reference(what: str, given: str) -> str:
    """Return the name of a secret.

    Args:
        what: What it is for, in an error: the secret itself is shown by none.
        given: What somebody gave.

    Raises:
        SecretError: It names none, and is perhaps one itself.
    """
    if not isinstance(given, str) or not is_reference(given) or _MADE.search(given):
        known = ", ".join(FORMS.values())
        raise SecretError(
            what, f"this is no reference, and a secret is never kept itself. There are: {known}."
        )
    return given


def refuse_secrets(what: str, given: str) -> None:
    """Check that a text that is to be kept is no secret, and has none in it.

    Raises:
        SecretError: It looks like one.
    """
    if _MADE.search(given) or _USER.search(given):
        raise SecretError(what, f"there is a secret in it, and {_INSTEAD}")
    for found in _GIVEN.finditer(given):
        if NAMES.search(found["name"]) and not is_reference(found["value"]):
            raise SecretError(what, f"it says a {found['name'].strip('-')}, and {_INSTEAD}")


def refuse_secret_url(what: str, url: str) -> None:
    """Check that a URL that is to be kept is no secret, and has none in it.

    Raises:
        SecretError: It has a user, a query that names a secret, or a path that nobody can guess.
    """
    refuse_secrets(what, url)
    parts = urlsplit(url)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if NAMES.search(name) or _ASKED.fullmatch(name) or _is_random(value):
            raise SecretError(what, f"its query has a secret ({name}), and {_INSTEAD}")
    if any(map(_is_random, parts.path.split("/"))):
        raise SecretError(
            what,
            "its path has a piece that nobody can guess, so that the URL is a secret itself, and "
            f"{_INSTEAD} A URL may be named so as well.",
        )


def _is_random(text: str) -> bool:
    return len(text) >= _LONG and len(_CHANGE.findall(text)) >= _CHANGES


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: without a user and without its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which secrets that are known, or look like some, are ``***``."""
    for each in sorted(set(secrets), key=len, reverse=True):
        if each:
            text = text.replace(each, "***")
    return _USER.sub(lambda found: f"{found[0].partition('://')[0]}://***@", _MADE.sub("***", text))


__all__ = [
    "FORMS",
    "NAMES",
    "checked_reference",
    "is_reference",
    "refuse_secret_url",
    "refuse_secrets",
    "shown_url",
    "without_secrets",
]
