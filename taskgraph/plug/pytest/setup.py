"""Cached fixtures of pytest, set up by the verbs: found or run, and noted.

A fixture that cannot be kept is set up all the same, and that is said: a cache that does nothing
looks like one that works.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from taskgraph.errors import DatabaseError, UnhashableValueError
from taskgraph.plug.memo import Cached
from taskgraph.plug.pytest.notes import FixtureNotes, Note
from taskgraph.plug.pytest.requests import as_counted, find_tool
from taskgraph.plug.verbs import CallKey, Miss, key, lookup, record
from taskgraph.worker import describe_error


@dataclass
class _SetUp:
    """One set-up: the function has to be called unless the result was found."""

    key: CallKey | None = None
    is_found: bool = False
    result: Any = None


class CachedFixture:
    """A cached fixture in a session."""

    def __init__(self, cached: Cached[..., Any], folder: Path, notes: list[Note]) -> None:
        task = cached.__taskgraph_task__
        assert task.func is not None
        self._cached = cached
        self._func: Callable[..., Any] = task.func
        self._left_out = task.get_task_options().get("config_args", ())
        self._folder = folder
        self._notes = FixtureNotes(cached, folder, notes)

    def as_function(self) -> Callable[..., Any]:
        """Return a function in its place; plug-ins for async look at what kind of one it is."""

        @functools.wraps(self._cached)
        def set_up(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            kwargs = as_counted(kwargs, self._left_out)
            with self._set_up(args, kwargs) as call:
                if not call.is_found:
                    call.result = self._func(*args, **kwargs)
            return call.result

        @functools.wraps(self._cached)
        async def set_up_async(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            kwargs = as_counted(kwargs, self._left_out)
            with self._set_up(args, kwargs) as call:
                if not call.is_found:
                    call.result = await self._func(*args, **kwargs)
            return call.result

        return set_up_async if inspect.iscoroutinefunction(self._func) else set_up

    @contextmanager
    def _set_up(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[_SetUp]:
        call = _SetUp()
        note = self._look_up(call, args, kwargs)
        if call.key is None or call.is_found:
            yield call
        else:
            with self._recorded(call, call.key):
                yield call
        note()

    def _look_up(
        self, call: _SetUp, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], None]:
        """Find the result of a set-up, or else its key if it has one; return what notes that."""
        tool = find_tool(kwargs, self._left_out)
        if tool is not None:
            return partial(self._notes.add_tool, tool)
        try:
            wanted = key(self._cached, args, kwargs, config_dir=self._folder)
            found = lookup(wanted)
        except UnhashableValueError as error:
            return partial(self._notes.add_unhashable, error)
        except DatabaseError as error:
            return partial(self._notes.add_not_kept, str(error))
        call.key = wanted
        if isinstance(found, Miss):
            return _nothing
        call.is_found, call.result = True, found.value
        return partial(self._notes.add, "found", wanted, found.record)

    @contextmanager
    def _recorded(self, call: _SetUp, wanted: CallKey) -> Iterator[None]:
        """Record what the function returns or raises; if nothing can be recorded, say so."""
        started = datetime.now(UTC)
        try:
            with wanted.running():
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pytest.skip() raises no Exception
            made = record(wanted, error=error, started=started)
            self._notes.add("raised", wanted, made, describe_error(error))
            raise
        try:
            made = record(wanted, call.result, started=started)
        except DatabaseError as error:
            self._notes.add_not_kept(str(error))
            return
        if made.error is not None:
            self._notes.add("raised", wanted, made, describe_error(made.error))
            raise made.error
        if made.unstored:
            self._notes.add_unstored(made)
        else:
            self._notes.add("ran", wanted, made)


def _nothing() -> None:
    """Note nothing: what has to run is noted when it has run."""
