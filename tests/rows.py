"""Rows for tests of backends: small, sound, and named by numbers."""

from __future__ import annotations

from taskgraph.hashing import digest_bytes
from taskgraph.records import (
    ArgumentRecord,
    ArgumentResultRecord,
    CallEdgeRecord,
    CallNodeRecord,
    EvaluationRecord,
    ExecutionRecord,
    FileRecord,
    HandleEdgeRecord,
    HandleRecord,
    JobRecord,
    LeaseRecord,
    RecordBatch,
    State,
    SubtreeTaskRecord,
    SubvalueRecord,
    TaskAliasRecord,
    TaskRecord,
    ValueRecord,
)

TASK = 0x7A51
EXECUTION = 0xE4EC
NOW = 1_700_000_000_000_000
FOREVER = 2**52


def key(number: int) -> str:
    return f"{number:032x}"


def a_value(number: int, content: bytes = b"1", trusted: bool = True) -> ValueRecord:
    return ValueRecord(
        key(number),
        "builtins.int",
        "pickle",
        content,
        len(content),
        f"<{number}>",
        digest_bytes(content),
        trusted,
    )


def a_task(number: int = TASK, name: str = "f", namespace: str = "ns") -> RecordBatch:
    return RecordBatch(
        values=[a_value(number, b"def f(): ...")],
        tasks=[TaskRecord(key(number), name, namespace, "def f(): ...")],
    )


def an_execution(
    number: int = EXECUTION,
    root: int | None = None,
    state: State = State.RUNNING,
    time: int = NOW,
) -> RecordBatch:
    job_id = None if root is None else key(root)
    return RecordBatch(
        executions=[ExecutionRecord(key(number), "[]", job_id, None, state, time, None)]
    )


def a_job(
    number: int,
    *,
    execution: int = EXECUTION,
    parent: int | None = None,
    call: int | None = None,
    start: int = NOW,
    end: int | None = NOW + 1,
    state: State = State.COMPLETED,
    cached: bool = False,
    miss: str | None = None,
) -> RecordBatch:
    return RecordBatch(
        jobs=[
            JobRecord(
                key(number),
                key(execution),
                None if parent is None else key(parent),
                key(TASK),
                None,
                None if call is None else key(call),
                start,
                end,
                cached,
                state,
                miss,
            )
        ]
    )


def a_call(number: int, eval_hash: int, result: int, time: int = NOW) -> RecordBatch:
    return RecordBatch(
        values=[a_value(result)],
        call_nodes=[
            CallNodeRecord(
                key(number), key(eval_hash), "ns.f", key(TASK), key(0xA), key(result), time
            )
        ],
    )


def an_argument(
    number: int, call: int, value: int, *, position: int | None = 0, name: str | None = "x",
    upstream: tuple[int, ...] = (),
) -> RecordBatch:  # fmt: skip
    return RecordBatch(
        values=[a_value(value)],
        arguments=[ArgumentRecord(key(number), key(call), key(value), position, name)],
        argument_results=[ArgumentResultRecord(key(number), key(each)) for each in upstream],
    )


def an_evaluation(eval_hash: int, result: int, time: int = NOW) -> RecordBatch:
    return RecordBatch(
        values=[a_value(result)],
        evaluations=[EvaluationRecord(key(eval_hash), key(TASK), key(0xA), key(result), time)],
    )


def an_edge(parent: int, child: int, order: int = 0) -> RecordBatch:
    return RecordBatch(call_edges=[CallEdgeRecord(key(parent), key(child), order)])


def a_subtree(call: int, *tasks: int) -> RecordBatch:
    return RecordBatch(subtree_tasks=[SubtreeTaskRecord(key(call), key(each)) for each in tasks])


def a_file(number: int, path: str, root: str = "", inside: tuple[int, ...] = ()) -> RecordBatch:
    return RecordBatch(
        values=[a_value(number), *(a_value(each) for each in inside)],
        files=[FileRecord(key(number), root, path, "content", 3)],
        subvalues=[SubvalueRecord(key(each), key(number)) for each in inside],
    )


def a_handle(number: int, *parents: int, branch: str = "") -> RecordBatch:
    edges = [HandleEdgeRecord(key(each), key(number)) for each in parents]
    return RecordBatch(
        values=[a_value(number)],
        handles=[HandleRecord(key(number), "ns.db", branch, key(number)), *edges],
    )


def an_alias(old: int, new: int, time: int = NOW, end: int | None = None) -> RecordBatch:
    return RecordBatch(
        task_aliases=[
            TaskAliasRecord(
                key(old), key(new), time, "ns.f", "ns.g", "ada@here", "a rename",
                end, None if end is None else "bob@there",
            )
        ]
    )  # fmt: skip


def a_lease(
    name: str,
    holder: str = "me",
    *,
    expires: int = FOREVER,
    host: str = "elsewhere",
    pid: int = 1,
    started: int = 1,
) -> LeaseRecord:
    return LeaseRecord(name, holder, host, pid, started, expires)


def together(*batches: RecordBatch) -> RecordBatch:
    whole = RecordBatch()
    for batch in batches:
        for table in RecordBatch.__dataclass_fields__:
            getattr(whole, table).extend(getattr(batch, table))
    return whole
