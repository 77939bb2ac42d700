"""Runs of Prefect tasks, seen from within: looked up when they begin, recorded when they end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.objects import State, TaskRunResult
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import FailedRun
from prefect.transactions import TransactionState, get_transaction

from taskgraph.plug.verbs import CallKey, CallRecord, Hit, lookup, record

_MOST: Final = 10_000  # task runs whose calls are known again
_NO_DATA: Final = frozenset({"__parents__", "wait_for"})
_records: OrderedDict[UUID, CallRecord] = OrderedDict()


@dataclass(frozen=True)
class Run:
    """A call, and the run of Prefect that it is; None if it was called past Prefect."""

    call: CallKey
    context: TaskRunContext | None

    def find(self) -> Hit | None:
        """Return the recorded result, unless Prefect was told to refresh it."""
        transaction = get_transaction() if self.context else None
        if transaction is not None and transaction.overwrite:
            return None
        found = lookup(self.call, tags=self._tags())
        if not isinstance(found, Hit):
            return None
        if transaction is not None and transaction.key is None:
            # Prefect is to keep nothing of this run, and calls what was there already Cached.
            transaction.state = TransactionState.COMMITTED
        self._remember(found.record)
        return found

    @contextmanager
    def recording(self) -> Iterator[list[Any]]:
        """Have what this block raises, or puts into the list that it is given, be recorded."""
        results: list[Any] = []
        told: dict[str, Any] = {"started": datetime.now(UTC), "tags": self._tags()}
        told["upstream"] = self._upstream()
        try:
            with self.call.running():
                yield results
        except BaseException as error:  # a timeout, too: Prefect says what becomes of the run
            record(self.call, error=error, **told)
            raise
        (result,) = results
        self._remember(record(self.call, result, error=_failure_in(result), **told))

    def _tags(self) -> dict[str, str]:
        flow = FlowRunContext.get()
        told = {
            "prefect_flow": flow and flow.flow and flow.flow.name,
            "prefect_flow_run": flow and flow.flow_run and flow.flow_run.id,
            "prefect_task_run": self.context and self.context.task_run.id,
        }
        return {name: str(value) for name, value in told.items() if value}

    def _upstream(self) -> list[CallRecord]:
        """Return the calls that Prefect saw the arguments come from: it knows every future."""
        inputs = self.context.task_run.task_inputs if self.context else {}
        runs = [each for name in inputs.keys() - _NO_DATA for each in inputs[name]]
        ids = [each.id for each in runs if isinstance(each, TaskRunResult)]
        return [_records[each] for each in ids if each in _records]

    def _remember(self, made: CallRecord) -> None:
        if self.context is not None:
            _records[self.context.task_run.id] = made
            if len(_records) > _MOST:
                _records.popitem(last=False)


def _failure_in(result: Any) -> Exception | None:
    """Return what makes a returned state a failure: no later run may take it for a result."""
    if isinstance(result, State) and not result.is_completed():
        return FailedRun(result.message or f"It returned the state {result.name}.")
    return None
