"""Pages are aligned in a pipe, fit a terminal, and let no record take hold of the screen."""

from __future__ import annotations

import io
import re

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.provenance.page import (
    _STYLES,
    Block,
    Column,
    Diff,
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
    clean_text,
    fit_widths,
    kept_columns,
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

    assert "b2" not in _drawn([grid], 26) and "c" * 20 in _drawn([grid], 26)
    assert "b2" in _drawn([grid], 40)
    assert "b2" in plain_text([grid])


def test_a_column_that_is_left_out_is_named_if_it_says_something() -> None:
    columns = [Column("id"), Column("of", may_drop=True), Column("call", may_shrink=True)]
    full = Grid(columns, [[line("a1"), line("b2"), line("c" * 74)]])
    blank = Grid(columns, [[line("a1"), line(""), line("c" * 74)]])

    narrow = " ".join(_drawn([full], 26).split())
    assert narrow.endswith("Not shown: of. A wider terminal has it.")
    for drawn in (_drawn([full], 40), _drawn([blank], 26), plain_text([full])):
        assert "Not shown" not in drawn


def test_what_may_go_on_in_the_next_line_is_not_cut() -> None:
    columns = [Column("state"), Column("message", may_shrink=True, may_wrap=True)]
    words = " ".join(f"word{number}" for number in range(20))

    drawn = _drawn([Grid(columns, [[line("Failed"), line(words)]])], 40)

    assert drawn.count("word") == 20 and "…" not in drawn


def _drawn(blocks: list[Block], width: int) -> str:
    from rich.console import Console

    stream = io.StringIO()
    print_on(Console(file=stream, width=width, force_terminal=True, color_system=None), blocks)
    return stream.getvalue()


def test_on_a_narrow_terminal_what_is_drawn_can_be_read() -> None:
    columns = [
        *(Column("id"), Column("status"), Column("when", may_drop=True)),
        *(Column("call", may_shrink=True), Column("command", may_shrink=True, may_drop=True)),
    ]
    row = [line("a" * 8), line("done"), line("w" * 19), line("c" * 30), line("d" * 40)]
    natural = [8, 6, 19, 30, 40]

    kept = {width: kept_columns(columns, natural, width) for width in (120, 70, 40, 26, 10)}

    assert kept == {120: [0, 1, 2, 3, 4], 70: [0, 1, 2, 3], 40: [0, 1, 3], 26: [0, 1, 3], 10: [0]}
    for width in (120, 70, 40, 26, 20):
        drawn = _drawn([Grid(columns, [row])], width)
        assert "a" * 8 in drawn and max(map(len, drawn.splitlines())) <= width


def test_labels_leave_room_for_what_they_say() -> None:
    drawn = _drawn([Facts([("a.very.long.label.of.a.tag", line("what it says"))])], 20)

    assert "what it" in drawn and max(map(len, drawn.splitlines())) <= 20


def test_code_and_notes_are_broken_into_lines_and_not_cut() -> None:
    text = "x = " + "+".join(f"name_{number}" for number in range(20))
    cursor = "c" * 37

    drawn = _drawn([Source(text), Note(line("... and more: --after ", cursor))], 40)

    assert "".join(drawn.split()).startswith("".join(text.split()))
    assert cursor in drawn


@given(st.text())
def test_text_of_many_lines_keeps_them_and_nothing_that_is_obeyed(text: str) -> None:
    cleaned = clean_text(text)

    assert cleaned.count("\n") == text.count("\n")
    assert all(each.isprintable() or each in "\n\t" for each in cleaned)


def test_no_colour_is_lost_on_a_dark_or_a_light_ground() -> None:
    from rich.console import Console

    stream = io.StringIO()
    spans = [Span("x", style) for style in sorted(_STYLES)]
    blocks: list[Block] = [
        *(Note(line(*spans)), Tree([TreeRow(0, line("a")), TreeRow(1, line("b"))])),
        Source("@deco\nclass A(int):\n    # said\n    def f(self): return 'x' or 1 + len(None)"),
        Diff("@@ -1 +1 @@\n-a\n+b"),
    ]
    print_on(Console(file=stream, width=80, force_terminal=True, color_system="truecolor"), blocks)

    codes = re.findall(r"\x1b\[([0-9;]*)m", stream.getvalue())
    # Black and white are a ground; blue is not seen on black, bright colours not on white.
    colours = {each for code in codes for each in code.split(";") if len(each) == 2}
    assert colours <= {"31", "32", "33", "35", "36"}
    assert not [code for code in codes if {"2", "33"} <= set(code.split(";"))]
