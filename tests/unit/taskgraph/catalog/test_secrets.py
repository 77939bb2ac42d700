"""What is a secret by its name or by its looks is refused, and the error does not repeat it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.catalog.secrets import (
    check_no_secret,
    checked_entry,
    has_secret,
    without_secrets,
)
from taskgraph.errors import SecretError

NAMES = [
    "password", "Password", "db_password", "passwd", "pwd", "token", "refresh_token",
    "accessToken", "ACCESS-TOKEN", "id_token", "tokens", "secret", "client_secret", "api_key",
    "apikey", "API-KEY", "x-api-key", "private_key", "passphrase", "hashed_password",
    "credentials", "authorization",
]  # fmt: skip
HARMLESS = ["default_account", "accounts", "keyring", "max_tokens", "key", "author", "keys_seen"]
LOOKS = [
    "whsec_canary", "ghp_canary", "gho_canary", "github_pat_canary", "glpat-canary",
    "xoxb-canary-1", "sk_live_canary", "eyJcanary.eyJcanary.sig", "AKIACANARYCANARY",
    "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----",
    "https://ada:canary@example.org/x",
]  # fmt: skip

inner: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["plain", "a b", ""]),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(HARMLESS), below, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def hidden(draw: Any, secret: Any) -> Any:
    """JSON with a secret somewhere in it."""
    found: Any = draw(secret)
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            found = [*draw(st.lists(inner, max_size=2)), found, draw(inner)]
        else:
            key = draw(st.sampled_from(HARMLESS))
            found = {**draw(st.dictionaries(st.just("other"), inner)), key: found}
    return found


def named(name: str) -> dict[str, Any]:
    return {name: "canary"}


@given(hidden(st.sampled_from(LOOKS) | st.sampled_from(NAMES).map(named)))
def test_a_secret_is_found_at_any_depth_and_never_repeated(value: Any) -> None:
    with pytest.raises(SecretError) as caught:
        check_no_secret("settings", value)

    for text in (str(caught.value), repr(caught.value), repr(caught.value.args)):
        assert "canary" not in text.lower()
    assert "settings" in str(caught.value)
    assert "keyring:SERVICE/NAME" in str(caught.value)


@given(inner)
def test_what_is_harmless_is_let_through(value: Any) -> None:
    check_no_secret("settings", value)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_enough_whatever_stands_below_it(name: str) -> None:
    for value in ("x", 1234, ["x"], {"a": "x"}, False):
        with pytest.raises(SecretError):
            check_no_secret("settings", {name: value})
    check_no_secret("settings", {name: None})


def test_a_key_that_is_a_secret_itself_is_not_repeated() -> None:
    with pytest.raises(SecretError) as caught:
        check_no_secret("settings", {"ghp_canary": 1})

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("secret", LOOKS)
def test_what_others_wrote_is_kept_without_it(secret: str) -> None:
    text = without_secrets(f"before {secret} after")

    assert "canary" not in text.lower()
    assert text.startswith("before ")
    assert not has_secret(text)


def test_a_key_that_is_cut_off_is_left_out_to_the_end() -> None:
    assert without_secrets("x -----BEGIN KEY-----\ncanary\ncanary") == "x ***"


@pytest.mark.parametrize("text", ["keyring:github/ada", "keyring:my-service/a.b@c/d"])
def test_an_entry_of_a_keyring_is_named(text: str) -> None:
    assert checked_entry(text) == text


@pytest.mark.parametrize(
    "text", ["canary", "github/canary", "keyring:canary", "keyring:/canary", "keyring:a/ghp_canary"]
)
def test_what_names_no_entry_may_be_the_secret_itself(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        checked_entry(text)

    assert "canary" not in str(caught.value)
