"""Calls on their way to executors: which one takes a call, with what time and resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from taskgraph.engine.branches import given_to
from taskgraph.engine.cache import scope_of
from taskgraph.engine.inbox import QueueInbox
from taskgraph.engine.jobs import Job
from taskgraph.engine.options import RunOptions
from taskgraph.errors import ExecutorError, TaskgraphError, ValueStoreError
from taskgraph.events import Event, Warned
from taskgraph.ports import NO_RESOURCES, Call, Executor, Outcome, Resources, Returned, Route
from taskgraph.records import JobId
from taskgraph.tasks.names import CARRIER
from taskgraph.tasks.options import DEFAULT_QUEUE, GIB, QUEUES, CacheScope, Options
from taskgraph.values.pack import put_outside
from taskgraph.values.valuestore import ValueStore
from taskgraph.worker import describe_error

# Seconds after which nobody asks any more; clocks cannot wait for much longer.
_FOR_EVER = 1e8

#: Calls that are handed over together, by the name of their executor.
Batches = dict[str, list[Call]]


class _Traits(NamedTuple):
    """What an executor says that it can do besides; see `taskgraph.ports.Executor`."""

    has_timeouts: bool
    resumes: bool
    routes: bool


class Executing:
    """Hands calls to executors, each of which is started when it is first given any.

    Args:
        executors: By name.
        inbox: Where outcomes go.
        options: What the run was asked to do.
        notify: Tells the observers.
        store: Where large results are put, where they are made.

    Attributes:
        resent: Calls whose results travel by themselves, for they were lost in the value store.
    """

    def __init__(
        self,
        executors: Mapping[str, Executor],
        inbox: QueueInbox,
        options: RunOptions,
        notify: Callable[[Event], None],
        store: ValueStore | None = None,
    ) -> None:
        self._store = store
        self._executors = executors
        self._inbox = inbox
        self._options = options
        self._notify = notify
        self._serves = options.serves
        self._started: set[str] = set()
        self._without_timeouts: set[str] = set()
        self._traits: dict[str, _Traits] = {}
        self.resent: set[JobId] = set()

    def executor_of(self, job: Job) -> str:
        """Return the name of the executor that a call runs on.

        Raises:
            ExecutorError: There is none of that name.
        """
        wanted = self._options.executor_in(job.options) if job.options else None
        name = wanted or self._default_of(job)
        if self._serves is not None and self._is_served_elsewhere(job, self._serves):
            name = QUEUES
        if name not in self._executors:
            known = ", ".join(sorted(self._executors))
            raise ExecutorError(f"There is no executor named {name!r}; there are: {known}.")
        return name

    def _default_of(self, job: Job) -> str:
        name = self._options.default_executor
        if job.task.is_async():
            other: str = getattr(self._executors.get(name), "gives_coroutines_to", name)
            return other if other in self._executors else name
        return name

    def add(self, job: Job, name: str, batches: Batches) -> None:
        """Add the call of a job to those that an executor is sent next."""
        traits = self._traits.get(name) or self._learn_traits(name)
        call = Call(
            job.id,
            job.task.fullname,
            job.task.func,
            *(given_to(job) if job.handles is not None else (job.args, job.kwargs)),
            self._options.max_value_size,
            self._timeout_of(job, name) if "timeout" in job.options else None,
            _resources_of(job.options) if job.options else NO_RESOURCES,
            job.is_recorded,
            None if job.id in self.resent else self._store,
            self._options.output if job.is_recorded else None,
            self._key_of(job) if traits.resumes else None,
            self._route_of(job) if traits.routes else None,
        )
        batches.setdefault(name, []).append(call)

    def resend(self, job: Job) -> bool:
        """Have the result of a call travel by itself the next time; False if it did already."""
        is_new = job.id not in self.resent
        self.resent.add(job.id)
        return is_new

    def receive(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose result is in the value store, if that is where it belongs."""
        if outcome.job_id not in self.resent or not isinstance(outcome, Returned):
            return outcome
        self.resent.discard(outcome.job_id)
        if outcome.packed is None:
            return outcome
        try:
            return replace(outcome, packed=put_outside(outcome.packed, self._store))
        except ValueStoreError as error:
            return replace(outcome, packed=None, unstored=str(error))

    def _learn_traits(self, name: str) -> _Traits:
        executor = self._executors[name]
        traits = self._traits[name] = _Traits(
            getattr(executor, "has_timeouts", True),
            getattr(executor, "resumes", False),
            getattr(executor, "routes", False),
        )
        return traits

    def _is_served_elsewhere(self, job: Job, serves: frozenset[str]) -> bool:
        """Tell whether a call is of a queue whose calls do not run here.

        What awaits calls, or is another scheduler at work, speaks with this one while it runs: it
        leaves only where a queue is named for it.
        """
        queue = job.options.get("queue") if job.options else None
        if queue is None and (job.task.is_async() or job.task.fullname == CARRIER):
            return False
        return (queue or DEFAULT_QUEUE) not in serves

    def _route_of(self, job: Job) -> Route:
        """Return where a call goes that is sent to the workers of its queue."""
        options = self._options
        queue = job.options.get("queue", DEFAULT_QUEUE)
        return Route(options.lease_id or options.execution_id, queue)

    def _key_of(self, job: Job) -> str | None:
        """Return what names a call in every run, if what another run began may be taken for it."""
        is_shared = scope_of(job, self._options.use_cache) is CacheScope.BACKEND
        return job.eval_hash if is_shared and job.handles is None else None

    def _timeout_of(self, job: Job, executor: str) -> float | None:
        timeout = job.options.get("timeout")
        if timeout is None:
            return None
        if not self._traits[executor].has_timeouts:
            if executor not in self._without_timeouts:
                self._without_timeouts.add(executor)
                self._notify(
                    Warned(
                        f"{job.task.fullname} has a timeout, and executor {executor!r} cannot stop "
                        "a call that runs. Use threads or processes."
                    )
                )
            return None
        seconds: float = timeout.total_seconds()
        return seconds if seconds < _FOR_EVER else None

    def send(self, batches: Batches) -> None:
        """Hand all calls over, each batch at once.

        Raises:
            ExecutorError: An executor does not take them.
        """
        for name, calls in batches.items():
            executor = self._executors[name]
            try:
                if name not in self._started:
                    executor.start(self._inbox)
                    self._started.add(name)
                executor.submit(calls)
            except TaskgraphError:
                raise
            except Exception as error:
                # It is a stranger's, and nobody knows which calls it has: the run ends.
                raise ExecutorError(
                    f"executor {name!r} does not take calls: {describe_error(error)}"
                ) from error

    def cancel(self, unwanted: Sequence[JobId]) -> list[JobId]:
        """Take back calls that have not begun; returns which ones."""
        return [
            job_id for name in self._started for job_id in self._executors[name].cancel(unwanted)
        ]

    def not_begun(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Return which of the calls wait for a worker of any kind, as far as executors know."""
        found: set[JobId] = set()
        for name in self._started:
            ask = getattr(self._executors[name], "queued", None)
            if ask is not None:
                found.update(ask(job_ids))
        return found

    def kill_running(self) -> None:
        """End the calls that run, where they can be: nobody waits for them any more."""
        for name in self._started:
            try:
                self._executors[name].stop(is_now=True)
            except Exception as error:  # that of a stranger: the others are to end all the same
                self._notify(
                    Warned(f"executor {name!r} could not be stopped: {describe_error(error)}")
                )


def _resources_of(options: Options) -> Resources:
    """Return the hints among the options of a call."""
    cpus, gpus, memory = options.get("cpus"), options.get("gpus"), options.get("memory")
    if cpus is gpus is memory is None:
        return NO_RESOURCES
    return Resources(
        1 if cpus is None else cpus, gpus or 0, None if memory is None else round(memory * GIB)
    )
