"""Cached fixtures of pytest, set up by the verbs: found or run, and noted.

A fixture that cannot be kept is set up all the same, and that is said: a cache that does nothing
looks like one that works.
"""

from __future__ import annotations

import functools
import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from taskgraph.config import find_config_dir
from taskgraph.errors import (
    DatabaseError,
    FixtureNotKeptWarning,
    FixtureRequestError,
    UnhashableValueError,
)
from taskgraph.plug.memo import Cached
from taskgraph.plug.verbs import CallKey, CallRecord, Hit, key, lookup, record
from taskgraph.worker import describe_error

_FOLDER = pytest.StashKey[Path]()
_NEW_EACH_SESSION: Final = ("tmp_path", "tmpdir")


class Note(NamedTuple):
    """What became of one set-up of a fixture.

    Attributes:
        word: ``found``, ``ran``, ``raised`` or ``not kept``.
        fixture: Its full name.
        text: What else there is to say.
        call: The key of the cache; "" if it has none.
        job_id: The record; "" if there is none.
        folder: The config directory of the record.
    """

    word: str
    fixture: str
    text: str = ""
    call: str = ""
    job_id: str = ""
    folder: str = ""


class KeptRequest:
    """What a cached fixture sees of ``request``: its ``param``, which counts like an argument."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        if hasattr(request, "param"):
            self.param: Any = request.param

    def __getattr__(self, name: str) -> Any:
        raise FixtureRequestError(name)


def keep(fixturedef: pytest.FixtureDef[Any], config: pytest.Config, notes: list[Note]) -> None:
    """Put in the place of a cached fixture what looks it up, runs it if need be, and notes it.

    Args:
        fixturedef: Any fixture; those that are not cached are left alone.
        config: The session's.
        notes: Where it is noted.
    """
    func = fixturedef.func
    own = func.__func__ if isinstance(func, types.MethodType) else func
    if isinstance(own, Cached):
        kept: Any = _Fixture(own, _folder_of(own, config), notes).as_function()
        if isinstance(func, types.MethodType):
            kept = types.MethodType(kept, func.__self__)
        fixturedef.func = kept  # type: ignore[misc] # what pytest asks for at each set-up


def _folder_of(cached: Cached[..., Any], config: pytest.Config) -> Path:
    """Return the config directory, which tests that change the working directory do not change."""
    if cached._config_dir is not None:
        return find_config_dir(given=cached._config_dir)
    if _FOLDER not in config.stash:
        nearest = find_config_dir(start=config.invocation_params.dir)
        is_there = nearest.is_dir()
        config.stash[_FOLDER] = nearest if is_there else find_config_dir(start=config.rootpath)
    return config.stash[_FOLDER]


@dataclass
class _SetUp:
    """One set-up: the function has to be called unless the result was found."""

    key: CallKey | None = None
    is_found: bool = False
    result: Any = None


class _Fixture:
    """A cached fixture in a session."""

    def __init__(self, cached: Cached[..., Any], folder: Path, notes: list[Note]) -> None:
        task = cached.__taskgraph_task__
        assert task.func is not None
        self._cached = cached
        self._func: Callable[..., Any] = task.func
        self._left_out = task.get_task_options().get("config_args", ())
        self._folder = folder
        self._notes = notes

    def as_function(self) -> Callable[..., Any]:
        """Return a function in its place; plug-ins for async look at what kind of one it is."""

        @functools.wraps(self._func)
        def set_up(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            kwargs = self._as_counted(kwargs)
            with self._set_up(args, kwargs) as call:
                if not call.is_found:
                    call.result = self._func(*args, **kwargs)
            return call.result

        @functools.wraps(self._func)
        async def set_up_async(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            kwargs = self._as_counted(kwargs)
            with self._set_up(args, kwargs) as call:
                if not call.is_found:
                    call.result = await self._func(*args, **kwargs)
            return call.result

        return set_up_async if inspect.iscoroutinefunction(self._func) else set_up

    def _as_counted(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with nothing in ``request`` but what counts."""
        if "request" not in kwargs or "request" in self._left_out:
            return kwargs
        return {**kwargs, "request": KeptRequest(kwargs["request"])}

    @contextmanager
    def _set_up(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[_SetUp]:
        call = _SetUp()
        reason = self._look_up(call, args, kwargs)
        if call.key is None:
            yield call
            self._not_kept(*reason)
        elif call.is_found:
            yield call
        else:
            with self._recorded(call, call.key):
                yield call

    def _look_up(self, call: _SetUp, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """Find the result of a set-up, or its key, or why it has none and what to do."""
        tools = [name for name, value in kwargs.items() if self._is_tool(name, value)]
        if tools:
            return [f"its argument {tools[0]} belongs to this session", _advice(tools[0])]
        try:
            call.key = key(self._cached, args, kwargs, config_dir=self._folder)
            found = lookup(call.key)
        except UnhashableValueError as error:
            name = next((each for each in kwargs if error.path.startswith(each)), "")
            why = f"{error.path} (a {error.type_name}) has no stable hash: {error.reason}"
            return [why, _advice(name)]
        except DatabaseError as error:
            call.key = None
            return [str(error)]
        if isinstance(found, Hit):
            call.is_found, call.result = True, found.value
            self._note("found", call.key, found.record)
        return []

    def _is_tool(self, name: str, value: Any) -> bool:
        is_pytests = type(value).__module__.partition(".")[0] == "_pytest"
        return (is_pytests or name in _NEW_EACH_SESSION) and name not in self._left_out

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
            self._note("raised", wanted, made, describe_error(error))
            raise
        try:
            made = record(wanted, call.result, started=started)
        except DatabaseError as error:
            self._not_kept(str(error))
            return
        if made.unstored:
            self._not_kept(made.unstored)
        else:
            self._note("ran", wanted, made)

    def _note(self, word: str, call: CallKey, made: CallRecord, text: str = "") -> None:
        folder = str(self._folder)
        self._notes.append(
            Note(word, self._cached.fullname, text, call.eval_hash, made.job_id, folder)
        )

    def _not_kept(self, reason: str, advice: str = "") -> None:
        self._notes.append(Note("not kept", self._cached.fullname, reason))
        warning = FixtureNotKeptWarning(self._cached.fullname, reason, advice)
        code = inspect.unwrap(self._func).__code__
        warnings.warn_explicit(warning, None, code.co_filename, code.co_firstlineno)


def _advice(name: str) -> str:
    left_out = f'@cached(config_args=["{name}"])' if name else "the option config_args of @cached"
    return (
        f"If the result does not depend on it, leave it out with {left_out}; else let a fixture "
        "without @cached use it."
    )
