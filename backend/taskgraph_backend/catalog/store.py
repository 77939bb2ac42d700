"""The port of the managers on a database: executions, their states, and studies.

Who decides by what is there (a key that is taken, a state that is in force) does so in a
transaction that is alone; who lists reads, with a bounded number of statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.requests import Request
from taskgraph.catalog.rows import (
    Created,
    DeletedStudy,
    DependencyNode,
    Execution,
    Page,
    Study,
    TransitionResult,
    UsedDataset,
)
from taskgraph.catalog.states import Rule, State
from taskgraph.catalog.uses import Uses, WantedUses
from taskgraph.errors import (
    DatabaseReadOnlyError,
    ExecutionNotFoundError,
    IdempotencyConflictError,
)
from taskgraph.hashing import ValueHash
from taskgraph.records import ExecutionId
from taskgraph.tags import Tags
from taskgraph.values.pack import pack
from taskgraph_backend import claims
from taskgraph_backend.catalog import (
    changing,
    columned,
    creating,
    dependencies,
    groups,
    listing,
    permissions,
    pinning,
    studies,
    study_deletion,
    study_lists,
    sweeping,
    using,
)
from taskgraph_backend.catalog.completing import complete, is_incomplete
from taskgraph_backend.opened import OpenedPort

if TYPE_CHECKING:
    pass


class Catalog(OpenedPort):
    """The port of the managers on a database."""

    # Executions

    def create(self, request: Request, *, strict: bool, frozen: Any = None) -> Created:
        """Record an execution, or return the one that is there under its key.

        Args:
            request: What is asked for.
            strict: Whether a key that was used for another request is an error.
            frozen: What its snapshot says; by default, all that the request says.

        Raises:
            IdempotencyConflictError: The key was used for another request, and it is ``strict``.
            WorkspaceInUseError: Another execution has this folder.
            ExecutionNotFoundError: Somebody has deleted it already.
        """
        snapshot = None if frozen is None else pack(frozen)
        while True:
            known = creating.submit(self._backend, request, snapshot)
            is_new = known.execution_id == request.id
            is_other = not is_new and known.request_hash != request.hash()
            if strict and is_other:
                assert request.idempotency_key is not None
                raise IdempotencyConflictError(request.idempotency_key, known.execution_id)
            found = self.find(known.execution_id)
            if found is not None:
                return Created(found, is_new, is_other)
            if is_new:
                raise ExecutionNotFoundError(request.id)
            # Whoever had the key was deleted since, and the key is free.

    def under_key(self, entrypoint: str, key: str) -> Execution | None:
        """Return the execution that is there under a key."""
        known = self._backend._ask(creating.find_key, entrypoint, key)
        return None if known is None else self.find(known.execution_id)

    def pin(self, wanted: WantedUses) -> Uses:
        """Return what an execution is to use, with the content that it has now.

        Raises:
            NotFoundError: There is no such workflow, dataset or group.
            AmbiguousIdError: A name or the start of an id is that of several.
        """
        return self._backend._ask(pinning.pin, wanted)

    def uses(self, execution_id: str) -> list[UsedDataset]:
        """Return the datasets that an execution reads and writes."""
        return self._backend._ask(using.datasets_of, execution_id)

    def find(self, ref: str) -> Execution | None:
        """Return an execution by id, unique start of one, or workspace.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        self._complete()
        with self._backend.reader() as session:
            return listing.find(session, ref)

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
        """Return a page of executions.

        Raises:
            ValidationError: ``after`` is no cursor of such a list.
        """
        self._complete()
        order = listing.Order(sort, descending)
        with self._backend.reader() as session:
            return listing.page(session, where, order, limit, offset, after)

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
        """Return some columns of a page of executions; no others are read.

        Raises:
            ValidationError: ``after`` is no cursor of such a list.
        """
        self._complete()
        order = listing.Order(sort, descending)
        with self._backend.reader() as session:
            return columned.page(session, where, columns, order, limit, offset, after)

    def count(self, where: Criteria) -> int:
        """Return how many executions there are."""
        with self._backend.reader() as session:
            return listing.count(session, where)

    def update(
        self,
        execution_id: str,
        *,
        name: str | None,
        parameters: Any | None,
        options: Mapping[str, Any] | None,
        tags: Tags | None,
    ) -> bool:
        """Change what is given; returns whether there is such an execution.

        Raises:
            ValidationError: What was submitted is frozen by now.
        """
        snapshot = None
        if parameters is not None or options is not None:
            frozen = self.snapshot(execution_id)
            if isinstance(frozen, dict):
                if parameters is not None:
                    frozen["parameters"] = parameters
                if options is not None:
                    frozen["options"] = dict(options)
                snapshot = self._backend.record_value(frozen)
        changes = changing.Changes(name, parameters, options, tags, snapshot)
        return self._backend._transact(changing.update, execution_id, changes)

    def set_state(
        self,
        execution_id: str,
        state: State,
        *,
        rules: Iterable[Rule],
        details: Mapping[str, Any],
    ) -> TransitionResult | None:
        """Propose a state; None where there is no such execution.

        Raises:
            PermissionDeniedError: Who proposes it may not.
        """
        given = execution_id, state, frozenset(rules), dict(details)
        return self._backend._transact(permissions.set_state, *given)

    def states(self, ref: str) -> list[State]:
        """Return the states of an execution, oldest first."""
        with self._backend.reader() as session:
            return listing.states(session, ref)

    def dependencies(self, execution_id: str) -> list[DependencyNode]:
        """Return the jobs of an execution with what each needed, what was needed first."""
        with self._backend.reader() as session:
            return dependencies.nodes(session, execution_id)

    def find_stuck(self, where: Criteria, older_than: timedelta | None) -> list[Execution]:
        """Return those that are said to run and do not."""
        with self._backend.reader() as session:
            running = listing.running(session, where)
        ids = [ExecutionId(each.id) for each in running]
        stuck = set(self._backend._ask(_stuck, ids, older_than, self._backend.may_judge))
        return [each for each in running if each.id in stuck]

    def fail_stuck(self, execution_ids: Iterable[str], older_than: timedelta | None) -> list[str]:
        """Mark executions that are stuck CRASHED; returns which."""
        ids = [ExecutionId(each) for each in execution_ids]
        return self._backend._transact(_fail_stuck, ids, older_than, self._backend.may_judge)

    def find_late(self, where: Criteria, after: timedelta) -> list[str]:
        """Return those that should have started so long ago."""
        latest = max(self._backend.clock() - after // timedelta(microseconds=1), 0)
        with self._backend.reader() as session:
            return sweeping.find_late(session, where, latest)

    def mark_late(self, execution_ids: Iterable[str], after: timedelta) -> list[str]:
        """Have executions be Late that should have started so long ago; returns which."""
        return self._backend._transact(sweeping.mark_late, list(execution_ids), after)

    def find_dead(self) -> list[str]:
        """Return those that a process that is gone ran, or was about to run."""
        return self._backend._ask(sweeping.dead, self._backend.may_judge)

    def sweep(self) -> list[str]:
        """Have those be CRASHED that a process that is gone ran; returns which."""
        return [str(each) for each in self._backend.sweep()]

    def snapshot(self, execution_id: str) -> Any:
        """Return what was frozen when an execution was submitted, or None. Any: JSON."""
        with self._backend.reader() as session:
            value_hash = listing.snapshot_of(session, execution_id)
        if value_hash is None:
            return None
        return self._backend.get_value(ValueHash(value_hash))[0]

    # Studies

    def study(self, name: str, owner: str | None = None) -> Study:
        """Return a study, which is made if there is none: then it is of this owner.

        Raises:
            UserNotFoundError: There is no such user.
        """
        study_id = self._backend._ask(studies.find, name)
        if study_id is None:
            study_id = self._backend._transact(studies.get_or_create, name, owner)
        found = self.find_study(study_id)
        assert found is not None
        return found

    def set_study_owner(self, study_id: str, owner: str | None) -> Study | None:
        """Have a study belong to a user, or to nobody; None where there is no such study.

        Raises:
            UserNotFoundError: There is no such user.
        """
        is_there = self._backend._transact(studies.set_owner, study_id, owner)
        return self.find_study(study_id) if is_there else None

    def find_study(self, ref: str) -> Study | None:
        """Return a study by name, id or unique start of one.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        with self._backend.reader() as session:
            return study_lists.look_up(session, ref)

    def studies(self) -> list[Study]:
        """Return all studies by name."""
        with self._backend.reader() as session:
            return study_lists.every(session)

    def delete_study(
        self, study_id: str, *, must_be_empty: bool, with_groups: bool, dry_run: bool
    ) -> DeletedStudy:
        """Delete a study with its workflows and datasets; its executions are of none then.

        Raises:
            StillInUseError: An active execution is part of it, or uses something of it.
            StudyInUseError: It has executions, and must not.
            WorkflowInUseError: A workflow has groups, and these are not to go with it.
        """
        given = study_id, must_be_empty, with_groups, dry_run
        return self._backend._transact(study_deletion.delete, *given)

    def _complete(self) -> None:
        """Fill in what an older library left out of executions that it wrote."""
        if self._backend.database.read_only or not self._backend._ask(is_incomplete):
            return
        try:
            self._backend._transact(complete)
        except DatabaseReadOnlyError:
            return  # left to others


def _stuck(
    driver: Any, ids: list[ExecutionId], older_than: timedelta | None, may_judge: claims.Judge
) -> list[ExecutionId]:
    """Return those that no living process runs, or that were not heard of for some time."""
    if older_than is None:
        return claims.unheld(driver, ids, may_judge) if ids else []
    latest = claims.clock(driver) - older_than // timedelta(microseconds=1)
    alive = claims.last_alive(driver, ids)
    return [each for each in ids if alive[each] <= latest]


def _fail_stuck(
    driver: Any, ids: list[ExecutionId], older_than: timedelta | None, may_judge: claims.Judge
) -> list[str]:
    why = "it was not heard of any more"
    stuck = _stuck(driver, ids, older_than, may_judge)
    marked = [str(each) for each in stuck if changing.mark_crashed(driver, each, why)]
    groups.flag_groups_of(driver, marked, "crashed")
    return marked


__all__ = ["Catalog"]
