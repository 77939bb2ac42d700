"""Which code is the user's own: that is followed, and all other code counts by its name only.

By default that is all code that is not installed: no part of Python itself, in no ``site-packages``
and not taskgraph. The setting ``[code] project`` names folders instead.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

_INSTALLED_PARTS = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class Project:
    """The settings for code, as plain data that is sent to worker processes.

    Attributes:
        folders: Absolute paths of the folders whose code is followed; empty for all code that is
            not installed.
        strict: Whether what cannot be followed is an error.
    """

    folders: tuple[str, ...] = ()
    strict: bool = False


_current = Project()
_on_change: list[Callable[[], object]] = []


def when_changed(forget: Callable[[], object]) -> None:
    """Have something called when other folders become the project: what it knows may be wrong."""
    _on_change.append(forget)


def use_project(project: Project) -> Project:
    """Make these the settings for code of this process; returns those until now."""
    global _current
    before, _current = _current, project
    if before.folders != project.folders:
        for forget in _on_change:
            forget()
    return before


def current_project() -> Project:
    """Return the settings for code of this process."""
    return _current


def is_own_file(filename: str) -> bool:
    """Tell whether the code of a file is followed."""
    return _is_own_file(filename, _current.folders)


@lru_cache(maxsize=10_000)
def _is_own_file(filename: str, folders: tuple[str, ...]) -> bool:
    if filename.startswith("<frozen"):
        return False
    if filename.startswith("<"):  # typed in, made by exec, or a cell of a notebook
        return True
    path = os.path.abspath(filename)
    places = {path, os.path.realpath(path)}
    if folders:
        return any(_lies_in(each, folder) for each in places for folder in folders)
    if not _INSTALLED_PARTS.isdisjoint(Path(path).parts):
        return False
    return not any(_lies_in(each, folder) for each in places for folder in _installed_folders())


def _lies_in(path: str, folder: str) -> bool:
    if not path.startswith(folder.rstrip(os.sep) + os.sep):
        return False
    inside = path[len(folder) :]
    return _INSTALLED_PARTS.isdisjoint(Path(inside).parts)


@lru_cache(maxsize=1)
def _installed_folders() -> tuple[str, ...]:
    """Return the folders of Python itself, of installed packages, and of taskgraph."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders: set[str] = {sysconfig.get_path(name) for name in names}
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    for name in ("taskgraph", "taskgraph_backend"):
        own = getattr(sys.modules.get(name), "__file__", None)
        if own:
            folders.add(os.path.dirname(own))
    # A Python without an environment may have its library in a folder that is used for more.
    return tuple(sorted(_with_real_paths(each for each in folders if each and each != os.sep)))


def _with_real_paths(folders: Iterable[str]) -> set[str]:
    return {place for each in folders for place in (os.path.abspath(each), os.path.realpath(each))}


_own_modules: WeakKeyDictionary[ModuleType, bool] = WeakKeyDictionary()
when_changed(_own_modules.clear)


def is_own_module(module: ModuleType) -> bool:
    """Tell whether a module's code is followed: one without a file is, if it is ``__main__``."""
    known = _own_modules.get(module)
    if known is None:
        known = _own_modules[module] = _is_own_module(module)
    return known


def _is_own_module(module: ModuleType) -> bool:
    name = module.__name__
    own = getattr(module, "__file__", None)
    if own:
        return is_own_file(own)
    paths = list(getattr(module, "__path__", ()))  # a folder without an __init__.py
    if paths:
        return any(is_own_file(os.path.join(each, "__init__.py")) for each in paths)
    return name == "__main__" or (
        name not in sys.builtin_module_names and name not in sys.stdlib_module_names
    )


def is_own_class(cls: type) -> bool:
    """Tell whether a class is the user's: by the module that it says it is from."""
    return is_own_module_name(cls.__module__)


def is_own_module_name(name: Any) -> bool:
    """Tell whether the module of this name is the user's; one that is gone counts as such."""
    if not isinstance(name, str):
        return False
    module = sys.modules.get(name)
    if module is not None:
        return is_own_module(module)
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return False
    above = sys.modules.get(top)
    return above is None or is_own_module(above)
