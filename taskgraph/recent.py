"""Dicts that forget what is oldest: what a process notes for as long as it lives must not grow."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MOST: Final = 10_000


class Recent(OrderedDict[K, V]):
    """A dict of the newest entries: when there are too many, the oldest goes."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > _MOST:
            self.popitem(last=False)
