"""Writes records from elsewhere: what is there already stays as it is, and nothing is loaded.

A record that exists is left alone with all that it owns: nobody adds an argument to a call of ours,
a file to a value, or a job to an execution. What is new is untrusted, see `foreign`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy.types import TypeEngine

from taskgraph.errors import InvalidRecordError
from taskgraph.jsontext import to_json
from taskgraph.tags import RESERVED, RETRACTED
from taskgraph.values.valuestore import ValueStore
from taskgraph_backend import models, statements
from taskgraph_backend.columns import JSON, Hash16
from taskgraph_backend.dialects import Driver
from taskgraph_backend.outside import put_outside
from taskgraph_backend.retracting.marking import settle
from taskgraph_backend.serializers import Rows
from taskgraph_backend.serializers.jobs import CARRIED

_binary = bytearray.fromhex
_Row = dict[str, Any]

# The column that holds the id of each kind of record.
_IDS = {
    "Value": ("value", "value_hash"),
    "CallNode": ("call_node", "call_hash"),
    "Job": ("job", "id"),
    "Execution": ("execution", "id"),
    "Tag": ("tag", "tag_hash"),
    "Task": ("task", "hash"),
    "Handle": ("handle", "hash"),
}
# What a value may stand for, with the tables that say so.
_STANDINGS: dict[type[models.Base], tuple[type[models.Base], ...]] = {
    models.Task: (models.Task, models.Part, models.TaskPart),
    models.Handle: (models.Handle, models.HandleEdge),
}
# What comes from elsewhere has no seal of ours, and tags say what was retracted.
_OURS = frozenset({"seal", "retracted"})
#: The kinds that are marked as untrusted; of the others nothing is ever used.
_MARKED = frozenset({"Value", "CallNode", "Execution"})

_EVALUATION = (
    "INSERT INTO foreign_evaluation (eval_hash, task_hash, args_hash, value_hash, timestamp,"
    " origin) SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM evaluation"
    " WHERE eval_hash = ?) ON CONFLICT (eval_hash) DO UPDATE SET"
    " value_hash = excluded.value_hash, timestamp = excluded.timestamp, origin = excluded.origin"
    " WHERE excluded.timestamp > foreign_evaluation.timestamp"
)
_ALIAS = (
    "INSERT INTO foreign_alias (old_hash, new_hash, timestamp, old_name, new_name, author, why,"
    " end_time, end_author, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (old_hash, new_hash, timestamp) DO UPDATE SET end_time = excluded.end_time,"
    " end_author = excluded.end_author WHERE foreign_alias.end_time IS NULL"
)
_MARK = (
    "INSERT INTO foreign_record (id, entity_type, origin, timestamp) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)


def outside_first(records: Iterable[Rows], store: ValueStore | None) -> Iterator[Rows]:
    """Give records whose large values lie in a store by now: nobody waits for that later.

    What is not written after all leaves an entry that no row refers to.
    """
    for each in records:
        for model, row in each.rows:
            if model is models.Value and store is not None:
                put_outside(row, store)
        yield each


class Writer:
    """Writes records, as `kept.KeptRows` has them, within a transaction that somebody else began.

    Args:
        driver: The connection.
        origin: Where the records come from, for those who are asked whether to trust them.
        time: When that is, in microseconds.

    Attributes:
        new: How many records were new, by type.
    """

    def __init__(self, driver: Driver, origin: str, time: int) -> None:
        self._driver = driver
        self._origin = origin
        self._time = time
        self.new: dict[str, int] = {}
        self._executions: set[str] = set()
        self._is_retracted = False

    def end(self) -> None:
        """Look at what can be told only when all records are there; mark what was retracted.

        Raises:
            InvalidRecordError: A job says that it is below one of an execution that was here.
        """
        if self._is_retracted:
            settle(self._driver)
        for key in self._executions:
            rows = self._driver.execute(
                "SELECT j.id, p.execution_id FROM job j JOIN job p ON p.id = j.parent_id"
                " WHERE j.execution_id = ? AND p.execution_id <> j.execution_id",
                (_binary(key),),
            )
            for job, execution in rows:
                if execution.hex() not in self._executions:
                    raise InvalidRecordError(
                        "its parent_id is a job of an execution that was here before",
                        kind="Job",
                        record_id=job.hex(),
                    )

    def write(self, batch: Sequence[Rows]) -> None:
        """Write records that were checked."""
        by_kind: dict[str, dict[str, Rows]] = {}
        for each in batch:
            by_kind.setdefault(each.kind, {}).setdefault(each.record_id, each)
        for kind, found in by_kind.items():
            if kind == "TaskAlias":
                self._write_aliases(list(found.values()))
                continue
            known = self._known(kind, list(found))
            new = [each for key, each in found.items() if key not in known]
            if kind == "Execution":
                self._executions.update(each.record_id for each in new)
            if kind == "Job":
                new = self._of_new_executions(new)
            if kind == "Tag":
                new = self._without_words_of_ours(new)
            if kind in _MARKED:
                self._refuse_taken(kind, [each.record_id for each in new])
            self._count(kind, len(new))
            self._insert(new)
            if kind == "Value":
                self._complete([each for key, each in found.items() if key in known])
            if kind == "CallNode":
                self._write_evaluations(new)
            if kind == "Tag":
                self._supersede(new)
            if kind in _MARKED:
                self._driver.executemany(
                    _MARK,
                    [(_binary(each.record_id), kind, self._origin, self._time) for each in new],
                )

    def _count(self, kind: str, number: int) -> None:
        if number:
            self.new[kind] = self.new.get(kind, 0) + number

    def _of_new_executions(self, jobs: Sequence[Rows]) -> list[Rows]:
        """Leave out jobs that are said to be of an execution that was here before."""
        executions = {each.record_id: each.rows[0][1]["execution_id"] for each in jobs}
        others = self._known("Execution", sorted(set(executions.values())))
        others -= self._executions
        return [each for each in jobs if executions[each.record_id] not in others]

    def _without_words_of_ours(self, tags: Sequence[Rows]) -> list[Rows]:
        """Leave out tags that speak for this library on runs that were made here.

        What ``taskgraph.context`` says of a job, for one, it is run with again.
        """
        spoken = [each for each in tags if each.rows[0][1]["key"].startswith(RESERVED)]
        # Retractions travel: what one says makes nothing be used, it makes something run again.
        spoken = [each for each in spoken if each.rows[0][1]["key"] != RETRACTED]
        about = sorted({each.rows[0][1]["entity_id"] for each in spoken})
        ours: set[str] = set()
        for keys in statements.padded(about):
            marks = ", ".join("?" * len(keys))
            rows = self._driver.execute(
                f"SELECT j.id FROM job j WHERE j.id IN ({marks}) AND NOT EXISTS"
                " (SELECT 1 FROM foreign_record f WHERE f.id = j.execution_id) UNION ALL"
                f" SELECT x.id FROM execution x WHERE x.id IN ({marks}) AND NOT EXISTS"
                " (SELECT 1 FROM foreign_record f WHERE f.id = x.id)",
                [_binary(key) for key in keys] * 2,
            )
            ours.update(key.hex() for (key,) in rows)
        refused = {each.record_id for each in spoken if each.rows[0][1]["entity_id"] in ours}
        return [each for each in tags if each.record_id not in refused]

    def _refuse_taken(self, kind: str, ids: Sequence[str]) -> None:
        """Refuse ids that a record of another kind has: the mark of one would be that of both."""
        for other in sorted(_MARKED - {kind}):
            for key in sorted(self._known(other, ids)):
                raise InvalidRecordError(
                    f"its id is that of a record of the type {other} here",
                    kind=kind,
                    record_id=key,
                )

    def _known(self, kind: str, ids: Sequence[str]) -> set[str]:
        table, column = _IDS[kind]
        found: set[str] = set()
        for keys in statements.padded(ids):
            marks = ", ".join("?" * len(keys))
            rows = self._driver.execute(
                f"SELECT {column} FROM {table} WHERE {column} IN ({marks})",
                [_binary(key) for key in keys],
            )
            found.update(key.hex() for (key,) in rows)
        return found

    def _insert(self, records: Sequence[Rows]) -> None:
        tables: dict[type[models.Base], list[_Row]] = {}
        for each in records:
            for model, row in each.rows:
                tables.setdefault(model, []).append(row)
        for model, rows in tables.items():
            sql, bind = _statement(model)
            self._driver.executemany(sql, [bind(row) for row in rows])

    def _complete(self, values: Sequence[Rows]) -> None:
        """Add to values that are here what they stand for, where nobody has known that yet.

        A task that was only ever handed around is a value like others: its code is not recorded.
        """
        for model, names in _STANDINGS.items():
            lacking = [each for each in values if any(kind is model for kind, _ in each.rows)]
            if not lacking:
                continue
            known = self._known(model.__name__, [each.record_id for each in lacking])
            for each in lacking:
                if each.record_id in known:
                    continue
                rows = [row for row in each.rows if row[0] in names]
                self._insert([Rows(each.kind, each.record_id, rows)])
                self._driver.execute(
                    _MARK, (_binary(each.record_id), "Value", self._origin, self._time)
                )

    def _write_evaluations(self, records: Sequence[Rows]) -> None:
        rows = [row for each in records for _, row in each.beside]
        self._driver.executemany(
            _EVALUATION,
            [
                (
                    _binary(row["eval_hash"]),
                    _binary(row["task_hash"]),
                    _binary(row["args_hash"]),
                    _binary(row["value_hash"]),
                    row["timestamp"],
                    self._origin,
                    _binary(row["eval_hash"]),
                )
                for row in rows
            ],
        )

    def _supersede(self, records: Sequence[Rows]) -> None:
        """Have tags that have later ones not be current, whichever of both came first."""
        self._is_retracted |= any(each.rows[0][1]["key"] == RETRACTED for each in records)
        tags = [(_binary(each.record_id),) for each in records]
        twice = [(*each, *each) for each in tags]
        self._driver.executemany(
            "UPDATE tag SET is_current = FALSE WHERE tag_hash IN (SELECT p.tag_hash"
            " FROM tag_edit e JOIN tag c ON c.tag_hash = e.child_id"
            " JOIN tag p ON p.tag_hash = e.parent_id"
            " WHERE e.child_id = ? AND p.entity_id = c.entity_id)",
            tags,
        )
        self._driver.executemany(
            "UPDATE tag SET is_current = FALSE WHERE tag_hash = ?"
            " AND EXISTS (SELECT 1 FROM tag_edit WHERE parent_id = ?)",
            twice,
        )

    def _write_aliases(self, records: Sequence[Rows]) -> None:
        _, bind = _statement(models.TaskAlias)
        for each in records:
            row = bind(each.rows[0][1])
            *key, end = row[0], row[1], row[2], row[7]
            known = [
                found
                for table in ("task_alias", "foreign_alias")
                for (found,) in self._driver.execute(
                    f"SELECT end_time FROM {table} WHERE old_hash = ? AND new_hash = ?"
                    " AND timestamp = ?",
                    key,
                )
            ]
            # One that ended does not begin again.
            if known and (end is None or any(found is not None for found in known)):
                continue
            self._driver.execute(_ALIAS, (*row, self._origin))
            self._count("TaskAlias", 1)


_statements: dict[type[models.Base], tuple[str, Callable[[_Row], tuple[Any, ...]]]] = {}


def _statement(model: type[models.Base]) -> tuple[str, Callable[[_Row], tuple[Any, ...]]]:
    """Return the statement that keeps rows of a table, and what makes its parameters of one."""
    known = _statements.get(model)
    if known is None:
        table = model.__table__
        carried = CARRIED.get(model.__tablename__, {each.name for each in table.columns} - _OURS)
        columns = [
            (column.name, _binder(column.type))
            for column in table.columns
            if column.name in carried
        ]
        names = ", ".join(name for name, _ in columns)
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"

        def bind(row: _Row) -> tuple[Any, ...]:
            return tuple([make(row[name]) for name, make in columns])

        known = _statements[model] = (sql, bind)
    return known


def _binder(kind: TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(kind, Hash16):
        return lambda value: None if value is None else _binary(value)
    if isinstance(kind, JSON):
        return to_json
    return lambda value: value
