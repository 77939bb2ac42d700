"""The graph of nodes: order, settling, failing; no engine, no values."""

from __future__ import annotations

from itertools import count
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.jobs import Job, Node, Operation
from taskgraph.engine.reduction import Graph, upstream_of
from taskgraph.expression import TaskExpression
from taskgraph.hashing import CallHash, TaskHash
from taskgraph.records import JobId
from taskgraph.tasks.decorator import task
from taskgraph.tasks.options import NO_OPTIONS

_numbers = count()


@task(namespace="reduction", version="1")
def f(*args: Any, **kwargs: Any) -> Any:
    return None


def make_job(expr: TaskExpression, owner: Job | None) -> Job:
    return Job(JobId(str(next(_numbers))), f, TaskHash("0" * 32), expr, owner, NO_OPTIONS)


def planted(value: Any) -> tuple[Graph, Job, bool]:
    graph = Graph(make_job)
    owner = make_job(f(), None)  # type: ignore[arg-type]  # a lazy call
    owner.phase = phases.REDUCING
    return graph, owner, graph.plant(value, owner, owner)


def settle(graph: Graph, node: Node, value: Any) -> None:
    node.value = value
    graph.settle(node)


def test_a_concrete_value_waits_for_nothing() -> None:
    graph, _, is_waiting = planted([1, {"a": (2,)}])

    assert not is_waiting
    assert graph.ready == []


def test_inner_calls_are_ready_first_and_come_first_among_the_children() -> None:
    inner, other = f(1), f(2)
    graph, owner, is_waiting = planted([f(inner, [other]), inner])

    assert is_waiting
    assert [id(each.expr) for each in graph.ready] == [id(inner), id(other)]
    assert [len(each.expr.args) for each in owner.children] == [1, 1, 2]  # type: ignore[attr-defined]


def test_one_expression_object_is_one_node() -> None:
    shared = f(1)
    graph, owner, _ = planted([shared, [shared], f(shared), f(shared)])

    assert len(owner.nodes) == 3
    assert len(graph.ready) == 1


def test_settling_makes_ready_what_waited_and_at_last_the_owner_reduced() -> None:
    inner = f(1)
    outer = f(inner)
    graph, owner, _ = planted(outer)

    settle(graph, graph.ready.pop(), 10)
    (job,) = graph.ready
    assert job.expr is outer
    assert graph.reduced == []
    settle(graph, job, 20)

    assert graph.reduced == [owner]
    assert owner.resolved([outer, 3]) == [20, 3]


def test_a_failed_input_drops_what_needs_it_and_breaks_the_owner_once() -> None:
    bad, good = f(1), f(2)
    graph, owner, _ = planted([f(f(bad)), f(bad), good])
    failing, other = graph.ready
    error = ValueError("no")

    graph.fail(failing, error, failing)  # type: ignore[arg-type]  # it is a job
    settle(graph, other, 1)

    assert [(node, cause.error) for node, cause in graph.broken] == [(owner, error)]
    found = [each.phase for each in owner.nodes.values()]
    assert found.count(phases.DROPPED) == 3
    assert graph.reduced == []


def test_a_new_wait_makes_the_old_one_void() -> None:
    first, second = f(1), f(2)
    graph, owner, _ = planted(first)
    graph.plant(second, owner, owner)
    old, new = graph.ready

    settle(graph, old, 1)
    assert graph.reduced == []
    settle(graph, new, 2)

    assert graph.reduced == [owner]


def test_what_was_settled_or_failed_before_is_taken_at_once() -> None:
    done, failed = f(1), f(2)
    graph, owner, _ = planted([done, failed])
    settle(graph, graph.ready[0], 5)
    graph.fail(graph.ready[1], ValueError(), None)
    graph.broken.clear()

    assert graph.plant(done, owner, owner)
    assert graph.reduced == [owner]
    graph.plant(failed, owner, owner)
    assert [node for node, _ in graph.broken] == [owner]


def test_a_follower_settles_after_its_leader() -> None:
    graph, _, _ = planted([f(1), f(1)])
    first, follower = graph.ready
    assert isinstance(first, Job) and isinstance(follower, Job)
    first.phase = phases.AWAY

    graph.follow(first, follower)
    settle(graph, first, 1)

    assert graph.reduced == [follower]


def test_upstream_looks_through_operators_and_not_through_calls() -> None:
    a, b = f(1), f(2)
    total = (a + b) * 2
    outer = f(total)
    _, owner, _ = planted([outer])
    for expr, name in ((a, "a"), (b, "b")):
        node = owner.nodes[id(expr)]
        assert isinstance(node, Job)
        node.call_hash = CallHash(name)

    assert isinstance(owner.nodes[id(total)], Operation)
    assert sorted(upstream_of(total, owner)) == ["a", "b"]
    assert upstream_of([outer], owner) == []


def test_a_long_chain_of_operators_needs_no_recursion() -> None:
    value: Any = f(1)
    for _ in range(20_000):
        value = value + 1
    graph, owner, _ = planted(value)

    settle(graph, graph.ready.pop(), 0)
    while graph.ready:
        node = graph.ready.pop()
        assert isinstance(node, Operation)
        settle(graph, node, node.compute())

    assert graph.reduced == [owner]
    assert owner.resolved(value) == 20_000
