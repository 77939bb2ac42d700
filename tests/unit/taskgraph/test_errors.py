"""What errors say is safe to show."""

from __future__ import annotations

import pickle

import pytest

from taskgraph import errors
from taskgraph.errors import DatabaseError, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////home/me/a.db", "sqlite:////home/me/a.db"),
        ("postgresql://me:se:cr@et@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me@host/db?sslmode=require", "postgresql://me@host/db?sslmode=require"),
        ("postgresql://host/db?password=secret", "postgresql://host/db?password=***"),
        ("a.db", "a.db"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert str(DatabaseError(url, "gone")) == f"Database {shown}: gone"


def test_all_errors_are_of_the_room_that_is_public() -> None:
    # They are stored with failed calls, and hashed, by where they are from.
    for name in errors.__all__:
        found = getattr(errors, name)
        assert found.__module__ == "taskgraph.errors"
        assert pickle.loads(pickle.dumps(found)) is found
