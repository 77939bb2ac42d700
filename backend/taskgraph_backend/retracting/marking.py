"""Marks calls and executions as retracted, takes that back, and puts the marks right.

What says that something is retracted is a tag on it, which names the retraction; the column
``retracted`` only repeats it, so that a look-up need not ask for tags. Each function is given a
connection with a transaction that is alone: all of it is done, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

from taskgraph.catalog.retractions import Retraction, Wanted
from taskgraph.errors import UnknownRecordError
from taskgraph.tags import RETRACTED, RetractionWords, retraction_words, tag_record
from taskgraph_backend import claims, statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.retracting.closure import (
    Key,
    Seeds,
    closure,
    files_inside,
    makers,
    readers,
)
from taskgraph_backend.tags import DELETED, deletion_of, tag_row
from taskgraph_backend.times import from_micros, to_micros

_binary = bytes.fromhex

_ROW: Final = (
    "INSERT INTO retraction (id, entity_type, entity_id, target, reason, author, timestamp,"
    " cascades, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"
)
_LIVE: Final = (
    "SELECT id, author, timestamp FROM retraction WHERE entity_id = ? AND entity_type = ?"
    " AND reason = ? AND cascades = ? AND ended_at IS NULL ORDER BY timestamp, id LIMIT 1"
)
_ROOTS: Final = (
    "SELECT DISTINCT e.id FROM job j JOIN execution e ON e.id = j.execution_id AND e.job_id = j.id"
    " WHERE j.call_hash IN ({})"
)
# Those that only took their results from the cache were computed by others.
_OWN_CALLS: Final = (
    "SELECT DISTINCT j.call_hash FROM job j JOIN execution e ON e.id = j.execution_id"
    " WHERE e.id = ? AND j.call_hash IS NOT NULL AND (NOT j.cached OR j.id = e.job_id)"
)
_GIVEN_DATASET: Final = (
    "SELECT x.execution_id FROM execution_dataset x JOIN dataset d ON d.id = x.dataset_id"
    " AND d.value_hash = x.value_hash WHERE d.id = ? AND x.role = 'input'"
)
_GROUPS: Final = "SELECT DISTINCT group_id FROM execution WHERE id IN ({}) AND group_id IS NOT NULL"
_DIRTY: Final = (
    "UPDATE execution_group SET dirty = TRUE, dirty_reason = 'retracted',"
    " planned_dataset_hash = NULL, updated_at = ? WHERE id = ?"
)
# Of executions that were retracted elsewhere.
_GROUPS_TOLD: Final = (
    "SELECT DISTINCT group_id FROM execution WHERE NOT retracted AND group_id IS NOT NULL"
    " AND id IN (SELECT entity_id FROM tag WHERE key = ? AND is_current"
    " AND entity_type = 'Execution')"
)
# New content has not been retracted, whatever is said of what was there before: so the mark of a
# dataset is only ever set by who retracts it.
_FREE_DATASETS: Final = (
    "UPDATE dataset SET retracted = FALSE WHERE retracted AND NOT EXISTS (SELECT 1 FROM retraction"
    " r WHERE r.entity_id = dataset.id AND r.entity_type = 'Dataset' AND r.ended_at IS NULL)"
)
_TASKS: Final = "SELECT task_name FROM call_node WHERE call_hash IN ({})"
_RUNNING: Final = "SELECT id FROM execution WHERE state_type = 'RUNNING' ORDER BY id"
_TAGS: Final = (
    "SELECT tag_hash, entity_type, entity_id, value, is_current FROM tag WHERE key = ?"
    f" AND entity_type <> '{DELETED}'"
)
# By the record, and not by the index of keys: thousands of records have tags of this one.
_IS_SAID: Final = (
    "EXISTS (SELECT 1 FROM tag t WHERE t.entity_id = {table}.{column}"
    f" AND t.key || '' = '{RETRACTED}' AND t.is_current AND t.entity_type <> '{DELETED}')"
)
# What has such a tag: its type, its table, and the column of its id.
_MARKED: Final = (("CallNode", "call_node", "call_hash"), ("Execution", "execution", "id"))


_THERE: Final = {
    "Execution": "SELECT 1 FROM execution WHERE id = ?",
    "CallNode": "SELECT 1 FROM call_node WHERE call_hash = ?",
    "Dataset": "SELECT 1 FROM dataset WHERE id = ?",
    "Value": "SELECT 1 FROM value WHERE value_hash = ?",
}


class Found(NamedTuple):
    """What a retraction takes with it.

    Attributes:
        calls: The calls, as hex.
        executions: The executions, as hex.
        groups: The groups of these.
        tasks: How many of the calls are of which task.
        running: The executions that run meanwhile, and may have used some of it.
    """

    calls: tuple[str, ...]
    executions: tuple[str, ...]
    groups: tuple[str, ...]
    tasks: tuple[tuple[str, int], ...]
    running: tuple[str, ...]


def retract(driver: Driver, wanted: Wanted) -> Retraction:
    """Mark what is wanted, with all that came from it; a dry run only says what that is."""
    found = _find(driver, wanted)
    now = claims.clock(driver)
    said = (_binary(wanted.entity_id), wanted.entity_type, wanted.reason, wanted.cascade)
    row = driver.execute(_LIVE, said).fetchone()
    is_new = row is None
    key, author, since = (_binary(wanted.id), wanted.by, now) if row is None else row
    retraction = Retraction(
        id=key.hex(),
        entity_type=wanted.entity_type,
        entity_id=wanted.entity_id,
        target=wanted.target,
        reason=wanted.reason,
        by=author,
        at=from_micros(since),
        cascade=wanted.cascade,
        calls=found.calls,
        executions=found.executions,
        groups=found.groups,
        tasks=found.tasks,
        running=found.running,
        is_new=is_new,
        is_dry=wanted.dry_run,
    )
    if wanted.dry_run:
        return retraction
    if is_new:
        columns = (wanted.entity_type, _binary(wanted.entity_id), wanted.target, wanted.reason)
        driver.execute(_ROW, (key, *columns, author, since, wanted.cascade))
    words = _words_of(retraction)
    for kind, ids in (("CallNode", found.calls), ("Execution", found.executions)):
        driver.executemany(
            statements.TAG,
            [tag_row(tag_record(kind, each, RETRACTED, words._asdict())) for each in ids],
        )
    for (_, table, column), ids in zip(_MARKED, (found.calls, found.executions), strict=True):
        _set(driver, table, column, ids)
    if wanted.entity_type == "Dataset":
        driver.execute(
            "UPDATE dataset SET retracted = TRUE WHERE id = ?", (_binary(wanted.entity_id),)
        )
    driver.executemany(_DIRTY, [(now, _binary(each)) for each in found.groups])
    return retraction


def unretract(driver: Driver, retraction_id: str) -> tuple[int, int] | None:
    """Take a retraction back: exactly its own tags go.

    Returns:
        How many calls and executions count again; None where there is no such retraction.
    """
    key = _binary(retraction_id)
    row = driver.execute(
        "SELECT entity_type, ended_at FROM retraction WHERE id = ?", (key,)
    ).fetchone()
    if row is None:
        return None
    entity_type, ended_at = row
    if ended_at is not None:
        return 0, 0
    gone: dict[str, list[str]] = {kind: [] for kind, _, _ in _MARKED}
    for tag_hash, kind, owner, text, is_current in driver.execute(_TAGS, (RETRACTED,)).fetchall():
        words = _read(text)
        if is_current and words is not None and words.id == retraction_id:
            gone[kind].append(owner.hex())
            marker = deletion_of(tag_hash.hex(), owner.hex(), RETRACTED)
            driver.execute(statements.TAG, tag_row(marker))
            driver.execute(statements.TAG_EDIT, (tag_hash, _binary(marker.tag_hash)))
            driver.execute("UPDATE tag SET is_current = FALSE WHERE tag_hash = ?", (tag_hash,))
    driver.execute("UPDATE retraction SET ended_at = ? WHERE id = ?", (claims.clock(driver), key))
    calls, executions = (
        _clear(driver, table, column, gone[kind]) for kind, table, column in _MARKED
    )
    if entity_type == "Dataset":
        driver.execute(_FREE_DATASETS)
    return calls, executions


def settle(driver: Driver) -> None:
    """Put all marks right by the tags, which may have come from elsewhere."""
    live: dict[str, RetractionWords] = {}
    every: dict[str, RetractionWords] = {}
    for _, _, _, text, is_current in driver.execute(_TAGS, (RETRACTED,)).fetchall():
        words = _read(text)
        if words is None:
            continue
        every[words.id] = words
        if is_current:
            live[words.id] = words
    datasets: set[Key] = set()
    for words in every.values():
        of = words.of
        since = to_micros(datetime.fromisoformat(words.at).astimezone(UTC))
        given = (of["type"], _binary(of["id"]), of["name"], words.reason, words.by, since)
        is_new = driver.execute(_ROW, (_binary(words.id), *given, words.cascade)).rowcount
        if is_new and words.id in live and of["type"] == "Dataset":
            datasets.add(_binary(of["id"]))
    now = claims.clock(driver)
    for each in every.keys() - live.keys():
        driver.execute(
            "UPDATE retraction SET ended_at = ? WHERE id = ? AND ended_at IS NULL",
            (now, _binary(each)),
        )
    for each in live:
        driver.execute("UPDATE retraction SET ended_at = NULL WHERE id = ?", (_binary(each),))
    groups = driver.execute(_GROUPS_TOLD, (RETRACTED,)).fetchall()
    driver.executemany(_DIRTY, [(now, group) for (group,) in groups])
    for kind, table, column in _MARKED:
        said = _IS_SAID.format(table=table, column=column)
        driver.execute(f"UPDATE {table} SET retracted = FALSE WHERE retracted AND NOT {said}")
        driver.execute(
            f"UPDATE {table} SET retracted = TRUE WHERE NOT retracted AND {column} IN"
            " (SELECT entity_id FROM tag WHERE key = ? AND is_current AND entity_type = ?)",
            (RETRACTED, kind),
        )
    driver.execute(_FREE_DATASETS)
    # Of those that were known here before it is not asked: their content may be another since.
    _set(driver, "dataset", "id", [each.hex() for each in datasets])


def _find(driver: Driver, wanted: Wanted) -> Found:
    key = _binary(wanted.entity_id)
    if driver.execute(_THERE[wanted.entity_type], (key,)).fetchone() is None:
        raise UnknownRecordError(wanted.entity_id)  # deleted since it was found
    executions: set[Key] = set()
    match wanted.entity_type:
        case "Execution":
            executions = {key}
            seeds = Seeds(frozenset(_column(driver, _OWN_CALLS, key)))
        case "CallNode":
            seeds = Seeds(frozenset({key}), all_files=True)
        case "Dataset":
            executions = set(_column(driver, _GIVEN_DATASET, key))
            (value,) = driver.execute(
                "SELECT value_hash FROM dataset WHERE id = ?", (key,)
            ).fetchone()
            files = files_inside(driver, {value})
            seeds = Seeds(frozenset(readers(driver, {*files, value})), frozenset(files))
        case _:
            # Whoever made it would make it again.
            given = readers(driver, {key})
            seeds = Seeds(frozenset({*given, *makers(driver, {key})}), frozenset({key}))
    calls = closure(driver, seeds) if wanted.cascade else set(seeds.calls)
    executions |= set(_many(driver, _ROOTS, calls))
    groups = set(_many(driver, _GROUPS, executions))
    tasks = Counter(_many(driver, _TASKS, calls))
    ordered = sorted(tasks.items(), key=lambda each: (-each[1], each[0]))
    running = [each for (each,) in driver.execute(_RUNNING).fetchall()]
    return Found(_hex(calls), _hex(executions), _hex(groups), tuple(ordered), _hex(running))


def _hex(keys: Iterable[Key]) -> tuple[str, ...]:
    return tuple(sorted(each.hex() for each in keys))


def _column(driver: Driver, question: str, key: Key) -> Iterable[Key]:
    return [found for (found,) in driver.execute(question, (key,)).fetchall()]


def _many(driver: Driver, question: str, keys: Collection[Key]) -> Iterable[Any]:
    """Yield what is found for keys. Any: as the database gives it."""
    for piece in statements.padded(sorted(keys)):
        marks = ", ".join("?" * len(piece))
        yield from (found for (found,) in driver.execute(question.format(marks), piece).fetchall())


def _set(driver: Driver, table: str, column: str, ids: Iterable[str]) -> None:
    for piece in statements.padded([_binary(each) for each in ids]):
        marks = ", ".join("?" * len(piece))
        driver.execute(
            f"UPDATE {table} SET retracted = TRUE WHERE {column} IN ({marks}) AND NOT retracted",
            piece,
        )


def _clear(driver: Driver, table: str, column: str, ids: Iterable[str]) -> int:
    """Have those count again of which no other retraction is in force; returns how many."""
    count = 0
    for piece in statements.padded([_binary(each) for each in ids]):
        marks = ", ".join("?" * len(piece))
        said = _IS_SAID.format(table=table, column=column)
        count += driver.execute(
            f"UPDATE {table} SET retracted = FALSE WHERE {column} IN ({marks}) AND retracted"
            f" AND NOT {said}",
            piece,
        ).rowcount
    return count


def _words_of(retraction: Retraction) -> RetractionWords:
    return RetractionWords(
        id=retraction.id,
        reason=retraction.reason,
        by=retraction.by,
        at=retraction.at.isoformat(),
        cascade=retraction.cascade,
        of={
            "type": retraction.entity_type,
            "id": retraction.entity_id,
            "name": retraction.target,
        },
    )


@cache
def _read(text: str) -> RetractionWords | None:
    return retraction_words(text)


def listed(driver: Driver, *, include_ended: bool) -> list[Retraction] | None:
    """Return the retractions, the newest first, with what each has marked now.

    None if tags name one that is not known, as after an older version of the schema: `settle` makes
    up for that.
    """
    which = "" if include_ended else " WHERE ended_at IS NULL"
    rows: list[Any] = driver.execute(
        "SELECT id, entity_type, entity_id, target, reason, author, timestamp, cascades, ended_at"
        f" FROM retraction{which} ORDER BY timestamp DESC, id"
    ).fetchall()
    marked: dict[tuple[str, str], list[str]] = {}
    for _, kind, owner, text, is_current in driver.execute(_TAGS, (RETRACTED,)).fetchall():
        words = _read(text)
        if is_current and words is not None:
            marked.setdefault((words.id, kind), []).append(owner.hex())
    known = {row[0].hex() for row in rows}
    if any(each not in known for each, _ in marked):
        return None
    return [
        Retraction(
            id=key.hex(),
            entity_type=entity_type,
            entity_id=entity_id.hex(),
            target=target,
            reason=reason,
            by=author,
            at=from_micros(since),
            cascade=bool(cascades),
            calls=tuple(sorted(marked.get((key.hex(), "CallNode"), ()))),
            executions=tuple(sorted(marked.get((key.hex(), "Execution"), ()))),
            ended_at=None if ended_at is None else from_micros(ended_at),
        )
        for key, entity_type, entity_id, target, reason, author, since, cascades, ended_at in rows
    ]


__all__ = ["Found", "listed", "retract", "settle", "unretract"]
