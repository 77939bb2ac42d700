"""The decorators `task` and `scheduler_task`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from taskgraph.promise import Promise
from taskgraph.tasks.names import compute_namespace
from taskgraph.tasks.registry import get_task_registry
from taskgraph.tasks.schemas import ANY_TYPE, AUTO
from taskgraph.tasks.task import SchedulerTask, Task

P = ParamSpec("P")
R = TypeVar("R")


class MakeTask(Protocol):
    """Makes a task of a function; a call of a coroutine function stands for what it gives."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(func: Callable[P, Coroutine[Any, Any, R]]) -> Task[P, R]: ...


@overload
def task(func: Callable[P, R]) -> Task[P, R]: ...


@overload
def task(
    *,
    script: Literal[True],
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    hash_includes: Sequence[Any] = (),
    source: str | None = None,
    compat: Sequence[str] = (),
    export_options: Mapping[str, Any] | None = None,
    args_schema: Mapping[str, Any] | str = AUTO,
    input_type: str = ANY_TYPE,
    output_type: str = ANY_TYPE,
    **options: Any,
) -> Callable[[Callable[P, object]], Task[P, bytes]]: ...


@overload
def task(
    *,
    script: Literal[False] = False,
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    hash_includes: Sequence[Any] = (),
    source: str | None = None,
    compat: Sequence[str] = (),
    export_options: Mapping[str, Any] | None = None,
    args_schema: Mapping[str, Any] | str = AUTO,
    input_type: str = ANY_TYPE,
    output_type: str = ANY_TYPE,
    **options: Any,
) -> MakeTask: ...


def task(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    hash_includes: Sequence[Any] = (),
    source: str | None = None,
    compat: Sequence[str] = (),
    export_options: Mapping[str, Any] | None = None,
    args_schema: Mapping[str, Any] | str = AUTO,
    input_type: str = ANY_TYPE,
    output_type: str = ANY_TYPE,
    **options: Any,
) -> Any:
    """Make a task of a function; usable bare or with arguments.

    Args:
        func: The function; a plain one or ``async``.
        name: The task's name, by default the function's.
        namespace: Where the name is at home, by default the variable ``taskgraph_namespace`` of the
            module, or what `taskgraph.namespace` set.
        version: Replaces the code in the hash: only a new version makes the task run again.
        hash_includes: Values that count in the hash as well.
        source: The source text, for functions that were made at run time.
        compat: Hashes of the task's earlier code, 32 hex digits each: what is recorded under them
            counts for this code, too. It is said of this very code and options: where a call has
            others, it does not count. ``taskgraph bless`` says the same without touching the code.
        export_options: Options of the task, and of all calls that are made below its own.
        args_schema: What steps of stored workflows may be given by name: a JSON schema, with
            definitions of its own if need be; ``"auto"`` has the parameters but the first, with
            their defaults and simple types. It counts in no hash, and no call is held against it.
        input_type: Of which type datasets are that it takes as the first step; "Any" fits all.
        output_type: Of which type the dataset is that it gives as the last step.
        options: See `taskgraph.tasks.options.KNOWN_OPTIONS`.

    Raises:
        TaskNameError: Name or namespace is not made of identifiers.
        TaskOptionError: An option is unknown or has a value that it cannot have; or ``compat``
            holds something else than hashes.
        TypeError: ``nout`` is not a non-negative integer.
    """

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        return _register(
            Task(
                function,
                name=name if name is not None else _name_of(function),
                namespace=compute_namespace(function, namespace),
                version=version,
                hash_includes=hash_includes,
                source=source,
                compat=compat,
                options=options,
                export_options=export_options,
                args_schema=args_schema,
                input_type=input_type,
                output_type=output_type,
            )
        )

    return decorate if func is None else decorate(func)


class MakeSchedulerTask(Protocol):
    """Makes a scheduler task of a generator, or of a function that returns what to evaluate.

    Of one that is given ``scheduler, parent_job, sexpr`` first, these are no parameters of a call.
    """

    @overload
    def __call__(self, function: Callable[P, Generator[Any, Any, R]], /) -> SchedulerTask[P, R]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[Any, Any, Any, P], Promise[R]], /
    ) -> SchedulerTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> SchedulerTask[P, R]: ...


def scheduler_task(
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    **options: Any,
) -> MakeSchedulerTask:
    """Make a scheduler task of a generator: it sees its arguments unevaluated.

    The generator yields the expressions to evaluate, any nested value of them, and is sent their
    values; an error of theirs is raised at the ``yield``. It returns a value or an expression::

        @scheduler_task()
        def first_true(exprs):
            for expr in exprs:
                value = yield expr
                if value:
                    return value
            return None

    A plain function that returns what to evaluate will do where there is nothing to wait for. One
    whose first parameters are ``scheduler, parent_job, sexpr`` is given these, and returns a
    `Promise`: the style of callbacks, where `Scheduler.evaluate` has expressions evaluated.
    """

    def decorate(function: Callable[..., Any], /) -> Any:
        made: SchedulerTask[..., Any] = SchedulerTask(
            function,
            name=name if name is not None else _name_of(function),
            namespace=compute_namespace(function, namespace),
            version=version,
            options=options,
        )
        _register(made)
        return made

    return decorate


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _register(made: Task[..., Any]) -> Task[..., Any]:
    get_task_registry().add(made)
    return made
