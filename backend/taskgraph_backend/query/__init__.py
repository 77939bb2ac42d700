"""Queries over the records: one that is over all kinds at once, and filters as options."""

from taskgraph.filters import ANY_VALUE
from taskgraph_backend.finding import find_file, infer_id, infer_specialty_id
from taskgraph_backend.query.graph import CallGraphQuery
from taskgraph_backend.query.kinds import MODEL_CLASSES, MODEL_NAMES, MODEL_PKS
from taskgraph_backend.query.pages import Page
from taskgraph_backend.query.parser import parse_callgraph_query, setup_query_parser

__all__ = [
    "ANY_VALUE",
    "MODEL_CLASSES",
    "MODEL_NAMES",
    "MODEL_PKS",
    "CallGraphQuery",
    "Page",
    "find_file",
    "infer_id",
    "infer_specialty_id",
    "parse_callgraph_query",
    "setup_query_parser",
]
