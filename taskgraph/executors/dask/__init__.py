"""Runs calls on a Dask cluster: their values stay on the workers, and outcomes come back here.

`Cluster` knows neither an engine nor a store. Who submits a call says what to do when a worker has
its inputs (run it, or return a known value, or wait) and is told what came of it, before its future
is done. Inside of calls that are weighed here, a `Remote` stands for each value that is there.

The executor of runs is `taskgraph.executors.dask.executor`: an engine has decided before, and
values come back to it.
"""

from __future__ import annotations

from taskgraph.executors.dask.cluster import Caller, Cluster, Finished, Found, key_of
from taskgraph.executors.dask.options import ClientWithOptions, with_options

__all__ = ["Caller", "ClientWithOptions", "Cluster", "Finished", "Found", "key_of", "with_options"]
