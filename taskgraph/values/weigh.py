"""The scales: from any value to its hash, and to the subvalues that were met on the way.

Never recursive, so that depth costs memory only. Every value inside that is made of builtins alone
goes through `hash_builtin`, everything else is hashed by its shape over the hashes of its children:
which way is taken depends on the content alone, and what is shared in memory never shows. A value
that contains itself is gone through once more as a graph, for in a cycle there is no bottom.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from taskgraph.errors import UnhashableValueError
from taskgraph.hashing import (
    ATOMIC_TYPES,
    BUILTIN_TYPES,
    CONTAINER_TYPES,
    LARGE,
    MARSHAL_VERSION,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_SET_LEVELS,
    PLAIN,
    ValueHash,
    digest_value,
    hash_builtin,
    hash_proven,
    hash_shape,
    look_inside,
)
from taskgraph.values import walk
from taskgraph.values.cycles import hash_graph
from taskgraph.values.kinds import Shape, ValueKind, class_name, overrides
from taskgraph.values.registry import kind_of, shape_of

# Small enough to be looked up without a proof that they are builtins: they cannot be anything else,
# and marshal accepts all of them.
_SMALL_TYPES = frozenset({int, float, bool, type(None)})
# The same, as long as they are not large.
_SHORT_TYPES = frozenset({str, bytes})
# So many items may be looked at in vain before the purity of all of them is noted bottom-up.
_PATIENCE = 200_000


class Subvalue(NamedTuple):
    """A value found inside another one, with the nearest recorded value around it."""

    value: Any
    value_hash: ValueHash
    kind: ValueKind
    parent_hash: ValueHash


class Weight(NamedTuple):
    """What a value weighs: its hash, and what lies inside that is recorded as well."""

    value_hash: ValueHash
    subvalues: tuple[Subvalue, ...] = ()


def hash_value(value: Any, path: str = "value") -> ValueHash:
    """Return the hash of any value.

    Args:
        value: The value.
        path: What to call it in an error.

    Raises:
        UnhashableValueError: Something inside has no stable hash; names the path to it.
    """
    cls = type(value)
    if cls in _SMALL_TYPES or (cls in _SHORT_TYPES and len(value) < LARGE):
        return digest_value(PLAIN + marshal.dumps(value, MARSHAL_VERSION))
    if cls is list or cls is tuple:
        found = hash_builtin(value)
    else:
        found = hash_proven(value) if look_inside(value) > 0 else None
    return found or _weigh(value, path).value_hash


def weigh(value: Any, path: str = "value") -> Weight:
    """Return the hash of any value with the subvalues inside it.

    Args:
        value: The value.
        path: What to call it in an error.

    Raises:
        UnhashableValueError: Something inside has no stable hash; names the path to it.
    """
    value_hash = hash_builtin(value)
    if value_hash is not None:
        return Weight(value_hash)
    root = _weigh(value, path)
    return Weight(root.value_hash, _find_subvalues(root) if root.holds_subvalues else ())


def _weigh(value: Any, path: str) -> _Node:
    try:
        return _Walk(path).weigh(value)
    except _CycleMet:
        return _GraphWalk(path).weigh(value)


def _hash_leaf(value: Any) -> ValueHash | None:
    """Return the hash of a leaf, None of any other value."""
    kind = kind_of(value)
    if not kind.is_leaf(value):
        return None
    shape = kind.shape(value)
    hashes = [hash_value(each) for each in shape.children]
    return hash_shape(shape.tag, shape.state, hashes, ordered=shape.ordered)


class _CycleMet(Exception):
    """A value that is being gone through was met again inside itself."""


class _Node:
    """A value that is not made of builtins alone, while and after it is hashed.

    The first ``counted`` of its children make its hash; the others are only searched.
    """

    __slots__ = (
        "children",
        "counted",
        "hashes",
        "holds_subvalues",
        "inner",
        "kind",
        "position",
        "shape",
        "value",
        "value_hash",
    )

    def __init__(self, value: Any, kind: ValueKind) -> None:
        self.value = value
        self.kind = kind
        self.shape: Shape | None = None
        self.children: Sequence[Any] = ()
        self.counted = 0
        self.position = 0
        self.hashes: list[str] = []
        self.inner: list[_Node] = []
        self.holds_subvalues = kind.is_subvalue
        self.value_hash = ValueHash("")
        own = kind.own_hash(value)
        if own is not None:
            self.value_hash = own
            if overrides(kind, "subvalues"):
                self.children = kind.subvalues(value)
            return
        shape = shape_of(value, kind)
        self.shape = shape
        self.children = shape.children
        self.counted = len(shape.children)
        if overrides(kind, "subvalues"):
            extra = kind.subvalues(value)
            if extra is not shape.children:
                known = set(map(id, shape.children))
                extra = [each for each in extra if id(each) not in known]
                if extra:
                    self.children = [*shape.children, *extra]

    def finish(self) -> None:
        if self.shape is None:
            return
        self.value_hash = self.combine(self.hashes)
        # Its buffers may be copies as large as the value.
        self.shape = None

    def combine(self, hashes: Sequence[str]) -> ValueHash:
        shape = self.shape
        if shape is None:
            return self.value_hash
        return hash_shape(
            shape.tag, shape.state, hashes, buffers=shape.buffers, ordered=shape.ordered
        )


class _Walk:
    """One way through a value, from the bottom up; what was met is not gone through twice."""

    def __init__(self, path: str) -> None:
        self._path = path
        # By identity, which is sound while the values live: each is held by a node or by the
        # children of one until the walk is over.
        self._nodes: dict[int, _Node] = {}
        self._plain: dict[int, ValueHash] = {}
        self._open: set[int] = set()
        self._stack: list[_Node] = []
        self._in_vain = 0
        self._purity: _Purity | None = None

    def weigh(self, value: Any) -> _Node:
        stack = self._stack
        stack.append(self._enter(value))
        while True:
            node = stack[-1]
            if self._fill(node):
                node.finish()
                stack.pop()
                self._open.discard(id(node.value))
                self._nodes[id(node.value)] = node
                if not stack:
                    return node
                self._add(stack[-1], node)

    def _fill(self, node: _Node) -> bool:
        """Hash children until there are no more (True) or one must be gone through (False)."""
        children = node.children
        total = len(children)
        append = node.hashes.append
        position = node.position
        while position < total:
            child = children[position]
            position += 1
            cls = type(child)
            if cls in _SMALL_TYPES or (cls in _SHORT_TYPES and len(child) < LARGE):
                append(digest_value(PLAIN + marshal.dumps(child, MARSHAL_VERSION)))
                continue
            plain = None
            if cls in ATOMIC_TYPES:
                plain = hash_builtin(child)
            elif cls in CONTAINER_TYPES:
                plain = self._plain.get(id(child)) or self._hash_container(child)
            else:
                plain = _hash_leaf(child)
            if plain is not None:
                append(plain)
                continue
            node.position = position
            known = self._nodes.get(id(child))
            if known is not None:
                self._add(node, known)
                continue
            self._stack.append(self._enter(child))
            return False
        node.position = position
        return True

    def _add(self, node: _Node, child: _Node) -> None:
        node.hashes.append(child.value_hash)
        if child.holds_subvalues:
            node.holds_subvalues = True
            node.inner.append(child)

    def _hash_container(self, value: Any) -> ValueHash | None:
        """Return the hash of a container of builtins alone, None of any other one."""
        if id(value) in self._nodes:
            return None
        if self._purity is not None:
            is_plain = self._purity.check(value)
        else:
            seen = look_inside(value)
            is_plain = seen > 0
            if not is_plain:
                self._in_vain -= seen
                if self._in_vain > _PATIENCE:
                    self._purity = _Purity()
        if not is_plain:
            return None
        plain = hash_proven(value)
        if plain is not None:
            self._plain[id(value)] = plain
        return plain

    def _enter(self, value: Any) -> _Node:
        key = id(value)
        if key in self._open:
            raise _CycleMet
        if len(self._stack) > walk.MAX_NESTING:
            raise self._refuse(value, "it is nested without end")
        try:
            node = _Node(value, kind_of(value))
        except UnhashableValueError as error:
            where = self._where() + error.path
            raise UnhashableValueError(where, error.type_name, error.reason) from error.__cause__
        self._open.add(key)
        return node

    def _refuse(self, value: Any, reason: str) -> UnhashableValueError:
        return UnhashableValueError(self._where(), class_name(type(value)), reason)

    def _where(self) -> str:
        steps = [self._path]
        for node in self._stack:
            position = node.position - 1
            if node.shape is not None and position < node.counted:
                steps.append(node.shape.label(position))
        return _shorten(steps)


class _Place(NamedTuple):
    """A value in a graph: its node, and where it was first met."""

    node: _Node
    user: int
    position: int
    depth: int


class _GraphWalk:
    """One way through a value that contains itself: first all that is inside, then all hashes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[int, int] = {}
        self._places: list[_Place] = []
        # For each place those inside that are places too, by their positions among the children.
        self._inside: list[dict[int, int]] = []
        self._plain: list[dict[int, ValueHash]] = []
        self._purity = _Purity()

    def weigh(self, value: Any) -> _Node:
        self._enter(value, 0, 0, 0)
        waiting = [0]
        while waiting:
            found = self._search(waiting.pop())
            waiting += found[::-1]
        nodes = [place.node for place in self._places]
        counted = [
            [inside[position] for position in inside if position < node.counted]
            for node, inside in zip(nodes, self._inside, strict=True)
        ]
        for node, value_hash in zip(nodes, hash_graph(counted, self._combine), strict=True):
            node.value_hash = ValueHash(value_hash)
        self._note_subvalues()
        return nodes[0]

    def _enter(self, value: Any, user: int, position: int, depth: int) -> int:
        place = len(self._places)
        if depth > walk.MAX_NESTING:
            reason = "it is nested without end"
            where = self._where(user, position)
            raise UnhashableValueError(where, class_name(type(value)), reason)
        try:
            node = _Node(value, kind_of(value))
        except UnhashableValueError as error:
            where = self._where(user, position) + error.path
            raise UnhashableValueError(where, error.type_name, error.reason) from error.__cause__
        self._known[id(value)] = place
        self._places.append(_Place(node, user, position, depth))
        self._inside.append({})
        self._plain.append({})
        return place

    def _search(self, place: int) -> list[int]:
        """Note what lies in a place, and return what is met for the first time."""
        node, *_, depth = self._places[place]
        inside, plain = self._inside[place], self._plain[place]
        found: list[int] = []
        for position, child in enumerate(node.children):
            own = self._hash_plain(child)
            if own is not None:
                plain[position] = own
                continue
            known = self._known.get(id(child))
            if known is None:
                known = self._enter(child, place, position, depth + 1)
                found.append(known)
            inside[position] = known
        return found

    def _hash_plain(self, child: Any) -> ValueHash | None:
        if type(child) in ATOMIC_TYPES:
            return hash_builtin(child)
        if type(child) in CONTAINER_TYPES and self._purity.check(child):
            return hash_proven(child)
        return None

    def _combine(self, place: int, hashes: Sequence[str]) -> str:
        node = self._places[place].node
        plain, rest = self._plain[place], iter(hashes)
        return node.combine([plain.get(each) or next(rest) for each in range(node.counted)])

    def _note_subvalues(self) -> None:
        users: list[list[int]] = [[] for _ in self._places]
        for place, inside in enumerate(self._inside):
            for each in dict.fromkeys(inside.values()):
                users[each].append(place)
        waiting = [i for i, each in enumerate(self._places) if each.node.holds_subvalues]
        while waiting:
            for user in users[waiting.pop()]:
                node = self._places[user].node
                if not node.holds_subvalues:
                    node.holds_subvalues = True
                    waiting.append(user)
        for place, inside in enumerate(self._inside):
            nodes = [self._places[each].node for each in dict.fromkeys(inside.values())]
            self._places[place].node.inner += [each for each in nodes if each.holds_subvalues]

    def _where(self, place: int, position: int) -> str:
        steps: list[str] = []
        while self._places:
            node, user, above, _ = self._places[place]
            if node.shape is not None and position < node.counted:
                steps.append(node.shape.label(position))
            if place == 0:
                break
            place, position = user, above
        return _shorten([self._path, *steps[::-1]])


def _shorten(steps: list[str]) -> str:
    if len(steps) > 40:
        steps = [*steps[:20], f"...({len(steps) - 40} more)...", *steps[-20:]]
    return "".join(steps)


class _Purity:
    """Which containers are made of builtins alone, noted once for each of them, bottom-up.

    The same answers as `look_inside` gives, which starts anew for each container: in a value
    where most of them are not pure, asking it for each one would cost the square of the depth.
    """

    def __init__(self) -> None:
        # Containers inside, height, and a bit for each level that holds a set; None if not pure.
        self._known: dict[int, tuple[int, int, int] | None] = {}
        self._kept: list[Any] = []

    def check(self, value: Any) -> bool:
        known = self._known
        if id(value) in known:
            return known[id(value)] is not None
        self._kept.append(value)
        stack: list[tuple[Any, list[Any], Iterator[Any], bool]] = []
        is_open: set[int] = set()

        def enter(container: Any) -> None:
            inside = _items(container)
            types = set(map(type, inside))
            is_pure = types <= BUILTIN_TYPES
            nested = (
                [] if types <= ATOMIC_TYPES else [i for i in inside if type(i) in CONTAINER_TYPES]
            )
            is_open.add(id(container))
            stack.append((container, nested, iter(nested), is_pure))

        enter(value)
        while stack:
            container, nested, rest, is_pure = stack[-1]
            waiting = next((e for e in rest if id(e) not in known and id(e) not in is_open), None)
            if waiting is not None:
                enter(waiting)
                continue
            stack.pop()
            is_open.discard(id(container))
            # A container that is still open lies around this one: a cycle, which is not pure.
            known[id(container)] = self._sum_up(container, nested) if is_pure else None
        return known[id(value)] is not None

    def _sum_up(self, container: Any, nested: list[Any]) -> tuple[int, int, int] | None:
        containers, height, set_levels = 1, 1, 0
        for each in nested:
            inner = self._known.get(id(each))
            if inner is None:
                return None
            containers += inner[0]
            height = max(height, inner[1] + 1)
            set_levels |= inner[2] << 1
        if type(container) in (set, frozenset):
            set_levels |= 1
        if (
            containers > MAX_CONTAINERS
            or height > MAX_DEPTH
            or set_levels.bit_count() > MAX_SET_LEVELS
        ):
            return None
        return containers, height, set_levels


def _items(container: Any) -> list[Any]:
    if type(container) is dict:
        return [*container.keys(), *container.values()]
    return list(container)


def _find_subvalues(root: _Node) -> tuple[Subvalue, ...]:
    found: list[Subvalue] = []
    edges: set[tuple[str, str]] = set()
    searched = {root.value_hash}
    parents = [root]
    for parent in parents:
        seen: set[int] = set()
        inside = parent.inner[::-1]
        while inside:
            node = inside.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if not node.kind.is_subvalue:
                inside += node.inner[::-1]
                continue
            edge = (parent.value_hash, node.value_hash)
            if edge in edges or parent.value_hash == node.value_hash:
                continue
            edges.add(edge)
            found.append(Subvalue(node.value, node.value_hash, node.kind, parent.value_hash))
            if node.value_hash not in searched:
                searched.add(node.value_hash)
                parents.append(node)
    return tuple(found)
