"""The graph of nodes: who waits for whom. Nothing here runs, hashes or records.

Planting an expression makes a node for it and for all that it needs; settling or failing a node
moves on those that wait for it. Both work with lists instead of recursion, so that depth costs
memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.jobs import Job, Node, Operation, Wait
from taskgraph.expression import (
    Expression,
    SchedulerExpression,
    TaskExpression,
    expressions_in,
    find_expressions,
)
from taskgraph.hashing import ATOMIC_TYPES, CallHash

MakeJob = Callable[[TaskExpression, Job | None], Job]


class Graph:
    """Nodes in their dependencies.

    Attributes:
        ready: Nodes whose inputs are all values, in the order in which they became so.
        reduced: Nodes all of whose awaited expressions are values.
        broken: Nodes that were reducing, or followed another one, when what they need failed.
        refuted: Calls whose recorded results rest on answers that are others now.
    """

    def __init__(self, make_job: MakeJob) -> None:
        self._make_job = make_job
        self.ready: list[Node] = []
        self.reduced: list[Node] = []
        self.broken: list[tuple[Node, Node]] = []
        self.refuted: list[Job] = []

    @property
    def may_move(self) -> bool:
        """Whether any node can move without waiting."""
        return bool(self.broken or self.reduced or self.ready or self.refuted)

    def plant(self, value: Any, owner: Job, waiter: Node) -> bool:
        """Make nodes for all expressions in a value, and let ``waiter`` wait for them.

        Returns:
            Whether there is anything to wait for; if not, the value is concrete.

        Raises:
            UnknownTaskError: An expression names a task that is not defined here.
        """
        roots = find_expressions(value)
        if not roots:
            return False
        self._grow(roots, owner)
        self._link(roots, owner, waiter)
        if waiter.wait is not None and waiter.wait.needs == 0:
            self.reduced.append(waiter)
        return True

    def _grow(self, roots: list[Expression], owner: Job) -> None:
        """Make the nodes, innermost first: so are children ordered, whatever the timing."""
        nodes, children = owner.add_nodes(), owner.add_children()
        # An expression comes off the stack twice: first to make its node and those of its inputs,
        # then, when all of these are there, to be linked to them.
        stack: list[tuple[Expression, list[Expression] | None]] = [(e, None) for e in roots[::-1]]
        while stack:
            expr, inner = stack.pop()
            if inner is None:
                if id(expr) in nodes:
                    continue
                node = self._make_node(expr, owner)
                nodes[id(expr)] = node
                inner = inputs_of(node)
                if inner:
                    stack.append((expr, inner))
                    stack.extend((each, None) for each in reversed(inner))
                    continue
            node = nodes[id(expr)]
            if isinstance(node, Job):
                children.append(node)
            if inner:
                self._link(inner, owner, node)
                if node.wait is not None and node.wait.needs > 0:
                    continue
            if node.phase is phases.WAITING:
                self.ready.append(node)

    def _make_node(self, expr: Expression, owner: Job) -> Node:
        if isinstance(expr, TaskExpression):
            return self._make_job(expr, owner)
        return Operation(expr, owner)

    def _link(self, needed: list[Expression], owner: Job, waiter: Node) -> None:
        wait = Wait(waiter)
        waiter.wait = wait
        for expr in needed:
            node = owner.nodes[id(expr)]
            if node.phase is phases.DONE:
                continue
            if node.phase in {phases.FAILED, phases.DROPPED}:
                self._break(wait, node)
                return
            node.add_waiter(wait)
            wait.needs += 1

    def follow(self, first: Job, follower: Job) -> None:
        """Let a job wait for an equal one that is on its way."""
        follower.phase = phases.FOLLOWING
        follower.wait = Wait(follower)
        follower.wait.needs = 1
        first.add_waiter(follower.wait)

    def wait_before(self, job: Job, needed: Sequence[Job]) -> None:
        """Let a ready job wait for others; it becomes ready once more when they are done."""
        job.phase = phases.WAITING
        wait = job.wait = Wait(job)
        for each in needed:
            each.add_waiter(wait)
        wait.needs = len(needed)

    def settle(self, node: Node) -> None:
        """Mark a node as done: it has its value. Those that wait for it move on."""
        node.phase = phases.DONE
        node.template = None
        waiters, node.waiters = node.waiters, ()
        for wait in waiters:
            self._count_down(wait)

    def _count_down(self, wait: Wait) -> None:
        wait.needs -= 1
        if wait.needs == 0 and wait.node.wait is wait:
            waiting = wait.node
            (self.ready if waiting.phase is phases.WAITING else self.reduced).append(waiting)

    def wait_for_end(self, job: Job) -> bool:
        """Let a job wait until all that it wrote down has ended; False if it has."""
        rest = [each for each in job.nodes.values() if each.phase not in phases.SETTLED]
        wait = job.wait = Wait(job, is_for_end=True)
        for each in rest:
            each.add_waiter(wait)
        wait.needs = len(rest)
        return bool(rest)

    def fail(self, node: Node, error: BaseException, origin: Job | None) -> None:
        """Mark a node as failed. Those that wait for it as an input are dropped in their turn.

        Args:
            node: The node.
            error: What was raised.
            origin: The job whose body raised it.
        """
        node.phase = phases.FAILED
        node.error = error
        node.origin = origin
        self._break_waiters(node)

    def _break_waiters(self, node: Node) -> None:
        stack = [node]
        while stack:
            failed = stack.pop()
            waiters, failed.waiters = failed.waiters, ()
            for wait in waiters:
                dropped = self._break(wait, failed)
                if dropped is not None:
                    stack.append(dropped)

    def _break(self, wait: Wait, cause: Node) -> Node | None:
        """Void a wait; returns its node if that was dropped, so that its own waiters break."""
        node = wait.node
        if node.wait is not wait:
            return None
        if wait.is_for_end:
            self._count_down(wait)
            return None
        node.wait = None
        if node.phase is not phases.WAITING:
            self.broken.append((node, cause))
            return None
        node.phase = phases.DROPPED
        node.error = cause.error
        node.origin = cause.origin
        return node


def inputs_of(node: Node) -> list[Expression]:
    """Return the expressions that must be values before the node can run."""
    expr = node.expr
    if not isinstance(node, Job):
        return expressions_in(expr._inputs())
    lazy: list[Any] = []
    if node.lazy_options or node.lazy_exports:
        lazy = find_expressions([*node.lazy_options.values(), *node.lazy_exports.values()])
    if isinstance(expr, SchedulerExpression):
        return lazy
    if not ATOMIC_TYPES.issuperset(map(type, expr._inputs())):
        lazy += expressions_in(expr._inputs())
    if node.task.binder.lazy_defaults:
        lazy += node.lazy_defaults().values()
    return lazy


def upstream_of(given: Any, owner: Job) -> list[CallHash]:
    """Return the calls that a value came from, of those that have ended.

    Asked for only when a job is recorded.
    """
    found = {job.call_hash: None for job in jobs_behind(given, owner) if job.call_hash is not None}
    return list(found)


def jobs_behind(given: Any, owner: Job) -> Iterator[Job]:
    """Yield the calls that a value came from: those that its expressions reach, each once.

    Operators are looked through, calls are not. Linear in what is reached.
    """
    seen: set[int] = set()
    stack = find_expressions(given)
    while stack:
        expr = stack.pop()
        if id(expr) in seen:
            continue
        seen.add(id(expr))
        node = owner.nodes[id(expr)]
        if isinstance(node, Job):
            yield node
        else:
            stack += inputs_of(node)


def ready_calls(nodes: Iterable[Node], compute: Callable[[Operation], None]) -> Iterator[Job]:
    """Yield the calls of nodes whose inputs are all values: READY. Operators go to ``compute``."""
    for node in nodes:
        if node.phase is not phases.WAITING:
            continue
        if node.owner is not None and node.owner.phase in phases.SETTLED:
            # Its error was caught, or was final: nobody needs this any more.
            node.phase = phases.DROPPED
            continue
        node.phase = phases.READY
        if isinstance(node, Operation):
            compute(node)
        else:
            assert isinstance(node, Job)
            yield node
