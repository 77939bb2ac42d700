"""Choosing, recovering, ordering and forking, all lazily: `cond`, `catch`, `seq`, `fork_thread`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from taskgraph.expression import QuotedExpression, find_expressions, substitute
from taskgraph.tasks.context import Absent
from taskgraph.tasks.decorator import scheduler_task
from taskgraph.tasks.requests import AddTags, Fork, Forked, Join, ReadContext, read_tags

if TYPE_CHECKING:
    from taskgraph.tasks.task import SchedulerTask

T = TypeVar("T")
Steps = Generator[Any, Any, T]  # yields expressions, is sent their values, returns a value


@scheduler_task(namespace="taskgraph", version="1")
def cond(pred: Any, then: T, *rest: Any) -> Steps[T | Any]:
    """Evaluate one branch only: ``cond(pred, then, [pred2, then2, ...], otherwise)``.

    Without an ``otherwise``, None is what is left when no condition holds.
    """
    branches = [pred, then, *rest]
    while len(branches) > 1:
        condition, branch, *branches = branches
        if (yield condition):
            return branch
    return branches[0] if branches else None


@scheduler_task(namespace="taskgraph", version="1")
def catch(expr: T, *clauses: Any) -> Steps[T | Any]:
    """Evaluate an expression; where it fails, let a recovery task make its value.

    ``catch(expr, ErrorClass, recover, [ErrorClass2, recover2, ...])``: the first class (or tuple
    of classes) that fits decides; ``recover`` is called with the error.

    Raises:
        TypeError: A class stands there without its recovery.
    """
    if not clauses or len(clauses) % 2:
        raise TypeError("catch takes pairs of an error class and a recovery after the expression")
    try:
        return (yield expr)
    except Exception as error:
        for classes, recover in zip(clauses[::2], clauses[1::2], strict=True):
            if isinstance(error, classes):
                return recover(error)
        raise


@scheduler_task(namespace="taskgraph", version="1")
def catch_all(exprs: T, error_class: Any = Exception, recover: Any = None) -> Steps[T | Any]:
    """Evaluate all of a nested value, whatever fails; then let ``recover`` make the best of it.

    Where nothing failed its value is given. Otherwise ``recover`` is called with the nested value,
    in which an exception stands wherever something failed.

    Args:
        exprs: Any nested value of expressions.
        error_class: The class, or the tuple of classes, of the errors that are recovered from.
        recover: A task of one argument. Without one, the first error is raised when all has ended.

    Raises:
        Exception: The first error that is not recovered from.
    """
    calls = find_expressions(exprs)
    ended = yield [attempt(each) for each in calls]
    for _, error in ended:
        if error is not None and (recover is None or not isinstance(error, error_class)):
            raise error
    pairs = zip(calls, ended, strict=True)
    found = {id(call): value if error is None else error for call, (value, error) in pairs}
    nested = substitute(exprs, lambda expr: found[id(expr)])
    return recover(nested) if any(error is not None for _, error in ended) else nested


@scheduler_task(namespace="taskgraph", version="1")
def attempt(expr: T) -> Steps[tuple[T | None, Exception | None]]:
    """Give the value of an expression and None, or None and what it raised."""
    try:
        value = yield expr
    except Exception as error:
        return None, error
    return value, None


@scheduler_task(namespace="taskgraph", version="1")
def throw(error: Any) -> Steps[Any]:
    """Raise an error: the value of an expression, or one that is written down.

    Raises:
        BaseException: That error.
        TypeError: It is no exception.
    """
    found = yield error
    if isinstance(found, type) and issubclass(found, BaseException):
        found = found()
    if not isinstance(found, BaseException):
        raise TypeError(f"throw takes an exception, not a {type(found).__name__}")
    raise found


@scheduler_task(namespace="taskgraph", version="1")
def seq(exprs: Sequence[T]) -> Steps[list[T]]:
    """Evaluate expressions strictly one after the other; gives the list of their values."""
    values = []
    for expr in exprs:
        value = yield expr
        values.append(value)
    return values


@scheduler_task(namespace="taskgraph", version="1")
def root_task(expr: QuotedExpression[Any]) -> Steps[Any]:
    """Stand at the root of an execution whose expression is not a plain call of a task."""
    return (yield expr.eval())


@scheduler_task(namespace="taskgraph", version="1")
def after_failure(handler: Any, error: BaseException, call: Any) -> Steps[Any]:
    """Call what the option ``on_failure`` names, below the call that failed."""
    return (yield handler(error, call))


@scheduler_task(namespace="taskgraph", version="1")
def apply_tags(value: T, tags: Any = (), job_tags: Any = (), execution_tags: Any = ()) -> Steps[T]:
    """Give a value, and put tags on it, on the job that calls this, and on the execution.

    Args:
        value: Any nested value of expressions.
        tags: Tags of the value: pairs of a key and a JSON value, or a dict.
        job_tags: Tags of the calling job.
        execution_tags: Tags of the execution.

    Raises:
        ValueError: They are neither, a value is not JSON, or what they are put on cannot be stored.
    """
    found: T = yield value
    given = yield (tags, job_tags, execution_tags)
    yield AddTags(found, *map(read_tags, given))
    return found


@scheduler_task(namespace="taskgraph", version="1")
def fork_thread(expr: T) -> Steps[Forked[T]]:
    """Begin to evaluate an expression, and go on: gives what `join_thread` takes.

    The run ends when all that was forked has ended, joined or not.

    Args:
        expr: Any nested value of expressions.
    """
    forked: Forked[T] = Forked(QuotedExpression(expr))
    yield Fork(forked)
    return forked


@scheduler_task(namespace="taskgraph", version="1")
def join_thread(thread: Forked[T]) -> Steps[T]:
    """Wait for what was forked, and give its value; as often and wherever it is asked for.

    In another run than it was forked in, or another process, it is evaluated like any expression.

    Args:
        thread: What `fork_thread` gave.

    Raises:
        Exception: What was raised in it.
        TypeError: It is something else.
    """
    forked = yield thread
    if not isinstance(forked, Forked):
        raise TypeError(f"join_thread takes what fork_thread gave, not {forked!r}")
    yield Join(forked)
    value: T = yield forked.expr.eval()
    return value


if TYPE_CHECKING:

    class _GetContext(SchedulerTask[..., Any]):
        """What type checkers know of it: a value has the type of the default, if there is one."""

        @overload
        def __call__(self, path: Any, default: None = None) -> Any: ...

        @overload
        def __call__(self, path: Any, default: T) -> T: ...

        def __call__(self, path: Any, default: Any = None) -> Any: ...


def _of_its_default(made: object) -> _GetContext:
    return cast("_GetContext", made)


@_of_its_default
@scheduler_task(namespace="taskgraph", version="1")
def get_context(path: Any, default: Any = None) -> Steps[Any]:
    """Give a value of the context that this is called in.

    Args:
        path: Where it is: names with dots between them.
        default: What is given where there is none; evaluated only then.

    Raises:
        TypeError: The path is no text.
    """
    wanted = yield path
    if not isinstance(wanted, str):
        raise TypeError(f"the path of a context value is text, not {wanted!r}")
    found = yield ReadContext(wanted)
    return default if isinstance(found, Absent) else found
