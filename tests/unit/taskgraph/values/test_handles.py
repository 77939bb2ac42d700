"""Handles by themselves: what they are made of, how they connect, what they come to."""

from __future__ import annotations

import copy
import gc
import pickle
import sqlite3
from typing import Any

import pytest

from taskgraph import Handle
from taskgraph.errors import HandleError
from taskgraph.values import handles
from taskgraph.values.codec import decode, encode
from taskgraph.values.handles import HandleState, find_handles, merged, with_parents
from taskgraph.values.kinds import class_name
from taskgraph.values.pack import pack
from taskgraph.values.registry import kind_of
from taskgraph.values.value import hooked_classes
from taskgraph.values.weigh import hash_value

connected: list[Service] = []
CALL = "c" * 32


class Connection:
    """What a service gives; counts how often it was closed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.closed = 0

    def ask(self, question: str) -> str:
        """Return an answer."""
        return f"{self.address}: {question}"

    def close(self) -> None:
        """Take note."""
        self.closed += 1


class Service(Handle):
    """A service at an address."""

    greeting = "hello"

    def __init__(self, name: str, address: str = "here", *, password: str = "") -> None:
        connected.append(self)
        self.port = 5432
        self.instance = Connection(address)

    def greet(self) -> str:
        """Use the connection."""
        return str(self.instance.ask(self.greeting))


class Scoped(Handle):
    """One that wants to know its namespace."""

    def __init__(self, name: str, namespace: str = "") -> None:
        self.instance = namespace


@pytest.fixture(autouse=True)
def _none_is_connected() -> None:
    connected.clear()


def test_a_handle_knows_what_it_was_made_with() -> None:
    handle = Service("main", "there", password="secret", namespace="work")
    state = handle.__handle__

    assert (state.name, state.namespace, state.fullname) == ("main", "work", "work.main")
    assert (state.args, state.kwargs) == (("there",), {"password": "secret"})
    assert state.class_name == class_name(Service)
    assert (state.call_hash, state.key, len(state.hash)) == ("", "", 32)
    assert state.is_initial
    assert handles.met


def test_the_state_is_all_of_it_but_the_full_name() -> None:
    state = Service("main").__getstate__()

    assert set(state) == {
        *("name", "namespace", "args", "kwargs", "class_name", "call_hash", "key", "hash")
    }


def test_attributes_are_those_of_the_connection() -> None:
    handle = Service("main", "there")

    assert handle.ask("who?") == "there: who?"
    assert (handle.address, handle.port, handle.greet()) == ("there", 5432, "there: hello")
    with pytest.raises(AttributeError, match="no attribute 'tell'"):
        handle.tell("it")


def test_the_namespace_is_handed_to_those_who_want_it() -> None:
    assert Scoped("main", namespace="work").instance == "work"
    assert pickle.loads(pickle.dumps(Scoped("main", namespace="work"))).instance == "work"


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))]
)
def test_a_copy_connects_when_it_is_used(again: Any) -> None:
    handle = Service("main", "there")

    made = again(handle)
    assert connected == [handle]
    assert made.ask("who?") == "there: who?"

    assert connected == [handle, made]
    assert made.__handle__ == handle.__handle__
    assert made.instance is not handle.instance


def test_what_was_connected_for_a_call_is_closed_with_it() -> None:
    mine = Service("main")
    fork = mine.fork("a")
    own, other = mine.instance, fork.instance

    connected.clear()
    del mine, fork
    gc.collect()

    assert (own.closed, other.closed) == (0, 1)


def test_a_closed_handle_connects_again() -> None:
    handle = Service("main")
    before = handle.instance

    handle.close()
    handle.close()

    assert before.closed == 1
    assert handle.greet() == "here: hello"
    assert handle.instance is not before


def test_a_connection_that_fails_says_so_each_time() -> None:
    class Broken(Handle):
        def __init__(self, name: str) -> None:
            if connected:
                raise ConnectionError("it is gone")
            self.instance = None

    fork = Broken("main").fork("a")
    connected.append(Service("any"))

    for _ in range(2):
        with pytest.raises(ConnectionError, match="it is gone"):
            fork.ask("who?")


def test_an_attribute_that_init_looks_for_too_early_is_missing() -> None:
    class Early(Handle):
        def __init__(self, name: str) -> None:
            self.early = self.late
            self.instance = None

    with pytest.raises(AttributeError, match="has not set 'late' yet"):
        Early("main")


def test_the_hash_tells_services_apart() -> None:
    class Other(Service):
        pass

    handles = [
        Service("main"),
        Service("other"),
        Service("main", "there"),
        Service("main", password="x"),
        Service("main", namespace="work"),
        Other("main"),
        Service("main").fork("a"),
        Service("main").fork("b"),
        Service("main").fork("a").fork("a"),
        Service("main").apply_call(CALL),
        Service("main").apply_call("d" * 32),
        Service("main").fork("a").apply_call(CALL),
        merged([Service("main").fork("a"), Service("main").fork("b")]),
    ]

    hashes = [each.__handle__.hash for each in handles]
    assert len(set(hashes)) == len(hashes)
    assert [hash_value(each) for each in handles] == hashes
    assert [each.get_hash() for each in handles] == hashes


def test_the_same_chain_has_the_same_hash() -> None:
    def chain() -> str:
        return Service("main").fork("a").apply_call(CALL).fork("b").__handle__.hash

    assert chain() == chain()


def test_forks_and_calls_are_noted() -> None:
    fork = Service("main").fork("a")
    after = fork.apply_call(CALL)

    assert (fork.__handle__.key, fork.__handle__.call_hash) == ("a", "")
    assert (after.__handle__.key, after.__handle__.call_hash) == ("", CALL)
    assert not fork.__handle__.is_initial
    assert not after.__handle__.is_initial
    assert after.__handle__.parents == (fork,)
    assert type(after) is Service


def test_keys_of_calls_are_not_for_users() -> None:
    with pytest.raises(HandleError, match="does not begin with '#'"):
        Service("main").fork("#0")


def test_the_order_of_merged_branches_does_not_count() -> None:
    left, right = Service("main").fork("a"), Service("main").fork("b")

    assert merged([left, right]).__handle__.hash == merged([right, left]).__handle__.hash


@pytest.mark.parametrize("wrong", [[], ["main"]])
def test_merging_needs_handles(wrong: Any) -> None:
    with pytest.raises(HandleError, match="at least one"):
        merged(wrong)


def test_two_services_cannot_be_merged() -> None:
    with pytest.raises(HandleError, match="'other': they stand for two services"):
        merged([Service("main"), Service("other")])


def test_passwords_are_not_shown() -> None:
    handle = Service("main", password="secret").fork("a")

    assert "secret" not in repr(handle) + repr(handle.__handle__)
    assert kind_of(handle).preview(handle).startswith("Service('main', key='a', hash=")


def test_the_past_that_is_not_recorded_goes_along() -> None:
    first = Service("main")
    last = pickle.loads(pickle.dumps(first.fork("a").fork("b")))

    assert len(with_parents([last, last])) == 3
    assert last.recorded().__handle__ == HandleState(
        **{**last.__getstate__(), "parents": ()}  # the same, and nothing behind it
    )


def test_handles_are_stored_without_their_connection() -> None:
    handle = Service("main", "there").fork("a")

    record = pack([handle]).values[1]
    made = decode(*record[:4], record.content_digest)

    assert made.__handle__.hash == record.value_hash == handle.__handle__.hash
    assert "instance" not in vars(made)
    assert encode(made)[0] == "pickle"


def test_handles_are_found_at_any_depth() -> None:
    one, two = Service("one"), Service("two")

    assert find_handles({"a": [one, (two, one)], "b": 5}) == [one, two]
    assert find_handles([sqlite3, 5]) == []


def test_a_handle_without_a_connection_of_its_own_has_none() -> None:
    assert Handle("main").instance is None


def test_a_handle_is_not_asked_what_it_becomes() -> None:
    class Eager(Handle):
        def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
            raise AssertionError("the engine makes branches")

    assert Eager not in hooked_classes()
