"""What came from elsewhere: kept and shown, and used for nothing until somebody trusts it.

Cache entries and aliases from elsewhere are in tables of their own, where no look-up of a run can
come upon them; values and calls are marked. What is recorded here by running is ours, and takes the
place of what strangers said about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from taskgraph.records import RecordBatch
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

_binary = bytearray.fromhex

_ALIAS = "old_hash, new_hash, timestamp, old_name, new_name, author, why, end_time, end_author"
_EVALUATION = "eval_hash, task_hash, args_hash, value_hash, timestamp"
# An entry whose result gave up its bytes where it came from answers nothing.
_HAS_RESULT = (
    " AND NOT EXISTS (SELECT 1 FROM value v WHERE v.value_hash = foreign_evaluation.value_hash"
    f" AND v.format = '{statements.DAMAGED}')"
)


class Origin(NamedTuple):
    """Where records came from, and how many of them are not trusted."""

    origin: str
    values: int
    calls: int
    executions: int
    evaluations: int
    aliases: int


class Trusted(NamedTuple):
    """How many records of each kind are trusted now that were not."""

    values: int
    calls: int
    executions: int
    evaluations: int
    aliases: int


# During a run


def offered(driver: Driver, keys: Sequence[str]) -> dict[str, str]:
    """Return which cache keys have an entry from elsewhere that is not trusted, and its origin."""
    if not keys or not _is_any(driver, "foreign_evaluation"):
        return {}
    return _origins(driver, "foreign_evaluation", "eval_hash", keys)


def untrusted(driver: Driver, ids: Sequence[str]) -> dict[str, str]:
    """Return which values, calls and executions are not trusted, and where each came from."""
    if not ids or not _is_any(driver, "foreign_record"):
        return {}
    return _origins(driver, "foreign_record", "id", ids)


def _is_any(driver: Driver, table: str) -> bool:
    (found,) = driver.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()
    return bool(found)


def _origins(driver: Driver, table: str, column: str, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in statements.padded(list(keys)):
        rows = driver.execute(
            f"SELECT {column}, origin FROM {table} WHERE {column} IN ({_marks(piece)})",
            [_binary(key) for key in piece],
        )
        found.update((key.hex(), origin) for key, origin in rows)
    return found


def reclaim(driver: Driver, batch: RecordBatch) -> None:
    """Take away what strangers said of values and calls that are recorded here now.

    Called in the transaction of the batch, before its rows are written.
    """
    if batch.evaluations and _is_any(driver, "foreign_evaluation"):
        keys = {each.eval_hash for each in batch.evaluations}
        _forget(driver, ("foreign_evaluation", "eval_hash"), keys)
    if not (batch.values or batch.call_nodes) or not _is_any(driver, "foreign_record"):
        return
    values = [each.value_hash for each in batch.values]
    calls = [each.call_hash for each in batch.call_nodes]
    foreign = untrusted(driver, list(dict.fromkeys([*values, *calls])))
    _forget(driver, ("subvalue", "parent_value_hash"), set(values) & foreign.keys())
    _forget(driver, ("file", "value_hash"), set(values) & foreign.keys())
    _forget(driver, ("task_part", "task_hash"), set(values) & foreign.keys())
    for each in batch.tasks:
        if each.hash in foreign:
            driver.execute(
                "UPDATE task SET name = ?, namespace = ?, source = ?, seal = NULL WHERE hash = ?",
                (each.name, each.namespace, each.source, _binary(each.hash)),
            )
    for key in set(values) & foreign.keys():
        # What it stood for elsewhere is not known to be so here, and is no longer said to be not.
        driver.execute("UPDATE handle SET is_valid = TRUE WHERE hash = ?", (_binary(key),))
    again = set(calls) & foreign.keys()
    _forget_results(driver, again)
    for table in ("argument", "call_subtree_task", "call_context"):
        _forget(driver, (table, "call_hash"), again)
    for node in batch.call_nodes:
        if node.call_hash in again:
            # Whether its hash is that of these columns cannot always be told from a record.
            driver.execute(
                "UPDATE call_node SET eval_hash = ?, task_name = ?, task_hash = ?, args_hash = ?,"
                " value_hash = ?, timestamp = ?, seal = NULL WHERE call_hash = ?",
                (
                    _binary(node.eval_hash),
                    node.task_name,
                    _binary(node.task_hash),
                    _binary(node.args_hash),
                    _binary(node.value_hash),
                    node.timestamp,
                    _binary(node.call_hash),
                ),
            )
    _forget(driver, ("call_edge", "parent_id"), again)
    _forget(driver, ("foreign_record", "id"), foreign.keys())


def _forget_results(driver: Driver, calls: Iterable[str]) -> None:
    driver.executemany(
        "DELETE FROM argument_result WHERE arg_hash IN"
        " (SELECT arg_hash FROM argument WHERE call_hash = ?)",
        [(_binary(key),) for key in sorted(calls)],
    )


def _forget(driver: Driver, place: tuple[str, str], keys: Iterable[str]) -> None:
    table, column = place
    driver.executemany(
        f"DELETE FROM {table} WHERE {column} = ?", [(_binary(key),) for key in sorted(keys)]
    )


# Trusting


def origins(driver: Driver) -> list[Origin]:
    """Return where records came from that are not trusted, with how many there are of each."""
    found: dict[str, list[int]] = {}
    rows = driver.execute(
        "SELECT origin, entity_type, count(*) FROM foreign_record"
        " LEFT JOIN value ON value.value_hash = foreign_record.id"
        " WHERE NOT coalesce(value.trusted, FALSE) GROUP BY origin, entity_type"
    )
    places = {"Value": 0, "CallNode": 1, "Execution": 2}
    for origin, kind, count in rows:
        found.setdefault(origin, [0] * 5)[places[kind]] = count
    for place, table in ((3, "foreign_evaluation"), (4, "foreign_alias")):
        for origin, count in driver.execute(
            f"SELECT origin, count(*) FROM {table} GROUP BY origin"
        ):
            found.setdefault(origin, [0] * 5)[place] = count
    return [Origin(origin, *found[origin]) for origin in sorted(found)]


def trust_all(driver: Driver, origin: str | None = None) -> Trusted:
    """Trust all that came from a place, or all there is."""
    which = "" if origin is None else " WHERE origin = ?"
    given = () if origin is None else (origin,)
    counts = {"Value": 0, "CallNode": 0, "Execution": 0}
    counts.update(
        driver.execute(
            f"SELECT entity_type, count(*) FROM foreign_record{which} GROUP BY entity_type", given
        )
    )
    values = driver.execute(
        "UPDATE value SET trusted = TRUE WHERE NOT trusted AND value_hash IN"
        f" (SELECT id FROM foreign_record{which})",
        given,
    ).rowcount
    driver.execute(f"DELETE FROM foreign_record{which}", given)
    evaluations, aliases = _accept(driver, which, given)
    return Trusted(values, counts["CallNode"], counts["Execution"], evaluations, aliases)


def bringers(driver: Driver, ids: Sequence[str]) -> list[str]:
    """Return who brought some records; a job was brought with its execution."""
    found = set(untrusted(driver, ids).values())
    for piece in statements.padded(list(ids)):
        rows = driver.execute(
            "SELECT DISTINCT f.origin FROM job j JOIN foreign_record f ON f.id = j.execution_id"
            f" WHERE j.id IN ({_marks(piece)})",
            [_binary(key) for key in piece],
        )
        found.update(origin for (origin,) in rows)
    return sorted(found)


def trust(
    driver: Driver, ids: Iterable[str], brought_by: Iterable[str]
) -> tuple[Trusted, dict[str, int]]:
    """Trust records of some origins: values, calls with their cache entries, executions, aliases.

    Who trusts a record trusts those who brought it. A value that is in it may have been here before
    and have been brought by others, under the same hash, with whatever bytes: it is left as it is.

    Args:
        driver: A connection, in a transaction.
        ids: The records.
        brought_by: The origins.

    Returns:
        How many are trusted now that were not, and how many of the records others brought.
    """
    _fill(driver, "trusting (id BLOB PRIMARY KEY)", map(_binary, ids))
    _fill(driver, "bringing (origin TEXT PRIMARY KEY)", brought_by)
    # Whoever trusts a task does so with its aliases, and with the code on their other side.
    driver.execute(_JOINED)
    chosen = "IN (SELECT id FROM temp.trusting)"
    mine = "origin IN (SELECT origin FROM temp.bringing)"
    others = "origin NOT IN (SELECT origin FROM temp.bringing)"
    counts = {"Value": 0, "CallNode": 0, "Execution": 0}
    counts.update(
        driver.execute(
            f"SELECT entity_type, count(*) FROM foreign_record WHERE id {chosen} AND {mine}"
            " GROUP BY entity_type"
        )
    )
    left: dict[str, int] = dict(
        driver.execute(
            f"SELECT origin, count(*) FROM foreign_record WHERE id {chosen} AND {others}"
            " GROUP BY origin ORDER BY origin"
        ).fetchall()
    )
    values = driver.execute(
        f"UPDATE value SET trusted = TRUE WHERE NOT trusted AND value_hash {chosen}"
        f" AND value_hash NOT IN (SELECT id FROM foreign_record WHERE id {chosen} AND {others})"
    ).rowcount
    driver.execute(f"DELETE FROM foreign_record WHERE id {chosen} AND {mine}")
    keys = f"eval_hash IN (SELECT eval_hash FROM call_node WHERE call_hash {chosen})"
    # The result of an entry need not be that of the call.
    entries = f" WHERE {keys} AND value_hash {chosen} AND {mine}"
    evaluations, _ = _accept(driver, entries, (), aliases=False)
    joined = f" WHERE new_hash {chosen} AND old_hash {chosen} AND {mine}"
    _, aliases = _accept(driver, joined, (), evaluations=False)
    for table in ("trusting", "bringing"):
        driver.execute(f"DELETE FROM temp.{table}")
    return Trusted(values, counts["CallNode"], counts["Execution"], evaluations, aliases), left


_JOINED = (
    "INSERT INTO temp.trusting (id) WITH RECURSIVE"
    " said (old_hash, new_hash) AS (SELECT old_hash, new_hash FROM foreign_alias"
    " WHERE origin IN (SELECT origin FROM temp.bringing)),"
    " pair (one, other) AS (SELECT old_hash, new_hash FROM said"
    " UNION SELECT new_hash, old_hash FROM said),"
    " joined (id) AS (SELECT one FROM pair WHERE one IN (SELECT id FROM temp.trusting)"
    " UNION SELECT pair.other FROM joined JOIN pair ON pair.one = joined.id)"
    " SELECT id FROM joined WHERE TRUE ON CONFLICT DO NOTHING"
)


def _fill(driver: Driver, table: str, keys: Iterable[object]) -> None:
    """Put keys into a table that only this connection sees."""
    name = table.partition(" ")[0]
    driver.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table}")
    driver.execute(f"DELETE FROM temp.{name}")
    driver.executemany(
        f"INSERT INTO temp.{name} VALUES (?) ON CONFLICT DO NOTHING", [(each,) for each in keys]
    )


def _accept(
    driver: Driver,
    which: str,
    given: Sequence[str],
    *,
    evaluations: bool = True,
    aliases: bool = True,
) -> tuple[int, int]:
    """Make cache entries and aliases of those from elsewhere; what is known here stays as it is."""
    entries = joined = 0
    if evaluations:
        entries = driver.execute(
            f"INSERT INTO evaluation ({_EVALUATION}) SELECT {_EVALUATION} FROM foreign_evaluation"
            f"{which or ' WHERE TRUE'}{_HAS_RESULT} ON CONFLICT DO NOTHING",
            given,
        ).rowcount
        driver.execute(f"DELETE FROM foreign_evaluation{which}", given)
    if aliases:
        joined = driver.execute(
            f"INSERT INTO task_alias ({_ALIAS}) SELECT {_ALIAS} FROM foreign_alias"
            f"{which or ' WHERE TRUE'} ON CONFLICT (old_hash, new_hash, timestamp) DO UPDATE SET"
            " end_time = excluded.end_time, end_author = excluded.end_author, seal = NULL"
            " WHERE task_alias.end_time IS NULL",
            given,
        ).rowcount
        driver.execute(f"DELETE FROM foreign_alias{which}", given)
    return entries, joined


def _marks(keys: Sequence[str]) -> str:
    return ", ".join("?" * len(keys))


__all__ = [
    "Origin",
    "Trusted",
    "bringers",
    "offered",
    "origins",
    "reclaim",
    "trust",
    "trust_all",
    "untrusted",
]
