"""Reads what redun recorded, from its SQLite database or its exported lines, as records of ours.

Only what its tables and lines show is used: no class of it is needed, and no value is loaded. Its
hashes have 40 digits and are made in other ways, so that each id becomes one of ours, always the
same, and stays with the record as a tag. Its results are therefore history: no call here has its
keys.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from taskgraph.errors import InvalidRecordError
from taskgraph.hashing import (
    ArgsHash,
    CallHash,
    TaskHash,
    ValueHash,
    digest_bytes,
    hash_argument,
    hash_call,
    hash_eval,
    hash_record,
)
from taskgraph.tags import tag_record
from taskgraph_backend.serializers import VERSION, Record

#: The tag that says which record of redun one was.
TAG = "taskgraph.redun.id"
_FIRST = b"SQLite format 3\0"
_NO_TIME = "1970-01-01T00:00:00.000000+00:00"


def is_database(name: str) -> bool:
    """Tell whether a file is a database of SQLite."""
    # What was read of a pipe is gone.
    if name == "-" or "://" in name or not os.path.isfile(name):
        return False
    with open(name, "rb") as opened:
        return opened.read(len(_FIRST)) == _FIRST


def read_database(name: str) -> Iterator[Record]:
    """Yield the records of a database of redun.

    Raises:
        InvalidRecordError: It is not one.
    """
    connection = sqlite3.connect(f"file:{quote(name)}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if "redun_version" not in found:
            raise InvalidRecordError(
                "it is a database, and not one of redun",
                source=name,
                advice="To move records of taskgraph, name a repo: taskgraph repo add NAME PLACE",
            )
        yield from _converted(_rows(connection))
    except (sqlite3.Error, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InvalidRecordError):
            raise
        raise InvalidRecordError(
            f"it cannot be read as a database of redun ({type(error).__name__}: {error})",
            source=name,
        ) from error
    finally:
        connection.close()


def is_line(record: Record) -> bool:
    """Tell whether a line that was read is the first one of an export of redun."""
    return record.get("_type") in _KINDS and record.get("_version") == 1


def read_lines(lines: Iterable[Record]) -> Iterator[Record]:
    """Yield the records of an export of redun.

    Raises:
        InvalidRecordError: A line is not as redun writes it.
    """
    try:
        yield from _converted(lines)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InvalidRecordError):
            raise
        raise InvalidRecordError(
            f"it is not as redun writes it ({type(error).__name__}: {error})"
        ) from error


# From tables to the same dicts that an export has


def _rows(connection: sqlite3.Connection) -> Iterator[Record]:
    def lists(sql: str, key: str) -> list[str]:
        return [row[0] for row in connection.execute(sql, (key,))]

    for row in connection.execute("SELECT * FROM value"):
        key = row["value_hash"]
        yield {
            "_type": "Value",
            "value_hash": key,
            "type": row["type"],
            "format": row["format"],
            "data": base64.b64encode(row["value"]).decode(),
            "subvalues": lists("SELECT value_hash FROM subvalue WHERE parent_value_hash = ?", key),
            "subtype": _subtype(connection, key),
        }
    for row in connection.execute("SELECT * FROM call_node"):
        key = row["call_hash"]
        arguments = connection.execute("SELECT * FROM argument WHERE call_hash = ?", (key,))
        yield {
            "_type": "CallNode",
            **{name: row[name] for name in row.keys()},  # noqa: SIM118 - its rows are no dicts
            "args": {
                str(each["arg_key"] if each["arg_position"] is None else each["arg_position"]): {
                    "value_hash": each["value_hash"],
                    "upstream": lists(
                        "SELECT result_call_hash FROM argument_result WHERE arg_hash = ?",
                        each["arg_hash"],
                    ),
                }
                for each in arguments
            },
            "children": lists(
                "SELECT child_id FROM call_edge WHERE parent_id = ? ORDER BY call_order", key
            ),
        }
    for row in connection.execute("SELECT * FROM execution"):
        yield {"_type": "Execution", "id": row["id"], "args": row["args"], "job_id": row["job_id"]}
    for row in connection.execute("SELECT * FROM job"):
        yield {"_type": "Job", **{name: row[name] for name in row.keys()}}  # noqa: SIM118
    for row in connection.execute("SELECT * FROM tag WHERE is_current"):
        yield {
            "_type": "Tag",
            "entity_type": row["entity_type"],
            "entity_id": row["entity_id"],
            "key": row["key"],
            "value": json.loads(row["value"]),
        }


def _subtype(connection: sqlite3.Connection, key: str) -> Record | None:
    row = connection.execute("SELECT * FROM task WHERE hash = ?", (key,)).fetchone()
    if row is not None:
        return {
            "_type": "Task",
            "name": row["name"],
            "namespace": row["namespace"],
            "source": row["source"],
        }
    row = connection.execute("SELECT path FROM file WHERE value_hash = ?", (key,)).fetchone()
    return None if row is None else {"_type": "File", "path": row["path"]}


# From their dicts to records


def our_id(theirs: str) -> str:
    """Return the id that stands for one of redun."""
    if not isinstance(theirs, str) or not theirs:
        raise ValueError(f"{theirs!r} is no id")
    return hash_record("redun", theirs)


class _Calls:
    """The calls that were converted: theirs are named in others before and after them."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.waiting: dict[str, Record] = {}

    def sort_children(self) -> None:
        """Put child calls in the order of their ends: in an export they stand in none."""

        def place(key: str) -> tuple[str, str]:
            line = self.waiting.get(key)
            return ("" if line is None else _time(line["timestamp"]), key)

        for line in self.waiting.values():
            line["children"] = sorted(line["children"], key=place)


def _converted(lines: Iterable[Record]) -> Iterator[Record]:
    """Yield records of ours; calls, and what names them, come after all else was read."""
    calls = _Calls()
    later: list[Record] = []
    for line in lines:
        kind = line["_type"]
        if kind == "Value":
            yield from _value(line)
        elif kind == "CallNode":
            calls.waiting[line["call_hash"]] = line
        elif kind in _KINDS:
            later.append(line)
        else:
            raise ValueError(f"{kind!r} is no type of redun's records")
    calls.sort_children()
    for theirs, record in _in_order(calls):
        yield record
        yield _note("CallNode", record["call_hash"], theirs)
    starts = {each["id"]: each for each in later if each["_type"] == "Job"}
    for line in later:
        if line["_type"] == "Job":
            yield from _job(line, calls)
        elif line["_type"] == "Execution":
            yield from _execution(line, starts.get(line["job_id"]))
        else:
            yield from _tag(line, calls)


def _head(kind: str) -> Record:
    return {"_type": kind, "_version": VERSION}


def _note(kind: str, ours: str, theirs: str) -> Record:
    return _tag_of(kind, ours, TAG, theirs)


def _tag_of(kind: str, entity: str, key: str, value: Any) -> Record:
    tag = tag_record(kind, entity, key, value)
    return {
        **_head("Tag"),
        "tag_hash": tag.tag_hash,
        "entity_type": kind,
        "entity_id": entity,
        "key": key,
        "value": value,
        "parents": [],
    }


def _value(line: Record) -> Iterator[Record]:
    content = base64.b64decode(line["data"], validate=True)
    key = our_id(line["value_hash"])
    subtype = line["subtype"]
    shown = f"{line['type']} of redun, {len(content):,} bytes"
    ours: Record | None = None
    if subtype is not None and subtype["_type"] == "File":
        ours = {
            "_type": "File",
            "root": "",
            "path": subtype["path"],
            "content_hash": "",
            "size": 0,
        }
        shown = f"File(path={subtype['path']})"
    elif subtype is not None and subtype["_type"] == "Task":
        names = {name: subtype[name] for name in ("name", "namespace", "source")}
        ours = {"_type": "Task", **names, "parts": []}
        shown = f"Task({'.'.join(filter(None, (names['namespace'], names['name'])))})"
    yield {
        **_head("Value"),
        "value_hash": key,
        "type": line["type"],
        "format": f"redun {line['format']}",
        "size": len(content),
        "preview": shown,
        "content_digest": digest_bytes(content),
        "data": line["data"],
        "subvalues": sorted({our_id(each) for each in line["subvalues"]} - {key}),
        "subtype": ours,
    }
    yield _note("Task" if ours and ours["_type"] == "Task" else "Value", key, line["value_hash"])


def _in_order(calls: _Calls) -> Iterator[tuple[str, Record]]:
    """Yield calls after their child calls; the hash of a call is made of theirs."""
    for first in sorted(calls.waiting):
        stack = [first]
        while stack:
            key = stack[-1]
            line = calls.waiting[key]
            missing = [
                each
                for each in line["children"]
                if each not in calls.found and each in calls.waiting and each not in stack
            ]
            if missing and key not in calls.found:
                stack += reversed(missing)
                continue
            stack.pop()
            if key not in calls.found:
                calls.found[key] = _call_hash(line, calls)
    for key in sorted(calls.waiting):
        yield key, _call(calls.waiting[key], calls)


def _call_hash(line: Record, calls: _Calls) -> str:
    return hash_call(
        TaskHash(our_id(line["task_hash"])),
        ArgsHash(our_id(line["args_hash"])),
        ValueHash(our_id(line["value_hash"])),
        [CallHash(calls.found[each]) for each in line["children"] if each in calls.found],
    )


def _call(line: Record, calls: _Calls) -> Record:
    key = calls.found[line["call_hash"]]
    task_hash, args_hash = our_id(line["task_hash"]), our_id(line["args_hash"])
    arguments = []
    for label, given in sorted(line["args"].items()):
        position = int(label) if label.isdecimal() else None
        name = None if position is not None else label
        value_hash = our_id(given["value_hash"])
        arg_hash = hash_argument(CallHash(key), position, name, ValueHash(value_hash))
        upstream = sorted({calls.found[each] for each in given["upstream"] if each in calls.found})
        arguments.append(
            {
                "arg_hash": arg_hash,
                "value_hash": value_hash,
                "arg_position": position,
                "arg_key": name,
                "upstream": upstream,
            }
        )
    return {
        **_head("CallNode"),
        "call_hash": key,
        "eval_hash": hash_eval(TaskHash(task_hash), ArgsHash(args_hash)),
        "task_name": line["task_name"],
        "task_hash": task_hash,
        "args_hash": args_hash,
        "value_hash": our_id(line["value_hash"]),
        "timestamp": _time(line["timestamp"]),
        "args": arguments,
        "children": [calls.found[each] for each in line["children"] if each in calls.found],
        "subtree_tasks": sorted(_tasks_below(line, calls)),
        "context": [],
        "evaluation": None,
    }


def _tasks_below(line: Record, calls: _Calls) -> set[str]:
    """Return the tasks of the calls below one, at any depth."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(line["children"])
    while waiting:
        key = waiting.pop()
        if key in seen or key not in calls.waiting:
            continue
        seen.add(key)
        found.add(our_id(calls.waiting[key]["task_hash"]))
        waiting += calls.waiting[key]["children"]
    return found - {our_id(line["task_hash"])}


def _job(line: Record, calls: _Calls) -> Iterator[Record]:
    call_hash = calls.found.get(line["call_hash"] or "")
    is_ended = line["end_time"] is not None and call_hash is not None
    key = our_id(line["id"])
    yield {
        **_head("Job"),
        "id": key,
        "execution_id": our_id(line["execution_id"]),
        "parent_id": our_id(line["parent_id"]) if line["parent_id"] else None,
        "task_hash": our_id(line["task_hash"]),
        "eval_hash": None,
        "call_hash": call_hash,
        "start_time": _time(line["start_time"]),
        "end_time": _time(line["end_time"] or line["start_time"]),
        "cached": bool(line["cached"]),
        "status": "COMPLETED" if is_ended and line.get("status") != "FAILED" else "FAILED",
        "miss": None,
        "children": [],
    }
    yield _note("Job", key, line["id"])


def _execution(line: Record, job: Record | None) -> Iterator[Record]:
    key = our_id(line["id"])
    ended = job is not None and job["end_time"] is not None and job["call_hash"] is not None
    is_done = job is not None and ended and job.get("status") != "FAILED"
    time = None if job is None else job["end_time"] or job["start_time"]
    yield {
        **_head("Execution"),
        "id": key,
        "args": line["args"],
        "job_id": our_id(line["job_id"]) if job is not None else None,
        "status": "COMPLETED" if is_done else "FAILED",
        "state_time": _NO_TIME if time is None else _time(time),
        "updated_time": None,
        "environment_hash": None,
    }
    yield _note("Execution", key, line["id"])


def _tag(line: Record, calls: _Calls) -> Iterator[Record]:
    kind = line["entity_type"]
    if kind not in {"Execution", "Job", "CallNode", "Task", "Value"}:
        return  # it stands for one that was deleted
    theirs = line["entity_id"]
    entity = calls.found.get(theirs) if kind == "CallNode" else our_id(theirs)
    if entity is not None:
        yield _tag_of(kind, entity, line["key"], line["value"])


def _time(text: str) -> str:
    """Return a time as we write it: theirs have a space, and in the database no offset."""
    from datetime import UTC, datetime

    when = datetime.fromisoformat(text)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat(timespec="microseconds")


_KINDS = frozenset({"Execution", "Job", "CallNode", "Value", "Tag"})
