"""What modules define stays as long as the process: it is not looked through for garbage."""

from __future__ import annotations

import gc
import importlib


def keep_loaded(module: str) -> None:
    """Load a module, and have all that is loaded never looked through again.

    Called before code of users is loaded, whose garbage is collected as ever. Once in a process:
    where commands are called one after another, what one leaves is no part of what is loaded.
    """
    importlib.import_module(module)
    if not gc.get_freeze_count():
        gc.freeze()


__all__ = ["keep_loaded"]
