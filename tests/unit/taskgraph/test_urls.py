"""A URL of SQLite and the file that it names are one and the same to everybody."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.urls import sqlite_file, sqlite_url
from taskgraph_backend.dialects.sqlite import SqliteDatabase


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_file_is_found_by_its_url_whatever_it_is_called(name: str) -> None:
    path = Path("/data") / name.lstrip("/")

    assert sqlite_file(sqlite_url(path)) == path
    assert sqlite_file(sqlite_url(path, "mode=rwc")) == path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////x/b.db", "/x/b.db"),
        ("sqlite:////x/b.db?mode=rwc", "/x/b.db"),
        ("sqlite:////x/a%20b.db", "/x/a b.db"),
        ("sqlite:///b.db", "b.db"),
        ("sqlite:///:memory:", None),
        ("sqlite:///", None),
        ("sqlite://", None),
        ("postgresql://me@host/name", None),
    ],
)
def test_a_url_names_a_file_or_none(url: str, path: str | None) -> None:
    assert sqlite_file(url) == (None if path is None else Path(path))


@pytest.mark.parametrize("name", ["a.db", "50%25.db", "what?.db", "ü b.db"])
def test_the_backend_opens_the_file_that_the_url_is_of(tmp_path: Path, name: str) -> None:
    database = SqliteDatabase(sqlite_url(tmp_path / name, "mode=rwc"))

    assert database.path == str(tmp_path / name)
