"""Blessing: after a refactor that changes no meaning, results of the earlier code stay in use.

An alias says that what is recorded under an earlier task hash counts for a later one. It is a row
with author, time and reason; taking it back ends the row and never deletes it. Nothing else is
written: a result that is used by an alias stays that of the earlier code, so that it is out of use
as soon as the alias ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from taskgraph.engine.recorded import fitted, values_of
from taskgraph.engine.recorder import add_task_rows
from taskgraph.errors import (
    AmbiguousIdError,
    BlessCheckError,
    BlessRefusedError,
    DamagedValueError,
    UnknownAliasError,
    UnknownTaskError,
    UntrustedRecordError,
)
from taskgraph.expression import TaskExpression, find_expressions, in_order
from taskgraph.hashing import TaskHash, ValueHash
from taskgraph.ports import Backend, Call, Raised, Returned
from taskgraph.records import (
    JobId,
    RecordBatch,
    RecordedCall,
    StoredResult,
    TaskAliasRecord,
    TaskVersion,
)
from taskgraph.tasks.registry import AnyTask
from taskgraph.values import codec
from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value
from taskgraph.worker import describe_error, now, run_call

# Calls that are looked at for each that is to be checked: some cannot be made again.
_MOST_TRIES = 8


class Version(NamedTuple):
    """A task's code: the task itself where it is defined here, else its record alone."""

    hash: TaskHash
    fullname: str
    task: AnyTask | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to, if it found nothing.

    Attributes:
        calls: How many calls were made again and gave what they gave before.
        skipped: Why others could not be made again.
    """

    calls: int
    skipped: tuple[str, ...]


def defined(task: AnyTask) -> Version:
    """Return the version of a task that is defined in this process."""
    return Version(task.get_hash(), task.fullname, task)


def recorded(backend: Backend, wanted: str, other_than: TaskHash | None = None) -> Version:
    """Return a recorded version, by full name or first digits of its hash; the last run of many.

    What came from elsewhere and is not trusted is no version of a task's name here.

    Args:
        backend: What knows them.
        wanted: The name or the digits.
        other_than: A version that is not meant.

    Raises:
        UnknownTaskError: There is none.
        AmbiguousIdError: The digits stand for several.
        BlessRefusedError: The only one is that which is not meant.
        UntrustedRecordError: The only ones came from elsewhere and are not trusted.
    """
    every: list[TaskVersion] = backend.find_versions([wanted])[wanted]
    if not every:
        raise UnknownTaskError(wanted, (), "the database")
    found = [each for each in every if each.hash != other_than]
    if not found:
        reason = "only this very code is recorded: there is nothing to take results over from"
        raise BlessRefusedError(wanted, every[0].fullname, reason)
    is_by_digits = wanted != found[0].fullname
    if is_by_digits and len(found) > 1:
        raise AmbiguousIdError(wanted, [each.hash[:12] for each in found])
    strange = found[0]
    found = [each for each in found if each.origin is None]
    if not found:
        assert strange.origin is not None
        raise UntrustedRecordError(
            strange.hash, strange.origin, "its results count for nothing, under whatever code"
        )
    return Version(found[0].hash, found[0].fullname)


def bless(backend: Backend, old: Version, new: Version, author: str, why: str) -> TaskAliasRecord:
    """Have results of the old version count for the new one; twice is once.

    Raises:
        BlessRefusedError: They are the same.
    """
    if old.hash == new.hash:
        raise BlessRefusedError(old.fullname, new.fullname, "it is the same code already")
    for alias in backend.load_aliases():
        if alias[:2] == (old.hash, new.hash) and alias.end_time is None:
            return alias
    made = TaskAliasRecord(
        old.hash, new.hash, now(), old.fullname, new.fullname, author, why.strip()
    )
    batch = RecordBatch(task_aliases=[made])
    if new.task is not None:
        # It may never have run; now it is referred to.
        add_task_rows(batch, new.task, new.hash)
    backend.record(batch)
    return made


def unbless(backend: Backend, old: str, new: str | None, author: str) -> list[TaskAliasRecord]:
    """End the aliases from one task, or version, to another one, or to any.

    Args:
        backend: What knows them.
        old: The full name, or first digits of the hash, of the earlier code.
        new: The same of the later code; any if it is not given.
        author: Who does it.

    Raises:
        UnknownAliasError: There is no such alias in force.
    """
    moment = now()
    ended = [
        alias._replace(end_time=max(moment, alias.timestamp), end_author=author)
        for alias in backend.load_aliases()
        if alias.end_time is None
        and _is_meant(old, alias.old_name, alias.old_hash)
        and (new is None or _is_meant(new, alias.new_name, alias.new_hash))
    ]
    if not ended:
        raise UnknownAliasError(old, new)
    backend.record(RecordBatch(task_aliases=ended))
    return ended


def _is_meant(wanted: str, name: str, task_hash: TaskHash) -> bool:
    return wanted == name or (len(wanted) >= 4 and task_hash.startswith(wanted.lower()))


# Checking


def check(backend: Backend, old: Version, new: Version, count: int) -> Checked:
    """Make recorded calls of the old version again, with the new one's function.

    Nothing is recorded. What the function does besides returning a value, it does.

    Args:
        backend: What knows the calls.
        old: The version whose calls are made again.
        new: The version that must give the same results; it must be defined here.
        count: How many calls.

    Raises:
        BlessCheckError: A result differs.
        BlessRefusedError: No call could be made again.
    """
    names = _NamesAlike(backend.load_aliases(), (old.fullname, new.fullname))
    skipped: list[str] = []
    done = 0
    for call in backend.sample_calls(old.hash, count * _MOST_TRIES):
        if done == count:
            break
        reason = _check_call(backend, call, old, new, names)
        if reason is None:
            done += 1
        else:
            skipped.append(f"{call.call_hash[:8]}: {reason}")
    if not done:
        what = "no call of it is recorded that can be made again"
        reasons = f" ({'; '.join(skipped[:3])})" if skipped else ""
        raise BlessRefusedError(old.fullname, new.fullname, f"{what}{reasons}")
    return Checked(done, tuple(skipped))


def _check_call(
    backend: Backend, call: RecordedCall, old: Version, new: Version, names: _NamesAlike
) -> str | None:
    """Make a call again and compare; returns why it could not be made again."""
    task = new.task
    assert task is not None and task.is_defined
    values = values_of(backend, call.arguments)
    if isinstance(values, str):
        return values
    args, kwargs, missing = fitted(call.arguments, values, task)
    if missing:
        return f"what was given for {', '.join(missing)} was not recorded"
    shown = f"{old.fullname}({_show(args, kwargs)})"
    before = preview(_decoded(call.result))
    try:
        task.binder.check(args, kwargs)
    except TypeError as error:
        raise BlessCheckError(shown, call.call_hash, before, str(error)) from None
    outcome = run_call(Call(JobId(""), new.fullname, task.func, args, kwargs))
    if isinstance(outcome, Raised):
        raise BlessCheckError(shown, call.call_hash, before, describe_error(outcome.error))
    assert isinstance(outcome, Returned)
    if outcome.packed is None:
        return f"its result has no stable hash: {outcome.unstored}"
    value = outcome.packed.values[0]
    if value.value_hash == call.result.value_hash:
        return None
    # A copy, for expressions in it are given other names.
    again = StoredResult(*value[:4], value.content_digest)
    if names.hash_of(_decoded(again)) != names.hash_of(_decoded(call.result)):
        raise BlessCheckError(shown, call.call_hash, before, value.preview)
    return None


def _show(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    given = [preview(each) for each in args]
    given += [f"{name}={preview(value)}" for name, value in kwargs.items()]
    return ", ".join(given)


def _decoded(stored: StoredResult) -> Any:
    try:
        return codec.decode(*stored)
    except DamagedValueError as error:
        return error


class _NamesAlike:
    """Names of tasks that stand for the same, so that calls of them are equal in a comparison.

    Args:
        aliases: Those that there are.
        pair: The one that is about to be made.
    """

    def __init__(self, aliases: Iterable[TaskAliasRecord], pair: tuple[str, str]) -> None:
        self._first: dict[str, str] = {}
        pairs = [(each.old_name, each.new_name) for each in aliases if each.end_time is None]
        for old, new in [*pairs, pair]:
            kept, other = self._of(old), self._of(new)
            self._first = {
                name: kept if first == other else first for name, first in self._first.items()
            } | {other: kept, kept: kept}

    def _of(self, name: str) -> str:
        return self._first.get(name, name)

    def hash_of(self, value: Any) -> ValueHash:
        """Return the hash of a value once all calls in it have the first of their names."""
        for expr in in_order(find_expressions(value)):
            if isinstance(expr, TaskExpression):
                expr.task_name = self._of(expr.task_name)
        return hash_value(value, "result")
