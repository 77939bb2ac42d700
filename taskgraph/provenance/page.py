"""Pages of text: rich on a terminal, plain and aligned in a pipe.

A page is made of blocks, a block of text with named styles; what is drawn how is decided here and
nowhere else. Text from records is cleaned first: no record can move the cursor or colour a screen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

if TYPE_CHECKING:
    # rich takes 60 ms to import: for a terminal only.
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.syntax import SyntaxTheme
    from rich.text import Text


class Span(NamedTuple):
    """Text in a style."""

    text: str
    style: str = ""


class Line(tuple[Span, ...]):
    """Spans, one after the other."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """The text without its styles."""
        return "".join(span.text for span in self)


def line(*parts: str | Span | Line) -> Line:
    """Make a line of texts, spans and lines."""
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, Line):
            spans.extend(part)
        else:
            spans.append(part if isinstance(part, Span) else Span(part))
    return Line(spans)


def clean(text: str, most: int | None = None) -> str:
    """Return text as one line that is safe to print, cut if it is longer than ``most``."""
    shown = " ".join(text.split())
    if not shown.isprintable():
        shown = "".join(
            each if each.isprintable() else each.encode("unicode_escape", "replace").decode()
            for each in shown
        )
    if most is not None and len(shown) > most:
        shown = shown[: max(0, most - 3)] + "..."
    return shown


def clean_source(text: str) -> str:
    """Return source text that is safe to print, with its lines and its indentation."""
    return "\n".join(map(_shown, text.splitlines())).expandtabs(4)


def clean_text(text: str) -> str:
    """Return text of others that is safe to print, with its lines and tabs as they are."""
    if text.isprintable():
        return text
    return "\n".join(map(_shown, text.split("\n")))


def _shown(text: str) -> str:
    return "".join(
        each
        if each.isprintable() or each == "\t"
        else each.encode("unicode_escape", "replace").decode()
        for each in text
    )


# Blocks


@dataclass(frozen=True, slots=True)
class Heading:
    """What a page, or a part of it, is about."""

    line: Line
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with what they say."""

    rows: Sequence[tuple[str, Line]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: What stands above it.
        is_right: Whether its text ends at its right side.
        may_shrink: Whether its text is cut on a narrow terminal.
        may_drop: Whether it is left out on a terminal that is too narrow for all columns; of more
            such columns, the last one first.
        may_wrap: Whether text that is wider goes on in the next line instead of being cut.
    """

    name: str
    is_right: bool = False
    may_shrink: bool = False
    may_drop: bool = False
    may_wrap: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Line]]


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A row of a tree.

    Attributes:
        depth: How deep it is; the rows follow each other in the order of a walk.
        line: What it says.
        cells: What stands in the columns behind it.
    """

    depth: int
    line: Line
    cells: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows below each other, with guides."""

    rows: Sequence[TreeRow]


@dataclass(frozen=True, slots=True)
class Source:
    """Text with lines of its own: Python code, or in no language at all."""

    text: str
    language: str = "python"


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff of code."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line by itself."""

    line: Line


Block = Heading | Facts | Grid | Tree | Source | Diff | Note


# Printing

# They are to be read on a dark and on a light ground: no bright colours, no dim ones, no yellow for
# what is to be read, and no blue, which is hardly seen on black.
_STYLES: Final = {
    "done": "green",
    "cached": "cyan",
    "failed": "bold red",
    "running": "yellow",
    "pending": "dim",
    "task": "bold",
    "id": "dim",
    "name": "cyan",
    "value": "",
    "path": "magenta",
    "dim": "dim",
    "strong": "bold",
    "": "",
}
_DIFF_STYLES: Final = (("+", "green"), ("-", "red"), ("@@", "cyan"))
_GAP: Final = 2  # between two columns
# How much of a column that gives way has to be seen: before others do, and for it to be drawn.
_READ_WELL: Final = 20
_READ_AT_ALL: Final = 8
# A tree deeper than this is drawn no further to the right.
_MOST_GUIDES: Final = 24


def print_page(blocks: Iterable[Block], stream: TextIO) -> None:
    """Write a page to a stream in the way that fits it."""
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        print_on(Console(file=stream, highlight=False, emoji=False, markup=False), list(blocks))
    else:
        stream.write(plain_text(blocks))


def plain_text(blocks: Iterable[Block]) -> str:
    """Return a page as plain text: nothing is cut, and columns are aligned."""
    parts: list[str] = []
    for block in blocks:
        if isinstance(block, Heading) and parts:
            parts.append("")
        parts.extend(_plain_lines(block))
    return "".join(f"{each.rstrip()}\n" for each in parts)


def _plain_lines(block: Block) -> list[str]:
    match block:
        case Heading():
            return [block.line.text]
        case Note():
            return [block.line.text]
        case Source() | Diff():
            return [f"    {each}" for each in clean_source(block.text).splitlines()]
        case Facts():
            width = max((len(label) for label, _ in block.rows), default=0)
            return [f"{label:<{width}}  {text.text}" for label, text in block.rows]
        case Grid():
            header = [column.name for column in block.columns]
            rows = [[cell.text for cell in row] for row in block.rows]
            rights = [column.is_right for column in block.columns]
            return _aligned([header, *rows] if any(header) else rows, rights)
        case Tree():
            # What is aligned comes first: the tree itself may be as wide as it likes.
            rows = [
                [*(cell.text for cell in row.cells), "  " * row.depth + row.line.text]
                for row in block.rows
            ]
            return _aligned(rows, [False] * max(map(len, rows), default=0))


def _aligned(rows: Sequence[Sequence[str]], rights: Sequence[bool]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rights))] if rows else []
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, rights, strict=True)
        )
        for row in rows
    ]


def print_on(console: Console, blocks: Sequence[Block]) -> None:
    """Draw a page on a terminal, above what is drawn there anew all the time."""
    for index, block in enumerate(blocks):
        if isinstance(block, Heading) and index:
            console.print()
        console.print(_drawn(block, console), overflow="fold")
        if isinstance(block, Grid):
            lacking = _left_out(block, console)
            if lacking:
                they = "it" if len(lacking) == 1 else "them"
                said = f"Not shown: {', '.join(lacking)}. A wider terminal has {they}."
                console.print(_text(line(Span(said, "dim"))), overflow="fold")


def drawn_page(blocks: Sequence[Block], console: Console) -> RenderableType:
    """Return a page as it is drawn on a terminal, to be drawn anew there."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for index, block in enumerate(blocks):
        if isinstance(block, Heading) and index:
            parts.append("")
        parts.append(_drawn(block, console))
    return Group(*parts)


def _drawn(block: Block, console: Console) -> RenderableType:
    match block:
        case Heading():
            return _text(block.line, "dim" if block.is_part else "")
        case Note():
            return _text(block.line)
        case Source() | Diff():
            return _source(block) if isinstance(block, Source) else _diff(block)
        case Facts():
            return _facts(block, console)
        case Grid():
            return _grid(block, console)
        case Tree():
            return _tree(block, console)


def _text(spans: Line, style: str = "") -> Text:
    from rich.text import Text

    text = Text(style=style)
    for span in spans:
        text.append(span.text, style=_STYLES[span.style])
    return text


def _source(block: Source) -> RenderableType:
    from rich.padding import Padding
    from rich.syntax import Syntax

    text = clean_source(block.text)
    code = Syntax(text, block.language, theme=_code_theme(), word_wrap=True)
    return Padding(code, (0, 0, 0, 2))


def _code_theme() -> SyntaxTheme:
    from pygments.token import Comment, Keyword, Name, Number, Operator, String
    from rich.style import Style
    from rich.syntax import ANSISyntaxTheme

    styles = {
        Comment: "dim",
        Keyword: "magenta",
        Operator.Word: "magenta",
        Name.Function: "bold",
        Name.Class: "bold",
        Name.Decorator: "cyan",
        Number: "cyan",
        String: "green",
    }
    return ANSISyntaxTheme({token: Style.parse(style) for token, style in styles.items()})


def _diff(block: Diff) -> RenderableType:
    from rich.padding import Padding
    from rich.text import Text

    text = Text()
    for each in clean_source(block.text).splitlines():
        style = next((style for start, style in _DIFF_STYLES if each.startswith(start)), "")
        text.append(f"{each}\n", style=style)
    text.rstrip()
    return Padding(text, (0, 0, 0, 4))


def _facts(block: Facts, console: Console) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, _GAP), pad_edge=False)
    table.add_column(style="dim", overflow="fold", max_width=max(1, console.width // 2 - _GAP))
    table.add_column(overflow="fold")
    for label, text in block.rows:
        table.add_row(label, _text(text))
    return table


def _grid(block: Grid, console: Console) -> RenderableType:
    from rich import box
    from rich.table import Table

    has_header = any(column.name for column in block.columns)
    table = Table(
        box=box.SIMPLE_HEAD if has_header else None,
        show_header=has_header,
        header_style="dim",
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        show_edge=False,
    )
    wanted = _natural(block)
    kept = kept_columns(block.columns, wanted, console.width, _GAP + has_header)
    columns = [block.columns[place] for place in kept]
    natural = [wanted[place] for place in kept]
    may_shrink = [column.may_shrink for column in columns]
    # A box draws one blank more between two columns.
    widths = fit_widths(natural, may_shrink, console.width, _GAP + has_header)
    for column, width in zip(columns, widths, strict=True):
        justify: JustifyMethod = "right" if column.is_right else "left"
        table.add_column(
            column.name,
            justify=justify,
            no_wrap=not column.may_wrap,
            overflow="fold" if column.may_wrap else "ellipsis",
            width=width,
        )
    for row in block.rows:
        table.add_row(*(_text(row[place]) for place in kept))
    return table


def _natural(block: Grid) -> list[int]:
    """Return how wide each column would like to be."""
    return [
        max([len(column.name), *(_text(row[place]).cell_len for row in block.rows)])
        for place, column in enumerate(block.columns)
    ]


def _left_out(block: Grid, console: Console) -> list[str]:
    """Return the names of the columns that say something and have no room."""
    gap = _GAP + any(column.name for column in block.columns)
    kept = kept_columns(block.columns, _natural(block), console.width, gap)
    return [
        column.name
        for place, column in enumerate(block.columns)
        if place not in kept
        and column.name
        and any(row[place].text.strip() not in ("", "-") for row in block.rows)
    ]


def kept_columns(
    columns: Sequence[Column], natural: Sequence[int], total: int, gap: int = _GAP
) -> list[int]:
    """Return the places of the columns that are drawn on a terminal: those for which there is room.

    Those that may be left out go when one that gives way would be hard to read. Where there is no
    room for the others either, the last ones go, so that what is drawn can be read.

    Args:
        columns: All of them.
        natural: How wide each would like to be.
        total: How wide the terminal is.
        gap: How much there is between two columns.
    """
    kept = list(range(len(columns)))

    def is_wider(least: int) -> bool:
        widths = (
            min(natural[place], least) if columns[place].may_shrink else natural[place]
            for place in kept
        )
        return sum(widths) + gap * (len(kept) - 1) > total

    while is_wider(_READ_WELL) and any(columns[place].may_drop for place in kept):
        kept.remove(max(place for place in kept if columns[place].may_drop))
    while is_wider(_READ_AT_ALL) and len(kept) > 1:
        kept.pop()
    return kept


def fit_widths(
    natural: Sequence[int], may_shrink: Sequence[bool], total: int, gap: int = _GAP
) -> list[int]:
    """Return the widths of columns that are to fit side by side, with gaps between them.

    Args:
        natural: How wide each would like to be.
        may_shrink: Which of them give way; the widest first.
        total: How wide the terminal is.
        gap: How much there is between two columns.
    """
    widths = list(natural)
    excess = sum(widths) + gap * (len(widths) - 1) - total
    while excess > 0:
        given = [place for place, width in enumerate(widths) if may_shrink[place] and width > 1]
        if not given:
            break
        widest = max(widths[place] for place in given)
        others = [widths[place] for place in given if widths[place] < widest]
        at_widest = [place for place in given if widths[place] == widest]
        step = min(widest - max(others, default=1), -(-excess // len(at_widest)))
        for place in at_widest:
            widths[place] -= step
        excess -= step * len(at_widest)
    return widths


def _tree(block: Tree, console: Console) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, _GAP, 0, 0), expand=False)
    is_ascii = not (console.encoding or "").lower().startswith("utf")
    lines = [
        Text.assemble((guides, "dim"), _text(row.line))
        for row, guides in zip(block.rows, _guides(block.rows, is_ascii), strict=True)
    ]
    cells = [[_text(cell) for cell in row.cells] for row in block.rows]
    natural = [max((each.cell_len for each in lines), default=0)]
    natural += [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    first, *others = fit_widths(natural, [True] + [False] * (len(natural) - 1), console.width)
    table.add_column(no_wrap=True, overflow="ellipsis", width=first)
    for width in others:
        table.add_column(no_wrap=True, width=width, justify="right")
    for text, row in zip(lines, cells, strict=True):
        table.add_row(text, *row)
    return table


def _guides(rows: Sequence[TreeRow], is_ascii: bool) -> list[str]:
    """Return what is drawn before each row: which lines go on is known from what follows it."""
    through, fork, last = ("|  ", "|- ", "`- ") if is_ascii else ("│  ", "├─ ", "└─ ")
    drawn: list[str] = []
    # For each depth, whether another row of that depth follows before a shallower one.
    goes_on: list[bool] = []
    for row in reversed(rows):
        depth = min(row.depth, _MOST_GUIDES)
        goes_on += [False] * (depth + 1 - len(goes_on))
        above = "".join(through if goes_on[level] else "   " for level in range(1, depth))
        drawn.append(above + (fork if goes_on[depth] else last) if depth else "")
        goes_on = [*goes_on[:depth], True]
    return drawn[::-1]
