"""An execution that came to a retracted call once more is retracted as that call is."""

from __future__ import annotations

from typing import Final

from taskgraph.records import ExecutionId
from taskgraph.tags import RETRACTED, retraction_words, tag_record
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.tags import tag_row

_OF_ROOT: Final = (
    "SELECT t.value FROM execution e JOIN job j ON j.id = e.job_id"
    " JOIN tag t ON t.entity_id = j.call_hash AND t.key || '' = ? AND t.is_current WHERE e.id = ?"
)


def pass_on(driver: Driver, execution_id: ExecutionId) -> None:
    """Have an execution be retracted as its root call is; within a transaction that is alone."""
    key = bytes.fromhex(execution_id)
    for (text,) in driver.execute(_OF_ROOT, (RETRACTED, key)).fetchall():
        words = retraction_words(text)
        if words is not None:
            tag = tag_record("Execution", execution_id, RETRACTED, words._asdict())
            driver.execute(statements.TAG, tag_row(tag))
            driver.execute("UPDATE execution SET retracted = TRUE WHERE id = ?", (key,))


__all__ = ["pass_on"]
