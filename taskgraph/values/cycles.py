"""Hashes of things that refer to each other, in cycles too.

In a cycle no hash can be made from the bottom up. What lies in one is told apart step by step
instead: first by what each thing is, then by what it refers to, then by what these refer to, until
a step tells nothing more apart. This is the refinement of partitions by which automata are
minimised (Moore, 1956), with hashes as the names of the parts: things from which all ways lead to
the same are the same, whichever of them is shared in memory.

Of the parts into which one falls apart, the largest keeps its name, so that each thing gets a new
name only a logarithmic number of times (Hopcroft, 1971). Hence two passes: the first finds out what
is the same, and only the second, over one thing of each sort, gives names that are canonical.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from taskgraph.hashing import hash_record

Combine = Callable[[int, Sequence[str]], str]
Edges = Mapping[int, Sequence[int]] | Sequence[Sequence[int]]
_START = hash_record("cycle", "start")


def hash_graph(edges: Sequence[Sequence[int]], combine: Combine) -> list[str]:
    """Return a hash for each node of a graph.

    Args:
        edges: For each node, those that it refers to, in order; by their positions here.
        combine: Makes the hash of a node from its position and from hashes that stand for those
            that it refers to. What is in no cycle has exactly the hash that this gives.
    """
    hashes = [""] * len(edges)
    above: list[int] = []  # what is in a cycle, or leads into one
    for knot in _knots(edges):
        node = knot[0]
        if _is_cycle(knot, edges) or not all(hashes[each] for each in edges[node]):
            above += knot
        else:
            hashes[node] = combine(node, [hashes[each] for each in edges[node]])
    if not above:
        return hashes
    # What is the same becomes one; what leads into a cycle may be that cycle written out once more.
    kept: dict[str, int] = {}
    parts = _Parts(above, edges, combine, hashes)
    parts.refine()
    chosen = {node: kept.setdefault(parts.names[node], node) for node in above}
    merged = {node: [chosen.get(each, each) for each in edges[node]] for node in kept.values()}
    for knot in _knots([merged.get(node, ()) for node in range(len(edges))]):
        if knot[0] not in merged:
            continue
        if _is_cycle(knot, merged):
            _hash_cycle(knot, merged, combine, hashes)
        else:
            node = knot[0]
            hashes[node] = combine(node, [hashes[each] for each in merged[node]])
    for node, same in chosen.items():
        hashes[node] = hashes[same]
    return hashes


def _is_cycle(knot: Sequence[int], edges: Edges) -> bool:
    return len(knot) > 1 or knot[0] in edges[knot[0]]


def _hash_cycle(knot: Sequence[int], edges: Edges, combine: Combine, hashes: list[str]) -> None:
    """Give each node of a cycle its hash; those outside of it that they refer to have theirs."""
    parts = _Parts(knot, edges, combine, hashes)
    parts.refine()
    # Names say what was told apart and when; only all of them together say what the cycle is.
    whole = hash_record("cycle", *sorted(parts.names[node] + parts.key(node) for node in knot))
    for node in knot:
        hashes[node] = hash_record("cycle", whole, parts.names[node])


class _Parts:
    """Parts of a set of nodes, and a name for each: all in one part look the same so far."""

    def __init__(
        self, nodes: Sequence[int], edges: Edges, combine: Combine, hashes: Sequence[str]
    ) -> None:
        self.names = dict.fromkeys(nodes, _START)
        self._edges = edges
        self._combine = combine
        self._hashes = hashes
        self._members = {_START: dict.fromkeys(nodes)}
        # What all in a part had for a key when it was made, or when they were last looked at.
        self._keys = {_START: ""}
        self._users: dict[int, list[int]] = {node: [] for node in nodes}
        for node in nodes:
            for each in dict.fromkeys(edges[node]):
                if each in self._users:
                    self._users[each].append(node)

    def key(self, node: int) -> str:
        """Return the hash of a node over the names of those that it refers to."""
        names = self.names
        inside = [names.get(each) or self._hashes[each] for each in self._edges[node]]
        return self._combine(node, inside)

    def refine(self) -> None:
        """Tell apart until each part holds those only from which all ways lead to the same.

        If no two nodes are the same, the names depend on nothing but on what there is.
        """
        changed: Iterable[int] = list(self.names)
        while changed:
            looks: dict[str, dict[int, str]] = {}
            for node in changed:
                name = self.names[node]
                # What is alone in its part can be told apart from nothing.
                if len(self._members[name]) > 1:
                    looks.setdefault(name, {})[node] = self.key(node)
            renamed = [node for name in looks for node in self._split(name, looks[name])]
            changed = dict.fromkeys(user for node in renamed for user in self._users[node])

    def _split(self, name: str, looks: Mapping[int, str]) -> list[int]:
        """Give new names to what no longer looks the same, and return those that have one."""
        members = self._members[name]
        groups: dict[str, list[int]] = {}
        for node, key in looks.items():
            groups.setdefault(key, []).append(node)
        counts = {key: len(group) for key, group in groups.items()}
        others = len(members) - len(looks)
        if others:
            last = self._keys[name]
            counts[last] = counts.get(last, 0) + others
        largest = max(counts.values())
        first, *further = [key for key, count in counts.items() if count == largest]
        # Of several that are the largest none keeps the name: which of them comes first is chance.
        keeps = None if further else first
        if others and keeps != last:
            left = [node for node in members if node not in looks]
            groups[last] = [*groups.get(last, ()), *left]
        renamed: list[int] = []
        for key, group in groups.items():
            if key == keeps:
                continue
            new = hash_record("cycle part", name, key)
            self._members[new] = dict.fromkeys(group)
            self._keys[new] = key
            for node in group:
                self.names[node] = new
                del members[node]
            renamed += group
        if keeps is not None:
            self._keys[name] = keeps
        return renamed


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
