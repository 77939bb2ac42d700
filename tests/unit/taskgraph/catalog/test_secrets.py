"""What is a secret by its name or by its looks is refused, and the error does not repeat it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.catalog.secrets import (
    check_arguments,
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
    "xoxb-canary-1", "eyJcanary.eyJcanary.sig", "AKIACANARYCANARY", "Bearer canaryAbcdef1",
    "sk_live_canary51HxYz9Qw3Er7Ty", "rk_canary51HxYz9Qw3Er7", "hf_canaryVTQuvSVVUWkgbpcBzXQw",
    "sk-proj-canary9Xy_8Zq-Ab12Cd34Ef56", "pypi-canaryAgEIcHlwaS5vcmcCJ",
    "eyJcanaryhbGciOiJIUzI1NiJ9", "ghs_canary16C7e42F292c6912E7",
    "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----",
    "https://ada:canary@example.org/x", "https://example.org/x?a=1&api_key=canary",
    "https://example.org/x?token=canaryVTQuvSVVUWkgbpcBzXQw&b=2",
    "https://data.example.org/a.nc?X-Amz-Signature=canary51HxYz9Qw3Er7Ty",
    "https://hooks.slack.com/services/T0/B0/canary", "https://discord.com/api/webhooks/1/canary",
    "https://team.webhook.office.com/webhookb2/canary", "https://api.telegram.org/bot12:canary/send",
]  # fmt: skip

# Names that begin as keys do, and words behind the name of a scheme.
NO_SECRETS = [
    "rk_integrators", "sk_learn_models", "sk-learn-2024-classifiers", "pk_test_cases_of_the_team",
    "rk_4th_order_v2_step", "sk_MyVeryLongCamelCaseModelName", "ghs_population_2020_of_the_world",
    "hf_transformers_model_cache_v2", "pypi-simple-mirror-of-the-lab", "eyJafjallajokull_eruptions",
    "basic statistics", "Basic Statistics of runs", "bearer certificates",
    "Basic ERA5-Land statistics", "basic climatology1981-2010",
    "https://example.org/x?token=word&key=surface&max_tokens=512", "https://example.org/?pwd=/data",
    "https://example.org/?hash=5f4dcc3b5aa765d61d8327deb882cf99", "https://slack.com/help/articles",
    "https://example.org/?api_key={KEY}&password=${PW}", "https://discord.com/channels/1/2",
    "https://hooks.slack.com/services/{KEY}", "https://hooks.slack.com/services/T1/${REST}",
    "what? token=1", "https://example.org/?password=env:PW&secret=&n=1",
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


@pytest.mark.parametrize("text", NO_SECRETS)
def test_a_name_that_begins_as_a_key_does_is_none(text: str) -> None:
    check_no_secret("settings", {"note": [text, f"the {text} of today"], text: 1})

    assert without_secrets(f"before {text} after") == f"before {text} after"


@pytest.mark.parametrize(
    "given",
    [
        {"password": "canary"},
        {"db": [{"apiKey": "canary"}]},
        {"client_secret": "canary"},
        {"access_token": "canary51HxYz9Qw3Er7Ty"},
        {"credentials": "canary51HxYz9Qw3Er7Ty"},
        {"x": {"y": ["a", "ghp_canary"]}},
        {"url": "https://ada:canary@example.org/x"},
        {"ghp_canary": 1},
        {"passwords": ["env:ONE", "canary"]},
        {"u": "https://example.org/x?api_key=canary"},
    ],
)
def test_an_argument_that_is_a_secret_is_refused_and_not_repeated(given: dict[str, Any]) -> None:
    with pytest.raises(SecretError, match="Have the task read it where it runs") as caught:
        check_arguments("arguments of step flow.read", given)

    assert str(caught.value).startswith("Secret 'arguments of step flow.read")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"password": "env:DB_PASSWORD"},
        {"db": {"api_key": "keyring:hub/ada", "token": "file:/run/token"}},
        {"password": ""},
        {"password": None},
        {"has_password": False},
        {"max_tokens": 512, "pad_token": "<pad>", "tokens": ["the", "a"], "token": "word"},
        {"credentials": "service.json"},
        {"pwd": "/data/run", "ssh_private_key": "~/.ssh/id_ed25519"},
        {"urls": ["postgresql://{user}:{password}@{host}/db", "https://u:${TOKEN}@host/"]},
        {"model": "sk_learn_models", "solver": "rk_integrators"},
    ],
)
def test_an_argument_that_is_none_is_kept(given: dict[str, Any]) -> None:
    check_arguments("arguments", given)


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
