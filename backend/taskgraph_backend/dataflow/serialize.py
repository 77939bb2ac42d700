"""The text of a data flow as plain dicts, with the jobs that the calls were made by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import object_session

from taskgraph_backend import models
from taskgraph_backend.dataflow.display import display_value
from taskgraph_backend.dataflow.dom import DataflowAssign, DataflowRouting, DataflowSectionDOM
from taskgraph_backend.dataflow.places import get_dataflow_call_node, get_node_hash

_AT_ONCE = 500

#: The id of a job and of its execution, by the hash of a call.
Jobs = Mapping[str, tuple[str, str]]


def serialize_dataflow(
    dom: Iterable[DataflowSectionDOM], execution_id: str | None = None
) -> list[dict[str, Any]]:
    """Return paragraphs as plain dicts.

    Args:
        dom: The paragraphs.
        execution_id: The execution whose jobs are named, where it had one for the call; else of
            each call the newest job that ran it.
    """
    sections = list(dom)
    jobs = _find_jobs(sections, execution_id)
    return [serialize_section(section, jobs) for section in sections]


def serialize_section(dom: DataflowSectionDOM, jobs: Jobs | None = None) -> dict[str, Any]:
    """Return a paragraph as a dict: ``assign``, ``routing`` and ``args``.

    Args:
        dom: The paragraph.
        jobs: The jobs of its calls; by default they are looked up.
    """
    known = _find_jobs([dom], None) if jobs is None else jobs
    return {
        "assign": {"var_name": dom.assign.var_name, **_step(dom.assign, known)},
        "routing": [_step(step, known) for step in dom.routing],
        "args": [
            {
                "var_name": arg.var_name,
                "hash": arg.value.value_hash,
                "value_display": display_value(arg.value),
            }
            for arg in dom.args
        ],
    }


def _step(step: DataflowAssign | DataflowRouting, jobs: Jobs) -> dict[str, Any]:
    call_node = get_dataflow_call_node(step.node)
    job_id, execution_id = (
        (None, None) if call_node is None else jobs.get(call_node.call_hash, (None, None))
    )
    return {
        "prefix": step.prefix,
        "display": step.node_display,
        "hash": get_node_hash(step.node),
        "job_id": job_id,
        "execution_id": execution_id,
    }


def _find_jobs(sections: Iterable[DataflowSectionDOM], execution_id: str | None) -> Jobs:
    """Return a job of each call, in a statement for some hundreds of them."""
    call_nodes: dict[str, models.CallNode] = {}
    for section in sections:
        for node in (section.assign.node, *(step.node for step in section.routing)):
            call_node = get_dataflow_call_node(node)
            if call_node is not None:
                call_nodes[call_node.call_hash] = call_node
    session = object_session(next(iter(call_nodes.values()))) if call_nodes else None
    if session is None:
        return {}
    job, hashes = models.Job, list(call_nodes)
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(hashes), _AT_ONCE):
        # The last one to be put down is the one that stays.
        rows = session.execute(
            select(job.call_hash, job.id, job.execution_id)
            .where(job.call_hash.in_(hashes[start : start + _AT_ONCE]))
            .order_by(job.execution_id == execution_id, job.cached.desc(), job.start_time, job.id)
        )
        for call_hash, job_id, of_execution in rows:
            assert call_hash is not None
            found[call_hash] = (job_id, of_execution)
    return found


__all__ = ["serialize_dataflow", "serialize_section"]
