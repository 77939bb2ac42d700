"""The flow of data by its rules, read literally: slow, and the oracle of the walker in SQL.

Each rule is a few lines over the relations of `models`; nothing is clever. The names are those of
the rules: ``lies_in(w, x)`` says that w is x, or lies in x at any depth.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from taskgraph_backend import models
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)


class NaiveWalker:
    """The flow of data in one execution, or in all of them.

    Args:
        session: Where the rows are.
        execution_id: The execution; None for all.
    """

    def __init__(self, session: Session, execution_id: str | None) -> None:
        self.session = session
        self.execution_id = execution_id
        self._inner: dict[str, dict[str, models.Value]] = {}
        self._scope: dict[str, bool] = {}
        self._calls = list(session.scalars(select(models.CallNode)))

    # What the rules speak of.

    def parts(self, value: models.Value) -> list[models.Value]:
        """Return the value and all that lies in it, at any depth."""
        known = self._inner.get(value.value_hash)
        if known is None:
            known, waiting = {}, deque([value])
            while waiting:
                each = waiting.popleft()
                if each.value_hash not in known:
                    known[each.value_hash] = each
                    waiting.extend(
                        sorted(each.children, key=lambda inner: (inner.preview, inner.value_hash))
                    )
            self._inner[value.value_hash] = known
        return list(known.values())

    def lies_in(self, inner: models.Value, outer: models.Value) -> bool:
        return any(inner.value_hash == part.value_hash for part in self.parts(outer))

    def is_in_scope(self, call: models.CallNode) -> bool:
        if self.execution_id is None:
            return True
        known = self._scope.get(call.call_hash)
        if known is None:
            known = any(job.execution_id == self.execution_id for job in call.jobs)
            known = known or any(map(self.is_in_scope, call.parents))
            self._scope[call.call_hash] = known
        return known

    # The rules.

    def behind(self, node: DataflowNode) -> Iterator[DataflowNode | None]:
        """Give what a node came from; None is the origin."""
        match node:
            case CallNodeValue(call, value):
                yield from self._behind_result(call, value)
            case ArgumentValue(argument, value):
                yield from self._behind_argument(argument, value)
            case models.CallNode():
                yield from self._behind_call(node)
            case models.Value():
                yield from self._behind_value(node)

    def makers(self, value: models.Value) -> list[models.CallNode]:
        """Return the innermost calls that gave a value and were not given it."""
        found = [
            call
            for call in self._calls
            if self.is_in_scope(call)
            and self.lies_in(value, call.value)
            and not any(self.lies_in(value, child.value) for child in call.children)
            and not any(self.lies_in(value, argument.value) for argument in call.arguments)
        ]
        return sorted(found, key=lambda call: (call.value is not value, _age(call)))

    def _behind_call(self, call: models.CallNode) -> Iterator[DataflowNode | None]:
        if not call.arguments:
            yield None
        for argument in call.arguments:
            yield ArgumentValue(argument, argument.value)

    def _behind_value(self, value: models.Value) -> Iterator[DataflowNode | None]:
        makers = self.makers(value)
        if makers:
            yield from (CallNodeValue(call, value) for call in makers)
            return
        made = [part for part in self.parts(value) if part is not value and self.makers(part)]
        yield from made
        if not made:
            yield None

    def _behind_result(
        self, call: models.CallNode, value: models.Value
    ) -> Iterator[DataflowNode | None]:
        children = _once(call.children)
        giving = [child for child in children if self.lies_in(value, child.value)]
        if giving:
            for child in giving:
                yield CallNodeValue(child, value)
            return
        yield call
        is_whole = value is call.value
        held = [child for child in children if is_whole or self.lies_in(child.value, value)]
        for child in held:
            yield CallNodeValue(child, child.value)

    def _behind_argument(
        self, argument: models.Argument, value: models.Value
    ) -> Iterator[DataflowNode | None]:
        is_whole = value is argument.value
        producers = [
            result.result_call_node
            for result in argument.arg_results
            if self.is_in_scope(result.result_call_node)
        ]
        producers.sort(key=_age)
        giving = [call for call in producers if self.lies_in(value, call.value)]
        found: list[DataflowNode | None] = [CallNodeValue(call, value) for call in giving]
        if is_whole or not giving:
            found += [CallNodeValue(call, call.value) for call in producers if call not in giving]
        found += self._from_callers(argument.call_node, value, producers, is_whole=is_whole)
        if not found and self.execution_id is None:
            found += [
                part for part in self.parts(value) if part.file is not None and self.makers(part)
            ]
        yield from found or [None]

    def _from_callers(
        self,
        call: models.CallNode,
        value: models.Value,
        producers: list[models.CallNode],
        *,
        is_whole: bool,
    ) -> list[ArgumentValue]:
        found = []
        for parent in sorted(call.parents, key=_age):
            if self.is_in_scope(parent) and not any(each in producers for each in parent.children):
                held = self._from_caller(parent, value, is_whole=is_whole)
                if not held and parent.task.namespace == "taskgraph":
                    held = self._from_callers(parent, value, producers, is_whole=is_whole)
                found += held
        return found

    def _from_caller(
        self, parent: models.CallNode, value: models.Value, *, is_whole: bool
    ) -> list[ArgumentValue]:
        holding = [each for each in parent.arguments if self.lies_in(value, each.value)]
        if holding or not is_whole:
            return [ArgumentValue(each, value) for each in holding]
        held = [each for each in parent.arguments if self.lies_in(each.value, value)]
        return [ArgumentValue(each, each.value) for each in held]

    # Walking.

    def closure(self, starts: Iterable[DataflowNode]) -> list[DataflowEdge]:
        """Return all edges that are reached upstream of some nodes."""
        found: list[DataflowEdge] = []
        seen: set[tuple[str, ...]] = set()
        waiting = deque(starts)
        while waiting:
            node = waiting.popleft()
            if key_of(node) in seen:
                continue
            seen.add(key_of(node))
            for dest in self.behind(node):
                found.append(DataflowEdge(node, dest))
                if dest is not None:
                    waiting.append(dest)
        return found

    def everything(self) -> list[DataflowEdge]:
        """Return the edges of all calls in scope, and of what they were given and gave."""
        starts: list[DataflowNode] = []
        for call in self._calls:
            if self.is_in_scope(call):
                starts.append(call)
                starts += [CallNodeValue(call, part) for part in self.parts(call.value)]
                for argument in call.arguments:
                    starts += [ArgumentValue(argument, part) for part in self.parts(argument.value)]
        return self.closure(starts)


def edges_upstream(
    session: Session, node: DataflowNode, execution_id: str | None = None
) -> list[DataflowEdge]:
    """Return all edges that are reached from a node.

    Args:
        session: Where the rows are.
        node: Where to start.
        execution_id: The execution that the calls belong to; None for all.
    """
    return NaiveWalker(session, execution_id).closure([node])


def all_edges(session: Session, execution_id: str | None = None) -> list[DataflowEdge]:
    """Return all edges of an execution, or of all of them."""
    return NaiveWalker(session, execution_id).everything()


def downstream(
    session: Session, node: DataflowNode, execution_id: str | None = None
) -> list[DataflowEdge]:
    """Return all edges from which a node is reached, the nearest first; they point upstream still.

    From a value, these are the edges from which any place is reached where it stands by itself, the
    result of a call or an argument, and any argument that holds it.
    """
    edges = all_edges(session, execution_id)
    into: dict[tuple[str, ...], list[DataflowEdge]] = {}
    for edge in edges:
        if edge.dest is not None:
            into.setdefault(key_of(edge.dest), []).append(edge)
    starts = [node]
    if isinstance(node, models.Value):
        at = (edge.src for edge in edges)
        starts += [each for each in at if _stands_in(session, node, each)]
    found: list[DataflowEdge] = []
    seen: set[tuple[str, ...]] = set()
    waiting = deque(starts)
    while waiting:
        key = key_of(waiting.popleft())
        if key in seen:
            continue
        seen.add(key)
        found += into.get(key, [])
        waiting.extend(edge.src for edge in into.get(key, []))
    return found


def _stands_in(session: Session, value: models.Value, node: DataflowNode) -> bool:
    match node:
        case ArgumentValue(argument, inner) if inner is argument.value:
            return NaiveWalker(session, None).lies_in(value, inner)
        case CallNodeValue() | ArgumentValue():
            return node.value is value
        case _:
            return False


def walk_naively(
    session: Session,
    node: DataflowNode,
    *,
    down: bool = False,
    all: bool = False,
    execution_id: str | None = None,
    depth: int | None = None,
) -> Iterator[DataflowEdge]:
    """Give edges with the signature of `walk_dataflow`; by itself it does not look for a scope."""
    scope = None if all else execution_id
    edges = (downstream if down else edges_upstream)(session, node, scope)
    yield from edges if depth is None else _near(session, edges, node, down, depth)


def _near(
    session: Session, edges: list[DataflowEdge], node: DataflowNode, down: bool, depth: int
) -> Iterator[DataflowEdge]:
    """Give those edges that are at most so many away from where the walk began."""
    starts = {key_of(node)}
    if down and isinstance(node, models.Value):
        starts |= {
            key_of(each)
            for edge in edges
            for each in edge
            if each is not None and _stands_in(session, node, each)
        }
    level = dict.fromkeys(starts, 0)
    for edge in edges:  # The nearest come first.
        near, far = (edge.dest, edge.src) if down else edge
        assert near is not None
        if level.get(key_of(near), depth) >= depth:
            continue
        if far is not None:
            level.setdefault(key_of(far), level[key_of(near)] + 1)
        yield edge


def key_of(node: DataflowNode) -> tuple[str, ...]:
    """Return what tells a node from all others: its letter in the rules, and hashes."""
    match node:
        case CallNodeValue(call, value):
            return "O", call.call_hash, value.value_hash
        case ArgumentValue(argument, value):
            return "A", argument.arg_hash, value.value_hash
        case models.CallNode():
            return "C", node.call_hash
        case models.Value():
            return "V", node.value_hash


def keys_of(edges: Iterable[DataflowEdge]) -> set[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    """Return edges as a set that can be compared between walkers."""
    return {(key_of(src), None if dest is None else key_of(dest)) for src, dest in edges}


def _age(call: models.CallNode) -> tuple[float, str]:
    """Order calls by time, newest first."""
    return -call.timestamp.timestamp(), call.call_hash


def _once(calls: Iterable[models.CallNode]) -> list[models.CallNode]:
    return list({call.call_hash: call for call in calls}.values())
