"""Executions of stored workflows that are written down and are to be run, and what runs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from taskgraph.catalog.rows import Execution
from taskgraph.catalog.uses import Uses


@dataclass(frozen=True, slots=True)
class Launch:
    """An execution of a workflow that is written down, and is to be run.

    Attributes:
        execution_id: It.
        uses: What it is run on.
        use_cache: Whether results of before may be used.
    """

    execution_id: str
    uses: Uses
    use_cache: bool = True


class Launcher(Protocol):
    """Runs what was written down, in this process."""

    def check(self, tasks: Iterable[str]) -> None:
        """Raise if one of some tasks is not defined here."""

    def give_up(self, launches: Sequence[Launch]) -> None:
        """Have executions be CANCELLED that are written down and will not be run."""

    def run_all(self, launches: Sequence[Launch]) -> list[Execution]:
        """Run executions, one after the other; returns them as they ended."""


__all__ = ["Launch", "Launcher"]
