"""Where and how calls run on a cluster: options of Dask's, said of a client and not of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from distributed import Client

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
            f"A call has no option {unknown}; it has {', '.join(sorted(_OPTIONS))}. What is "
            "to be remembered is known by its code and arguments: it has no key of its own, is "
            "never impure and no actor. Use client.submit for what is not to be remembered."
        )
    return ClientWithOptions(client, options)


def parted(client: Client | ClientWithOptions) -> ClientWithOptions:
    """Return a client and its options.

    Raises:
        TypeError: The client is asynchronous.
    """
    found = client if isinstance(client, ClientWithOptions) else ClientWithOptions(client, {})
    if found.client.asynchronous:
        raise TypeError(
            "A client of its own event loop is needed, for calls are looked up before they are "
            "submitted. Make it without asynchronous=True, or call from a thread."
        )
    return found
