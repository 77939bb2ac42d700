"""What stays on Dask's workers: the bytes of large results, for calls that take them there.

They are data of the cluster, and belong to no task of it: Dask moves them between workers and to
their disks, and never runs a call again because they were lost. Each call makes a value of its own
of them, so that none sees what another one has changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from distributed import get_worker, secede
from distributed.utils import sync

from taskgraph.executors.border import run_messages
from taskgraph.executors.commands import run_command
from taskgraph.executors.there import seeing
from taskgraph.ports import Command
from taskgraph.records import PackedValue
from taskgraph.values import codec
from taskgraph.values.stored import ValueRecord

_LEAST: Final = 64 * 1024  # bytes: less than this is sent along with each call

_given: ContextVar[Mapping[str, ValueRecord]] = ContextVar("taskgraph_given")


class Kept(NamedTuple):
    """Stands in the arguments of a call for a value that is on a worker."""

    key: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _value_of, (self.key,)


def _value_of(key: str) -> Any:
    row = _given.get()[key]
    return codec.decode_sent(row.value_hash, row.type, row.format, row.value, row.content_digest)


def run_and_keep(
    around: bytes, messages: list[bytes], given: Mapping[str, Any], client: str
) -> tuple[bytes, dict[int, tuple[str, int]]]:
    """Run calls; runs on a worker.

    Args:
        around: What the process sees that asks.
        messages: The calls.
        given: The values that they are given and that are on workers, by their keys.
        client: Who is to have what stays here; "" for nobody.

    Returns:
        The outcomes as they travel; and the keys and sizes of results that stay here, by their
        number.
    """
    token = _given.set(given)
    try:
        with seeing(around):
            outcomes = run_messages(messages)
    finally:
        _given.reset(token)
    kept = _keep(outcomes, client) if client else {}
    return codec.dumps(outcomes), kept


def _keep(outcomes: Sequence[tuple[Any, ...]], client: str) -> dict[int, tuple[str, int]]:
    found: dict[int, tuple[str, int]] = {}
    data: dict[str, ValueRecord] = {}
    for number, (has_returned, _, packed, *_) in enumerate(outcomes):
        if not has_returned or not isinstance(packed, PackedValue):
            continue
        row = packed.values[0]
        if len(row.value) >= _LEAST:
            key = f"taskgraph-value-{row.value_hash}-{uuid.uuid4().hex}"
            found[number], data[key] = (key, len(row.value)), row
    if data:
        worker = get_worker()
        sizes = {key: len(row.value) for key, row in data.items()}
        sync(worker.loop, _publish, worker, data, sizes, client)
    return found


async def _publish(worker: Any, data: Any, sizes: dict[str, int], client: str) -> None:
    worker.update_data(data=data)
    places = {key: [worker.address] for key in data}
    await worker.scheduler.update_data(who_has=places, nbytes=sizes, client=client)


def run_command_there(command: Command) -> int:
    """Run a command; runs on a worker, whose thread others may have meanwhile."""
    secede()
    return run_command(command)
