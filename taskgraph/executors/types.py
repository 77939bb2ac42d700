"""Which types of executors there are: ours, those of the program, those of other packages.

Nothing of a type is imported before an executor of it is needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from taskgraph.errors import ConfigError
from taskgraph.ports import Executor
from taskgraph.tasks.options import QUEUES

ENTRY_POINTS: Final = "taskgraph.executors"
ALIAS: Final = "alias"

Factory = Callable[..., Executor]

_OURS: Final = {
    "async": "taskgraph.executors.eventloop:LoopExecutor",
    "dask": "taskgraph.executors.dask.executor:DaskExecutor",
    "inline": "taskgraph.executors.inline:InlineExecutor",
    "processes": "taskgraph.executors.processes:ProcessExecutor",
    QUEUES: "taskgraph.executors.queued:QueueExecutor",
    "submitit": "taskgraph.executors.submitit:SubmititExecutor",
    "threads": "taskgraph.executors.threads:ThreadExecutor",
}
_registered: dict[str, Factory] = {}


def register_executor(name: str, factory: Factory) -> None:
    """Make a type of executors known to this process.

    Schedulers that are made later have an executor of that name. Tables of the settings give others
    by ``type = "NAME"``; their other keys are arguments of the factory. What another package brings
    is found by itself, by an entry point in the group ``taskgraph.executors``.

    Args:
        name: The type.
        factory: Its class, or another callable: given the name of an executor, it returns that. An
            earlier one of that name is replaced.

    Raises:
        TypeError: The name is no text, or the factory cannot be called.
    """
    if not isinstance(name, str) or not name or not callable(factory):
        raise TypeError(f"register_executor takes a name and a class, not {name!r} and {factory!r}")
    _registered[name] = factory


def registered_types() -> dict[str, Factory]:
    """Return what was registered, by name."""
    return dict(_registered)


def find_type(name: str, place: str) -> Callable[[], Factory]:
    """Return what imports a type.

    Args:
        name: The type.
        place: The table of the settings that names it, for errors.

    Raises:
        ConfigError: There is no such type.
    """
    if name in _registered:
        factory = _registered[name]
        return lambda: factory
    if name in _OURS:
        return lambda: load_factory(_OURS[name], place)
    from importlib.metadata import entry_points  # only here, for it looks at all packages

    found = entry_points(group=ENTRY_POINTS)
    if name in found.names:
        return lambda: _loaded(found[name].load, found[name].value, place)
    known = ", ".join(sorted({ALIAS, *_OURS, *_registered, *found.names}))
    reason = f"there is no type {name!r} of executors; there are: {known}"
    raise ConfigError(f"{place}.type", reason)


def load_factory(path: str, place: str) -> Factory:
    """Return a class by its module and name, as ``package.module:Class``.

    Raises:
        ConfigError: It cannot be imported.
    """
    module, _, name = path.partition(":")

    def load() -> Any:
        found: Any = importlib.import_module(module)
        for each in name.split("."):
            found = getattr(found, each)
        return found

    return _loaded(load, path, place)


def _loaded(load: Callable[[], Any], path: str, place: str) -> Factory:
    try:
        found = load()
    except (Exception, SystemExit) as error:
        # Whatever the module of a stranger raises as it is loaded; some of them are scripts.
        extra = next((each for each in ("dask", "submitit") if f".{each}" in path), "")
        hint = f" It needs: pip install 'taskgraph[{extra}]'" if extra else ""
        raise ConfigError(place, f"{path} cannot be imported: {error}.{hint}") from error
    if not callable(found):
        raise ConfigError(place, f"{path} is no class, but {found!r}")
    factory: Factory = found
    return factory
