"""Archives of any size for tests of queries: runs of a small workflow, written as rows at once.

Each run has a root job of ``bio.main``, and below it as many pairs of ``bio.align``, which writes a
file, and ``bio.count``, which reads it. Ids and hashes are numbers that are spread over all keys.
"""

from __future__ import annotations

import hashlib

from taskgraph.hashing import digest_bytes
from taskgraph.records import (
    ArgumentRecord,
    ArgumentResultRecord,
    CallEdgeRecord,
    CallNodeRecord,
    ExecutionRecord,
    FileRecord,
    JobRecord,
    RecordBatch,
    State,
    SubvalueRecord,
    TaskRecord,
    ValueRecord,
)
from taskgraph.tags import tag_record
from tests.rows import NOW

MINUTE = 60_000_000
FILE = "taskgraph.File"


def name(*what: object) -> str:
    """Return the key of something: 32 hex digits that look random and are always the same."""
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def value_row(key: str, preview: str, kind: str = "builtins.int") -> ValueRecord:
    content = preview.encode()
    digest = digest_bytes(content)
    return ValueRecord(key, kind, "pickle", content, len(content), preview, digest, True)


def tasks() -> RecordBatch:
    """Return the three tasks of the workflow."""
    batch = RecordBatch()
    for each in ("main", "align", "count"):
        batch.values.append(value_row(name("task", each), f"bio.{each}", "taskgraph.Task"))
        source = f"def {each}(x):\n    return x\n"
        batch.tasks.append(TaskRecord(name("task", each), each, "bio", source))
    return batch


def a_run(number: int, pairs: int, state: State = State.COMPLETED) -> RecordBatch:
    """Return the rows of one run, a minute after the one before."""
    batch, start = RecordBatch(), NOW + number * MINUTE
    execution, root = name("run", number), name("job", number)
    ended = start + 2 * pairs + 2
    batch.executions.append(
        ExecutionRecord(execution, '["flow.py", "main"]', root, None, state, ended, None)
    )
    _call(batch, number, "main", root, None, start, ended, state)
    files = []
    for index in range(pairs):
        path = f"out/{number}/{index}.vcf"
        file = name("file", number, index)
        files.append(file)
        batch.files.append(FileRecord(file, "project", path, "content", 3))
        for place, task in enumerate(("align", "count")):
            job = name("job", number, index, task)
            began = start + 1 + 2 * index + place
            given = None if task == "align" else file
            gave = file if task == "align" else None
            _call(
                batch, number, task, job, root, began, began + 1, State.COMPLETED,
                place=index, given=given, gave=gave, cached=place == 1 and index % 2 == 1,
            )  # fmt: skip
            calls = name("call", number, "main", 0), name("call", number, task, index)
            batch.call_edges.append(CallEdgeRecord(*calls, 2 * index + place))
    # What the root gave holds all files.
    result = name("result", number, "main", 0)
    batch.subvalues.extend(SubvalueRecord(result, file) for file in files)
    project = "x" if number % 2 == 0 else "y"
    batch.tags.append(tag_record("Execution", execution, "project", project))
    batch.tags.append(tag_record("Job", root, "attempts", number))
    return batch


def _call(
    batch: RecordBatch, number: int, task: str, job: str, parent: str | None, start: int, end: int,
    state: State, *, place: int = 0, given: str | None = None, gave: str | None = None,
    cached: bool = False,
) -> None:  # fmt: skip
    call, version = name("call", number, task, place), name("task", task)
    argument, arg = given or name("given", number, task, place), name("arg", number, task, place)
    result = gave or name("result", number, task, place)
    batch.values.append(value_row(result, f"<{task} {place}>", FILE if gave else "builtins.list"))
    if given is None:
        batch.values.append(value_row(argument, str(place)))
    else:
        made_by = name("call", number, "align", place)
        batch.argument_results.append(ArgumentResultRecord(arg, made_by))
    batch.call_nodes.append(
        CallNodeRecord(
            call, name("eval", call), f"bio.{task}", version, name("args", call), result, start
        )
    )
    batch.arguments.append(ArgumentRecord(arg, call, argument, 0, "x"))
    execution = name("run", number)
    batch.jobs.append(
        JobRecord(job, execution, parent, version, None, call, start, end, cached, state, None)
    )
