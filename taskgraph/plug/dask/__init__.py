"""Dask: `cached_submit` is `client.submit` whose results are remembered.

a call is submitted
its inputs are known          looked up: a result that is recorded is given at once
one is not there yet          it waits on the cluster for them, as ever, and asks when it begins
no result is recorded         it runs on a worker, which hashes and encodes what it returns
it returned, or raised        recorded by this process, before its future is done
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from distributed import Client, Future

from taskgraph.plug.dask.calls import calls_of

_OPTIONS: Final = frozenset(
    {"allow_other_workers", "fifo_timeout", "priority", "resources", "retries", "workers"}
)


class ClientWithOptions(NamedTuple):
    """A client, and where and how it has calls run; made by `with_options`."""

    client: Client
    options: Mapping[str, Any]


def with_options(client: Client, **options: Any) -> ClientWithOptions:
    """Return a client that submits with options of Dask's.

    So they never clash with the arguments of a function::

        gpu = with_options(client, resources={"GPU": 1}, retries=2)
        model = cached_submit(gpu, train, rows, workers=4)  # `workers` is one of `train`

    Args:
        client: The client.
        options: ``workers``, ``resources``, ``retries``, ``priority``, ``allow_other_workers``,
            ``fifo_timeout``: as of ``client.submit``. They do not count: a result is the same
            wherever it was made.

    Raises:
        TypeError: An option is none of these.
    """
    unknown = ", ".join(sorted(set(options) - _OPTIONS))
    if unknown:
        raise TypeError(
            f"cached_submit has no option {unknown}; it has {', '.join(sorted(_OPTIONS))}. What is "
            "to be remembered is known by its code and arguments: it has no key of its own, is "
            "never impure and no actor. Use client.submit for what is not to be remembered."
        )
    return ClientWithOptions(client, options)


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
        A future of Dask's. One whose result was recorded is done. When another one is done, what
        it returned or raised is recorded.

    Raises:
        UnhashableValueError: An argument has no stable hash; the message says what to do.
        TypeError: The arguments do not fit the signature, the function is a generator, or the
            client is asynchronous.
    """
    plain, options = _parted(client)
    return calls_of(plain).submit(func, [(args, kwargs)], options)[0]


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
    plain, options = _parted(client)
    calls = [(args, kwargs) for args in zip(*iterables, strict=False)]
    return calls_of(plain).submit(func, calls, options)


def _parted(client: Client | ClientWithOptions) -> tuple[Client, Mapping[str, Any]]:
    given = client if isinstance(client, ClientWithOptions) else ClientWithOptions(client, {})
    if given.client.asynchronous:
        raise TypeError(
            "cached_submit needs a client of its own event loop, for it looks things up before it "
            "returns. Make it without asynchronous=True, or call it from a thread."
        )
    return given.client, given.options
