"""`DaskExecutor`: runs calls on a Dask cluster, one that is there or one of its own.

a call is sent           as a task of the cluster, with its hints as resources
it returned much         the bytes stay on the worker too, for calls that are given the value
another call takes it    it is told where they are; each makes a value of its own of them
they are gone            the call is sent again, with the value itself
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import Any, ClassVar, Final, NamedTuple

from distributed import Client, Future, KilledWorker, LocalCluster, fire_and_forget
from distributed.comm.core import CommClosedError
from distributed.deploy.spec import SpecCluster

from taskgraph.errors import ExecutorError, LaunchError
from taskgraph.executors.border import decode_outcomes
from taskgraph.executors.dask.keeping import Kept, run_and_keep, run_command_there
from taskgraph.executors.pooled import PENDING, Batch, PooledExecutor, result_of
from taskgraph.ports import NO_RESOURCES, Call, Command, Inbox, Outcome, Resources, Returned
from taskgraph.sizes import read_size

_LEAST_AT_ONCE: Final = 64  # tasks that the cluster is shown, so that it can grow for them
_SECONDS: Final = 2.0  # between two looks at how large the cluster is
_HINTS: Final = {"cpus": "CPU", "gpus": "GPU", "memory": "MEMORY"}
_BEGUN: Final = frozenset({"processing", "memory", "erred"})


class _Held(NamedTuple):
    """A result that lies on a worker: the value here, and where its bytes are."""

    value: Any
    future: Future[Any]
    size: int


class DaskExecutor(PooledExecutor):
    """Runs calls on a Dask cluster.

    Args:
        name: The name that tasks choose it by.
        address: Of the scheduler of a cluster that is there.
        cluster: The class of a cluster that is made when there are calls for it and ends with this
            process, or the cluster itself; by default one on this machine.
        scale: How many workers, or jobs, that cluster is to have.
        adapt: Between how many it is to grow and shrink: ``minimum`` and ``maximum``, and more
            arguments of its method ``adapt``.
        resources: What the hints ``cpus``, ``gpus`` and ``memory`` of calls are called among the
            resources of the workers; by default ``CPU``, ``GPU`` and ``MEMORY``, for what workers
            have of these.
        keep: How much of the results may stay on workers for calls that take them: 0 is nothing.
        timeout: How many seconds to wait for the scheduler of a cluster.
        patience: After how many seconds in which the cluster had no workers at all its calls have
            failed: 0 is never. Workers that wait in the queue of a batch system may take longer.
        arguments: Those of the class of the cluster.
    """

    pause: ClassVar[float] = 5.0
    lost: ClassVar[tuple[type[BaseException], ...]] = (
        KilledWorker,
        CommClosedError,
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
    )

    def __init__(
        self,
        name: str = "dask",
        address: str | None = None,
        cluster: Any = None,
        scale: int | None = None,
        adapt: Mapping[str, Any] | None = None,
        resources: Mapping[str, str] | None = None,
        keep: int | str = "1 GiB",
        timeout: float = 30,
        patience: float = 600,
        **arguments: Any,
    ) -> None:
        super().__init__(name)
        if address is not None and (cluster is not None or arguments):
            given = ", ".join(sorted(["cluster"] * (cluster is not None) + [*arguments]))
            raise ExecutorError(f"executor {name!r}: a cluster with an address has no {given}")
        unknown = set(resources or ()) - _HINTS.keys()
        if unknown:
            raise ExecutorError(
                f"executor {name!r}: resources are called by the hints cpus, gpus and memory, not "
                f"{', '.join(sorted(unknown))}"
            )
        self._address = address
        self._given = cluster
        self._scale, self._adapt = scale, adapt
        self._names = resources
        self._keep = keep if isinstance(keep, int) else read_size(keep)
        self._timeout, self._patience = timeout, patience
        self._empty_since: float | None = None
        self._arguments = arguments
        self._cluster: Any = None
        self._client: Client | None = None
        self._declared: dict[str, float] = {}
        self._has_workers = True
        self._looked = 0.0
        # A call that is tried again is another task: Dask would answer with what it has.
        self._sent = itertools.count()
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._used: dict[str, dict[str, int]] = {}  # what of these a call is given, by its id

    # The cluster

    def open(self) -> None:
        """Connect to the cluster, or make one.

        Raises:
            ExecutorError: It is not there, or nobody said how many workers it has.
        """
        if self._address is None and self._cluster is None:
            self._cluster = self._made_cluster()
        target = self._address or self._cluster
        try:
            self._client = Client(target, set_as_default=False, timeout=self._timeout)
        except (OSError, TimeoutError) as error:
            raise ExecutorError(
                f"executor {self.name!r}: there is no Dask scheduler at {target} ({error}). Start "
                "one (`dask scheduler`), or put its address right."
            ) from error
        self._looked = 0.0

    def _made_cluster(self) -> Any:
        if self._given is not None and not callable(self._given):
            return self._given
        # Its processes do not hear of a Ctrl-C, which is for the scheduler of the run: what they
        # run is to end first. They inherit this from their thread, and so do those that follow.
        resource_tracker.ensure_running()  # it unblocks signals when it starts
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._new_cluster()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _new_cluster(self) -> Any:
        if self._given is None:
            defaults = {"threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = LocalCluster(**{**defaults, **self._arguments})
        else:
            cluster = self._given(**self._arguments)
        if self._scale is not None:
            cluster.scale(self._scale)
        if self._adapt is not None:
            cluster.adapt(**self._adapt)
        elif not getattr(cluster, "worker_spec", True):
            cluster.close()
            raise ExecutorError(
                f"executor {self.name!r}: the cluster has no workers, and is asked for none. Set "
                "n_workers, scale, or adapt = { minimum = 0, maximum = 10 }."
            )
        return cluster

    def is_usable(self) -> bool:
        """Tell whether the scheduler of the cluster answers."""
        return self._client is not None and self._client.status == "running"

    def close(self, is_now: bool) -> None:
        """Disconnect; a cluster of its own ends, unless it has just lost its client."""
        self._held.clear()
        client, self._client = self._client, None
        if is_now and self._is_stopping and self._cluster is not self._given:
            _kill_workers(self._cluster)
        if client is not None:
            with suppress(Exception):  # whatever is wrong with it, it is not used any more
                client.close(timeout=self._timeout)
        cluster = self._cluster
        if cluster is None or cluster is self._given or not self._is_stopping:
            return
        self._cluster = None
        with suppress(Exception):
            cluster.close(timeout=self._timeout)

    def start(self, inbox: Inbox) -> None:
        """Take note of where outcomes go; what other executions left on workers is let go of."""
        if inbox is not self._inbox:
            with self._lock:
                self._held.clear()
        super().start(inbox)

    def _look(self) -> None:
        """See how large the cluster is, now and then."""
        assert self._client is not None
        if time.monotonic() - self._looked < _SECONDS:
            return
        self._looked = time.monotonic()
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        except TypeError:  # before 2025 all of them were told
            workers = self._client.scheduler_info()["workers"].values()
        self._has_workers = bool(workers)
        self.size = max(1, sum(each["nthreads"] for each in workers))
        self._declared = {}
        for each in workers:
            for name, amount in each["resources"].items():
                self._declared[name] = max(amount, self._declared.get(name, 0))

    def look_after(self) -> None:
        """See whether there are workers: a cluster that has lost them all may never get others."""
        self._looked = 0.0
        self._look()
        if self._has_workers:
            self._empty_since = None
            return
        moment = time.monotonic()
        if self._empty_since is None:
            self._empty_since = moment
        seconds = moment - self._empty_since
        if self._patience and seconds >= self._patience:
            self._empty_since = None
            futures = list(self._running)
            self.give_up(f"the cluster has had no workers for {self._patience:g} seconds")
            if self._client is not None:
                self._client.cancel(futures)
        elif isinstance(self._cluster, SpecCluster) and self._adapt is None:
            # It closes workers for good that take long to come back.
            self._cluster.scale(len(self._cluster.worker_spec))

    def room(self) -> int:
        """Return how many messages may be under way."""
        self._look()
        return max(_LEAST_AT_ONCE, 2 * self.size)

    def slots(self, call: Call) -> int:
        """Return 1: what a call needs is Dask's affair."""
        return 1

    # On their way there

    def encode(self, call: Call) -> bytes:
        """Return a call as it travels, with the places of values that are on workers."""
        self._used.pop(call.job_id, None)
        if self._held:
            used: dict[str, int] = {}
            args = tuple([self._placed(each, used) for each in call.args])
            kwargs = {name: self._placed(each, used) for name, each in call.kwargs.items()}
            if used:
                self._used[call.job_id] = used
                call = call._replace(args=args, kwargs=kwargs)
        return super().encode(call)

    def _placed(self, value: Any, used: dict[str, int]) -> Any:
        """Return an argument with the places of values in it that are on workers."""
        held = self._held.get(id(value))
        if held is not None:
            self._held.move_to_end(id(value))
            key = str(held.future.key)
            used[key] = id(value)
            return Kept(key)
        cls = type(value)
        if cls is list or cls is tuple:
            made = [self._placed(each, used) for each in value]
            is_new = any(each is not old for each, old in zip(made, value, strict=True))
            return cls(made) if is_new else value
        if cls is dict:
            named = {name: self._placed(each, used) for name, each in value.items()}
            return named if any(named[name] is not value[name] for name in named) else value
        return value

    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Any:
        """Send calls as one task."""
        assert self._client is not None
        given = {
            key: self._held[place].future
            for call in calls
            for key, place in self._used.get(call.job_id, {}).items()
        }
        first = calls[0]
        return self._client.submit(
            run_and_keep,
            self._around,
            messages,
            given,
            self._client.id if self._keep else "",
            key=f"{first.fullname.rpartition('.')[2]}-{first.job_id}-{next(self._sent)}",
            resources=self._resources_of(first.resources) or None,
            pure=False,
        )

    def send(self, run: Callable[..., bytes], /, *args: Any) -> Any:
        """Have a function run by a worker."""
        assert self._client is not None
        return self._client.submit(run, *args, pure=False)

    def _resources_of(self, wanted: Resources) -> dict[str, float]:
        """Return what a call needs as resources of Dask's.

        Raises:
            ExecutorError: No worker has as much.
        """
        if wanted is NO_RESOURCES:
            return {}
        self._look()
        found: dict[str, float] = {}
        for hint, name in (self._names or _HINTS).items():
            amount, most = getattr(wanted, hint), self._declared.get(name)
            if not amount or (most is None and self._names is None):
                continue  # nobody counts it
            if most is not None and amount > most:
                if hint != "cpus":
                    raise ExecutorError(
                        f"executor {self.name!r}: a call wants {hint}={amount:g}, and no worker "
                        f"has more than {name}={most:g}."
                    )
                amount = most
            found[name] = amount
        return found

    # On their way back

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """Return what futures that are done hold, fetched together."""
        fetched: dict[Any, Any] = {}
        seconds = self.pause
        while done := [e for e in futures if e.status == "finished" and e not in fetched]:
            assert self._client is not None
            try:
                found = self._client.sync(self._client._gather, done, callback_timeout=seconds)
                fetched.update(zip(done, found, strict=True))
            except TimeoutError:
                seconds *= 2  # it is large; or its worker has died, and others make it again
            except (Exception, asyncio.CancelledError):
                fetched.update((each, _result_soon(each)) for each in done)
        return [_or_pending(each, fetched) for each in futures]

    def read(self, answer: Any, calls: Sequence[Call]) -> list[Outcome]:
        """Return what came of calls; what is kept of it on the worker is known from now on."""
        message, kept = answer
        outcomes = decode_outcomes(message, calls)
        for call in calls:
            self._used.pop(call.job_id, None)
        with self._lock:
            for place, (key, size) in kept.items():
                outcome = outcomes[place]
                future: Future[Any] = Future(key, self._client)
                if isinstance(outcome, Returned) and size <= self._keep:
                    self._held[id(outcome.value)] = _Held(outcome.value, future, size)
            while sum(each.size for each in self._held.values()) > self._keep:
                self._held.popitem(last=False)
        return outcomes

    def sends_again(self, batch: Batch, error: BaseException) -> bool:
        """Tell whether calls came to nothing because what they were given is gone."""
        places = [
            place for call, _ in batch.calls for place in self._used.pop(call.job_id, {}).values()
        ]
        with self._lock:
            for each in places:
                self._held.pop(each, None)
        return bool(places) and isinstance(error, self.lost)

    def take_back(self, futures: Sequence[Any]) -> list[Any]:
        """Cancel those of the futures that no worker has been given; returns which ones."""
        client = self._client
        if client is None or not self.is_usable():
            return []
        try:
            open_keys = client.run_on_scheduler(_not_given, [str(each.key) for each in futures])
        except Exception:  # of a scheduler that is going away: all of them come back as lost
            return []
        found = [each for each in futures if each.key in open_keys]
        client.cancel(found)
        return found

    def launch(self, command: Command) -> str:
        """Have a command run by a worker; nobody waits for it.

        Raises:
            LaunchError: The cluster would end with this process.
        """
        if self._address is None:
            raise LaunchError(self.name, "the cluster is its own, and ends with this process")
        self.open()
        client = self._client
        assert client is not None
        try:
            self._look()
            key = f"taskgraph-launch-{time.time_ns():x}"
            resources = self._resources_of(command.resources) or None
            future = client.submit(run_command_there, command, key=key, resources=resources)
            fire_and_forget(future)
            client.run_on_scheduler(_not_given, [key])  # it has come to know of it
        finally:
            client.close()
            self._client = None
        return f"task {key} on {self._address}"


def _kill_workers(cluster: Any) -> None:
    """Kill the worker processes of a cluster on this machine: to be asked, they take seconds."""
    if not isinstance(cluster, LocalCluster):
        return
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if isinstance(pid := getattr(nanny, "pid", None), int):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _or_pending(future: Any, fetched: dict[Any, Any]) -> Any:
    """Return what was fetched of a future, its error, or that it is not done after all."""
    if future in fetched:
        return fetched[future]
    # One that is done by now is fetched the next time, together with others: by itself it would be
    # waited for without end if its worker died meanwhile. A lost one is made again.
    return result_of(future) if future.status in {"error", "cancelled"} else PENDING


def _result_soon(future: Any) -> Any:
    """Return what a future holds, or its error; or that it is not done after all."""
    try:
        return future.result(timeout=_SECONDS)
    except TimeoutError:
        return PENDING
    except BaseException as error:  # it is told to who waits for the call
        return error


def _not_given(keys: Sequence[str], dask_scheduler: Any = None) -> list[str]:
    """Return which tasks no worker has been given; runs in the scheduler of the cluster."""
    tasks = dask_scheduler.tasks
    return [each for each in keys if each in tasks and tasks[each].state not in _BEGUN]
