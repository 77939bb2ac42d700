"""What criteria mean for stored workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import literal, not_, select

from taskgraph.catalog.criteria import Criteria
from taskgraph.jsontext import storable
from taskgraph_backend import models
from taskgraph_backend.query.criteria import (
    _Condition,
    _condition,
    _flag,
    _key,
    _of_text,
    _study,
    _text,
    _time,
    is_workflow,
)


def workflows_where(criteria: Criteria) -> _Condition:
    """Return the condition that a version of a workflow is meant."""
    return _condition(criteria, models.Workflow, _WORKFLOW)


def _workflow(row: Any, operator: str, value: Any) -> _Condition:
    named = is_workflow(row, [storable(each) for each in value])
    return named if operator == "any_" else not_(named)


def _task(row: Any, operator: str, value: Any) -> _Condition:
    """Ask for the tasks of the steps, by full name."""
    if operator == "not_any_":
        return not_(_task(row, "any_", value))
    step = models.WorkflowStep
    found = select(literal(1)).where(
        step.workflow_id == row.id, _of_text(step.task_name, operator, value)
    )
    return found.exists()


_WORKFLOW: Final[dict[str, Callable[[Any, str, Any], _Condition]]] = {
    "id": _key("id"),
    "workflow": _workflow,
    "name": _text("name"),
    "namespace": _text("namespace"),
    "study": _study,
    "task": _task,
    "promoted": _flag("promoted"),
    "enabled": _flag("enabled"),
    "created": _time("created_at"),
}

__all__ = ["workflows_where"]
