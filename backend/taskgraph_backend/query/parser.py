"""Filters of a query from options: of `argparse` for tools, or of any mapping of texts.

The options are those of `taskgraph.filters`, from which the command line makes its flags too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from taskgraph.errors import AmbiguousIdError, FilterError, UnknownRecordError
from taskgraph.filters import FILTER_OPTIONS, RecordFilters, read_filters
from taskgraph_backend import models
from taskgraph_backend.finding import infer_id, is_prefix, like_id
from taskgraph_backend.query.graph import CallGraphQuery

_MOST_MATCHES = 5


def setup_query_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Give a parser the options of all filters, and return it."""
    group = parser.add_argument_group("filters")
    for option in FILTER_OPTIONS:
        group.add_argument(
            option.flag,
            dest=option.field,
            metavar=option.metavar,
            help=option.help,
            action="append" if option.is_repeated else "store",
        )
    return parser


def parse_callgraph_query(
    query: CallGraphQuery, args: argparse.Namespace | Mapping[str, Any] | RecordFilters
) -> CallGraphQuery:
    """Return a query with the filters of what a parser has read.

    Args:
        query: What to filter.
        args: The parser's answer, texts by field, or filters that were read.

    Raises:
        FilterError: A text cannot be read.
        UnknownRecordError: An execution, a task or a value is not recorded.
        AmbiguousIdError: The start of a hash or an id stands for several.
    """
    if not isinstance(args, RecordFilters):
        given = vars(args) if isinstance(args, argparse.Namespace) else args
        args = read_filters(given)
    return _filtered(query, args).filter_types(args.listed_types)


def _filtered(query: CallGraphQuery, filters: RecordFilters) -> CallGraphQuery:
    session = query.session
    found = query.filter_tags(filters.tags).filter_execution_tags(filters.execution_tags)
    found = found.filter_times(filters.since, filters.until)
    if filters.ids:
        found = found.like_id(*filters.ids)
    if filters.executions:
        wanted = [_execution(query, each) for each in filters.executions]
        found = found.filter_execution_ids(wanted)
    if filters.statuses:
        found = found.filter_statuses(filters.statuses)
    if filters.execution_statuses:
        found = found.filter_execution_statuses(filters.execution_statuses)
    if filters.job_statuses:
        found = found.filter_job_statuses(filters.job_statuses)
    if filters.tasks:
        found = found.filter_task_names(filters.tasks)
    if filters.task_hashes:
        hashes = _whole(session, models.Task.hash, filters.task_hashes)
        found = found.filter_task_hashes(hashes)
    if filters.value_types:
        found = found.filter_value_types(filters.value_types)
    if filters.files:
        found = found.filter_file_paths(filters.files)
    if filters.arguments:
        hashes = _whole(session, models.Value.value_hash, filters.arguments)
        found = found.filter_arguments(hashes)
    if filters.results:
        hashes = _whole(session, models.Value.value_hash, filters.results)
        found = found.filter_results(hashes)
    return found


def _execution(query: CallGraphQuery, text: str) -> str:
    found = infer_id(query.session, text, include_files=False, required=True)
    if isinstance(found, models.Job):
        return found.execution_id
    if not isinstance(found, models.Execution):
        raise FilterError("execution", text, f"this is a {type(found).__name__}.")
    return found.id


def _whole(session: Any, column: InstrumentedAttribute[str], prefixes: Iterable[str]) -> list[str]:
    """Return the one whole hash that each text is the start of. Any: a session."""
    found: list[str] = []
    for given in prefixes:
        prefix = given.lower()
        if not is_prefix(prefix):
            raise FilterError("hash", given, "expected hex digits, as `taskgraph log` shows them.")
        query = select(column).where(like_id(column, prefix)).limit(_MOST_MATCHES)
        hashes = list(session.scalars(query))
        if not hashes:
            raise UnknownRecordError(given)
        if len(hashes) > 1:
            raise AmbiguousIdError(given, [each[: len(prefix) + 4] for each in hashes])
        found += hashes
    return found


__all__ = ["parse_callgraph_query", "setup_query_parser"]
