"""Values that contain themselves: one hash for all ways to write a cycle down, in any depth."""

from __future__ import annotations

import collections
import copy
import itertools
import pickle
import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph.hashing import hash_record
from taskgraph.values import codec, walk
from taskgraph.values.cycles import hash_graph
from taskgraph.values.pack import pack
from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value


class Person:
    def __init__(self, name: str) -> None:
        self.name = name
        self.friends: list[Any] = []


@dataclass
class Branch:
    name: str
    below: list[Branch] = field(default_factory=list)
    above: Branch | None = None

    __hash__ = object.__hash__


class Reduced:
    def __init__(self, number: int) -> None:
        self.number = number
        self.inside: Any = None

    def __reduce__(self) -> Any:
        return Reduced, (self.number,), {"inside": self.inside}


def ring(size: int, marked: int | None = None) -> list[Any]:
    """Return lists that hold each other in a ring, one of them with another number."""
    first: list[Any] = []
    last = first
    for position in range(size):
        following = first if position == size - 1 else []
        last += [int(position == marked), following]
        last = following
    return first


def in_list() -> Any:
    value: list[Any] = [1]
    value.append(value)
    return value


def in_dict() -> Any:
    value: dict[str, Any] = {"a": {1: [2]}}
    value["a"]["me"] = value
    return value


def in_tuple() -> Any:
    value: list[Any] = []
    value.append((1, value))
    return value[0]


def in_instance() -> Any:
    one, two = Person("one"), Person("two")
    one.friends, two.friends = [two, one], [one]
    return one


def in_dataclass() -> Any:
    root = Branch("root")
    root.below = [Branch("a", [], root), Branch("b", [], root)]
    return root


def in_set() -> Any:
    one, two, three = (Person(name) for name in ("1", "2", "3"))
    one.friends = {two, three, one}  # type: ignore[assignment]
    two.friends, three.friends = [three], [two]
    return one


def in_reduced() -> Any:
    value = Reduced(1)
    value.inside = [Reduced(2), value]
    return value


def in_deque() -> Any:
    value: Any = collections.deque([1], maxlen=3)
    value.append([value])
    return value


def beside_a_path() -> Any:
    value: dict[Any, Any] = {"path": PurePosixPath("a"), (1, 2): frozenset({3})}
    value["again"] = [value, value]
    return value


MAKERS = [
    in_list,
    in_dict,
    in_tuple,
    in_instance,
    in_dataclass,
    in_set,
    in_reduced,
    in_deque,
    beside_a_path,
]
PARAMS = pytest.mark.parametrize("make", MAKERS)


@PARAMS
def test_copies_have_the_hash_of_the_original(make: Any) -> None:
    value = make()

    assert hash_value(copy.deepcopy(value)) == hash_value(value)
    assert hash_value(pickle.loads(pickle.dumps(value))) == hash_value(value)
    assert hash_value(make()) == hash_value(value)
    assert hash_value([make(), value]) == hash_value([value, value])


@PARAMS
def test_a_stored_cycle_comes_back(make: Any) -> None:
    value = make()
    record = pack(value).values[0]

    again = codec.decode(
        record.value_hash, record.type, record.format, record.value, record.content_digest
    )

    assert hash_value(again) == record.value_hash
    assert len(record.preview) <= 120


@PARAMS
def test_searches_and_previews_end(make: Any) -> None:
    value = make()

    assert walk.find_live(value) == []
    assert walk.find_unread([value]) == []
    assert len(preview([value, value])) <= 120


def test_different_cycles_differ() -> None:
    hashes = [hash_value(make()) for make in MAKERS]
    hashes += [hash_value(ring(size, 0)) for size in (2, 3, 6)]
    hashes += [hash_value(ring(6, marked)) for marked in (1, 2, 3)]

    assert len(set(hashes)) == len(hashes)


def test_a_cycle_written_out_once_more_is_the_same() -> None:
    once = ring(3, 1)
    twice = ring(3, 1)
    end = twice[1][1]
    end[1] = ring(3, 1)

    assert hash_value(twice) == hash_value(once)
    assert hash_value(ring(4)) == hash_value(ring(1))
    assert hash_value([0, once]) == hash_value([0, twice])
    assert hash_value(once[1]) == hash_value(ring(3, 0))


def test_what_is_in_no_cycle_keeps_its_hash() -> None:
    plain, path = {"a": [1, {2}]}, [PurePosixPath("a"), (1,)]
    edges = [[1, 2], [1], [3], []]
    combined = hash_graph(edges, lambda node, inside: hash_record("test", node, *inside))

    assert combined[3] == hash_record("test", 3)
    assert combined[2] == hash_record("test", 2, combined[3])
    assert combined[0] == hash_record("test", 0, combined[1], combined[2])
    cycle: list[Any] = [plain, path]
    cycle.append(cycle)
    other: list[Any] = [copy.deepcopy(plain), copy.deepcopy(path)]
    other.append(other)
    assert hash_value(cycle) == hash_value(other)


def test_the_order_in_a_set_of_instances_does_not_count() -> None:
    hashes = set()
    for order in itertools.permutations("abcd"):
        people = [Person(name) for name in order]
        club = {"members": set(people)}
        for each in people:
            each.friends = [club]
        hashes.add(hash_value(club))

    assert len(hashes) == 1


@pytest.mark.parametrize("marked", [None, 0, 4_000])
def test_depth_and_size_of_cycles_cost_no_square(marked: int | None) -> None:
    started = time.process_time()

    value = ring(10_000, marked)
    again = codec.loads(codec.dumps(value))

    assert hash_value(again) == hash_value(value)
    assert hash_value(ring(10_001, marked)) != hash_value(value) or marked is None
    assert time.process_time() - started < 30


def test_deep_cycles_of_instances_come_back() -> None:
    people = [Person(str(number)) for number in range(2_000)]
    for one, two in itertools.pairwise([*people, people[0]]):
        one.friends = [two, (two, {"first": people[0]})]

    again = codec.loads(codec.dumps(people[0]))

    assert hash_value(again) == hash_value(people[0])


graphs = st.integers(1, 7).flatmap(
    lambda size: st.lists(
        st.tuples(
            st.sampled_from("lds"),
            st.integers(0, 1),
            st.lists(st.integers(0, size - 1), max_size=3),
        ),
        min_size=size,
        max_size=size,
    )
)


class Bag:
    """An instance, so that it can lie in a set."""

    def __init__(self, label: int) -> None:
        self.label = label
        self.inside: Any = None


def build(graph: Any) -> list[Any]:
    nodes: list[Any] = [Bag(label) for _, label, _ in graph]
    for node, (sort, _, inside) in zip(nodes, graph, strict=True):
        held = [nodes[each] for each in inside]
        node.inside = {"l": list, "s": set, "d": lambda each: dict(enumerate(each))}[sort](held)
    return nodes


def same_nodes(graph: Any) -> list[int]:
    """Return the sort of each node, by the definition: told apart until nothing more can be."""
    sorts = [0] * len(graph)
    while True:
        looks = []
        for position, (sort, label, inside) in enumerate(graph):
            held: Any = [sorts[each] for each in inside]
            if sort == "s":
                # A set holds each instance once, and those that are the same as often as they are.
                held = sorted(sorts[each] for each in set(inside))
            looks.append((sorts[position], sort, label, tuple(held)))
        numbers = {look: number for number, look in enumerate(dict.fromkeys(looks))}
        if len(numbers) == len(set(sorts)):
            return sorts
        sorts = [numbers[look] for look in looks]


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(graph=graphs, other=graphs)
def test_two_nodes_have_one_hash_exactly_if_all_ways_from_them_lead_to_the_same(
    graph: Any, other: Any
) -> None:
    size = len(graph)
    moved = [(sort, label, [each + size for each in inside]) for sort, label, inside in other]
    both = [*graph, *moved]

    hashes = [hash_value(node) for node in [*build(graph), *build(other)]]

    sorts = same_nodes(both)
    for one, two in itertools.combinations(range(len(both)), 2):
        assert (hashes[one] == hashes[two]) == (sorts[one] == sorts[two])


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(graph=graphs)
def test_any_graph_comes_back_from_the_deep_pickler(graph: Any) -> None:
    value = build(graph)

    again = codec.loads(codec._pickle_deep(value))

    assert hash_value(again) == hash_value(value)
    assert [id(each) for each in again].index(id(again[0])) == 0
