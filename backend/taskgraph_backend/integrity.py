"""Checks that a database is sound: what must always hold, and which rows break it.

It only reads, in one transaction, so it sees one state even while others write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from taskgraph.hashing import digest_bytes
from taskgraph.values.valuestore import NOTHING, ValueStore
from taskgraph_backend import statements
from taskgraph_backend.dialects import Database, Driver
from taskgraph_backend.outside import check_outside

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

# Per rule; whoever has more has one problem, not many.
_MOST_ROWS = 20


class Problem(NamedTuple):
    """Something that must not be.

    Attributes:
        rule: What must hold.
        table: Where it does not.
        key: The row's id in hex digits, or what is known of it.
        detail: What was found.
    """

    rule: str
    table: str
    key: str
    detail: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.detail} ({self.rule})"


# Rule, table, and a query of the rows that break it: key and what was found.
_RULES = (
    (
        "a value is as long as it says",
        "value",
        "SELECT value_hash, 'size is ' || size || ', stored are ' || length(value) FROM value"
        f" WHERE format <> '{statements.DAMAGED}' AND size <> length(value)"
        # The bytes of large ones are in the value store.
        " AND length(value) > 0",
    ),
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
        " AND job.state_type = 'RUNNING'",
    ),
    (
        "a job and its call are of one task",
        "job",
        "SELECT job.id, 'its call is of task ' || lower(hex(call_node.task_hash)) FROM job"
        " JOIN call_node ON call_node.call_hash = job.call_hash"
        " WHERE call_node.task_hash <> job.task_hash",
    ),
    (
        "the child calls of a call are numbered without a gap",
        "call_edge",
        "SELECT parent_id, count(*) || ' children numbered to ' || max(call_order) FROM call_edge"
        " GROUP BY parent_id HAVING min(call_order) <> 0 OR max(call_order) <> count(*) - 1",
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


def check(backend: SqlBackend, *, contents: bool = True) -> list[Problem]:
    """Return what is wrong with a database; nothing, normally.

    Args:
        backend: Its backend; it is loaded if it is not.
        contents: Whether to read the bytes of all values and compare their digests.
    """
    backend.load()
    connection, store = backend.database.connect(), backend.value_store
    if backend.database.only_lock is not None:
        return list(_problems(backend.database, connection, contents, store))
    try:
        backend.database.begin_looking(connection)
        return list(_problems(backend.database, connection, contents, store))
    except backend.database.errors as error:
        raise backend.database.translate(error) from error
    finally:
        connection.close()


def _problems(
    database: Database, connection: Driver, contents: bool, store: ValueStore | None
) -> Iterator[Problem]:
    for text in database.damage(connection, _MOST_ROWS):
        yield Problem("the file is sound", "database", "", text)
    for table, parent, count in database.dangling(connection):
        yield Problem(
            "what a row refers to is there", table, "", f"{count} rows refer to no {parent}"
        )
    for rule, table, query in _RULES:
        for key, detail in connection.execute(f"{query} LIMIT {_MOST_ROWS}"):
            yield Problem(rule, table, key.hex(), detail)
    if contents:
        yield from _damaged(database, connection, store)


def _damaged(database: Database, connection: Driver, store: ValueStore | None) -> Iterator[Problem]:
    rows = database.stream(
        connection, "SELECT value_hash, format, value, content_digest FROM value"
    )
    for value_hash, format, value, digest in rows:
        if format == statements.DAMAGED:
            found = "its bytes were found to be damaged; they will be made again when needed"
        elif not value and digest.hex() != NOTHING:
            problem = check_outside(store, digest.hex())
            if problem is None:
                continue
            found = problem
        elif digest_bytes(value) != digest.hex():
            found = "its bytes are not those that were written"
        else:
            continue
        yield Problem("a value has the bytes that were written", "value", value_hash.hex(), found)


__all__ = ["Problem", "check"]
