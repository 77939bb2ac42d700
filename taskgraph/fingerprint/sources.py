"""From loaded code to the outline of its source, with a proof that it is its source.

A file may have been edited since it was loaded, and two lambdas may stand on one line: so the text
is compiled again, and an outline belongs to a function if its compiled code is exactly the one that
is loaded, positions and all. What was read once is remembered on this machine by the content of the
file; nothing is parsed or compiled there twice.
"""

from __future__ import annotations
import __future__

import ast
import importlib.util
import linecache
import marshal
import os
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final
from weakref import WeakKeyDictionary

from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from taskgraph._version import __version__ as taskgraph_version
from taskgraph.fingerprint.outline import Chain, Outline, Trap
from taskgraph.forks import lock_of_program
from taskgraph.hashing import MARSHAL_VERSION, hash_record
from taskgraph.values.places import current_places, user_cache_folder

_DEEP: Final = 50_000  # frames for reading sums of thousands of terms
_READERS: Final = ("outline", "syntax", "touches", "bytecode", "sources")  # what makes outlines
_MOST_REMEMBERED: Final = 5_000  # files with outlines on disk


_Fields = tuple[Any, ...]  # those of an outline, as plain data


class _File:
    """The outlines of a text: functions by their compiled code, classes by their names."""

    def __init__(self, functions: dict[str, _Fields], classes: Sequence[_Fields]) -> None:
        self._functions = functions
        self.classes: dict[str, list[Outline]] = {}
        for each in map(_restored, classes):
            self.classes.setdefault(each.name, []).append(each)

    def function(self, digest: str) -> Outline | None:
        """Return the outline of the function that was compiled to this."""
        fields = self._functions.get(digest)
        return _restored(fields) if fields is not None else None


def _restored(fields: _Fields) -> Outline:
    outline = Outline._make(fields)
    if not outline.traps:
        return outline
    return outline._replace(traps=tuple(map(Trap._make, outline.traps)))


def _plain(outline: Outline, shared: dict[Chain, Chain]) -> _Fields:
    """Return plain tuples, as marshal wants them; names that are used again are the same object."""
    return tuple(
        outline._replace(
            references=tuple(shared.setdefault(each, each) for each in outline.references),
            traps=tuple(map(tuple, outline.traps)),  # type: ignore[arg-type]  # see above
            touched=tuple(
                (shared.setdefault(chain, chain), done, sys.intern(detail))
                for chain, done, detail in outline.touched
            ),
        )
    )


_NOTHING = _File({}, ())
_lock = lock_of_program()
_files: dict[str, tuple[Any, _File]] = {}  # by name, with what tells that the file has changed
_at_rest: set[str] | None = None  # those that need no second look
# By identity, and kept: equal code that is loaded later may have other decorators around it.
_by_code: dict[int, tuple[CodeType, Outline | None]] = {}
_by_function: WeakKeyDictionary[FunctionType, Outline] = WeakKeyDictionary()
_by_class: WeakKeyDictionary[type, Outline | None] = WeakKeyDictionary()
_MOST_CODES: Final = 100_000


@contextmanager
def files_at_rest() -> Iterator[None]:
    """Look at each file only once until the end of this block."""
    global _at_rest  # noqa: PLW0603 - the memory of the process, as all here
    before, _at_rest = _at_rest, set()
    try:
        yield
    finally:
        _at_rest = before


def outline_of(func: FunctionType) -> Outline | None:
    """Return the outline of a function; None where its source is not known for certain."""
    return _by_function.get(func) or _outline_of_code(func.__code__)


def _outline_of_code(code: CodeType) -> Outline | None:
    known = _by_code.get(id(code))
    if known is not None:
        return known[1]
    with _lock:
        digest = digest_code(code)
        found = _file(code.co_filename).function(digest)
        if found is None and _files.pop(code.co_filename, None) is not None:
            # Written twice between two ticks of the file system's clock, perhaps.
            found = _file(code.co_filename).function(digest)
        if len(_by_code) > _MOST_CODES:
            _by_code.clear()
        _by_code[id(code)] = (code, found)
    return found


def outline_of_class(cls: type) -> Outline | None:
    """Return the outline of a class; None where its source is not known for certain."""
    if cls in _by_class:
        return _by_class[cls]
    with _lock:
        found = _find_class(cls)
        _by_class[cls] = found
    return found


def _find_class(cls: type) -> Outline | None:
    """Return the only outline of this name that holds most methods of the class."""
    methods = [each.__code__ for each in own_functions(cls)]
    names = dict.fromkeys(code.co_filename for code in methods)
    module = sys.modules.get(cls.__module__)
    own_file = getattr(module, "__file__", None)
    if own_file:
        names.setdefault(own_file)
    for name in names:
        of_file = [code for code in methods if code.co_filename == name]
        found = _file(name).classes.get(cls.__qualname__, ())
        inside = {each: [code for code in of_file if _lies_in(code, each)] for each in found}
        most = max(map(len, inside.values()), default=0)
        fits = [each for each, codes in inside.items() if len(codes) == most]
        if len(fits) == 1 and all(map(_outline_of_code, inside[fits[0]])):
            return fits[0]
    return None


def _lies_in(code: CodeType, outline: Outline) -> bool:
    # What does not was defined elsewhere and put into the class: it is followed by itself.
    return outline.first <= code.co_firstlineno <= outline.last


def own_functions(cls: type) -> Iterator[FunctionType]:
    """Yield the functions in the body of a class, unwrapped from properties and their like."""
    for attribute in list(vars(cls).values()):
        for each in unwrapped(attribute):
            # Not those that decorators made elsewhere, whatever they say of themselves.
            if isinstance(each, FunctionType) and (
                each.__globals__.get("__name__") == each.__module__ == cls.__module__
            ):
                yield each


def unwrapped(attribute: Any) -> tuple[Any, ...]:
    """Return what a property, a static method and their like hold."""
    if isinstance(attribute, property):
        return tuple(each for each in (attribute.fget, attribute.fset, attribute.fdel) if each)
    if isinstance(attribute, staticmethod | classmethod):
        return (attribute.__func__,)
    if isinstance(attribute, cached_property):
        return (attribute.func,)
    return (attribute,)


def digest_code(code: CodeType) -> str:
    """Return a digest of compiled code with its positions; good on this version of Python only.

    The name of its file does not count, so that what is remembered holds for copies of the file.
    """
    try:
        content = marshal.dumps(code, MARSHAL_VERSION)
    except ValueError:  # it holds a kind of constant that came later, slices in 3.14
        content = marshal.dumps(_content(code), MARSHAL_VERSION)
    name = marshal.dumps(code.co_filename, MARSHAL_VERSION)
    return xxh3_128_hexdigest(content.replace(name, _NO_NAME))


_NO_NAME: Final = marshal.dumps("", MARSHAL_VERSION)


def _content(code: CodeType) -> tuple[Any, ...]:
    """Return all that compiled code consists of, with bytes in place of the constants."""
    constants = [
        marshal.dumps(_content(each), MARSHAL_VERSION)
        if isinstance(each, CodeType)
        else _constant(each)
        for each in code.co_consts
    ]
    return (
        code.co_code,
        code.co_linetable,
        code.co_exceptiontable,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        code.co_flags,
        code.co_firstlineno,
        code.co_qualname,
        constants,
    )


def _constant(value: Any) -> Any:
    try:
        return marshal.dumps(value, MARSHAL_VERSION)
    except ValueError:
        return repr(value)


# Files


def _file(name: str) -> _File:
    known = _files.get(name)
    if known is not None and _at_rest is not None and name in _at_rest:
        return known[1]
    stamp = _stamp(name)
    if _at_rest is not None:
        _at_rest.add(name)
    if known is not None and known[0] == stamp:
        return known[1]
    content = _read(name)
    found = _remembered(content, name) if content else _NOTHING
    _files[name] = (stamp, found)
    return found


def _stamp(name: str) -> Any:
    try:
        stat = os.stat(name)
    except OSError:  # <stdin>, a cell of a notebook, a file in an archive
        return xxh3_128_hexdigest("".join(linecache.getlines(name)).encode("utf-8", "replace"))
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return "".join(linecache.getlines(name)).encode("utf-8", "surrogatepass")


def _remembered(content: bytes, name: str) -> _File:
    """Return the outlines of a text, from the memory of this machine if they are there."""
    digest = xxh3_128_hexdigest(content)
    place = os.path.join(_memory(), _version(), digest[:2], digest[2:])
    found = _load(place)
    if found is None:
        found = _outlines(content, name)
        _keep(Path(place), found)
    return _File(*found)


_Outlines = tuple[dict[str, _Fields], list[_Fields]]


def _outlines(content: bytes, name: str) -> _Outlines:
    """Read, compile and pair: each function's outline by the digest of its compiled code."""
    try:
        text = importlib.util.decode_source(content)
        tree = ast.parse(text)
    except (SyntaxError, ValueError, UnicodeError):
        # Edited since it was loaded, and not Python at this moment.
        return {}, []
    pieces = _read_deeply(text, tree)
    functions: dict[tuple[int, str], Outline] = {}
    lambdas: list[tuple[ast.Lambda, Outline]] = []
    classes: list[Outline] = []
    for node, outline in pieces:
        if isinstance(node, ast.Lambda):
            lambdas.append((node, outline))
        elif isinstance(node, ast.ClassDef):
            classes.append(outline)
        else:
            functions[outline.first, node.name] = outline
    found: dict[str, Outline] = {}
    for code in _compiled(text, name):
        if code.co_name == "<lambda>":
            match = _lambda_of(code, lambdas)
        else:
            match = functions.get((code.co_firstlineno, code.co_name))
        if match is not None:
            found[digest_code(code)] = match
    shared: dict[Chain, Chain] = {}
    plain = {digest: _plain(each, shared) for digest, each in found.items()}
    return plain, [_plain(each, shared) for each in classes]


def _read_deeply(text: str, tree: ast.Module) -> list[Any]:
    from taskgraph.fingerprint.syntax import Reader  # not needed for what is remembered

    limit = sys.getrecursionlimit()
    try:
        return Reader(text).read(tree)
    except RecursionError:
        # Calls from Python to Python need no stack of C: only the number is in the way.
        sys.setrecursionlimit(max(limit, _DEEP))
        try:
            return Reader(text).read(tree)
        finally:
            sys.setrecursionlimit(limit)


def _compiled(text: str, name: str) -> Iterator[CodeType]:
    """Yield the compiled code of all functions in a text."""
    flags = [0]
    if name.startswith("<") or not os.path.exists(name):
        # A cell of a notebook may have await at its top, and the future imports of other cells.
        future = __future__.annotations.compiler_flag
        flags += [ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, future, future | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT]
    for each in flags:
        try:
            yield from _codes(compile(text, name, "exec", flags=each, dont_inherit=True))
        except (SyntaxError, ValueError, RecursionError):
            continue


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _lambda_of(code: CodeType, lambdas: Sequence[tuple[ast.Lambda, Outline]]) -> Outline | None:
    """Return the innermost lambda that holds all instructions of a code object."""
    places = [
        (first, start, last, end)
        for first, last, start, end in code.co_positions()
        if first is not None and last is not None and start is not None and end
    ]
    fits: list[tuple[int, int, Outline]] = []
    for node, outline in lambdas:
        body = node.body
        assert body.end_lineno is not None and body.end_col_offset is not None
        start = (body.lineno, body.col_offset)
        end = (body.end_lineno, body.end_col_offset)
        if node.lineno == code.co_firstlineno and all(
            start <= (first, left) and (last, right) <= end for first, left, last, right in places
        ):
            fits.append((end[0] - start[0], end[1] - start[1], outline))
    if not places and len(fits) > 1:  # compiled without positions
        return None
    return min(fits, key=lambda each: each[:2])[2] if fits else None


# The memory on this machine


def _memory() -> str:
    folder = current_places().cache_dir
    return os.path.join(user_cache_folder() if folder is None else folder, "outlines")


@lru_cache(maxsize=1)
def _version() -> str:
    """Return what outlines depend on besides the text: this Python, and the code that reads it."""
    own = [Path(__file__).with_name(f"{each}.py") for each in _READERS]
    try:
        code = xxh3_128_hexdigest(b"\0".join(each.read_bytes() for each in own))
    except OSError:  # in an archive: its own bytes cannot change under it
        code = taskgraph_version
    tag = f"{sys.implementation.cache_tag}-{importlib.util.MAGIC_NUMBER.hex()}"
    return f"{tag}-{sys.flags.optimize}-{code}"


def _load(place: str) -> _Outlines | None:
    try:
        with open(place, "rb") as file:
            content = file.read()
    except OSError:
        return None
    if xxh3_128_digest(content[16:]) != content[:16]:
        return None
    found: _Outlines = marshal.loads(content[16:])
    return found


def _keep(place: Path, outlines: _Outlines) -> None:
    content = marshal.dumps(outlines)
    temporary = place.with_name(f"{place.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(xxh3_128_digest(content) + content)
        temporary.replace(place)
    except OSError:
        return  # without the memory it only takes longer
    _forget_old(place.parent)


def _forget_old(folder: Path) -> None:
    """Keep the memory small: of what lies in one of its folders, the oldest go."""
    try:
        kept = sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime)
        for each in kept[: -_MOST_REMEMBERED // 256]:
            each.unlink(missing_ok=True)
    except OSError:  # another process tidies up
        return


def remember_text(func: FunctionType, text: str) -> None:
    """Take a text for the source of a function whose file has none, or another."""
    plain = textwrap.dedent(text)
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError):
        tree = ast.Module([], [])
    found = [each for node, each in _read_deeply(plain, tree) if node in tree.body]
    if not found:
        # No Python: then the text counts as it is, and the names are those of the compiled code.
        from taskgraph.fingerprint.bytecode import outline_compiled

        compiled = outline_compiled(func.__code__)
        found = [compiled._replace(syntax=hash_record("text", plain), text=plain)]
    with _lock:
        _by_function[func] = found[-1]
