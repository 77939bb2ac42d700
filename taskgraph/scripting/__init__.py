"""Shell commands and programs as tasks: `script`, and what goes with it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskgraph.errors import ScriptError, ScriptOutputError, ScriptStartError
    from taskgraph.scripting.calls import script
    from taskgraph.scripting.running import exec_script
    from taskgraph.scripting.text import prepare_command, quote_shell

__all__ = [
    "ScriptError",
    "ScriptOutputError",
    "ScriptStartError",
    "exec_script",
    "prepare_command",
    "quote_shell",
    "script",
]

_HOMES = {
    "ScriptError": "taskgraph.errors",
    "ScriptOutputError": "taskgraph.errors",
    "ScriptStartError": "taskgraph.errors",
    "exec_script": "taskgraph.scripting.running",
    "prepare_command": "taskgraph.scripting.text",
    "quote_shell": "taskgraph.scripting.text",
    "script": "taskgraph.scripting.calls",
}


def __getattr__(name: str) -> Any:  # any public name
    # Late: `import taskgraph` and the engine need little of what is in here.
    if name not in _HOMES:
        raise AttributeError(f"module 'taskgraph.scripting' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found
