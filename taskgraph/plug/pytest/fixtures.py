"""Which fixtures of pytest are kept, and in which project."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from taskgraph.config import find_config_dir
from taskgraph.plug.memo import Cached
from taskgraph.plug.pytest.notes import Note
from taskgraph.plug.pytest.setup import CachedFixture

_FOLDER = pytest.StashKey[Path]()


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
        kept: Any = CachedFixture(own, _folder_of(own, config), notes).as_function()
        if isinstance(func, types.MethodType):
            kept = types.MethodType(kept, func.__self__)
        fixturedef.func = kept  # type: ignore[misc] # what pytest asks for at each set-up


def _folder_of(cached: Cached[..., Any], config: pytest.Config) -> Path:
    """Return the config directory, which tests that change the working directory do not change."""
    if cached.config_dir is not None:
        return find_config_dir(given=cached.config_dir)
    if _FOLDER not in config.stash:
        nearest = find_config_dir(start=config.invocation_params.dir)
        is_there = nearest.is_dir()
        config.stash[_FOLDER] = nearest if is_there else find_config_dir(start=config.rootpath)
    return config.stash[_FOLDER]
