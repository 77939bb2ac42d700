"""What a supervisor tells a slot, and what that says: a line of JSON each.

to a slot      its order; then "drain", once; the end of the pipe is the end of the supervisor
from a slot    ready | failed TEXT | took ID NAME QUEUE | ended ID STATE SECONDS | said TEXT
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

#: Have a slot take no more, and end when what it runs has ended.
DRAIN: Final = "drain"

#: Exit codes of a slot: it could not begin, and said why.
FAILED: Final = 3
#: Its code was edited: another one is to begin with the new one.
EDITED: Final = 4
#: All is done. It is not 0: with that a body may end the process that runs it.
DONE: Final = 5


@dataclass(frozen=True, slots=True)
class SlotOrder:
    """What a slot is to do.

    Attributes:
        config_dir: The folder of its settings.
        worker_id: The worker that it is of.
        worker: The name of that.
        pool_id: The pool of that.
        queues: What it serves.
        poll: Seconds between two looks whether anything waits.
        is_burst: Whether it ends when nothing waits.
        quota: How many executions it takes at most; None for no end.
        modules: What it imports first.
        scripts: What it loads first.
        overrides: Settings that win over all others.
    """

    config_dir: str
    worker_id: str
    worker: str
    pool_id: str | None
    queues: tuple[str, ...]
    poll: float = 1.0
    is_burst: bool = False
    quota: int | None = None
    modules: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def to_line(self) -> bytes:
        """Return it as a line."""
        return line_of(asdict(self))

    @classmethod
    def parse(cls, line: bytes) -> SlotOrder:
        """Return the order that a line stands for."""
        said = json.loads(line)
        for name in ("queues", "modules", "scripts"):
            said[name] = tuple(said[name])
        return cls(**said)


@dataclass(frozen=True, slots=True)
class Report:
    """What a slot says.

    Attributes:
        kind: ``ready``, ``failed``, ``took``, ``ended`` or ``said``.
        execution_id: Which execution.
        text: What there is to say: a name, a queue, a state, a reason.
        queue: Where it waited.
        seconds: How long it ran.
    """

    kind: str
    execution_id: str = ""
    text: str = ""
    queue: str = ""
    seconds: float = 0.0

    def to_line(self) -> bytes:
        """Return it as a line."""
        return line_of(asdict(self))

    @classmethod
    def parse(cls, line: bytes) -> Report:
        """Return the report that a line stands for."""
        return cls(**json.loads(line))


def line_of(said: Any) -> bytes:
    """Return JSON as one line."""
    return json.dumps(said).encode() + b"\n"


__all__ = ["DONE", "DRAIN", "EDITED", "FAILED", "Report", "SlotOrder", "line_of"]
