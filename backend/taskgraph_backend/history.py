"""What is known of the past of tasks and calls: for plans, budgets and aliases, never for a run.

Reading only, and by an index: a question costs what it finds, however much else is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.hashing import CallHash, ContentDigest, EvalHash, TaskHash, ValueHash
from taskgraph.records import (
    ArgumentRecord,
    BelowVersion,
    PastBelow,
    PastCall,
    RecordedCall,
    StoredResult,
    TaskAliasRecord,
    TaskVersion,
)
from taskgraph.values.failures import ERROR_TYPE
from taskgraph.values.stored import EVICTED
from taskgraph.values.valuestore import ValueStore, locate
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.seals import seal_alias

# Calls of a version that its usual time is taken from.
_MOST_TIMED = 1_000
# Shorter ones stand for too many.
_LEAST_DIGITS = 4

_binary = bytearray.fromhex

# How long the newest job that ran a call took in its own function.
_SECONDS = (
    "(SELECT (j.end_time - j.start_time) / 1e6 FROM job j WHERE j.call_hash = {call}"
    " AND NOT j.cached AND j.end_time IS NOT NULL ORDER BY j.start_time DESC LIMIT 1)"
)


def find_aliases(driver: Driver) -> list[TaskAliasRecord]:
    """Return all aliases of tasks, those that ended too, oldest first."""
    rows = driver.execute(statements.TASK_ALIASES).fetchall()
    found = [
        (seal, TaskAliasRecord(old.hex(), new.hex(), *others)) for seal, old, new, *others in rows
    ]
    # One whose seal is broken joins nothing: calls run that it would have spared.
    return [each for seal, each in found if seal in (None, _seal_of(each))]


def _seal_of(alias: TaskAliasRecord) -> bytes:
    return seal_alias(alias.old_hash, alias.new_hash, alias.timestamp, alias.end_time)


def find_versions(driver: Driver, wanted: Sequence[str]) -> dict[str, list[TaskVersion]]:
    """Return the recorded versions of tasks by full name or first digits, last run first."""
    return {each: _versions(driver, each) for each in wanted}


def _versions(driver: Driver, wanted: str) -> list[TaskVersion]:
    namespace, _, name = wanted.rpartition(".")
    rows = driver.execute(
        "SELECT hash, namespace, name FROM task WHERE name = ? AND namespace = ?", (name, namespace)
    ).fetchall()
    if not rows and _is_prefix(wanted):
        low, high = wanted.lower().ljust(32, "0"), wanted.lower().ljust(32, "f")
        rows = driver.execute(
            "SELECT hash, namespace, name FROM task WHERE hash BETWEEN ? AND ?",
            (_binary(low), _binary(high)),
        ).fetchall()
    found = [_version(driver, *row) for row in rows]
    return sorted(found, key=lambda each: (-(each.last_time or 0), each.hash))


def _is_prefix(text: str) -> bool:
    digits = set(text.lower())
    return _LEAST_DIGITS <= len(text) <= 32 and digits <= set("0123456789abcdef")


def _version(driver: Driver, key: bytes, namespace: str, name: str) -> TaskVersion:
    (last_time,) = driver.execute(
        "SELECT max(j.start_time) FROM call_node c JOIN job j ON j.call_hash = c.call_hash"
        " WHERE c.task_hash = ?"
        " AND NOT EXISTS (SELECT 1 FROM foreign_record f WHERE f.id = j.execution_id)",
        (key,),
    ).fetchone()
    origin = driver.execute("SELECT origin FROM foreign_record WHERE id = ?", (key,)).fetchone()
    seconds, makes_calls = driver.execute(
        f"SELECT avg({_SECONDS.format(call='c.call_hash')}),"
        " max(CASE WHEN EXISTS (SELECT 1 FROM call_edge e WHERE e.parent_id = c.call_hash)"
        " THEN 1 ELSE 0 END)"
        " FROM (SELECT call_hash FROM call_node WHERE task_hash = ? LIMIT ?) c",
        (key, _MOST_TIMED),
    ).fetchone()
    fullname = f"{namespace}.{name}" if namespace else name
    return TaskVersion(
        TaskHash(key.hex()),
        fullname,
        last_time,
        seconds,
        bool(makes_calls),
        origin[0] if origin else None,
    )


def find_past(driver: Driver, eval_hashes: Sequence[EvalHash]) -> dict[EvalHash, PastCall]:
    """Return the newest whole call of each cache key that has one."""
    found: dict[EvalHash, PastCall] = {}
    for piece in statements.padded(list(dict.fromkeys(eval_hashes))):
        marks = ", ".join("?" * len(piece))
        # Of several rows of a key the newest comes first, and the others are left out.
        rows = driver.execute(
            "SELECT c.eval_hash, c.call_hash, c.task_hash, c.timestamp, v.size,"
            f" {_SECONDS.format(call='c.call_hash')},"
            " EXISTS (SELECT 1 FROM call_edge e WHERE e.parent_id = c.call_hash)"
            " FROM call_node c JOIN value v ON v.value_hash = c.value_hash"
            f" WHERE c.eval_hash IN ({marks}) ORDER BY c.timestamp DESC, c.call_hash",
            [_binary(key) for key in piece],
        ).fetchall()
        for key, call, task, time, size, seconds, has_children in rows:
            eval_hash = EvalHash(key.hex())
            if eval_hash not in found:
                below = _below(driver, call) if has_children else ()
                found[eval_hash] = PastCall(
                    CallHash(call.hex()), TaskHash(task.hex()), time, seconds, size, below
                )
    return found


def find_below(driver: Driver, task_hash: TaskHash, count: int) -> list[tuple[BelowVersion, ...]]:
    """Return what calls of a version made at any depth, of those that made any, newest first."""
    rows = driver.execute(
        "WITH RECURSIVE newest AS (SELECT call_hash, timestamp FROM (SELECT call_hash, timestamp,"
        " row_number() OVER (PARTITION BY eval_hash ORDER BY timestamp DESC, call_hash) AS place"
        " FROM call_node WHERE task_hash = ?) AS placed WHERE place = 1"
        " AND EXISTS (SELECT 1 FROM call_edge e WHERE e.parent_id = call_hash)"
        " ORDER BY timestamp DESC, call_hash LIMIT ?),"
        " below (root, call) AS (SELECT parent_id, child_id FROM call_edge JOIN newest"
        " ON parent_id = call_hash"
        " UNION SELECT b.root, e.child_id FROM below b JOIN call_edge e ON e.parent_id = b.call)"
        " SELECT b.root, c.task_name, c.task_hash, count(*),"
        f" coalesce(sum({_SECONDS.format(call='c.call_hash')}), 0.0)"
        " FROM below b JOIN call_node c ON c.call_hash = b.call"
        " JOIN newest n ON n.call_hash = b.root GROUP BY b.root, c.task_name, c.task_hash"
        " ORDER BY max(n.timestamp) DESC, b.root, c.task_name, c.task_hash",
        (_binary(task_hash), count),
    )
    calls: dict[bytes, list[BelowVersion]] = {}
    for root, task, version, number, seconds in rows:
        found = BelowVersion(task, TaskHash(version.hex()), number, seconds)
        calls.setdefault(root, []).append(found)
    return [tuple(each) for each in calls.values()]


def _below(driver: Driver, call: bytes) -> tuple[PastBelow, ...]:
    """Return the calls that one made, directly or not, by task: each call once."""
    rows = driver.execute(
        "WITH RECURSIVE below (call) AS (SELECT child_id FROM call_edge WHERE parent_id = ?"
        " UNION SELECT e.child_id FROM below JOIN call_edge e ON e.parent_id = below.call)"
        f" SELECT c.task_name, count(*), coalesce(sum({_SECONDS.format(call='c.call_hash')}), 0.0)"
        " FROM below JOIN call_node c ON c.call_hash = below.call"
        " GROUP BY c.task_name ORDER BY c.task_name",
        (call,),
    )
    return tuple(PastBelow(*row) for row in rows)


def sample_calls(
    driver: Driver, task_hash: TaskHash, count: int, store: ValueStore | None = None
) -> list[RecordedCall]:
    """Return calls of a version that may be made again: the same ones each time it is asked."""
    # By their hashes, whose order is as good as random and the same for everyone.
    rows = driver.execute(
        "SELECT c.call_hash, c.eval_hash, v.value_hash, v.type, v.format, v.value, v.content_digest"
        " FROM (SELECT n.call_hash, n.eval_hash, row_number() OVER (PARTITION BY n.eval_hash"
        " ORDER BY n.call_hash) AS place FROM call_node n"
        " JOIN value r ON r.value_hash = n.value_hash"
        f" WHERE n.task_hash = ? AND r.type <> '{ERROR_TYPE}'"
        # A call from elsewhere may say of the same key that it was given something else.
        " AND NOT EXISTS (SELECT 1 FROM foreign_record f WHERE f.id = n.call_hash)) AS c"
        " JOIN evaluation e ON e.eval_hash = c.eval_hash"
        " JOIN value v ON v.value_hash = e.value_hash"
        f" WHERE c.place = 1 AND v.format NOT IN ('{statements.DAMAGED}', '{EVICTED}')"
        " AND v.trusted"
        " ORDER BY c.eval_hash LIMIT ?",
        (_binary(task_hash), count),
    ).fetchall()
    found = []
    for call, eval_hash, key, type_name, format, value, digest in rows:
        arguments = driver.execute(
            "SELECT arg_hash, value_hash, arg_position, arg_key FROM argument WHERE call_hash = ?"
            " ORDER BY arg_position IS NULL, arg_position, arg_key",
            (call,),
        )
        call_hash = CallHash(call.hex())
        found.append(
            RecordedCall(
                call_hash,
                EvalHash(eval_hash.hex()),
                tuple(
                    ArgumentRecord(arg.hex(), call_hash, ValueHash(given.hex()), position, name)
                    for arg, given, position, name in arguments
                ),
                StoredResult(
                    ValueHash(key.hex()),
                    type_name,
                    format,
                    locate(value, ContentDigest(digest.hex()), store),
                    ContentDigest(digest.hex()),
                ),
            )
        )
    return found
