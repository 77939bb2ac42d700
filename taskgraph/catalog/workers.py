"""The manager of workers: who takes what was submitted, and whether that one lives."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from taskgraph.catalog.criteria import WORKER_FIELDS, Criteria
from taskgraph.catalog.pools import PoolManager
from taskgraph.catalog.reading import parse
from taskgraph.catalog.requests import checked_name, checked_object, checked_text
from taskgraph.catalog.store import Where
from taskgraph.catalog.worker_rows import NewWorker, Wish, Worker, WorkerPool, WorkerStatus
from taskgraph.errors import ValidationError, WorkerNotFoundError
from taskgraph.jsontext import storable


class WorkerStore(Protocol):
    """What the manager of workers asks of a database."""

    def register_worker(self, wanted: NewWorker) -> str:
        """Record a worker, or revive the one of that name; returns its id."""

    def find_worker(self, ref: str) -> Worker | None:
        """Return a worker by name, id or unique start of one."""

    def workers(self, where: Criteria) -> builtins.list[Worker]:
        """Return workers by name."""

    def beat(self, worker_id: str, pid: int | None) -> bool:
        """Say that a worker lives; returns whether there is such a worker."""

    def set_worker_status(self, worker_id: str, status: WorkerStatus) -> bool:
        """Say what is known of a worker; returns whether there is such a worker."""

    def wish(self, worker_id: str, wish: Wish) -> bool:
        """Ask something of a worker; returns whether there is such a worker."""

    def delete_worker(self, worker_id: str) -> bool:
        """Delete a worker that does not live; returns whether there was one."""


class WorkerManager:
    """Workers: ``archive.workers``.

    Args:
        store: Where they are.
        pools: The pools that they are of.
    """

    def __init__(self, store: WorkerStore, pools: PoolManager) -> None:
        self._store = store
        self._pools = pools

    def register(
        self,
        name: str,
        pool: str | WorkerPool,
        *,
        host: str,
        pid: int,
        launch_cmd: str | None = None,
        args: Mapping[str, Any] | None = None,
    ) -> Worker:
        """Say that a worker begins: one that was there before is revived by its name.

        Args:
            name: What people call it.
            pool: Its pool, which says what queues it serves.
            host: Where it runs.
            pid: Its process.
            launch_cmd: The command that started it.
            args: What else is to be kept with it, as JSON.

        Raises:
            WorkerInUseError: The worker of that name lives.
            PoolNotFoundError: There is no such pool.
            ValidationError: Something that was given is not what it must be.
        """
        if isinstance(pid, bool) or not isinstance(pid, int) or not 0 < pid < 2**31:
            raise ValidationError("pid", f"expected the number of a process, not {pid!r}.")
        wanted = NewWorker(
            id=uuid.uuid4().hex,
            name=checked_name("worker", name),
            pool_id=self._pools.get(pool).id,
            host=checked_name("host", host),
            pid=pid,
            launch_cmd=checked_text("launch_cmd", launch_cmd),
            args=checked_object("args", args),
        )
        return self.get(self._store.register_worker(wanted))

    def find(self, ref: str | Worker) -> Worker | None:
        """Return a worker by name, id or start of one; None where there is none.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        return self._store.find_worker(storable(ref.id if isinstance(ref, Worker) else ref))

    def get(self, ref: str | Worker) -> Worker:
        """Return the same as `find` of a worker that must be there.

        Raises:
            WorkerNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref)
        if found is None:
            raise WorkerNotFoundError(_name(ref))
        return found

    def list(self, where: Where = None) -> builtins.list[Worker]:
        """Return workers by name.

        Args:
            where: Which: by ``pool``, ``name``, ``status``, ``host``, ``heartbeat`` and
                ``started``, as JSON or as criteria.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        return self._store.workers(parse(where, WORKER_FIELDS))

    def heartbeat(self, ref: str | Worker) -> Worker:
        """Say that a worker lives; one that was taken for stalled is running again.

        Raises:
            WorkerNotFoundError: There is none.
        """
        found = self.get(ref)
        if not self._store.beat(found.id, None):
            raise WorkerNotFoundError(_name(ref))
        return self.get(found.id)

    def set_status(self, ref: str | Worker, status: WorkerStatus | str) -> Worker:
        """Say what is known of a worker; one that is stopped has no process any more.

        Args:
            ref: The worker.
            status: ``running``, ``stalled``, ``stopped`` or ``rebooting``.

        Raises:
            WorkerNotFoundError: There is none.
            ValidationError: There is no such status.
        """
        wanted = WorkerStatus.parse(status)
        found = self.get(ref)
        if not self._store.set_worker_status(found.id, wanted):
            raise WorkerNotFoundError(_name(ref))
        return self.get(found.id)

    def stop(self, ref: str | Worker, now: bool = False) -> Worker:
        """Ask a worker to stop, on whatever machine it is; it looks every few seconds.

        Args:
            ref: The worker.
            now: Whether what it runs goes back to its queue; otherwise it ends first.

        Raises:
            WorkerNotFoundError: There is none.
        """
        found = self.get(ref)
        if not self._store.wish(found.id, Wish.STOP_NOW if now else Wish.STOP):
            raise WorkerNotFoundError(_name(ref))
        return self.get(found.id)

    def delete(self, ref: str | Worker, *, missing_ok: bool = False) -> bool:
        """Delete a worker that does not live.

        Returns:
            Whether there was one.

        Raises:
            WorkerNotFoundError: There is none, and it is not ``missing_ok``.
            WorkerInUseError: It lives: stop it first.
        """
        found = self.find(ref)
        if found is None:
            if missing_ok:
                return False
            raise WorkerNotFoundError(_name(ref))
        return self._store.delete_worker(found.id)


def _name(ref: str | Worker) -> str:
    return ref.name if isinstance(ref, Worker) else ref


__all__ = ["WorkerManager", "WorkerStore"]
