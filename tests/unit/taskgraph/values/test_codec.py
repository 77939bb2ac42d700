"""The codec: what is written can be read again, and damage is told as damage."""

from __future__ import annotations

import os
import pathlib
import pickle
import subprocess
import sys
import threading
from typing import Any

import pytest

from taskgraph.errors import DamagedValueError, InvalidValueError, UnstorableValueError
from taskgraph.hashing import ValueHash, digest_bytes
from taskgraph.values import codec, walk
from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.registry import register
from taskgraph.values.unknown import UnknownFunction, is_unknown_function
from taskgraph.values.weigh import hash_value

HASH = ValueHash("ab" * 16)


def read_back(value: Any, name: str = "builtins.object") -> Any:
    format, payload = codec.encode(value)
    return codec.decode(HASH, name, format, payload, digest_bytes(payload))


class Linked:
    """Nests without end through an attribute."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


class LinkedKind(ValueKind):
    def shape(self, value: Any) -> Shape:
        return Shape("test linked", None, (value.inner,))

    def flatten(self, value: Any) -> Any:
        found = []
        while isinstance(value.inner, Linked):
            value = value.inner
            found.append(value)
        return found[::-1]


register(Linked, LinkedKind())


class Unnamed:
    def __init__(self, inner: Any) -> None:
        self.inner = inner


class DeepList(list):
    pass


def nest(cls: Any, depth: int) -> Any:
    value = cls([]) if cls is DeepList else cls(None)
    for _ in range(depth):
        value = cls([value]) if cls is DeepList else cls(value)
    return value


@pytest.mark.parametrize("value", [None, True, 1, -1.5, "a\ud800", b"\0", 1j, ..., [1, {"a": {2}}]])
def test_builtins_come_back(value: Any) -> None:
    assert read_back(value) == value
    assert codec.encode_plain(value) == codec.encode(value)


@pytest.mark.parametrize("cls", [Linked, Unnamed, DeepList])
def test_deeply_nested_values_are_written_and_read(cls: Any) -> None:
    value = nest(cls, 5000)

    again = read_back([1, {"x": value}])

    assert hash_value(again) == hash_value([1, {"x": value}])
    assert hash_value(read_back(value)) == hash_value(value)


def test_deeply_nested_lists_come_back() -> None:
    value: Any = []
    for _ in range(10_000):
        value = [value]

    assert hash_value(codec.loads(codec.dumps(value))) == hash_value(value)


def test_what_is_shared_stays_shared() -> None:
    inner = [1]

    again = read_back([inner, inner])

    assert again[0] is again[1]


def test_local_functions_and_classes_are_written_by_content() -> None:
    factor = 3

    class Local:
        def __init__(self, number: int) -> None:
            self.number = number

    format, payload = codec.encode([lambda x: x * factor, Local(2)])
    function, instance = codec.loads(payload)

    assert format == codec.CLOUDPICKLE
    assert function(2) == 6
    assert instance.number == 2


def test_deeply_nested_values_with_local_functions_are_written() -> None:
    value: Any = lambda: 42  # noqa: E731
    for _ in range(3000):
        value = [value]

    again = read_back(value)
    while isinstance(again, list):
        again = again[0]

    assert again() == 42


class Endless:
    def __getstate__(self) -> Any:
        return {"next": Endless()}


class MadeFromItself:
    def __reduce__(self) -> Any:
        return MadeFromItself, ((self,),)


@pytest.mark.parametrize(
    ("value", "reason"), [(Endless(), "without end"), (MadeFromItself(), "made from itself")]
)
def test_what_never_ends_is_unstorable(
    monkeypatch: pytest.MonkeyPatch, value: Any, reason: str
) -> None:
    monkeypatch.setattr(codec, "MAX_NESTING", 3000)

    with pytest.raises(UnstorableValueError, match=reason):
        codec.encode([value])


@pytest.mark.parametrize("value", [threading.Lock(), [1, {"a": threading.Lock()}]])
def test_what_cannot_be_pickled_is_unstorable(value: Any) -> None:
    with pytest.raises(UnstorableValueError, match="cannot pickle"):
        codec.encode(value)
    with pytest.raises(UnstorableValueError):
        codec.dumps(value)


class BadKind(ValueKind):
    name = "test.bad"

    def encode(self, value: Any) -> Any:
        raise value.error


class Bad:
    def __init__(self, error: Exception) -> None:
        self.error = error


register(Bad, BadKind())


def test_errors_of_kinds_make_a_value_unstorable() -> None:
    with pytest.raises(UnstorableValueError, match="OSError: gone"):
        codec.encode(Bad(OSError("gone")))
    with pytest.raises(UnstorableValueError, match="no room"):
        codec.encode(Bad(UnstorableValueError("x", "no room")))


def test_other_bytes_are_damage_and_are_never_read() -> None:
    format, payload = codec.encode([1])

    with pytest.raises(DamagedValueError, match="not those that were written"):
        codec.decode(HASH, "builtins.list", format, payload + b"x", digest_bytes(payload))


class Reader:
    error: Any = None

    def __setstate__(self, state: Any) -> None:
        raise Reader.error

    def __getstate__(self) -> Any:
        return {"a": 1}


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"garbage", pickle.dumps(1)[:-1]),
        b"cos\nno_such_class\n)\x81.",  # makes an object of a class that is gone
        b"cos\nno_such_class\n)R.",
    ],
)
def test_what_cannot_be_read_is_damage(payload: bytes) -> None:
    with pytest.raises(DamagedValueError, match="cannot be read as x"):
        codec.decode(HASH, "x", codec.PICKLE, payload, digest_bytes(payload))


@pytest.mark.parametrize(
    ("format", "payload", "reason"),
    [
        (codec.PICKLE, b"cnowhere\nThing\n.", "needs the module 'nowhere', which is not installed"),
        ("own", b"", "there is no type named 'nowhere.Thing' here"),
    ],
)
def test_what_is_not_at_hand_is_no_damage(format: str, payload: bytes, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason) as caught:
        codec.decode(HASH, "nowhere.Thing", format, payload, digest_bytes(payload))

    assert caught.value.value_hash == HASH
    assert not caught.value.is_lost
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason


def test_a_function_that_is_gone_is_a_stub_that_is_not_valid() -> None:
    payload = pickle.dumps([1, os.path.join]).replace(b"join", b"jo1n")

    value = codec.decode(HASH, "builtins.list", codec.PICKLE, payload, digest_bytes(payload))

    stub = value[1]
    assert value[0] == 1
    assert is_unknown_function(stub) and not is_unknown_function(os.path.join)
    assert walk.find_invalid(value) is stub
    assert walk.describe_change(stub) == "function posixpath.jo1n is not defined any more"
    assert repr(stub) == "UnknownFunction(posixpath.jo1n)"
    assert hash_value(stub) == hash_value(UnknownFunction("posixpath", "jo1n"))
    assert hash_value(stub) != hash_value(UnknownFunction("posixpath", "other"))
    assert {stub: 1} == {UnknownFunction("posixpath", "jo1n"): 1}
    with pytest.raises(ValueError, match=r"posixpath\.jo1n cannot be called"):
        stub(1)


def test_other_processes_are_not_sent_stubs() -> None:
    with pytest.raises(AttributeError):
        codec.loads(b"cos\nno_such_thing\n.")


def test_errors_of_setstate_are_damage_but_want_of_memory_is_not() -> None:
    payload = codec.encode(Reader())[1]
    Reader.error = KeyError("old")

    with pytest.raises(DamagedValueError, match="KeyError"):
        codec.decode(HASH, "x", codec.PICKLE, payload, digest_bytes(payload))

    Reader.error = MemoryError()
    with pytest.raises(MemoryError):
        codec.decode(HASH, "x", codec.PICKLE, payload, digest_bytes(payload))


@pytest.mark.parametrize("name", ["nowhere.Thing", "numpy.ndarray", "builtins.list"])
def test_an_unknown_format_is_damage(name: str) -> None:
    with pytest.raises(DamagedValueError):
        codec.decode(HASH, name, "no such format", b"", digest_bytes(b""))


def test_paths_are_written_without_the_module_that_python_keeps_them_in() -> None:
    paths = [pathlib.PurePosixPath("a"), pathlib.Path("b"), pathlib.PureWindowsPath("c:/d")]

    payload = codec.encode(paths)[1]

    assert b"pathlib" not in payload
    assert codec.loads(payload) == paths


def test_what_a_prompt_defined_is_sent_by_content() -> None:
    script = (
        "import sys\n"
        "from taskgraph.values import codec\n"
        "def f(): return 42\n"
        "sys.stdout.write(codec.dumps(f).hex())\n"
    )
    root = str(pathlib.Path(__file__).parents[4])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )

    function = codec.loads(bytes.fromhex(done.stdout))

    assert function() == 42


def test_importable_functions_are_sent_by_name() -> None:
    payload = codec.dumps(pathlib.PurePath.joinpath)

    assert len(payload) < 200
    assert codec.loads(payload) is pathlib.PurePath.joinpath


def test_plain_values_nested_beyond_the_stack_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def dumps(value: Any, protocol: int) -> bytes:
        raise RecursionError

    monkeypatch.setattr(codec.pickle, "dumps", dumps)

    assert codec.loads(codec.encode_plain([[1]])[1]) == [[1]]
