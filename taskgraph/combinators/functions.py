"""Functions over lazy values: mapping, composing, holding back, and calling plain functions.

All but `apply_func` and `eval_` are scheduler tasks: what they are given is evaluated only where
its value must be known, and no worker is asked for anything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from taskgraph.expression import Expression, QuotedExpression, SchedulerExpression, quote
from taskgraph.tasks.decorator import scheduler_task, task
from taskgraph.tasks.partial import PartialTask
from taskgraph.tasks.task import Task

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
Steps = Generator[Any, Any, T]  # yields expressions, is sent their values, returns a value


@scheduler_task(namespace="taskgraph", version="1")
def identity(x: T) -> Steps[T]:
    """Give what it is given."""
    value: T = yield x
    return value


@scheduler_task(namespace="taskgraph", version="1")
def const(x: T, ignored: Any) -> Steps[T]:
    """Give the first of two values, once both are there."""
    value: T
    value, _ = yield (x, ignored)
    return value


@scheduler_task(namespace="taskgraph", version="1")
def delay(x: T) -> QuotedExpression[T]:
    """Hold an expression back: gives it as a value, which `force` evaluates."""
    return quote(x)


@scheduler_task(namespace="taskgraph", version="1")
def force(x: QuotedExpression[T]) -> Steps[T]:
    """Evaluate what `delay`, or `quote`, held back.

    Raises:
        TypeError: It was not held back.
    """
    held: QuotedExpression[T] = yield x
    if not isinstance(held, QuotedExpression):
        raise TypeError(
            f"force takes what delay(...) or quote(...) gives, not a {type(held).__name__}"
        )
    return held.eval()


@scheduler_task(namespace="taskgraph", version="1", check_valid="shallow")
def no_prov(expr: T) -> Steps[T]:
    """Give the value of an expression, and write down this call alone: nothing that it is made of.

    Another time the value is used as a whole, while the code of all tasks that it went through,
    what they read of the context and the files in it are as they were.
    """
    value: T = yield identity.options(prov=False)(expr)
    return value


@scheduler_task(namespace="taskgraph", version="1")
def map_(func: Callable[[T], R], values: Iterable[T]) -> Steps[list[R]]:
    """Call a task on each of some values; gives the list of what comes of them.

    A list that is written down is not waited for: each call begins when its own item is there. Maps
    of maps become one: each item goes through all of their tasks by itself.
    """
    func = yield func
    if isinstance(values, SchedulerExpression) and _is_map(values):
        inner, values = values.args
        return map_(compose(func, inner), values)
    if not isinstance(values, list | tuple):
        values = yield values
    return [func(each) for each in values]


def _is_map(values: SchedulerExpression) -> bool:
    is_plain = not values._options and not values._export_options and values._context is None
    return is_plain and values.task_name == map_.fullname and len(values.args) == 2


@scheduler_task(namespace="taskgraph", version="1")
def starmap(func: Callable[..., R], arguments: Iterable[Any]) -> Steps[list[R]]:
    """Call a task once for each set of arguments: a dict of them by name, or a tuple of them.

    Raises:
        TypeError: An item is neither.
    """
    func = yield func
    if not isinstance(arguments, list | tuple):
        arguments = yield arguments
    # Sets that are calls are needed as they are; what is in the others may still come.
    known = iter((yield [each for each in arguments if isinstance(each, Expression)]))
    given = [next(known) if isinstance(each, Expression) else each for each in arguments]
    return [_call_with(func, each) for each in given]


def _call_with(func: Any, given: Any) -> Any:
    if isinstance(given, Mapping):
        return func(**given)
    if isinstance(given, list | tuple):
        return func(*given)
    raise TypeError(
        f"starmap takes dicts of arguments by name, or tuples of them, not a {type(given).__name__}"
    )


@scheduler_task(namespace="taskgraph", version="1")
def flatten(lists: Iterable[Iterable[T]]) -> Steps[list[T]]:
    """Give the items of some lists as one list."""
    values = yield lists
    return [item for each in values for item in each]


@scheduler_task(namespace="taskgraph", version="1")
def flat_map(func: Callable[[T], Iterable[R]], values: Iterable[T]) -> list[R]:
    """Call a task on each of some values, and give the items of all lists that come of them."""
    return flatten(map_(func, values))


@scheduler_task(namespace="taskgraph", version="1")
def zip_(*lists: Iterable[T]) -> Steps[list[tuple[T, ...]]]:
    """Give tuples of the first items of some lists, of the second ones, and so on.

    As long as the shortest of them, as Python's ``zip`` does.
    """
    values = yield lists
    return list(zip(*values, strict=False))


@overload
def compose() -> PartialTask[Any]: ...


@overload
def compose(outer: Callable[..., R], /) -> PartialTask[R]: ...


@overload
def compose(outer: Callable[[T], R], inner: Callable[..., T], /) -> PartialTask[R]: ...


@overload
def compose(
    outer: Callable[[T], R], middle: Callable[[S], T], inner: Callable[..., S], /
) -> PartialTask[R]: ...


@overload
def compose(
    outer: Callable[..., R],
    second: Callable[..., Any],
    third: Callable[..., Any],
    fourth: Callable[..., Any],
    /,
    *others: Callable[..., Any],
) -> PartialTask[R]: ...


def compose(*tasks: Callable[..., Any]) -> PartialTask[Any]:
    """Return tasks as one: ``compose(f, g)(x)`` is ``f(g(x))``.

    The innermost may take any arguments. None at all give what they are given.
    """
    inside: list[Any] = []
    for each in tasks or (identity,):
        if isinstance(each, PartialTask) and each.task is compose_apply:
            inside += each.args[0]
        else:
            inside.append(each)
    return compose_apply.partial(inside)


@scheduler_task(namespace="taskgraph", version="1")
def compose_apply(tasks: Any, *args: Any, **kwargs: Any) -> Steps[Any]:
    """Call tasks on what the next one gives; the last one is given the arguments."""
    *outer, innermost = yield tasks
    value = innermost(*args, **kwargs)
    for each in reversed(outer):
        value = each(value)
    return value


if TYPE_CHECKING:

    class _ApplyFunc(Task[..., Any]):
        """What type checkers know of it: the value is what the function returns."""

        def __call__(self, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> R: ...


def _of_its_function(made: object) -> _ApplyFunc:
    return cast("_ApplyFunc", made)


@_of_its_function
@task(namespace="taskgraph", version="1")
def apply_func(func: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
    """Call a plain function as a task. Its code counts, as in all functions that are values."""
    return func(*args, **kwargs)


@overload
def as_task(func: Task[P, R], **options: Any) -> Task[P, R]: ...


@overload
def as_task(func: PartialTask[R], **options: Any) -> PartialTask[R]: ...


@overload
def as_task(func: Callable[..., R], **options: Any) -> PartialTask[R]: ...


def as_task(func: Callable[..., Any], **options: Any) -> Any:
    """Return a plain function as what can be called lazily; a task as it is.

    Args:
        func: Any callable whose code can be found: a function, a lambda, a class, a builtin.
        options: Those of the task.
    """
    if isinstance(func, Task | PartialTask):
        return func.options(**options) if options else func
    return apply_func.options(**options).partial(func)


@task(namespace="taskgraph", version="1")
def eval_(code: str, /, *args: Any, pos_args: Iterable[str] = (), **names: Any) -> Any:
    """Evaluate a Python expression that is given as text.

    Args:
        code: The expression; it may be indented.
        args: Values for ``pos_args``, in their order.
        pos_args: The names that they have in the code.
        names: More values, by name.

    Raises:
        TypeError: There are not as many values as names.
        SyntaxError: The code is no expression.
    """
    wanted: Sequence[str] = tuple(pos_args)
    if len(wanted) != len(args):
        raise TypeError(f"eval_ got {len(args)} values for {len(wanted)} names in pos_args")
    text = textwrap.dedent(code).strip()
    return eval(text, {**dict(zip(wanted, args, strict=True)), **names})
