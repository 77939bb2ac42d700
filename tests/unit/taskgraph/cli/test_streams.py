"""A stream of any encoding takes every page; what it has no letters for is still told."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.cli.streams import settle_streams


def written(text: str, encoding: str) -> bytes:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    settle_streams([stream])
    stream.write(text)
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue()


def test_marks_and_guides_become_signs_of_the_same_width() -> None:
    assert written("✓ done ○ ✗ ● · ⊘ …\n│  ├─ └─ ━", "ascii") == b"+ done = x * . - .\n|  |- `- -"


def test_what_the_encoding_has_is_written_as_it_is() -> None:
    assert written("é ✓", "latin-1") == b"\xe9 +"
    assert written("é ✓", "utf-8") == "é ✓".encode()


def test_a_broken_file_name_is_escaped_in_utf8_as_well() -> None:
    assert written("wrote \udcff.html", "utf-8") == b"wrote \\udcff.html"


@given(st.text(st.characters()), st.sampled_from(["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"]))
def test_no_text_is_too_odd_for_a_stream(text: str, encoding: str) -> None:
    assert written(text, encoding).decode(encoding) is not None


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stream_that_is_closed_or_holds_text_is_left_alone(stream: io.StringIO | None) -> None:
    settle_streams([stream])
