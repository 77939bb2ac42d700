"""As HTML a page says what it says elsewhere, and no record gets out of its place in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.provenance.html import STYLE, details, fragment, notebook
from taskgraph.provenance.page import (
    Block,
    Column,
    Diff,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Source,
    Span,
    Tree,
    TreeRow,
    line,
)

TAGS = {
    *("div", "style", "h3", "h4", "p", "pre", "span", "table", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary"),
}


class Reading(HTMLParser):
    """What a browser would see: the elements, all closed again, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.add(tag)
        assert {name for name, _ in attrs} <= {"class", "style", "open"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


lines = st.lists(
    st.builds(Span, st.text(max_size=20), st.sampled_from(["", "task", "id", "failed"])), max_size=3
).map(Line)


def blocks_of(text: str, said: Line) -> list[Block]:
    return [
        Heading(said),
        Facts([(text, said)]),
        Heading(line(text), is_part=True),
        Grid([Column(text), Column("b", is_right=True)], [[said, line(text)]]),
        Tree([TreeRow(0, said, [line(text)]), TreeRow(1, said), TreeRow(99, line(text))]),
        Note(said),
    ]


@given(st.text(), lines)
def test_all_text_is_there_and_none_of_it_is_markup(text: str, said: Line) -> None:
    blocks = blocks_of(text, said)

    read = Reading(notebook(blocks))

    assert read.seen <= TAGS
    shown = "".join(read.text)
    for each in (text, said.text):
        # A carriage return alone is read as a line feed, and a NUL as what stands for one.
        wanted = each.replace("\r\n", "\n").replace("\r", "\n")
        assert wanted in shown.replace("\r\n", "\n").replace("\r", "\n")


HOSTILE = "x = '</pre><script>alert(1)</script>'  # <b>"


@pytest.mark.parametrize(
    "block", [Source(HOSTILE), Source(HOSTILE, "text"), Diff(f"+{HOSTILE}\n-{HOSTILE}\n@@ 1 @@")]
)
def test_code_is_text_whatever_is_in_it(block: Block) -> None:
    read = Reading(details(line("<i>"), [block]))

    assert "script" not in read.seen
    assert HOSTILE in "".join(read.text)
    assert "<i>" in "".join(read.text)


def test_a_tree_goes_on_to_the_right_for_so_far_only() -> None:
    rows = [TreeRow(depth, line(str(depth))) for depth in range(200)]

    drawn = fragment([Tree(rows)])

    assert "--depth:24" in drawn
    assert "--depth:25" not in drawn
    assert Reading(drawn).text == [str(depth) for depth in range(200)]


def test_columns_that_give_way_elsewhere_are_broken_into_lines_and_no_others() -> None:
    columns = [Column("id"), Column("n", is_right=True), Column("call", may_shrink=True)]

    short = fragment([Grid(columns, [[line("ab"), line("1"), line("f(x)")]])])
    long = fragment([Grid(columns, [[line("ab"), line("1"), line("f(x)" * 20)]])])

    assert '<td class="short">ab</td><td class="right">1</td><td>f(x)</td>' in short
    assert '<td class="long">f(x)f(x)' in long
    assert ".short" in STYLE and ".long" in STYLE


def test_the_colours_of_a_fragment_are_seen_on_white_and_on_black() -> None:
    colours = re.findall(r"color: #([0-9a-f]{6});", STYLE)

    assert colours
    for each in colours:
        light = _lightness(each)
        # Of large or bold text, and of marks, 3 is asked by WCAG.
        assert 1.05 / (light + 0.05) >= 3, each
        assert (light + 0.05) / (_lightness("111111") + 0.05) >= 3, each


def _lightness(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG has it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
