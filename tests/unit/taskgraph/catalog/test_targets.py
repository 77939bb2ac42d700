"""Targets are read from whatever people write, and come back from JSON as they were."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.catalog.secrets import shown_url
from taskgraph.catalog.targets import Callback, Command, Webhook, read_target, target_of
from taskgraph.errors import SecretError, ValidationError

TARGETS = [
    Webhook("https://example.org/hook", "env:HOOK", 3),
    Webhook("env:HOOK_URL"),
    Command(("notify-send", "a run")),
    Callback("mypackage.hooks:tell"),
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_comes_back_from_json(target: Any) -> None:
    assert read_target(target.to_json()) == target == target_of(target.to_json())


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("https://example.org/hook", "webhook"),
        ("file:/etc/hook_url", "webhook"),
        ("mypackage.hooks:tell", "callback"),
        (["notify-send", "x"], "command"),
        (("notify-send",), "command"),
    ],
)
def test_what_people_write_stands_for_a_target(given: Any, kind: str) -> None:
    assert target_of(given).kind == kind


@pytest.mark.parametrize(
    "given",
    [
        "", "notify-send x", 3, None, [], [""], ["a", 3], {"kind": "pigeon"}, {},
        {"kind": "webhook"}, {"kind": "webhook", "url": "https://a/b", "more": 1},
        {"kind": "webhook", "url": 3}, "ftp://example.org/x", "https://", "https://example.org/#x",
        "https://example.org/ x", "https://[::1", "http://h:99999/",
        {"kind": "callback", "function": "f"},
        {"kind": "command", "words": ["a"], "timeout": 0}, {"kind": "command", "words": "a b"},
        {"kind": "command", "words": ["a"], "timeout": True},
        {"kind": "webhook", "url": "https://a/b", "timeout": float("nan")},
    ],
)  # fmt: skip
def test_what_is_none_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        target_of(given)


@pytest.mark.parametrize(
    "given",
    [
        "https://me:canary@example.org/hook",
        ["curl", "--token", "canary"],
        ["curl", "-H", "Authorization: Bearer canary1234"],
        {"kind": "webhook", "url": "https://example.org/h", "secret": "canary"},
    ],
)
def test_secrets_are_refused(given: Any) -> None:
    with pytest.raises(SecretError) as caught:
        target_of(given)

    assert "canary" not in str(caught.value)


def test_of_a_url_the_host_is_shown() -> None:
    url = "https://example.org/services/T0/B0/short"
    assert Webhook(url).shown == shown_url(url)
    assert "short" not in Command(("curl", "-d", "x", url)).shown
    assert Webhook("env:HOOK_URL").shown == "env:HOOK_URL"
    assert Command(("echo", "a b")).shown == "echo 'a b'"
