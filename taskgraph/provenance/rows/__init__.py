"""What this room needs of the rows that it reads: attributes, and questions for many at once."""

from taskgraph.provenance.rows.calls import CodeReader, GivenRow, KeyedJobRow, PartRow, PlacedJobRow
from taskgraph.provenance.rows.compared import DiffArgumentRow, DiffJobRow, DiffReader
from taskgraph.provenance.rows.flow import EdgeRow, FlowReader, FlowRow, ToldRow
from taskgraph.provenance.rows.history import GiverRow, HistoryReader, PastCallRow, PastJobRow
from taskgraph.provenance.rows.reader import Reader
from taskgraph.provenance.rows.recorded import (
    ArgumentRow,
    CallRow,
    ExecutionRow,
    FileRow,
    JobRow,
    JobTreeRows,
    SummaryRow,
    TagRow,
    TaskRow,
    TaskTimeRow,
    UpstreamRow,
    ValueRow,
)

__all__ = [
    "ArgumentRow",
    "CallRow",
    "CodeReader",
    "DiffArgumentRow",
    "DiffJobRow",
    "DiffReader",
    "EdgeRow",
    "ExecutionRow",
    "FileRow",
    "FlowReader",
    "FlowRow",
    "GivenRow",
    "GiverRow",
    "HistoryReader",
    "JobRow",
    "JobTreeRows",
    "KeyedJobRow",
    "PartRow",
    "PastCallRow",
    "PastJobRow",
    "PlacedJobRow",
    "Reader",
    "SummaryRow",
    "TagRow",
    "TaskRow",
    "TaskTimeRow",
    "ToldRow",
    "UpstreamRow",
    "ValueRow",
]
