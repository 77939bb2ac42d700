"""Dask: `cached_submit` is `client.submit` whose results are remembered.

a call is submitted
its inputs are known          looked up: a result that is recorded is given at once
one is not there yet          it waits on the cluster for them, as ever, and asks when it begins
no result is recorded         it runs on a worker, which hashes and encodes what it returns
it returned, or raised        recorded by this process, before its future is done

How calls run on workers is the affair of `taskgraph.executors.dask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from distributed import Client, Future

from taskgraph.executors.dask.cluster import Cluster, Finished, Found, key_of
from taskgraph.executors.dask.inputs import Inputs
from taskgraph.executors.dask.options import ClientWithOptions, parted, with_options
from taskgraph.plug.execution import current_execution
from taskgraph.plug.memo import Cached
from taskgraph.plug.verbs import CallKey, Hit, key, lookup, record_or_warn
from taskgraph.ports import Call, Returned

__all__ = ["ClientWithOptions", "cached_map", "cached_submit", "with_options"]


def cached_submit(
    client: Client | ClientWithOptions, func: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Future[Any]:
    """Submit a call, unless its result is recorded; returns at once.

    Args:
        client: The client, or one `with_options`.
        func: A plain or ``async`` function, a `cached` one, or a task, whose function is meant.
        args: The arguments by position. Futures count by their values, as arguments themselves
            and in lists, tuples, sets and dicts.
        kwargs: The arguments by name.

    Returns:
        A future of Dask's: done if the result was recorded. When another one is done, what it
        returned or raised is recorded.

    Raises:
        UnhashableValueError: An argument has no stable hash; the message says what to do.
        TypeError: The arguments do not fit the signature, the function is a generator, or the
            client is asynchronous.
    """
    return _submit(client, func, [(args, kwargs)])[0]


def cached_map(
    client: Client | ClientWithOptions,
    func: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    **kwargs: Any,
) -> list[Future[Any]]:
    """Submit a call for each of the items that go together, as ``client.map`` does.

    Args:
        client: The client, or one `with_options`.
        func: As of `cached_submit`.
        iterables: The arguments by position; the shortest one says how many calls there are.
        kwargs: Arguments by name, the same ones for all calls.
    """
    return _submit(client, func, [(args, kwargs) for args in zip(*iterables, strict=False)])


def _submit(
    given: Client | ClientWithOptions,
    func: Callable[..., Any],
    calls: Sequence[tuple[tuple[Any, ...], dict[str, Any]]],
) -> list[Future[Any]]:
    client, options = parted(given)
    config_dir = func.config_dir if isinstance(func, Cached) else None
    execution = current_execution(config_dir)
    known = vars(client).setdefault("_taskgraph_clusters", {})  # ends with the client
    cluster = known.setdefault(execution.id, Cluster(client))
    execution.put_in_force()
    cluster.connect()
    placed = []
    for args, kwargs in calls:
        inputs = cluster.stand_in(args, kwargs)
        call = key(func, inputs.args, inputs.kwargs, config_dir=config_dir)
        sent = call.to_send(func, args, kwargs)
        placed.append(_Submitted(cluster, call, key_of(sent)).place(sent, inputs, options))
    done = cluster.put([each for each in placed if isinstance(each, Found)])
    return [done[each.key] if isinstance(each, Found) else each for each in placed]


class _Submitted:
    """A call: looked up when its inputs are known, and recorded when it has run."""

    def __init__(self, cluster: Cluster, call: CallKey, name: str) -> None:
        self._cluster = cluster
        self._call = call
        self._name = name

    def place(self, sent: Call, inputs: Inputs, options: Mapping[str, Any]) -> Future[Any] | Found:
        """Return what is recorded, else the future of an equal call or one of its own."""
        call, same, is_known = self._call, self._call.eval_hash, inputs.is_known
        with self._cluster.lock:
            equal = self._cluster.find_equal(same, then=lambda other: call.follow(other._call))
            found = self._find() if equal is None and is_known else equal
            if found is not None:
                return found
            try:
                return self._cluster.submit(
                    sent, call.parts, self, inputs, same=same, is_decided=is_known, options=options
                )
            except BaseException:  # something in it cannot travel, or the client is closed
                call.cancel()
                raise

    def decide(self) -> Found | Future[Any] | None:
        """Look it up with the values that are there by now."""
        if not self._call.is_open:
            return None
        self._call = self._call.again()
        return self._cluster.find_equal(self._call.eval_hash, self._name) or self._find()

    def finish(self, finished: Finished) -> None:
        """Record what came of it."""
        if not self._call.is_open:
            return
        if not self._call.is_running:  # Dask runs it another time
            self._call = self._call.again()
        outcome, inputs, worker = finished
        made = record_or_warn(self._call, outcome=outcome, inputs=inputs, host=worker)
        if isinstance(outcome, Returned) and made is not None:
            if made.error is not None:
                raise made.error
            outcome.value.know(made.value_hash, made.call_hash, is_unstored=bool(made.unstored))

    def _find(self) -> Found | None:
        found = lookup(self._call)
        if isinstance(found, Hit):
            return Found(self._name, found.value, found.record.value_hash, found.record.call_hash)
        self._call.begin()
        return None
