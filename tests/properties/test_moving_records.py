"""Whatever ran, its records move without loss: into empty databases, and between any others."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph import Scheduler, catch, task
from taskgraph.config import Settings
from taskgraph_backend import SqlBackend, integrity, models
from taskgraph_backend.exporting import all_records, records_below
from taskgraph_backend.moving import Mover
from taskgraph_backend.recordfiles import RecordFile, write_lines

EXAMPLES = 200 if os.environ.get("TASKGRAPH_TORTURE") else 12
SOME = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@task(namespace="moving", version="1")
def leaf(x: int) -> int:
    if x == 3:
        raise ValueError("three")
    return x


@task(namespace="moving", version="1")
def node(inner: list[Any], name: str = "n") -> list[Any]:
    return [name, *inner]


@task(namespace="moving", version="1")
def fan(shape: Any) -> Any:
    """Make the calls that a shape stands for, some of them with results of others."""
    if isinstance(shape, int):
        return leaf(shape)
    return node([fan(each) for each in shape], name="é" * len(shape))


@task(namespace="moving", version="1")
def quiet(error: Exception) -> str:
    return str(error)


SHAPES: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, 3), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)


@cache
def _empty() -> Path:
    """Return an empty database: to copy it is quicker than to make it."""
    path = Path(tempfile.mkdtemp()) / "taskgraph.db"
    SqlBackend(f"sqlite:///{path}").__enter__().close()
    atexit.register(shutil.rmtree, path.parent)
    return path


def _ran(folder: Path, shapes: list[Any]) -> SqlBackend:
    """Return the database of a project in which workflows of these shapes ran."""
    folder.mkdir()
    shutil.copy(_empty(), folder / "taskgraph.db")
    scheduler = Scheduler(Settings(config_dir=folder))
    for shape in shapes:
        scheduler.run(catch(fan(shape), ValueError, quiet), tags=[("shape", str(shape))])
    backend = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    backend.load()
    return backend


def _copied(folder: Path) -> SqlBackend:
    folder.mkdir()
    shutil.copy(_empty(), folder / "taskgraph.db")
    backend = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    backend.load()
    return backend


def _exported(backend: SqlBackend) -> bytes:
    stream = io.BytesIO()
    with backend.reader() as reader:
        write_lines(stream, all_records(reader, []))
    return stream.getvalue()


@SOME
@given(shapes=st.lists(SHAPES, min_size=1, max_size=2))
def test_records_of_any_workflow_come_back_to_the_byte(shapes: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = _ran(Path(folder) / "a", shapes)
        exported = _exported(source)
        target = _copied(Path(folder) / "target")

        target.put_rows(RecordFile(io.BytesIO(exported), "a").rows())

        assert _exported(target) == exported
        assert integrity.check(source) == integrity.check(target) == []
        target.trust_origin()
        assert _exported(target) == exported
        with target.reader() as reader:
            below = {str(each) for each in records_below(reader, None, [])}
            assert below <= {str(each) for each in all_records(reader, [])}
            assert all(each.trusted for each in reader.query(models.Value))
        source.close()
        target.close()


def _ids(backend: SqlBackend) -> set[str]:
    with backend.reader() as reader:
        columns = (
            models.Execution.id,
            models.Job.id,
            models.CallNode.call_hash,
            models.Value.value_hash,
            models.Tag.tag_hash,
        )
        return {key for column in columns for (key,) in reader.query(column)}


def _reached(backend: SqlBackend) -> set[str]:
    """Return what executions name; entries of calls that were broken off stay where they are."""
    with backend.reader() as reader:
        executions = [key for (key,) in reader.query(models.Execution.id)]
    return set(backend.iter_record_ids(executions))


@SOME
@given(
    shapes=st.lists(SHAPES, min_size=3, max_size=3),
    order=st.permutations([(a, b) for a in range(3) for b in range(3) if a != b]),
)
def test_three_databases_come_to_hold_the_same_in_any_order(
    shapes: list[Any], order: list[tuple[int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repos = [_ran(Path(folder) / str(n), [shape]) for n, shape in enumerate(shapes)]
        wanted = set().union(*map(_reached, repos))

        for _ in range(2):
            for a, b in order:
                Mover(repos[a], repos[b], f"repo {a}").move()

        assert [_reached(each) for each in repos] == [wanted] * 3
        assert [integrity.check(each) for each in repos] == [[], [], []]
        for a, b in order:
            assert Mover(repos[a], repos[b], f"repo {a}").move().new == {}
        for each in repos:
            each.close()


@SOME
@given(shape=SHAPES, batches=st.integers(0, 6))
def test_a_record_is_there_with_all_below_it_wherever_moving_breaks_off(
    shape: Any, batches: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = _ran(Path(folder) / "a", [shape])
        target = _copied(Path(folder) / "target")
        left = batches

        class Stopped(Exception):
            pass

        def put(rows: Any, **options: Any) -> dict[str, int]:
            nonlocal left
            left -= 1
            if left < 0:
                raise Stopped
            return SqlBackend.put_rows(target, rows, **options)

        target.put_rows = put  # type: ignore[method-assign]
        with suppress(Stopped):
            Mover(source, target, "a").move()
        del target.put_rows

        there = _ids(target)
        with source.reader() as reader:
            from taskgraph_backend.walking import child_edges

            below = {e.child_id for e in child_edges(reader, sorted(there))}
        assert below <= there
        Mover(source, target, "a").move()
        assert _reached(target) == _reached(source)
        source.close()
        target.close()
