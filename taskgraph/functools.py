"""Functions over lazy values, under the name that they are looked for: ``taskgraph.functools``."""

from __future__ import annotations

from taskgraph.combinators.control import seq
from taskgraph.combinators.functions import (
    apply_func,
    as_task,
    compose,
    compose_apply,
    const,
    delay,
    eval_,
    flat_map,
    flatten,
    force,
    identity,
    map_,
    no_prov,
    starmap,
    zip_,
)
from taskgraph.expression import quote

__all__ = [
    "apply_func",
    "as_task",
    "compose",
    "compose_apply",
    "const",
    "delay",
    "eval_",
    "flat_map",
    "flatten",
    "force",
    "identity",
    "map_",
    "no_prov",
    "quote",
    "seq",
    "starmap",
    "zip_",
]
