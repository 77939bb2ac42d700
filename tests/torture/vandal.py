"""Somebody who damages entries of a value store at random moments, while others use them.

An entry is replaced by a damaged one, as a careless synchronisation does; none is changed in place,
for who has it mapped would see that in the memory that he was given.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import fsspec

from taskgraph.values.valuestore import Entry, ValueStore, name_of

KINDS = ("truncated", "emptied", "zeroed", "flipped", "longer", "deleted", "swapped")


class Vandal:
    """A thread that damages what it finds; it ends with its block.

    Args:
        store: The store.
        chance: What is random in it.
        pause: For how many seconds it rests, at most.

    Attributes:
        done: What it did, and how often.
    """

    def __init__(self, store: ValueStore, chance: random.Random, pause: float) -> None:
        self.done: Counter[str] = Counter()
        self._store = store
        self._chance = chance
        self._pause = pause
        self._error: Exception | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Vandal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    @property
    def has_yet_to_begin(self) -> bool:
        """Whether there was nothing to be damaged so far."""
        return not self.done and self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._damage_all()
        except Exception as error:
            self._error = error

    def _damage_all(self) -> None:
        while not self._end.wait(self._chance.uniform(0.0, self._pause)):
            # What others move away meanwhile is not there to be damaged.
            with suppress(FileNotFoundError):
                self.damage_one()

    def damage_one(self) -> str | None:
        """Damage some entry; say how, None if there is none."""
        entries = list(self._store.entries())
        if not entries:
            return None
        kind = self._chance.choice(KINDS)
        damage(self._store, self._chance.choice(entries), kind, self._chance)
        self.done[kind] += 1
        return kind


def damage(store: ValueStore, entry: Entry, kind: str, chance: random.Random) -> None:
    """Damage an entry in one way.

    Raises:
        FileNotFoundError: It is not there any more.
    """
    files, inner = _reach(store, name_of(entry.digest))
    if kind == "deleted":
        files.rm_file(inner)
        return
    if kind == "swapped":
        others = [each for each in store.entries() if each.digest != entry.digest]
        other = chance.choice(others) if others else entry
        _, source = _reach(store, name_of(other.digest))
        _replace(store, inner, files.cat_file(source))
        return
    content = bytearray(files.cat_file(inner))
    if kind == "truncated":
        content = content[: len(content) // 2]
    elif kind == "emptied":
        content.clear()
    elif kind == "zeroed":
        content = bytearray(len(content))
    elif kind == "flipped" and content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == "longer":
        content += b"x"
    _replace(store, inner, bytes(content))


def _reach(store: ValueStore, name: str) -> tuple[Any, str]:
    files, inner = fsspec.core.url_to_fs(f"{store.url}/{name}")
    files.invalidate_cache()
    return files, inner


def _replace(store: ValueStore, inner: str, content: bytes) -> None:
    if "://" in store.url:
        files, _ = _reach(store, "")
        files.pipe_file(inner, content)  # which appears whole
        return
    files, beside = _reach(store, f"vandal/{secrets.token_hex(8)}")
    files.makedirs(files._parent(beside), exist_ok=True)
    files.pipe_file(beside, content)
    files.mv(beside, inner)
