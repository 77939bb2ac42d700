"""The port of the managers of pools and workers on a database, and of the workers themselves."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.states import State
from taskgraph.catalog.worker_rows import (
    GivenBack,
    NewWorker,
    Taken,
    Taker,
    Wish,
    Worker,
    WorkerPool,
    WorkerStatus,
)
from taskgraph.errors import DatabaseReadOnlyError
from taskgraph_backend.opened import OpenedPort
from taskgraph_backend.routing import lists, losing, queueing, workers
from taskgraph_backend.routing.taking import Taking, finish


class Routing(OpenedPort):
    """The port of pools, workers and what they take, on a database."""

    # Pools

    def make_pool(self, pool_id: str, name: str, queues: tuple[str, ...]) -> None:
        """Record a pool, unless it is there."""
        self._backend._transact(workers.make_pool, pool_id, name, queues, alone=False)

    def find_pool(self, ref: str) -> WorkerPool | None:
        """Return a pool by id, unique start of one, or a name that only one has.

        Raises:
            AmbiguousIdError: Several are meant.
        """
        with self._backend.reader() as session:
            return lists.look_up_pool(session, ref)

    def pools(self) -> list[WorkerPool]:
        """Return all pools by name and queues."""
        with self._backend.reader() as session:
            return lists.pools(session)

    def delete_pool(self, pool_id: str) -> bool:
        """Delete a pool; returns whether there was one."""
        return self._backend._transact(workers.delete_pool, pool_id)

    # Workers

    def register_worker(self, wanted: NewWorker) -> str:
        """Record a worker, or revive the one of that name; returns its id.

        Raises:
            WorkerInUseError: The one of that name lives.
        """
        return self._backend._transact(workers.register, wanted)

    def find_worker(self, ref: str) -> Worker | None:
        """Return a worker by name, id or unique start of one.

        Raises:
            AmbiguousIdError: Several are meant.
        """
        self._settle_stalled()
        with self._backend.reader() as session:
            return lists.look_up(session, ref)

    def workers(self, where: Criteria) -> list[Worker]:
        """Return workers by name."""
        self._settle_stalled()
        with self._backend.reader() as session:
            return lists.workers(session, where)

    def beat(self, worker_id: str, pid: int | None) -> bool:
        """Say that a worker lives; returns whether there is such a worker, and it is that process.

        From any thread.
        """
        return self._backend._transact(workers.beat, worker_id, pid, alone=False)

    def set_worker_status(self, worker_id: str, status: WorkerStatus) -> bool:
        """Say what is known of a worker; returns whether there is such a worker."""
        return self._backend._transact(workers.set_status, worker_id, status)

    def end_worker(self, worker_id: str, pid: int) -> None:
        """Say that a process of this host is a worker no more, unless another one is by now."""
        self._backend._transact(workers.end, worker_id, pid)

    def wish(self, worker_id: str, wish: Wish) -> bool:
        """Ask something of a worker; returns whether there is such a worker."""
        return self._backend._transact(workers.wish, worker_id, wish)

    def wish_of(self, worker_id: str) -> Wish | None:
        """Return what somebody asks of a worker."""
        return self._backend._ask(workers.wish_of, worker_id)

    def delete_worker(self, worker_id: str) -> bool:
        """Delete a worker that does not live; returns whether there was one.

        Raises:
            WorkerInUseError: It lives.
        """
        return self._backend._transact(workers.delete, worker_id)

    def _settle_stalled(self) -> None:
        """Have workers be stalled that are said to live, and do not."""
        backend = self._backend
        if backend.database.read_only or not backend._ask(workers.find_stalled):
            return
        try:
            backend._transact(workers.mark_stalled)
        except DatabaseReadOnlyError:
            return  # left to others

    # What is taken

    def is_waiting(self, queues: Sequence[str]) -> bool:
        """Tell whether anything in some queues is to start by now."""
        return self._backend._ask(queueing.waiting, queues)

    def take(self, taker: Taker) -> Taken | None:
        """Take the first execution that waits in the queues of a process, if any does."""
        backend = self._backend
        if not backend._ask(queueing.waiting, taker.queues):
            return None
        taking = Taking(taker, uuid.uuid4().hex, backend.database.skipping_locked("e"))
        return backend._transact(taking, alone=False)

    def finish(self, taken: Taken, end: State | None = None) -> str:
        """Say that a worker is done with an execution.

        Args:
            taken: What it took.
            end: How it ended, if nothing was recorded of that.

        Returns:
            The type of the state that it is in now; nothing if it was deleted.
        """
        backend = self._backend
        return backend._transact(finish, taken, end, backend.max_losses)

    def enqueue(self, execution_id: str, queues: Sequence[str], priority: int | None) -> None:
        """Give an execution that waits to the workers of queues.

        Raises:
            ExecutionNotFoundError: There is no such execution.
            NotQueuedError: It does not wait.
            ValidationError: Nobody says which queues.
        """
        given: tuple[Any, ...] = execution_id, tuple(queues), priority
        self._backend._transact(queueing.enqueue, *given)

    # What was lost

    def find_lost(self, worker_id: str | None = None) -> list[str]:
        """Return what workers, or one, have taken and no living process holds any more."""
        backend = self._backend
        return backend._ask(losing.find_lost, worker_id, backend.may_judge)

    def give_back(
        self, worker_id: str | None = None, why: str | None = None, *, is_loss: bool = True
    ) -> GivenBack:
        """Have wait again what workers have taken and no living process holds any more.

        Args:
            worker_id: Only of this worker.
            why: What is written down of it; by default which worker was lost.
            is_loss: Whether it counts: with too many losses an execution is CRASHED.
        """
        backend = self._backend
        lost = self.find_lost(worker_id)
        if not lost or backend.database.read_only:
            return GivenBack()
        given = lost, backend.max_losses, why, is_loss, backend.may_judge
        return backend._transact(losing.give_back_all, *given)


__all__ = ["Routing"]
