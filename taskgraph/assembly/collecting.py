"""Looks into code for tasks: a file, a module with all below it, or an installed distribution.

What is found is what the code has, whatever was imported before: all modules below a package are
imported, and of a file only tasks count that it has just defined.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from taskgraph.assembly.scripts import load_script
from taskgraph.assembly.surroundings import in_force, places_of
from taskgraph.catalog.package_rows import Collected, PackagedTask
from taskgraph.catalog.schema_secrets import schema_without_secrets
from taskgraph.catalog.secrets import without_secrets
from taskgraph.config import Settings
from taskgraph.engine.recorder import add_task_rows
from taskgraph.errors import ScriptLoadError, ScriptNotFoundError
from taskgraph.jsontext import storable
from taskgraph.records import RecordBatch
from taskgraph.tasks.registry import AnyTask, get_task_registry

#: The group of entry points by which a distribution names the modules of its tasks.
ENTRY_POINTS: Final = "taskgraph.tasks"
# What is beside the code of a package, and may do anything when it is imported.
_ASIDE: Final = re.compile(r"__main__|conftest|tests?|test_.*|.*_test")


class _Source(NamedTuple):
    """Where tasks are.

    Attributes:
        modules: Imported, each once.
        distribution: The installed distribution that they are of.
        knew: The tasks that were defined before, where only others count.
    """

    name: str
    origin: str
    modules: tuple[ModuleType, ...]
    distribution: metadata.Distribution | None
    is_distribution: bool = False
    knew: tuple[AnyTask, ...] = ()


def collect(settings: Settings, named: str) -> Collected:
    """Import code, and return the tasks that are defined in it.

    Args:
        settings: Those of the project.
        named: The path of a Python file, the dotted name of a module, or the name of an installed
            distribution.

    Raises:
        ScriptNotFoundError: There is nothing of this name.
        ScriptLoadError: It raised an exception, or there is no task in it.
        UnfollowedCodeError: A task that must be strict reaches what cannot be followed.
    """
    source = _find(named)
    own = {each.__name__ for each in source.modules}
    knew = set(map(id, source.knew))
    tasks = sorted(
        (each for each in get_task_registry() if each.__module__ in own and id(each) not in knew),
        key=lambda each: each.fullname,
    )
    if not tasks:
        reason = f"there is no task in it. Looked into: {', '.join(sorted(own))}."
        raise ScriptLoadError(named, reason)
    batch = RecordBatch()
    with in_force(settings, places_of(settings)):
        packaged = tuple(_packaged(batch, each) for each in tasks)
    distribution = source.distribution
    needs = () if distribution is None else tuple(distribution.requires or ())
    return Collected(
        name=source.name,
        version=_version_of(source),
        origin=source.origin,
        requirements=needs,
        frozen=_frozen(),
        tasks=packaged,
        code=batch,
    )


def _find(named: str) -> _Source:
    path = Path(named)
    if path.suffix == ".py" or path.is_file():
        knew = tuple(get_task_registry())
        module = load_script(named)
        return _Source(module.__name__, named, (module,), None, knew=knew)
    distribution = _distribution(named)
    points = [] if distribution is None else _entry_points(distribution)
    if distribution is None or not points:
        try:
            module = load_script(named)
        except ScriptNotFoundError as error:
            if distribution is None:
                reason = "there is no file, no module and no installed distribution of this name."
                if path.is_dir():
                    reason = "it is a folder. Name a Python file in it, or a module."
                raise ScriptNotFoundError(named, reason) from error
        else:
            of = distribution or _distribution_of(module.__name__)
            return _Source(named, f"module {named}", _with_below([module]), of)
        assert distribution is not None
        points = _tops(distribution)
        if not points:
            reason = f"it says of no module that it is its own. Name them: {ENTRY_POINTS}."
            raise ScriptLoadError(named, reason)
    name = str(distribution.metadata["Name"])
    modules = _with_below([load_script(each) for each in points])
    return _Source(name, f"distribution {name}", modules, distribution, is_distribution=True)


def _distribution(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _entry_points(distribution: metadata.Distribution) -> list[str]:
    """Return the modules that a distribution says its tasks are in."""
    found = distribution.entry_points
    return sorted({each.module for each in found if each.group == ENTRY_POINTS})


def _tops(distribution: metadata.Distribution) -> list[str]:
    """Return the packages and modules of a distribution that are below no other."""
    wanted = distribution.metadata["Name"]
    every = metadata.packages_distributions()
    return sorted(
        name
        for name, owners in every.items()
        if wanted in owners and name.isidentifier() and not name.startswith("__")
    )


def _distribution_of(module: str) -> metadata.Distribution | None:
    """Return the installed distribution that a module is of, if it is of one."""
    owners = metadata.packages_distributions().get(module.partition(".")[0], [])
    found = sorted(set(owners))
    return _distribution(found[0]) if len(found) == 1 else None


def _with_below(modules: Iterable[ModuleType]) -> tuple[ModuleType, ...]:
    """Return modules with all modules below them, but tests and programs."""
    found: dict[str, ModuleType] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module.__name__ in found:
            continue
        found[module.__name__] = module
        below = pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}.")
        names = [each.name for each in below]
        wanted = [each for each in names if not _ASIDE.fullmatch(each.rpartition(".")[2])]
        waiting += map(load_script, wanted)
    return tuple(found.values())


def _version_of(source: _Source) -> str | None:
    if source.is_distribution:
        return None if source.distribution is None else source.distribution.version
    said = getattr(source.modules[0], "__version__", None)
    if isinstance(said, str):
        return said
    return None if source.distribution is None else source.distribution.version


def _frozen() -> str:
    """Return the distributions that are installed, with their versions, a line each."""
    found = {
        f"{each.metadata['Name']}=={each.version}"
        for each in metadata.distributions()
        if each.metadata["Name"]
    }
    return "\n".join(sorted(found, key=str.lower))


def _packaged(batch: RecordBatch, task: AnyTask) -> PackagedTask:
    """Return a task as a package has it; the rows of its code are added to a batch."""
    task_hash = task.hash
    add_task_rows(batch, task, task_hash)
    text = (inspect.getdoc(task.func) or "").strip().partition("\n")[0].strip()
    return PackagedTask(
        name=task.fullname,
        task_hash=str(task_hash),
        version=task.version,
        args_schema=schema_without_secrets(getattr(task, "args_schema", None)),
        input_type=_type_of(task, "input_type"),
        output_type=_type_of(task, "output_type"),
        description=without_secrets(storable(text)).replace("\0", ""),
    )


def _type_of(task: AnyTask, name: str) -> str:
    found = getattr(task, name, None) or task.get_task_option(name) or "Any"
    return str(found)


__all__ = ["ENTRY_POINTS", "collect"]
