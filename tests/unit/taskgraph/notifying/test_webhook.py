"""What a webhook is sent, and what its answers mean; by a real server."""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from taskgraph.catalog.policy_rows import Answer, Notification
from taskgraph.catalog.secrets import shown_url
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.targets import Webhook
from taskgraph.errors import SecretError
from taskgraph.notifying.webhook import keys_of, post, signature
from tests.hooks import CANARY, SECRET, Receiver, free_port

TOLD = Notification(
    "1" * 32, "p", "nightly is Failed", "ab" * 16, "nightly", "f.main", State(StateType.FAILED)
)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOOK", SECRET)


def _post(receiver: Receiver, **more: Any) -> Answer:
    return post(Webhook(receiver.url, "env:HOOK"), TOLD, 10, **more)


def test_a_signature_is_that_of_the_specification() -> None:
    (key,) = keys_of("env:HOOK", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_sent_is_signed_and_says_what_happened() -> None:
    with Receiver() as receiver:
        assert _post(receiver) == Answer()

    (message,) = receiver.accepted
    assert receiver.seen == [TOLD.id]
    assert message == json.loads(json.dumps(TOLD.to_json()))
    assert (message["type"], message["text"]) == ("execution.failed", "nightly is Failed")
    assert message["data"]["execution"]["id"] == "ab" * 16


def test_a_wrong_secret_is_seen_by_the_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "whsec_" + base64.b64encode(b"another one").decode())

    with Receiver() as receiver:
        answer = _post(receiver)

    assert answer.error == f"{shown_url(receiver.url)} answers 401 Unauthorized"
    assert receiver.accepted == []


def test_any_text_can_be_a_secret_and_without_one_nothing_is_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK", "any text")
    raw = "whsec_" + base64.b64encode(b"any text").decode()

    with Receiver(secret=raw) as receiver:
        assert _post(receiver) == Answer()
    with Receiver(secret=None) as receiver:
        assert post(Webhook(receiver.url), TOLD, 10) == Answer()


def test_base64_without_its_mark_signs_as_receivers_may_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = SECRET.removeprefix("whsec_")
    monkeypatch.setenv("HOOK", bare)

    for read_as in (SECRET, "whsec_" + base64.b64encode(bare.encode()).decode()):
        with Receiver(secret=read_as) as receiver:
            assert _post(receiver) == Answer()
    with Receiver(secret="whsec_" + base64.b64encode(b"another").decode()) as receiver:
        assert "401" in (_post(receiver).error or "")


@pytest.mark.parametrize(
    ("answer", "error", "is_final", "retry_after"),
    [
        (204, None, False, None),
        (400, "answers 400 Bad Request", False, None),
        (410, "wants no more", True, None),
        (500, "answers 500 Internal Server Error", False, None),
        ((429, {"Retry-After": "120"}), "429", False, 120.0),
        ((503, {"Retry-After": "7"}), "503", False, 7.0),
        ((503, {"Retry-After": "soon"}), "503", False, None),
        ((500, {"Retry-After": "7"}), "500", False, None),
        ((302, {"Location": "/elsewhere"}), "sends elsewhere", False, None),
        ((307, {"Location": "http://localhost:9/hook"}), "sends elsewhere", False, None),
    ],
)
def test_what_answers_mean(
    answer: Any, error: str | None, is_final: bool, retry_after: float | None
) -> None:
    with Receiver(answers=(answer,)) as receiver:
        found = _post(receiver)

    assert (found.is_final, found.retry_after) == (is_final, retry_after)
    assert (found.error is None) == (error is None)
    assert error is None or error in (found.error or "")
    assert len(receiver.seen) == 1


def test_a_time_is_a_wish_as_well() -> None:
    now = time.time()
    answer = (429, {"Retry-After": formatdate(now + 60, usegmt=True)})

    # By the clock of the receiver, however wrong ours is.
    for ours in (now, now + 3_600):
        with Receiver(answers=(answer,)) as receiver:
            found = _post(receiver, now=lambda ours=ours: ours)
        assert found.retry_after == pytest.approx(60, abs=30)


def test_a_receiver_that_has_moved_on_its_host_is_followed() -> None:
    with Receiver(answers=((308, {"Location": "/other"}),)) as receiver:
        assert _post(receiver) == Answer()

    assert len(receiver.accepted) == 1
    assert len(receiver.seen) == 2


@pytest.mark.parametrize("place", ["/hook", "/on"])
def test_a_receiver_that_sends_in_a_circle_is_told_so(place: str) -> None:
    moved = (307, {"Location": place})
    with Receiver(answers=10 * (moved,)) as receiver:
        answer = _post(receiver)

    assert answer.error == (
        f"{shown_url(receiver.url)} answers 307 Temporary Redirect: it sends in a circle"
    )


def test_a_receiver_that_is_not_there_is_named_by_its_host() -> None:
    port = free_port()

    url = f"http://127.0.0.1:{port}/hook?channel=ml"
    answer = post(Webhook(url), TOLD, 10)

    assert answer.error == f"{shown_url(url)}: Connection refused"


def test_a_url_that_is_a_secret_is_found_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{port}/{CANARY}")
    with Receiver(secret=None) as receiver:
        monkeypatch.setenv("THERE_URL", f"{receiver.url}?token={CANARY}")
        assert post(Webhook("env:THERE_URL"), TOLD, 10) == Answer()

    answer = post(Webhook("env:HOOK_URL"), TOLD, 10)
    assert answer.error == "env:HOOK_URL: Connection refused"
    monkeypatch.setenv("HOOK_URL", f"{CANARY}")
    with pytest.raises(SecretError, match="no URL that something can be sent to") as caught:
        post(Webhook("env:HOOK_URL"), TOLD, 10)
    assert CANARY not in str(caught.value)


def test_a_secret_that_is_broken_is_named_by_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "whsec_%%%")

    with pytest.raises(SecretError, match=r"Secret 'env:HOOK': .*no base64"):
        post(Webhook("http://127.0.0.1:9/hook", "env:HOOK"), TOLD, 10)


def test_a_receiver_that_does_not_answer_is_left() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        answer = post(Webhook(url), TOLD, 0.2)

    assert answer == Answer(f"{shown_url(url)}: no answer in time", is_late=True)


def test_a_receiver_that_answers_letter_by_letter_is_left() -> None:
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen()
        url = f"http://127.0.0.1:{slow.getsockname()[1]}/hook"
        pause, is_cut = threading.Event(), threading.Event()

        def answer() -> None:
            connection, _ = slow.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                    for _ in range(3_000):
                        pause.wait(0.02)
                        connection.sendall(b"x")
                except OSError:
                    is_cut.set()

        thread = threading.Thread(target=answer)
        thread.start()
        found = post(Webhook(url), TOLD, 0.3)
        thread.join()

    assert found == Answer(f"{shown_url(url)}: no answer in time", is_late=True)
    # Nobody goes on to read it.
    assert is_cut.is_set()


def test_what_a_receiver_says_that_has_moved_is_not_read_however_much() -> None:
    is_over = threading.Event()
    came: list[str] = []

    class Moved(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.append(self.path)
            if self.path == "/hook":
                self.send_response(308)
                self.send_header("Location", "/other")
                self.send_header("Content-Length", "10000000000")
                self.end_headers()
                is_over.wait(60)
            else:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Moved) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        answer = post(Webhook(f"http://127.0.0.1:{server.server_address[1]}/hook"), TOLD, 10)
        is_over.set()
        server.shutdown()
        thread.join()

    assert (answer, came) == (Answer(), ["/hook", "/other"])


def test_what_answers_with_more_than_anybody_reads_is_not_read() -> None:
    with Receiver(answers=((200, {"X-Filler": "x" * 60_000}),)) as receiver:
        assert _post(receiver) == Answer()
    with Receiver(answers=((200, {"X-Filler": "x" * 70_000}),)) as receiver:
        assert "LineTooLong in place of an answer" in (_post(receiver).error or "")


def test_what_speaks_no_tls_is_said_to_and_nothing_is_sent() -> None:
    with Receiver(secret=None) as receiver:
        url = receiver.url.replace("http:", "https:")
        answer = post(Webhook(url), TOLD, 10)

    assert (answer.error or "").startswith(f"{shown_url(url)}: [SSL")
    assert receiver.seen == []


def test_a_receiver_may_have_an_address_of_version_6() -> None:
    url = f"http://[::1]:{free_port()}/hook"

    answer = post(Webhook(url), TOLD, 10)

    assert (answer.error or "").startswith(f"{shown_url(url)}: ")
    assert answer.error != f"{shown_url(url)}: no answer in time"


def test_what_ends_a_thread_ends_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(BaseException):
        """As libraries raise whose inside is written in another language."""

    def ask(service: str, user: str) -> str:
        raise Odd

    ring: Any = SimpleNamespace(get_password=ask)
    monkeypatch.setitem(sys.modules, "keyring", ring)

    answer = post(Webhook("http://127.0.0.1:9/hook", "keyring:a/b"), TOLD, 10)

    assert answer == Answer("Odd while it was sent")
