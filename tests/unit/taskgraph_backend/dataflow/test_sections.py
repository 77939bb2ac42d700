"""Edges are sorted and put into paragraphs, each edge into one."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from taskgraph_backend import models
from taskgraph_backend.dataflow.dom import make_dataflow_dom
from taskgraph_backend.dataflow.nodes import ArgumentValue, CallNodeValue, DataflowEdge
from taskgraph_backend.dataflow.places import get_dataflow_call_node, get_node_hash
from taskgraph_backend.dataflow.sections import (
    DataflowSectionKind,
    get_section_edge_type,
    iter_dataflow_sections,
    iter_subsections,
    leave_out_internal,
    rewrite_call_node_merges,
    toposort_edges,
)


def a_value(number: int) -> models.Value:
    return models.Value(value_hash=f"{number:032x}", type="builtins.int", preview=str(number))


def a_call(number: int, value: models.Value, name: str = "ns.f") -> models.CallNode:
    call = models.CallNode(call_hash=f"{number:032x}", task_name=name, task_hash="1" * 32)
    source = models.Task(hash="1" * 32, name="f", namespace="ns", source="def f(x): ...")
    call.__dict__.update(value=value, task=source)
    return call


def an_argument(call: models.CallNode, value: models.Value) -> ArgumentValue:
    argument = models.Argument(arg_hash=call.call_hash, arg_position=0, arg_key="x")
    argument.__dict__.update(call_node=call, value=value)
    return ArgumentValue(argument, value)


def names_of(values: Iterable[models.Value]) -> dict[models.Value, int]:
    return {value: number for number, value in enumerate(values)}


WHOLE, PART = a_value(0), a_value(1)
MAKER = a_call(2, WHOLE)
GIVEN = an_argument(MAKER, a_value(3))


def test_a_call_of_which_several_parts_are_asked_has_one_result() -> None:
    user, other = an_argument(a_call(4, PART), WHOLE), an_argument(a_call(5, PART), PART)
    whole, part = CallNodeValue(MAKER, WHOLE), CallNodeValue(MAKER, PART)
    edges = [
        DataflowEdge(user, whole), DataflowEdge(other, part), DataflowEdge(whole, MAKER),
        DataflowEdge(part, MAKER), DataflowEdge(MAKER, GIVEN),
    ]  # fmt: skip

    assert rewrite_call_node_merges(edges) == [
        DataflowEdge(user, whole), DataflowEdge(other, whole), DataflowEdge(whole, MAKER),
        DataflowEdge(MAKER, GIVEN),
    ]  # fmt: skip


def test_a_part_that_is_the_only_one_asked_stays_a_part() -> None:
    edges = [DataflowEdge(CallNodeValue(MAKER, PART), MAKER)]

    assert rewrite_call_node_merges(edges) == edges


def test_kinds_of_edges() -> None:
    result = CallNodeValue(MAKER, WHOLE)

    assert get_section_edge_type(DataflowEdge(WHOLE, PART)) is DataflowSectionKind.DATA
    assert get_section_edge_type(DataflowEdge(GIVEN, PART)) is DataflowSectionKind.DATA
    assert get_section_edge_type(DataflowEdge(WHOLE, result)) is DataflowSectionKind.CALL
    assert get_section_edge_type(DataflowEdge(result, MAKER)) is DataflowSectionKind.CALL
    assert get_section_edge_type(DataflowEdge(GIVEN, None)) is DataflowSectionKind.CALL


def test_nodes_are_shown_with_the_hash_of_their_call() -> None:
    assert get_node_hash(GIVEN) == get_node_hash(MAKER) == MAKER.call_hash
    assert get_node_hash(CallNodeValue(MAKER, PART)) == MAKER.call_hash
    assert get_node_hash(WHOLE) == WHOLE.value_hash
    assert get_node_hash(None) is None
    assert get_dataflow_call_node(WHOLE) is None


def test_a_paragraph_by_itself_is_split_where_routes_meet() -> None:
    met, one, other = a_value(10), a_value(11), a_value(12)
    result = CallNodeValue(MAKER, met)
    users = [an_argument(a_call(20 + n, PART), each) for n, each in enumerate((one, other))]
    section = [
        DataflowEdge(users[0], result), DataflowEdge(users[1], result),
        DataflowEdge(result, MAKER), DataflowEdge(MAKER, None),
    ]  # fmt: skip

    parts = [part for _, part in iter_subsections(section)]

    assert parts == [section[:1], section[1:2], section[2:]]


def test_what_hangs_between_library_tasks_is_joined() -> None:
    user = an_argument(a_call(30, PART), WHOLE)
    outer = CallNodeValue(a_call(31, WHOLE, "taskgraph.cond"), WHOLE)
    inner = CallNodeValue(a_call(32, WHOLE, "taskgraph.seq"), WHOLE)
    made = CallNodeValue(MAKER, WHOLE)
    edges = [
        DataflowEdge(user, outer), DataflowEdge(outer, inner), DataflowEdge(inner, made),
        DataflowEdge(made, MAKER),
    ]  # fmt: skip

    assert leave_out_internal(edges) == [DataflowEdge(user, made), DataflowEdge(made, MAKER)]


_GRAPHS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40)


@given(_GRAPHS)
def test_sorting_keeps_all_edges_and_puts_users_first(pairs: list[tuple[int, int]]) -> None:
    values = [a_value(number) for number in range(13)]
    edges = [DataflowEdge(values[min(pair)], values[max(pair)]) for pair in set(pairs)]
    edges = [edge for edge in dict.fromkeys(edges) if edge.src is not edge.dest]
    number = names_of(values)

    found = list(toposort_edges(edges))

    assert sorted((number[a], number[b]) for a, b in found if isinstance(b, models.Value)) == (  # type: ignore[index]
        sorted((number[a], number[b]) for a, b in edges if isinstance(b, models.Value))  # type: ignore[index]
    )
    told: set[object] = set()
    for edge in found:
        told.add(edge.src)
        assert edge.dest not in told


@given(_GRAPHS)
def test_each_edge_stands_in_one_paragraph_even_in_circles(pairs: list[tuple[int, int]]) -> None:
    values = [a_value(number) for number in range(13)]
    makers = [CallNodeValue(a_call(100 + n, each), each) for n, each in enumerate(values)]
    edges = [DataflowEdge(makers[a], makers[b]) for a, b in dict.fromkeys(pairs) if a != b]

    ordered = list(toposort_edges(edges))
    sections = [edge for _, section in iter_dataflow_sections(ordered) for edge in section]

    assert len(ordered) == len(edges)
    assert sorted(map(id_of, sections)) == sorted(map(id_of, edges))
    assert all(section.assign.var_name for section in make_dataflow_dom(edges))


def id_of(edge: DataflowEdge) -> tuple[str | None, str | None]:
    return get_node_hash(edge.src), get_node_hash(edge.dest)
