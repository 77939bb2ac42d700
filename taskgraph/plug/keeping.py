"""A call that is kept, as one block: the three verbs put together, with what became of it.

    with kept(key(func, args, kwargs)) as call:
        if not call.is_found:
            call.result = call.body()  # or: await call.body()
    return call.result

    the block begins
      a result is recorded and valid           it is there already
      none is                                  what runs in the block runs within the call
      there is no key, or nothing can be read  what runs in the block runs, and that is all
    the block ends
      with a result                            recorded; found, ran, or not kept and why not
      with an error                            recorded, never kept, and raised
    and an observer is told what became of the call

For tools that call functions where they are. What cannot be kept runs all the same, and is told of:
a cache that does nothing looks like one that works.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from taskgraph.errors import DatabaseError, NotRecordedWarning, UnhashableValueError
from taskgraph.plug.verbs import CallKey, CallRecord, Hit, key, lookup, record
from taskgraph.recent import Recent
from taskgraph.tasks.functions import task_of
from taskgraph.worker import describe_error

FOUND: Final = "found"
RAN: Final = "ran"
RAISED: Final = "raised"
NOT_KEPT: Final = "not kept"

_RETURN_DATA: Final = (
    "Return plain data or files, and let a function without @cached make of these what is used."
)

_records: Recent[Hashable, CallRecord] = Recent()  # by the ids that tools have for them


class Unkeyed(NamedTuple):
    """A call that has no key, and so cannot be kept.

    Attributes:
        body: Runs it.
        reason: Why it has none.
        advice: What to do about that; "" if there is nothing to be said.
    """

    body: Callable[[], Any]
    reason: str
    advice: str = ""


@dataclass
class KeptCall:
    """A call, and what became of it.

    Attributes:
        body: Runs it.
        key: What it is known by; None if it has no key.
        is_found: Whether a recorded result is used, so that it need not run.
        result: What it returned; set by who runs it.
        error: What it raised. Who runs it sets it where a result is a failure, too.
        word: What became of it: `FOUND`, `RAN`, `RAISED` or `NOT_KEPT`; "" until it has ended.
        text: What was raised, or why it is not kept.
        advice: What to do about that.
        record: How it was recorded; None if it was not.
        trouble: What the database said, where it could not be read or written.
    """

    body: Callable[[], Any]
    key: CallKey | None = None
    is_found: bool = False
    result: Any = None
    error: BaseException | None = None
    word: str = ""
    text: str = ""
    advice: str = ""
    record: CallRecord | None = None
    trouble: DatabaseError | None = None


def key_if_any(
    func: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    config_dir: str | Path | None = None,
) -> CallKey | Unkeyed:
    """Return the key of a call as `taskgraph.plug.key` does, or say why it has none.

    Raises:
        UnfollowedCodeError: The settings are strict, and something cannot be followed.
        TypeError: The arguments do not fit the signature, or the function is a generator.
    """
    try:
        return key(func, args, kwargs, config_dir=config_dir)
    except (UnhashableValueError, DatabaseError) as error:
        inside = task_of(func).func
        assert inside is not None
        body = functools.partial(inside, *args, **(kwargs or {}))
        if isinstance(error, DatabaseError):
            return Unkeyed(body, str(error))
        path = error.path.removeprefix("args.")
        reason = f"{path} (a {error.type_name}) has no stable hash: {error.reason}"
        return Unkeyed(body, reason, leave_out(re.split(r"\W", path)[0]))


def leave_out(argument: str) -> str:
    """Return what to do about an argument that a key cannot be made of."""
    return (
        "If the result does not depend on it, leave it out of the key with "
        f'@cached(config_args=["{argument}"]); else let a function without @cached use it.'
    )


def warn_of_trouble(call: KeptCall) -> None:
    """Warn of a result that could not be recorded, and say nothing of all other calls."""
    if call.key is not None and call.trouble is not None and call.error is None:
        warnings.warn(NotRecordedWarning(call.key.fullname, call.trouble), stacklevel=2)


@contextmanager
def kept(
    call: CallKey | Unkeyed,
    *,
    tell: Callable[[KeptCall], None] = warn_of_trouble,
    refresh: bool = False,
    run: Hashable | None = None,
    inputs: Iterable[Hashable] = (),
    tags: Mapping[str, Any] | None = None,
) -> Iterator[KeptCall]:
    """Have a call be looked up before a block, and what came of it be recorded after it.

    Args:
        call: What it is known by; one that has no key runs, and is not kept.
        tell: Told of the call when it has ended; of one that was interrupted nobody is told.
        refresh: Whether not to look for a result.
        run: The id that the tool has for this call, if it has one.
        inputs: The ids of the calls that arguments came from; what is no call that was kept in
            this process is passed over.
        tags: What its job is to be found by.

    Raises:
        BaseException: What the block raises. A Ctrl-C is no outcome of the call.
        LazyResultError: The result is a lazy call, which nobody would run.
    """
    this = KeptCall(call.body)
    try:
        match _answer(this, call, refresh, tags):
            case Unkeyed(_, reason, advice):
                yield this
                _set_not_kept(this, reason, advice)
            case Hit(value, made):
                this.is_found, this.result, this.record = True, value, made
                yield this
                this.word = FOUND
            case wanted:
                upstream = [_records[each] for each in inputs if each in _records]
                with _recorded(this, wanted, {"upstream": upstream, "tags": tags}):
                    yield this
        if run is not None and this.record is not None:
            _records[run] = this.record
    finally:
        if this.word:
            tell(this)


def _answer(
    this: KeptCall, call: CallKey | Unkeyed, refresh: bool, tags: Mapping[str, Any] | None
) -> Hit | CallKey | Unkeyed:
    """Return the recorded result, or the key to record one under, or why neither can be."""
    if isinstance(call, Unkeyed):
        return call
    this.key = call
    try:
        found = None if refresh else lookup(call, tags=tags)
    except DatabaseError as error:
        this.trouble = error
        return Unkeyed(call.body, str(error))
    return found if isinstance(found, Hit) else call


@contextmanager
def _recorded(this: KeptCall, call: CallKey, told: Mapping[str, Any]) -> Iterator[None]:
    """Record what comes of a block in which a call runs."""
    started = datetime.now(UTC)
    try:
        with call.running():
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # some tools say with one that is no Exception what they mean
        this.error = error
        _record(this, call, started=started, **told)
        raise
    is_failure = this.error is not None
    _record(this, call, started=started, **told)
    if this.error is not None and not is_failure:
        raise this.error  # a lazy call


def _record(this: KeptCall, call: CallKey, **told: Any) -> None:
    try:
        this.record = record(call, this.result, error=this.error, **told)
    except DatabaseError as error:
        # What may have taken hours is not thrown away for a disk that is full.
        this.trouble = error
        _set_not_kept(this, str(error), "")
        return
    this.error = this.record.error
    if this.error is not None:
        this.word, this.text = RAISED, describe_error(this.error)
    elif this.record.unstored:
        _set_not_kept(this, f"its result: {this.record.unstored}", _RETURN_DATA)
    else:
        this.word = RAN


def _set_not_kept(this: KeptCall, reason: str, advice: str) -> None:
    this.word, this.text, this.advice = NOT_KEPT, reason.rstrip("."), advice
