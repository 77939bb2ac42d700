"""`cached`: a function whose results are remembered, called as ever.

    a call
      code and arguments are weighed
      an equal call is under way in this process: wait until it has ended
      a result is recorded and valid     used
      none is                            the function runs; recorded, committed, returned

Nothing of a call is kept here: what is known of it lies in its job, and in the store.
"""

from __future__ import annotations

import functools
import inspect
import time
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from taskgraph.engine.cache import Hit
from taskgraph.engine.jobs import Job
from taskgraph.errors import DatabaseError, NotRecordedWarning
from taskgraph.fingerprint.named import register_wrapping
from taskgraph.plug.execution import ProcessExecution, current_execution
from taskgraph.plug.flights import Flight
from taskgraph.plug.hosts import hosted
from taskgraph.plug.verbs import CallKey, finished, key, used, weighed, within
from taskgraph.ports import Call, Raised, Returned
from taskgraph.tasks.eager import EagerTask, eager_task
from taskgraph.tasks.functions import check_callable
from taskgraph.worker import run_call, run_call_async, running_task

P = ParamSpec("P")
R = TypeVar("R")


class Cached(Generic[P, R]):
    """A function whose results are remembered; made by `cached`.

    Attributes:
        config_dir: The folder of settings and database that it was made with, if any.
    """

    __qualname__: str

    def __init__(
        self, func: Callable[P, R], task: EagerTask[P, R], config_dir: str | Path | None
    ) -> None:
        functools.update_wrapper(self, func)
        self.__taskgraph_task__ = task
        self.config_dir = config_dir
        self._is_async = inspect.iscoroutinefunction(func)

    @property
    def fullname(self) -> str:
        """The name that calls are recorded under: the function's, with its module."""
        return self.__taskgraph_task__.fullname

    @property
    def func(self) -> Callable[P, R]:
        """The function itself."""
        return self.__taskgraph_task__.func

    def key(self, *args: P.args, **kwargs: P.kwargs) -> CallKey:
        """Return the key of a call, which does not run: `taskgraph.explain` takes it."""
        return key(self, args, kwargs, config_dir=self.config_dir)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or return what an equal call returned.

        Raises:
            Exception: What the function raises. Errors are recorded and not kept.
            UnhashableValueError: An argument has no stable hash.
            DatabaseError: The database cannot be opened or read. Where it only cannot be written,
                the result is returned, with a `NotRecordedWarning`.
        """
        if self._is_async:
            return cast(R, self._call_async(args, kwargs))
        execution = current_execution(self.config_dir)
        execution.put_in_force()
        job = weighed(execution, self.__taskgraph_task__, args, kwargs)
        while True:
            flight = execution.flights.enter(job)
            if flight.leader is not job:
                flight.wait()
                if _copied(execution, job, flight):
                    return cast(R, flight.leader.value)
                continue
            try:
                found = _found(execution, job)
                return cast(R, self._run(execution, job) if found is None else found.value)
            finally:
                execution.flights.leave(flight)

    def _run(self, execution: ProcessExecution, job: Job) -> Any:
        try:
            with within(job):
                outcome = run_call(self._call_of(execution, job))
        except BaseException:  # a Ctrl-C: the body did not end
            execution.calls.cancel(job)
            raise
        return _result(execution, job, outcome)

    async def _call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        execution = current_execution(self.config_dir)
        execution.put_in_force()
        job = weighed(execution, self.__taskgraph_task__, args, kwargs)
        while True:
            flight = execution.flights.enter(job)
            if flight.leader is not job:
                await flight.wait_async()
                if _copied(execution, job, flight):
                    return flight.leader.value
                continue
            try:
                found = await _found_async(execution, job)
                return await self._run_async(execution, job) if found is None else found.value
            finally:
                execution.flights.leave(flight)

    async def _run_async(self, execution: ProcessExecution, job: Job) -> Any:
        try:
            with within(job):
                outcome = await run_call_async(self._call_of(execution, job))
        except BaseException:  # cancelled, or a Ctrl-C: the body did not end
            execution.calls.cancel(job)
            raise
        return _result(execution, job, outcome)

    def _call_of(self, execution: ProcessExecution, job: Job) -> Call:
        size = execution.settings.backend.max_value_size
        return Call(job.id, job.task.fullname, job.task.func, job.args, job.kwargs, size)._replace(
            value_store=execution.value_store
        )

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind the function to an object, as methods are."""
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<cached {self.fullname}>"

    def __reduce__(self) -> Any:
        if "<locals>" in self.__qualname__:
            raise TypeError(
                f"{self.fullname} is made within a function, so that other processes cannot find it"
                " by its name. Define it in a module."
            )
        return _imported, (self.__module__, self.__qualname__)


def _found(execution: ProcessExecution, job: Job) -> Hit | None:
    """Return the recorded result of a call, which is used now; None if the call begins to run.

    Where an equal call runs in another process, this thread waits for it.
    """
    steps = execution.calls.find_or_start(job, _may_wait(job))
    try:
        while True:
            time.sleep(next(steps))
    except StopIteration as end:
        found: Hit | None = end.value
    if found is not None:
        used(execution, job, found)
    return found


async def _found_async(execution: ProcessExecution, job: Job) -> Hit | None:
    """Do as `_found`, and let others go on meanwhile."""
    from asyncio import sleep

    steps = execution.calls.find_or_start(job, _may_wait(job))
    try:
        while True:
            await sleep(next(steps))
    except StopIteration as end:
        found: Hit | None = end.value
    if found is not None:
        used(execution, job, found)
    return found


def _may_wait(job: Job) -> bool:
    """Tell whether a call waits for other processes: none does within a body."""
    return job.owner is None and running_task() is None


def _copied(execution: ProcessExecution, job: Job, flight: Flight) -> bool:
    """Take over the result of an equal call that ended while this one waited, if it is not kept."""
    if not flight.leader.is_unstored:
        return False
    execution.calls.copy(job, flight.leader)
    return True


def _result(execution: ProcessExecution, job: Job, outcome: Returned | Raised) -> Any:
    try:
        finished(execution, job, outcome)
    except DatabaseError as error:
        # What may have taken hours is not thrown away for a disk that is full.
        warnings.warn(NotRecordedWarning(job.task.fullname, error), stacklevel=4)
    if job.error is not None:
        raise job.error
    if isinstance(outcome, Raised):
        raise outcome.error
    return outcome.value


def _imported(module: str, qualname: str) -> Any:
    import importlib

    found: Any = importlib.import_module(module)
    for each in qualname.split("."):
        found = getattr(found, each)
    return found


def _wrapped(made: Cached[..., Any]) -> Sequence[Any]:
    """Return what counts of a cached function for code that calls it: all that counts in it."""
    task = made.__taskgraph_task__
    options = task.get_task_options()
    code = task.func if task.version is None else f"version {task.version}"
    return [code, task.hash_includes, options.get("packages"), options.get("tools")]


register_wrapping(Cached, _wrapped)


@overload
def cached(func: Callable[P, R]) -> Cached[P, R]: ...


@overload
def cached(
    *,
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    hash_includes: Sequence[Any] = (),
    config_dir: str | Path | None = None,
    **options: Any,
) -> Callable[[Callable[P, R]], Cached[P, R]]: ...


def cached(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    hash_includes: Sequence[Any] = (),
    config_dir: str | Path | None = None,
    **options: Any,
) -> Any:
    """Have the results of a function be remembered; usable bare or with arguments.

    A call whose code, with all that it reaches, and whose arguments are as they were gives the
    recorded result, if the files in it are as they were too; otherwise the function runs. Every
    call is recorded, with the calls made in it and those that its arguments came from.

    Args:
        func: A plain function, a method, or an ``async`` function.
        name: The name to record calls under, by default the function's.
        namespace: Where the name is at home, by default the module.
        version: Replaces the code in the key: only a new version makes calls run again.
        hash_includes: Values that count in the key as well.
        config_dir: The folder of settings and database; by default the nearest ``.taskgraph``
            upward, or a new one in the working directory.
        options: ``max_age``, ``packages``, ``tools``, ``strict``, ``config_args``, ``cache``: as
            of a task.

    Raises:
        GeneratorCallError: The function is a generator.
        TaskOptionError: An option is unknown or has a value that it cannot have.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        hosts_own = hosted(function, decorate)
        if hosts_own is not None:
            return hosts_own
        check_callable(function)
        made = eager_task(
            function,
            name=name,
            namespace=namespace,
            version=version,
            hash_includes=hash_includes,
            options=options,
        )
        return Cached(function, made, config_dir)

    return decorate if func is None else decorate(func)


def as_cached(func: Callable[P, R], **options: Any) -> Cached[P, R]:
    """Return a cached function, for a tool whose own decorator takes the options of `cached`, too.

    Args:
        func: A function, or one that is cached already and stays as it is.
        options: Those of `cached`.

    Raises:
        TypeError: The function is cached already, and there are options.
    """
    if not isinstance(func, Cached):
        made: Cached[P, R] = cached(**options)(func)
        return made
    if options:
        names = ", ".join(sorted(options))
        raise TypeError(f"{func!r} is cached with its own options; say {names} there.")
    return func
