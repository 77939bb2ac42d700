"""A receiver of webhooks for tests: a real server that checks signatures by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

#: What a secret is made of that tests look for where none may be.
CANARY = "canaryThatIsNowhere7c1f"
SECRET = "whsec_" + base64.b64encode(CANARY.encode()).decode()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_signed(headers: Any, body: bytes, secret: str = SECRET) -> bool:
    """Tell whether a message is signed by a secret; written from the specification alone."""
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = b".".join(
        [headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body]
    )
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any(
        version == "v1" and hmac.compare_digest(found.encode(), wanted)
        for version, _, found in (
            each.partition(",") for each in headers["webhook-signature"].split(" ")
        )
    )


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who has sent something may be killed before it is answered."""


class Receiver:
    """Listens, and notes what it has accepted.

    Args:
        port: Where; any by default.
        answers: What it says to the first messages: a status, or one with headers. Then 200.
        secret: By which messages have to be signed; None for any.
        arrived: Called with the id of each message before it is answered.

    Attributes:
        seen: The id of each message that came, accepted or not.
        accepted: Those that were accepted, as JSON.
    """

    def __init__(
        self,
        port: int = 0,
        answers: tuple[Any, ...] = (),
        secret: str | None = SECRET,
        arrived: Callable[[str], object] = lambda id: None,
    ) -> None:
        self.seen: list[str] = []
        self.accepted: list[Any] = []
        self.wrong: list[str] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._secret = secret
        self._arrived = arrived
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What is sent to it."""
        return f"http://127.0.0.1:{self.port}/hook"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = receiver._take(self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler

    def _take(self, headers: Any, body: bytes) -> tuple[int, dict[str, str]]:
        id = headers["webhook-id"]
        self._arrived(id)
        with self._lock:
            self.seen.append(id)
            if self._secret is not None and not is_signed(headers, body, self._secret):
                self.wrong.append(id)
                return 401, {}
            answer = self._answers.pop(0) if self._answers else 200
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            if 200 <= status < 300:
                self.accepted.append(json.loads(body))
            return status, more

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
