"""Executors, as settings say: made, or registered by the program; and observers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from taskgraph.config import ALIAS_EXECUTOR, CLOSED_EXECUTORS, ExecutorSettings, Settings
from taskgraph.errors import ConfigError, TaskgraphError
from taskgraph.ports import CallQueue, Command, Executor, Observer
from taskgraph.tasks.options import QUEUES

if TYPE_CHECKING:
    pass

_METHODS = ("start", "submit", "cancel", "stop")  # of each executor


def make_executors(
    settings: Settings,
    connect: Callable[[], CallQueue] | None = None,
    warn: Callable[[str], object] | None = None,
) -> dict[str, Executor]:
    """Return all executors that the settings name, and those that were registered.

    None of them has started anything yet, and those that take long to load are not even imported.

    Args:
        settings: What names them.
        connect: Returns where calls are put for the workers of queues, of a run.
        warn: Told in a sentence what the user should know.

    Raises:
        ConfigError: There is no such type, or an alias is of nothing.
    """
    from taskgraph.executors.alias import AliasExecutor
    from taskgraph.executors.types import find_type, load_factory, registered_types

    made: dict[str, Executor] = {}
    for name, factory in registered_types().items():
        made[name] = AliasExecutor(name, partial(_made_by, factory, name, name, {}))
    for name, wanted in settings.executors.items():
        place = f"executors.{name}"
        if wanted.type == ALIAS_EXECUTOR:
            target = _target_of(settings, name, made)
            made[name] = AliasExecutor(name, partial(made.__getitem__, target))
        elif wanted.type in CLOSED_EXECUTORS:
            make = partial(_make_closed, name, find_type(wanted.type, place), wanted)
            made[name] = AliasExecutor(name, make) if wanted.type == "processes" else make()
        else:
            path = wanted.class_name
            find = (
                find_type(wanted.type, place) if wanted.type else partial(load_factory, path, place)
            )
            if wanted.type == QUEUES:
                find = partial(_sending, find, connect, warn)
            made[name] = AliasExecutor(name, partial(_make_executor, name, find, wanted))
    return made


def observers_of(settings: Settings) -> list[Observer]:
    """Return the observers that the settings name.

    Raises:
        ObserverError: One of them cannot be made.
    """
    wanted = settings.observers
    found: list[Observer] = []
    if wanted.python:
        from taskgraph.observers.given import observer_named

        found += [observer_named(each) for each in wanted.python]
    if wanted.jsonl:
        from taskgraph.observers.jsonlines import JsonLines

        found.append(JsonLines(wanted.jsonl))
    if wanted.opentelemetry:
        from taskgraph.observers.opentelemetry import OpenTelemetry

        found.append(OpenTelemetry())
    return found


def launch_on(settings: Settings, name: str, command: Command) -> str:
    """Have an executor begin a whole command; returns what to find it by.

    Raises:
        ConfigError: There is no executor of that name.
        LaunchError: It ends with this process, and would take the command along.
    """
    from taskgraph.executors.alias import launch

    executors = make_executors(settings)
    if name not in executors:
        known = ", ".join(sorted(executors))
        raise ConfigError("--on", f"there is no executor {name!r}; there are: {known}")
    return launch(executors[name], command)


def _sending(
    find: Callable[[], Callable[..., Executor]],
    connect: Callable[[], CallQueue] | None,
    warn: Callable[[str], object] | None,
) -> Callable[..., Executor]:
    """Return what makes executors that send calls to workers."""
    return partial(find(), connect=connect, warn=warn)


def _make_closed(
    name: str, find: Callable[[], Callable[..., Executor]], wanted: ExecutorSettings
) -> Executor:
    given = {"max_workers": wanted.max_workers, "start_method": wanted.start_method}
    return find()(name, **{key: value for key, value in given.items() if value is not None})


def _target_of(settings: Settings, name: str, registered: Mapping[str, Executor]) -> str:
    """Return which executor an alias is another name of.

    Raises:
        ConfigError: It does not say, there is none of that name, or they go round in a circle.
    """
    seen = [name]
    while True:
        wanted = settings.executors.get(seen[-1])
        if wanted is None or wanted.type != ALIAS_EXECUTOR:
            return seen[1]
        of = wanted.arguments.get("of")
        others = {key for key in wanted.arguments if key != "of"}
        place = f"executors.{seen[-1]}"
        if not isinstance(of, str) or others:
            raise ConfigError(place, 'an alias says of which executor it is, as of = "threads"')
        if of in seen or (of not in settings.executors and of not in registered):
            known = ", ".join(sorted({*settings.executors, *registered} - {*seen}))
            raise ConfigError(f"{place}.of", f"there is no executor {of!r} (there are {known})")
        seen.append(of)


def _make_executor(
    name: str, find: Callable[[], Callable[..., Executor]], wanted: ExecutorSettings
) -> Executor:
    """Return an executor of an open type, or one of a cluster of Dask's, which is given as a class.

    Raises:
        ConfigError: Its class cannot be imported, takes no such arguments, or gives no executor.
    """
    from taskgraph.executors.types import find_type, load_factory

    place = f"executors.{name}"
    factory, arguments = find(), dict(wanted.arguments)
    if not wanted.type and not hasattr(factory, "submit") and hasattr(factory, "scale"):
        factory, arguments = find_type("dask", place)(), {"cluster": factory, **arguments}
    elif wanted.type and wanted.class_name:
        arguments = {"cluster": load_factory(wanted.class_name, place), **arguments}
    try:
        inspect.signature(factory).bind(name, **arguments)
    except TypeError as error:
        raise ConfigError(place, f"{wanted.type or wanted.class_name}: {error}") from None
    except ValueError:  # its signature cannot be told
        pass
    return _made_by(factory, name, wanted.type or wanted.class_name, arguments)


def _made_by(
    factory: Callable[..., Executor], name: str, what: str, arguments: Mapping[str, Any]
) -> Executor:
    """Return what a factory makes, which may be that of a stranger.

    Raises:
        ConfigError: That is no executor, or the factory raised.
    """
    place = f"executors.{name}"
    try:
        made = factory(name, **arguments)
    except TaskgraphError:
        raise
    except Exception as error:
        reason = f"{what} cannot be made: {type(error).__name__}: {error}"
        raise ConfigError(place, reason) from error
    if lacking := [each for each in _METHODS if not callable(getattr(made, each, None))]:
        raise ConfigError(
            place, f"{what} is no executor: {made!r} has no method {', '.join(lacking)}"
        )
    return made


__all__ = ["launch_on", "make_executors", "observers_of"]
