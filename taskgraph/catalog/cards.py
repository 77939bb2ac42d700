"""The card of an execution: a file in its workspace that says which execution the folder is of.

It is a copy for people, and finds the execution where the folder was moved or renamed. What counts
is in the database.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import State

#: What it is called.
CARD: Final = "taskgraph-execution.json"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 64 * 1024  # bytes: one that is larger is not ours


def card(
    execution_id: str, name: str, entrypoint: str, study: str | None, state: State
) -> dict[str, Any]:
    """Return what a card says."""
    return {
        "id": execution_id,
        "name": name,
        "entrypoint": entrypoint,
        "study": study,
        "state": {"type": state.type.value, "name": state.name},
    }


def card_of(execution: Execution) -> dict[str, Any]:
    """Return what the card of an execution says."""
    said = execution.name, execution.entrypoint, execution.study
    return card(execution.id, *said, execution.state)


def write_card(folder: str, card: Mapping[str, Any]) -> bool:
    """Write a card into a folder, whole or not at all; returns whether that could be done.

    A folder that is not there is not made, for whoever runs the execution may be elsewhere.
    """
    path = Path(folder, CARD)
    draft = path.with_name(f".{CARD}.{os.getpid()}")
    try:
        draft.write_text(json.dumps({"version": 1, **card}, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        return False
    return True


def id_on_card(folder: str) -> str | None:
    """Return the id of the execution that a folder says it is of, if it says any."""
    try:
        with open(os.path.join(folder, CARD), "rb") as file:
            said = json.loads(file.read(_MOST))
    except (OSError, ValueError, RecursionError):
        return None
    found = said.get("id") if isinstance(said, dict) else None
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def remove_card(folder: str, execution_id: str) -> None:
    """Remove the card of an execution that is not there any more; another one's stays."""
    if id_on_card(folder) == execution_id:
        with suppress(OSError):
            os.unlink(os.path.join(folder, CARD))


__all__ = ["CARD", "card", "card_of", "id_on_card", "remove_card", "write_card"]
