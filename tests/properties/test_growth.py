"""Runs, deletions and collections in any order, some at the same time: nothing that is needed goes.

After each step the database is sound, what is known of every execution that is there is as it was,
and results are those of plain Python.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import taskgraph
from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph_backend import SqlBackend
from taskgraph_backend.growth import deleting, reach
from taskgraph_backend.integrity import check
from tests.integration.test_deletion import counts, lineage, root_call, tasks

taskgraph_namespace = "growth"
_SIZE = 2000
_BEFORE = deleting.TOGETHER, reach.MOST_KEYS


@task
def leaf(n: int) -> bytes:
    """Make some bytes."""
    return bytes([n]) * _SIZE


@task
def first(content: bytes) -> int:
    """Return what they begin with."""
    return content[0]


@task
def plus(a: int, b: int) -> int:
    """Return a sum: often that of other arguments, too."""
    return a + b


@task
def tree(n: int, shared: int) -> list[Any]:
    """Make calls that others make as well, given to each other."""
    made = first(leaf(shared))
    return [plus(made, n), plus(plus(made, 1), n), first(leaf(n))]


@task(check_valid="shallow")
def whole(n: int, shared: int) -> list[Any]:
    """Be looked up as a whole: the calls below have no jobs then."""
    return [tree(n, shared), first(leaf(shared))]


def expected_tree(n: int, shared: int) -> list[Any]:
    """Do the same in plain Python."""
    return [shared + n, shared + 1 + n, n]


_RUNS: dict[str, tuple[Callable[..., Any], Callable[[int, int], Any]]] = {
    "tree": (tree, expected_tree),
    "whole": (whole, lambda n, shared: [expected_tree(n, shared), shared]),
}


def assert_still_known(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Assert that of calls all is known that was; an equal call may have been given more since."""
    for call, (arguments, children, result) in before.items():
        found, others, value = now[call]
        assert (others, value) == (children, result)
        assert {row for row in arguments if row[3]} <= set(found)
        assert {(*row[:3], *row[4:]) for row in arguments} == {
            (*row[:3], *row[4:]) for row in found
        }


small = st.integers(0, 3)
kinds = st.sampled_from(sorted(_RUNS))


class Growing(RuleBasedStateMachine):
    """A database that grows and shrinks."""

    uri = ""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="taskgraph-growth-"))
        self.keeps_cache = False

    @initialize(together=st.sampled_from([2, 1000]), outside=st.booleans())
    def open(self, together: int, outside: bool) -> None:
        """Begin with an empty database; deletions go in small pieces, or at once."""
        deleting.TOGETHER = reach.MOST_KEYS = together  # type: ignore[misc]
        uri = self.uri or f"sqlite:///{self.folder / 'taskgraph.db'}"
        self.tg: Archive = taskgraph.open(uri, migrate=True)
        if self.uri:
            self.tg.executions.delete_many(all=True, force=True)
            self.tg.storage.gc()
        given = {"value_store_min_size": 1000} if outside else {"value_store": "none"}
        self.backends = [SqlBackend(uri, given) for _ in range(2)]
        for each in self.backends:
            each.load()
        self.schedulers = [Scheduler(backend=each) for each in self.backends]

    def teardown(self) -> None:
        """Delete everything: code is all that is left."""
        try:
            self.tg.executions.delete_many(all=True)
            self.tg.storage.gc()
            if not self.keeps_cache:
                left = {"value": tasks(self.tg)} if tasks(self.tg) else {}
                assert counts(self.tg) == left
            assert check(self.tg.backend, deep=True) == []
        finally:
            deleting.TOGETHER, reach.MOST_KEYS = _BEFORE  # type: ignore[misc]
            for each in (*self.schedulers, self.tg):
                each.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, kind: str, n: int, shared: int, backend: int = 0) -> None:
        """Run something, and compare what it gives."""
        made, expected = _RUNS[kind]
        assert self.schedulers[backend].run(made(n, shared)) == expected(n, shared)

    def known(self, without: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
        """Return what is known of each execution."""
        every = [each.id for each in self.tg.executions.list() if each.id not in without]
        return {each: lineage(self.tg, root_call(self.tg, each)) for each in every}

    def holding(self, executions: list[str]) -> set[bytes]:
        """Return the values with bytes that executions have made or used."""
        driver = self.tg.backend._connection()
        found = set()
        for each in executions:
            for call in lineage(self.tg, root_call(self.tg, each)):
                rows = driver.execute(
                    "SELECT v.value_hash FROM value v JOIN call_node c"
                    " ON c.value_hash = v.value_hash WHERE c.call_hash = ?"
                    " AND v.format <> 'evicted'",
                    (bytes.fromhex(call),),
                ).fetchall()
                found |= {bytes(key) for (key,) in rows}
        return found

    @rule(kind=kinds, n=small, shared=small)
    def run_one(self, kind: str, n: int, shared: int) -> None:
        """Run something, by itself."""
        self.run(kind, n, shared)

    @rule(pick=st.integers(0, 100), keep_cache=st.integers(0, 5))
    def delete(self, pick: int, keep_cache: int) -> None:
        """Delete an execution."""
        every = [each.id for each in self.tg.executions.list()]
        if not every:
            return
        gone = every[pick % len(every)]
        before = self.known({gone})
        keeps = keep_cache == 0
        self.keeps_cache |= keeps
        planned = self.tg.executions.delete(gone, keep_cache=keeps, dry_run=True)

        done = self.tg.executions.delete(gone, keep_cache=keeps)

        assert planned and done
        assert (planned.calls, planned.entries) == (done.calls, done.entries)
        assert (planned.values, planned.size) == (done.values, done.size)
        assert self.known() == before

    @rule(pick=st.integers(0, 100))
    def pin(self, pick: int) -> None:
        """Pin an execution."""
        every = [each.id for each in self.tg.executions.list()]
        if every:
            self.tg.executions.update(every[pick % len(every)], tags={"pin": 1})

    @rule(
        budget=st.one_of(st.none(), st.integers(0, 12 * _SIZE)),
        keep_last=st.one_of(st.none(), st.integers(0, 2)),
    )
    def collect(self, budget: int | None, keep_last: int | None) -> None:
        """Collect, alone."""
        before = self.known()
        kept = self._kept(keep_last)
        held = self.holding(kept)

        done = self.tg.storage.gc(max_size=budget, keep_last=keep_last)

        assert self.known() == before
        assert self.holding(kept) == held
        if budget is not None and done.size_after > budget:
            assert done.over == done.size_after - budget
            assert self.tg.storage.gc(max_size=0, keep_last=keep_last, dry_run=True).evicted == 0

    def _kept(self, keep_last: int | None) -> list[str]:
        every = [*self.tg.executions.list()]
        kept = [each.id for each in every if "pin" in each.tags]
        if keep_last is not None:
            for entry in {each.entrypoint for each in every}:
                of_it = [each.id for each in every if each.entrypoint == entry]
                kept += of_it[:keep_last]
        return kept

    @rule(
        jobs=st.lists(st.tuples(kinds, small, small), min_size=1, max_size=3),
        pick=st.integers(0, 100),
        budget=st.integers(0, 8 * _SIZE),
        deletes=st.booleans(),
    )
    def beside_a_writer(
        self, jobs: list[tuple[str, int, int]], pick: int, budget: int, deletes: bool
    ) -> None:
        """Delete or collect while something runs."""
        every = [each.id for each in self.tg.executions.list()]
        gone = every[pick % len(every)] if every and deletes else None
        before = self.known(set() if gone is None else {gone})
        held = self.holding(pinned := self._kept(None))
        if gone in pinned:
            return
        failed: list[BaseException] = []

        def write() -> None:
            try:
                for each in jobs:
                    self.run(*each, backend=1)
            except BaseException as error:
                failed.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            while True:
                ended = not writer.is_alive()
                if gone is not None:
                    self.tg.executions.delete(gone, missing_ok=True)
                self.tg.storage.gc(max_size=budget)
                if ended:
                    break
        finally:
            writer.join()
        assert failed == []
        now = self.known()
        for each, calls in before.items():
            assert_still_known(now[each], calls)
        assert self.holding(pinned) >= held
        assert len(now) == len(before) + len(jobs)

    @invariant()
    def is_sound(self) -> None:
        """Nothing is half there."""
        if hasattr(self, "tg"):
            assert check(self.tg.backend) == []


SCALE = 10 if os.environ.get("TASKGRAPH_TORTURE") == "1" else 1
_SETTINGS = settings(
    max_examples=6 * SCALE,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
Growing.TestCase.settings = _SETTINGS
test_growing_on_sqlite = pytest.mark.slow(Growing.TestCase)


def test_growing_on_postgres(own_postgres_uri: str) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    class OnPostgres(Growing):
        uri = own_postgres_uri

    run_state_machine_as_test(
        OnPostgres, settings=settings(_SETTINGS, max_examples=4 * SCALE, stateful_step_count=8)
    )
