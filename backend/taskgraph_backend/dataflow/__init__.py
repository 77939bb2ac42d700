"""Where values came from, and what was made of them: the edges, in words, and as data.

`walk_dataflow` gives edges, `make_dataflow_dom` makes paragraphs of them; `display_dataflow` and
`serialize_dataflow` give these as lines and as plain dicts.
"""

from __future__ import annotations

from taskgraph_backend.dataflow.display import (
    display_call_node,
    display_dataflow,
    display_hash,
    display_node,
    display_section,
    display_value,
)
from taskgraph_backend.dataflow.dom import (
    DataflowArg,
    DataflowAssign,
    DataflowRouting,
    DataflowSectionDOM,
    make_data_section_dom,
    make_dataflow_dom,
    make_section_dom,
)
from taskgraph_backend.dataflow.naming import (
    DataflowVars,
    get_callnode_arguments,
    get_default_arg_name,
    get_task_args,
    is_internal_task,
    make_var_name,
)
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.dataflow.places import get_dataflow_call_node, get_node_hash
from taskgraph_backend.dataflow.sections import (
    DataflowSection,
    DataflowSectionKind,
    get_section_edge_type,
    iter_dataflow_sections,
    iter_subsections,
    rewrite_call_node_merges,
    toposort_edges,
)
from taskgraph_backend.dataflow.serialize import serialize_dataflow, serialize_section
from taskgraph_backend.dataflow.walking import (
    walk_dataflow,
    walk_dataflow_argument_value,
    walk_dataflow_callnode,
    walk_dataflow_callnode_value,
    walk_dataflow_node,
    walk_dataflow_value,
)

__all__ = [
    "ArgumentValue",
    "CallNodeValue",
    "DataflowArg",
    "DataflowAssign",
    "DataflowEdge",
    "DataflowNode",
    "DataflowRouting",
    "DataflowSection",
    "DataflowSectionDOM",
    "DataflowSectionKind",
    "DataflowVars",
    "display_call_node",
    "display_dataflow",
    "display_hash",
    "display_node",
    "display_section",
    "display_value",
    "get_callnode_arguments",
    "get_dataflow_call_node",
    "get_default_arg_name",
    "get_node_hash",
    "get_section_edge_type",
    "get_task_args",
    "is_internal_task",
    "iter_dataflow_sections",
    "iter_subsections",
    "make_data_section_dom",
    "make_dataflow_dom",
    "make_section_dom",
    "make_var_name",
    "rewrite_call_node_merges",
    "serialize_dataflow",
    "serialize_section",
    "toposort_edges",
    "walk_dataflow",
    "walk_dataflow_argument_value",
    "walk_dataflow_callnode",
    "walk_dataflow_callnode_value",
    "walk_dataflow_node",
    "walk_dataflow_value",
]
