"""Leaving out the library's own tasks, whose calls only hand values on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)


@dataclass(slots=True)
class Ends(Generic[N]):
    """Edges by their ends.

    Attributes:
        behind: What each node came from; None is the origin.
        into: The number of edges that lead to a node.
    """

    behind: dict[N, list[N | None]] = field(default_factory=dict)
    into: dict[N, int] = field(default_factory=dict)

    @classmethod
    def of(cls, edges: Iterable[tuple[N, N | None]]) -> Ends[N]:
        """Put edges in order of their ends."""
        found: Ends[N] = cls()
        for src, dest in edges:
            found.behind.setdefault(src, []).append(dest)
            if dest is not None:
                found.into[dest] = found.into.get(dest, 0) + 1
        return found

    def sorted(self) -> Iterator[tuple[N, N | None]]:
        """Give edges depth first, those of a node when all that lead to it were given.

        What goes in circles, as files may that are written again, is entered where it came first.
        """
        left = dict(self.into)
        waiting = [node for node in self.behind if not left.get(node)][::-1]
        others = iter(self.behind)
        given: set[N] = set()
        while True:
            if not waiting:
                entry = next((node for node in others if node not in given), None)
                if entry is None:
                    return
                waiting.append(entry)
            node = waiting.pop()
            if node in given:
                continue
            given.add(node)
            ready: list[N] = []
            for dest in self.behind[node]:
                yield node, dest
                if dest is not None:
                    left[dest] -= 1
                    if not left[dest] and dest in self.behind:
                        ready.append(dest)
            waiting.extend(reversed(ready))


@dataclass(frozen=True)
class Kinds(Generic[N]):
    """What has to be known of a node.

    Attributes:
        is_internal: Whether it is at a call of one of the library's own tasks.
        is_call: Whether it is a call.
        is_result: Whether it is a value as it came from a call.
    """

    is_internal: Callable[[N], bool]
    is_call: Callable[[N], bool]
    is_result: Callable[[N], bool]


def leave_out(edges: Iterable[tuple[N, N | None]], kinds: Kinds[N]) -> Iterable[tuple[N, N | None]]:
    """Join what is on both sides of calls of the library's own tasks, which are left out.

    Where many routes come to one of them and many leave it, its result stays, as a value; and so
    does what was asked for.
    """
    given = list(edges)
    if not any(kinds.is_internal(src) for src, _ in given):
        return given
    ends = Ends.of(Ends.of(given).sorted())
    roots = [node for node in ends.behind if not ends.into.get(node)] or list(ends.behind)[:1]
    kept = set(roots)
    # What a node that is left out stands for; those behind it are settled before it.
    stands_for: dict[N, list[N | None]] = {}
    for node in reversed(ends.behind):
        is_internal = kinds.is_internal(node)
        dests = ends.behind[node]
        if is_internal and kinds.is_result(node) and len(dests) > 1:
            # What its children gave it says more than what it was given itself.
            dests = [each for each in dests if each is None or not kinds.is_call(each)]
        dests = _joined(
            (dest,) if dest is None else stands_for.get(dest, (dest,)) for dest in dests
        )
        ends.behind[node] = dests
        if is_internal and node not in kept and (len(dests) == 1 or ends.into[node] == 1):
            stands_for[node] = dests
    return _reached(ends, roots)


def _joined(groups: Iterable[Iterable[N | None]]) -> list[N | None]:
    joined = dict.fromkeys(dest for group in groups for dest in group)
    if len(joined) > 1:
        # The origin is told of only if there is nothing else.
        joined.pop(None, None)
    return list(joined)


def _reached(ends: Ends[N], roots: list[N]) -> Iterator[tuple[N, N | None]]:
    waiting, seen = roots[::-1], set(roots)
    while waiting:
        node = waiting.pop()
        for dest in ends.behind.get(node, ()):
            yield node, dest
            if dest is not None and dest not in seen:
                seen.add(dest)
                waiting.append(dest)
