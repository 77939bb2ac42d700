"""A plan names what then runs: all of it, and on graphs that are known beforehand nothing else.

Tasks are defined anew with another version for each edit; what they give depends on that version
and on all that they are given, so that an edit changes whatever is downstream of it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph import Scheduler, catch, cond, seq, task
from taskgraph.hashing import hash_eval
from taskgraph.plans import Plan
from taskgraph.records import JobRecord
from taskgraph.tasks.registry import AnyTask
from taskgraph.testing import MemoryBackend

EXAMPLES = 2_000 if os.environ.get("TASKGRAPH_TORTURE") else 35
OPS = 4
versions = count()

# A value of the graph: a constant, an earlier node, or a container of values.
Ref = tuple[Any, ...]
Graph = list[tuple[str, int, list[Ref]]]


def refs(upto: int) -> st.SearchStrategy[Ref]:
    leaves = st.tuples(st.just("const"), st.integers(0, 3))
    if upto:
        leaves = leaves | st.tuples(st.just("node"), st.integers(0, upto - 1))
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(st.just("list"), st.lists(inner, max_size=3))
            | st.tuples(st.just("dict"), st.lists(inner, max_size=2))
        ),
        max_leaves=4,
    )


@st.composite
def graphs(draw: st.DrawFn, kinds: list[str]) -> Graph:
    nodes: Graph = []
    for index in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(kinds))
        op = draw(st.integers(0, OPS - 1))
        nodes.append((kind, op, draw(st.lists(refs(index), min_size=1, max_size=3))))
    return nodes


class Flow:
    """Tasks whose code is a number each; those of an edit are defined anew."""

    def __init__(self) -> None:
        self.ops: dict[int, AnyTask] = {}
        for index in range(OPS):
            self.edit(index)
        self.fan = task(name="fan", namespace="plans", version="1")(self._fan)
        self.recur = task(name="recur", namespace="plans", version="1")(self._recur)

    def edit(self, index: int) -> None:
        version = next(versions)

        def op(*args: Any) -> int:
            return crc32(repr((index, version, args)).encode())

        self.ops[index] = task(name=f"op{index}", namespace="plans", version=str(version))(op)

    def _fan(self, op: int, x: Any) -> Any:
        return [self.ops[op](x, i) for i in range(3)]

    def _recur(self, op: int, depth: int, x: Any) -> Any:
        return self.ops[op](x) if depth == 0 else self.recur(op, depth - 1, x)

    def values(self, graph: Graph) -> list[Any]:
        """Return the values of a graph, lazily."""
        values: list[Any] = []

        def value_of(ref: Ref) -> Any:
            match ref:
                case ("const", value):
                    return value
                case ("node", index):
                    return values[index]
                case ("list", inner):
                    return [value_of(each) for each in inner]
                case ("dict", inner):
                    return {str(i): value_of(each) for i, each in enumerate(inner)}
            raise AssertionError(ref)

        for kind, op, inputs in graph:
            args = [value_of(each) for each in inputs]
            values.append(self._node(kind, op, args))
        return values

    def _node(self, kind: str, op: int, args: list[Any]) -> Any:
        first, last = self.ops[op](*args), self.ops[(op + 1) % OPS]
        match kind:
            case "fan":
                return self.fan(op, args[0])
            case "recur":
                return self.recur(op, len(args), args[0])
            case "choose":
                return cond(first > 2**31, last(args[-1]), self.ops[(op + 2) % OPS](args[-1]))
            case "seq":
                return seq([first, last(args[0])])
            case "catch":
                return catch(first, ValueError, last)
            case "operator":
                return first + last(args[-1])
            case _:
                return first


STATIC = ["op", "op", "op", "operator", "seq", "catch"]
DYNAMIC = [*STATIC, "fan", "recur", "choose"]
edits = st.lists(st.integers(0, OPS - 1), max_size=2)


def new_jobs(backend: MemoryBackend, before: set[str]) -> Iterator[JobRecord]:
    """Give the jobs of the last run whose bodies ran."""
    for job in backend.jobs.values():
        if job.id not in before and not job.cached and name_of(backend, job)[:6] == "plans.":
            yield job


def name_of(backend: MemoryBackend, job: JobRecord) -> str:
    found = backend.tasks[job.task_hash]
    return f"{found.namespace}.{found.name}"


def planned_and_run(
    graph: Graph, changed: Graph, edited: list[int]
) -> tuple[Plan, MemoryBackend, set[str], Plan]:
    """Run a graph, edit tasks and graph, plan, run, and plan again."""
    flow, backend = Flow(), MemoryBackend()
    with Scheduler(backend=backend, executor="inline") as scheduler:
        scheduler.run(flow.values(graph))
        for index in edited:
            flow.edit(index)
        before = set(backend.jobs)
        sizes = [len(table) for table in (backend.values, backend.evaluations, backend.executions)]
        plan = scheduler.plan(flow.values(changed))
        after = [len(table) for table in (backend.values, backend.evaluations, backend.executions)]
        assert (set(backend.jobs), after) == (before, sizes), "a plan records nothing"
        scheduler.run(flow.values(changed))
        return plan, backend, before, scheduler.plan(flow.values(changed))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), graphs(STATIC), edits)
def test_on_a_static_graph_a_plan_names_exactly_what_then_runs(
    data: st.DataObject, graph: Graph, edited: list[int]
) -> None:
    changed = data.draw(st.just(graph) | graphs(STATIC))

    plan, backend, before, afterwards = planned_and_run(graph, changed, edited)

    ran = list(new_jobs(backend, before))
    assert Counter(each.task for each in plan.bodies) == Counter(name_of(backend, j) for j in ran)
    keys = {each.eval_hash for each in ran}
    assert {hash_eval(c.task_hash, c.args_hash) for c in plan.bodies if c.args_hash} <= keys
    assert plan.is_nothing is not bool(ran)
    assert afterwards.is_nothing


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), graphs(DYNAMIC), edits)
def test_on_a_dynamic_graph_whatever_runs_is_planned_or_below_what_is(
    data: st.DataObject, graph: Graph, edited: list[int]
) -> None:
    changed = data.draw(st.just(graph) | graphs(DYNAMIC))

    plan, backend, before, afterwards = planned_and_run(graph, changed, edited)

    ran = {each.id for each in new_jobs(backend, before)}
    certain = {hash_eval(c.task_hash, c.args_hash) for c in plan.calls if c.args_hash}
    waiting = {each.task for each in plan.calls if not each.is_certain}
    outermost: Counter[str] = Counter()
    for job_id in ran:
        line = list(lineage(backend, job_id))
        assert any(job.eval_hash in certain or name_of(backend, job) in waiting for job in line)
        names = [name_of(backend, job) for job in line]
        if not any(job.id in ran for job in line[1:]) and "taskgraph.cond" not in names:
            outermost[names[0]] += 1
    assert outermost <= Counter(each.task for each in plan.bodies)
    assert afterwards.is_nothing


def lineage(backend: MemoryBackend, job_id: str) -> Iterator[JobRecord]:
    """Give a job, the one that it is a child of, and so on."""
    job: JobRecord | None = backend.jobs[job_id]  # type: ignore[index]  # ids are text
    while job is not None:
        yield job
        job = backend.jobs[job.parent_id] if job.parent_id is not None else None
