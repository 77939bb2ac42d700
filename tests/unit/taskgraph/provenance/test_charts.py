"""Charts are made of plain rows; whatever is in a record is only text in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import GraphvizError
from taskgraph.provenance.chart_formats import chart_data, chart_dot, chart_json, chart_mermaid
from taskgraph.provenance.chart_tree import chart_page, chart_text
from taskgraph.provenance.charts import Chart, ChartNode, make_chart
from taskgraph.provenance.graphviz import chart_svg
from taskgraph.provenance.html import notebook
from tests.graphviz import needs_graphviz

ODD = 'a "quoted" [name]\n<b>&\\ {x|y} | `c` #1; %% -->'


@dataclass(frozen=True)
class File:
    path: str
    root: str = "project"


@dataclass(frozen=True)
class Value:
    value_hash: str
    preview: str = ""
    type: str = "builtins.int"
    file: File | None = None


@dataclass(frozen=True)
class Call:
    call_hash: str
    task_name: str
    value: Value


@dataclass(frozen=True)
class Argument:
    arg_hash: str
    arg_key: str | None
    value: Value
    call_node: Call
    arg_position: int | None = 0


@dataclass(frozen=True)
class Given:
    argument: Argument
    value: Value


@dataclass(frozen=True)
class Result:
    call_node: Call
    value: Value


@dataclass(frozen=True)
class Edge:
    src: Any
    dest: Any


def key(number: int) -> str:
    return f"{number:032x}"


def a_file(number: int, path: str) -> Value:
    return Value(key(number), f"File(path={path})", "taskgraph.File", File(path))


def chain(length: int, name: str = "ns.step") -> tuple[Result, list[Edge]]:
    """Calls on files, each on the one that the call before it gave."""
    behind: Result | None = None
    edges: list[Edge] = []
    for number in range(length):
        made = a_file(number + 1, f"{number + 1}.txt")
        call = Call(key(number + 1), name, made)
        source = a_file(0, "0.txt") if behind is None else behind.value
        argument = Argument(key(number + 1), "x", source, call)
        given_there = Given(argument, source)
        result = Result(call, made)
        edges = [Edge(result, call), Edge(call, given_there), Edge(given_there, behind), *edges]
        behind = result
    assert behind is not None
    return behind, edges


def odd_chart() -> Chart:
    """A chart in which every text is as odd as can be."""
    made = Value(key(1), "", "taskgraph.File", File(ODD))
    call = Call(key(2), ODD, made)
    number = Value(key(3), ODD)
    argument = Argument(key(4), ODD, number, call)
    other = Argument(key(5), "y", made, call)
    result = Result(call, made)
    maker = Result(Call(key(6), "f", number), number)
    edges = [
        Edge(result, call),
        Edge(call, Given(argument, number)),
        Edge(Given(argument, number), maker),
        Edge(maker, maker.call_node),
        Edge(call, Given(other, Value(key(7), ODD))),
        Edge(Given(other, Value(key(7), ODD)), None),
    ]
    return make_chart(result, edges)


def test_a_chart_has_calls_and_values_in_turn() -> None:
    start, edges = chain(2)

    chart = make_chart(start, edges)

    assert [(node.kind, node.label) for node in chart.nodes] == [
        ("file", "2.txt"), ("call", "ns.step"), ("file", "1.txt"), ("call", "ns.step"),
        ("file", "0.txt"),
    ]  # fmt: skip
    assert [(each.source, each.target, each.kind, each.name) for each in chart.arrows] == [
        ("n2", "n1", "result", ""), ("n3", "n2", "argument", "x"),
        ("n4", "n3", "result", ""), ("n5", "n4", "argument", "x"),
    ]  # fmt: skip


def test_the_tree_has_a_line_for_each_value_and_its_maker() -> None:
    start, edges = chain(2)

    text = chart_text(make_chart(start, edges))

    assert text == (
        "2.txt 00000000 <- ns.step 00000000\n"
        "└── x: 1.txt 00000000 <- ns.step 00000000\n"
        "    └── x: 0.txt 00000000\n"
    )


def test_downstream_the_tree_begins_with_what_was_asked_about() -> None:
    _, edges = chain(2)
    start = a_file(0, "0.txt")

    text = chart_text(make_chart(start, [each for each in edges if each.dest], down=True))

    assert text == (
        "0.txt 00000000\n"
        "└── as x: ns.step 00000000 -> 1.txt 00000000\n"
        "    └── as x: ns.step 00000000 -> 2.txt 00000000\n"
    )


def test_something_that_came_from_nowhere_is_said_to() -> None:
    start = a_file(0, "0.txt")

    assert chart_text(make_chart(start, [Edge(start, None)])).endswith("It came from no call.\n")
    assert chart_text(make_chart(start, [], down=True)).endswith(
        "Nothing recorded was made of it.\n"
    )


@pytest.mark.parametrize(("depth", "nodes"), [(1, 3), (2, 5), (None, 11)])
def test_a_chart_goes_as_many_calls_far_as_is_wanted(depth: int | None, nodes: int) -> None:
    start, edges = chain(5)

    chart = make_chart(start, edges, depth=depth)

    assert (len(chart.nodes), chart.left_out) == (nodes, 11 - nodes)


def test_a_chart_says_how_much_it_leaves_out_and_where() -> None:
    start, edges = chain(5)

    chart = make_chart(start, edges, most=3)

    assert [node.more for node in chart.nodes] == [0, 0, 1]
    assert chart.left_out == 8
    assert "... 1 more" in chart_text(chart)
    assert "8 more nodes are left out" in chart_text(chart)
    assert "8 more left out" in chart_dot(chart)
    assert "8 more left out" in chart_mermaid(chart)
    assert chart_data(chart)["left_out"] == 8


def test_of_other_types_nothing_is_drawn_and_calls_are_joined() -> None:
    start, edges = chain(3)

    chart = make_chart(start, edges, types=["int"])

    assert [node.kind for node in chart.nodes] == ["file", "call", "call", "call"]
    assert [each.name for each in chart.arrows if each.kind == "argument"] == ["x", "x"]


@pytest.mark.parametrize("name", ["File", "file", "taskgraph.File"])
def test_types_go_by_their_short_and_their_full_name(name: str) -> None:
    start, edges = chain(3)

    assert len(make_chart(start, edges, types=[name]).nodes) == 7


def test_a_small_value_from_outside_is_written_into_its_call() -> None:
    made = Value(key(1), "6")
    call = Call(key(2), "double", made)
    argument = Argument(key(3), "x", Value(key(4), "3"), call)
    given_there = Given(argument, argument.value)
    edges = [Edge(Result(call, made), call), Edge(call, given_there), Edge(given_there, None)]

    chart = make_chart(Result(call, made), edges)

    assert chart_text(chart) == "6 00000000 <- double(x=3) 00000000\n"


def test_a_chart_of_files_that_were_made_of_each_other_in_circles_is_drawn() -> None:
    start, edges = chain(2)
    around = [Edge(edges[-1].src, start), *edges[:-1]]

    text = chart_text(make_chart(start, around))

    assert text.count("(seen above)") == 1


def test_a_tree_of_ten_thousand_calls_is_drawn_without_recursion() -> None:
    start, edges = chain(10_000)

    assert chart_text(make_chart(start, edges, most=None)).count("\n") == 10_001


def test_json_has_the_chart() -> None:
    chart = odd_chart()

    found = json.loads(chart_json(chart))

    assert found == chart_data(chart)
    assert found["version"] == 1
    assert found["start"] == ["n1"]


@needs_graphviz
def test_graphviz_reads_the_dot_of_odd_texts_as_they_are() -> None:
    svg = chart_svg(odd_chart())

    shown = unescape(svg).replace("\N{NO-BREAK SPACE}", " ")
    assert '"quoted" [name] <b>&\\ {x|y} | `c` #1; %% -->' in shown
    assert "<b>" not in svg


@given(st.text())
def test_no_text_ends_a_string_of_dot_or_mermaid(text: str) -> None:
    made = Value(key(1), text)
    call = Call(key(2), text, made)
    chart = make_chart(Result(call, made), [Edge(Result(call, made), call)])

    for each in re.findall(r'label="(.*)", shape', chart_dot(chart)):
        assert '"' not in each.replace("\\\\", "").replace('\\"', "")
        assert not each.replace("\\\\", "").endswith("\\")
    for line in chart_mermaid(chart).splitlines()[1:3]:
        assert line.count('"') == 2
        assert line.count("<") == line.count("<br/>")


def test_odd_texts_cannot_end_a_string_or_a_line() -> None:
    chart = odd_chart()

    first = chart_mermaid(chart).splitlines()[1]
    assert first == (
        '  n1[/"a #34;quoted#34; #91;name#93; #60;b#62;#38;#92; #123;x#124;y#125; #124; '
        '#96;c#96; #35;1#59; %% --#62;<br/>00000000"/]'
    )
    assert "\n[name]" not in chart_text(chart)
    assert "<b>" not in notebook(chart_page(chart))


def test_where_graphviz_is_missing_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(GraphvizError, match=r"not installed.*apt install graphviz.*mermaid"):
        chart_svg(odd_chart())


def test_what_graphviz_says_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho 'syntax error in line 1' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    with pytest.raises(GraphvizError, match="syntax error in line 1"):
        chart_svg(odd_chart())


def test_a_program_that_hangs_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("dot", 1)

    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/dot")

    with pytest.raises(GraphvizError, match="timed out"):
        chart_svg(odd_chart())


def test_in_a_picture_the_end_of_a_long_path_is_seen() -> None:
    node = ChartNode("n1", "file", "out/" + "y" * 4000 + "/end.txt", "ab" * 16, "File")
    chart = Chart(False, None, (node,), ())

    for drawn in (chart_dot(chart), chart_mermaid(chart)):
        assert max(map(len, drawn.splitlines())) < 200
        assert "yyy/end.txt" in drawn.replace("#47;", "/")
    assert json.loads(chart_json(chart))["nodes"][0]["label"] == node.label
