"""Two executions are held against each other: what is new, gone or changed, and by what."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from taskgraph import File, Scheduler, get_context, task
from taskgraph.provenance.diff import compare
from taskgraph.provenance.diff_views import ExecutionsDiff, Ingredient
from taskgraph.records import State
from taskgraph.values import codec
from taskgraph_backend import SqlBackend, models
from tests.rows import a_call, a_job, a_task, an_edge, an_execution, together


@task(namespace="diffed", version="1")
def inc(x: int, by: int = 1) -> int:
    return x + by


@task(namespace="diffed", version="1")
def total(xs: list[int]) -> int:
    return sum(xs)


@task(namespace="diffed", version="1")
def main(n: int, by: int = 1, seed: int = 0) -> int:
    return total([inc(seed + i, by) for i in range(n)])


@task(namespace="diffed", version="1")
def other(n: int) -> int:
    return total([inc(i) for i in range(n)])


@task(namespace="diffed", version="1")
def read(file: File) -> str:
    return file.read()


@task(namespace="diffed", version="1", cache=False)
def random() -> str:
    return uuid.uuid4().hex


@task(namespace="diffed", version="1")
def half(x: int) -> int:
    if x % 2:
        raise ValueError("odd")
    return x // 2


@task(namespace="diffed", version="1")
def place() -> str:
    return get_context("place", "nowhere")


@pytest.fixture
def scheduler(database_uri: str) -> Iterator[Scheduler]:
    with Scheduler(backend=database_uri) as made:
        made.load()
        yield made


class Diffs:
    """Runs things, and holds the last two runs against each other."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.ids: list[str] = []

    def run(self, expr: Any, **how: Any) -> None:
        self.ids.append(uuid.uuid4().hex)
        with suppress(ValueError):  # of a task that fails
            self.scheduler.run(expr, execution_id=self.ids[-1], **how)

    def diff(self, **how: Any) -> ExecutionsDiff:
        with self.scheduler.reading() as reader:
            old, new = (reader.find(each) for each in self.ids[-2:])
            return compare(reader, old, new, **how)


@pytest.fixture
def diffs(scheduler: Scheduler) -> Diffs:
    return Diffs(scheduler)


def numbers(found: ExecutionsDiff) -> tuple[int, int, int, int]:
    return found.same, found.changed, found.added, found.gone


def test_a_run_that_was_repeated_is_the_same(diffs: Diffs) -> None:
    diffs.run(main(3))
    diffs.run(main(3))

    found = diffs.diff()

    assert (numbers(found), found.is_same) == ((5, 0, 0, 0), True)


def test_an_argument_is_named_with_what_follows_from_it(diffs: Diffs) -> None:
    diffs.run(main(2))
    diffs.run(main(2, by=5))

    found = diffs.diff()

    assert numbers(found) == (0, 4, 0, 0)
    first, *_, last = found.changes.shown
    assert first.ingredients[0] is Ingredient.ARGUMENT
    assert {each.arguments[0].name for each in found.changes.shown[:3]} == {"by"}
    assert [(each.old, each.new) for each in first.arguments] == [("1", "5")]
    assert (last.task, last.arguments[0].given_by) == ("diffed.total", "diffed.inc")


def test_calls_come_and_go(diffs: Diffs) -> None:
    diffs.run(main(3))
    diffs.run(main(3, seed=1))

    found = diffs.diff()

    assert numbers(found) == (2, 3, 0, 0)
    diffs.run(main(1, seed=1))
    assert (diffs.diff().added, diffs.diff().gone) == (0, 2)
    diffs.run(main(4, seed=1))
    found = diffs.diff()
    assert [each.arguments for each in found.added_calls.shown] == [
        (("x", str(x)), ("by", "1")) for x in (2, 3, 4)
    ]


def test_a_file_that_changed_is_no_other_argument(diffs: Diffs, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one")
    diffs.run(read(File(str(path))))
    path.write_text("two")
    diffs.run(read(File(str(path))))

    (change,) = diffs.diff().changes.shown

    assert change.ingredients == (Ingredient.FILE,)
    assert change.arguments[0].is_file
    assert (change.old_result, change.new_result) == ("'one'", "'two'")


def test_the_code_is_told_by_its_parts(diffs: Diffs) -> None:
    def define(version: str) -> Any:
        @task(namespace="diffed", name="edited", version=version)
        def edited(x: int) -> str:
            return f"{x} {version}"

        return edited

    for version in "12":
        edited = define(version)
        diffs.run([edited(1), edited(2)])

    found = diffs.diff()

    (code,) = found.codes.shown
    assert (code.task, code.calls) == ("diffed.edited", 2)
    assert [(each.kind.value, each.old, each.new) for each in code.changes] == [
        ("version", "1", "2")
    ]
    assert found.by == {"code": 2}


def test_a_result_alone_and_what_is_above_it(diffs: Diffs) -> None:
    diffs.run(random())
    diffs.run(random())

    found = diffs.diff()

    assert [each.ingredients for each in found.changes.shown] == [(Ingredient.RESULT,)]


def test_what_was_read_of_the_context_is_named(diffs: Diffs) -> None:
    for where in ("here", "there"):
        diffs.run(place(), context={"place": where})

    (change,) = diffs.diff().changes.shown

    assert change.ingredients == (Ingredient.CONTEXT,)
    assert change.contexts == ("place",)


def test_a_call_that_failed_is_held_against_one_that_did_not(diffs: Diffs) -> None:
    diffs.run(half(4))
    diffs.run(half(3))

    (change,) = diffs.diff().changes.shown

    assert change.ingredients == (Ingredient.ARGUMENT, Ingredient.STATE)
    assert (change.old_status, change.new_status) == ("DONE", "FAILED")


def test_executions_of_different_workflows_share_calls(diffs: Diffs) -> None:
    diffs.run(main(3))
    diffs.run(other(3))

    found = diffs.diff()

    assert numbers(found) == (4, 0, 1, 1)
    assert [each.task for each in found.added_calls.shown] == ["diffed.other"]


def test_what_is_below_a_call_that_was_reused_whole_is_not_gone(diffs: Diffs) -> None:
    whole = main.options(check_valid="shallow")
    diffs.run(whole(3))
    diffs.run(whole(3))

    found = diffs.diff()

    assert numbers(found) == (1, 0, 0, 0)
    assert found.reused == 4


def test_a_run_that_goes_on_is_held_against_one_that_ended(database_uri: str) -> None:
    old, new = "1" * 32, "2" * 32
    with SqlBackend(database_uri) as backend:
        backend.record(
            together(
                *(a_task(), a_call(7, 8, 9), a_call(6, 5, 4), an_edge(7, 6)),
                an_execution(int(old, 16), state=State.COMPLETED, root=1),
                a_job(1, execution=int(old, 16), call=7),
                a_job(2, execution=int(old, 16), parent=1, call=6),
                an_execution(int(new, 16), state=State.RUNNING, root=3),
                a_job(3, execution=int(new, 16), end=None, state=State.RUNNING),
                a_job(4, execution=int(new, 16), parent=3, call=6),
            )
        )
        with backend.reader() as reader:
            found = compare(
                reader, *(reader.get_one(models.Execution, each) for each in (old, new))
            )

    assert numbers(found) == (1, 1, 0, 0)
    (change,) = found.changes.shown
    assert change.ingredients == (Ingredient.STATE,)
    assert (change.old_status, change.new_status) == ("DONE", "RUNNING")


@contextmanager
def counted(reader: Any) -> Iterator[list[str]]:
    statements: list[str] = []
    engine = reader.get_bind()

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_ten_thousand_calls_take_no_more_statements_than_ten(
    diffs: Diffs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for n in (10, 10_000):
        diffs.run(main(n))
        diffs.run(main(n, by=2))
        monkeypatch.setattr(codec, "decode", None)  # nothing is unpickled
        with diffs.scheduler.reading() as reader:
            old, new = (reader.find(each) for each in diffs.ids[-2:])
            with counted(reader) as statements:
                found = compare(reader, old, new)
        monkeypatch.undo()
        assert found.changed == n + 2
        assert len(found.changes.shown) == min(n + 2, 20)
        assert found.changes.left_out == n + 2 - len(found.changes.shown)
        asked.append(len(statements))

    assert asked[0] == asked[1] <= 20
