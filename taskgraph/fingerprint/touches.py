"""What code may do to the objects that its names hold: change them, or only look at them.

Told by the text alone: an item or attribute that is stored, a method that is called, an object that
is handed on to other code or kept under another name. What is compared, counted, calculated with,
or gone through item by item is only looked at. And some is only written: what is added to a list
that the code never looks at has no part in what it gives.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Final

#: It is another one afterwards, or something else is in it.
STORED: Final = "stored"
#: A method of it is called: the last name of the chain.
CALLED: Final = "called"
#: Other code has it in its hands.
HANDED_ON: Final = "handed on"
#: It holds another thing afterwards, and what it held before was not looked at.
WRITTEN: Final = "written"
#: Something is put in it by a method, the last name of the chain; nothing else is done.
ADDED_TO: Final = "added to"
_READ: Final = ""

#: Methods that change what they are called on, of all containers that Python brings.
CHANGING_METHODS: Final = frozenset(
    {
        *("append", "appendleft", "extend", "extendleft", "insert", "remove", "pop", "popleft"),
        *("popitem", "clear", "sort", "reverse", "rotate", "add", "discard", "update"),
        *("setdefault", "subtract", "move_to_end", "difference_update", "intersection_update"),
        *("symmetric_difference_update", "__setitem__", "__delitem__", "__setattr__"),
        *("__ior__", "__iadd__", "__isub__", "__iand__", "__ixor__", "__imul__"),
    }
)
_ADDING_METHODS: Final = frozenset(
    {"append", "appendleft", "extend", "extendleft", "insert", "add", "update", "clear"}
)
# Functions that only look at what they are given, or hand out what is in it.
_LOOKERS: Final = frozenset(
    {
        *("abs", "all", "any", "ascii", "bool", "bytes", "callable", "chr", "dict", "divmod"),
        *("enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hash"),
        *("id", "int", "isinstance", "issubclass", "len", "list", "map", "max", "min", "ord"),
        *("pow", "print", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum"),
        *("tuple", "type", "zip"),
    }
)
_CHANGERS: Final = frozenset({"setattr", "delattr"})


def touches_in(tree: ast.AST) -> dict[ast.AST, str]:
    """Return what is done to that which names stand for.

    Args:
        tree: Any code.

    Returns:
        By the name, or the name with attributes, what is done to it; nothing for names that are
        only looked at, or that are called. `CALLED` and `ADDED_TO` stand at the name of a method.
    """
    reader = _Reader()
    reader.read(tree)
    return reader.found


class _Reader:
    """Goes through code, and knows of each expression what is done to that which it gives."""

    def __init__(self) -> None:
        self.found: dict[ast.AST, str] = {}

    def read(self, node: ast.AST, done: str = _READ) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node, done)
        elif isinstance(node, ast.stmt | ast.mod):
            self._read_all(ast.iter_child_nodes(node), _READ)
        else:
            self._read_all(ast.iter_child_nodes(node), HANDED_ON)

    def _read_all(self, nodes: Iterable[ast.AST], done: str) -> None:
        for each in nodes:
            self.read(each, done)

    def name(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Name)
        done = done if isinstance(node.ctx, ast.Load) else done or STORED
        if done:
            self.found[node] = done

    def attribute(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Attribute)
        done = done if isinstance(node.ctx, ast.Load) else done or STORED
        if done:
            self.found[node] = done
        base: ast.expr = node.value
        while isinstance(base, ast.Attribute):
            base = base.value
        if not isinstance(base, ast.Name):
            # What is kept in an object is another one; what is stored there is stored in it.
            self.read(base, STORED if done in {STORED, WRITTEN} else _READ)

    def item(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Subscript)
        is_stored = done in {STORED, WRITTEN} or not isinstance(node.ctx, ast.Load)
        is_written = done == WRITTEN and not isinstance(node.ctx, ast.Load)
        self.read(node.value, WRITTEN if is_written else STORED if is_stored else _READ)
        self.read(node.slice)

    def call(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Call)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute):
            self._method(node.func, done)
        else:
            self.read(node.func)
        given = _READ if name in _LOOKERS else HANDED_ON
        for position, each in enumerate(node.args):
            self.read(each, STORED if name in _CHANGERS and not position else given)
        for named in node.keywords:
            # ``**names`` gives the items of it, and not itself.
            self.read(named.value, _READ if named.arg is None else given)

    def statement(self, node: ast.AST, done: str) -> None:
        """Read an expression whose value nobody wants."""
        assert isinstance(node, ast.Expr)
        value = node.value
        is_method = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
        self.read(value, ADDED_TO if is_method else _READ)

    def _method(self, func: ast.Attribute, done: str) -> None:
        inner = func.value
        while isinstance(inner, ast.Attribute):
            inner = inner.value
        if isinstance(inner, ast.Name):
            is_added = done == ADDED_TO and func.attr in _ADDING_METHODS
            self.found[func] = ADDED_TO if is_added else CALLED
        else:
            self.read(func.value, STORED if func.attr in CHANGING_METHODS else _READ)

    def looked_at(self, node: ast.AST, done: str) -> None:
        self._read_all(ast.iter_child_nodes(node), _READ)

    def same(self, node: ast.AST, done: str) -> None:
        """Read an expression that gives one of those in it."""
        self._read_all(ast.iter_child_nodes(node), done)

    def choice(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.IfExp)
        self.read(node.test)
        self._read_all((node.body, node.orelse), done)

    def display(self, node: ast.AST, done: str) -> None:
        """Read a list, tuple, set or dict as it is written: it keeps what is in it."""
        is_target = not isinstance(getattr(node, "ctx", None), ast.Load | None)
        kept = STORED if is_target else HANDED_ON if done else _READ
        self._read_all((each for each in ast.iter_child_nodes(node)), kept)

    def handed_on(self, node: ast.AST, done: str) -> None:
        self._read_all(ast.iter_child_nodes(node), HANDED_ON)

    def starred(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Starred)
        self.read(node.value)

    def changed(self, node: ast.AST, done: str) -> None:
        """Read ``x += y``: what stands on the left is stored, or changed in place."""
        assert isinstance(node, ast.AugAssign)
        self.read(node.target, WRITTEN)
        self.read(node.value)

    def loop(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.For | ast.AsyncFor)
        self.read(node.target)
        self.read(node.iter)
        self._read_all((*node.body, *node.orelse), _READ)

    def generator(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.comprehension)
        self.read(node.target)
        self.read(node.iter)
        self._read_all(node.ifs, _READ)

    def assigned(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        self._read_all(targets, WRITTEN)
        if node.value is not None:
            self.read(node.value, HANDED_ON)

    def body(self, node: ast.AST, done: str) -> None:
        assert isinstance(node, ast.Lambda)
        self._read_all((node.args,), _READ)
        self.read(node.body, HANDED_ON)


_Handler = Callable[[_Reader, ast.AST, str], None]
_HANDLERS: Final[dict[type[ast.AST], _Handler]] = {
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.Subscript: _Reader.item,
    ast.Call: _Reader.call,
    ast.Compare: _Reader.looked_at,
    ast.BinOp: _Reader.looked_at,
    ast.UnaryOp: _Reader.looked_at,
    ast.JoinedStr: _Reader.looked_at,
    ast.FormattedValue: _Reader.looked_at,
    ast.Slice: _Reader.looked_at,
    ast.BoolOp: _Reader.same,
    ast.Await: _Reader.same,
    ast.IfExp: _Reader.choice,
    ast.Tuple: _Reader.display,
    ast.List: _Reader.display,
    ast.Set: _Reader.display,
    ast.Dict: _Reader.display,
    ast.Starred: _Reader.starred,
    ast.AugAssign: _Reader.changed,
    ast.Expr: _Reader.statement,
    ast.For: _Reader.loop,
    ast.AsyncFor: _Reader.loop,
    ast.comprehension: _Reader.generator,
    ast.Assign: _Reader.assigned,
    ast.AnnAssign: _Reader.assigned,
    ast.NamedExpr: _Reader.assigned,
    ast.Lambda: _Reader.body,
    ast.Return: _Reader.handed_on,
    ast.Raise: _Reader.handed_on,
    ast.Match: _Reader.handed_on,
}
