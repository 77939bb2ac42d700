"""How a value came to be, told from the records: the call that made it, and what led to that.

Each call is told once and the story has an end: it stops at a number of calls, and says so. Nothing
here walks by recursion, and nothing unpickles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from taskgraph.provenance.rows import CallRow, JobRow, Reader, UpstreamRow, ValueRow
from taskgraph.provenance.views import (
    ArgumentView,
    CallView,
    FileView,
    JobView,
    Story,
    StoryStep,
)

MOST_CALLS: Final = 40
# How far to follow an argument that a task handed down to its children, and a result handed up.
_MOST_LEVELS: Final = 100
# Of a thousand calls that made a list, or a part of a result each, so many are told.
_MOST_BESIDE: Final = 12
_MOST_CALLERS: Final = 4
_MOST_FILES: Final = 12
_MOST_ARGUMENTS: Final = 50


@dataclass(frozen=True, slots=True)
class _Visit:
    depth: int
    role: str
    call: CallRow


@dataclass(slots=True)
class _Behind:
    """What is behind a call: other calls, files from outside, and how much more of both."""

    visits: list[_Visit] = field(default_factory=list)
    inputs: list[FileView] = field(default_factory=list)
    more: int = 0


def tell_story(reader: Reader, value: ValueRow, most_calls: int = MOST_CALLS) -> Story:
    """Tell how a value came to be.

    Args:
        reader: Where to look.
        value: The value.
        most_calls: Tell of no more calls than this.
    """
    makers = reader.makers(value.value_hash, 1)
    waiting = [_Visit(0, "", innermost(reader, maker)) for maker in makers]
    steps: list[StoryStep] = []
    told: set[str] = set()
    while waiting:
        if len(steps) == most_calls:
            return Story(tuple(steps), is_cut=True)
        visit = waiting.pop()
        seen_before = visit.call.call_hash in told
        told.add(visit.call.call_hash)
        arguments = reader.upstream(visit.call)[:_MOST_ARGUMENTS]
        behind = _Behind() if seen_before else _look_behind(reader, visit, arguments)
        steps.append(_step(reader, visit, arguments, behind, seen_before=seen_before))
        # Last in, first out: the first argument is told first, with all that led to it.
        waiting.extend(reversed(behind.visits))
    return Story(tuple(steps), is_cut=False)


def _step(
    reader: Reader,
    visit: _Visit,
    arguments: Sequence[UpstreamRow],
    behind: _Behind,
    *,
    seen_before: bool,
) -> StoryStep:
    job = job_of(reader, visit.call)
    return StoryStep(
        depth=visit.depth,
        role=visit.role,
        call=CallView.of(visit.call, tuple(map(ArgumentView.of, arguments))),
        inputs=tuple(dict.fromkeys(behind.inputs)),
        more=behind.more,
        job=None if job is None else JobView.of(job),
        seen_before=seen_before,
    )


def _look_behind(reader: Reader, visit: _Visit, arguments: Sequence[UpstreamRow]) -> _Behind:
    """Return the calls that a call rests on, and the files that come from no call."""
    behind = _Behind()
    depth = visit.depth + 1
    for each in arguments:
        makers = _makers_of_argument(reader, each)
        for maker in makers[:_MOST_BESIDE]:
            inner = innermost(reader, maker)
            behind.visits.append(_Visit(depth, f"argument {each.argument.arg_key or '*'}", inner))
        behind.more += max(0, len(makers) - _MOST_BESIDE)
        if not makers:
            files = reader.files_in(each.argument.value.value_hash, _MOST_FILES + 1)
            behind.inputs += map(FileView.of, files[:_MOST_FILES])
            behind.more += len(files) > _MOST_FILES
    call = visit.call
    parts = reader.parts(call.call_hash, call.value.value_hash, _MOST_BESIDE + 1)
    behind.visits += [_Visit(depth, "part", part) for part in parts[:_MOST_BESIDE]]
    behind.more += len(parts) > _MOST_BESIDE
    return behind


def innermost(reader: Reader, call: CallRow) -> CallRow:
    """Return the call at the bottom that made a result which was handed up unchanged."""
    wanted = call.value.value_hash
    for _ in range(_MOST_LEVELS):
        inner = reader.giving_child(call.call_hash, wanted)
        if inner is None or inner.call_hash == call.call_hash:
            break
        call = inner
    return call


def _makers_of_argument(reader: Reader, given: UpstreamRow) -> Sequence[CallRow]:
    """Return the calls that an argument came from, also when it was handed down by the caller."""
    level = [given]
    for _ in range(_MOST_LEVELS):
        found = {call.call_hash: call for each in level for call in each.calls}
        if found:
            return sorted(found.values(), key=lambda call: (call.timestamp, call.call_hash))
        level = [above for each in level for above in _same_in_callers(reader, each)]
        level = level[:_MOST_CALLERS]
        if not level:
            break
    return []


def _same_in_callers(reader: Reader, given: UpstreamRow) -> Iterator[UpstreamRow]:
    """Yield the arguments of the callers that an argument is, or is a part of."""
    wanted = given.argument.value.value_hash
    for caller in reader.callers(given.argument.call_node.call_hash, _MOST_CALLERS):
        for above in reader.upstream(caller)[:_MOST_ARGUMENTS]:
            if reader.holds(above.argument.value.value_hash, wanted):
                yield above


def job_of(reader: Reader, call: CallRow) -> JobRow | None:
    """Return the newest job that ran a call; one that took it from the cache if there is none."""
    return next(iter(reader.jobs_of_call(call.call_hash, 1)), None)


def view_call(reader: Reader, call: CallRow) -> CallView:
    """Return the view of a call: its first arguments, with where each came from."""
    arguments = reader.upstream(call)[:_MOST_ARGUMENTS]
    return CallView.of(call, tuple(map(ArgumentView.of, arguments)))
