"""What a run would do now, as data: made by the engine without running anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from taskgraph.hashing import ArgsHash, TaskHash
from taskgraph.records import PastBelow

#: The `reason` of a call whose arguments are not known before others ran.
WAITS = "WAITS"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that would run.

    Attributes:
        task: The full name of its task.
        call: The call as it would be written, shortened; what is not known yet is ``?``.
        reason: Why it would run: the name of an ``engine.cache.Reason``, or ``WAITS``.
        why: The same in words.
        is_certain: Whether its arguments are known, so that it runs for sure if the run comes to
            it; else it runs only if what it is given changes, or if a call that waits for its
            arguments turns out to be recorded already, and this one is below it.
        is_rerun: Whether it was made before, by whatever code, or depends on one that was.
        is_open: Whether it may make further calls, which cannot be known before it ran.
        is_body: Whether a task's body would run; a scheduler task that waits has none.
        seconds: How long it took the last time, or usually takes, if that is known.
        size: How many bytes its result had the last time, as it is stored.
        below: The calls that it made the last time, at any depth, by task.
        task_hash: Its task's code.
        args_hash: Its arguments, if they are known.
    """

    task: str
    call: str
    reason: str
    why: str
    is_certain: bool
    is_rerun: bool
    is_open: bool
    is_body: bool
    seconds: float | None
    size: int | None
    below: tuple[PastBelow, ...]
    task_hash: TaskHash
    args_hash: ArgsHash | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do now. It is an upper bound of what is known; see `PlannedCall`.

    Attributes:
        calls: What would run, in the order in which it was found: what needs others is after them.
        cached: How many calls would be answered from the records, by task.
        error: What the run would fail with, if that is known already.
    """

    calls: tuple[PlannedCall, ...]
    cached: Mapping[str, int]
    error: str | None = None

    @property
    def bodies(self) -> tuple[PlannedCall, ...]:
        """The calls whose bodies would run."""
        return tuple([each for each in self.calls if each.is_body])

    @property
    def is_nothing(self) -> bool:
        """Whether nothing would run, and nothing fail."""
        return not self.calls and self.error is None

    @property
    def certain(self) -> int:
        """How many calls would run for sure."""
        return sum(each.is_certain for each in self.bodies)

    @property
    def possible(self) -> int:
        """How many more would run if what they are given changes."""
        return len(self.bodies) - self.certain

    @property
    def seconds(self) -> float:
        """How long all of them took the last time, as far as that is known."""
        return sum(each.seconds or 0.0 for each in self.bodies)

    @property
    def reruns(self) -> tuple[PlannedCall, ...]:
        """Those that were made before, or depend on some that were."""
        return tuple([each for each in self.bodies if each.is_rerun])

    def below(self) -> dict[str, int]:
        """Return how many calls were made the last time below those that may make some, by task."""
        counts: Counter[str] = Counter()
        for each in self.calls:
            counts.update({task: calls for task, calls, _ in each.below})
        return dict(counts)
