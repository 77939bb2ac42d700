"""The contract of plug-ins, for functions that are called as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskgraph.plug import Hit, key, lookup, record
from taskgraph.plug.execution import close_executions
from taskgraph.plug.keeping import kept
from taskgraph.plug.memo import cached
from taskgraph.testing.plug_in import PlugInContract, Result, Step, load_anew


def run_here(folder: Path, steps: Sequence[Step], call: Any) -> list[Any]:
    """Run steps in this process, with modules loaded anew."""
    module = load_anew(folder)
    try:
        results: list[Any] = []
        for name, args in steps:
            given = [results[each.step] if isinstance(each, Result) else each for each in args]
            results.append(call(getattr(module, name), given))
        return results
    finally:
        close_executions()


class TestCached(PlugInContract):
    """`cached` as a decorator."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        return run_here(folder, steps, lambda func, args: cached(func)(*args))


class TestVerbs(PlugInContract):
    """The three verbs, as a plug-in uses them."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        def call(func: Any, args: list[Any]) -> Any:
            wanted = key(func, tuple(args))
            found = lookup(wanted)
            if isinstance(found, Hit):
                return found.value
            try:
                with wanted.running():
                    result = func(*args)
            except ValueError as error:
                record(wanted, error=error)
                raise
            record(wanted, result)
            return result

        return run_here(folder, steps, call)


class TestKept(PlugInContract):
    """The verbs as one block."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        def call(func: Any, args: list[Any]) -> Any:
            with kept(key(func, tuple(args))) as this:
                if not this.is_found:
                    this.result = this.body()
            return this.result

        return run_here(folder, steps, call)
