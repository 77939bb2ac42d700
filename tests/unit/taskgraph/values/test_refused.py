"""What has no stable hash is refused, with the path to it and the ways out."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import io
import itertools
import mmap
import queue
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from taskgraph.errors import UnhashableValueError
from taskgraph.values import walk
from taskgraph.values.weigh import hash_value

Keep = Callable[[Any], Any]


class Plain:
    pass


class BySteps:
    def __getitem__(self, position: int) -> int:
        raise IndexError


def generate() -> Iterator[int]:
    yield 1


async def wait() -> None: ...


def make_coroutine(keep: Keep) -> Any:
    made = wait()
    keep(SimpleNamespace(close=made.close))
    return made


def make_process(keep: Keep) -> Any:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process


REFUSED: dict[str, Callable[[Keep], Any]] = {
    "a bare object": lambda keep: object(),
    "a lock": lambda keep: threading.Lock(),
    "a reentrant lock": lambda keep: threading.RLock(),
    "a condition": lambda keep: threading.Condition(),
    "an event": lambda keep: threading.Event(),
    "a semaphore": lambda keep: threading.Semaphore(),
    "a barrier": lambda keep: threading.Barrier(1),
    "a thread": lambda keep: threading.Thread(),
    "thread-local data": lambda keep: threading.local(),
    "a queue": lambda keep: queue.Queue(),
    "an asyncio lock": lambda keep: asyncio.Lock(),
    "an asyncio event": lambda keep: asyncio.Event(),
    "an asyncio queue": lambda keep: asyncio.Queue(),
    "a future": lambda keep: Future(),
    "a pool": lambda keep: ThreadPoolExecutor(1),
    "an event loop": lambda keep: keep(asyncio.new_event_loop()),
    "a socket": lambda keep: keep(socket.socket()),
    "an open file": lambda keep: keep(open(__file__)),  # noqa: SIM115
    "an open binary file": lambda keep: keep(open(__file__, "rb")),  # noqa: SIM115
    "a memory map": lambda keep: keep(mmap.mmap(-1, 10)),
    "a process": make_process,
    "a database connection": lambda keep: keep(sqlite3.connect(":memory:")),
    "a cursor": lambda keep: keep(sqlite3.connect(":memory:")).cursor(),
    "a temporary file": lambda keep: keep(tempfile.NamedTemporaryFile()),  # noqa: SIM115
    "an unnamed temporary file": lambda keep: keep(tempfile.TemporaryFile()),  # noqa: SIM115
    "a spooled file": lambda keep: keep(tempfile.SpooledTemporaryFile()),  # noqa: SIM115
    "a temporary folder": lambda keep: _folder(keep),
    "a generator": lambda keep: generate(),
    "a generator expression": lambda keep: (each for each in ()),
    "a coroutine": make_coroutine,
    "a list iterator": lambda keep: iter([1]),
    "a dict iterator": lambda keep: iter({1: 2}),
    "a set iterator": lambda keep: iter({1}),
    "a text iterator": lambda keep: iter("a"),
    "a range iterator": lambda keep: iter(range(3)),
    "an iterator by steps": lambda keep: iter(BySteps()),
    "a reversed list": lambda keep: reversed([1]),
    "a deque iterator": lambda keep: iter(collections.deque([1])),
    "an ordered dict iterator": lambda keep: iter(collections.OrderedDict(a=1)),
    "an enumeration": lambda keep: enumerate([1]),
    "a zip": lambda keep: zip([1], [2], strict=False),
    "a map": lambda keep: map(len, []),
    "a filter": lambda keep: filter(None, []),
    "a counter of itertools": lambda keep: itertools.count(),
    "a chain": lambda keep: itertools.chain([1]),
    "a product": lambda keep: itertools.product([1]),
    "dictionary keys": lambda keep: {}.keys(),
    "a weak reference": lambda keep: weakref.ref(Plain),
    "a weak proxy": lambda keep: weakref.proxy(Plain),
    "a weak set": lambda keep: weakref.WeakSet(),
    "a weak dictionary": lambda keep: weakref.WeakValueDictionary(),
    "a weak-keyed dictionary": lambda keep: weakref.WeakKeyDictionary(),
    "a finalizer": lambda keep: weakref.finalize(Plain, len, ""),
    "a context variable": lambda keep: contextvars.ContextVar("a"),
    "a context": lambda keep: contextvars.copy_context(),
    "a module": lambda keep: sys,
    "a frame": lambda keep: sys._getframe(),
    "a code object": lambda keep: generate.__code__,
    "a text wrapper": lambda keep: io.TextIOWrapper(io.BytesIO()),
}


def _folder(keep: Keep) -> Any:
    made = tempfile.TemporaryDirectory()
    keep(SimpleNamespace(close=made.cleanup))
    return made


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_stable_hash_is_refused_with_its_path(name: str) -> None:
    with ExitStack() as stack:

        def keep(made: Any) -> Any:
            stack.callback(made.close)
            return made

        value = REFUSED[name](keep)
        config = {"model": SimpleNamespace(inner=[value])}

        with pytest.raises(UnhashableValueError) as caught:
            hash_value(config, "args.config")

        assert caught.value.path.startswith('args.config["model"].inner[0]')
        for way_out in ("config_args", "__taskgraph_hash__", "ValueKind"):
            assert way_out in str(caught.value)


@pytest.mark.parametrize("name", ["a generator", "a list iterator", "a map", "a chain"])
def test_an_iterator_is_not_used_up_by_looking_at_it(name: str) -> None:
    value = iter([1, 2])
    mapped = map(abs, value)

    with pytest.raises(UnhashableValueError, match="give a list"):
        hash_value(REFUSED[name](lambda made: made))
    assert walk.find_unread([value, mapped]) == []

    assert list(mapped) == [1, 2]


class Countdown:
    """An iterator whose state is written in its attributes."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __iter__(self) -> Countdown:
        return self

    def __next__(self) -> int:
        raise StopIteration


def test_an_iterator_of_the_users_with_a_state_counts_by_it() -> None:
    assert hash_value(Countdown(1)) == hash_value(Countdown(1))
    assert hash_value(Countdown(1)) != hash_value(Countdown(2))


def test_files_in_memory_count_by_content_and_position() -> None:
    read = io.BytesIO(b"ab")
    read.read(1)

    assert hash_value(io.BytesIO(b"ab")) == hash_value(io.BytesIO(b"ab"))
    assert len({hash_value(each) for each in (read, io.BytesIO(b"ab"), io.BytesIO(b"b"))}) == 3
