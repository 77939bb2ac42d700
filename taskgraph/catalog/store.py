"""What the managers of executions ask of a database, and how they are told which ones are meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Final, Protocol

from taskgraph.catalog.criteria import EXECUTION_FIELDS, Criteria
from taskgraph.catalog.reading import parse
from taskgraph.catalog.requests import Request
from taskgraph.catalog.rows import (
    Created,
    DependencyNode,
    Execution,
    Page,
    TransitionResult,
    UsedDataset,
)
from taskgraph.catalog.states import Rule, State
from taskgraph.catalog.uses import Uses, WantedUses
from taskgraph.catalog.worker_rows import GivenBack
from taskgraph.catalog.writing import F
from taskgraph.tags import Tags

#: What stands for the records that are meant: criteria, or the JSON of some.
Where = Criteria | Mapping[str, Any] | None


class Unset(Enum):
    """Stands for what is not given, where None means something."""

    UNSET = "UNSET"


#: See `Unset`.
UNSET: Final = Unset.UNSET


def meant(
    where: Where,
    *,
    include_retracted: bool,
    fields: Mapping[str, tuple[str, ...]] = EXECUTION_FIELDS,
) -> Criteria:
    """Return the criteria that somebody means.

    Args:
        where: What was said.
        include_retracted: Whether records are meant too whose results are not to be used.
        fields: What can be asked for.

    Raises:
        UnknownFilterError: Something is asked for that cannot be asked for.
    """
    found = parse(where, fields)
    return found if include_retracted else found & F.where("retracted", "is_", False)


class QueueStore(Protocol):
    """What the managers ask of the queues that workers serve."""

    def enqueue(self, execution_id: str, queues: Sequence[str], priority: int | None) -> None:
        """Give an execution that waits to the workers of queues."""

    def find_lost(self) -> list[str]:
        """Return what workers have taken and no living process holds any more."""

    def give_back(self) -> GivenBack:
        """Have wait again what workers have taken and no living process holds any more."""


class CatalogStore(Protocol):
    """What the managers ask of a database."""

    def create(self, request: Request, *, strict: bool, frozen: Any = None) -> Created:
        """Record an execution, or return the one that is there under its key."""

    def under_key(self, entrypoint: str, key: str) -> Execution | None:
        """Return the execution that is there under a key."""

    def pin(self, wanted: WantedUses) -> Uses:
        """Return what an execution is to use, with the content that it has now."""

    def uses(self, execution_id: str) -> list[UsedDataset]:
        """Return the datasets that an execution reads and writes."""

    def find(self, ref: str) -> Execution | None:
        """Return an execution by id, unique start of one, or workspace."""

    def page(
        self,
        where: Criteria,
        *,
        sort: str,
        descending: bool,
        limit: int,
        offset: int,
        after: str | None,
    ) -> Page[Execution]:
        """Return a page of executions."""

    def count(self, where: Criteria) -> int:
        """Return how many executions there are."""

    def update(
        self,
        execution_id: str,
        *,
        name: str | None,
        parameters: Any | None,
        options: Mapping[str, Any] | None,
        tags: Tags | None,
    ) -> bool:
        """Change what is given; returns whether there is such an execution."""

    def set_state(
        self,
        execution_id: str,
        state: State,
        *,
        rules: Iterable[Rule],
        details: Mapping[str, Any],
    ) -> TransitionResult | None:
        """Propose a state; None where there is no such execution."""

    def states(self, ref: str) -> list[State]:
        """Return the states of an execution, oldest first."""

    def dependencies(self, execution_id: str) -> list[DependencyNode]:
        """Return the jobs of an execution with what each needed, what was needed first."""

    def find_stuck(self, where: Criteria, older_than: timedelta | None) -> list[Execution]:
        """Return those that are said to run and do not."""

    def fail_stuck(self, execution_ids: Iterable[str], older_than: timedelta | None) -> list[str]:
        """Mark executions that are stuck CRASHED; returns which."""

    def find_late(self, where: Criteria, after: timedelta) -> list[str]:
        """Return those that should have started so long ago."""

    def mark_late(self, execution_ids: Iterable[str], after: timedelta) -> list[str]:
        """Have executions be Late that should have started so long ago; returns which."""

    def find_dead(self) -> list[str]:
        """Return those that a process that is gone ran, or was about to run."""

    def sweep(self) -> list[str]:
        """Have those be CRASHED that a process that is gone ran; returns which."""

    def columns(
        self,
        where: Criteria,
        columns: Sequence[str],
        *,
        sort: str,
        descending: bool,
        limit: int,
        offset: int,
        after: str | None,
    ) -> Page[dict[str, Any]]:
        """Return some columns of a page of executions."""

    def snapshot(self, execution_id: str) -> Any:
        """Return what was frozen when an execution was submitted, or None."""


__all__ = ["UNSET", "CatalogStore", "QueueStore", "Unset", "Where", "meant"]
