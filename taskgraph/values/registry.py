"""Which kind a value is of: one table for built-in kinds and those of strangers.

What a type resolves to depends on the type and on what is registered, never on the order in which
values were met.
"""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from taskgraph.forks import lock_of_program
from taskgraph.hashing import CONTAINER_TYPES
from taskgraph.values.kinds import Shape, ValueKind, class_name, overrides

ENTRY_POINT_GROUP = "taskgraph.values"

# Where the kinds for the types of a top-level module are: our module, and the function in it that
# registers them. Called when the first value of such a type (or of a subclass) is met.
_BUILT_IN = {
    "builtins": ("taskgraph.values.builtin", "register_builtin"),
    "array": ("taskgraph.values.standard", "register_array"),
    "asyncio": ("taskgraph.values.standard", "register_asyncio"),
    "datetime": ("taskgraph.values.standard", "register_datetime"),
    "decimal": ("taskgraph.values.standard", "register_decimal"),
    "enum": ("taskgraph.values.standard", "register_enum"),
    "fractions": ("taskgraph.values.standard", "register_fractions"),
    "numpy": ("taskgraph.values.arrays", "register_arrays"),
    "pathlib": ("taskgraph.values.standard", "register_pathlib"),
    "pandas": ("taskgraph.values.pandas", "register_pandas"),
    "polars": ("taskgraph.values.polars", "register_polars"),
    "pyarrow": ("taskgraph.values.arrow", "register_arrow"),
    "pydantic": ("taskgraph.values.models", "register_pydantic"),
    "re": ("taskgraph.values.standard", "register_re"),
    "scipy": ("taskgraph.values.sparse", "register_sparse"),
    "sklearn": ("taskgraph.values.models", "register_sklearn"),
    "tempfile": ("taskgraph.values.standard", "register_tempfile"),
    "taskgraph": ("taskgraph.values.file_kinds", "register_files"),
    "torch": ("taskgraph.values.tensors", "register_torch"),
    "uuid": ("taskgraph.values.standard", "register_uuid"),
    "weakref": ("taskgraph.values.standard", "register_weakref"),
    "zoneinfo": ("taskgraph.values.standard", "register_zoneinfo"),
}

# Where the kinds of functions and classes are. Code is a room of its own, which knows this one;
# this one knows its name, as it knows the names of entry points.
_CODE = ("taskgraph.fingerprint.functions", "register_code")

_exact: dict[type, ValueKind] = {}
_bases: dict[type, ValueKind] = {}
_names: dict[str, ValueKind] = {}
_classes: dict[str, type] = {}
_reduce_any = False
_resolved: dict[type, ValueKind] = {}
# Classes made at run time would otherwise be kept alive for ever.
_MAX_RESOLVED = 10_000
_loaded: set[str] = set()
_lock = lock_of_program()


def register(cls: type, kind: ValueKind, *, subclasses: bool = False) -> None:
    """Say how values of a class behave; a later kind for the same class replaces the earlier.

    Args:
        cls: The class.
        kind: How its values behave.
        subclasses: Whether the kind is for subclasses, unless a nearer base has its own; and for
            the class itself, unless it has one of its own too.
    """
    global _reduce_any  # noqa: PLW0603 - once there is one, values of it may lie anywhere
    name = kind.name or class_name(cls)
    with _lock:
        (_bases if subclasses else _exact)[cls] = kind
        _names[name] = kind
        _classes[name] = cls
        _reduce_any = _reduce_any or overrides(kind, "reduce")
        _resolved.clear()


def kind_that_reduces(cls: type) -> ValueKind | None:
    """Return the kind of a class if it says how its values are written inside of others."""
    if not _reduce_any:
        return None
    kind = kind_of_class(cls)
    return kind if overrides(kind, "reduce") else None


def is_registered(cls: type) -> bool:
    """Tell whether somebody registered a kind for a class or for one that it derives from."""
    kind_of_class(cls)  # loads what may be built in
    with _lock:
        return _find(cls) is not None


def class_named(name: str) -> type:
    """Return the class whose values are stored under a type name.

    Raises:
        LookupError: There is none, and none can be imported by it.
    """
    with _lock:
        _load_built_in("builtins")
        _load_built_in(name)
        if name not in _classes:
            _load_entry_points()
        cls = _classes.get(name) or _import_class(name)
        if cls is None:
            raise LookupError(f"there is no type named {name!r}")
        return cls


_bring_along: Callable[[type], Any] = lambda cls: None  # noqa: E731 - until code is registered


def bring_along(find: Callable[[type], Any]) -> None:
    """Say what stands for the code that objects of a class bring along; None for none."""
    global _bring_along  # noqa: PLW0603 - registered once, as all kinds are
    _bring_along = find


def brings_code(cls: type) -> bool:
    """Tell whether objects of a class bring code of the user's along."""
    return _bring_along(cls) is not None


def shape_of(value: Any, kind: ValueKind) -> Shape:
    """Return one level of a value, with what its methods do as the last of its children.

    Raises:
        UnhashableValueError: As `ValueKind.shape`.
    """
    shape = kind.shape(value)
    if type(value) in CONTAINER_TYPES or not kind.brings_code:
        return shape
    code = _bring_along(type(value))
    if code is None:
        return shape
    inside = [*shape.children, code]
    last = len(inside) - 1
    return shape._replace(
        children=inside, label=lambda p: "<methods>" if p == last else shape.label(p)
    )


def kind_of(value: Any) -> ValueKind:
    """Return the kind that a value is of."""
    kind = _resolved.get(type(value))
    return kind if kind is not None else kind_of_class(type(value))


def kind_of_class(cls: type) -> ValueKind:
    """Return the kind that values of a class are of."""
    kind = _resolved.get(cls)
    if kind is not None:
        return kind
    with _lock:
        for base in cls.__mro__:
            _load_built_in(base.__module__)
        found = _find(cls)
        if found is None:
            _load_entry_points()
            found = _find(cls) or _default(cls)
        if len(_resolved) > _MAX_RESOLVED:
            _resolved.clear()
        _resolved[cls] = found
        return found


def kind_named(name: str) -> ValueKind:
    """Return the kind under whose type name a value was stored.

    Raises:
        LookupError: No kind has this name, and no class can be imported by it.
    """
    with _lock:
        _load_built_in("builtins")
        _load_built_in(name)
        if name not in _names:
            _load_entry_points()
        if name in _names:
            return _names[name]
        cls = _import_class(name)
        if cls is None:
            raise LookupError(f"there is no type named {name!r}")
        return kind_of_class(cls)


def is_own_type(name: str) -> bool:
    """Tell whether values of a type name are read by code of this library. Imports no other."""
    with _lock:
        _load_built_in("builtins")
        _load_built_in(name)
        kind = _names.get(name)
    # What a class of `Value` reads is read by the class, whoever registered it.
    if kind is None or kind.reads_by_class:
        return False
    return type(kind).__module__.partition(".")[0] == __name__.partition(".")[0]


def _find(cls: type) -> ValueKind | None:
    if cls in _exact:
        return _exact[cls]
    nearest = next((_bases[base] for base in cls.__mro__ if base in _bases), None)
    # Files, handles and Value classes stay what they are, whatever methods they have.
    if nearest is not None and nearest.is_subvalue:
        return nearest
    from taskgraph.values import objects

    if callable(getattr(cls, objects.HASH_METHOD, None)):
        return objects.BY_METHOD
    # Members of a mixed-in enum (IntEnum, say) are members first: int comes earlier in their MRO.
    if issubclass(cls, enum.Enum):
        return _bases.get(enum.Enum, nearest)
    return nearest


def _default(cls: type) -> ValueKind:
    from taskgraph.values import objects

    return objects.default_kind(cls)


def _load_built_in(module: str) -> None:
    top = str(module).partition(".")[0]
    if top not in _BUILT_IN or top in _loaded:
        return
    where, function = _BUILT_IN[top]
    # First noted, then called: the kinds register themselves through the same door.
    _loaded.add(top)
    try:
        getattr(import_module(where), function)()
        if top == "builtins":
            module, register_code = _CODE
            getattr(import_module(module), register_code)()
    except ImportError:
        _loaded.discard(top)
        raise


def _load_entry_points() -> None:
    if ENTRY_POINT_GROUP in _loaded:
        return
    _loaded.add(ENTRY_POINT_GROUP)
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        # A distribution that cannot be loaded costs its own kinds only: its values then are of
        # the default kind, so their keys change and nothing wrong is found.
        try:
            add_kinds: Callable[[Callable[..., None]], object] = entry_point.load()
            add_kinds(register)
        except Exception as error:
            warnings.warn(
                f"Entry point {entry_point.value!r} of group {ENTRY_POINT_GROUP} cannot be used: "
                f"{type(error).__name__}: {error}. Its kinds of values are not known.",
                RuntimeWarning,
                stacklevel=2,
            )


def _import_class(name: str) -> type | None:
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError):
            continue
        return found if isinstance(found, type) else None
    return None
