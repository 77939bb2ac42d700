"""The manager of pools: names for sets of queues, which workers serve."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Protocol

from taskgraph.catalog.worker_rows import WorkerPool, pool_key
from taskgraph.errors import PoolNotFoundError
from taskgraph.jsontext import storable


class PoolStore(Protocol):
    """What the manager of pools asks of a database."""

    def make_pool(self, pool_id: str, name: str, queues: tuple[str, ...]) -> None:
        """Record a pool, unless it is there."""

    def find_pool(self, ref: str) -> WorkerPool | None:
        """Return a pool by id, unique start of one, or a name that only one has."""

    def pools(self) -> builtins.list[WorkerPool]:
        """Return all pools by name and queues."""

    def delete_pool(self, pool_id: str) -> bool:
        """Delete a pool; returns whether there was one."""


class PoolManager:
    """Pools of workers: ``archive.pools``.

    Args:
        store: Where they are.
    """

    def __init__(self, store: PoolStore) -> None:
        self._store = store

    def get_or_create(self, name: str, queues: Iterable[str]) -> WorkerPool:
        """Return the pool of a name and a set of queues, which is made if there is none.

        Its id follows from both, in whatever order the queues are given.

        Raises:
            ValidationError: The name is blank, or there are no queues.
        """
        pool_id, checked, wanted = pool_key(name, queues)
        known = self._store.find_pool(pool_id)
        if known is not None:
            return known
        self._store.make_pool(pool_id, checked, wanted)
        return self.get(pool_id)

    def find(
        self,
        id: str | WorkerPool | None = None,
        *,
        name: str | None = None,
        queues: Iterable[str] | None = None,
    ) -> WorkerPool | None:
        """Return a pool as `get` does; None where there is none.

        Raises:
            ValueError: Neither an id alone nor a name with queues was given.
            AmbiguousIdError: More than one pool is meant.
        """
        if id is not None and name is None and queues is None:
            return self._store.find_pool(storable(id.id if isinstance(id, WorkerPool) else id))
        if id is None and name is not None and queues is not None:
            return self._store.find_pool(pool_key(name, queues)[0])
        raise ValueError("A pool is found by its id alone, or by name= and queues= together.")

    def get(
        self,
        id: str | WorkerPool | None = None,
        *,
        name: str | None = None,
        queues: Iterable[str] | None = None,
    ) -> WorkerPool:
        """Return a pool.

        Args:
            id: Its id, the start of it, or a name that only one pool has.
            name: Its name; with ``queues``.
            queues: Its queues, in any order; with ``name``.

        Raises:
            ValueError: Neither an id alone nor a name with queues was given.
            PoolNotFoundError: There is none.
            AmbiguousIdError: More than one pool is meant.
        """
        wanted = None if queues is None else (queues if isinstance(queues, str) else [*queues])
        found = self.find(id, name=name, queues=wanted)
        if found is None:
            said = id.id if isinstance(id, WorkerPool) else id
            raise PoolNotFoundError(said or f"{name} ({', '.join(wanted or ())})")
        return found

    def list(self) -> builtins.list[WorkerPool]:
        """Return all pools by name, each with how many workers are of it."""
        return self._store.pools()

    def delete(self, ref: str | WorkerPool, *, missing_ok: bool = False) -> bool:
        """Delete a pool: its workers are of none then, and executions forget that it ran them.

        Returns:
            Whether there was one.

        Raises:
            PoolNotFoundError: There is none, and it is not ``missing_ok``.
            AmbiguousIdError: More than one pool is meant.
        """
        found = self.find(ref)
        if found is None:
            if missing_ok:
                return False
            raise PoolNotFoundError(ref.id if isinstance(ref, WorkerPool) else ref)
        return self._store.delete_pool(found.id)


__all__ = ["PoolManager", "PoolStore"]
