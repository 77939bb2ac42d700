"""The common SQL in the words of PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph_backend import statements
from taskgraph_backend.dialects import NOW
from taskgraph_backend.dialects.postgres import words as module
from taskgraph_backend.dialects.postgres.words import Words, without_nul

KINDS = {
    "job": {
        "id": "bytea",
        "start_time": "timestamptz",
        "end_time": "timestamptz",
        "cached": "bool",
    },
    "value": {"value_hash": "bytea", "type": "text", "value": "bytea"},
    "tag": {"tag_hash": "bytea", "value": "jsonb"},
    "edge": {"parent": "bytea", "child": "bytea"},
}
KEYS = {
    "job": ("id",),
    "value": ("value_hash",),
    "tag": ("tag_hash",),
    "edge": ("parent", "child"),
}
MICROS = "('epoch'::timestamptz + %s * interval '1 microsecond')"


@pytest.fixture
def words() -> Words:
    return Words(KINDS, KEYS)


@pytest.mark.parametrize(
    ("common", "ours"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT id FROM job WHERE id = ?", "SELECT id FROM job WHERE id = %s"),
        ("SELECT id FROM job WHERE key LIKE '#%'", "SELECT id FROM job WHERE key LIKE '#%%'"),
        ("UPDATE job SET end_time = ?", f"UPDATE job SET end_time = {MICROS}"),
        ("SELECT 1 WHERE start_time <= ?", f"SELECT 1 WHERE start_time <= {MICROS}"),
        ("SET end_time = max(start_time, ?)", f"SET end_time = greatest(start_time, {MICROS})"),
        (
            "INSERT INTO job (id, start_time, cached) VALUES (?, ?, TRUE)",
            f"INSERT INTO job (id, start_time, cached) VALUES (%s, {MICROS}, TRUE)",
        ),
        (
            "INSERT INTO job (id, end_time) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 WHERE id = ?)",
            f"INSERT INTO job (id, end_time) SELECT %s, {MICROS}"
            " WHERE NOT EXISTS (SELECT 1 WHERE id = %s)",
        ),
        (f"SELECT {NOW}", "SELECT clock_timestamp()"),
        ("SELECT lower(hex(job.id))", "SELECT encode(job.id, 'hex')"),
    ],
)  # fmt: skip
def test_a_statement_is_said_in_other_words(words: Words, common: str, ours: str) -> None:
    assert words.phrase(common).text == ours


def test_a_list_is_one_parameter(words: Words) -> None:
    phrase = words.phrase(
        "SELECT 1 FROM job WHERE a = ? AND id IN (?, ?, ?) AND b = ? AND c NOT IN (?, ?)"
    )

    assert phrase.text == (
        "SELECT 1 FROM job WHERE a = %s AND id = ANY(%s) AND b = %s AND c <> ALL(%s)"
    )
    assert phrase.arrange([1, 2, 3, 4, 5, 6, 7]) == [1, [2, 3, 4], 5, [6, 7]]


def test_a_statement_is_translated_once(words: Words) -> None:
    assert words.phrase("SELECT ?") is words.phrase("SELECT ?")


def test_many_rows_are_inserted_by_one_statement(words: Words) -> None:
    insert = words.bulk(
        "INSERT INTO job (id, start_time, cached) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    )

    assert insert is not None
    assert insert.text == (
        "INSERT INTO job (id, start_time, cached) SELECT c0, 'epoch'::timestamptz + c1 *"
        " interval '1 microsecond', c2 FROM unnest(%s::bytea[], %s::bigint[], %s::bool[])"
        " AS given (c0, c1, c2) ON CONFLICT DO NOTHING"
    )
    assert list(insert.pieces([(b"b", 2, 0), (b"a", None, 1)])) == [
        [[b"a", b"b"], [None, 2], [True, False]]
    ]


@pytest.mark.parametrize(
    "sql", [statements.HANDLE, statements.LEASE_RELEASE, "UPDATE job SET id=?"]
)
def test_what_is_no_plain_insert_is_done_row_by_row(words: Words, sql: str) -> None:
    assert words.bulk(sql) is None


@given(st.lists(st.tuples(st.binary(max_size=1), st.integers(0, 9))))
def test_a_row_is_written_over_once_a_statement_and_in_the_order_given(
    rows: list[tuple[bytes, int]],
) -> None:
    insert = Words(KINDS, KEYS).bulk(
        "INSERT INTO value (value_hash, type) VALUES (?, ?)"
        " ON CONFLICT (value_hash) DO UPDATE SET type = excluded.type"
    )

    assert insert is not None
    stored: dict[bytes, Any] = {}
    for columns in insert.pieces([(key, str(number)) for key, number in rows]):
        piece = dict(zip(*columns, strict=True))
        assert list(piece) == sorted(columns[0])
        stored |= piece
    assert stored == {key: str(number) for key, number in rows}


def test_rows_are_in_the_order_of_all_of_their_key(words: Words) -> None:
    insert = words.bulk("INSERT INTO edge (parent, child) VALUES (?, ?) ON CONFLICT DO NOTHING")

    assert insert is not None
    (columns,) = insert.pieces([(b"b", b"a"), (b"a", b"b"), (b"a", b"a")])
    assert columns == [[b"a", b"a", b"b"], [b"a", b"b", b"a"]]


def test_a_statement_has_a_bounded_number_of_rows_and_bytes(
    words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 4)
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    small = words.bulk("INSERT INTO edge (parent, child) VALUES (?, ?)")
    large = words.bulk("INSERT INTO value (value_hash, value) VALUES (?, ?)")

    assert small is not None and large is not None
    edges = [(bytes([n]), b"") for n in range(9)]
    values = [(bytes([n]), b"x" * size) for n, size in enumerate([4, 4, 4, 30, 1, 1, 1, 1, 1])]
    assert [len(columns[0]) for columns in small.pieces(edges)] == [4, 4, 1]
    assert [len(columns[0]) for columns in large.pieces(values)] == [2, 1, 1, 4, 1]


def test_text_with_a_nul_character_is_written_with_a_backslash() -> None:
    assert without_nul("a\0b\udce9") == "a\\x00b\\udce9"
