"""A row in each table of each version of the schema, as the library of that version wrote it."""

from __future__ import annotations

from typing import Any

# Hashes and ids are named by numbers of two digits.
_FIRST: dict[str, list[dict[str, Any]]] = {
    "value": [
        {"value_hash": 1, "type": "task", "format": "f", "size": 1, "preview": "p",
         "content_digest": 9, "trusted": True, "value": b"1"},
        {"value_hash": 2, "type": "File", "format": "f", "size": 2, "preview": "p %",
         "content_digest": 9, "trusted": False, "value": b"\0\xff"},
        {"value_hash": 3, "type": "Handle", "format": "f", "size": 0, "preview": "",
         "content_digest": 9, "trusted": True, "value": b""},
    ],
    "lease": [
        {"key": "execution 04", "holder": "h", "host": "node", "pid": 7, "started": 8,
         "expires": 1_700_000_000_000_001},
    ],
    "part": [{"part_hash": 5, "kind": "helper", "name": "g", "source": "def g(): ..."}],
    "tag": [
        {"tag_hash": 6, "entity_type": "Job", "entity_id": 8, "key": "k", "value": '{"a": 1}',
         "is_current": False},
        {"tag_hash": 7, "entity_type": "Job", "entity_id": 8, "key": "k", "value": '"x"',
         "is_current": True},
    ],
    "tag_edit": [{"parent_id": 6, "child_id": 7}],
    "execution": [
        {"id": 4, "args": "[]", "job_id": 8, "updated_time": None, "state_type": "COMPLETED",
         "state_time": 1_700_000_000_000_002, "environment_hash": 2},
    ],
    "file": [
        {"value_hash": 2, "root": "", "path": "a/b", "content_hash": "c", "size": 3},
    ],
    "handle": [
        {"hash": 3, "fullname": "ns.db", "key": "", "value_hash": 3, "is_valid": True},
    ],
    "handle_edge": [{"parent_id": 3, "child_id": 3}],
    "subvalue": [{"parent_value_hash": 1, "value_hash": 2}],
    "task": [{"hash": 1, "name": "f", "namespace": "ns", "source": "def f(): ..."}],
    "task_part": [{"task_hash": 1, "part_hash": 5}],
    "call_node": [
        {"call_hash": 10, "eval_hash": 11, "task_name": "ns.f", "task_hash": 1, "args_hash": 12,
         "value_hash": 2, "timestamp": 1_700_000_000_000_003},
        {"call_hash": 13, "eval_hash": 14, "task_name": "ns.f", "task_hash": 1, "args_hash": 12,
         "value_hash": 2, "timestamp": 1_700_000_000_000_004},
    ],
    "evaluation": [
        {"eval_hash": 11, "task_hash": 1, "args_hash": 12, "value_hash": 2,
         "timestamp": 1_700_000_000_000_005},
    ],
    "argument": [
        {"arg_hash": 15, "call_hash": 10, "value_hash": 2, "arg_position": 0, "arg_key": None},
    ],
    "argument_result": [{"arg_hash": 15, "result_call_hash": 13}],
    "call_context": [{"call_hash": 10, "path": "a.b", "value_hash": 2}],
    "call_edge": [{"parent_id": 10, "call_order": 0, "child_id": 13}],
    "call_subtree_task": [{"call_hash": 10, "task_hash": 1}],
    "job": [
        {"id": 8, "execution_id": 4, "parent_id": None, "task_hash": 1, "eval_hash": None,
         "call_hash": 10, "start_time": 1_700_000_000_000_006,
         "end_time": 1_700_000_000_000_007, "cached": False, "state_type": "COMPLETED"},
        {"id": 9, "execution_id": 4, "parent_id": 8, "task_hash": 1, "eval_hash": 11,
         "call_hash": 10, "start_time": 1_700_000_000_000_006,
         "end_time": 1_700_000_000_000_007, "cached": True, "state_type": "COMPLETED"},
    ],
}  # fmt: skip

_ALIAS = {
    "old_hash": 1, "new_hash": 1, "timestamp": 1_700_000_000_000_008, "old_name": "f",
    "new_name": "g", "author": "ada", "why": "", "end_time": None, "end_author": None,
}  # fmt: skip

#: What each version had for the first time: rows of new tables, and columns of earlier ones.
ADDED: dict[str, dict[str, list[dict[str, Any]]]] = {
    "1.0": _FIRST,
    "1.1": {"task_alias": [_ALIAS]},
    "1.2": {},
    "1.3": {
        "foreign_record": [
            {"id": 2, "entity_type": "Value", "origin": "lab",
             "timestamp": 1_700_000_000_000_009},
        ],
        "foreign_evaluation": [
            {"eval_hash": 16, "task_hash": 1, "args_hash": 12, "value_hash": 2,
             "timestamp": 1_700_000_000_000_010, "origin": "lab"},
        ],
        "foreign_alias": [{**_ALIAS, "origin": "lab"}],
    },
    "1.4": {},
    "1.5": {},
    "1.6": {
        "quarantine": [
            {"timestamp": 1_700_000_000_000_011, "table_name": "evaluation",
             "row_key": "16", "reason": "its seal is broken", "content": "{}"},
        ],
    },
    "1.7": {},
    "1.8": {
        "state": [
            {"id": 20, "execution_id": 4, "job_id": None, "type": "COMPLETED",
             "name": "Completed", "timestamp": 1_700_000_000_000_012, "message": None,
             "details": "{}"},
        ],
        "study": [
            {"id": 21, "name": "nightly", "meta": "{}", "owner_id": None,
             "created_at": 1_700_000_000_000_013},
        ],
        "workflow": [
            {"id": 22, "study_id": 21, "namespace": "", "name": "w", "version": 1,
             "promoted": True, "enabled": True, "meta": "{}",
             "created_at": 1_700_000_000_000_013},
        ],
        "workflow_step": [
            {"id": 23, "workflow_id": 22, "position": 0, "task_name": "f", "task_hash": 1,
             "args": "{}", "options": "{}"},
        ],
        "execution_group": [
            {"id": 24, "workflow_id": 22, "key": "a", "selectors": "{}", "dirty": True,
             "dirty_reason": "new", "planned_dataset_hash": None, "recompute": False,
             "created_at": 1_700_000_000_000_013, "updated_at": 1_700_000_000_000_013},
        ],
        "dataset": [
            {"id": 25, "study_id": 21, "name": "d", "type": "Any", "value_hash": 2,
             "read_only": False, "meta": "{}", "retracted": False,
             "created_at": 1_700_000_000_000_013, "updated_at": 1_700_000_000_000_013},
        ],
        "execution_dataset": [
            {"execution_id": 4, "role": "input", "name": "d", "dataset_id": 25,
             "value_hash": 2, "in_use": False},
        ],
        "artifact": [
            {"id": 26, "execution_id": 4, "kind": "log", "key": "k", "path": "log.txt",
             "value_hash": 2, "title": "t", "description": None},
        ],
        "tag_key": [
            {"scope": "artifact", "key": "k", "description": "", "allowed_values": "[]"},
        ],
    },
    "1.9": {
        "retraction": [
            {"id": 27, "entity_type": "CallNode", "entity_id": 10, "target": "ns.f",
             "reason": "a disk was broken", "author": "me", "cascades": True,
             "timestamp": 1_700_000_000_000_014, "ended_at": None},
        ],
    },
    "1.10": {
        "worker_pool": [
            {"id": 28, "name": "gpu", "queues": '["gpu"]', "created_at": 1_700_000_000_000_015},
        ],
        "worker": [
            {"id": 29, "pool_id": 28, "name": "w", "host": "here", "pid": 7, "status": "running",
             "wish": None, "heartbeat_at": 1_700_000_000_000_015,
             "started_at": 1_700_000_000_000_015, "launch_cmd": "taskgraph worker start",
             "args": "{}", "restart_count": 0},
        ],
        "execution_pool": [{"execution_id": 4, "pool_id": 28}],
        "queued": [
            {"execution_id": 4, "queue": "gpu", "priority": 0, "due": 1_700_000_000_000_015},
        ],
        "assignment": [
            {"execution_id": 4, "worker_id": 29, "queue": "gpu",
             "taken_at": 1_700_000_000_000_015, "losses": 0, "ended_at": None},
        ],
        "routed_call": [
            {"id": 30, "execution_id": 4, "job_id": 5, "queue": "gpu", "task_name": "ns.f",
             "created_at": 1_700_000_000_000_015, "worker_id": 29, "holder": None,
             "taken_at": None, "losses": 0, "ended_at": None, "message": b"m", "answer": None},
        ],
        "notification_policy": [
            {"id": 31, "name": "told", "active": True, "state_names": "[]", "tags": "[]",
             "template": None, "target": "{}", "created_at": 1_700_000_000_000_015,
             "seen_until": 1_700_000_000_000_015},
        ],
        "notification": [
            {"id": 32, "policy_id": 31, "state_id": 20, "queued_at": 1_700_000_000_000_015,
             "due": 1_700_000_000_000_015, "attempts": 0, "delivered_at": None,
             "given_up_at": None, "error": None},
        ],
        "user_account": [
            {"id": 33, "email": "ada@example.org", "username": None, "active": True,
             "superuser": False, "verified": False, "settings": "{}",
             "created_at": 1_700_000_000_000_015},
        ],
        "user_group": [{"id": 34, "name": "climate", "created_at": 1_700_000_000_000_015}],
        "user_group_member": [
            {"group_id": 34, "user_id": 33, "created_at": 1_700_000_000_000_015},
        ],
        "task_package": [
            {"id": 35, "name": "p", "version": "1", "origin": "p.py", "active": True,
             "owner_id": 33, "user_group_id": None, "requirements": "[]", "frozen": None,
             "created_at": 1_700_000_000_000_015, "last_used_at": None},
        ],
        "package_task": [
            {"package_id": 35, "name": "ns.f", "task_hash": 1, "version": None,
             "args_schema": None, "input_type": "Any", "output_type": "Any", "description": ""},
        ],
        "operation": [
            {"id": 36, "kind": "collect", "subject": "p.py", "status": "ok", "data": "{}",
             "log": None, "started_at": 1_700_000_000_000_015, "ended_at": None},
        ],
    },
}  # fmt: skip
_SEALED = ("call_node", "evaluation", "part", "task", "task_alias", "value")
NEW_COLUMNS: dict[str, dict[tuple[str, str], Any]] = {
    "1.1": {("job", "miss"): "new"},
    "1.6": {(table, "seal"): 17 for table in _SEALED},
    "1.7": {("evaluation", "call_hash"): 13},
    "1.8": {
        ("execution", "name"): "nightly",
        ("execution", "entrypoint"): "ns.f",
        **{
            ("execution", name): None
            for name in (
                "workflow_id",
                "study_id",
                "group_id",
                "parent_job_id",
                "idempotency_key",
                "request_hash",
                "snapshot_hash",
                "dataset_hash",
                "first_step",
                "last_step",
                "workspace",
                "output_path",
                "code_version",
                "submitted_by",
                "expected_start_time",
                "next_scheduled_start_time",
            )
        },
        ("execution", "workspace"): "/work",
        ("execution", "parameters"): "{}",
        ("execution", "options"): "{}",
        ("execution", "state_name"): "",
        ("execution", "run_count"): 1,
        ("execution", "start_time"): 1_700_000_000_000_006,
        ("execution", "total_run_time"): 0,
        ("execution", "retracted"): False,
        ("execution", "created_at"): 1_700_000_000_000_006,
        **{
            ("job", name): None
            for name in ("state_name", "run_count", "dynamic_key", "queue", "step_position")
        },
    },
    "1.9": {("call_node", "retracted"): False},
    "1.10": {("workflow_step", "input_type"): "int", ("workflow_step", "output_type"): "Any"},
}

HASHES = frozenset(
    {
        "hash", "id", "value_hash", "content_digest", "part_hash", "tag_hash", "entity_id",
        "parent_id", "child_id", "job_id", "environment_hash", "parent_value_hash", "task_hash",
        "call_hash", "eval_hash", "args_hash", "arg_hash", "result_call_hash", "execution_id",
        "old_hash", "new_hash", "seal", "workflow_id", "study_id", "group_id", "parent_job_id",
        "request_hash", "snapshot_hash", "dataset_hash", "planned_dataset_hash", "owner_id",
        "dataset_id", "pool_id", "worker_id", "policy_id", "state_id", "user_id", "package_id",
        "user_group_id",
    }
)  # fmt: skip
TIMES = frozenset(
    {
        "expires", "state_time", "updated_time", "timestamp", "start_time", "end_time",
        "created_at", "updated_at", "ended_at", "expected_start_time", "next_scheduled_start_time",
        "heartbeat_at", "started_at", "due", "taken_at", "seen_until", "queued_at", "delivered_at",
        "given_up_at", "last_used_at",
    }
)  # fmt: skip


def rows_of(version: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that a database of a version has, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for step, tables in ADDED.items():
        for table, rows in tables.items():
            found[table] = [dict(row) for row in rows]
        for (table, column), value in NEW_COLUMNS.get(step, {}).items():
            for row in found[table]:
                row[column] = value
        if step == version:
            return found
    raise KeyError(version)
