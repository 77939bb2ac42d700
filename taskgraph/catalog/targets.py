"""Where notifications go: a webhook, a command, a function. Plain data, in which no secret is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from taskgraph.catalog.secrets import (
    checked_reference,
    hosts_alone,
    is_reference,
    refuse_secret_url,
    refuse_secrets,
    shown_url,
)
from taskgraph.errors import ValidationError
from taskgraph.jsontext import to_json

_LONGEST_TIME: Final = 3_600
_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL to which a notification is sent as JSON, signed if there is a secret.

    Attributes:
        url: Where; or, where the URL itself is a secret, a reference to it.
        secret: By which it is signed: ``env:NAME``, ``file:/path`` or ``keyring:SERVICE/USER``.
        timeout: How many seconds the receiver has to answer.
    """

    kind: ClassVar[str] = "webhook"

    url: str
    secret: str | None = None
    timeout: float = 10

    def __post_init__(self) -> None:
        """Check that it is a URL, and that nothing in it is secret."""
        if not isinstance(self.url, str):
            raise ValidationError("webhook", "expected a URL.")
        if not is_reference(self.url):
            check_url(self.url)
            refuse_secret_url("webhook", self.url)
        if self.secret is not None:
            checked_reference("secret of the webhook", self.secret)
        _check_timeout(self.timeout)

    @property
    def shown(self) -> str:
        """Where it goes, as it may be shown."""
        return self.url if is_reference(self.url) else shown_url(self.url)

    @property
    def place(self) -> str:
        """Who receives it: the same for all URLs of one host; a reference stands for itself."""
        if is_reference(self.url):
            return self.url
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as it is kept."""
        return {
            "kind": self.kind,
            "url": self.url,
            "secret": self.secret,
            "timeout": self.timeout,
        }


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is given a notification as JSON on stdin, and in its environment.

    Attributes:
        words: The program and its arguments; no shell reads them.
        timeout: How many seconds it may take.
    """

    kind: ClassVar[str] = "command"

    words: tuple[str, ...]
    timeout: float = 30

    def __post_init__(self) -> None:
        """Check that there is a program, and that no word is a secret."""
        given: Any = self.words
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise ValidationError("command", "expected a list of words: a program and arguments.")
        for each in given:
            if not isinstance(each, str) or "\0" in each:
                raise ValidationError("command", "expected words, which are text.")
            refuse_secrets("command", each)
        refuse_secrets("command", " ".join(given))
        if not given[0].strip():
            raise ValidationError("command", "the name of the program is blank.")
        object.__setattr__(self, "words", tuple(given))
        _check_timeout(self.timeout)

    @property
    def shown(self) -> str:
        """What is run, as it may be shown."""
        return hosts_alone(shlex.join(self.words))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as it is kept."""
        return {"kind": self.kind, "words": list(self.words), "timeout": self.timeout}


@dataclass(frozen=True, slots=True)
class Callback:
    """A function that is called with a `Notification`, in a thread of the process that delivers.

    Attributes:
        function: It, as ``module:function``.
        timeout: How many seconds it is waited for.
    """

    kind: ClassVar[str] = "callback"

    function: str
    timeout: float = 60

    def __post_init__(self) -> None:
        """Check that it can be the name of a function."""
        if not isinstance(self.function, str) or not _FUNCTION.fullmatch(self.function):
            raise ValidationError("callback", "expected a function as 'module:function'.")
        _check_timeout(self.timeout)

    @property
    def shown(self) -> str:
        """What is called."""
        return self.function

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as it is kept."""
        return {"kind": self.kind, "function": self.function, "timeout": self.timeout}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands where this library cannot read a policy: nothing is sent anywhere.

    Attributes:
        reason: Why it cannot.
    """

    kind: ClassVar[str] = "unreadable"

    reason: str

    @property
    def shown(self) -> str:
        """Why it cannot be read."""
        return self.reason

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as it is shown; it is never kept."""
        return {"kind": self.kind, "reason": self.reason}


#: Where a notification can go.
Target = Webhook | Command | Callback
_KINDS: Final[Mapping[str, Any]] = {each.kind: each for each in (Webhook, Command, Callback)}


def check_url(url: str) -> None:
    """Check that something can be sent to a URL; it is shown by no error.

    Raises:
        ValidationError: It is none of HTTP's, or has a part that is never sent.
    """
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_whole = is_whole and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole or not url.isascii() or not url.isprintable() or " " in url:
        raise ValidationError("webhook", "expected a URL as https://host/path.")
    if parts.fragment:
        raise ValidationError("webhook", "what follows # in a URL is never sent: leave it out.")


def target_of(given: Target | str | Sequence[str] | Mapping[str, Any]) -> Target:
    """Return the target that something stands for.

    Args:
        given: A target; its JSON; a URL; ``module:function``; or the words of a command.

    Raises:
        ValidationError: It is none of them.
        SecretError: There is a secret in it.
    """
    match given:
        case Webhook() | Command() | Callback():
            return given
        case str() if "://" in given or is_reference(given):
            return Webhook(given)
        case str() if _FUNCTION.fullmatch(given):
            return Callback(given)
        case Mapping():
            return read_target(given)
        case list() | tuple():
            return Command(tuple(given))
        case _:
            raise ValidationError(
                "target",
                "expected Webhook(url), Command(words) or Callback('module:function'); a URL, a "
                "list of words or 'module:function' will do.",
            )


def read_target(said: Mapping[str, Any]) -> Target:
    """Return a target of its JSON.

    Raises:
        ValidationError: It is none.
    """
    given = dict(said)
    kind = _KINDS.get(str(given.pop("kind", None)))
    if kind is None:
        raise ValidationError("target", f"expected a kind: {', '.join(_KINDS)}.")
    try:
        found: Target = kind(**given)
    except TypeError as error:
        raise ValidationError(f"target {kind.kind}", f"{error}.") from error
    return found


def _check_timeout(given: float) -> None:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 < given <= _LONGEST_TIME:
        raise ValidationError("timeout", f"expected seconds, up to {_LONGEST_TIME:,}.")
    to_json(given)


__all__ = [
    "Callback",
    "Command",
    "Target",
    "Unreadable",
    "Webhook",
    "check_url",
    "read_target",
    "target_of",
]
