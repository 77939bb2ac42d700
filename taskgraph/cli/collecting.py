"""How seldom a command looks for garbage: what modules define stays as long as the process.

To look through all of it while more modules are loaded, and once more at exit, takes a quarter of
the time of a small command.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# New objects between two collections of the youngest; a run has them as rarely.
_COLLECT_AFTER: Final = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the collector look less often."""
    before = gc.get_threshold()
    if not 0 < before[0] < _COLLECT_AFTER:  # switched off, or rarer already
        yield
        return
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def keep_loaded(module: str) -> None:
    """Load a module, and have all that is loaded never looked through again.

    Called before code of users is loaded, whose garbage is collected as ever. Once in a process:
    where commands are called one after another, what one leaves is no part of what is loaded.
    """
    importlib.import_module(module)
    if not gc.get_freeze_count():
        gc.freeze()


__all__ = ["keep_loaded", "rare_collections"]
