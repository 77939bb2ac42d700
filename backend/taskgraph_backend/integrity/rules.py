"""What must hold between the columns of rows, each said as a query of those that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity.problems import Add, Change, Finding, Mend, Remove, found
from taskgraph_backend.integrity.sealed import BROKEN

# Of one rule at a time: whoever has more has one problem, not many.
MOST_ROWS = 1_000

# Rule, table, and a query of the rows that break it: key and what was found.
_RULES = (
    (
        "a job that ended has an end, one that runs has none",
        "job",
        "SELECT id, state_type || CASE WHEN end_time IS NULL THEN ' without' ELSE ' with' END"
        " || ' end' FROM job WHERE (end_time IS NULL) <>"
        " (state_type IN ('RUNNING', 'PENDING', 'SCHEDULED'))",
    ),
    (
        "a job ends after it started",
        "job",
        "SELECT id, 'it ends ' || (start_time - end_time) || ' us before' FROM job"
        " WHERE end_time < start_time",
    ),
    (
        "a job's parent is of the same execution",
        "job",
        "SELECT job.id, 'its parent is of ' || lower(hex(parent.execution_id)) FROM job"
        " JOIN job AS parent ON parent.id = job.parent_id"
        " WHERE parent.execution_id <> job.execution_id",
    ),
    (
        "an execution that ended has its root job",
        "execution",
        "SELECT execution.id, 'its job ' || lower(hex(job_id)) || ' is missing' FROM execution"
        " LEFT JOIN job ON job.id = execution.job_id"
        " WHERE execution.state_type IN ('COMPLETED', 'FAILED') AND job_id IS NOT NULL"
        " AND job.id IS NULL",
    ),
    (
        "an execution that ended has no job that runs",
        "job",
        "SELECT job.id, 'it is ' || job.state_type || ' in one that is ' || execution.state_type"
        " FROM execution JOIN job ON job.execution_id = execution.id"
        " WHERE execution.state_type NOT IN ('RUNNING', 'PENDING', 'SCHEDULED')"
        " AND job.state_type IN ('RUNNING', 'PENDING')"
        # One that was cancelled goes on until its process says what became of its jobs.
        " AND NOT EXISTS (SELECT 1 FROM lease"
        " WHERE lease.key = 'execution:' || lower(hex(execution.id)))",
    ),
    (
        "what an execution was submitted with is there",
        "execution",
        "SELECT execution.id, 'its snapshot ' || lower(hex(snapshot_hash)) || ' is missing'"
        " FROM execution LEFT JOIN value ON value.value_hash = execution.snapshot_hash"
        " WHERE snapshot_hash IS NOT NULL AND value.value_hash IS NULL",
    ),
    (
        "the study of an execution is there",
        "execution",
        "SELECT execution.id, 'its study ' || lower(hex(study_id)) || ' is missing'"
        " FROM execution LEFT JOIN study ON study.id = execution.study_id"
        " WHERE study_id IS NOT NULL AND study.id IS NULL",
    ),
    (
        "a job and its call are of one task",
        "job",
        "SELECT job.id, 'its call is of task ' || lower(hex(call_node.task_hash)) FROM job"
        " JOIN call_node ON call_node.call_hash = job.call_hash"
        " WHERE call_node.task_hash <> job.task_hash",
    ),
    (
        "a job and its call have one key",
        "job",
        "SELECT job.id, 'its call has the key ' || lower(hex(call_node.eval_hash)) FROM job"
        " JOIN call_node ON call_node.call_hash = job.call_hash"
        " WHERE job.eval_hash <> call_node.eval_hash",
    ),
    (
        "a job is in a state that there is",
        "job",
        "SELECT id, 'nothing is ' || state_type FROM job WHERE state_type NOT IN"
        " ('RUNNING', 'PENDING', 'SCHEDULED', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED', '')",
    ),
    (
        "an execution is in a state that there is",
        "execution",
        "SELECT id, 'nothing is ' || state_type FROM execution WHERE state_type NOT IN"
        " ('RUNNING', 'PENDING', 'SCHEDULED', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED', '')",
    ),
    (
        "the child calls of a call are numbered without a gap",
        "call_edge",
        "SELECT parent_id, count(*) || ' children numbered to ' || max(call_order) FROM call_edge"
        " GROUP BY parent_id HAVING min(call_order) <> 0"
        " OR max(call_order) <> count(DISTINCT call_order) - 1",
    ),
    (
        "the tasks of a child call are among those of its parent",
        "call_edge",
        "SELECT edge.parent_id, 'task ' || lower(hex(child.task_hash)) || ' is missing'"
        " FROM call_edge AS edge"
        " JOIN call_node AS parent ON parent.call_hash = edge.parent_id"
        " JOIN call_node AS child ON child.call_hash = edge.child_id"
        " LEFT JOIN call_subtree_task AS below"
        " ON below.call_hash = edge.parent_id AND below.task_hash = child.task_hash"
        " WHERE below.task_hash IS NULL AND child.task_hash <> parent.task_hash"
        " GROUP BY edge.parent_id, child.task_hash",
    ),
    (
        "a call is named as its task is",
        "call_node",
        "SELECT call_hash, 'it is called ' || task_name FROM call_node"
        " JOIN task ON task.hash = call_node.task_hash WHERE call_node.seal IS NOT NULL"
        " AND task_name <> CASE WHEN task.namespace = '' THEN task.name"
        " ELSE task.namespace || '.' || task.name END",
    ),
    (
        "a cache entry and its call have one key",
        "evaluation",
        "SELECT eval_hash, 'its call ' || lower(hex(evaluation.call_hash)) || ' is another one''s,"
        " or is missing' FROM evaluation WHERE evaluation.call_hash IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM call_node WHERE call_node.call_hash = evaluation.call_hash"
        " AND call_node.eval_hash = evaluation.eval_hash)",
    ),
    (
        "a call is retracted if a tag says so",
        "call_node",
        "SELECT call_hash, 'it is marked and no tag says so' FROM call_node WHERE retracted"
        " AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.entity_id = call_node.call_hash"
        " AND t.key || '' = 'taskgraph.retracted' AND t.is_current)"
        " UNION ALL SELECT call_node.call_hash, 'it is not marked and a tag says so' FROM call_node"
        " JOIN tag t ON t.entity_id = call_node.call_hash WHERE NOT retracted"
        " AND t.key = 'taskgraph.retracted' AND t.is_current AND t.entity_type = 'CallNode'",
    ),
    (
        "an execution is retracted if a tag says so",
        "execution",
        "SELECT id, 'it is marked and no tag says so' FROM execution WHERE retracted"
        " AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.entity_id = execution.id"
        " AND t.key || '' = 'taskgraph.retracted' AND t.is_current)"
        " UNION ALL SELECT execution.id, 'it is not marked and a tag says so' FROM execution"
        " JOIN tag t ON t.entity_id = execution.id WHERE NOT retracted"
        " AND t.key = 'taskgraph.retracted' AND t.is_current AND t.entity_type = 'Execution'",
    ),
    (
        "a tag that is not superseded is current",
        "tag",
        "SELECT tag_hash, 'it is not current and nothing supersedes it' FROM tag"
        " WHERE NOT is_current AND entity_type <> 'Null'"
        " AND NOT EXISTS (SELECT 1 FROM tag_edit WHERE parent_id = tag.tag_hash)",
    ),
    (
        "an alias that ended has a time and an author of its end",
        "task_alias",
        "SELECT old_hash, 'it ended ' || CASE WHEN end_time IS NULL THEN 'at no time'"
        " WHEN end_author IS NULL THEN 'by no one' ELSE 'before it began' END FROM task_alias"
        " WHERE (end_time IS NULL) <> (end_author IS NULL) OR end_time < timestamp",
    ),
    (
        "what is marked as from elsewhere is there",
        "foreign_record",
        "SELECT id, 'there is no such ' || entity_type FROM foreign_record"
        " WHERE NOT EXISTS (SELECT 1 FROM value WHERE value_hash = foreign_record.id)"
        " AND NOT EXISTS (SELECT 1 FROM call_node WHERE call_hash = foreign_record.id)"
        " AND NOT EXISTS (SELECT 1 FROM execution WHERE execution.id = foreign_record.id)",
    ),
    (
        "a cache entry from elsewhere is none of here",
        "foreign_evaluation",
        "SELECT foreign_evaluation.eval_hash, 'it is from ' || origin FROM foreign_evaluation"
        " JOIN evaluation ON evaluation.eval_hash = foreign_evaluation.eval_hash",
    ),
    (
        "a current tag is not superseded",
        "tag",
        "SELECT tag.tag_hash, 'it is current and was superseded' FROM tag"
        " WHERE is_current AND EXISTS (SELECT 1 FROM tag_edit WHERE parent_id = tag.tag_hash)",
    ),
)


def broken(driver: Driver) -> Iterator[Finding]:
    """Give the rows that break a rule."""
    for rule, table, query in _RULES:
        for key, detail in driver.execute(f"{query} LIMIT {MOST_ROWS}").fetchall():
            if table == "call_edge" and _is_known(driver, key):
                continue
            mend = _MENDS.get(rule)
            remedy, steps = ("", ()) if mend is None else mend(driver, key)
            yield found(rule, table, key, detail, remedy, *steps)


def _is_known(driver: Driver, call_hash: Any) -> bool:
    """Tell whether a call is known to be damaged: nothing is expected of what is around it."""
    row = driver.execute("SELECT seal FROM call_node WHERE call_hash = ?", (call_hash,)).fetchone()
    return row is not None and row[0] is not None and bytes(row[0]) == BROKEN


def _used_for_nothing(driver: Driver, key: Any) -> _Mended:
    step = Change("call_node", {"call_hash": key}, {"seal": BROKEN})
    return "the call is kept, and used for nothing", (step,)


_Mended = tuple[str, tuple[Mend, ...]]


def _end(driver: Driver, key: Any) -> _Mended:
    start, end, state = driver.execute(
        "SELECT start_time, end_time, state_type FROM job WHERE id = ?", (key,)
    ).fetchone()
    has_ended = state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    columns = {"state_type": state if has_ended else "CRASHED", "end_time": end or start}
    return "it is said to have ended when it was last seen", (Change("job", {"id": key}, columns),)


def _end_at_start(driver: Driver, key: Any) -> _Mended:
    (start,) = driver.execute("SELECT start_time FROM job WHERE id = ?", (key,)).fetchone()
    return "it ends when it started", (Change("job", {"id": key}, {"end_time": start}),)


def _forget(table: str, column: str) -> Callable[[Driver, Any], _Mended]:
    def mend(driver: Driver, key: Any) -> _Mended:
        return "it refers to none", (Change(table, {"id": key}, {column: None}),)

    return mend


def _crashed(driver: Driver, key: Any) -> _Mended:
    start, end = driver.execute(
        "SELECT start_time, end_time FROM job WHERE id = ?", (key,)
    ).fetchone()
    columns = {"state_type": "CRASHED", "end_time": end or start}
    return "it is closed", (Change("job", {"id": key}, columns),)


def _task_below(driver: Driver, key: Any) -> _Mended:
    rows = driver.execute(
        "SELECT DISTINCT child.task_hash FROM call_edge AS edge"
        " JOIN call_node AS child ON child.call_hash = edge.child_id"
        " JOIN call_node AS parent ON parent.call_hash = edge.parent_id"
        " WHERE edge.parent_id = ? AND child.task_hash <> parent.task_hash",
        (key,),
    ).fetchall()
    steps = [Add("call_subtree_task", {"call_hash": key, "task_hash": task}) for (task,) in rows]
    return "it is added", tuple(steps)


def _same_call(driver: Driver, key: Any) -> _Mended:
    (eval_hash,) = driver.execute(
        "SELECT c.eval_hash FROM job j JOIN call_node c ON c.call_hash = j.call_hash"
        " WHERE j.id = ?",
        (key,),
    ).fetchone()
    return "it is mended", (Change("job", {"id": key}, {"eval_hash": eval_hash}),)


def _alias_aside(driver: Driver, key: Any) -> _Mended:
    rows = driver.execute(
        "SELECT old_hash, new_hash, timestamp FROM task_alias WHERE old_hash = ? AND"
        " ((end_time IS NULL) <> (end_author IS NULL) OR end_time < timestamp)",
        (key,),
    ).fetchall()
    names = ("old_hash", "new_hash", "timestamp")
    steps = [Remove("task_alias", dict(zip(names, row, strict=True))) for row in rows]
    return "it is put aside", tuple(steps)


def _remove(table: str, column: str) -> Callable[[Driver, Any], _Mended]:
    def mend(driver: Driver, key: Any) -> _Mended:
        return "it is put aside", (Remove(table, {column: key}),)

    return mend


def _forget_call(driver: Driver, key: Any) -> _Mended:
    return "it refers to none", (Change("evaluation", {"eval_hash": key}, {"call_hash": None}),)


def _superseded(driver: Driver, key: Any) -> _Mended:
    return "it is current no more", (Change("tag", {"tag_hash": key}, {"is_current": False}),)


def _as_tags_say(table: str, column: str) -> Callable[[Driver, Any], _Mended]:
    def mend(driver: Driver, key: Any) -> _Mended:
        query = f"SELECT retracted FROM {table} WHERE {column} = ?"
        (is_marked,) = driver.execute(query, (key,)).fetchone()
        step = Change(table, {column: key}, {"retracted": not is_marked})
        return "it is as its tags say", (step,)

    return mend


def _unknown_state(driver: Driver, key: Any) -> _Mended:
    step = Change("execution", {"id": key}, {"state_type": "CRASHED"})
    return "it is said to have crashed", (step,)


def _current(driver: Driver, key: Any) -> _Mended:
    return "it is current again", (Change("tag", {"tag_hash": key}, {"is_current": True}),)


def _named_as_task(driver: Driver, key: Any) -> _Mended:
    name, namespace = driver.execute(
        "SELECT name, namespace FROM task JOIN call_node ON call_node.task_hash = task.hash"
        " WHERE call_hash = ?",
        (key,),
    ).fetchone()
    full = f"{namespace}.{name}" if namespace else name
    return f"it is called {full}", (Change("call_node", {"call_hash": key}, {"task_name": full}),)


_MENDS: dict[str, Callable[[Driver, Any], _Mended]] = {
    "a job that ended has an end, one that runs has none": _end,
    "a job ends after it started": _end_at_start,
    "a job's parent is of the same execution": _forget("job", "parent_id"),
    "an execution that ended has its root job": _forget("execution", "job_id"),
    "an execution that ended has no job that runs": _crashed,
    "what an execution was submitted with is there": _forget("execution", "snapshot_hash"),
    "the study of an execution is there": _forget("execution", "study_id"),
    "a job and its call are of one task": _forget("job", "call_hash"),
    "a job and its call have one key": _same_call,
    "a job is in a state that there is": _end,
    "an execution is in a state that there is": _unknown_state,
    "the tasks of a child call are among those of its parent": _task_below,
    "the child calls of a call are numbered without a gap": _used_for_nothing,
    "a call is named as its task is": _named_as_task,
    "a cache entry and its call have one key": _forget_call,
    "a tag that is not superseded is current": _current,
    "an alias that ended has a time and an author of its end": _alias_aside,
    "what is marked as from elsewhere is there": _remove("foreign_record", "id"),
    "a cache entry from elsewhere is none of here": _remove("foreign_evaluation", "eval_hash"),
    "a current tag is not superseded": _superseded,
    "a call is retracted if a tag says so": _as_tags_say("call_node", "call_hash"),
    "an execution is retracted if a tag says so": _as_tags_say("execution", "id"),
}

__all__ = ["broken"]
