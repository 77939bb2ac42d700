"""The SQL of the hot path, in one place: text and plain tuples, for SQLite and PostgreSQL alike.

The order of columns is that of the records; a test holds all of it against the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from taskgraph.tags import RETRACTED
from taskgraph.values.stored import EVICTED, UNSTORED

Key = TypeVar("Key")

#: More parameters in one statement are no faster, and old versions of SQLite take 999 at most.
MOST_KEYS = 500

#: A stored value whose bytes were found to be damaged: it is there for its relations only.
DAMAGED = "damaged"
#: The formats of values that are there for their relations only, and are found by no look-up.
GONE = frozenset({DAMAGED, EVICTED})


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * len(columns.split(",")))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


def _keep(table: str, columns: str) -> str:
    """Insert what is not there; content-addressed rows that exist are left alone."""
    return f"{_insert(table, columns)} ON CONFLICT DO NOTHING"


def _replace(table: str, columns: str, keys: int = 1) -> str:
    """Insert, or replace the row of the same key, which is in the first columns."""
    names = columns.split(", ")
    updates = ", ".join(f"{column} = excluded.{column}" for column in names[keys:])
    key = ", ".join(names[:keys])
    return f"{_insert(table, columns)} ON CONFLICT ({key}) DO UPDATE SET {updates}"


def _below(first: str) -> str:
    """Return a question for states of handles and all that came from them."""
    return (
        f"WITH RECURSIVE below (hash) AS ({first} UNION SELECT edge.child_id"
        " FROM handle_edge AS edge JOIN below ON edge.parent_id = below.hash)"
        " SELECT hash FROM below"
    )


# Parents come before children: a deferred foreign key whose parent is there costs one seek, one
# whose parent comes later makes SQLite look for waiting children at each row that comes after.

# A value that exists is left alone, unless its bytes were damaged or could not be stored when it
# was first met, or came from elsewhere and were now made here.
VALUE = (
    _insert(
        "value", "value_hash, type, format, value, size, preview, content_digest, trusted, seal"
    )
    + " ON CONFLICT (value_hash) DO UPDATE SET type = excluded.type, format = excluded.format,"
    " value = excluded.value, size = excluded.size, preview = excluded.preview,"
    " content_digest = excluded.content_digest, trusted = excluded.trusted,"
    " seal = excluded.seal"
    f" WHERE value.format IN ('{DAMAGED}', '{EVICTED}')"
    " OR (excluded.trusted AND NOT value.trusted)"
    f" OR (value.format = '{UNSTORED}' AND excluded.format <> '{UNSTORED}')"
)
SUBVALUE = _keep("subvalue", "parent_value_hash, value_hash")
FILE = _keep("file", "value_hash, root, path, content_hash, size")
# One whose source was lost is written again.
TASK = (
    _insert("task", "hash, name, namespace, source, seal")
    + " ON CONFLICT (hash) DO UPDATE SET name = excluded.name, namespace = excluded.namespace,"
    " source = excluded.source, seal = excluded.seal WHERE task.source = ''"
)
PART = _keep("part", "part_hash, kind, name, source, seal")
TASK_PART = _keep("task_part", "task_hash, part_hash")
# A call that is recorded again may have read other places, or have other tasks below it: nobody can
# say what its seal has to be then. What its hash stands for is written anew, for it was damaged
# perhaps.
CALL_NODE = (
    _insert(
        "call_node",
        "call_hash, eval_hash, task_name, task_hash, args_hash, value_hash, timestamp, seal",
    )
    + " ON CONFLICT (call_hash) DO UPDATE SET eval_hash = excluded.eval_hash,"
    " task_name = excluded.task_name, task_hash = excluded.task_hash,"
    " args_hash = excluded.args_hash, value_hash = excluded.value_hash,"
    " seal = CASE WHEN call_node.seal = excluded.seal THEN excluded.seal ELSE NULL END"
)
CALL_EDGE = _keep("call_edge", "parent_id, child_id, call_order")
ARGUMENT = _keep("argument", "arg_hash, call_hash, value_hash, arg_position, arg_key")
ARGUMENT_RESULT = _keep("argument_result", "arg_hash, result_call_hash")
CALL_CONTEXT = _keep("call_context", "call_hash, path, value_hash")
SUBTREE_TASK = _keep("call_subtree_task", "call_hash, task_hash")
EVALUATION = _replace(
    "evaluation", "eval_hash, task_hash, args_hash, value_hash, timestamp, seal, call_hash"
)
# What was said when it was created stays as it was said. A run has the last word on how it ended,
# but for one that somebody has cancelled meanwhile: that one begins again, or stays so. One that is
# said to run once more has been running since it was said first.
_STAYS = (
    "(execution.state_type = 'CANCELLED' AND excluded.state_type <> 'RUNNING')"
    " OR (execution.state_type = 'RUNNING' AND excluded.state_type = 'RUNNING')"
)
_ENDS = "execution.state_type = 'RUNNING' AND excluded.state_type <> 'RUNNING'"
_BEGINS = "excluded.state_type = 'RUNNING' AND execution.state_type <> 'RUNNING'"
EXECUTION = (
    _insert(
        "execution",
        "id, args, job_id, updated_time, state_type, state_time, environment_hash, name,"
        " entrypoint, parameters, snapshot_hash, created_at, state_name, start_time, end_time,"
        " run_count, expected_start_time",
    )
    + " ON CONFLICT (id) DO UPDATE SET args = excluded.args, job_id = excluded.job_id,"
    " updated_time = excluded.updated_time, environment_hash = excluded.environment_hash,"
    f" state_type = CASE WHEN {_STAYS} THEN execution.state_type ELSE excluded.state_type END,"
    f" state_name = CASE WHEN {_STAYS} THEN execution.state_name ELSE excluded.state_name END,"
    f" state_time = CASE WHEN {_STAYS} THEN execution.state_time ELSE excluded.state_time END,"
    f" end_time = CASE WHEN {_STAYS} THEN execution.end_time ELSE excluded.end_time END,"
    " start_time = coalesce(execution.start_time, excluded.start_time),"
    " expected_start_time = coalesce(execution.expected_start_time, excluded.expected_start_time),"
    " next_scheduled_start_time = NULL,"
    f" run_count = execution.run_count + CASE WHEN {_BEGINS} THEN 1 ELSE 0 END,"
    " total_run_time = execution.total_run_time"
    f" + CASE WHEN {_ENDS} THEN (excluded.state_time - execution.state_time) ELSE 0 END"
)
# The state that an execution is in by now, if it is the one that was just written; and the one that
# it was in before it ran, if nobody else had created it.
STATE = (
    "INSERT INTO state (id, execution_id, type, name, timestamp, details)"
    " SELECT ?, id, state_type, state_name, state_time, '{}' FROM execution"
    " WHERE id = ? AND state_type = ? AND state_time = ? ON CONFLICT DO NOTHING"
)
PENDING = (
    "INSERT INTO state (id, execution_id, type, name, timestamp, details)"
    " SELECT ?, id, 'PENDING', 'Pending', created_at, '{}' FROM execution"
    " WHERE id = ? AND created_at = ? AND created_at < start_time ON CONFLICT DO NOTHING"
)
# A group is clean once its newest execution has ended by itself, on what was planned last.
GROUP_SETTLED = (
    "UPDATE execution_group SET dirty = FALSE, dirty_reason = NULL, recompute = FALSE,"
    " updated_at = (SELECT e.state_time FROM execution e WHERE e.id = ?)"
    " WHERE id = (SELECT e.group_id FROM execution e WHERE e.id = ?"
    " AND e.state_type IN ('COMPLETED', 'FAILED')"
    " AND e.dataset_hash = execution_group.planned_dataset_hash)"
    " AND ? = (SELECT e.id FROM execution e WHERE e.group_id = execution_group.id"
    " ORDER BY e.created_at DESC, e.id DESC LIMIT 1)"
)
# A dataset holds what its writer has made once that has ended well: not what one that was given up
# for dead makes of it later, when others have taken it since.
DATASET_WRITTEN = (
    "UPDATE dataset SET value_hash = ?, retracted = FALSE,"
    " updated_at = (SELECT e.state_time FROM execution e WHERE e.id = ?)"
    " WHERE NOT read_only AND value_hash <> ? AND id = (SELECT u.dataset_id"
    " FROM execution_dataset u JOIN execution e ON e.id = u.execution_id"
    " WHERE u.execution_id = ? AND u.role = 'output' AND u.in_use"
    " AND e.state_type = 'COMPLETED')"
)
JOB = _replace(
    "job",
    "id, execution_id, parent_id, task_hash, eval_hash, call_hash, start_time, end_time, cached,"
    " state_type, miss",
)
JOB_QUEUE = "UPDATE job SET queue = ? WHERE id = ?"
TAG = _keep("tag", "tag_hash, entity_type, entity_id, key, value, is_current")
TAG_EDIT = _keep("tag_edit", "parent_id, child_id")

TASK_ALIAS = _replace(
    "task_alias",
    "old_hash, new_hash, timestamp, old_name, new_name, author, why, end_time, end_author, seal",
    keys=3,
)
TASK_ALIASES = (
    "SELECT seal, old_hash, new_hash, timestamp, old_name, new_name, author, why, end_time,"
    " end_author FROM task_alias ORDER BY timestamp, old_hash, new_hash"
)

HANDLE = (
    "INSERT INTO handle (hash, fullname, key, value_hash, is_valid) VALUES (?, ?, ?, ?, TRUE)"
    " ON CONFLICT DO NOTHING"
)
HANDLE_EDGE = _keep("handle_edge", "parent_id, child_id")
HANDLE_REACHED = "UPDATE handle SET is_valid = TRUE WHERE hash = ?"
# Begins with UPDATE: drivers do not take what begins with WITH for something that changes rows.
_LEAVE = "UPDATE handle SET is_valid = FALSE WHERE is_valid AND hash IN ({})"
HANDLE_ROLLBACK = _LEAVE.format(_below("SELECT child_id FROM handle_edge WHERE parent_id = ?"))
# Branches that calls are given have a key that begins so; the others are the user's.
HANDLE_SWEEP = _LEAVE.format(
    _below(
        "SELECT edge.child_id FROM handle_edge AS edge JOIN handle ON handle.hash = edge.child_id"
        " WHERE edge.parent_id = ? AND handle.key LIKE '#%'"
    )
)

LEASE = _keep("lease", "key, holder, host, pid, started, expires")
LEASE_TAKE_OVER = (
    "UPDATE lease SET holder = ?, host = ?, pid = ?, started = ?, expires = ?"
    " WHERE key = ? AND holder = ?"
)
LEASE_HEARTBEAT = "UPDATE lease SET expires = ? WHERE holder = ?"
LEASE_RELEASE = "DELETE FROM lease WHERE key = ? AND holder = ?"
LEASE_OF = "SELECT holder FROM lease WHERE key = ?"
LEASE_RENAME = "UPDATE lease SET holder = ? WHERE holder = ?"
LEASE_IS_HELD = "SELECT 1 FROM lease WHERE key = ? AND holder = ?"
LEASE_FORGET = "DELETE FROM lease WHERE key = ? OR holder = ?"
# What a run has sent to workers, once nobody waits for it.
ROUTED_FORGET = "DELETE FROM routed_call WHERE execution_id = ?"
# Who leads calls one by one: a key is `records.call_lease`.
LEASE_LEADERS = (
    "SELECT DISTINCT holder, host, pid, started, expires < {now} FROM lease"
    " WHERE key >= 'call:' AND key < 'call;' AND holder <> ?"
)
LEASE_FORGET_CALLS = "DELETE FROM lease WHERE key >= 'call:' AND key < 'call;' AND holder = ?"

_STORED = "v.value_hash, v.type, v.format, v.value, v.content_digest, v.seal"
# Of calls: none that came from elsewhere and is not trusted. An entry of ours may have such a call
# beside it, with the same key and result, and children and arguments that nobody has checked.
_IS_OURS = "NOT EXISTS (SELECT 1 FROM foreign_record f WHERE f.id = {}.call_hash)"


# Of an entry ``e``: whether a call of its key was retracted. That is nearly never so, and takes one
# look at an index that is empty.
_IS_DOUBTFUL = "EXISTS (SELECT 1 FROM call_node r WHERE r.eval_hash = e.eval_hash AND r.retracted)"
# And whether the call that filled it was: where that one is not known, the newest of the key.
_IS_RETRACTED = (
    "coalesce((SELECT r.retracted FROM call_node r WHERE r.call_hash = e.call_hash),"
    " (SELECT r.retracted FROM call_node r WHERE r.eval_hash = e.eval_hash"
    " ORDER BY r.timestamp DESC, r.call_hash LIMIT 1), FALSE)"
)


def _keys(count: int) -> str:
    return ", ".join("?" * count)


@cache
def evaluations(count: int) -> str:
    """Cache entries with their values, and the call that was recorded with each.

    Where none is known, it is the newest with the same key; one that gave the very value of the
    entry comes before all others. The second column says whether a call of the key was retracted:
    then `doubtful_evaluations` has the answer.
    """
    return _evaluations(count, _IS_DOUBTFUL, "")


@cache
def doubtful_evaluations(count: int) -> str:
    """The same of keys of which calls were retracted, and whether the entry itself was.

    It is a place in the cache, and so that follows from the call that filled it.
    """
    return _evaluations(count, _IS_RETRACTED, " AND NOT c.retracted")


def _evaluations(count: int, flag: str, which: str) -> str:
    newest = (
        "SELECT c.call_hash FROM call_node c WHERE c.eval_hash = e.eval_hash"
        f"{which} AND {_IS_OURS.format('c')}"
    )
    return (
        f"SELECT e.eval_hash, {flag}, e.timestamp, e.task_hash, e.args_hash, e.seal, {_STORED},"
        " coalesce(e.call_hash,"
        # So that no index of values is used: of one value there may be millions of calls.
        f"({newest} AND NOT c.value_hash <> e.value_hash ORDER BY c.timestamp DESC LIMIT 1),"
        f" ({newest} ORDER BY c.timestamp DESC LIMIT 1))"
        " FROM evaluation e JOIN value v ON v.value_hash = e.value_hash"
        f" WHERE e.eval_hash IN ({_keys(count)}) AND v.trusted"
    )


@cache
def calls(count: int) -> str:
    """Whole calls of cache keys, newest first; those that were retracted too, which says one."""
    return (
        "SELECT eval_hash, call_hash, value_hash, timestamp, task_hash, seal, retracted"
        " FROM call_node c"
        f" WHERE eval_hash IN ({_keys(count)}) AND {_IS_OURS.format('c')}"
        " ORDER BY timestamp DESC, call_hash"
    )


@cache
def call_contexts(count: int) -> str:
    """Return a question for what was read of the context in so many calls."""
    return (
        "SELECT call_hash, path, value_hash FROM call_context"
        f" WHERE call_hash IN ({_keys(count)}) ORDER BY path"
    )


@cache
def subtree_tasks(count: int) -> str:
    """The tasks that ran in calls or below them."""
    return f"SELECT call_hash, task_hash FROM call_subtree_task WHERE call_hash IN ({_keys(count)})"


@cache
def values(count: int) -> str:
    """Stored values that may be loaded: those from elsewhere only after they were trusted."""
    return f"SELECT {_STORED} FROM value v WHERE v.value_hash IN ({_keys(count)}) AND v.trusted"


def whole_values(count: int) -> str:
    """Values that are left alone where they are inserted again, their bytes in the database."""
    return (
        f"SELECT value_hash FROM value WHERE value_hash IN ({_keys(count)}) AND trusted"
        f" AND format NOT IN ('{DAMAGED}', '{EVICTED}', '{UNSTORED}') AND length(value) > 0"
    )


def own_calls(count: int) -> str:
    """Calls that were recorded here, or have come to be trusted."""
    return (
        f"SELECT c.call_hash FROM call_node c WHERE c.call_hash IN ({_keys(count)})"
        f" AND {_IS_OURS.format('c')}"
    )


def retracted(count: int) -> str:
    """Calls of cache keys that were retracted, each with the tags that say why."""
    return (
        "SELECT c.eval_hash, c.call_hash, t.value FROM call_node c JOIN tag t"
        # By the call, and not by the index of keys: of this one there may be millions.
        f" ON t.entity_id = c.call_hash AND t.key || '' = '{RETRACTED}' AND t.is_current"
        f" WHERE c.eval_hash IN ({_keys(count)}) AND c.retracted"
    )


def retracted_calls(count: int) -> str:
    """Those of some calls that were retracted."""
    return f"SELECT call_hash FROM call_node WHERE call_hash IN ({_keys(count)}) AND retracted"


#: A number that is another one once something was retracted, or a retraction taken back.
RETRACTIONS_SEEN = "SELECT count(*) + count(ended_at) FROM retraction"


def valid_handles(count: int) -> str:
    """States of handles that are valid."""
    return f"SELECT hash FROM handle WHERE is_valid AND hash IN ({_keys(count)})"


def handles_below(count: int) -> str:
    """All states that came from states of handles."""
    return _below(f"SELECT child_id FROM handle_edge WHERE parent_id IN ({_keys(count)})")


def handles_above(count: int) -> str:
    """All states that states of handles came from, up to branches with a user's key."""
    return (
        f"WITH RECURSIVE above (hash) AS (SELECT hash FROM handle WHERE hash IN ({_keys(count)})"
        " UNION SELECT edge.parent_id FROM handle_edge AS edge"
        " JOIN above ON edge.child_id = above.hash JOIN handle ON handle.hash = above.hash"
        " WHERE handle.key IN ('', 'merged') OR handle.key LIKE '#%') SELECT hash FROM above"
    )


def leases(count: int) -> str:
    """Leases, and whether the database's clock says that they are over; needs its clock's SQL."""
    return (
        "SELECT key, holder, host, pid, started, expires, expires < {now} FROM lease"
        f" WHERE key IN ({_keys(count)})"
    )


def mark_damaged(count: int) -> str:
    """Values whose bytes are not what was written."""
    return (
        f"UPDATE value SET format = '{DAMAGED}', value = x'', size = 0, seal = NULL"
        f" WHERE value_hash IN ({_keys(count)}) AND format <> '{EVICTED}'"
    )


def padded(keys: Sequence[Key], most: int = MOST_KEYS) -> list[Sequence[Key]]:
    """Cut keys into pieces of few different lengths, so that few different statements are parsed.

    The last piece is filled up to the next power of two with its own last key.
    """
    pieces: list[Sequence[Key]] = []
    for start in range(0, len(keys), most):
        piece = keys[start : start + most]
        size = min(most, 1 << (len(piece) - 1).bit_length())
        pieces.append([*piece, *[piece[-1]] * (size - len(piece))])
    return pieces
