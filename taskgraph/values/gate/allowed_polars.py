"""What of polars is let in: frames and series, which are streams of Arrow's inside of a pickle."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import polars as pl

from taskgraph.values.gate.refusals import Pending, Rule, check


def _made_of_stream(make: Callable[[Any], Any], name: str) -> Callable[[], Pending]:
    def build(state: Any) -> Any:
        check(type(state) is bytes, f"{name} of something else than bytes")
        return make(pl.read_ipc_stream(io.BytesIO(state)))

    return lambda: Pending(build, name)


#: By module and name.
TABLE: dict[str, dict[str, Any]] = {
    "polars.dataframe.frame": {
        "DataFrame": Rule(new=_made_of_stream(lambda frame: frame, "a polars frame"))
    },
    "polars.series.series": {
        "Series": Rule(new=_made_of_stream(lambda frame: frame.to_series(0), "a polars series"))
    },
}

__all__ = ["TABLE"]
