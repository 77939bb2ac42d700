# ruff: noqa: E501 - what is drawn stays on its lines

from __future__ import annotations

import io

import pytest
from rich.console import Console

from taskgraph.provenance.page import Block, plain_text, print_on
from taskgraph.provenance.tag_page import keys_page, tag_blocks, tags_page
from taskgraph.provenance.tagged import KeyView, TagEvent, TagsOfRecord, TagView

TAGGED = TagsOfRecord(
    "CallNode",
    "a" * 32,
    (
        TagView("1" * 32, "n", {"a": [1, 2]}, True),
        TagView("2" * 32, "quality", "checked " * 12 + "\x1b[31m", True),
        TagView("3" * 32, "version", "1", True),
    ),
    (
        TagEvent("added", "4" * 32, "n", 1, (), False),
        TagEvent("changed", "1" * 32, "n", {"a": [1, 2]}, (("n", 1), ("m", "x")), True),
        TagEvent("deleted", "5" * 32, "m", None, (("m", "y"),), False),
    ),
)
KEYS = [KeyView("project", 1_234, 3), KeyView("taskgraph.user", 2, 1)]


def drawn(blocks: list[Block], width: int) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, color_system=None, highlight=False, emoji=False, markup=False
    )
    print_on(console, blocks)
    return "".join(f"{each.rstrip()}\n" for each in stream.getvalue().splitlines())


PLAIN = """\
Call aaaaaaaa
n        {"a":[1,2]}
quality  checked checked checked checked checked checked checked checked checked checked checked checked \\x1b[31m
version  "1"

History
what     key  value        before  tag
added    n    1                    44444444
changed  n    {"a":[1,2]}  1, m=x  11111111
deleted  m                 y       55555555
"""

AT_80 = """\
Call aaaaaaaa
n        {"a":[1,2]}
quality  checked checked checked checked checked checked checked checked checked
         checked checked checked \\x1b[31m
version  "1"

History
what      key   value         before   tag
───────────────────────────────────────────────
added     n     1                      44444444
changed   n     {"a":[1,2]}   1, m=x   11111111
deleted   m                   y        55555555
"""

AT_200 = """\
Call aaaaaaaa
n        {"a":[1,2]}
quality  checked checked checked checked checked checked checked checked checked checked checked checked \\x1b[31m
version  "1"

History
what      key   value         before   tag
───────────────────────────────────────────────
added     n     1                      44444444
changed   n     {"a":[1,2]}   1, m=x   11111111
deleted   m                   y        55555555
"""


def test_in_a_pipe_tags_are_plain_and_aligned() -> None:
    assert plain_text(tags_page(TAGGED)) == PLAIN


@pytest.mark.parametrize(("width", "page"), [(80, AT_80), (200, AT_200)])
def test_on_a_terminal_they_fit_the_width(width: int, page: str) -> None:
    assert drawn(tags_page(TAGGED), width) == page


def test_keys_come_with_their_numbers() -> None:
    assert plain_text(keys_page(KEYS)) == (
        "key             records  values\n"
        "project           1,234       3\n"
        "taskgraph.user        2       1\n"
    )
    assert "no tags yet" in plain_text(keys_page([]))


def test_a_record_without_tags_says_so() -> None:
    page = plain_text(tags_page(TagsOfRecord("Job", "b" * 32, ())))

    assert page == "Job bbbbbbbb\nno tags\n"


def test_tags_of_many_lines_stand_by_themselves() -> None:
    page = plain_text(tag_blocks({"n": [1, "1"], "said": ["a\nb\n"]}))

    assert page == 'Tags\nn  1\nn  "1"\n\nsaid\n    a\n    b\n'
