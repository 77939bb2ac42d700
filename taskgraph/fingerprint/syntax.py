"""Reads syntax trees into outlines.

The encoding of the tree is our own: names of nodes and of fields that hold something, and constants
as `marshal` writes them. What Python does not need to run the code (positions, comments,
formatting, kinds of quotes) is not in it, and what it rarely needs (docstrings, annotations of
functions) is kept apart. It is the same on all versions of Python that read the text at all.
"""

from __future__ import annotations

import ast
import marshal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from xxhash import xxh3_128_hexdigest

from taskgraph.fingerprint.outline import (
    GLOBAL,
    IMPORTED,
    PARAMETER,
    Chain,
    Decorator,
    Outline,
    Touched,
    Trap,
)
from taskgraph.fingerprint.touches import BOUND, GIVEN, Deed, deeds_in, names_of
from taskgraph.hashing import MARSHAL_VERSION

# Fields that say nothing about what the code does.
_SILENT: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_fields: dict[type[ast.AST], tuple[str, ...]] = {}

# Names whose calls may reach what only shows at run time, as their arguments have it. Whether the
# names stand for what they seem to is found out by who follows.
_IMPORTERS: Final = frozenset({"__import__", "import_module"})
_ACCESSORS: Final = frozenset({"getattr", "hasattr", "setattr", "delattr", "vars"})
TRAP_ATTRIBUTES: Final = frozenset(
    {"__subclasses__", "__globals__", "__code__", "f_globals", "f_builtins"}
)
_DOC_READERS: Final = frozenset({"__doc__", "getdoc", "docopt"})
_ANNOTATION_READERS: Final = frozenset(
    {
        "__annotations__",
        "__annotate__",
        "get_type_hints",
        "get_annotations",
        "signature",
        "getfullargspec",
        "singledispatch",
        "singledispatchmethod",
    }
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


class _Block:
    """A function, class or comprehension while it is read."""

    def __init__(self, kind: str, parent: _Block | None) -> None:
        self.kind = kind
        self.parent = parent
        self.bound: set[str] = set()
        self.imports: dict[str, list[str]] = {}
        self.is_global: set[str] = set()
        self.is_nonlocal: set[str] = set()
        self.used: set[Chain] = set()
        self.optional: set[Chain] = set()
        self.deeds: set[Deed] = set()
        self.parameters: set[str] = set()

    def bind(self, name: str) -> None:
        if name not in self.is_global and name not in self.is_nonlocal:
            self.bound.add(name)

    def leave(self) -> tuple[set[Chain], set[Chain]]:
        """Return the names used in here that are bound somewhere outside of it."""
        outward: set[Chain] = set()
        optional: set[Chain] = set(self.optional)
        for chain in self.used:
            root = chain[0]
            # One name may be bound by several imports, as alternatives.
            outward |= {(source, *chain[1:]) for source in self.imports.get(root, ())}
            if root in self.is_global:
                outward.add((GLOBAL + root, *chain[1:]))
            elif root in self.imports:
                continue
            elif root not in self.bound:
                outward.add(chain)
            elif self.kind == "class":
                # A name of the class body, or one outside of it that is not hidden yet.
                optional.add(chain)
        return outward, optional

    def leave_touched(self) -> Iterator[Touched]:
        """Yield what is done to things outside of here, and to parameters."""
        for deed in self.deeds:
            detail = deed.detail
            if deed.done == GIVEN:
                argument, _, name = detail.partition(" ")
                callees = self._outward(tuple(name.split(".")))
                details = [f"{argument} {'.'.join(each)}" for each in callees]
            else:
                details = [detail]
            for chain in self._outward(deed.chain):
                if chain[0] != PARAMETER or deed.done != BOUND:
                    yield from ((chain, deed.done, each) for each in details)

    def _outward(self, chain: Chain) -> Iterator[Chain]:
        root, rest = chain[0], chain[1:]
        if root in self.is_global:
            yield (GLOBAL + root, *rest)
        elif root in self.imports:
            yield from ((source, *rest) for source in self.imports[root])
        elif root in self.parameters:
            yield (PARAMETER, *chain)
        elif root not in self.bound:
            yield chain


class _Draft:
    """A definition while it is read: what always counts of it, and what only sometimes does."""

    def __init__(self, parent: _Draft | None) -> None:
        self.parent = parent
        self.tokens: list[Any] = []
        self.docs: list[Any] = []
        self.annotations: list[Any] = []
        self.annotation_names: set[Chain] = set()
        self.inner_decorators: set[Chain] = set()
        self.traps: list[Trap] = []
        self.assigned: list[str] = []
        self.defined: list[str] = []
        self.imports: list[str] = []
        self.reads_docs = False
        self.reads_annotations = False
        self.first = 0


def _digest(tokens: list[Any]) -> str:
    return xxh3_128_hexdigest(marshal.dumps(tokens, MARSHAL_VERSION)) if tokens else ""


class Reader:
    """Reads the syntax tree of a text, once, into the outlines of all definitions in it."""

    def __init__(self, text: str) -> None:
        self._lines = [f"{line}\n" for line in text.split("\n")]
        self.outlines: list[tuple[_Definition, Outline]] = []
        self._names: list[str] = []
        self._scope = _Block("module", None)
        self._piece = _Draft(None)
        self._deeds: dict[ast.AST, list[Deed]] = {}
        self._unread: set[ast.AST] = set()

    def read(self, tree: ast.Module) -> list[tuple[_Definition, Outline]]:
        """Return each definition with its outline, those inside of others first."""
        self._deeds, self._unread = deeds_in(tree)
        self._statements(tree.body)
        return self.outlines

    # Definitions

    def _define(self, node: _Definition) -> None:
        """Read a definition as a piece of its own; the piece around it holds its hash."""
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        own_decorators = [self._aside(each, self._piece) for each in decorators]
        if isinstance(node, ast.ClassDef):
            heads: list[ast.AST] = [*node.bases, *node.keywords]
        else:
            heads = [each for each in (*node.args.defaults, *node.args.kw_defaults) if each]
        around = self._piece
        piece = self._piece = _Draft(around)
        piece.first = min([node.lineno, *(each.lineno for each in decorators)])
        name = getattr(node, "name", "<lambda>")
        self._names.append(name)
        qualname = ".".join(self._names)
        head_names = self._heads(node, heads)
        scope = self._scope = _Block(
            "class" if isinstance(node, ast.ClassDef) else "function", self._scope
        )
        if isinstance(node, ast.ClassDef):
            self._class(node)
        else:
            self._names.append("<locals>")
            self._function(node)
            self._names.pop()
        outward, optional = scope.leave()
        touched = set(scope.leave_touched())
        self._names.pop()
        assert scope.parent is not None
        self._scope = scope.parent
        outline = self._outline(
            node, piece, qualname, own_decorators, outward | head_names, optional, touched
        )
        # What it does to its own parameters is nothing to the code around it.
        outer = (Deed(*each) for each in touched if each[0][0] != PARAMETER)
        self._scope.deeds.update(outer)
        self.outlines.append((node, outline))
        self._piece = around
        self._embed(outline, piece, outward, optional)

    def _outline(
        self,
        node: _Definition,
        piece: _Draft,
        qualname: str,
        decorators: Sequence[Decorator],
        outward: set[Chain],
        optional: set[Chain],
        touched: set[Touched],
    ) -> Outline:
        last = node.end_lineno or node.lineno
        kinds = {ast.ClassDef: "class", ast.Lambda: "lambda"}
        return Outline(
            kind=kinds.get(type(node), "function"),
            name=qualname,
            first=piece.first,
            last=last,
            syntax=_digest(piece.tokens),
            docs=_digest(piece.docs),
            annotations=_digest(piece.annotations),
            decorators=tuple(decorators),
            inner_decorators=tuple(sorted(piece.inner_decorators)),
            references=tuple(sorted(outward)),
            optional=tuple(sorted(optional)),
            annotation_references=tuple(sorted(piece.annotation_names)),
            traps=tuple(piece.traps),
            touched=tuple(sorted(touched)),
            assigned=tuple(dict.fromkeys(piece.assigned)),
            defined=tuple(dict.fromkeys(piece.defined)),
            imports=tuple(dict.fromkeys(piece.imports)),
            reads_docs=piece.reads_docs,
            reads_annotations=piece.reads_annotations,
            text="".join(self._lines[piece.first - 1 : last]),
        )

    def _embed(
        self, outline: Outline, piece: _Draft, outward: set[Chain], optional: set[Chain]
    ) -> None:
        """Let the piece around a definition know what is in it."""
        around = self._piece
        around.tokens += ("piece", outline.syntax, len(outline.decorators))
        for syntax, callee, _ in outline.decorators:
            around.tokens.append(syntax)
            around.inner_decorators.add(callee)
        if outline.docs:
            around.docs.append(outline.docs)
        if outline.annotations:
            around.annotations.append(outline.annotations)
        around.annotation_names |= piece.annotation_names
        around.inner_decorators |= piece.inner_decorators
        shift = piece.first - around.first
        around.traps += [each._replace(line=each.line + shift) for each in piece.traps]
        around.imports += piece.imports
        around.reads_docs |= piece.reads_docs
        around.reads_annotations |= piece.reads_annotations
        # Names of a class body are not seen from the functions in it.
        target: _Block = self._scope
        for chain in outward:
            target.used.add(chain)
        target.optional |= optional

    def _aside(self, node: ast.expr, around: _Draft) -> Decorator:
        """Read a decorator: its hash, what is called, and the names in it."""
        piece = self._piece = _Draft(around)
        piece.first = around.first
        scope = self._scope
        inner = self._scope = _Block("aside", scope)
        self._visit(node)
        self._scope = scope
        self._piece = around
        scope.used |= inner.used
        scope.deeds |= inner.deeds
        around.traps += piece.traps
        around.reads_docs |= piece.reads_docs
        around.reads_annotations |= piece.reads_annotations
        called = node.func if isinstance(node, ast.Call) else node
        return _digest(piece.tokens), names_of(called), tuple(sorted(inner.used))

    def _heads(self, node: _Definition, heads: Sequence[ast.AST]) -> set[Chain]:
        """Read what is evaluated outside of a definition: defaults, bases and keywords.

        The bases of a class count in its syntax. The defaults of a function count by their values
        if the function itself is reached; around it, in a class say, they count as text.
        """
        scope = self._scope
        inner = self._scope = _Block("aside", scope)
        piece = self._piece
        if isinstance(node, ast.ClassDef):
            piece.tokens += ("heads", len(node.bases), len(node.keywords))
        elif piece.parent is not None:
            self._piece = piece.parent
            given = [each is not None for each in node.args.kw_defaults]
            self._piece.tokens += ("defaults", len(node.args.defaults), len(given), *given)
        for each in heads:
            self._visit(each)
        self._piece = piece
        self._scope = scope
        scope.used |= inner.used
        scope.deeds |= inner.deeds
        return inner.used if isinstance(node, ast.ClassDef) else set()

    def _class(self, node: ast.ClassDef) -> None:
        piece = self._piece
        self._type_params(node)
        piece.tokens += ("ClassDef", node.name)
        self._body(node.body)

    def _function(self, node: _Function) -> None:
        piece = self._piece
        piece.tokens += (type(node).__name__, getattr(node, "name", ""))
        self._type_params(node)
        self._arguments(node.args)
        if isinstance(node, ast.Lambda):
            self._visit(node.body)
            return
        if node.returns is not None:
            self._annotation("return", node.returns)
        self._body(node.body)

    def _arguments(self, args: ast.arguments) -> None:
        tokens = self._piece.tokens
        positional = [*args.posonlyargs, *args.args]
        tokens += ("arguments", len(args.posonlyargs), len(args.args), len(args.kwonlyargs))
        tokens += (args.vararg is not None, args.kwarg is not None)
        for each in (*positional, args.vararg, *args.kwonlyargs, args.kwarg):
            if each is None:
                continue
            self._scope.bind(each.arg)
            self._scope.parameters.add(each.arg)
            tokens.append(each.arg)
            if each.annotation is not None:
                self._annotation(each.arg, each.annotation)

    def _type_params(self, node: ast.AST) -> None:
        for each in getattr(node, "type_params", ()):
            self._scope.bind(each.name)
            self._annotation("type parameter", each)

    def _annotation(self, name: str, node: ast.AST) -> None:
        """Read an annotation that only counts if something reads it."""
        piece = self._piece
        aside = self._piece = _Draft(piece)
        aside.first = piece.first
        scope = self._scope
        inner = self._scope = _Block("aside", scope)
        self._visit(node)
        self._scope = scope
        self._piece = piece
        piece.annotations += (name, len(aside.tokens), *aside.tokens)
        piece.annotation_names |= inner.used

    def _body(self, body: Sequence[ast.stmt]) -> None:
        """Read the statements of a definition, the docstring apart."""
        first = body[0] if body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            self._piece.docs += ("doc", first.value.value)
            body = body[1:]
        self._statements(body)

    def _statements(self, body: Sequence[ast.stmt]) -> None:
        # A pass does nothing, and `x: int` in a function only says that a name is local.
        kept: list[ast.stmt] = []
        for each in body:
            if isinstance(each, ast.AnnAssign) and self._only_declares(each):
                self._declare(each)
            elif not isinstance(each, ast.Pass):
                kept.append(each)
        self._piece.tokens.append(len(kept))
        for each in kept:
            self._visit(each)

    # Statements and expressions

    def _visit(self, node: ast.AST) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is None:
            self._plain(node)
        else:
            handler(self, node)

    def _plain(self, node: ast.AST) -> None:
        """Write a node down: its name, and those of its fields that hold something."""
        kind = type(node)
        names = _fields.get(kind)
        if names is None:
            names = _fields[kind] = tuple(n for n in kind._fields if n not in _SILENT)
        tokens = self._piece.tokens
        tokens.append(kind.__name__)
        at = len(tokens)
        tokens.append(0)
        held = 0
        for name in names:
            value = getattr(node, name, None)
            if value is None or value == []:
                continue
            held += 1
            tokens.append(name)
            if isinstance(value, ast.AST):
                self._visit(value)
            elif type(value) is list:
                if isinstance(value[0], ast.stmt):
                    self._statements(value)
                    continue
                tokens.append(len(value))
                for each in value:
                    if isinstance(each, ast.AST):
                        self._visit(each)
                    else:
                        tokens.append(each)
            else:
                tokens.append(value)
        tokens[at] = held

    def _define_name(self, node: ast.AST) -> None:
        assert isinstance(node, _Definition)
        name = getattr(node, "name", None)
        if name is not None:
            self._scope.bind(name)
            self._piece.defined.append(name)
        self._define(node)

    def _constant(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Constant)
        self._piece.tokens += ("Constant", node.value)

    def _string(self, node: ast.AST) -> None:
        """Write an f-string down: neighbouring constants as one, empty ones not at all."""
        assert isinstance(node, ast.JoinedStr)
        merged: list[ast.expr | str] = []
        for each in node.values:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                if merged and isinstance(merged[-1], str):
                    merged[-1] += each.value
                elif each.value:
                    merged.append(each.value)
            else:
                merged.append(each)
        tokens = self._piece.tokens
        tokens += ("JoinedStr", len(merged))
        for part in merged:
            if isinstance(part, str):
                tokens += ("Constant", part)
            else:
                self._visit(part)

    def _formatted(self, node: ast.AST) -> None:
        assert isinstance(node, ast.FormattedValue)
        spec = node.format_spec
        if isinstance(spec, ast.JoinedStr) and not any(map(_says_something, spec.values)):
            node.format_spec = None  # `{x:}` is `{x}`
        self._plain(node)

    def _name(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Name)
        self._piece.tokens += ("Name", node.id)
        is_read = self._touch(node)
        if not isinstance(node.ctx, ast.Load):
            self._store(node.id, is_read=is_read)
        elif is_read:
            self._use((node.id,))

    def _touch(self, node: ast.AST) -> bool:
        """Note what is done to that which a name stands for; returns whether it is looked at."""
        self._scope.deeds.update(self._deeds.get(node, ()))
        return node not in self._unread

    def _store(self, name: str, *, is_read: bool = True) -> None:
        scope = self._scope
        while scope.kind == "aside" and scope.parent is not None:
            scope = scope.parent
        scope.bind(name)
        if is_read and (name in scope.is_global or name in scope.is_nonlocal):
            scope.used.add((name,))
        self._piece.assigned.append(name)

    def _use(self, chain: Chain) -> None:
        self._scope.used.add(chain)
        if not _DOC_READERS.isdisjoint(chain):
            self._piece.reads_docs = True
        if not _ANNOTATION_READERS.isdisjoint(chain):
            self._piece.reads_annotations = True

    def _attribute(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Attribute)
        chain = names_of(node)
        is_read = self._touch(node)
        piece = self._piece
        is_local = not chain or not self._is_outward(chain[0])
        if node.attr in TRAP_ATTRIBUTES or (node.attr == "func" and is_local):
            piece.traps.append(Trap((node.attr,), (), "attribute", node.lineno - piece.first))
        if chain and isinstance(node.ctx, ast.Load):
            piece.tokens += ("chain", *chain, len(chain))
            if is_read:
                self._use(chain)
            return
        if node.attr in _DOC_READERS:
            piece.reads_docs = True
        if node.attr in _ANNOTATION_READERS:
            piece.reads_annotations = True
        if chain and self._is_outward(chain[0]):
            # An assignment to an attribute of something that is not local.
            piece.traps.append(Trap(chain[:-1], (), "assignment", node.lineno - piece.first))
            piece.tokens += ("assignment", *chain, len(chain))
            return
        piece.tokens += ("Attribute", node.attr)
        self._visit(node.value)

    def _is_outward(self, name: str) -> bool:
        scope: _Block | None = self._scope
        while scope is not None and scope.kind != "module":
            if name in scope.bound and scope.kind != "class":
                return False
            scope = scope.parent
        return True

    def _call(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Call)
        chain = names_of(node.func)
        may_trap = bool(chain) and (chain[-1] in _IMPORTERS or chain[-1] in _ACCESSORS)
        if not may_trap or not self._trap_call(chain, node):
            self._plain(node)

    def _trap_call(self, chain: Chain, node: ast.Call) -> bool:
        """Note a call that may reach anything; returns whether the call was read as well."""
        first = node.args[0] if node.args else None
        line = node.lineno - self._piece.first
        name = chain[-1]
        if name in _IMPORTERS:
            what = "call"
            if _is_absolute_name(first):
                assert isinstance(first, ast.Constant)
                self._scope.used.add((f"{IMPORTED}0:{first.value!s}:",))
                what = "import"
            self._piece.traps.append(Trap(chain, (), what, line))
            return False
        if first is None:
            return False
        target = names_of(first)
        if target and not self._is_outward(target[0]):
            return False
        second = node.args[1] if len(node.args) > 1 else None
        text = second.value if isinstance(second, ast.Constant) else None
        is_plain = name in {"getattr", "hasattr"} and isinstance(text, str)
        if not is_plain:
            self._piece.traps.append(Trap(chain, target, "call on", line))
        if not target:
            return False
        # What it is called on is not used as a whole, as it would be elsewhere.
        assert first is not None
        self._touch(first)
        self._use(chain)
        if is_plain:
            self._use((*target, str(text)))
        rest = node.args[1:]
        self._piece.tokens += ("call on", *chain, *target, len(target), len(rest))
        for each in (*rest, *node.keywords):
            self._visit(each)
        return True

    def _comprehension(self, node: ast.AST) -> None:
        scope = self._scope
        inner = self._scope = _Block("comprehension", scope)
        for generator in node.generators:  # type: ignore[attr-defined]  # all four kinds have them
            for name in _targets(generator.target):
                inner.bound.add(name)
        self._plain(node)
        outward, optional = inner.leave()
        self._scope = scope
        scope.used |= outward
        scope.optional |= optional
        scope.deeds.update(Deed(*each) for each in inner.leave_touched())

    def _named(self, node: ast.AST) -> None:
        """Read ``name := value``: it binds around the comprehensions that it stands in."""
        assert isinstance(node, ast.NamedExpr)
        scope: _Block = self._scope
        while scope.kind in {"comprehension", "aside"} and scope.parent is not None:
            scope = scope.parent
        scope.bind(node.target.id)
        scope.deeds.update(self._deeds.get(node.target, ()))
        if node.target.id in scope.is_global or node.target.id in scope.is_nonlocal:
            scope.used.add((node.target.id,))
        self._piece.tokens += ("NamedExpr", node.target.id)
        self._visit(node.value)

    def _annotated(self, node: ast.AST) -> None:
        """Read ``x: int = 1``: in a class body the annotation counts, elsewhere it is not run."""
        assert isinstance(node, ast.AnnAssign)
        if self._scope.kind == "class":
            self._plain(node)
            for chain in _names_in_text(node.annotation):
                self._scope.used.add(chain)
            return
        assert node.value is not None
        name = node.target.id if isinstance(node.target, ast.Name) else "attribute"
        self._annotation(name, node.annotation)
        # As if it were written without the annotation.
        self._piece.tokens += ("Assign", 2, "targets", 1)
        self._visit(node.target)
        self._piece.tokens.append("value")
        self._visit(node.value)

    def _only_declares(self, node: ast.AnnAssign) -> bool:
        return node.value is None and self._scope.kind != "class"

    def _declare(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._store(node.target.id)
            self._annotation(node.target.id, node.annotation)

    def _import(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Import)
        for each in node.names:
            if each.asname is not None:
                self._bind_import(each.asname, f"{IMPORTED}0:{each.name}:")
            else:
                top = each.name.partition(".")[0]
                self._bind_import(top, f"{IMPORTED}0:{top}:")
        self._plain(node)

    def _import_from(self, node: ast.AST) -> None:
        assert isinstance(node, ast.ImportFrom)
        for each in node.names:
            source = f"{IMPORTED}{node.level}:{node.module or ''}:{each.name}"
            self._bind_import(each.asname or each.name, source)
        self._plain(node)

    def _bind_import(self, name: str, source: str) -> None:
        self._scope.imports.setdefault(name, []).append(source)
        if name in self._scope.is_global:
            self._scope.deeds.add(Deed((name,), BOUND))
        self._piece.imports.append(source)

    def _global(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Global)
        self._scope.is_global.update(node.names)
        self._piece.tokens += ("Global", len(node.names), *sorted(node.names))

    def _nonlocal(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Nonlocal)
        self._scope.is_nonlocal.update(node.names)
        self._piece.tokens += ("Nonlocal", len(node.names), *sorted(node.names))

    def _caught(self, node: ast.AST) -> None:
        assert isinstance(node, ast.ExceptHandler)
        if node.name:
            self._scope.bind(node.name)
        self._plain(node)

    def _captured(self, node: ast.AST) -> None:
        """Read a pattern of ``match`` that may bind a name."""
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name:
            self._scope.bind(name)
        self._plain(node)


def _says_something(part: ast.expr) -> bool:
    return not isinstance(part, ast.Constant) or part.value != ""


def _is_absolute_name(node: ast.AST | None) -> bool:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    return not node.value.startswith(".")


def _names_in_text(annotation: ast.AST) -> Iterator[Chain]:
    """Yield the names in the parts of an annotation that are written as text."""
    for each in ast.walk(annotation):
        if not isinstance(each, ast.Constant) or not isinstance(each.value, str):
            continue
        try:
            inside = ast.parse(each.value, mode="eval")
        except (SyntaxError, ValueError):  # no annotation: the text of a Literal, say
            continue
        for name in ast.walk(inside):
            chain = names_of(name)
            if chain:
                yield chain


def _targets(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id


_HANDLERS: Final[dict[type[ast.AST], Callable[[Reader, ast.AST], None]]] = {
    ast.FunctionDef: Reader._define_name,
    ast.AsyncFunctionDef: Reader._define_name,
    ast.ClassDef: Reader._define_name,
    ast.Lambda: Reader._define_name,
    ast.Constant: Reader._constant,
    ast.JoinedStr: Reader._string,
    ast.FormattedValue: Reader._formatted,
    ast.Name: Reader._name,
    ast.Attribute: Reader._attribute,
    ast.Call: Reader._call,
    ast.ListComp: Reader._comprehension,
    ast.SetComp: Reader._comprehension,
    ast.DictComp: Reader._comprehension,
    ast.GeneratorExp: Reader._comprehension,
    ast.NamedExpr: Reader._named,
    ast.AnnAssign: Reader._annotated,
    ast.Import: Reader._import,
    ast.ImportFrom: Reader._import_from,
    ast.Global: Reader._global,
    ast.Nonlocal: Reader._nonlocal,
    ast.ExceptHandler: Reader._caught,
    ast.MatchAs: Reader._captured,
    ast.MatchStar: Reader._captured,
    ast.MatchMapping: Reader._captured,
}
