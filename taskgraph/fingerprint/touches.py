"""What code does to the objects that its names hold: change them, or only look at them.

Told by the text alone: a name that is bound, an item or attribute that is stored, a method that is
called, an object that is given to another function. What is done to something of a thing, by
another name (in a loop over its values, say), is done to that. And some is only written: what is
added to a list that the code never looks at has no part in what it gives.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

#: A name is bound to something else, whatever it stood for.
BOUND: Final = "bound"
#: It is another one afterwards, or something else is in it.
STORED: Final = "stored"
#: The same, and what is in it was not looked at.
WRITTEN: Final = "written"
#: A method of it is called: the last name of the chain.
CALLED: Final = "called"
#: The same, and the method only puts something in it.
ADDED_TO: Final = "added to"
#: It is an argument of a call.
GIVEN: Final = "given"

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
#: Functions of the standard library that change their first argument.
CHANGING_FUNCTIONS: Final = frozenset(
    {
        *("heappush", "heappop", "heappushpop", "heapreplace", "heapify"),
        *("insort", "insort_left", "insort_right", "shuffle", "setitem", "delitem", "next"),
    }
)
_ADDING_METHODS: Final = frozenset(
    {"append", "appendleft", "extend", "extendleft", "insert", "add", "update", "clear"}
)
# Methods of containers that give what is in them.
_INNER: Final = frozenset({"get", "values", "items", "setdefault", "copy", "__getitem__"})
# Functions that hand out what is in what they are given.
_THROUGH: Final = frozenset(
    {"enumerate", "iter", "list", "next", "reversed", "sorted", "tuple", "zip"}
)
# Functions that only look at what they are given.
_LOOKERS: Final = frozenset(
    {
        *("abs", "all", "any", "ascii", "bool", "bytes", "callable", "chr", "dict", "divmod"),
        *("filter", "float", "format", "frozenset", "getattr", "hasattr", "hash", "id", "int"),
        *("isinstance", "issubclass", "len", "map", "max", "min", "ord", "pow", "print", "range"),
        *("repr", "round", "set", "str", "sum", "type"),
        *(_THROUGH - {"next"}),
    }
)
_CHANGERS: Final = frozenset({"setattr", "delattr"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

Names = tuple[str, ...]


class Deed(NamedTuple):
    """What is done in one place.

    Attributes:
        chain: The name that it is done to, with attributes; for methods with that of the method.
        done: One of the words above.
        detail: Of items, which one: ``['key']``, or ``[?]`` if the text does not tell. Of what is
            given, the position or name of the argument, and after a blank the function.
    """

    chain: Names
    done: str
    detail: str = ""


def deeds_in(tree: ast.AST) -> tuple[dict[ast.AST, list[Deed]], set[ast.AST]]:
    """Return what is done to that which names stand for.

    Args:
        tree: Any code.

    Returns:
        By the node that a deed stands at, which is a name or one with attributes, the deeds; and
        those of these nodes at which what is there is not even looked at.
    """
    reader = _Reader()
    reader.read(tree)
    return reader.found, reader.unread


class _Reader:
    """Goes through code, function by function."""

    def __init__(self) -> None:
        self.found: dict[ast.AST, list[Deed]] = {}
        self.unread: set[ast.AST] = set()
        self._aliases: dict[str, set[Names]] = {}
        self._catches = False

    def read(self, node: ast.AST) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            self._read_all(ast.iter_child_nodes(node))
        else:
            handler(self, node)

    def _read_all(self, nodes: Iterable[ast.AST]) -> None:
        for each in nodes:
            self.read(each)

    # Which names stand for something of others

    def function(self, node: ast.AST) -> None:
        assert isinstance(node, _Function)
        around = self._aliases, self._catches
        body = node.body if isinstance(node.body, list) else [node.body]
        inner = [each for statement in body for each in ast.walk(statement)]
        self._aliases = {**self._aliases, **_aliases_in(inner)}
        self._catches = any(isinstance(each, ast.ExceptHandler) for each in inner)
        self._read_all(ast.iter_child_nodes(node))
        self._aliases, self._catches = around

    def _note(self, node: ast.expr, done: str, detail: str = "") -> None:
        chain = names_of(node)
        deeds = self.found.setdefault(node, [])
        deeds.append(Deed(chain, done, detail))
        for other in self._origins(chain[0]):
            # What is done to something of it, in a place that is not known.
            is_change = done in {STORED, WRITTEN} or (
                done in {CALLED, ADDED_TO} and chain[-1] in CHANGING_METHODS
            )
            if is_change:
                deeds.append(Deed(other, STORED, "[?]"))
            elif done in {CALLED, GIVEN}:
                deeds.append(Deed((*other, *chain[1:]), done, detail))

    def _origins(self, name: str) -> set[Names]:
        met: set[Names] = set()
        waiting = [name]
        seen = set(waiting)
        while waiting:
            for chain in self._aliases.get(waiting.pop(), ()):
                met.add(chain)
                if chain[0] not in seen:
                    seen.add(chain[0])
                    waiting.append(chain[0])
        return met

    # What is done

    def target(self, node: ast.AST, *, is_read: bool) -> None:
        """Read what is assigned to."""
        if isinstance(node, ast.Name):
            self._bind(node, BOUND, is_read=is_read)
        elif isinstance(node, ast.Attribute):
            self._attribute_target(node, is_read=is_read)
        elif isinstance(node, ast.Subscript):
            self._item_target(node, is_read=is_read)
        else:
            for each in ast.iter_child_nodes(node):
                if isinstance(each, ast.expr):
                    self.target(each, is_read=True)

    def _bind(self, node: ast.Name, done: str, *, is_read: bool) -> None:
        self.found[node] = [Deed((node.id,), done)]
        if not is_read:
            self.unread.add(node)

    def _attribute_target(self, node: ast.Attribute, *, is_read: bool) -> None:
        if names_of(node):
            self._note(node, STORED if is_read else WRITTEN)
        else:
            self._change(node.value)

    def _item_target(self, node: ast.Subscript, *, is_read: bool) -> None:
        self.read(node.slice)
        item = _item(node.slice)
        if not names_of(node.value):
            self._change(node.value)
        elif is_read or self._catches:
            self._note(node.value, STORED, item)
        else:
            self._note(node.value, WRITTEN, item)
            self.unread.add(node.value)

    def _change(self, node: ast.expr) -> None:
        """Note that something in what an expression gives is changed."""
        self.read(node)
        for inner in _sources_of(node):
            self._note(inner, STORED, _first_item(node) or "[?]")

    def assigned(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
        for each in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self.target(each, is_read=False)
        if isinstance(node, ast.AnnAssign):
            self.read(node.annotation)
        if node.value is not None:
            self.read(node.value)

    def changed(self, node: ast.AST) -> None:
        """Read ``x += y``: an error tells whether it is there at all, if anybody asks."""
        assert isinstance(node, ast.AugAssign)
        if isinstance(node.target, ast.Name):
            self._bind(node.target, STORED, is_read=self._catches)
        else:
            self.target(node.target, is_read=self._catches)
        self.read(node.value)

    def deleted(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Delete)
        for each in node.targets:
            if isinstance(each, ast.Subscript):
                self.read(each.slice)
                self._change(each.value)  # what comes after it moves, in a list
            else:
                self.target(each, is_read=True)

    def loop(self, node: ast.AST) -> None:
        assert isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)
        self.target(node.target, is_read=True)
        self._read_all(each for each in ast.iter_child_nodes(node) if each is not node.target)

    def statement(self, node: ast.AST) -> None:
        """Read an expression whose value nobody wants."""
        assert isinstance(node, ast.Expr)
        if isinstance(node.value, ast.Call):
            self._call(node.value, is_statement=True)
        else:
            self.read(node.value)

    def call(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Call)
        self._call(node, is_statement=False)

    def _call(self, node: ast.Call, *, is_statement: bool) -> None:
        func = node.func
        if isinstance(func, ast.Attribute):
            self._method(func, is_statement=is_statement)
        else:
            self.read(func)
        self._arguments(node, names_of(func))

    def _method(self, func: ast.Attribute, *, is_statement: bool) -> None:
        if names_of(func):
            is_added = is_statement and func.attr in _ADDING_METHODS and not self._catches
            self._note(func, ADDED_TO if is_added else CALLED)
            if is_added:
                self.unread.add(func)
        elif func.attr in CHANGING_METHODS:
            self._change(func.value)
        else:
            self.read(func.value)

    def _arguments(self, node: ast.Call, callee: Names) -> None:
        is_looker = len(callee) == 1 and callee[0] in _LOOKERS
        name = ".".join(callee)
        for position, each in enumerate(node.args):
            if callee and callee[-1] in _CHANGERS and not position and names_of(each):
                self._note(each, STORED)
            elif callee and not is_looker and names_of(each):
                self._note(each, GIVEN, f"{position} {name}")
            self.read(each)
        for named in node.keywords:
            if callee and not is_looker and named.arg is not None and names_of(named.value):
                self._note(named.value, GIVEN, f"{named.arg} {name}")
            self.read(named.value)


def names_of(node: ast.AST) -> Names:
    """Return a name with the attributes taken of it; () for anything else."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return (node.id, *reversed(attributes))


def _item(node: ast.expr) -> str:
    return f"[{node.value!r}]" if isinstance(node, ast.Constant) else "[?]"


def _first_item(node: ast.expr) -> str:
    """Return the key of the outermost item that an expression goes through, if it is written."""
    item = ""
    while isinstance(node, ast.Subscript | ast.Attribute):
        item = _item(node.slice) if isinstance(node, ast.Subscript) else ""
        node = node.value
    return item


def _sources_of(node: ast.AST) -> list[ast.expr]:
    """Return the names that an expression gives something of, or the object itself."""
    if isinstance(node, ast.expr) and names_of(node):
        return [node]
    return [each for inner in _sources_in(node) for each in _sources_of(inner)]


def _sources_in(node: ast.AST) -> list[ast.expr]:
    """Return the expressions within one that it hands on, or something of what they give."""
    match node:
        case ast.Subscript() | ast.Attribute() | ast.Starred() | ast.Await() | ast.NamedExpr():
            return [node.value]
        case ast.Call(func=ast.Attribute(attr=name, value=value)):
            return [value] if name in _INNER else []
        case ast.Call(func=ast.Name(id=name), args=args):
            return args if name in _THROUGH else []
        case ast.BoolOp(values=values):
            return values
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case _:
            return []


def _aliases_in(nodes: Iterable[ast.AST]) -> dict[str, set[Names]]:
    """Return, for local names, the names that they may stand for, or for something in them."""
    aliases: dict[str, set[Names]] = {}
    for node in nodes:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign):
            pairs = [(each, node.value) for each in node.targets]
        elif isinstance(node, ast.NamedExpr | ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            pairs = [(node.target, node.iter)]
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            pairs = [(node.optional_vars, node.context_expr)]
        for target, value in pairs:
            _add_aliases(aliases, target, value)
    return aliases


def _add_aliases(aliases: dict[str, set[Names]], target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Tuple | ast.List):
        values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
        is_same = len(values) == len(target.elts)
        for position, each in enumerate(target.elts):
            _add_aliases(aliases, each, values[position] if is_same else value)
        return
    if isinstance(target, ast.Starred):
        target = target.value
    if not isinstance(target, ast.Name):
        return
    chains = {names_of(each) for each in _sources_of(value)}
    aliases.setdefault(target.id, set()).update(each for each in chains if each[0] != target.id)


_Handler = Callable[[_Reader, ast.AST], None]
_HANDLERS: Final[dict[type[ast.AST], _Handler]] = {
    ast.FunctionDef: _Reader.function,
    ast.AsyncFunctionDef: _Reader.function,
    ast.Lambda: _Reader.function,
    ast.Assign: _Reader.assigned,
    ast.AnnAssign: _Reader.assigned,
    ast.NamedExpr: _Reader.assigned,
    ast.AugAssign: _Reader.changed,
    ast.Delete: _Reader.deleted,
    ast.For: _Reader.loop,
    ast.AsyncFor: _Reader.loop,
    ast.comprehension: _Reader.loop,
    ast.Expr: _Reader.statement,
    ast.Call: _Reader.call,
}
