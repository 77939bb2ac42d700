"""Whether rows have the names that their content gives them: arguments, tags, parts and code."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from taskgraph.hashing import CallHash, ValueHash, hash_argument, hash_record
from taskgraph.jsontext import to_json
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity.pages import of_keys, pages
from taskgraph_backend.integrity.problems import Change, Finding, Remove, found
from taskgraph_backend.integrity.references import aside_tag
from taskgraph_backend.seals import seal_text


def _hex(key: Any) -> str:
    return bytes(key).hex()


def arguments(driver: Driver) -> Iterator[Finding]:
    """Give the arguments whose hash is not that of their call, place and value."""
    rule = "an argument has the hash of what it says"
    names = "arg_hash, call_hash, value_hash, arg_position, arg_key"
    for rows in pages(driver, "argument", names):
        wrong = [
            row
            for row in rows
            if hash_argument(CallHash(_hex(row[1])), row[3], row[4], ValueHash(_hex(row[2])))
            != _hex(row[0])
        ]
        came = of_keys(
            driver, "argument_result", "arg_hash, result_call_hash", [row[0] for row in wrong]
        )
        for row in wrong:
            steps = [
                Remove("argument_result", {"arg_hash": row[0], "result_call_hash": call})
                for (call,) in came.get(bytes(row[0]), ())
            ]
            steps.append(Remove("argument", {"arg_hash": row[0]}, {"value_hash": row[2]}))
            detail = "it says something else"
            yield found(rule, "argument", row[0], detail, "it is put aside", *steps)


def tags(driver: Driver, exact_numbers: bool) -> Iterator[Finding]:
    """Give the tags whose hash is not that of what they say, and of what they supersede.

    Args:
        driver: A connection.
        exact_numbers: Whether the database keeps numbers as they were written: 1e3 is not 1000.
    """
    rule = "a tag has the hash of what it says"
    names = "tag_hash, entity_type, entity_id, key, CAST(value AS TEXT)"
    for rows in pages(driver, "tag", names):
        keys = [row[0] for row in rows]
        parents = of_keys(driver, "tag_edit", "child_id, parent_id", keys)
        for key, kind, entity, name, value in rows:
            text, is_exact = _as_hashed(value, exact_numbers)
            if not is_exact:
                continue
            above = sorted(_hex(parent) for (parent,) in parents.get(bytes(key), ()))
            if hash_record("tag", kind, _hex(entity), name, text, *above) != _hex(key):
                detail = f"{name} says something else, or supersedes other tags"
                yield found(rule, "tag", key, detail, "it is put aside", *aside_tag(driver, key))


def _as_hashed(value: str | None, exact_numbers: bool) -> tuple[str, bool]:
    """Return the text of a tag that counts in its hash, and whether it is known to be that."""
    try:
        parsed = json.loads("null" if value is None else value)
    except ValueError:
        return "", True
    level = [parsed]
    while level and not exact_numbers:
        each = level.pop()
        if type(each) in (int, float):
            return "", False
        level += each.values() if type(each) is dict else each if type(each) is list else ()
    return to_json(parsed), True


def code(driver: Driver) -> Iterator[Finding]:
    """Give the tasks whose source is none, and the parts that are not named by what they say."""
    rule = "the source of a task can be read"
    for rows in pages(driver, "task", "hash, name, namespace, source, seal"):
        for key, name, namespace, source, seal in rows:
            detail = ""
            if seal is not None and bytes(seal) != seal_text(_hex(key), name, namespace, source):
                detail = "its seal is broken"
            elif source and seal is None and not _parses(source):
                detail = "it does not parse"
            if detail:
                remedy = "it is put aside: it is written again when the task runs"
                changed = {"source": "", "seal": None}
                step = Change("task", {"hash": key}, changed, {"source": source})
                yield found(rule, "task", key, detail, remedy, step)
    for rows in pages(driver, "part", "part_hash, kind, name, source, seal"):
        for key, kind, name, source, seal in rows:
            if seal is None or bytes(seal) == seal_text(_hex(key), kind, name, source):
                continue
            tasks = driver.execute(
                "SELECT task_hash FROM task_part WHERE part_hash = ?", (key,)
            ).fetchall()
            steps = [Remove("task_part", {"task_hash": t, "part_hash": key}) for (t,) in tasks]
            yield found(
                "a part says what it said when it was written",
                "part",
                key,
                "its seal is broken",
                "it is put aside",
                *steps,
                Remove("part", {"part_hash": key}),
            )


def _parses(source: str) -> bool:
    text = textwrap.dedent(source)
    # What stands in a class or a call is no statement by itself.
    for attempt in (text, f"({text.strip()})", f"if True:\n{textwrap.indent(text, ' ')}"):
        try:
            ast.parse(attempt)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return True
    return "\0" not in source and text.lstrip().startswith(("%", "!", "await"))


__all__ = ["arguments", "code", "tags"]
