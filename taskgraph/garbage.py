"""How often Python looks for garbage: seldom, where nearly all that is made stays."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_COLLECT_AFTER: Final = 50_000  # new objects between two collections of the youngest


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let the garbage collector look less often.

    The nodes of a run are held by design, and so is what modules define. To look through all of
    them again and again, as its default of 700 new objects has it, takes a third of the time of a
    large run, and a quarter of that of a small command.
    """
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
