"""Pages are aligned in a pipe, fit a terminal, and let no record take hold of the screen."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Note,
    Source,
    Span,
    Tree,
    TreeRow,
    clean,
    clean_source,
    fit_widths,
    line,
    plain_text,
    print_on,
    print_page,
)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


BLOCKS: list[Block] = [
    Heading(line("Job ", Span("abcd", "id"))),
    Facts([("status", line("done")), ("a", line("b"))]),
    Heading(line("Calls"), is_part=True),
    Tree(
        [
            TreeRow(0, line("root"), [line("1 s")]),
            TreeRow(1, line("a"), [line("10 s")]),
            TreeRow(2, line("b"), [line("")]),
            TreeRow(1, line("c"), [line("")]),
        ]
    ),
    Grid([Column("n", is_right=True), Column("name")], [[line("1"), line("x")]]),
    Source("def f():\n    pass"),
    Note(line("the end")),
]


def test_in_a_pipe_a_page_is_plain_and_aligned() -> None:
    assert plain_text(BLOCKS).splitlines() == [
        "Job abcd",
        "status  done",
        "a       b",
        "",
        "Calls",
        "1 s   root",
        "10 s    a",
        "          b",
        "        c",
        "n  name",
        "1  x",
        "    def f():",
        "        pass",
        "the end",
    ]


def test_on_a_terminal_a_tree_has_guides() -> None:
    stream = Terminal()

    print_page(BLOCKS, stream)

    drawn = stream.getvalue()
    assert "├─" in drawn and "└─" in drawn and "│" in drawn


def test_a_tree_of_any_depth_is_drawn() -> None:
    rows = [TreeRow(depth, line(f"n{depth}")) for depth in range(5000)]

    print_page([Tree(rows)], stream := Terminal())

    assert "n4999" in stream.getvalue()


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    assert clean(text).isprintable()


@given(st.text(), st.integers(3, 50))
def test_clean_text_is_no_longer_than_asked(text: str, most: int) -> None:
    assert len(clean(text, most)) <= most


@given(st.text())
def test_clean_source_has_no_control_characters(text: str) -> None:
    assert all(each.isprintable() or each == "\n" for each in clean_source(text))


def test_escape_sequences_of_records_are_shown_not_obeyed() -> None:
    assert clean("a\x1b[31mred") == "a\\x1b[31mred"


@given(
    st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=8),
    st.integers(20, 200),
)
def test_columns_fit_if_those_that_may_shrink_can(
    columns: list[tuple[int, bool]], total: int
) -> None:
    natural = [width for width, _ in columns]
    may_shrink = [each for _, each in columns]

    widths = fit_widths(natural, may_shrink, total)

    gaps = 2 * (len(columns) - 1)
    least = sum(1 if shrinks else width for width, shrinks in columns) + gaps
    assert sum(widths) + gaps <= max(total, least)
    assert all(
        width == wanted if not shrinks else 1 <= width <= wanted
        for width, (wanted, shrinks) in zip(widths, columns, strict=True)
    )


def test_a_column_that_may_be_dropped_gives_way_to_the_others() -> None:
    columns = [Column("id"), Column("of", may_drop=True), Column("call", may_shrink=True)]
    grid = Grid(columns, [[line("a1"), line("b2"), line("c" * 74)]])

    assert "of" not in _drawn([grid], 26) and "c" * 20 in _drawn([grid], 26)
    assert "b2" in _drawn([grid], 40)
    assert "b2" in plain_text([grid])


def _drawn(blocks: list[Block], width: int) -> str:
    from rich.console import Console

    stream = io.StringIO()
    print_on(Console(file=stream, width=width, force_terminal=True, color_system=None), blocks)
    return stream.getvalue()
