"""Lazy calls as data: written down when a task is called, reduced later by the engine.

Nothing here recurses over a graph: a chain of 100,000 dependent calls is walked, hashed, stored and
let go of like any other.
"""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, cast

from taskgraph.errors import AwaitError
from taskgraph.hashing import ATOMIC_TYPES, is_builtin
from taskgraph.values import registry
from taskgraph.values.kinds import Shape, ValueKind

_REPR_DEPTH = 12
_REPR_ITEMS = 20
_NO_LAYERS = (False, False)

T = TypeVar("T")

#: What evaluates expressions for the coroutine that runs here, if it is the body of a task.
evaluating: ContextVar[Callable[[Any], Awaitable[Any]]] = ContextVar("taskgraph_evaluating")


async def evaluate(value: T) -> T:
    """Evaluate expressions inside of an ``async def`` task, and wait for their values.

    They become calls below that of the task, cached and recorded like those that it returns;
    ``await expr`` is the same for a single expression.

    Args:
        value: An expression, or any nested value of expressions.

    Raises:
        AwaitError: This is no task, or its executor has no event loop that it could wait on.
        Exception: That of a call that failed.
    """
    wait = evaluating.get(None)
    if wait is None:
        raise AwaitError(f"{value!r}")
    return cast("T", await wait(value))


class Expression:
    """A value that is not known yet. Operators, indexing, attributes and calls give further ones.

    ``Any`` stands for operands and results throughout: an expression may stand for anything.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        raise TypeError(
            f"The truth of {self!r} is not known before it is evaluated. "
            "Use cond(...) to choose lazily, or & and | to combine."
        )

    def __iter__(self) -> Iterator[Any]:
        length = self._length()
        if length is None:
            raise TypeError(
                f"The length of {self!r} is not known before it is evaluated. Give the task "
                "nout=N or a tuple[...] return annotation to unpack its result."
            )
        return iter([self[index] for index in range(length)])

    def __len__(self) -> int:
        length = self._length()
        if length is None:
            raise TypeError(f"The length of {self!r} is not known before it is evaluated.")
        return length

    def _length(self) -> int | None:
        return None

    def __await__(self) -> Generator[Any, None, Any]:
        return evaluate(self).__await__()

    def __getattr__(self, name: str) -> Any:
        # Protocol look-ups (copy, pickle, numpy, IPython) must not be answered by a lazy value.
        if name.startswith("__") or name.startswith("_repr_") or name.startswith("_ipython_"):
            raise AttributeError(name)
        return SimpleExpression("getattr", (self, name))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and _is_plain_slice(key):
            return [self[index] for index in range(*key.indices(key.stop))]
        return SimpleExpression("getitem", (self, key))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return a lazy call of what this expression stands for."""
        return SimpleExpression("call", (self, *args), kwargs)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return SimpleExpression("eq", (self, other))

    def __ne__(self, other: object) -> Any:
        return SimpleExpression("ne", (self, other))

    def __repr__(self) -> str:
        return format_expression(self)

    def _inputs(self) -> Iterable[Any]:
        """Return the values that this expression holds."""
        raise NotImplementedError

    def _format(self, show: Callable[[Any], str]) -> str:
        raise NotImplementedError


def _is_plain_slice(key: slice) -> bool:
    """Tell whether the items of a slice are known without the length of what is sliced."""
    bounds = (key.start or 0, key.stop, key.step or 1)
    return all(isinstance(each, int) and each >= 0 for each in bounds)


def _logical_and(left: Any, right: Any) -> Any:
    return left and right


def _logical_or(left: Any, right: Any) -> Any:
    return left or right


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


_BINARY: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "eq": ("==", operator.eq),
    "ne": ("!=", operator.ne),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "add": ("+", operator.add),
    "sub": ("-", operator.sub),
    "mul": ("*", operator.mul),
    "truediv": ("/", operator.truediv),
    "floordiv": ("//", operator.floordiv),
    "mod": ("%", operator.mod),
    "pow": ("**", operator.pow),
    "matmul": ("@", operator.matmul),
    "and": ("&", _logical_and),
    "or": ("|", _logical_or),
}
_UNARY: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "neg": ("-", operator.neg),
    "pos": ("+", operator.pos),
    "abs": ("abs ", abs),
}
_OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: function for name, (_, function) in _BINARY.items()},
    **{name: function for name, (_, function) in _UNARY.items()},
    "getattr": getattr,
    "getitem": operator.getitem,
    "call": _call,
}


def _add_operators() -> None:
    def binary(name: str) -> Callable[[Expression, Any], Any]:
        return lambda self, other: SimpleExpression(name, (self, other))

    def reflected(name: str) -> Callable[[Expression, Any], Any]:
        return lambda self, other: SimpleExpression(name, (other, self))

    def unary(name: str) -> Callable[[Expression], Any]:
        return lambda self: SimpleExpression(name, (self,))

    for name in _BINARY:
        if name in {"eq", "ne"}:
            continue
        setattr(Expression, f"__{name}__", binary(name))
        # Comparisons are reflected by Python itself: 1 < x asks x > 1.
        if name not in {"lt", "le", "gt", "ge"}:
            setattr(Expression, f"__r{name}__", reflected(name))
    for name in _UNARY:
        setattr(Expression, f"__{name}__", unary(name))


class TaskExpression(Expression):
    """A lazy call of a task.

    Attributes:
        task_name: The full name of the task.
        args: Positional arguments as given; they may hold expressions.
        kwargs: Keyword arguments as given.
        call_hash: The hash of the recorded call, once it was evaluated.

    What was said of the call stands in the very task that was called, ``_task``. Options and
    exports are here once more for an expression that was read from the store: it has no such task,
    and they are read for it alone. The context is read from here for all.
    """

    __slots__ = (
        "_context",
        "_export_options",
        "_known_length",
        "_options",
        "_task",
        "args",
        "call_hash",
        "kwargs",
        "task_name",
    )

    def __init__(
        self,
        task_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        task_options: Mapping[str, Any] | None = None,
        export_options: Mapping[str, Any] | None = None,
        length: int | None = None,
        task: object = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self.task_name = task_name
        self.args = args
        self.kwargs = kwargs
        self._options = task_options
        self._export_options = export_options
        self._context = context
        self._known_length = length
        # The very task that was called: two tasks may share a name, and then the registry has
        # but the last of them. An expression that was read from the store has None here.
        self._task = task
        self.call_hash: str | None = None

    def _length(self) -> int | None:
        return self._known_length

    def _inputs(self) -> Iterable[Any]:
        return (*self.args, *self.kwargs.values()) if self.kwargs else self.args

    def _format(self, show: Callable[[Any], str]) -> str:
        return f"{self.task_name}({', '.join(_format_given(self.args, self.kwargs, show))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.task_name,
            self.args,
            self.kwargs,
            self._options,
            self._export_options,
            self._known_length,
            *(() if self._context is None else (None, self._context)),
        )


class SchedulerExpression(TaskExpression):
    """A lazy call of a scheduler task, which sees its arguments unevaluated."""

    __slots__ = ()


class SimpleExpression(Expression):
    """An operator, an index, an attribute or a call on other expressions.

    Attributes:
        func_name: The name of the operation.
        args: The operands; those that are expressions are evaluated first.
        kwargs: Keyword arguments of a call.
    """

    __slots__ = ("args", "func_name", "kwargs")

    def __init__(
        self, func_name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> None:
        self.func_name = func_name
        self.args = args
        self.kwargs: dict[str, Any] = kwargs or {}

    def _inputs(self) -> Iterable[Any]:
        return (*self.args, *self.kwargs.values()) if self.kwargs else self.args

    def _format(self, show: Callable[[Any], str]) -> str:
        args = self.args
        if self.func_name in _BINARY and len(args) == 2:
            return f"({show(args[0])} {_BINARY[self.func_name][0]} {show(args[1])})"
        if self.func_name in _UNARY and len(args) == 1:
            return f"({_UNARY[self.func_name][0]}{show(args[0])})"
        if self.func_name == "getattr" and len(args) == 2:
            return f"{show(args[0])}.{args[1]}"
        if self.func_name == "getitem" and len(args) == 2:
            return f"{show(args[0])}[{show(args[1])}]"
        name = self.func_name
        if name == "call" and args:
            name, args = show(args[0]), args[1:]
        return f"{name}({', '.join(_format_given(args, self.kwargs, show))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SimpleExpression, (self.func_name, self.args, self.kwargs)

    def _apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Compute the operation on evaluated operands."""
        function = _OPERATIONS.get(self.func_name)
        if function is None:
            raise NotImplementedError(f"There is no operation named {self.func_name!r}.")
        return function(*args, **kwargs)


class ValueExpression(Expression):
    """A value that is known already, in the place of an expression."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def _inputs(self) -> Iterable[Any]:
        return (self.value,)

    def _format(self, show: Callable[[Any], str]) -> str:
        return show(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        return ValueExpression, (self.value,)


class QuotedExpression(Generic[T]):
    """An expression as a value: it is not evaluated where it stands.

    Attributes:
        expr: What was quoted; any nested value of expressions.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: T) -> None:
        self.expr = expr

    def eval(self) -> T:
        """Return what was quoted, to be evaluated like any other expression."""
        return self.expr

    def __repr__(self) -> str:
        return f"quote({format_expression(self.expr)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return QuotedExpression, (self.expr,)


def quote(expr: T) -> QuotedExpression[T]:
    """Return an expression as a value that is not evaluated."""
    return QuotedExpression(expr)


def _format_given(
    args: Sequence[Any], kwargs: Mapping[str, Any], show: Callable[[Any], str]
) -> list[str]:
    given = [show(each) for each in args[:_REPR_ITEMS]]
    if len(args) > _REPR_ITEMS:
        given.append("...")
    return given + [f"{name}={show(kwargs[name])}" for name in sorted(kwargs)]


def format_expression(expr: Any) -> str:
    """Return an expression as text, or a value that holds some.

    What lies too deep is shown as three dots, and what comes after many items in a list.
    """

    def shower(depth: int) -> Callable[[Any], str]:
        def show(value: Any) -> str:
            if isinstance(value, Expression):
                return "..." if depth == 0 else value._format(shower(depth - 1))
            if isinstance(value, list | tuple | dict) and depth == 0:
                return "..."
            if type(value) is list:
                shown = [shower(depth - 1)(each) for each in value[:_REPR_ITEMS]]
                return f"[{', '.join([*shown, '...'] if len(value) > _REPR_ITEMS else shown)}]"
            return repr(value)

        return show

    return shower(_REPR_DEPTH)(expr)


# Walking nested values


def members_of(value: Any) -> list[Any] | None:
    """Return what lies directly inside of a container that may hold expressions.

    Expressions are found inside list, tuple, dict, set, frozenset, namedtuple and dataclass; None
    is the answer for everything else.
    """
    kind = type(value)
    if kind in {list, tuple, set, frozenset}:
        return list(value)
    if kind is dict:
        return [*value.keys(), *value.values()]
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return list(value)
    if dataclasses.is_dataclass(kind) and not isinstance(value, type):
        fields = dataclasses.fields(cast(Any, value))
        return [getattr(value, each.name) for each in fields if hasattr(value, each.name)]
    return None


def find_expressions(value: Any) -> list[Expression]:
    """Return the distinct expressions in a nested value, outermost only, in order."""
    if isinstance(value, Expression):
        return [value]
    kind = type(value)
    if kind in ATOMIC_TYPES or is_builtin(value):
        return []
    found: dict[int, Expression] = {}
    seen: set[int] = set()
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, Expression):
            found.setdefault(id(current), current)
            continue
        if type(current) in ATOMIC_TYPES or id(current) in seen:
            continue
        members = members_of(current)
        if not members:
            continue
        seen.add(id(current))
        if stack or not all(map(_is_end, set(map(type, members)))):
            stack.extend(reversed(members))
            continue
        # Often thousands, and nothing else.
        for each in members:
            if isinstance(each, Expression):
                found.setdefault(id(each), each)
    return list(found.values())


def expressions_in(values: Iterable[Any]) -> list[Expression]:
    """Return the outermost expressions of several values, in order; those of each are distinct."""
    return [each for value in values for each in find_expressions(value)]


def _is_end(cls: type) -> bool:
    """Tell whether nobody looks for expressions inside of what is of a class."""
    return cls in ATOMIC_TYPES or issubclass(cls, Expression)


def substitute(value: Any, resolve: Callable[[Expression], Any]) -> Any:
    """Return a nested value with its outermost expressions replaced.

    Containers without expressions are returned as they are, the same object.
    """
    if isinstance(value, Expression):
        return resolve(value)
    found = find_expressions(value)
    if not found:
        return value
    if type(value) is list and len(found) == len(value) and all(map(operator.is_, found, value)):
        return [resolve(each) for each in found]
    return replace_inside(value, Expression, resolve)


def replace_inside(value: Any, wanted: type | tuple[type, ...], make: Callable[[Any], Any]) -> Any:
    """Return a nested value with what is of a class replaced, where expressions would be found.

    Containers in which nothing was replaced are returned as they are, the same object.
    """
    done: dict[int, Any] = {}
    opened: set[int] = set()
    # Post-order without recursion: a container is rebuilt once all of its members are in `done`.
    stack: list[tuple[Any, list[Any] | None]] = [(value, None)]
    while stack:
        current, members = stack.pop()
        if members is None:
            if id(current) in done:
                continue
            if isinstance(current, wanted):
                done[id(current)] = make(current)
                continue
            members = None if type(current) in ATOMIC_TYPES else members_of(current)
            if not members:
                done[id(current)] = current
                continue
            if id(current) in opened:
                name = getattr(wanted, "__name__", "value that is replaced")
                what = "expressions" if wanted is Expression else f"a {name}"
                raise ValueError(f"a {type(current).__name__} with {what} contains itself")
            opened.add(id(current))
            stack.append((current, members))
            stack.extend((each, None) for each in members)
        else:
            replaced = [done[id(each)] for each in members]
            unchanged = all(new is old for new, old in zip(replaced, members, strict=True))
            done[id(current)] = current if unchanged else rebuild(current, replaced)
    return done[id(value)]


def rebuild(container: Any, members: list[Any]) -> Any:
    """Return a container like another one, with other members: as many as `members_of` gave."""
    kind = type(container)
    if kind in {list, tuple, set, frozenset}:
        return kind(members)
    if kind is dict:
        half = len(members) // 2
        return dict(zip(members[:half], members[half:], strict=True))
    if isinstance(container, tuple):
        return kind(*members)
    twin = copy.copy(container)
    fields = [each for each in dataclasses.fields(container) if hasattr(container, each.name)]
    for each, member in zip(fields, members, strict=True):
        object.__setattr__(twin, each.name, member)  # frozen ones too: the twin is still ours
    return twin


def in_order(roots: Iterable[Expression]) -> list[Expression]:
    """Return expressions and all that they hold, innermost first, each once."""
    ordered: list[Expression] = []
    seen: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(each, False) for each in reversed(list(roots))]
    while stack:
        current, is_done = stack.pop()
        if is_done:
            ordered.append(current)
            continue
        if id(current) in seen:
            continue
        seen.add(id(current))
        given = current._inputs()
        if ATOMIC_TYPES.issuperset(map(type, given)):
            ordered.append(current)
            continue
        stack.append((current, True))
        inner = expressions_in(given)
        stack.extend((each, False) for each in reversed(inner) if id(each) not in seen)
    return ordered


# Expressions as values


class ExpressionKind(ValueKind):
    """Lazy expressions: hashed and stored as what was asked, never as what comes of it."""

    brings_code = False

    def type_name(self, value: Any) -> str:
        """Return the class's name in the package."""
        return f"taskgraph.{type(value).__name__}"

    def shape(self, value: Any) -> Shape:
        """Return the operation or task name, with the arguments inside."""
        if isinstance(value, ValueExpression):
            return Shape("expression.value", None, (value.value,), lambda _: "")
        if isinstance(value, SimpleExpression):
            names = sorted(value.kwargs)
            inside = [*value.args, *(value.kwargs[name] for name in names)]
            return Shape("expression.simple", (value.func_name, len(value.args), *names), inside)
        return self._shape_of_call(value)

    @staticmethod
    def _shape_of_call(call: TaskExpression) -> Shape:
        is_lazy = isinstance(call, SchedulerExpression)
        layers = (bool(call._options), bool(call._export_options))
        inside: Sequence[Any] = call.args
        state: tuple[Any, ...] = (call.task_name, is_lazy, *layers, len(inside))
        if call.kwargs or layers != _NO_LAYERS:
            names = sorted(call.kwargs)
            given = [each for each in (call._options, call._export_options) if each]
            state += tuple(names)
            inside = [*inside, *(call.kwargs[name] for name in names)]
            inside += [dict(sorted(each.items())) for each in given]
        if call._context is not None:
            return Shape("expression.task in context", state, [*inside, call._context])
        return Shape("expression.task", state, inside)

    def is_leaf(self, value: Any) -> bool:
        """Tell whether it is a plain call with nothing but numbers, texts and the like."""
        return (
            isinstance(value, TaskExpression)
            and not value.kwargs
            and not value._options
            and not value._export_options
            and value._context is None
            and ATOMIC_TYPES.issuperset(map(type, value.args))
        )

    def preview(self, value: Any) -> str:
        """Return the expression as it would be written."""
        return format_expression(value)

    def flatten(self, value: Any) -> Sequence[Any]:
        """Return all expressions inside, innermost first, so that pickling needs no recursion."""
        return in_order([value])[:-1]


class QuotedKind(ValueKind):
    """Quoted expressions: values that hold what is not evaluated."""

    brings_code = False

    name = "taskgraph.QuotedExpression"

    def shape(self, value: Any) -> Shape:
        """Return a wrapper around what was quoted."""
        return Shape("expression.quoted", None, (value.expr,), lambda _: "")

    def flatten(self, value: Any) -> Sequence[Any]:
        """Return all expressions inside, innermost first."""
        return in_order(find_expressions(value.expr))


_add_operators()
registry.register(Expression, ExpressionKind(), subclasses=True)
registry.register(QuotedExpression, QuotedKind())

#: What users may rely on; all else in here is the engine's.
__all__ = [
    "Expression",
    "QuotedExpression",
    "SchedulerExpression",
    "SimpleExpression",
    "TaskExpression",
    "ValueExpression",
    "evaluate",
    "quote",
]
