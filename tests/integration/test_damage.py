"""Whatever happens to a row: runs give the right result, a check finds it, mending leaves none.

Each case takes a database with a finished run, damages some column of one table in one way, and
asks for the same results again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, Scheduler, get_context, task
from taskgraph.assembly.surroundings import in_force, places_of
from taskgraph.config import BackendSettings, Settings
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check, repair
from taskgraph_backend.models import Base

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

DAMAGES = ("deleted", "zeroed", "truncated", "flipped", "swapped")


@task(namespace="damage", version="1")
def double(x: Any) -> Any:
    return 2 * x


@task(namespace="damage", version="1")
def many(n: int) -> list[int]:
    return list(range(n))


@task(namespace="damage", version="1")
def array(n: int) -> Any:
    return np.arange(n)


@task(namespace="damage", version="1")
def frame(n: int) -> Any:
    return pd.DataFrame({"a": list(range(n)), "b": ["x"] * n})


@task(namespace="damage", version="1")
def objects(n: int) -> Any:
    return [np.array([n, "a", None], object), {"n": n}]


@task(namespace="damage", version="1")
def written(path: str, text: str) -> list[File]:
    file = File(path)
    file.write(text)
    return [file]


@task(namespace="damage", version="1")
def scaled(x: int, scale: int = get_context("scale", 1)) -> int:
    return x * scale


@task(namespace="damage", version="1")
def nested(n: int) -> Any:
    return [double(double(n)), scaled(n), many(n)]


@task(namespace="damage", version="1", check_valid="shallow")
def shallow(n: int) -> Any:
    return [double(n + 10), scaled(n + 20), nested(n)]


def _expected(folder: Path) -> list[Any]:
    inner = [20, 15, [0, 1, 2, 3, 4]]
    return [
        inner,
        [30, 75, inner],
        list(range(6)),
        [[0, "x"], [1, "x"], [2, "x"]],
        [[5, "a", None], {"n": 5}],
        "text of a file",
        [6, 2],
    ]


def _results(folder: Path, **sections: Any) -> list[Any]:
    """Run everything, and return the results as plain data."""
    settings = Settings(config_dir=folder, **sections)
    with Scheduler(settings) as scheduler:
        found = scheduler.run(
            [
                nested(5),
                shallow(5),
                array(6),
                frame(3),
                objects(5),
                written(str(folder.parent / "file.txt"), "text of a file"),
                [double(3), double(1)],
            ],
            context={"scale": 3},
        )
    deep, whole, numbers, table, mixed, files, pair = found
    return [
        deep,
        whole,
        numbers.tolist(),
        table.values.tolist(),
        [mixed[0].tolist(), mixed[1]],
        files[0].read(),
        pair,
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database after a run, with something in each table that a run writes to."""
    folder = tmp_path_factory.mktemp("whole") / "db"
    folder.mkdir()
    assert _results(folder) == _expected(folder)
    with SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}") as backend:
        driver = backend._connection()
        (job,) = driver.execute("SELECT id FROM job LIMIT 1").fetchone()
        backend.record_tags("Job", job.hex(), [("note", {"a": [1, "x"]}), ("kind", "good")])
        backend.update_tags("Job", job.hex(), ["kind"], [("kind", "better")])
        tasks = driver.execute("SELECT hash FROM task ORDER BY name LIMIT 3").fetchall()
        (one,), (two,), _ = tasks
        from taskgraph.records import RecordBatch, TaskAliasRecord

        backend.record(
            RecordBatch(
                task_aliases=[
                    TaskAliasRecord(one.hex(), two.hex(), 5, "a", "b", "me", "why", 9, "me")
                ]
            )
        )
        assert check(backend, deep=True) == []
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy of that folder, in the place that files are recorded at."""
    folder = tmp_path / "db"
    shutil.copytree(whole, folder)
    return folder


_TABLES = [
    "argument",
    "argument_result",
    "call_context",
    "call_edge",
    "call_node",
    "call_subtree_task",
    "evaluation",
    "execution",
    "file",
    "job",
    "part",
    "subvalue",
    "tag",
    "tag_edit",
    "task",
    "task_alias",
    "task_part",
    "value",
]


def _columns(table: str) -> list[str]:
    return [column.name for column in Base.metadata.tables[table].columns]


def _changed(value: Any, damage: str) -> Any:
    """Return a value with damage; the same one if it cannot have that."""
    if value is None or damage in ("deleted", "swapped"):
        return value
    if type(value) is int:
        return {"zeroed": 0, "truncated": value // 1000, "flipped": value ^ 1}[damage]
    if damage == "zeroed":
        return bytes(len(value)) if type(value) is bytes else ""
    if damage == "truncated":
        return value[: len(value) // 2]
    if type(value) is bytes:
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 4]) + value[middle + 1 :] if value else value
    return chr(ord(value[0]) ^ 2) + value[1:] if value else value


def _damage(path: Path, table: str, column: str, damage: str) -> bool:
    """Damage the first row where that changes anything; tell whether there is one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        names = _columns(table)
        place = names.index(column)
        keys = [each.name for each in Base.metadata.tables[table].primary_key]
        rows = connection.execute(
            f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(keys)} DESC"
        ).fetchall()
        for row in rows:
            where = " AND ".join(f"{key} = ?" for key in keys)
            given = [row[names.index(key)] for key in keys]
            if damage == "deleted":
                connection.execute(f"DELETE FROM {table} WHERE {where}", given)
                return True
            if damage == "swapped":
                others = [each for each in rows if each[place] != row[place]]
                if not others or row[place] is None or others[0][place] is None:
                    continue
                if column in keys:
                    continue
                other = [others[0][names.index(key)] for key in keys]
                sql = f"UPDATE {table} SET {column} = ? WHERE {where}"
                connection.execute(sql, [others[0][place], *given])
                connection.execute(sql, [row[place], *other])
                return True
            changed = _changed(row[place], damage)
            if changed == row[place]:
                continue
            try:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? WHERE {where}", [changed, *given]
                )
            except sqlite3.IntegrityError:
                continue
            return True
    return False


# What is said of a record and used for nothing: nobody can tell whether it was otherwise.
FREE = {
    ("execution", "args"),
    ("execution", "state_time"),
    ("execution", "state_type"),
    ("execution", "updated_time"),
    ("job", "cached"),
    ("job", "end_time"),
    ("job", "id"),
    ("job", "miss"),
    ("job", "parent_id"),
    ("job", "start_time"),
    ("job", "state_type"),
    ("task_alias", "author"),
    ("task_alias", "end_author"),
    ("task_alias", "new_name"),
    ("task_alias", "old_name"),
    ("task_alias", "why"),
    ("value", "preview"),
    ("value", "trusted"),
}
# Rows that nothing refers to: without one, it is as if it had never been written.
LEAVES = {
    "argument",
    "argument_result",
    "evaluation",
    "job",
    "tag",
    "task_alias",
    "task_part",
}


# What look-ups read is damaged column by column; of other tables the first ones, but in torture.
_READ = {"value", "evaluation", "call_node"}
_ALL = os.environ.get("TASKGRAPH_TORTURE") == "1"


def _tried(table: str, damage: str) -> list[str]:
    columns = _columns(table)
    if damage == "deleted":
        return columns[:1]
    if _ALL:
        return columns
    return columns if table in _READ and damage in ("swapped", "flipped") else columns[:2]


def _cases() -> Iterator[tuple[str, str]]:
    for table in _TABLES:
        for damage in DAMAGES:
            yield table, damage


@pytest.mark.parametrize(("table", "damage"), list(_cases()))
def test_damage_to_a_row_changes_no_result_is_found_and_mended(
    table: str, damage: str, whole: Path, tmp_path: Path
) -> None:
    for column in _tried(table, damage):
        folder = tmp_path / column / "db"
        shutil.copytree(whole, folder)
        if not _damage(folder / "taskgraph.db", table, column, damage):
            continue
        kept = tmp_path / column / "kept"
        shutil.copytree(folder, kept)
        is_free = (table, column) in FREE or (damage == "deleted" and table in LEAVES)

        # A run upon the damage; and another one after what was damaged is mended.
        assert _results(folder) == _expected(folder), column
        _check_and_mend(kept, (table, column, damage), must_find=not is_free)
        assert _results(kept) == _expected(kept), column


def _check_and_mend(folder: Path, case: tuple[str, str, str], *, must_find: bool) -> None:
    settings = Settings(config_dir=folder)
    with (
        in_force(settings, places_of(settings)),
        SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}") as backend,
    ):
        found, left = repair(backend)  # which looks once more when it has mended
        assert found or not must_find, case
        assert left == [], (case, found, left)


def test_a_second_check_is_clean(copied: Path) -> None:
    for table in ("value", "evaluation", "call_node", "task"):
        assert _damage(copied / "taskgraph.db", table, _columns(table)[0], "flipped")

    with SqlBackend(f"sqlite:///{copied / 'taskgraph.db'}") as backend:
        found = check(backend, deep=True)
        repair(backend)

        assert {each.table for each in found} >= {"evaluation", "call_node"}
        assert check(backend, deep=True) == []
        rows = backend._connection().execute("SELECT count(*) FROM quarantine").fetchone()
        assert rows[0] > 0


# What a run reads, on a server that looks at foreign keys itself.
_ON_A_SERVER = {
    "bytes of a value": "UPDATE value SET value = '\\x00' WHERE size > 10",
    "no bytes": "UPDATE value SET value = ''",
    "values swapped": "UPDATE value SET (type, format, value, size, content_digest) ="
    " (SELECT o.type, o.format, o.value, o.size, o.content_digest FROM value o"
    " WHERE o.value_hash <> value.value_hash AND o.type = value.type AND o.format = value.format"
    " ORDER BY o.value_hash LIMIT 1) WHERE type LIKE 'builtins.%' AND EXISTS (SELECT 1 FROM value o"
    " WHERE o.value_hash <> value.value_hash AND o.type = value.type AND o.format = value.format)",
    "results swapped": "UPDATE evaluation SET value_hash = (SELECT o.value_hash FROM evaluation o"
    " WHERE o.value_hash <> evaluation.value_hash ORDER BY o.eval_hash LIMIT 1)",
    "results of calls swapped": "UPDATE call_node SET value_hash = (SELECT o.value_hash FROM"
    " call_node o WHERE o.value_hash <> call_node.value_hash ORDER BY o.call_hash LIMIT 1)",
    "entries gone": "DELETE FROM evaluation",
    "reads gone": "DELETE FROM call_context",
    "tasks below gone": "DELETE FROM call_subtree_task",
    "values gone": "DELETE FROM value",
    "tasks gone": "DELETE FROM task",
}


@pytest.mark.parametrize("damage", _ON_A_SERVER)
def test_damage_on_a_server_changes_no_result(
    damage: str, own_postgres_uri: str, tmp_path: Path
) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    settings = {"backend": BackendSettings(db_uri=own_postgres_uri, automigrate=True)}
    assert _results(folder, **settings) == _expected(folder)
    with SqlBackend(own_postgres_uri) as backend:
        driver = backend._connection()
        driver.execute("SET session_replication_role = replica")
        driver.execute(_ON_A_SERVER[damage])
        driver.execute("SET session_replication_role = DEFAULT")

    assert _results(folder, **settings) == _expected(folder)

    with SqlBackend(own_postgres_uri) as backend:
        _, left = repair(backend)
        assert left == []
    assert _results(folder, **settings) == _expected(folder)
