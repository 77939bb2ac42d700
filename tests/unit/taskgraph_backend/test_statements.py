from __future__ import annotations

import re

import pytest

from taskgraph import records
from taskgraph_backend import statements
from taskgraph_backend.dialects import NOW
from taskgraph_backend.models import Base
from taskgraph_backend.store import SqlBackend

RECORDS = {
    "VALUE": records.ValueRecord,
    "SUBVALUE": records.SubvalueRecord,
    "FILE": records.FileRecord,
    "TASK": records.TaskRecord,
    "PART": records.PartRecord,
    "TASK_PART": records.TaskPartRecord,
    "CALL_NODE": records.CallNodeRecord,
    "CALL_EDGE": records.CallEdgeRecord,
    "ARGUMENT": records.ArgumentRecord,
    "ARGUMENT_RESULT": records.ArgumentResultRecord,
    "SUBTREE_TASK": records.SubtreeTaskRecord,
    "EVALUATION": records.EvaluationRecord,
    "EXECUTION": records.ExecutionRecord,
    "JOB": records.JobRecord,
    "TAG": records.TagRecord,
    "TASK_ALIAS": records.TaskAliasRecord,
    "LEASE": records.LeaseRecord,
}

# What is written by who manages executions, and by no run.
MANAGED = {
    "CALL_NODE": {"retracted"},
    "JOB": {"state_name", "run_count", "dynamic_key", "queue", "step_position"},
    "EXECUTION": {
        *("workflow_id", "study_id", "group_id", "parent_job_id", "idempotency_key"),
        *("request_hash", "dataset_hash", "first_step", "last_step", "workspace", "output_path"),
        *("code_version", "submitted_by", "options", "total_run_time", "retracted"),
        "next_scheduled_start_time",
    },
}
# What stays as it was said when an execution was created.
SUBMITTED = {"name", "entrypoint", "parameters", "snapshot_hash", "created_at"}


@pytest.mark.parametrize("name", RECORDS)
def test_columns_are_the_fields_of_the_record_in_order(name: str) -> None:
    found = re.match(r"INSERT INTO (\w+) \(([^)]*)\)", getattr(statements, name))

    assert found is not None
    columns = tuple(found[2].split(", "))
    # The backend adds what it alone knows: a seal of the others, and which call gave an entry.
    own = columns[len(RECORDS[name]._fields) :]
    assert columns == (*RECORDS[name]._fields, *own)
    books = ("state_name", "start_time", "end_time", "run_count", "expected_start_time")
    more = {"EVALUATION": ("seal", "call_hash"), "EXECUTION": books}
    assert own == more[name] if name in more else own in {(), ("seal",)}


@pytest.mark.parametrize("name", RECORDS)
def test_columns_are_those_of_the_model(name: str) -> None:
    found = re.match(r"INSERT INTO (\w+) \(([^)]*)\)", getattr(statements, name))

    assert found is not None
    columns = set(Base.metadata.tables[found[1]].columns.keys())
    assert set(found[2].split(", ")) == columns - MANAGED.get(name, set())


@pytest.mark.parametrize("name", ["EVALUATION", "EXECUTION", "JOB", "TASK_ALIAS", "VALUE"])
def test_upsert_is_on_the_primary_key_and_sets_all_else(name: str) -> None:
    sql = getattr(statements, name)
    table = Base.metadata.tables[sql.split()[2]]

    primary = [column.name for column in table.primary_key]
    others = {column.name for column in table.columns} - {*primary} - MANAGED.get(name, set())

    assert f"ON CONFLICT ({', '.join(primary)}) DO UPDATE" in sql
    if name == "EXECUTION":
        others -= SUBMITTED
        others |= {"next_scheduled_start_time", "total_run_time"}
        assert set(re.findall(r"(?:SET|,) (\w+) = ", sql)) == others
        return
    assert set(re.findall(r"(\w+) = excluded\.\1", sql)) == others


@pytest.mark.parametrize(
    "sql",
    [
        *(getattr(statements, name) for name in RECORDS),
        statements.TAG_EDIT,
        statements.LEASE_TAKE_OVER,
        statements.LEASE_HEARTBEAT,
        statements.LEASE_RELEASE,
        statements.evaluations(3),
        statements.calls(3),
        statements.subtree_tasks(3),
        statements.values(3),
        statements.leases(3).format(now=NOW),
        statements.mark_damaged(3),
    ],
    ids=lambda sql: sql[:40],
)
def test_statement_is_valid_and_looks_rows_up_by_an_index(sql: str) -> None:
    with SqlBackend() as backend:
        driver = backend.database.connect()

        plan = driver.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall()

    # Leases are few, and a heartbeat touches all of a holder. An insert names the tables whose rows
    # might wait for this one, and looks at none of them while none waits.
    if sql != statements.LEASE_HEARTBEAT and not sql.startswith("INSERT"):
        assert not [step for *_, step in plan if step.startswith("SCAN")]


def test_hit_that_names_no_call_finds_it_by_its_key() -> None:
    with SqlBackend() as backend:
        driver = backend.database.connect()

        plan = driver.execute(f"EXPLAIN QUERY PLAN {statements.evaluations(2)}", [b"", b""])

        found = [step for *_, step in plan if " c " in step]
        assert len(found) == 2
        assert all("USING INDEX ix_call_node_eval_hash_timestamp" in step for step in found)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 499, 500, 501, 1000, 1234])
def test_pieces_hold_all_keys_and_have_few_lengths(count: int) -> None:
    pieces = statements.padded(range(count))

    assert sorted({key for piece in pieces for key in piece}) == list(range(count))
    assert all(len(piece) == 500 or len(piece) & (len(piece) - 1) == 0 for piece in pieces)
