"""What redun recorded is read as history: by its tables and lines alone, and nothing is loaded."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import InvalidRecordError
from taskgraph_backend import SqlBackend, integrity, models
from taskgraph_backend.recordfiles import RecordFile, redun_rows
from taskgraph_backend.redun import TAG, is_database, our_id

# The columns that a database of it was seen to have.
_TABLES = {
    "redun_version": "id, version, timestamp",
    "task": "hash, name, namespace, source",
    "value": "value_hash, type, format, value",
    "call_node": "call_hash, task_name, task_hash, args_hash, value_hash, timestamp",
    "file": "value_hash, path",
    "subvalue": "value_hash, parent_value_hash",
    "argument": "arg_hash, call_hash, value_hash, arg_position, arg_key",
    "call_edge": "parent_id, child_id, call_order",
    "argument_result": "arg_hash, result_call_hash",
    "execution": "id, args, job_id, updated_time",
    "job": "id, start_time, end_time, task_hash, cached, call_hash, parent_id, execution_id",
    "tag": "tag_hash, entity_type, entity_id, key, value, is_current",
}
_EVIL = b"cos\nsystem\n(S'touch loaded'\ntR."


def _hash(letter: str) -> str:
    return letter * 40


_ROWS: dict[str, list[tuple[Any, ...]]] = {
    "task": [
        (_hash("a"), "main", "poems", "def main(): ..."),
        (_hash("b"), "write", "poems", "def write(): ..."),
    ],
    "value": [
        (_hash("a"), "redun.Task", "application/python-pickle", _EVIL),
        (_hash("b"), "redun.Task", "application/python-pickle", _EVIL),
        (_hash("c"), "builtins.int", "application/python-pickle", b"\x80\x03K\x02."),
        (_hash("d"), "redun.File", "application/python-pickle", _EVIL),
        (_hash("e"), "builtins.list", "application/python-pickle", _EVIL),
    ],
    "file": [(_hash("d"), "../out.txt")],
    "subvalue": [(_hash("d"), _hash("e"))],
    "call_node": [
        (_hash("1"), "poems.main", _hash("a"), _hash("7"), _hash("e"), "2026-01-01 00:00:03.5"),
        (_hash("2"), "poems.write", _hash("b"), _hash("8"), _hash("d"), "2026-01-01 00:00:01"),
        (_hash("3"), "poems.write", _hash("b"), _hash("9"), _hash("d"), "2026-01-01 00:00:02"),
    ],
    "argument": [
        (_hash("4"), _hash("1"), _hash("c"), None, "n"),
        (_hash("5"), _hash("3"), _hash("d"), 0, None),
    ],
    "argument_result": [(_hash("5"), _hash("2"))],
    "call_edge": [(_hash("1"), _hash("3"), 1), (_hash("1"), _hash("2"), 0)],
    "execution": [("run-1", '["redun", "run"]', "job-1", None)],
    "job": [
        (
            "job-1",
            "2026-01-01 00:00:00",
            "2026-01-01 00:00:04",
            _hash("a"),
            0,
            _hash("1"),
            None,
            "run-1",
        ),
        ("job-2", "2026-01-01 00:00:00", None, _hash("b"), 0, None, "job-1", "run-1"),
    ],
    "tag": [
        (_hash("6"), "Execution", "run-1", "project", '"x"', 1),
        (_hash("7"), "Execution", "run-1", "old", "1", 0),
    ],
}


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A small database as redun makes it."""
    path = tmp_path / "redun.db"
    connection = sqlite3.connect(path)
    for table, columns in _TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({columns})")
    for table, rows in _ROWS.items():
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    connection.commit()
    connection.close()
    return str(path)


def test_history_is_read_and_a_second_time_nothing_is_new(database: str) -> None:
    backend = SqlBackend()

    first = backend.put_rows(redun_rows(database))
    second = backend.put_rows(redun_rows(database))

    assert is_database(database)
    assert first == {"Value": 5, "CallNode": 3, "Job": 2, "Execution": 1, "Tag": 12}
    assert second == {}
    assert integrity.check(backend) == []


def test_history_says_what_was(database: str) -> None:
    backend = SqlBackend()
    backend.put_rows(redun_rows(database))

    with backend.reader() as session:
        execution = session.get_one(models.Execution, our_id("run-1"))
        assert execution.job is not None and execution.job.call_node is not None
        call = execution.job.call_node
        assert execution.status == "DONE"
        assert {each.key: each.value for each in execution.tags} == {"project": "x", TAG: "run-1"}
        assert call.task.fullname == "poems.main"
        assert call.task.source == "def main(): ..."
        assert [each.task_name for each in call.children] == ["poems.write"] * 2
        assert [each.arg_key for each in call.arguments] == ["n"]
        (file,) = call.value.subfiles
        assert file.path == "../out.txt"
        second = call.children[1]
        assert second.arguments[0].upstream == [call.children[0]]
        assert not any(each.trusted for each in session.query(models.Value))
        assert sorted(each.status for each in execution.jobs) == ["DONE", "FAILED"]


def _exported() -> bytes:
    values = {row[0]: row for row in _ROWS["value"]}
    subtypes: dict[str, Any] = {
        key: {"_type": "Task", "name": name, "namespace": space, "source": source}
        for key, name, space, source in _ROWS["task"]
    }
    subtypes[_hash("d")] = {"_type": "File", "path": "../out.txt"}
    given = {
        _hash("1"): {"n": {"value_hash": _hash("c"), "upstream": []}},
        _hash("3"): {"0": {"value_hash": _hash("d"), "upstream": [_hash("2")]}},
    }
    lines: list[dict[str, Any]] = [
        {"_type": "Execution", "id": "run-1", "args": '["redun", "run"]', "job_id": "job-1"}
    ]
    jobs = [dict(zip(_TABLES["job"].split(", "), row, strict=True)) for row in _ROWS["job"]]
    lines += [{"_type": "Job", **each} for each in jobs]
    for row in _ROWS["call_node"]:
        fields = dict(zip(_TABLES["call_node"].split(", "), row, strict=True))
        children = [_hash("3"), _hash("2")] if row[0] == _hash("1") else []
        lines.append(
            {"_type": "CallNode", **fields, "args": given.get(row[0], {}), "children": children}
        )
    for key, (_, kind, form, content) in values.items():
        lines.append(
            {
                "_type": "Value",
                "value_hash": key,
                "type": kind,
                "format": form,
                "data": base64.b64encode(content).decode(),
                "subvalues": [_hash("d")] if key == _hash("e") else [],
                "subtype": subtypes.get(key),
            }
        )
    lines.append(
        {
            "_type": "Tag",
            "tag_hash": _hash("6"),
            "entity_type": "Execution",
            "entity_id": "run-1",
            "key": "project",
            "value": "x",
            "parents": [],
        }
    )
    return b"".join(json.dumps({"_version": 1, **each}).encode() + b"\n" for each in lines)


def test_an_export_gives_the_same_records_as_the_database(database: str) -> None:
    backend = SqlBackend()
    backend.put_rows(redun_rows(database))

    new = backend.put_rows(RecordFile(io.BytesIO(_exported()), "redun.jsonl").rows())

    assert new == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"_version": 1, "_type": "Value"}',
        '{"_version": 1, "_type": "Job", "id": "x", "call_hash": null}',
        '{"_version": 1, "_type": "Execution", "id": "x", "args": "[]", "job_id": "y"}\n{}',
        '{"_version": 1, "_type": "Value", "value_hash": 7, "data": "", "subtype": null}',
    ],
)
def test_lines_that_are_not_as_redun_writes_them_are_refused(text: str) -> None:
    file = RecordFile(io.BytesIO(text.encode() + b"\n"), "redun.jsonl")

    with pytest.raises(InvalidRecordError, match=r"redun\.jsonl, line"):
        SqlBackend().put_rows(file.rows())


def test_a_database_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE value (x)")
    connection.close()

    with pytest.raises(InvalidRecordError, match=r"not one of redun.*taskgraph repo add"):
        list(redun_rows(str(path)))


def test_a_database_that_lacks_a_table_is_refused(database: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute("DROP TABLE subvalue")
    connection.close()

    with pytest.raises(InvalidRecordError, match="cannot be read as a database of redun"):
        list(redun_rows(database))
