"""Runs calls on a Dask cluster: their values stay on the workers, and outcomes come back here.

`Cluster` knows neither an engine nor a store. Who submits a call says what to do when a worker has
its inputs (run it, or return a known value, or wait) and is told what came of it, before its future
is done. Inside of calls that are weighed here, a `Remote` stands for each value that is there.

An executor is little more; `tests/unit/taskgraph/executors/test_dask.py` has one of twenty lines.
It hands each call to `Cluster.submit` and is its `Caller`: nothing is to be decided, for the engine
looked the call up before, and `finish` delivers ``finished.outcome`` to the inbox. The value in it
is a `Remote`, which is told its hash (`know`), and whose ``name`` is the key of its future: the
executor puts that in its place in the arguments of later calls, and lets go of it at the end. A
future that is done with an error that nobody told (`KilledWorker`, a worker with other code) is an
outcome too, and one that was cancelled is none.
"""

from __future__ import annotations

from taskgraph.executors.dask.cluster import Caller, Cluster, Finished, Found, key_of
from taskgraph.executors.dask.options import ClientWithOptions, with_options

__all__ = ["Caller", "ClientWithOptions", "Cluster", "Finished", "Found", "key_of", "with_options"]
