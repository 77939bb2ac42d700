"""The text of a data flow as data: what each paragraph tells of, its route, what was given.

    bam <-- argument of <1234abcd> call_variants_all(bams, ref_genome)
        <-- result of <2345abcd> align_reads_all(fastqs, ref_genome)
        <-- <3456abcd> align_reads(fastq, ref_genome_2)
      fastq        = <4567abcd> File(path=sample3.fastq, hash=5678abcd)
      ref_genome_2 = <6789abcd> File(path=ref_genome, hash=789abcde)

The first line is the assignment, those below it are the routing, the last ones the arguments. Each
value at its place has one name: by it the paragraph that says where it came from is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from taskgraph_backend import models
from taskgraph_backend.dataflow.display import display_call_node, display_node
from taskgraph_backend.dataflow.naming import DataflowVars
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.dataflow.sections import (
    DataflowSection,
    DataflowSectionKind,
    Flow,
    is_internal_node,
    iter_dataflow_sections,
    leave_out_internal,
    rewrite_call_node_merges,
    toposort_edges,
)

_ORIGIN = "origin"


class DataflowArg(NamedTuple):
    """A value with the name that it has in the text."""

    var_name: str
    value: models.Value


class DataflowAssign(NamedTuple):
    """The first line of a paragraph: what it tells of, and the first step of the route."""

    var_name: str
    prefix: str
    node_display: str
    node: DataflowNode | None


class DataflowRouting(NamedTuple):
    """A further step of the route."""

    prefix: str
    node_display: str
    node: DataflowNode | None


class DataflowSectionDOM(NamedTuple):
    """A paragraph.

    Attributes:
        assign: What it tells of, and the first step.
        routing: The other steps.
        args: What the call at the end of the route was given, or what a value is made of.
    """

    assign: DataflowAssign
    routing: list[DataflowRouting]
    args: list[DataflowArg]


def make_dataflow_dom(
    edges: Iterable[DataflowEdge], new_varname: str = "value"
) -> Iterator[DataflowSectionDOM]:
    """Give the paragraphs that tell of edges, beginning with what was asked for.

    Args:
        edges: Those that `walk_dataflow` gives, in any order.
        new_varname: The name of what was asked for.
    """
    found = list(toposort_edges(rewrite_call_node_merges(leave_out_internal(edges))))
    flow = Flow.of(found)
    dataflow_vars = DataflowVars()
    dataflow_vars.load_tasks(found)
    roots = [node for node in flow.behind if not flow.into.get(node)]
    # Of several results none is the one that was asked for.
    if found and not roots[1:]:
        dataflow_vars.new_var_name(found[0].src, new_varname)
    for kind, section in iter_dataflow_sections(found, flow):
        make = make_data_section_dom if kind is DataflowSectionKind.DATA else make_section_dom
        yield make(section, dataflow_vars, flow)


def make_section_dom(
    section: DataflowSection, dataflow_vars: DataflowVars, flow: Flow | None = None
) -> DataflowSectionDOM:
    """Return a paragraph that ends at a call, at the origin, or where another one goes on.

    Args:
        section: Its edges, in order.
        dataflow_vars: The names that were given so far.
        flow: All edges, if the paragraph is one of several.
    """
    flow = flow or Flow.of(section)
    name = dataflow_vars.new_var_name(section[0].src)
    steps = list(_steps(section, dataflow_vars, flow))
    call_node = flow.call_behind(section[-1].src)
    args: list[DataflowArg] = []
    if call_node is not None:
        given = [edge for edge in section if edge.src is call_node]
        beside = [edge for edge in section if edge.src is not call_node]
        behind = [edge.dest for edge in given] + [
            edge.dest for edge in beside if call_node in flow.behind[edge.src]
        ]
        names = [
            (dest, dataflow_vars.new_var_name(dest))
            for dest in behind
            if dest is not None and dest is not call_node
        ]
        args = [DataflowArg(each, _value_of(dest)) for dest, each in names]
        steps.append(_call_step(call_node, names, dataflow_vars))
    return _paragraph(name, steps, args)


def make_data_section_dom(
    section: DataflowSection, dataflow_vars: DataflowVars, flow: Flow | None = None
) -> DataflowSectionDOM:
    """Return a paragraph of a value that is made of others.

    Args:
        section: Its edges, in order.
        dataflow_vars: The names that were given so far.
        flow: All edges, if the paragraph is one of several.
    """
    flow = flow or Flow.of(section)
    end = section[-1].src
    name = dataflow_vars.new_var_name(section[0].src)
    steps = list(_steps([edge for edge in section if edge.src != end], dataflow_vars, flow))
    if not steps:
        steps = list(_own_step(section[0].src, dataflow_vars, flow))
    steps.append(DataflowRouting("derives from", "", end))
    parts = [edge.dest for edge in section if edge.src == end and edge.dest is not None]
    args = [DataflowArg(dataflow_vars.new_var_name(each), _value_of(each)) for each in parts]
    return _paragraph(name, steps, args)


def _paragraph(
    name: str, steps: list[DataflowRouting], args: list[DataflowArg]
) -> DataflowSectionDOM:
    first = steps[0] if steps else DataflowRouting("", _ORIGIN, None)
    return DataflowSectionDOM(DataflowAssign(name, *first), steps[1:], args)


def _steps(
    section: DataflowSection, dataflow_vars: DataflowVars, flow: Flow
) -> Iterator[DataflowRouting]:
    """Give the route up to the call that it ends at."""
    if section:
        yield from _own_step(section[0].src, dataflow_vars, flow)
    for edge in section:
        if isinstance(edge.src, models.CallNode):
            if edge.dest is None:
                return
            continue
        if edge.dest is None:
            yield DataflowRouting("", _ORIGIN, None)
        elif flow.call_behind(edge.src) is not None:
            continue
        elif flow.is_met(edge.dest):
            yield DataflowRouting("", dataflow_vars.new_var_name(edge.dest), edge.dest)
        else:
            yield from _step(edge.dest, dataflow_vars, flow)


def _own_step(
    node: DataflowNode, dataflow_vars: DataflowVars, flow: Flow
) -> Iterator[DataflowRouting]:
    """Give the step that says where a paragraph begins, if nothing else does."""
    if node not in flow.named and not isinstance(node, models.Value):
        yield from _step(node, dataflow_vars, flow)


def _step(node: DataflowNode, dataflow_vars: DataflowVars, flow: Flow) -> Iterator[DataflowRouting]:
    if is_internal_node(node) or flow.call_behind(node) is not None:
        return
    prefix = ""
    if isinstance(node, ArgumentValue):
        prefix = "argument of"
    elif isinstance(node, CallNodeValue):
        prefix = "result of"
    yield DataflowRouting(prefix, display_node(node, {}, dataflow_vars), node)


def _call_step(
    call_node: models.CallNode,
    names: list[tuple[DataflowNode, str]],
    dataflow_vars: DataflowVars,
) -> DataflowRouting:
    parameters = dataflow_vars.parameters_of(call_node)
    rest = next((each for each in parameters if each.startswith("**")), "")
    renames: dict[str, str] = {}
    for node, name in names:
        if isinstance(node, ArgumentValue) and node.argument.call_node is call_node:
            own = dataflow_vars.argument_name(node.argument)
            fell_to = next((each for each in (own, f"*{own}") if each in parameters), rest)
            others = f"{renames[fell_to]}, " if fell_to in renames else ""
            renames[fell_to] = f"{others}{name}"
    return DataflowRouting("", display_call_node(call_node, renames, dataflow_vars), call_node)


def _value_of(node: DataflowNode) -> models.Value:
    if isinstance(node, models.Value):
        return node
    return node.value


__all__ = [
    "DataflowArg",
    "DataflowAssign",
    "DataflowRouting",
    "DataflowSectionDOM",
    "make_data_section_dom",
    "make_dataflow_dom",
    "make_section_dom",
]
