"""Hashes of things that refer to each other, in cycles too.

In a cycle no hash can be made from the bottom up. What lies in one is told apart step by step
instead: first by what each thing is, then by what it refers to, then by what these refer to, until
a step tells nothing more apart. This is the refinement of partitions by which automata are
minimised (Moore, 1956), with hashes as the names of the parts: things from which all ways lead to
the same are the same, whichever of them is shared in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from taskgraph.hashing import hash_record

Combine = Callable[[int, Sequence[str]], str]


def hash_graph(edges: Sequence[Sequence[int]], combine: Combine) -> list[str]:
    """Return a hash for each node of a graph.

    Args:
        edges: For each node, those that it refers to, in order; by their positions here.
        combine: Makes the hash of a node from its position and from hashes that stand for those
            that it refers to. What is in no cycle has exactly the hash that this gives.
    """
    hashes = [""] * len(edges)
    # What leads into a cycle may be the cycle's own content written out once more.
    unrolled: dict[str, str] = {}
    for knot in _knots(edges):
        if len(knot) == 1 and knot[0] not in edges[knot[0]]:
            node = knot[0]
            own = combine(node, [hashes[each] for each in edges[node]])
            hashes[node] = unrolled.get(own, own)
            continue
        _refine(knot, edges, combine, hashes)
        for node in knot:
            unrolled[combine(node, [hashes[each] for each in edges[node]])] = hashes[node]
    return hashes


def _refine(
    knot: Sequence[int], edges: Sequence[Sequence[int]], combine: Combine, hashes: list[str]
) -> None:
    """Give each node of a cycle its hash; those outside of it that they refer to have theirs."""
    parts = 1
    while True:
        step = {node: combine(node, [hashes[each] for each in edges[node]]) for node in knot}
        for node, refined in step.items():
            hashes[node] = refined
        found = len(set(step.values()))
        if found == parts:
            break
        parts = found
    for node in knot:
        hashes[node] = hash_record("cycle", hashes[node])


def _knots(edges: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components, those that are referred to first.

    Tarjan's algorithm (SIAM Journal on Computing 1, 1972), with a list in place of recursion.
    """
    order = [0] * len(edges)  # 0: not met yet
    lowest = [0] * len(edges)
    is_open = [False] * len(edges)
    path: list[int] = []
    met = 0
    for start in range(len(edges)):
        if order[start]:
            continue
        stack: list[tuple[int, Iterator[int]]] = []
        entering: int | None = start
        while entering is not None or stack:
            if entering is not None:
                met += 1
                order[entering] = lowest[entering] = met
                path.append(entering)
                is_open[entering] = True
                stack.append((entering, iter(edges[entering])))
                entering = None
            node, rest = stack[-1]
            for each in rest:
                if not order[each]:
                    entering = each
                    break
                if is_open[each]:
                    lowest[node] = min(lowest[node], order[each])
            if entering is not None:
                continue
            stack.pop()
            if stack:
                above = stack[-1][0]
                lowest[above] = min(lowest[above], lowest[node])
            if lowest[node] == order[node]:
                knot = [path.pop()]
                while knot[-1] != node:
                    knot.append(path.pop())
                for each in knot:
                    is_open[each] = False
                yield knot
