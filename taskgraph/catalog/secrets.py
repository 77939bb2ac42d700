"""No secret is kept: what is one by its name or by its looks is refused, and never repeated.

Records are copied, exported and shown. A secret is kept elsewhere, and named here: by a variable of
the environment, a file, or an entry of a keyring. What others wrote (a traceback, say) is kept
without what looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from taskgraph.errors import SecretError

#: What stands for a secret that was left out.
LEFT_OUT: Final = "***"
#: How references begin, with what each looks like.
FORMS: Final = {
    "env": "env:NAME",
    "file": "file:/path",
    "keyring": "keyring:SERVICE/USER",
}
#: Names of what is secret, as words in a text: of an option, of a variable of the environment.
NAMES: Final = re.compile(
    r"(?i)(^|[^a-z])(token|secret|password|passwd|pwd|api[-_]?key|access[-_]?key|authorization"
    r"|credentials?|webhook[-_]?url)s?([^a-z]|$)"
)

_REFERENCE: Final = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:[/~][^\0]*|keyring:[^/\0]+/[^\0]+", re.DOTALL
)
_ENTRY: Final = re.compile(r"keyring:[^\s/:]+/[^\s]+")
# Names of keys, without case and without what parts their words.
_KEYS: Final = frozenset(
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
# Those that are words as well: an argument that is called so is one if nobody can guess it.
_WORDS: Final = ("token", "tokens", "bearer", "credential", "credentials")
# Those of the parts of a query besides.
_ASKED: Final = re.compile(r"(?i)(.*[-_.])?(key|auth|sig|signature|code|pass|hash|t)")
# Texts that only secrets look like: those of signed webhooks and well-known services, signed tokens
# of JSON, what follows the name of a scheme and is no word, keys.
_LOOKS: Final = re.compile(
    r"(?:"
    r"\bwhsec_[^\s'\"]*"
    r"|\bgh[opu]_\w+"
    r"|\bgithub_pat_\w+"
    r"|\bglpat-[\w-]+"
    r"|\bxox[abeprs]-[\w-]+"
    r"|\bAKIA[0-9A-Z]{12,}"
    r"|\beyJ[\w-]{4,}\.eyJ[\w-]{4,}(?:\.[\w-]*)?"
    r"|\b(?i:basic)\s+(?=[A-Za-z0-9+/=]*(?:[0-9]|[a-z][A-Z]|==))[A-Za-z0-9+/]{8,}={0,2}"
    r"(?![\w.~+/=-])"
    r"|\b(?i:bearer)\s+(?=[\w.~+/=-]*(?:[0-9]|[a-z][A-Z]|==))[A-Za-z0-9._~+/=-]{8,}"
    r"|-----BEGIN[^\n]*(?:\n(?!-----END)[^\n]*)*(?:\n-----END[^\n]*)?"
    r")"
)
# Names begin like these as well (sk_learn_models, ghs_stations): what follows must be made up.
_MAY_LOOK: Final = re.compile(
    r"\b(?:[spr]k[-_](?:live_|test_)?|gh[sr]_|hf_|pypi-|eyJ)(?P<rest>[\w-]{16,})"
)
_PIECES: Final = re.compile(r"[-_]+")
_IS_MIXED: Final = re.compile(r"[0-9]|[A-Z]{2}")
# Addresses of well-known services to which anybody may send who knows the rest of them.
_SENDS: Final = re.compile(
    r"(?i)\bhttps?://(?:"
    r"hooks\.slack\.com/(?:services|workflows|triggers)/"
    r"|(?:[a-z]+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/"
    r"|[\w.-]+\.webhook\.office\.com/|outlook\.office(?:365)?\.com/webhook/"
    r"|hooks\.zapier\.com/hooks/"
    r"|api\.telegram\.org/bot"
    r")[^\s'\"<>{}$*]+(?![^\s'\"<>])"  # whole, without anything that is put in later
)
# What the query of an address says, unless it is put in later.
_IN_QUERY: Final = re.compile(
    r"(?P<before>[?&](?P<name>[\w.-]+)=)(?P<value>[^\s&#'\"<>{}$*%][^\s&#'\"<>]*)"
)
_SIGNS: Final = re.compile(r"(?i)(.*[-_.])?(key|auth|sig|signature)")
_IN_ADDRESS: Final = re.compile(r"(?<=://)[^/@\s?#]+(?=@)")
_IS_TEMPLATE: Final = re.compile(r":[$]?[{<][^{}<>]*[}>]$")
_GIVEN: Final = re.compile(
    r"(?P<name>--?[A-Za-z_][\w-]*|[A-Za-z_][\w-]*(?==|:))(?:=|:?\s+|:)"
    r"(?=(?P<value>[^\s{}$-][^\s{}$]{2,}))"  # looked at, and read on from there
)
_URL: Final = re.compile(r"(?i)\bhttps?://[^\s'\"<>]+")
# How paths begin.
_PATHS: Final = ("/", "~/", "./", "../")
_ENDS: Final = ".,;:!?)]}"
# As the errors of well-known clients name what they asked for.
_PATH: Final = re.compile(r"(?i)(?P<before>\burl:\s*)/[^\s]+")
# So many digits of a hash tell two URLs of a host apart.
_SHOWN: Final = 6
_IS_SHOWN: Final = re.compile(r"/\*\*\*[0-9a-f]{6}")
# So long a piece, in which letters, capitals and digits change so often, was made by no person.
_LONG: Final = 16
_CHANGES: Final = 5
# And so long a piece of what follows a prefix, where something says already that it may be a key.
_LONG_PIECE: Final = 12
_CHANGES_OF_PIECE: Final = 4
_CHANGE: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[a-z0-9])|(?<=[0-9])(?=[A-Za-z])")
_ADVICE: Final = "Keep it in a keyring, and name the entry: keyring:SERVICE/NAME."
_REFER: Final = (
    "Have the task read it where it runs, and name it here: env:NAME, file:/path or "
    "keyring:SERVICE/USER."
)
_OTHER: Final = "Say something else, and keep the secret where only those read it who need it."
_INSTEAD: Final = (
    "it is kept in a database that is copied and exported. Keep the secret elsewhere and name it: "
    "env:NAME, file:/path or keyring:SERVICE/USER."
)


# References


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
    if not isinstance(given, str) or not is_reference(given) or has_secret(given):
        known = ", ".join(FORMS.values())
        raise SecretError(
            what, f"this is no reference, and a secret is never kept itself. There are: {known}."
        )
    return given


def checked_entry(given: str) -> str:
    """Return the name of an entry of a keyring.

    Raises:
        SecretError: It is none, and may be the secret itself.
    """
    if not isinstance(given, str) or not _ENTRY.fullmatch(given) or has_secret(given):
        raise SecretError("keyring", "expected the name of an entry: keyring:SERVICE/NAME.")
    return given


# What is refused


def check_no_secret(what: str, given: Any) -> None:
    """Check that nothing that is to be kept is a secret, at any depth. Any: JSON.

    Args:
        what: What it is part of; that is what the error says of it.
        given: What is to be kept.

    Raises:
        SecretError: Something is one by its name or by its looks.
    """
    _check(what, given, lambda key, inner: inner is not None and is_secret_name(key), _ADVICE)


def check_arguments(what: str, given: Any) -> None:
    """Check that nothing that a task is given, and that is to be kept, is a secret. Any: JSON.

    Names say less than among settings: what they name may be a reference, or a number, and a token
    may be a word.

    Args:
        what: What it is part of; that is what the error says of it.
        given: What is to be kept.

    Raises:
        SecretError: Something at any depth is one by its name or by its looks.
    """
    _check(what, given, _is_secret_argument, _REFER)


def check_labels(what: str, given: Any) -> None:
    """Check that what something is called, or said to be, is no secret. Any: JSON.

    Args:
        what: What it is part of; that is what the error says of it.
        given: A name; or names with values, of which as much is asked as of arguments.

    Raises:
        SecretError: Something at any depth is one by its name or by its looks.
    """
    _check(what, given, _is_secret_argument, _OTHER)


def _check(what: str, given: Any, is_named: Callable[[str, Any], bool], advice: str) -> None:
    waiting: list[tuple[str, Any]] = [(what, given)]
    while waiting:
        place, value = waiting.pop()
        match value:
            case str() if has_secret(value):
                raise SecretError(place, f"it looks like one, and none is kept here. {advice}")
            case Mapping():
                for key, inner in value.items():
                    if has_secret(str(key)):
                        raise SecretError(
                            place, f"a name in it looks like one, and none is kept here. {advice}"
                        )
                    if is_named(str(key), inner):
                        raise SecretError(
                            f"{place}.{key}", f"it is one by its name, and none is kept. {advice}"
                        )
                    waiting.append((f"{place}.{key}", inner))
            case list() | tuple():
                waiting += [(f"{place}[{at}]", each) for at, each in enumerate(value)]
            case _:
                continue


def refuse_secrets(what: str, given: str) -> None:
    """Check that a text that is to be kept is no secret, and has none in it.

    Raises:
        SecretError: It looks like one.
    """
    if _looks_like_one(given) or _IN_ADDRESS.search(given):
        raise SecretError(what, f"there is a secret in it, and {_INSTEAD}")
    for found in _GIVEN.finditer(given):
        if NAMES.search(found["name"]) and not is_reference(found["value"]):
            raise SecretError(what, f"it says a {found['name'].strip('-')}, and {_INSTEAD}")


def refuse_secret_url(what: str, url: str) -> None:
    """Check that a URL that is to be kept is no secret, and has none in it.

    Raises:
        SecretError: It has a user, a query that names a secret, or a path that nobody can guess.
    """
    if _SENDS.search(url):
        raise SecretError(
            what,
            "whoever knows the path of a URL of this host may send there, so that the URL is a"
            f" secret itself, and {_INSTEAD} A URL may be named so as well.",
        )
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


def has_secret(text: str) -> bool:
    """Tell whether a part of a text looks like a secret."""
    return _looks_like_one(text) or _has_password(text) or _has_secret_query(text)


def _looks_like_one(text: str) -> bool:
    found = _MAY_LOOK.finditer(text)
    is_one = _LOOKS.search(text) or _SENDS.search(text)
    return is_one is not None or any(_is_made_up(each["rest"]) for each in found)


def _has_password(text: str) -> bool:
    # What stands in braces is put in where it is used.
    return any(":" in each and not _IS_TEMPLATE.search(each) for each in _IN_ADDRESS.findall(text))


def _has_secret_query(text: str) -> bool:
    every = _IN_QUERY.finditer(text)
    return any(is_secret_part(each["name"], each["value"]) for each in every)


def is_secret_part(name: str, value: str) -> bool:
    """Tell whether what a query says under a name is a secret: a token, say, may be a word."""
    return _is_secret_argument(name, value) or (
        _SIGNS.fullmatch(name) is not None and _is_random(value)
    )


def is_secret_name(key: str) -> bool:
    """Tell whether what is called so is a secret."""
    name = re.sub(r"[^a-z0-9]", "", key.lower())
    return name in _KEYS or name.endswith(_ENDINGS)


def _is_secret_argument(key: str, given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(_is_secret_argument(key, each) for each in given)
    if not isinstance(given, str) or not given.strip() or is_reference(given):
        return False
    if not is_secret_name(key):
        return False
    if given.startswith(_PATHS):  # where it is, and not what it is
        return any(map(_is_random, given.split("/")))
    name = re.sub(r"[^a-z0-9]", "", key.lower())
    return not name.endswith(_WORDS) or _is_random(given)


def _is_made_up(text: str) -> bool:
    """Tell whether what follows the prefix of a key is one, and no name that begins so."""
    return any(
        len(each) >= _LONG_PIECE
        and len(_CHANGE.findall(each)) >= _CHANGES_OF_PIECE
        and _IS_MIXED.search(each) is not None
        for each in _PIECES.split(text)
    )


def _is_random(text: str) -> bool:
    return len(text) >= _LONG and len(_CHANGE.findall(text)) >= _CHANGES


# What is shown, and what others wrote


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: its host, and by what it can be told from others.

    What follows the host can be the secret that lets anybody send there, as with those of chats.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return LEFT_OUT
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    is_short = parts.path in ("", "/") or _IS_SHOWN.fullmatch(parts.path)
    if is_short and not parts.query and not parts.fragment:
        return f"{host}{parts.path.rstrip('/')}"
    return f"{host}/{LEFT_OUT}{sha256(url.encode('utf-8', 'replace')).hexdigest()[:_SHOWN]}"


def hosts_alone(text: str) -> str:
    """Return a text with all URLs of HTTP as they may be shown."""
    return _PATH.sub(rf"\g<before>{LEFT_OUT}", _URL.sub(_host, text))


def _host(found: re.Match[str]) -> str:
    url = found[0].rstrip(_ENDS)
    return shown_url(url) + found[0][len(url) :]


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text that others wrote without secrets that are known, and what looks like one."""
    for each in sorted(set(secrets), key=len, reverse=True):
        if each:
            text = text.replace(each, LEFT_OUT)
    text = _MAY_LOOK.sub(_left_out, _LOOKS.sub(LEFT_OUT, text))
    text = _IN_QUERY.sub(_without_value, _SENDS.sub(_host, text))
    return _IN_ADDRESS.sub(LEFT_OUT, text)


def _left_out(found: re.Match[str]) -> str:
    return LEFT_OUT if _is_made_up(found["rest"]) else found[0]


def _without_value(found: re.Match[str]) -> str:
    is_one = is_secret_part(found["name"], found["value"])
    return f"{found['before']}{LEFT_OUT}" if is_one else found[0]


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


__all__ = [
    "FORMS",
    "LEFT_OUT",
    "NAMES",
    "check_arguments",
    "check_labels",
    "check_no_secret",
    "checked_entry",
    "checked_reference",
    "has_secret",
    "hosts_alone",
    "is_reference",
    "is_secret_name",
    "is_secret_part",
    "json_without_secrets",
    "refuse_secret_url",
    "refuse_secrets",
    "shown_url",
    "without_secrets",
]
