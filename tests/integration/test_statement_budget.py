"""How many statements and rows a call costs on SQLite: the same for few calls as for many.

Rows are written each 20 ms, which is a matter of time; here they are written when nothing else is
left to do, so that commits can be counted.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.engine import recorder
from taskgraph_backend.dialects.sqlite import SqliteDatabase

FEW, MANY = 100, 900
ASKED = "looked up"
_TABLE = re.compile(r"^(?:INSERT INTO (\w+)|SELECT\b.*\bFROM evaluation\b)", re.DOTALL)


@task(namespace="counted_statements", version="1")
def inc(x: int) -> int:
    return x + 1


@task(namespace="counted_statements", version="1", check_valid="shallow")
def whole(n: int) -> list[int]:
    return [inc(each) for each in range(n)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was asked of SQLite: rows by table, questions, transactions."""
    found: Counter[str] = Counter()
    connect: Callable[..., Any] = SqliteDatabase._open

    def note(text: str) -> None:
        match = _TABLE.match(text.strip())
        if match:
            found[match[1] or ASKED] += 1
        else:
            found[" ".join(text.split()[:1])] += 1

    def traced(self: SqliteDatabase, *given: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(self, *given, **named)
        connection.set_trace_callback(note)
        return connection

    monkeypatch.setattr(SqliteDatabase, "_open", traced)
    monkeypatch.setattr(recorder, "MAX_DELAY", 3_600.0)
    return found


def _counted(folder: Path, asked: Counter[str], expr: Any) -> Counter[str]:
    with Scheduler(backend=f"sqlite:///{folder / 'taskgraph.db'}", executor="inline") as scheduler:
        scheduler.run([inc(-1)])
        asked.clear()
        scheduler.run(expr)
        return Counter(asked)


def _a_call(many: Counter[str], few: Counter[str]) -> tuple[dict[str, float], float]:
    """Return which rows each call more costs, and how many other statements."""
    costs = {name: (many[name] - few[name]) / (MANY - FEW) for name in many | few}
    rows = {name: cost for name, cost in costs.items() if name.islower() and name != ASKED and cost}
    return rows, sum(costs.values()) - sum(rows.values())


def test_a_fresh_call_writes_six_rows_and_is_looked_up_with_the_others(
    tmp_path: Path, asked: Counter[str]
) -> None:
    # Each result is the argument of the next one: one value a call.
    few = _counted(tmp_path, asked, [inc(1_000 + i) for i in range(FEW)])
    many = _counted(tmp_path, asked, [inc(2_000 + i) for i in range(MANY)])

    rows, others = _a_call(many, few)
    tables = ("argument", "call_edge", "call_node", "evaluation", "job", "value")
    assert rows == dict.fromkeys(tables, 1.0)
    assert others <= 0.02, (few, many)
    assert many["COMMIT"] == few["COMMIT"] <= 6, (few, many)


def test_a_cached_call_writes_its_job_alone(tmp_path: Path, asked: Counter[str]) -> None:
    _counted(tmp_path, asked, [inc(i) for i in range(MANY)])

    _counted(tmp_path, asked, [inc(i) for i in range(FEW)])
    few = _counted(tmp_path, asked, [inc(i) for i in range(FEW)])
    many = _counted(tmp_path, asked, [inc(i) for i in range(MANY)])

    rows, others = _a_call(many, few)
    assert rows == {"job": 1.0}
    assert others <= 0.02, (few, many)
    assert many["COMMIT"] == few["COMMIT"] <= 4, (few, many)


def test_a_shallow_hit_costs_the_same_whatever_is_below_it(
    tmp_path: Path, asked: Counter[str]
) -> None:
    for n in (FEW, MANY):
        _counted(tmp_path, asked, whole(n))

    few = _counted(tmp_path, asked, whole(FEW))
    many = _counted(tmp_path, asked, whole(MANY))

    # What is asked of the code and of the run itself may differ by a statement.
    assert abs(sum(few.values()) - sum(many.values())) <= 2, (few, many)
    assert few["job"] == many["job"] <= 2
    assert sum(many.values()) <= 40, many


def test_a_queue_costs_a_statement_for_each_call_and_nothing_where_none_is_named(
    tmp_path: Path, asked: Counter[str]
) -> None:
    with Scheduler(backend=f"sqlite:///{tmp_path / 'taskgraph.db'}", executor="inline") as made:
        made.run([inc(-1)])
        updates = []
        for start, queue in ((1_000, None), (2_000, "gpu")):
            asked.clear()
            made.run([inc(start + i) for i in range(FEW)], queue=queue)
            updates.append(asked["UPDATE"])

    assert updates[1] - updates[0] == FEW
    assert updates[0] < FEW / 10
