"""What names a secret is kept, and what is one is refused, by errors that do not say it."""

from __future__ import annotations

import re

import pytest

from taskgraph.catalog.secrets import (
    checked_reference,
    hosts_alone,
    is_reference,
    refuse_secret_url,
    refuse_secrets,
    shown_url,
    without_secrets,
)
from taskgraph.errors import SecretError

CANARY = "c4N8rY7tHaT2iS0nOwHeRe"


@pytest.mark.parametrize(
    "text", ["env:HOOK_SECRET", "file:/etc/hook", "file:~/hook", "keyring:taskgraph/hook"]
)
def test_a_reference_is_taken(text: str) -> None:
    assert is_reference(text)
    assert checked_reference("secret", text) == text


@pytest.mark.parametrize(
    "text",
    ["", CANARY, f"whsec_{CANARY}", "env:", "env:a b", "file:here", "keyring:alone", "vault:a/b"],
)
def test_what_is_no_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SecretError, match="env:NAME, file:/path, keyring:SERVICE/USER") as caught:
        checked_reference("secret of the webhook", text)

    assert CANARY not in str(caught.value)
    assert str(caught.value).startswith("Secret 'secret of the webhook'")


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{CANARY}@example.org/hook",
        f"https://{CANARY}@example.org/hook",
        f"https://example.org/hook?token={CANARY}",
        f"https://example.org/hook?a=1&api_key={CANARY}",
        f"https://example.org/hook?sig={CANARY}",
        f"https://example.org/hook?x={CANARY}",
        f"https://hooks.example.org/services/T0/B0/{CANARY}",
        "https://example.org/3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        f"https://example.org/whsec_{CANARY}",
    ],
)
def test_a_url_that_is_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SecretError, match="env:NAME, file:/path or keyring:SERVICE/USER") as caught:
        refuse_secret_url("webhook", url)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook",
        "http://127.0.0.1:8080/a/b/notification-handler-2024",
        "https://example.org/teams/ml/nightly-runs?channel=failures&level=2",
        "https://example.org/environments/production/notifications",
    ],
)
def test_a_url_that_people_write_is_taken(url: str) -> None:
    refuse_secret_url("webhook", url)


@pytest.mark.parametrize(
    "text",
    [
        f"whsec_{CANARY}",
        f"curl -H 'Authorization: Bearer {CANARY}'",
        f"--token={CANARY}",
        f"--password {CANARY}",
        f"API_KEY={CANARY}",
        f"send postgresql://me:{CANARY}@host/db",
        f"ghp_{CANARY}",
    ],
)
def test_a_secret_in_a_text_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SecretError, match="Keep the secret elsewhere") as caught:
        refuse_secrets("command", text)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "notify-send --urgency critical",
        "mail -s 'a run failed' ada@example.org",
        "{name} is {state_name}: {message}",
        "--secret env:HOOK_SECRET",
        "the token of the run is missing",
    ],
)
def test_what_people_write_is_taken(text: str) -> None:
    refuse_secrets("command", text)


def test_of_a_url_the_host_is_shown_and_what_tells_it_from_others() -> None:
    shown = shown_url("https://u:p@example.org:8/a?token=b#c")

    assert re.fullmatch(r"https://example\.org:8/\*\*\*[0-9a-f]{6}", shown)
    assert shown != shown_url("https://u:p@example.org:8/a?token=d#c")
    assert shown_url("https://u:p@example.org:8/") == "https://example.org:8"
    assert shown_url("http://[::1]:8") == "http://[::1]:8"
    assert shown_url("http://[::1") == "***"


@pytest.mark.parametrize(
    "text",
    [
        f"404 Not Found for url: https://chat.example.org/services/{CANARY}.",
        f"Max retries exceeded with url: /services/{CANARY} (Caused by x)",
        f"cannot reach <HTTPS://chat.example.org/{CANARY}>, nor 'http://[::1]:8/{CANARY}'",
        f"http://[::1/{CANARY}",
    ],
)
def test_of_urls_in_a_text_the_hosts_are_left(text: str) -> None:
    assert CANARY not in hosts_alone(text)
    assert hosts_alone("see https://example.org, or not") == "see https://example.org, or not"


def test_known_secrets_and_what_looks_like_one_are_taken_out_of_a_text() -> None:
    text = f"no {CANARY}, no whsec_abcdefgh and no https://me:pw@host/x"

    assert without_secrets(text, [CANARY, ""]) == "no ***, no *** and no https://***@host/x"
