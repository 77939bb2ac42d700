"""Sends a notification to a URL, signed as the specification of Standard Webhooks says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import closing
from email.utils import parsedate_to_datetime
from http.client import HTTPException, responses
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request

from taskgraph._version import __version__
from taskgraph.catalog.policy_rows import Answer, Notification
from taskgraph.catalog.secrets import is_reference
from taskgraph.catalog.targets import Webhook, check_url
from taskgraph.errors import SecretError, ValidationError
from taskgraph.notifying.limited import within
from taskgraph.notifying.lines import Line
from taskgraph.notifying.secrets import find_secret

_PREFIX: Final = "whsec_"
_GONE: Final = 410
# Those that say when to come back.
_LATER: Final = frozenset({429, 503})
# Those after which the same is sent to another place.
_MOVED: Final = frozenset({307, 308})
_REDIRECTS: Final = range(300, 400)
_LATE: Final = "no answer in time"


def post(
    target: Webhook,
    told: Notification,
    seconds: float,
    now: Callable[[], float] = time.time,
) -> Answer:
    """Send a notification to a webhook.

    Args:
        target: Where it goes.
        told: What is sent.
        seconds: How long the receiver has to answer.
        now: Tells the time.

    Raises:
        SecretError: A secret is not where it is said to be, or is none that can sign.
    """
    body = json.dumps(told.to_json(), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )
    moment = int(now())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"taskgraph/{__version__}",
        "webhook-id": told.id,
        "webhook-timestamp": str(moment),
    }

    line = Line()

    def send() -> Answer:
        # A keyring that waits for its owner, and a file that is far away, have the same time.
        if target.secret is not None:
            keys = keys_of(target.secret, find_secret(target.secret))
            signed = [signature(each, told.id, moment, body) for each in keys]
            headers["webhook-signature"] = " ".join(signed)
        request = Request(_url_of(target), data=body, headers=headers, method="POST")
        return _sent(target, line.opener(_SameHost), request, seconds, now)

    return within(seconds, send, line.cut) or Answer(f"{target.shown}: {_LATE}", is_late=True)


def _sent(
    target: Webhook,
    opener: OpenerDirector,
    request: Request,
    seconds: float,
    now: Callable[[], float],
) -> Answer:
    try:
        with opener.open(request, timeout=seconds) as response:
            status = int(response.status)
    except HTTPError as error:
        # Where it was sent on it is closed already, and could not be entered.
        with closing(error):
            return _refused(target, error, now())
    except (OSError, HTTPException, ValueError) as error:
        # A URL that is a secret could be in the words of others: they are not repeated.
        reason = _reason(error)
        return Answer(f"{target.shown}: {reason}", is_late=reason == _LATE)
    return Answer() if 200 <= status < 300 else Answer(f"{target.shown} answers {_named(status)}")


def signature(key: bytes, id: str, moment: int, body: bytes) -> str:
    """Return what proves that a message comes from one who knows a secret."""
    digest = hmac.new(key, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def keys_of(reference: str, secret: str) -> tuple[bytes, ...]:
    """Return the bytes that sign, of a secret as it is kept: ``whsec_`` and base64, or any text.

    A text that is base64 without that may be meant either way, and receivers differ: there are two
    keys then, and a message has both signatures, of which one will do.

    Raises:
        SecretError: It begins like one, and is none.
    """
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(_PREFIX):
        plain = secret.encode("utf-8", "surrogateescape")
        return (plain, key) if key else (plain,)
    if not key:  # whoever knew that it is empty could sign as well
        raise SecretError(reference, f"what it names begins with {_PREFIX}, and no base64 follows.")
    return (key,)


class _SameHost(HTTPRedirectHandler):
    """Follows a receiver that has moved on the same host, and none that sends elsewhere."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Return what is sent next; None leaves the answer as it is."""
        if code not in _MOVED or _origin(newurl) != _origin(req.full_url):
            return None
        fp.close()  # or all that it says besides would be read, however much
        return Request(newurl, data=req.data, headers=dict(req.header_items()), method="POST")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _url_of(target: Webhook) -> str:
    if not is_reference(target.url):
        return target.url
    found = find_secret(target.url)
    try:
        check_url(found)
    except ValidationError:
        raise SecretError(
            target.url, "what it names is no URL that something can be sent to."
        ) from None
    return found


def _refused(target: Webhook, error: HTTPError, now: float) -> Answer:
    status, headers = error.code, error.headers
    said = f"{target.shown} answers {_named(status)}"
    if status == _GONE:
        return Answer(f"{said}: it wants no more", is_final=True)
    if status in _MOVED and str(error.reason).startswith(_SameHost.inf_msg):
        return Answer(f"{said}: it sends in a circle")
    if status in _REDIRECTS:
        return Answer(f"{said}: it sends elsewhere, which is not followed. Name the right URL")
    wish = _seconds(headers, now) if status in _LATER else None
    return Answer(said, retry_after=wish)


def _named(status: int) -> str:
    return f"{status} {responses.get(status, '')}".strip()


def _seconds(headers: Any, now: float) -> float | None:
    """Return how many seconds a receiver asks for: a number, or a time; None if it is neither.

    A time is by the clock of the receiver, which its answer says, and not by ours.
    """
    text = (headers.get("Retry-After") or "").strip()
    if text.isdecimal():
        return float(text[:9])
    wished, said = _moment(text), _moment(headers.get("Date"))
    return None if wished is None else max(wished - (now if said is None else said), 0.0)


def _moment(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return _LATE
    if isinstance(cause, OSError) and cause.strerror:
        return str(cause.strerror)
    return f"{type(cause).__name__} in place of an answer"


__all__ = ["keys_of", "post", "signature"]
