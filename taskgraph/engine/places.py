"""Places of calls: the branch that a call is given is named by where the call stands.

What counts is what the body wrote down, never when something came back.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from taskgraph.engine.jobs import Job, WeighedArgument
from taskgraph.expression import (
    Expression,
    SchedulerExpression,
    SimpleExpression,
    find_expressions,
    members_of,
)
from taskgraph.hashing import ATOMIC_TYPES, is_builtin
from taskgraph.records import JobId
from taskgraph.values.handles import GIVEN, Handle

# Operators that lie deeper than that in an argument are told apart by their identity.
_MOST_OPERATORS = 8


class BranchKeys:
    """Names branches by the places of the calls of one execution."""

    def __init__(self) -> None:
        self._uses: dict[JobId, _Uses] = {}

    def key(self, job: Job, argument: WeighedArgument, handle: Handle) -> str:
        """Return what the branch of a handle in an argument of a call is named by."""
        owner = job.owner
        if owner is None:
            return f"{GIVEN}0"
        written = {each.__handle__.hash for each in visible_handles(argument.given)}
        if handle.__handle__.hash in written:
            sources: list[Hashable] = [handle.__handle__.hash]
        else:
            sources = [_written(each) for each in find_expressions(argument.given)]
        steps = [str(self._rank(owner, job, sources))]
        # Scheduler tasks write nothing down by themselves: what counts is where they stand.
        while owner.owner is not None and isinstance(owner.expr, SchedulerExpression):
            above = owner.owner
            steps.append(f"{owner.task.name}{self._rank(above, owner, [_place(owner)])}")
            owner = above
        return GIVEN + ".".join(reversed(steps))

    def _rank(self, owner: Job, job: Job, sources: Sequence[Hashable]) -> int:
        """Return how many calls before a job use the same, of those that its caller wrote down."""
        uses = self._uses.get(owner.id)
        if uses is None:
            uses = self._uses[owner.id] = _Uses()
        return uses.rank(owner, job, sources)


class _Uses:
    """What the calls that one call wrote down are given, counted in their order."""

    def __init__(self) -> None:
        self._seen = 0
        self._counts: dict[Hashable, int] = {}
        self._ranks: dict[tuple[JobId, Hashable], int] = {}

    def rank(self, owner: Job, job: Job, sources: Sequence[Hashable]) -> int:
        for child in owner.children[self._seen :]:
            self._seen += 1
            for source in set(_sources(child)):
                rank = self._counts.get(source, 0)
                self._counts[source] = rank + 1
                self._ranks[child.id, source] = rank
        return max((self._ranks.get((job.id, each), 0) for each in sources), default=0)


def _place(job: Job) -> Hashable:
    return ("scheduler task", job.task.fullname)


def _sources(job: Job) -> Iterator[Hashable]:
    """Yield what stands for the handles, and for the calls that may give some, in a call."""
    expr = job.expr
    if isinstance(expr, SchedulerExpression):
        yield _place(job)
        return
    for given in expr._inputs():
        if type(given) in ATOMIC_TYPES:
            continue
        for found in find_expressions(given):
            yield _written(found)
        for handle in visible_handles(given):
            yield handle.__handle__.hash


def _written(expr: Expression, depth: int = 0) -> Hashable:
    """Return what is the same for two ways to write the same item of the same call."""
    if not isinstance(expr, SimpleExpression) or depth == _MOST_OPERATORS:
        return id(expr)
    parts: list[Hashable] = [expr.func_name]
    for each in (*expr.args, *(each for pair in sorted(expr.kwargs.items()) for each in pair)):
        if isinstance(each, Expression):
            parts.append(_written(each, depth + 1))
        else:
            parts.append((type(each), each) if type(each) in ATOMIC_TYPES else id(each))
    return tuple(parts)


def visible_handles(value: Any) -> list[Handle]:
    """Return the handles that lie where expressions would be found; not those in expressions."""
    if isinstance(value, Handle):
        return [value]
    if type(value) in ATOMIC_TYPES or is_builtin(value):
        return []
    found: dict[int, Handle] = {}
    seen: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Handle):
            found[id(each)] = each
        elif type(each) not in ATOMIC_TYPES and id(each) not in seen:
            seen[id(each)] = each
            waiting += reversed(members_of(each) or ())
    return list(found.values())
