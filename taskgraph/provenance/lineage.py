"""How a value came to be, told from the records: the call that made it, and what led to that.

Each call is told once and the story has an end: it stops at a number of calls, and says so. Nothing
here walks by recursion, and nothing unpickles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from taskgraph.provenance.rows import ArgumentRow, CallRow, JobRow, ValueRow
from taskgraph.provenance.views import (
    CallView,
    FileView,
    JobView,
    Story,
    StoryStep,
)

MOST_CALLS: Final = 40
# How far to follow an argument that a task handed down to its children, and a result handed up.
_MOST_LEVELS: Final = 100
# A call that made 1,000 parts of its result shows the first few.
_MOST_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class _Visit:
    depth: int
    role: str
    call: CallRow


def tell_story(value: ValueRow, most_calls: int = MOST_CALLS) -> Story:
    """Tell how a value came to be.

    Args:
        value: The value.
        most_calls: Tell of no more calls than this.
    """
    maker = find_maker(value)
    waiting = [] if maker is None else [_Visit(0, "", maker)]
    steps: list[StoryStep] = []
    told: set[str] = set()
    while waiting:
        if len(steps) == most_calls:
            return Story(tuple(steps), is_cut=True)
        visit = waiting.pop()
        call = visit.call
        seen_before = call.call_hash in told
        told.add(call.call_hash)
        inputs: list[FileView] = []
        led_to = [] if seen_before else list(_what_led_to(visit, inputs))
        steps.append(_step(visit, inputs, seen_before))
        # Last in, first out: the first argument is told first, with all that led to it.
        waiting.extend(reversed(led_to))
    return Story(tuple(steps), is_cut=False)


def _step(visit: _Visit, inputs: Iterable[FileView], seen_before: bool) -> StoryStep:
    job = job_of(visit.call)
    return StoryStep(
        depth=visit.depth,
        role=visit.role,
        call=CallView.of(visit.call),
        inputs=tuple(dict.fromkeys(inputs)),
        job=None if job is None else JobView.of(job),
        seen_before=seen_before,
    )


def _what_led_to(visit: _Visit, inputs: list[FileView]) -> Iterator[_Visit]:
    """Yield the calls that a call rests on, and add the files that come from no call."""
    depth = visit.depth + 1
    for argument in visit.call.arguments:
        makers = _makers_of_argument(argument)
        for maker in makers:
            yield _Visit(depth, f"argument {argument.arg_key or '*'}", maker)
        if not makers:
            inputs.extend(files_in(argument.value))
    for part in _parts(visit.call):
        yield _Visit(depth, "part", part)


def _parts(call: CallRow) -> list[CallRow]:
    """Return the child calls that made something of a call's result, each once.

    A child whose result *is* the result was taken in place of the call already.
    """
    inside = {child.value_hash for child in call.value.children}
    # Numbers and texts are no recorded subvalues: without any of these, all children count.
    children = {child.call_hash: child for child in call.children}.values()
    chosen = [child for child in children if not inside or child.value.value_hash in inside]
    return chosen[:_MOST_PARTS]


def find_maker(value: ValueRow) -> CallRow | None:
    """Return the call that made a value: of the newest, the innermost one.

    A value that no call gave by itself may be part of a result: then the call of that one.
    """
    made = [result for result in value.results if not _was_given(result, value)]
    if not made:
        holders = [holder for holder in value.parents if holder.results]
        made = [result for holder in holders for result in holder.results]
    if not made:
        return None
    return innermost(max(made, key=lambda call: call.timestamp))


def _was_given(call: CallRow, value: ValueRow) -> bool:
    """Tell whether a call only handed on what it was given."""
    return any(argument.value.value_hash == value.value_hash for argument in call.arguments)


def innermost(call: CallRow) -> CallRow:
    """Return the call at the bottom that made a result which was handed up unchanged."""
    for _ in range(_MOST_LEVELS):
        wanted = call.value.value_hash
        inner = next((each for each in call.children if each.value.value_hash == wanted), None)
        if inner is None or inner.call_hash == call.call_hash:
            break
        call = inner
    return call


def _makers_of_argument(argument: ArgumentRow) -> list[CallRow]:
    """Return the calls that an argument came from, also when it was handed down by the caller."""
    level = [argument]
    for _ in range(_MOST_LEVELS):
        found = {call.call_hash: call for each in level for call in each.upstream}
        if found:
            makers = {innermost(call).call_hash: innermost(call) for call in found.values()}
            return sorted(makers.values(), key=lambda call: (call.timestamp, call.call_hash))
        level = [above for each in level for above in _same_in_caller(each)][:_MOST_PARTS]
        if not level:
            break
    return []


def _same_in_caller(argument: ArgumentRow) -> Sequence[ArgumentRow]:
    wanted = argument.value.value_hash
    return [
        above
        for caller in argument.call_node.parents
        for above in caller.arguments
        if above.value.value_hash == wanted
        or any(inside.value_hash == wanted for inside in above.value.children)
    ]


def files_in(value: ValueRow) -> list[FileView]:
    """Return the file that a value stands for, or those inside of it."""
    if value.file is not None:
        return [FileView.of(value.file)]
    return [FileView.of(child.file) for child in value.children if child.file is not None]


def job_of(call: CallRow) -> JobRow | None:
    """Return the newest job that ran a call; one that took it from the cache if there is none."""
    ran = [job for job in call.jobs if job.status != "CACHED"]
    return max(ran or call.jobs, key=lambda job: job.start_time, default=None)


def users_of(value: ValueRow) -> list[CallRow]:
    """Return the calls that had a value, or something that holds it, as an argument.

    Newest first, and each once.
    """
    given = [*value.arguments, *(each for holder in value.parents for each in holder.arguments)]
    calls = {each.call_node.call_hash: each.call_node for each in given}
    return sorted(calls.values(), key=lambda call: call.timestamp, reverse=True)
