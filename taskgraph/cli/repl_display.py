"""What a prompt shows of records: their pages, for written in Python they fill the screen."""

from __future__ import annotations

import builtins
import contextlib
import sys
from collections.abc import Iterator
from typing import Any, get_args

from taskgraph.provenance.chart_tree import chart_page
from taskgraph.provenance.page import Block, print_page
from taskgraph.provenance.reading import Lineage, View, page_of
from taskgraph.provenance.render import executions_page
from taskgraph.provenance.views import ExecutionView


@contextlib.contextmanager
def showing_pages() -> Iterator[None]:
    """Have the results of what is typed shown as pages, where they are records."""
    before = sys.displayhook
    sys.displayhook = _show
    try:
        yield
    finally:
        sys.displayhook = before


def page_for(value: Any) -> list[Block] | None:
    """Return the page of a value; None if it is no record. Any: whatever somebody typed gave."""
    if isinstance(value, Lineage):
        return chart_page(value.chart)
    if isinstance(value, get_args(View)):
        return page_of(value)
    views = value if isinstance(value, list) else [value]
    if views and all(isinstance(each, ExecutionView) for each in views):
        return executions_page(views)
    return None


def _show(value: Any) -> None:
    page = page_for(value)
    if page is None:
        sys.__displayhook__(value)
        return
    builtins._ = value  # type: ignore[attr-defined]  # as Python's own does
    print_page(page, sys.stdout)


__all__ = ["page_for", "showing_pages"]
