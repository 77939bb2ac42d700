"""Which call of one execution is which of another.

In this order: the same call (equal call hashes), below the same caller before elsewhere; then the
place below callers that are paired (the task and the order, equal arguments first); then the task
with the most equal arguments, wherever it was called. A call that can be paired with an equal one
is never taken for another.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from taskgraph.provenance.rows import PlacedJobRow

# Calls that share an argument with very many others are not told apart by it.
_MOST_ALIKE: Final = 64
_MOST_CANDIDATES: Final = 8


J = TypeVar("J", bound=PlacedJobRow)

#: The arguments of a call: value hashes by place.
Arguments = Mapping[Hashable, str]


class Side(Generic[J]):
    """The jobs of one execution as a forest.

    Args:
        jobs: All of them, by start.
        order_of: The places of child calls by their caller.
    """

    def __init__(
        self, jobs: Sequence[J], order_of: Mapping[str, Mapping[str, Sequence[int]]]
    ) -> None:
        self.jobs = jobs
        known = {each.id: each for each in jobs}
        self.roots: list[J] = []
        self.children: dict[str, list[J]] = defaultdict(list)
        self.unpaired: dict[str, J] = dict(known)
        self.calls: Counter[str] = Counter()  # of those that are not paired
        self.calls.update(each.call_hash for each in jobs if each.call_hash is not None)
        for each in jobs:
            above = None if each.parent_id is None else known.get(each.parent_id)
            (self.roots if above is None else self.children[above.id]).append(each)
        for id, below in self.children.items():
            call = known[id].call_hash
            if call is not None and call in order_of:
                _sort(below, order_of[call])

    def take(self, job: J) -> None:
        """Have a job be paired."""
        del self.unpaired[job.id]
        if job.call_hash is not None:
            self.calls[job.call_hash] -= 1

    def below(self, job: J) -> list[J]:
        """Return the child jobs that are not paired, in the order of the calls."""
        return [each for each in self.children.get(job.id, ()) if each.id in self.unpaired]

    def walk(self) -> Iterable[J]:
        """Yield all jobs, callers before what they called."""
        waiting = deque(self.roots)
        while waiting:
            job = waiting.popleft()
            yield job
            waiting.extend(self.children.get(job.id, ()))


def _sort(below: list[J], order_of: Mapping[str, Sequence[int]]) -> None:
    """Sort child jobs as their caller wrote the calls down; what has no place comes last."""
    left = {call: deque(places) for call, places in order_of.items()}
    last = 1 + max((places[-1] for places in order_of.values()), default=0)
    places = {}
    for each in below:
        given = left.get(each.call_hash or "")
        places[each.id] = given.popleft() if given else last
    below.sort(key=lambda each: (places[each.id], each.start_time, each.id))


class Pairing(Generic[J]):
    """Pairs the jobs of two executions; the result is in `partner`, by the ids of either.

    Args:
        old: One execution.
        new: The other.
        arguments_of: The arguments of a call by its hash; None if they are not known.
    """

    def __init__(
        self, old: Side[J], new: Side[J], arguments_of: Callable[[str], Arguments | None]
    ) -> None:
        self.old = old
        self.new = new
        self.pairs: list[tuple[J, J]] = []
        self.partner: dict[str, J] = {}
        self._arguments_of = arguments_of
        self._waiting: deque[tuple[J, J]] = deque()
        self._pair_in_order(old.roots, new.roots, _call)
        self._pair_in_order(self._free(old, new, old.roots), self._free(new, old, new.roots), _task)
        self._descend()
        self._pair_equal_calls()
        self._pair_alike()

    def _pair(self, old: J, new: J) -> None:
        self.old.take(old)
        self.new.take(new)
        self.pairs.append((old, new))
        self.partner[old.id], self.partner[new.id] = new, old
        self._waiting.append((old, new))

    def _descend(self) -> None:
        """Pair what is below pairs, until there are none that were not looked into."""
        while self._waiting:
            old, new = self._waiting.popleft()
            ways = (_call, _task_and_arguments, _task)
            for number, key in enumerate(ways):
                before, after = self.old.below(old), self.new.below(new)
                if number:
                    before = self._free(self.old, self.new, before)
                    after = self._free(self.new, self.old, after)
                self._pair_in_order(before, after, key)

    @staticmethod
    def _free(own: Side[J], other: Side[J], jobs: Iterable[J]) -> list[J]:
        """Return those jobs that no equal call waits for on the other side."""
        return [
            each
            for each in jobs
            if each.id in own.unpaired
            and (each.call_hash is None or other.calls[each.call_hash] <= 0)
        ]

    def _pair_in_order(
        self, old: Sequence[J], new: Sequence[J], key: Callable[[J], Hashable | None]
    ) -> None:
        by_key: dict[Hashable, deque[J]] = defaultdict(deque)
        for each in new:
            name = key(each)
            if name is not None:
                by_key[name].append(each)
        for each in old:
            alike = by_key.get(key(each))
            if alike:
                self._pair(each, alike.popleft())

    def _pair_equal_calls(self) -> None:
        """Pair calls that are the same, wherever they were made."""
        places: dict[str, deque[J]] = defaultdict(deque)
        for each in self.new.walk():
            if each.call_hash is not None and each.id in self.new.unpaired:
                places[each.call_hash].append(each)
        for each in self.old.walk():
            alike = places.get(each.call_hash or "")
            # Those below a pair may have been paired with it meanwhile.
            while alike and alike[0].id not in self.new.unpaired:
                alike.popleft()
            if alike and each.id in self.old.unpaired:
                self._pair(each, alike.popleft())
                self._descend()

    def _pair_alike(self) -> None:
        """Pair calls of the same task that have the most arguments in common."""
        left = _by_task(self.old), _by_task(self.new)
        for name in left[0]:
            before = [each for each in left[0][name] if each.id in self.old.unpaired]
            after = [each for each in left[1].get(name, ()) if each.id in self.new.unpaired]
            if len(before) == len(after) == 1:
                self._pair(before[0], after[0])
            else:
                for _, first, second in sorted(self._candidates(before, after)):
                    old, new = before[first], after[second]
                    if old.id in self.old.unpaired and new.id in self.new.unpaired:
                        self._pair(old, new)
            self._descend()

    def _candidates(
        self, before: Sequence[J], after: Sequence[J]
    ) -> Iterable[tuple[int, int, int]]:
        """Yield pairs that have arguments in common: minus their number, and both places."""
        having: dict[Hashable, list[int]] = defaultdict(list)
        for place, each in enumerate(after):
            for item in self._items(each):
                having[item].append(place)
        for first, each in enumerate(before):
            votes: Counter[int] = Counter()
            for item in self._items(each):
                votes.update(having.get(item, ())[:_MOST_ALIKE])
            for second, number in votes.most_common(_MOST_CANDIDATES):
                yield -number, first, second

    def _items(self, job: J) -> Iterable[Hashable]:
        given = None if job.call_hash is None else self._arguments_of(job.call_hash)
        return [("", "")] if given is not None and not given else list((given or {}).items())


def _by_task(side: Side[J]) -> dict[str, list[J]]:
    found: dict[str, list[J]] = {}
    for each in side.walk():
        if each.id in side.unpaired:
            found.setdefault(each.task_name, []).append(each)
    return found


def _call(job: PlacedJobRow) -> Hashable | None:
    return job.call_hash


def _task(job: PlacedJobRow) -> Hashable:
    return job.task_name


def _task_and_arguments(job: PlacedJobRow) -> Hashable | None:
    return None if job.args_hash is None else (job.task_name, job.args_hash)


__all__ = ["Arguments", "Pairing", "Side"]
