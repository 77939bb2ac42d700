"""What code calls a secret is left out of what is kept of it; what it says of its code is not."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph.catalog.said_secrets import data_without_secrets, said_without_secrets


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("login of ada failed: password=canary", "login of ada failed: password=***"),
        ("(user=ada, db_password=canary)", "(user=ada, db_password=***)"),
        ("connect('h', password='canary one', n=1)", "connect('h', password='***', n=1)"),
        ('password = "canary"', 'password = "***"'),
        ('{"api_key": "canary", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("{'token': 'canary'}", "{'token': '***'}"),
        ("--api-key=canary --n=3", "--api-key=*** --n=3"),
        ("GET https://h/x?api_key=canary&a=1: 404", "GET https://h/x?api_key=***&a=1: 404"),
        ("token=canary", "token=***"),
        ("secret: 'canary'", "secret: '***'"),
    ],
)
def test_what_is_called_a_secret_is_left_out(said: str, kept: str) -> None:
    assert said_without_secrets(said) == kept
    assert said_without_secrets(kept) == kept


@pytest.mark.parametrize(
    "said",
    [
        "connect(password=password, token=self.token, api_key=settings.api_key)",
        "password=get_password(), token=tokens[0], secret=os.environ['S'], pwd=/data/run",
        "password=None, token=null, secret=env:NAME, api_key={key}, password='', token=$TOKEN",
        "max_tokens=512, key=3, author=ada, tokenizer=word, n_tokens=7",
        "unexpected token: ')' in line 3; password: expected a text, not 3",
        "the password of ada is wrong",
        "compare(secret_name='hub')",
    ],
)
def test_what_is_none_is_kept(said: str) -> None:
    assert said_without_secrets(said) == said


def test_data_is_kept_without_texts_that_are_called_secrets() -> None:
    given: dict[str, Any] = {
        "token": "canary", "db": {"password": ["canary", "env:PW"], "n": 1}, "tokens": 3,
        "credentials": {"user": "canary", "ttl": 60}, "said": ["password=canary"], "pwd": "/data",
        "api_key": None, "has_password": False, "key": "word",
    }  # fmt: skip

    assert data_without_secrets(given) == {
        "token": "***", "db": {"password": ["***", "env:PW"], "n": 1}, "tokens": 3,
        "credentials": {"user": "***", "ttl": 60}, "said": ["password=***"], "pwd": "/data",
        "api_key": None, "has_password": False, "key": "word",
    }  # fmt: skip


def test_a_long_text_takes_no_time_that_grows_faster_than_it() -> None:
    text = "a-b_" * 500_000  # by squares, this would take hours

    assert said_without_secrets(text) == text
