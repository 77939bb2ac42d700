"""The manager of executions: submit once, list, change states; all of it through one port."""

from __future__ import annotations

import builtins
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from typing import Any, Final, Literal, overload

from taskgraph.catalog.admission import Admission
from taskgraph.catalog.cards import card_of, id_on_card, write_card
from taskgraph.catalog.deleting import Deletion, checked_where
from taskgraph.catalog.deletions import DeletionReport
from taskgraph.catalog.queueing import PRIORITY, priority_of
from taskgraph.catalog.reading import parse
from taskgraph.catalog.requests import (
    ACCOUNT,
    Request,
    check_page,
    checked_name,
    checked_object,
    checked_queues,
    checked_state,
    checked_submitter,
    checked_text,
    tags_of,
    whole_path,
)
from taskgraph.catalog.rerunning import Again, Rerunner, rerun
from taskgraph.catalog.rows import (
    Created,
    DependencyNode,
    Execution,
    Page,
    TransitionResult,
    UsedDataset,
)
from taskgraph.catalog.run_options import checked_run_options
from taskgraph.catalog.states import ALL_RULES, Rule, State, StateType
from taskgraph.catalog.store import UNSET, CatalogStore, QueueStore, Unset, Where, meant
from taskgraph.catalog.sweeping import SweepingVerbs
from taskgraph.catalog.uses import NO_USES, WantedUses, read_inputs, ref_of, with_code
from taskgraph.errors import ExecutionNotFoundError, ValidationError

_MOST: Final = 100
#: By what a list can be ordered; the id breaks ties.
SORTS: Final = ("created", "expected_start", "name", "next_scheduled_start", "start", "end", "id")


class ExecutionManager(SweepingVerbs):
    """Executions as they are managed: ``archive.executions``.

    Args:
        store: Where they are.
        deletion: What deletes them.
        runner: Returns what runs them once more, where anything can be run.
        queues: Where workers take them from.
        user: Who submits and acts, where nobody else is named.
        admission: Says whether something may be submitted once more.
    """

    def __init__(
        self,
        store: CatalogStore,
        deletion: Deletion,
        runner: Callable[[], Rerunner] | None = None,
        queues: QueueStore | None = None,
        user: str | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._store = store
        self._deletion = deletion
        self._runner = runner
        self._queues = queues
        self.user = user
        self._admission = admission

    def create(
        self,
        entrypoint: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        study: str | None = None,
        workspace: str | PathLike[str] | None = None,
        queues: Iterable[str] = (),
        state: State | StateType | str | None = None,
        idempotency_key: str | None = None,
        strict: bool = False,
        parent_job: str | None = None,
        tags: Iterable[tuple[str, Any]] | Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        submitted_by: str | None = None,
        code_version: str | None = None,
        workflow: Any = None,
        inputs: Iterable[Any] | Mapping[str, Any] = (),
        output: Any = None,
        first_step: int | None = None,
        last_step: int | None = None,
        group: Any = None,
        **extra: Any,
    ) -> Created:
        """Record a new execution, or return the existing one for the same entrypoint and key.

        The study is created if it is missing; the submission is frozen as a value, with the steps
        of the workflow and the contents of the datasets as they are now.

        Args:
            entrypoint: What is to be run: the full name of a task or a workflow.
            parameters: What it is given: names with JSON values.
            name: What people call it; the last part of the entrypoint by default.
            study: The name of the body of work that it is part of.
            workspace: Its folder, which no other execution has.
            queues: Where it waits for a worker, if it is PENDING or SCHEDULED at first: the option
                ``priority`` says which comes first, the smallest. What is run in this process waits
                nowhere.
            state: The first state; PENDING by default.
            idempotency_key: Under one key there is one execution of an entrypoint.
            strict: Whether a key that was used for another request is an error.
            parent_job: The job that it is run in.
            tags: Keys with JSON values.
            options: Those that its calls have, as ``retries`` and ``timeout``; ``script``, where
                its tasks are; ``priority``, ``account`` and ``no_cache``.
            submitted_by: Who asks for it; by default the user that the settings name, if any.
            code_version: Which code it is of, for information only.
            workflow: The stored workflow that it runs: one that was found, its name or id.
            inputs: The datasets that it reads, each one that was found, its name or id; a mapping
                says what each is called within the execution.
            output: The dataset that it writes, as long as it is active.
            first_step: The first step of the workflow to run, from 0.
            last_step: The last step to run.
            group: The execution group that it is of.
            extra: More tags.

        Raises:
            IdempotencyConflictError: The key was used for another request, and it is ``strict``.
            WorkspaceInUseError: Another execution has this folder.
            OutputDatasetInUseError: An active execution writes the output.
            DatasetReadOnlyError: The output is read-only.
            GroupInProgressError: The group is in progress on the same datasets.
            NotFoundError: There is no such workflow, dataset or group.
            DisabledWorkflowError: The workflow is disabled, and is to run.
            InactiveTaskError: What is to run is of packages that are not active.
            PermissionDeniedError: Who asks is not active, or may not use the account of the
                options.
            RateLimitedError: The same was submitted a moment ago.
            StepRangeError: The steps are none of the workflow.
            ValidationError: Something that was given is not what it must be.
            TagKeyError: A key of a tag is none.
        """
        entry = checked_name("entrypoint", entrypoint)
        proposed = State(StateType.PENDING) if state is None else checked_state(state)
        wanted = WantedUses(
            workflow=None if workflow is None else ref_of(workflow),
            inputs=read_inputs(inputs),
            output=None if output is None else ref_of(output),
            first_step=first_step,
            last_step=last_step,
            group=None if group is None else ref_of(group),
            study=study,
        )
        key = None if idempotency_key is None else checked_name("key", idempotency_key)
        if key is not None and not (strict or wanted.is_nothing):
            # Who asks again is answered, whatever became of what the execution uses.
            known = self._store.under_key(entry, key)
            if known is not None:
                return Created(known, is_new=False)
        uses = NO_USES if wanted.is_nothing else with_code(self._store.pin(wanted))
        request = Request(
            id=uuid.uuid4().hex,
            entrypoint=entry,
            name=entry.rpartition(".")[2] if name is None else checked_name("name", name),
            parameters=checked_object("parameters", parameters),
            options=checked_run_options(options),
            tags=tags_of(tags, extra),
            queues=checked_queues(queues),
            study=None if study is None else checked_name("study", study),
            workspace=whole_path(workspace),
            state=proposed,
            idempotency_key=key,
            parent_job_id=checked_text("parent_job", parent_job),
            submitted_by=checked_submitter(self.user if submitted_by is None else submitted_by),
            code_version=checked_text("code_version", code_version),
            uses=uses,
        )
        if self._admission is not None and proposed.is_active:
            paid = request.options.get(ACCOUNT)
            terms = self._admission.terms(uses, paid if isinstance(paid, str) else None)
            request = replace(request, terms=terms)
        return self.submit(request, strict=strict)

    def submit(self, request: Request, *, strict: bool = False) -> Created:
        """Record what was asked for, or return the execution that is there under its key.

        Raises:
            IdempotencyConflictError: The key was used for another request, and it is ``strict``.
            ConflictError: Something that it needs for itself is taken.
        """
        made = self._store.create(request, strict=strict)
        if made.is_new:
            _say(made.execution)
        return made

    def under_key(self, entrypoint: str, key: str) -> Execution | None:
        """Return the execution of an entrypoint that is there under a key; None without one."""
        return self._store.under_key(entrypoint, key)

    def datasets(self, ref: str | PathLike[str] | Execution) -> builtins.list[UsedDataset]:
        """Return the datasets that an execution reads and writes, with the content of its submit.

        Raises:
            ExecutionNotFoundError: There is no such execution.
        """
        return self._store.uses(self.get(ref).id)

    def rerun(
        self,
        ref: str | PathLike[str] | Execution,
        *,
        from_snapshot: bool = True,
        no_cache: bool = False,
        idempotency_key: str | None = None,
        queue: bool = False,
        account: str | None = None,
        submitted_by: str | None = None,
        script: str | None = None,
    ) -> Execution:
        """Submit the same request again as a new execution, and run it in this process.

        What it was given, its workflow and the contents of its datasets are those of its snapshot;
        tasks are what they are now. It has no workspace, and is that of who has it run again.

        Args:
            ref: The execution.
            from_snapshot: Whether it is run on what was frozen; otherwise on the workflow and the
                datasets as they are now.
            no_cache: Whether no results of before are used.
            idempotency_key: Under one key there is one execution: where it was, nothing runs.
            queue: Whether it waits for a worker, in the queues of the first one, and is not run
                here.
            account: From what is paid; by default what who asks has paid from before, or else what
                it has by default, if it is registered.
            submitted_by: Who asks for it; by default the user that the settings name.
            script: Where its tasks are, for the worker that takes it; by default as it was said
                before.

        Returns:
            The new execution as it ended, whether its task failed or not; or as it waits.

        Raises:
            ExecutionNotFoundError: There is no such execution.
            RerunError: What it was given is not known any more, or a step is pinned to other code
                than there is here.
            UnknownTaskError: Its task is not defined in this process; nothing was written. Import
                its module.
            GroupInProgressError: Its group is in progress on the same datasets.
            DisabledWorkflowError: Its workflow is disabled.
            IncompatibleDatasetError: A dataset is of a type that does not fit, or has no files now.
            InactiveTaskError: A step is a task of packages that are not active.
            PermissionDeniedError: Who asks may not use the account.
            RateLimitedError: The same was submitted a moment ago.
            ValidationError: It is to wait for a worker, and was declared for no queues; or a step
                has arguments that its task does not take (any more).
        """
        assert self._runner is not None
        assert self._admission is not None
        who = self.user if submitted_by is None else submitted_by
        again = Again(
            from_snapshot=from_snapshot,
            use_cache=not no_cache,
            key=None if idempotency_key is None else checked_name("key", idempotency_key),
            is_queued=queue,
            submitted_by=checked_submitter(who),
            account=account,
            script=None if script is None else checked_name("script", script),
        )
        return self.get(rerun(self._store, self._runner, self._admission, self.get(ref), again))

    def enqueue(
        self,
        ref: str | PathLike[str] | Execution,
        queues: Iterable[str] = (),
        *,
        priority: int | None = None,
    ) -> Execution:
        """Give an execution that waits to the workers of queues, or to those of others.

        Args:
            ref: The execution.
            queues: Where it is to wait, in place of those that it was declared for; by default
                these.
            priority: Which comes first, the smallest; by default what its options say.

        Raises:
            ExecutionNotFoundError: There is no such execution.
            NotQueuedError: It does not wait: it has ended, or a process has it.
            ValidationError: Nobody says which queues, or the priority is no whole number.
        """
        assert self._queues is not None
        found = self.get(ref)
        if priority is not None:
            priority_of({PRIORITY: priority})
        self._queues.enqueue(found.id, checked_queues(queues), priority)
        return self.get(found.id)

    def find(self, ref: str | PathLike[str] | Execution) -> Execution | None:
        """Return an execution by id, start of one, or workspace; None where there is none.

        ``-`` is the newest one. A folder that was a workspace and was moved is known by its card.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        text = _text(ref)
        found = self._store.find(text)
        if found is None and os.path.isdir(text):
            known = id_on_card(text)
            found = None if known is None else self._store.find(known)
        return found

    def get(self, ref: str | PathLike[str] | Execution) -> Execution:
        """Return the same as `find` of an execution that must be there.

        Raises:
            ExecutionNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref)
        if found is None:
            raise ExecutionNotFoundError(_text(ref))
        return found

    @overload
    def list(
        self,
        where: Where = None,
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int = _MOST,
        offset: int = 0,
        after: str | None = None,
        columns: None = None,
        include_retracted: bool = False,
    ) -> Page[Execution]: ...
    @overload
    def list(
        self,
        where: Where = None,
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int = _MOST,
        offset: int = 0,
        after: str | None = None,
        columns: Sequence[str],
        include_retracted: bool = False,
    ) -> Page[dict[str, Any]]: ...
    def list(
        self,
        where: Where = None,
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int = _MOST,
        offset: int = 0,
        after: str | None = None,
        columns: Sequence[str] | None = None,
        include_retracted: bool = False,
    ) -> Page[Execution] | Page[dict[str, Any]]:
        """Return a page of the executions that are meant, in an order in which ids break ties.

        Args:
            where: Which: `F` makes criteria, and JSON is read as some.
            sort: One of `SORTS`.
            descending: Whether the greatest comes first.
            limit: At most so many.
            offset: After so many; ``after`` does the same while others are created.
            after: What the page before gave as ``next``.
            columns: Attributes of an `Execution`: only these are read, and rows are dicts of them.
            include_retracted: Whether those are listed whose results are not to be used.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        if sort not in SORTS:
            raise ValidationError(f"sort {sort!r}", f"there are: {', '.join(SORTS)}.")
        check_page(0 if limit is None else limit, offset)
        criteria = meant(where, include_retracted=include_retracted)
        if columns is not None:
            return self._store.columns(
                criteria,
                _columns(columns),
                sort=sort,
                descending=descending,
                limit=limit,
                offset=offset,
                after=after,
            )
        return self._store.page(
            criteria, sort=sort, descending=descending, limit=limit, offset=offset, after=after
        )

    def count(self, where: Where = None, *, include_retracted: bool = False) -> int:
        """Return how many executions the same criteria would list; no row is loaded.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        return self._store.count(meant(where, include_retracted=include_retracted))

    def update(
        self,
        ref: str | PathLike[str] | Execution,
        *,
        name: str | Unset = UNSET,
        parameters: Mapping[str, Any] | Unset = UNSET,
        tags: Iterable[tuple[str, Any]] | Mapping[str, Any] | Unset = UNSET,
        options: Mapping[str, Any] | Unset = UNSET,
    ) -> bool:
        """Change what is given; tags are replaced as a set, and what they were is kept.

        Returns:
            Whether there is such an execution.

        Raises:
            ValidationError: Parameters and options are frozen once it is not SCHEDULED any more, or
                something that was given is not what it must be.
            TagKeyError: A key of a tag is none.
        """
        found = self.find(ref)
        if found is None:
            return False
        is_there = self._store.update(
            found.id,
            name=None if isinstance(name, Unset) else checked_name("name", name),
            parameters=_object("parameters", parameters),
            options=None if isinstance(options, Unset) else checked_run_options(options),
            tags=None if isinstance(tags, Unset) else tags_of(tags, {}),
        )
        self._say_again(found)
        return is_there

    def set_state(
        self,
        ref: str | PathLike[str] | Execution,
        state: State | StateType | str,
        *,
        force: bool = False,
        actor: str | None = None,
        policy: Iterable[Rule | str] | None = None,
        message: str | None = None,
    ) -> TransitionResult:
        """Propose a state; the answer says what is in force now.

        Where users are registered, to force a state is for superusers; towards CANCELLED, FAILED
        and CRASHED also for who submitted the execution, and for the owner of its study. So it is
        with a policy that leaves the table of states out.

        Args:
            ref: The execution.
            state: A `State`, its type, or a name that is known.
            force: Skip all rules; what is kept beside the state is kept all the same.
            actor: Who proposes it: a user by address, name or id; by default the one that the
                settings name, if any.
            policy: The rules that count, all by default; without any only books are kept.
            message: What there is to say of it.

        Raises:
            ExecutionNotFoundError: There is no such execution.
            InvalidStateError: It is no state.
            PermissionDeniedError: That is for others.
            ValidationError: Something that is said of it cannot be kept.
        """
        proposed = checked_state(state, message)
        rules = ALL_RULES if policy is None else {_rule(each) for each in policy}
        actor = checked_text("actor", self.user if actor is None else actor)
        details = {} if actor is None else {"actor": actor}
        known = self.get(ref)
        found = self._store.set_state(
            known.id,
            proposed,
            rules=() if force else rules,
            details={**details, "forced": True} if force else details,
        )
        if found is None:  # deleted since
            raise ExecutionNotFoundError(_text(ref))
        self._say_again(known)
        return found

    def _say_again(self, known: Execution) -> None:
        """Have the card in the workspace of an execution say what is true now."""
        if known.workspace is not None:
            found = self._store.find(known.id)
            if found is not None:
                _say(found)

    def states(self, ref: str | PathLike[str] | Execution) -> builtins.list[State]:
        """Return the states that an execution was in, oldest first; of an unknown one, none."""
        found = self.find(ref)
        return [] if found is None else self._store.states(found.id)

    def dependencies(self, ref: str | PathLike[str] | Execution) -> builtins.list[DependencyNode]:
        """Return the jobs of an execution with where their arguments came from.

        What was needed comes before what needed it. It is by what is recorded of arguments, so that
        jobs which were taken from the cache are linked as well.

        Raises:
            ExecutionNotFoundError: There is no such execution.
        """
        return self._store.dependencies(self.get(ref).id)

    def snapshot(self, ref: str | PathLike[str] | Execution) -> Any:
        """Return what was frozen when an execution was submitted, or None. Any: JSON.

        Raises:
            ExecutionNotFoundError: There is no such execution.
        """
        return self._store.snapshot(self.get(ref).id)

    def delete(
        self,
        ref: str | PathLike[str] | Execution,
        *,
        missing_ok: bool = False,
        force: bool = False,
        keep_cache: bool = False,
        remove_workspace: bool = False,
        dry_run: bool = False,
        actor: str | None = None,
    ) -> DeletionReport | Literal[False]:
        """Delete an execution with everything that only it needs.

        Its jobs, states, tags, artifacts and links to datasets go; then the calls that no other
        execution and no tag needs, their entries of the cache, and the values that nothing names.

        Args:
            ref: The execution.
            missing_ok: Whether one that there is not is no error.
            force: Whether it goes even if it has not ended; a run that goes on fails then.
            keep_cache: Whether its results stay in the cache, with what they were made of.
            remove_workspace: Whether its folder goes, which must be inside of a root.
            dry_run: Whether to say only what would be done.
            actor: Who forces it, as for `set_state`.

        Returns:
            What went, and what was kept because it is shared; False if there is no such execution
            and that is no error.

        Raises:
            ExecutionNotFoundError: There is none.
            ActiveExecutionError: It has not ended, and it is not forced.
            PermissionDeniedError: One has not ended, and who forces it may not; nothing was done.
            UnsafePathError: Its folder may not be removed; nothing was done.
        """
        report = self._deletion.delete(
            ref,
            missing_ok=missing_ok,
            force=force,
            keep_cache=keep_cache,
            remove_workspace=remove_workspace,
            dry_run=dry_run,
            actor=checked_text("actor", self.user if actor is None else actor),
        )
        return False if report is None else report

    def delete_many(
        self,
        where: Where = None,
        *,
        all: bool = False,
        force: bool = False,
        keep_cache: bool = False,
        remove_workspace: bool = False,
        dry_run: bool = False,
        actor: str | None = None,
    ) -> DeletionReport:
        """Delete the executions that are meant, one after the other, as `delete` does.

        Args:
            where: Which: `F` makes criteria, and JSON is read as some.
            all: Whether every execution is meant; without a filter that must be said.
            force: Whether those go too that have not ended.
            keep_cache: Whether their results stay in the cache.
            remove_workspace: Whether their folders go.
            dry_run: Whether to say only what would be done.
            actor: Who forces it, as for `set_state`.

        Raises:
            ValidationError: Nothing says which are meant.
            UnknownFilterError: Something is asked for that cannot be asked for.
            ActiveExecutionError: One has not ended, and it is not forced; nothing was done.
            PermissionDeniedError: One has not ended, and who forces it may not; nothing was done.
            UnsafePathError: A folder may not be removed; nothing was done.
        """
        return self._deletion.delete_many(
            checked_where(parse(where), all),
            force=force,
            keep_cache=keep_cache,
            remove_workspace=remove_workspace,
            dry_run=dry_run,
            actor=checked_text("actor", self.user if actor is None else actor),
        )


def _say(execution: Execution) -> None:
    if execution.workspace is not None:
        write_card(execution.workspace, card_of(execution))


def _columns(given: Sequence[str]) -> builtins.list[str]:
    known = [each.name for each in fields(Execution)]
    wanted = [given] if isinstance(given, str) else builtins.list(dict.fromkeys(given))
    unknown = [each for each in wanted if each not in known]
    if unknown or not wanted:
        said = f"columns {unknown or wanted!r}"
        raise ValidationError(said, f"there are: {', '.join(known)}.")
    return wanted


def _text(ref: Any) -> str:
    if isinstance(ref, Execution):
        return ref.id
    return ref if isinstance(ref, str) else str(ref)


def _object(what: str, given: Mapping[str, Any] | Unset) -> dict[str, Any] | None:
    return None if isinstance(given, Unset) else checked_object(what, given)


def _rule(given: Rule | str) -> Rule:
    try:
        return Rule(given)
    except ValueError:
        raise ValidationError(f"rule {given!r}", f"there are: {', '.join(Rule)}.") from None


__all__ = ["SORTS", "ExecutionManager"]
