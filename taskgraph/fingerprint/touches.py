"""What code does to the objects that its names hold: change them, or only look at them.

Told by the text alone: a name that is bound, an item or attribute that is stored, a method that is
called, an object that is given to another function. What is done to something of a thing, by
another name (in a loop over its values, say), is done to that. And some is only written: what is
added to a list that the code never looks at has no part in what it gives.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

#: A name is bound to something else, whatever it stood for.
BOUND: Final = "bound"
#: It is another one afterwards, or something else is in it.
STORED: Final = "stored"
#: The same, and what is in it was not looked at.
WRITTEN: Final = "written"
STORES: Final = frozenset({STORED, WRITTEN})
#: A method of it is called: the last name of the chain.
CALLED: Final = "called"
#: The same, and the method only puts something in it.
ADDED_TO: Final = "added to"
#: It is an argument of a call.
GIVEN: Final = "given"
#: It, or something of it, is what the function returns.
RETURNED: Final = "returned"
#: In a chain: what the function of that name returns.
RESULT: Final = "()"

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

# In place of an item: a name stands for another object, which is none of what it stood for.
_ITSELF: Final = "itself"

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
    reader.end()
    return reader.found, reader.unread


class _Function:
    """What was found in a function while it is read; how it is meant shows at its end.

    Attributes:
        around: The function around it.
        found: What is done, by node.
        unread: The nodes at which what is there is not looked at.
        aliases: For local names, the names that they may stand for, or for something in them.
        catches: Whether errors are caught in it: these tell what is there.
    """

    def __init__(self, around: _Function | None) -> None:
        self.around = around
        self.found: list[tuple[ast.AST, Deed]] = []
        self.unread: list[ast.AST] = []
        self.aliases: dict[str, set[Names]] = {}
        self.catches = False
        self._origins: dict[str, set[Names]] = {}

    def origins(self, name: str) -> set[Names]:
        """Return the names that a local name may stand for, or for something in them."""
        if name in self._origins:
            return self._origins[name]
        met = self._origins[name] = set[Names]()
        waiting = [name]
        while waiting:
            for chain in self._aliases_of(waiting.pop()):
                if chain not in met:
                    met.add(chain)
                    waiting.append(chain[0])
        return met

    def _aliases_of(self, name: str) -> set[Names]:
        function: _Function | None = self
        while function is not None:
            if name in function.aliases:
                return function.aliases[name]
            function = function.around
        return set()


class _Reader:
    """Goes through code, function by function."""

    def __init__(self) -> None:
        self.found: dict[ast.AST, list[Deed]] = {}
        self.unread: set[ast.AST] = set()
        self._function = _Function(None)
        self._functions = [self._function]

    def read(self, node: ast.AST) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)
            return
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) is list:
                for each in value:
                    if isinstance(each, ast.AST):
                        self.read(each)
            elif isinstance(value, ast.AST):
                self.read(value)

    def _read_all(self, nodes: Iterable[ast.AST]) -> None:
        for each in nodes:
            self.read(each)

    def function(self, node: ast.AST) -> None:
        self._function = _Function(self._function)
        self._functions.append(self._function)
        self._read_all(ast.iter_child_nodes(node))
        assert self._function.around is not None
        self._function = self._function.around

    def caught(self, node: ast.AST) -> None:
        self._function.catches = True
        self._read_all(ast.iter_child_nodes(node))

    def context(self, node: ast.AST) -> None:
        assert isinstance(node, ast.withitem)
        self.read(node.context_expr)
        chain = names_of(node.context_expr)
        for method in ("__enter__", "__exit__") if chain else ():
            deed = Deed((*chain, method), CALLED)
            self._function.found.append((node.context_expr, deed))
        if node.optional_vars is not None:
            self.target(node.optional_vars, is_read=True)
            _add_aliases(self._function.aliases, node.optional_vars, node.context_expr)

    def _note(self, node: ast.expr, done: str, detail: str = "", chain: Names = ()) -> None:
        self._function.found.append((node, Deed(chain or names_of(node), done, detail)))

    def end(self) -> None:
        """Take note of everything, now that it is known what stands for what."""
        for function in self._functions:
            if not function.catches:
                self.unread.update(function.unread)
            for node, deed in function.found:
                done = STORED if deed.done == WRITTEN and function.catches else deed.done
                detail = "" if deed.detail == _ITSELF else deed.detail
                meant = Deed(deed.chain, done, detail)
                deeds = self.found.setdefault(node, [])
                deeds.append(meant)
                if done != BOUND and deed.detail != _ITSELF:
                    origins = function.origins(deed.chain[0])
                    deeds += (each for other in origins for each in _done_to(other, meant))

    # What is done

    def target(self, node: ast.AST, *, is_read: bool, is_changed: bool = False) -> None:
        """Read what is assigned to.

        Args:
            node: The target.
            is_read: Whether what is there may be looked at.
            is_changed: Whether it is only changed, which fails if it is not there.
        """
        if isinstance(node, ast.Name):
            self._note(node, BOUND)
            if not is_read:
                self._function.unread.append(node)
        elif isinstance(node, ast.Attribute):
            if names_of(node):
                self._note(node, STORED if is_read else WRITTEN)
            else:
                self._change(node.value)
        elif isinstance(node, ast.Subscript):
            self._item_target(node, is_read=is_read, is_changed=is_changed)
        else:
            for each in ast.iter_child_nodes(node):
                if isinstance(each, ast.expr):
                    self.target(each, is_read=True)

    def _item_target(self, node: ast.Subscript, *, is_read: bool, is_changed: bool) -> None:
        self.read(node.slice)
        if not names_of(node.value):
            self._change(node.value)
            return
        done = STORED if is_read or is_changed else WRITTEN
        self._note(node.value, done, _item(node.slice))
        if not is_read:
            self._function.unread.append(node.value)

    def _change(self, node: ast.expr) -> None:
        """Note that something in what an expression gives is changed."""
        self.read(node)
        for inner, chain in _sources_of(node):
            self._note(inner, STORED, _first_item(node) or "[?]", chain)

    def assigned(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
        for each in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self.target(each, is_read=False)
            if node.value is not None:
                _add_aliases(self._function.aliases, each, node.value)
        if isinstance(node, ast.AnnAssign):
            self.read(node.annotation)
        if node.value is not None:
            self.read(node.value)

    def changed(self, node: ast.AST) -> None:
        """Read ``x += y``: what it was has a part in nothing else, unless it is looked at."""
        assert isinstance(node, ast.AugAssign)
        if isinstance(node.target, ast.Name):
            self._note(node.target, STORED, _ITSELF)
            self._function.unread.append(node.target)
        else:
            self.target(node.target, is_read=False, is_changed=True)
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
        _add_aliases(self._function.aliases, node.target, node.iter)
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
            is_added = is_statement and func.attr in _ADDING_METHODS
            self._note(func, ADDED_TO if is_added else CALLED)
            if is_added:
                self._function.unread.append(func)
        elif func.attr in CHANGING_METHODS:
            self._change(func.value)
        else:
            self.read(func.value)
            for inner, chain in _sources_of(func.value):
                self._note(inner, CALLED, "", (*chain, func.attr))

    def returned(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Return)
        if node.value is not None:
            self.read(node.value)
            for inner, chain in _sources_of(node.value):
                self._note(inner, RETURNED, _first_item(node.value), chain)

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
    is_plain = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes | int)
    return f"[{node.value!r}]" if isinstance(node, ast.Constant) and is_plain else "[?]"


def _first_item(node: ast.expr) -> str:
    """Return the key of the outermost item that an expression goes through, if it is written."""
    item = ""
    while isinstance(node, ast.Subscript | ast.Attribute):
        item = _item(node.slice) if isinstance(node, ast.Subscript) else ""
        node = node.value
    return item


def _sources_of(node: ast.AST) -> list[tuple[ast.expr, Names]]:
    """Return the names that an expression gives something of, or the object itself."""
    if isinstance(node, ast.expr) and names_of(node):
        return [(node, names_of(node))]
    if isinstance(node, ast.Call) and not _sources_in(node) and names_of(node.func):
        return [(node.func, (*names_of(node.func), RESULT))]
    inner = _sources_in(node)
    if isinstance(node, ast.Call) and inner and names_of(node.func)[1:]:
        # What is read is the method, with the object that it is of.
        return [(node.func, names_of(node.func)[:-1])]
    return [each for expression in inner for each in _sources_of(expression)]


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


def _done_to(origin: Names, deed: Deed) -> Iterator[Deed]:
    """Yield what is done to an origin by something done to what stands for it, or is in it."""
    _, done, detail = deed
    is_call = done in {CALLED, ADDED_TO}
    if done in STORES or (is_call and deed.chain[-1] in CHANGING_METHODS):
        yield Deed(origin, STORED, "[?]")
    elif done in {CALLED, GIVEN, RETURNED}:
        yield Deed((*origin, *deed.chain[1:]), done, detail)


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
    chains = {chain for _, chain in _sources_of(value)}
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
    ast.ExceptHandler: _Reader.caught,
    ast.withitem: _Reader.context,
    ast.Call: _Reader.call,
    ast.Return: _Reader.returned,
}
