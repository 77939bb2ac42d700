"""A call that was submitted to Dask: its job, its inputs, and its future."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from distributed import Future

from taskgraph.engine.cache import Hit
from taskgraph.engine.jobs import Job, Phase
from taskgraph.hashing import EvalHash, ValueHash
from taskgraph.plug.dask.inputs import (
    Remote,
    name_sources,
    replace_futures,
    store_input,
    weigh_again,
)
from taskgraph.plug.dask.talk import Told
from taskgraph.plug.execution import ProcessExecution
from taskgraph.plug.verbs import CallRecord, finished, used, weighed
from taskgraph.ports import Returned
from taskgraph.tasks.eager import EagerTask
from taskgraph.values.preview import preview

Given = tuple[tuple[Any, ...], Mapping[str, Any]]


class Submitted:
    """A call, for as long as it is under way or its future is held.

    Args:
        execution: What it is recorded in.
        task: The function.
        given: The arguments, with futures in them.
        source_of: Returns the call that a future is of, if that is recorded in the execution.

    Attributes:
        key: That of the future.
        unweighed: The futures among the arguments of which nothing is known here.
        record: The call as it was recorded, once it returned.
        shown: What it returned looks like.
        followers: The jobs of equal calls that were given the same future.
        flights: The keys of the cache under which it is under way.
        is_landed: Whether what came of it is recorded.
    """

    def __init__(
        self,
        execution: ProcessExecution,
        task: EagerTask[..., Any],
        given: Given,
        source_of: Callable[[ProcessExecution, Future[Any]], Submitted | None],
    ) -> None:
        self.execution = execution
        self.unweighed: list[Future[Any]] = []
        self.record: CallRecord | None = None
        self.shown = ""
        self.followers: list[Job] = []
        self.flights: list[EvalHash] = []
        self.is_landed = False
        self._inputs: dict[Any, Remote] = {}
        self._unknown: list[Remote] = []
        self._sources: list[tuple[Remote, Submitted]] = []
        self._future: weakref.ref[Future[Any]] | None = None

        def stand_in(future: Future[Any], is_inside: bool) -> Remote:
            made = self._inputs.get((future.key, is_inside))
            if made is None:
                made = Remote(f"<Future: {future.key}>", is_inside=is_inside)
                self._inputs[future.key, is_inside] = made
                self._note(made, future, source_of(execution, future))
            return made

        args, kwargs = given
        self._args = tuple([replace_futures(each, stand_in) for each in args])
        self._kwargs = {name: replace_futures(each, stand_in) for name, each in kwargs.items()}
        self._task = task
        self.job = self._make_job()
        self.key = f"{task.name}-{self.job.id}"

    def _note(self, made: Remote, future: Future[Any], source: Submitted | None) -> None:
        if source is None:
            self.unweighed.append(future)
            self._unknown.append(made)
        else:
            self._sources.append((made, source))
            made.know(source.record, source.shown)

    @property
    def eval_hash(self) -> EvalHash:
        """The key of the cache; one of the futures' own while their values are not known."""
        assert self.job.eval_hash is not None
        return self.job.eval_hash

    @property
    def is_waiting(self) -> bool:
        """Whether there are inputs whose values are not known."""
        return any(each.value_hash is None for each in self._inputs.values())

    @property
    def pending_future(self) -> Future[Any] | None:
        """The future, if somebody still holds it and it is not done."""
        future = None if self._future is None else self._future()
        return future if future is not None and future.status == "pending" else None

    def belong_to(self, future: Future[Any]) -> None:
        """Live as long as a future does."""
        self._future = weakref.ref(future)
        future._taskgraph_call = self  # type: ignore[attr-defined]  # nobody else looks at it

    def lead(self, other: Submitted) -> None:
        """Have an equal call have this one's future."""
        if other.is_waiting:  # for the same futures: all that is to be said of them will be said
            other.job.arguments = []
        self.followers.append(other.job)

    def use(self, hit: Hit) -> Any:
        """Write down that a recorded result is used; returns it."""
        self.record, self.shown = used(self.execution, self.job, hit), preview(hit.value)
        return hit.value

    def weigh_inputs(self, hashes: Sequence[str]) -> None:
        """Weigh it anew with the values that are there now.

        Args:
            hashes: Those of the values of `unweighed`.
        """
        for each, value_hash in zip(self._unknown, hashes, strict=True):
            each.value_hash = ValueHash(value_hash)
        for each, source in self._sources:
            each.know(source.record, source.shown)
        weigh_again(self.job)
        name_sources(self.job)
        # What came of an input is not recorded where its execution ended meanwhile.
        self.job.is_uncacheable |= self.is_waiting

    def begin_again(self) -> None:
        """Become a job of its own for another attempt."""
        code = self.job.task_hash
        self.job = self._make_job()
        if self.job.task_hash != code:  # what was sent to the workers is the earlier code
            self.job.task_hash = code
            weigh_again(self.job)
            name_sources(self.job)
        self.is_landed = False

    def _make_job(self) -> Job:
        job = weighed(self.execution, self._task, self._args, self._kwargs)
        name_sources(job)
        return job

    def finish(self, told: Told, worker: str) -> None:
        """Write down what came of it; of a call that was cancelled only that."""
        calls, outcome = self.execution.calls, told.outcome
        if self.job.phase is not Phase.RUNNING:
            calls.start(self.job, None)
        future = None if self._future is None else self._future()
        if future is not None and future.cancelled():
            calls.cancel(self.job)
            return
        for remote, packed in zip(self._unknown, told.inputs, strict=False):
            store_input(self.job, remote, packed)
        if isinstance(outcome, Returned):
            outcome = replace(outcome, value=Remote(told.preview, type_name=told.type_name))
        record = finished(self.execution, self.job, outcome)
        if isinstance(outcome, Returned):
            first = outcome.packed.values[0].preview if outcome.packed else told.preview
            self.record, self.shown = record, first
        self.execution.add_tags(self.job.id, {"host": worker})
