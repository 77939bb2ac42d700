"""`hash_args_eval` agrees with what a run records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph import File, JobInfo, Scheduler, hash_args_eval, task
from taskgraph.config import load_settings
from taskgraph.errors import UnhashableValueError
from taskgraph.expression import TaskExpression
from taskgraph.testing import MemoryBackend


@task(namespace="hashed")
def plain(x: Any, y: Any = 2) -> str:
    return f"{x} {y}"


@task(namespace="hashed", config_args=["where"])
def placed(x: int, where: Any, job: JobInfo = JobInfo()) -> int:
    return x


@task(namespace="hashed")
def many(first: Any, *others: Any, last: Any = None, **named: Any) -> int:
    return len(others) + len(named)


@task(namespace="hashed")
def read(file: File) -> str:
    return file.read()


@pytest.fixture(scope="module")
def recorded() -> Iterator[Any]:
    """Runs a call and returns the hashes that are recorded for it."""
    backend = MemoryBackend()
    with Scheduler(backend=backend, executor="inline") as scheduler:

        def run(call: Any) -> tuple[str | None, str | None]:
            assert isinstance(call, TaskExpression)
            scheduler.run(call)
            call_hash = list(backend.jobs.values())[-1].call_hash
            assert call_hash is not None
            node = backend.call_nodes[call_hash]
            return node.eval_hash, node.args_hash

        yield run


@pytest.mark.parametrize(
    ("called", "args", "kwargs"),
    [
        (plain, (1,), {}),
        (plain, (1,), {"y": [1, {"a": (2.5, None)}]}),
        (plain, (), {"y": 1, "x": 2}),
        (plain.options(nout=2), (1, 2), {}),
        (plain.options(executor="inline"), (1, 2), {}),
        (placed, (1, "here"), {}),
        (many, (1, 2, 3), {"last": 4, "b": 5, "a": 6}),
        (many, (1,), {}),
        (plain, (plain, len), {}),
    ],
)
def test_they_are_those_of_the_run(called: Any, args: Any, kwargs: Any, recorded: Any) -> None:
    assert hash_args_eval(None, called, args, kwargs) == recorded(called(*args, **kwargs))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(args=st.lists(values, min_size=1, max_size=3), named=st.dictionaries(st.just("z"), values))
def test_they_are_those_of_the_run_for_any_values(args: Any, named: Any, recorded: Any) -> None:
    assert hash_args_eval(None, many, args, named) == recorded(many(*args, **named))


def test_files_are_known_by_the_roots_of_the_project(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    os.mkdir(".taskgraph")
    Path("a.txt").write_text("so much")

    with Scheduler(load_settings(".taskgraph")) as scheduler:
        scheduler.run(read(File("a.txt")))
        with scheduler.reading() as reader:
            node = reader.jobs_of_task(read.hash, 1)[0].call_node
            kept = (node.eval_hash, node.args_hash)

    assert hash_args_eval(None, read, [File("a.txt")], {}) == kept
    Path("a.txt").write_text("depends")
    assert hash_args_eval(None, read, [File("a.txt")], {}) != kept


def test_what_does_not_count_does_not() -> None:
    job = JobInfo(job_id="1")

    first = hash_args_eval(None, placed, (1, "here"), {})

    assert hash_args_eval(None, placed, (1, "there"), {"job": job}) == first
    assert hash_args_eval(None, placed, (2, "here"), {}) != first


def test_by_position_and_by_name_is_the_same_call() -> None:
    assert hash_args_eval(None, plain, (1, 2), {}) == hash_args_eval(None, plain, (), {"x": 1})


def test_another_hasher_is_asked() -> None:
    class Hasher:
        def get_hash(self, value: Any) -> str:
            return f"{value:032x}"

    ours = hash_args_eval(None, plain, (1, 2), {})
    theirs = hash_args_eval(Hasher(), plain, (1, 2), {})

    assert ours != theirs == hash_args_eval(Hasher(), plain, (1,), {})


def test_lazy_calls_and_what_has_no_hash_are_refused() -> None:
    with pytest.raises(TypeError, match=r"given for x is a lazy call.*taskgraph\.run"):
        hash_args_eval(None, plain, (plain(1),), {})
    with pytest.raises(TypeError, match="unexpected keyword"):
        hash_args_eval(None, plain, (1,), {"z": 1})
    with pytest.raises(UnhashableValueError, match=r"args\.x"):
        hash_args_eval(None, plain, (iter(()),), {})
