"""The floor is a yardstick: it leaves the same rows as we do, in the same tables."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FEW, MANY = 20, 70


@pytest.fixture
def contestants(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The contestants by name, imported as the benchmarks import them."""
    for folder in (BENCHMARKS / "workloads", BENCHMARKS):
        monkeypatch.syspath_prepend(str(folder))
    import floor  # type: ignore[import-not-found]  # of the benchmarks
    import ours  # type: ignore[import-not-found]  # the same

    found = {"floor": floor.Contestant, "ours": ours.Contestant}
    for name in ("floor", "ours", "shapes"):
        sys.modules.pop(name, None)
    return found


def _rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in names
        }


def _rows_of_calls(contestant: Any, path: Path, work: str, few: int, many: int) -> dict[str, int]:
    """Return which rows so many more calls leave."""
    contestant.warm_up()
    getattr(contestant, work)(few)
    before = _rows(path)
    getattr(contestant, work)(many)
    after = _rows(path)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize(("work", "calls"), [("fanout", MANY - FEW), ("chain", MANY - FEW)])
def test_a_call_leaves_the_same_rows(
    tmp_path: Path, contestants: dict[str, Any], work: str, calls: int
) -> None:
    found = {}
    for name, kind in contestants.items():
        folder = tmp_path / name
        folder.mkdir()
        contestant = kind(folder)
        database = folder / ("floor.db" if name == "floor" else "taskgraph.db")
        found[name] = _rows_of_calls(contestant, database, work, FEW, MANY)
        contestant.close()

    # All but a few rows of the run itself, and of the list around the calls.
    assert found["floor"].keys() >= {"value", "evaluation", "call_node", "argument", "job"}
    for table in found["floor"].keys() | found["ours"].keys():
        apart = found["ours"].get(table, 0) - found["floor"].get(table, 0)
        assert abs(apart) <= 0.1 * calls, (table, found)


def test_what_was_called_before_is_not_run_again(
    tmp_path: Path, contestants: dict[str, Any]
) -> None:
    kind = contestants["floor"]
    first = kind(tmp_path)
    values = [first.fanout(30), first.chain(30), first.tree(5)]
    first.close()
    before = _rows(tmp_path / "floor.db")

    second = kind(tmp_path)
    assert [second.fanout(30), second.chain(30), second.tree(5)] == values
    second.close()

    after = _rows(tmp_path / "floor.db")
    assert after["evaluation"] == before["evaluation"]
    assert after["job"] == 2 * before["job"]
