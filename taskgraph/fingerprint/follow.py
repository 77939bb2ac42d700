"""Follows what a function reaches, object by object, in the program as it is loaded.

Each thing that is reached is a piece: a function, a class, a value, a name of something outside. A
piece says what it is and which other pieces it refers to, in order. So all of them make a graph,
with cycles, and the hash of a piece is a hash over everything that can be reached from it. Which
objects names stand for is asked of the running program, what a piece says is taken from its source.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from taskgraph.fingerprint.describe import describe
from taskgraph.fingerprint.guards import Guard, content_of, is_value
from taskgraph.fingerprint.parts import STANDS_FOR_NOTHING, Fingerprint, Part, PartKind, make_part
from taskgraph.fingerprint.pieces import Binding, Mode, Piece
from taskgraph.fingerprint.references import References
from taskgraph.fingerprint.sources import files_at_rest
from taskgraph.fingerprint.state import States, Touch
from taskgraph.hashing import hash_record
from taskgraph.values.cycles import hash_graph
from taskgraph.values.kinds import class_name
from taskgraph.values.preview import preview

TASK_ROLE = "task"
# Some objects make new ones whenever they are looked at.
_DEEPEST = 20_000


class Follower:
    """Everything that was reached until now; good for as long as the program does not change.

    Attributes:
        states: By which values variables count.

    Args:
        states: The same, of another follower that is at work now.
        is_watching: Whether to take note of all that a `Guard` over code has to know.
    """

    def __init__(self, states: States, *, is_watching: bool = False) -> None:
        self._pieces: list[Piece] = []
        self._index: dict[tuple[str, int], int] = {}
        self._waiting: list[int] = []
        self._hashes: dict[tuple[int, int], str] = {}
        self._surface: dict[int, str] = {}
        self._fingerprints: dict[int, Fingerprint] = {}
        self._looks_at = Mode.PLAIN
        self.states = states
        self._is_watching = is_watching
        self._references = References(self.enter, states, is_watching)
        self._is_exploring = False
        self._depth = 0
        self._last_reached: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return len(self._pieces)

    # What is asked

    def fingerprint(self, value: Any, role: str = "") -> Fingerprint:
        """Return what counts of a function, a class or anything that can be called.

        Args:
            value: What is asked about.
            role: ``task`` for the function of a task: its defaults are arguments of its calls.
        """
        root = self._explore(value, role if isinstance(value, types.FunctionType) else "")
        known = self._fingerprints.get(root)
        if known is None:
            reached = self._reached(root)
            mode = self._mode(reached)
            if role:  # what calls itself is not told of twice
                itself = self._index.get(("", id(value)))
                reached = [each for each in reached if each != itself]
            known = self._fingerprints[root] = Fingerprint(
                self._code_hash(root, mode),
                lambda: tuple(self._parts(reached, mode)),
                lambda: tuple(self._tasks(reached)),
            )
        return known

    def guard(self, value: Any, role: str = "", *, is_frozen: bool = False) -> Guard:
        """Return a guard over all that the fingerprint of a function rests on.

        Args:
            value: The function.
            role: As above.
            is_frozen: Whether to guard only what variables hold.
        """
        pieces = self._pieces_below(value, role)
        names = (each for piece in pieces for each in piece.seen)
        return Guard(names, pieces, self.states, is_frozen=is_frozen)

    def touches(self, value: Any, role: str = "") -> list[Touch]:
        """Return the variables that the code of a function may change, and by which code each."""
        return [each for piece in self._pieces_below(value, role) for each in piece.touches]

    def _pieces_below(self, value: Any, role: str) -> list[Piece]:
        root = self._explore(value, role if isinstance(value, types.FunctionType) else "")
        return [self._pieces[each] for each in self._reached(root)]

    def code_hash(self, value: Any, role: str = "") -> str:
        """Return the hash of a function or class alone.

        Args:
            value: The function or class.
            role: ``behaviour`` for what the methods of a class do.
        """
        root = self._explore(value, role)
        if self._looks_at == Mode.PLAIN:
            return self._code_hash(root, Mode.PLAIN)
        return self._code_hash(root, self._mode(self._reached(root)))

    def _code_hash(self, root: int, mode: int) -> str:
        return hash_record("code", mode, self._hash(root, mode))

    # The graph

    def enter(self, value: Any, role: str = "") -> int:
        """Return the number of the piece for an object; it is described before long."""
        key = (role, id(value))
        known = self._index.get(key)
        if known is None:
            known = self._index[key] = len(self._pieces)
            piece = Piece(value, role)
            piece.depth = self._depth + 1
            self._pieces.append(piece)
            self._waiting.append(known)
        return known

    def _explore(self, value: Any, role: str) -> int:
        if self._is_exploring:
            # A hook of a value, while it is looked at, asks about code itself.
            raise RecursionError("the code of a value is asked for while that value is followed")
        self._is_exploring = True
        self._depth = 0
        try:
            with files_at_rest():
                return self._explore_from(self.enter(value, role))
        finally:
            self._is_exploring = False

    def _explore_from(self, root: int) -> int:
        foreign: list[Piece] = []
        while self._waiting:
            piece = self._pieces[self._waiting.pop()]
            self._depth = piece.depth
            if piece.depth > _DEEPEST:
                piece.fail(type(piece.value).__name__, "it goes on without an end")
                continue
            describe(piece, self._references)
            if is_value(piece):
                piece.content = content_of(piece.value, is_brief=not self._is_watching)
            self._looks_at |= piece.looks_at
            if piece.is_foreign:
                foreign.append(piece)
        for piece in foreign:
            self._give_up_if_unstable(piece)
        return root

    def _give_up_if_unstable(self, piece: Piece) -> None:
        """Let the type alone count of an object from outside that holds what has no stable hash.

        A lock in it says that it is a thing that works, a pool or a connection, and what else it
        holds is of no more meaning. Objects of the user's own classes count as far as they can.
        """
        waiting = list(piece.children)
        seen: set[int] = set()
        while waiting:
            each = waiting.pop()
            inner = self._pieces[each]
            if each in seen or inner.is_code:
                continue
            seen.add(each)
            if inner.unfollowed:
                kept = [child for child in piece.children if self._pieces[child].is_code]
                piece.give_up(inner.unfollowed, kept)
                return
            waiting += inner.children

    def _reached(self, root: int) -> list[int]:
        """Return all pieces below one, in the order in which a reader would meet them."""
        if self._last_reached[0] != root:
            reached: dict[int, None] = {}
            waiting = [root]
            while waiting:
                each = waiting.pop()
                if each not in reached:
                    reached[each] = None
                    waiting += reversed(self._pieces[each].children)
            self._last_reached = (root, list(reached))
        return self._last_reached[1]

    def _mode(self, reached: Iterable[int]) -> int:
        mode = Mode.PLAIN
        if self._looks_at != Mode.PLAIN:
            for each in reached:
                mode |= self._pieces[each].looks_at
        return mode

    # Hashes

    def _hash(self, root: int, mode: int) -> str:
        hashes = self._hashes
        if (root, mode) not in hashes:
            new: dict[int, None] = {}
            waiting = [root]
            while waiting:
                each = waiting.pop()
                if each not in new and (each, mode) not in hashes:
                    new[each] = None
                    waiting += self._pieces[each].children
            found = self._hash_pieces(list(new), lambda each: hashes[each, mode], mode)
            hashes.update({(each, mode): value for each, value in found})
        return hashes[root, mode]

    def _surface_hash(self, root: int) -> str:
        """Return the hash of a value in which code counts by its name: that has its own parts."""
        surface = self._surface
        new: dict[int, None] = {}
        waiting = [root]
        while waiting:
            each = waiting.pop()
            if each in surface or each in new:
                continue
            piece = self._pieces[each]
            if piece.is_code:
                surface[each] = hash_record("named", piece.label)
                continue
            new[each] = None
            waiting += piece.children
        surface.update(self._hash_pieces(list(new), surface.__getitem__, Mode.PLAIN))
        return surface[root]

    def _hash_pieces(
        self, new: Sequence[int], known: Callable[[int], str], mode: int
    ) -> list[tuple[int, str]]:
        """Hash pieces that may refer to each other, and to others that have their hash."""
        place = {each: position for position, each in enumerate(new)}
        outer: list[str] = []
        edges: list[list[int]] = []
        for each in new:
            children = self._pieces[each].children
            for child in children:
                if child not in place:
                    place[child] = len(new) + len(outer)
                    outer.append(known(child))
            edges.append([place[child] for child in children])
        edges += [[] for _ in outer]

        def combine(position: int, inner: Sequence[str]) -> str:
            if position >= len(new):
                return outer[position - len(new)]
            return self._pieces[new[position]].combine(inner, mode)

        return list(zip(new, hash_graph(edges, combine), strict=False))

    # Parts

    def _parts(self, reached: Sequence[int], mode: int) -> Iterator[Part]:
        seen: set[str] = set()
        for each in reached:
            piece = self._pieces[each]
            named = (part for binding in piece.bindings for part in self._parts_named(binding))
            for part in (*piece.parts(mode), *named):
                if part.part_hash not in seen:
                    seen.add(part.part_hash)
                    yield part
        yield from self._functions_of_tasks(reached)

    def _tasks(self, reached: Iterable[int]) -> Iterator[Any]:
        for each in reached:
            part = self._pieces[each].own_part
            if part is not None and part[0] is PartKind.TASK:
                yield self._pieces[each].value

    def _functions_of_tasks(self, reached: Sequence[int]) -> Iterator[Part]:
        """Yield a part for code that may call the functions of tasks: these are not followed."""
        pieces = [self._pieces[each] for each in reached]
        if any(each.own_part and each.own_part[0] is PartKind.TASK for each in pieces):
            why = "it takes the functions of tasks that only show at run time"
            for each in pieces:
                if each.takes_functions:
                    yield make_part(PartKind.UNFOLLOWED, each.label, why)

    def _parts_named(self, binding: Binding) -> Iterator[Part]:
        """Yield what is to be told of a name: the value that it stands for, above all."""
        if binding.target is None:
            yield make_part(PartKind.NAME, binding.name, STANDS_FOR_NOTHING)
            return
        target = self._pieces[binding.target]
        if target.is_code:
            if not _is_named_so(binding.name, target.label):
                yield make_part(PartKind.NAME, binding.name, target.label)
            return
        yield from self._unfollowed_in(binding.target, binding.name)
        if not target.unfollowed:
            surface = self._surface_hash(binding.target)
            yield make_part(binding.kind, binding.name, preview(target.value), surface)

    def _unfollowed_in(self, value: int, name: str) -> Iterator[Part]:
        """Yield a part for each place in a value that has no stable hash."""
        waiting = [(value, name)]
        seen: set[int] = set()
        while waiting:
            each, path = waiting.pop()
            piece = self._pieces[each]
            if each in seen or piece.is_code:
                continue
            seen.add(each)
            if piece.unfollowed:
                kind = class_name(type(piece.value))
                yield make_part(PartKind.UNFOLLOWED, path, piece.unfollowed, kind)
            elif piece.shape is not None:
                label = piece.shape.label
                waiting += [(c, path + label(i)) for i, c in enumerate(piece.children)]


def _is_named_so(name: str, label: str) -> bool:
    last = name.rpartition(": ")[2]
    return last.rpartition(".")[2] == label.rpartition(".")[2]
