"""Records of calls: their arguments, child calls, what ran below, and the cache entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import null, select
from sqlalchemy.orm import Session

from taskgraph.hashing import (
    ArgsHash,
    CallHash,
    TaskHash,
    ValueHash,
    hash_argument,
    hash_call,
    hash_eval,
    hash_record,
)
from taskgraph_backend import models
from taskgraph_backend.columns import to_micros
from taskgraph_backend.seals import seal_evaluation
from taskgraph_backend.serializers.base import Record, Rows, Serializer, grouped, head
from taskgraph_backend.serializers.fields import Fields, serialize_timestamp
from taskgraph_backend.serializers.table import Table, hash_of, text, time

_CALL = Table(
    models.CallNode,
    hash_of("call_hash"),
    hash_of("eval_hash"),
    text("task_name"),
    hash_of("task_hash"),
    hash_of("args_hash"),
    hash_of("value_hash"),
    time("timestamp"),
)


class CallNodeSerializer(Serializer):
    """A call, with all that says what it was."""

    type = "CallNode"
    pk_field = "call_hash"
    model = models.CallNode

    def _fetch(self, session: Session, ids: Sequence[str]) -> Iterator[Record]:
        found = _CALL.fetch(session, ids)
        arguments = _arguments(session, ids)
        edge, below, context = models.CallEdge, models.CallSubtreeTask, models.CallContext
        children = grouped(
            session.execute(
                select(edge.parent_id, edge.child_id)
                .where(edge.parent_id.in_(ids))
                .order_by(edge.parent_id, edge.call_order)
            ),
            "parent_id",
        )
        tasks = grouped(
            session.execute(
                select(below.call_hash, below.task_hash)
                .where(below.call_hash.in_(ids))
                .order_by(below.task_hash)
            ),
            "call_hash",
        )
        reads = grouped(
            session.execute(
                select(context.call_hash, context.path, context.value_hash)
                .where(context.call_hash.in_(ids))
                .order_by(context.path)
            ),
            "call_hash",
        )
        entries = _evaluations(session, [row.eval_hash for row in found.values()])
        for key in ids:
            row = found.pop(key, None)
            if row is None:
                continue
            yield {
                **head(self.type),
                **_CALL.write(row),
                "args": arguments.get(key, []),
                "children": [each.child_id for each in children.get(key, ())],
                "subtree_tasks": [each.task_hash for each in tasks.get(key, ())],
                "context": [
                    {"path": each.path, "value_hash": each.value_hash}
                    for each in reads.get(key, ())
                ],
                "evaluation": entries.get(row.eval_hash),
            }

    def _rows(self, fields: Fields) -> Rows:
        columns = _CALL.read(fields)
        key = columns["call_hash"]
        found = Rows(self.type, key)
        found.add(models.CallNode, **columns)
        for argument in fields.inside("args"):
            _read_argument(found, key, argument)
        children = fields.hashes("children")
        for order, child in enumerate(children):
            found.add(models.CallEdge, parent_id=key, child_id=child, call_order=order)
        tasks = fields.hashes("subtree_tasks")
        for each in tasks:
            found.add(models.CallSubtreeTask, call_hash=key, task_hash=each)
        for read in fields.inside("context"):
            found.add(
                models.CallContext,
                call_hash=key,
                path=read.text("path"),
                value_hash=read.hash("value_hash"),
            )
            read.end()
        entry = fields.maybe(fields.object, "evaluation")
        if entry is not None:
            evaluation = {
                "eval_hash": columns["eval_hash"],
                "task_hash": columns["task_hash"],
                "args_hash": columns["args_hash"],
                "value_hash": entry.hash("value_hash"),
                "timestamp": entry.time("timestamp"),
            }
            found.beside.append((models.Evaluation, evaluation))
            entry.end()
        _check_hashes(fields, columns, children, tasks)
        return found


def _check_hashes(
    fields: Fields, columns: dict[str, Any], children: Sequence[str], tasks: Sequence[str]
) -> None:
    """Compare the hashes that are made of other fields with what they are made of."""
    task_hash, args_hash = TaskHash(columns["task_hash"]), ArgsHash(columns["args_hash"])
    if hash_eval(task_hash, args_hash) != columns["eval_hash"]:
        fields.refuse("its eval_hash is not that of its task_hash and args_hash")
    value_hash = ValueHash(columns["value_hash"])
    inside = [CallHash(each) for each in children]
    # Calls that leave no rows (prov=False) count in the hash of the call around them, by their
    # tasks. Which tasks these are is not written down: only that they are in the subtree.
    unrecorded = CallHash(hash_record("unrecorded", task_hash))
    made = {
        hash_call(task_hash, args_hash, value_hash, each)
        for each in (inside, [*inside, unrecorded])
    }
    if columns["call_hash"] not in made and not tasks:
        fields.refuse("its call_hash is not that of its task, arguments, result and children")


def _arguments(session: Session, ids: Sequence[str]) -> dict[str, list[Record]]:
    argument, result = models.Argument, models.ArgumentResult
    rows = session.execute(
        select(
            argument.call_hash,
            argument.arg_hash,
            argument.value_hash,
            argument.arg_position,
            argument.arg_key,
        )
        .where(argument.call_hash.in_(ids))
        .order_by(
            argument.arg_position.is_(None),
            argument.arg_position,
            argument.arg_key,
            argument.arg_hash,
        )
    ).all()
    upstream = grouped(
        session.execute(
            select(result.arg_hash, result.result_call_hash)
            .join(argument, argument.arg_hash == result.arg_hash)
            .where(argument.call_hash.in_(ids))
        ),
        "arg_hash",
    )
    found: dict[str, list[Record]] = {}
    for call_hash, arg_hash, value_hash, position, name in rows:
        found.setdefault(call_hash, []).append(
            {
                "arg_hash": arg_hash,
                "value_hash": value_hash,
                "arg_position": position,
                "arg_key": name,
                "upstream": sorted(each.result_call_hash for each in upstream.get(arg_hash, ())),
            }
        )
    return found


def _read_argument(found: Rows, call_hash: str, fields: Fields) -> None:
    key, value_hash = fields.hash("arg_hash"), fields.hash("value_hash")
    position = fields.maybe(fields.number, "arg_position")
    name = fields.maybe(fields.text, "arg_key")
    if hash_argument(CallHash(call_hash), position, name, ValueHash(value_hash)) != key:
        fields.refuse("an arg_hash is not that of the argument")
    found.add(
        models.Argument,
        arg_hash=key,
        call_hash=call_hash,
        value_hash=value_hash,
        arg_position=position,
        arg_key=name,
    )
    for each in fields.hashes("upstream"):
        found.add(models.ArgumentResult, arg_hash=key, result_call_hash=each)
    fields.end()


def _evaluations(session: Session, keys: Sequence[str]) -> dict[str, Record]:
    """Return the cache entries of keys: those of here, else those that came from elsewhere."""
    found: dict[str, Record] = {}
    foreign, ours = models.ForeignEvaluation, models.Evaluation
    for model, seal in ((foreign, null()), (ours, ours.seal)):
        rows = session.execute(
            select(
                model.eval_hash,
                model.task_hash,
                model.args_hash,
                model.value_hash,
                model.timestamp,
                seal,
            ).where(model.eval_hash.in_(keys))
        )
        for key, task_hash, args_hash, value_hash, timestamp, sealed in rows:
            made = seal_evaluation(
                bytes.fromhex(key),
                bytes.fromhex(task_hash),
                bytes.fromhex(args_hash),
                bytes.fromhex(value_hash),
                to_micros(timestamp),
            )
            if sealed not in (None, made):
                continue  # what it says is true of another one; there nobody could tell
            found[key] = {
                "value_hash": value_hash,
                "timestamp": serialize_timestamp(timestamp),
            }
    return found
