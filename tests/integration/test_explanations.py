"""Explanations of what a scheduler ran, from its records and while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from taskgraph import File, Scheduler, cond, explain, task
from taskgraph.config import BackendSettings, Settings
from taskgraph.errors import ExplanationError, UnknownRecordError
from taskgraph.provenance.explain import (
    Change,
    ChangeKind,
    ExecutionExplanation,
    Explanation,
    Verdict,
)
from taskgraph.testing import MemoryBackend

taskgraph_namespace = "explained"


@pytest.fixture
def scheduler(tmp_path: Path, database_uri: str) -> Iterator[Scheduler]:
    config_dir = tmp_path / ".taskgraph"
    config_dir.mkdir()
    database = BackendSettings(database_uri)
    with Scheduler(Settings(config_dir, backend=database), executor="inline") as made:
        yield made


def of(scheduler: Scheduler, what: Any) -> Explanation:
    found = scheduler.explain(what)
    assert isinstance(found, Explanation)
    return found


def of_run(scheduler: Scheduler) -> ExecutionExplanation:
    found = scheduler.explain("-")
    assert isinstance(found, ExecutionExplanation)
    return found


def only(explanation: Explanation) -> Change:
    (change,) = explanation.changes
    return change


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task(config_args=["verbose"])
def loud(x: int, verbose: bool = False, *rest: int, **named: int) -> int:
    return x


@task
def fails(x: int) -> int:
    raise ValueError(f"{x} is not good")


@task
def locked() -> Any:
    return threading.Lock()


@task
def read(source: File) -> str:
    return str(source.read())


def test_a_first_call_was_never_made_before(scheduler: Scheduler) -> None:
    scheduler.run(add(1))

    explained = of(scheduler, add)

    assert explained.verdict is Verdict.MISS
    assert explained.against is None
    assert only(explained).kind is ChangeKind.NEW


def test_a_hit_names_the_job_that_ran_and_its_code(scheduler: Scheduler) -> None:
    scheduler.run(add(1))
    made = of(scheduler, add)
    scheduler.run(add(1))

    explained = of(scheduler, add)

    assert explained.verdict is Verdict.HIT
    assert explained.made_by is not None and made.job is not None
    assert explained.made_by.job_id == made.job.id
    assert explained.made_by.execution_id == made.job.execution_id
    assert "return x + y" in explained.made_by.source


def test_an_equal_call_of_the_same_run_made_the_result(scheduler: Scheduler) -> None:
    scheduler.run([add(1), add(1)])
    (job,) = [
        job
        for job in _jobs(scheduler)
        if job.task.fullname == "explained.add" and job.status == "CACHED"
    ]

    explained = of(scheduler, job.id)

    assert explained.made_by is not None
    assert explained.made_by.execution_id == job.execution_id


def _jobs(scheduler: Scheduler) -> Any:
    with scheduler.reading() as reader:
        return reader.job_tree(of_run(scheduler).execution_id).jobs


def test_asking_about_a_call_says_what_would_happen(scheduler: Scheduler) -> None:
    scheduler.run(add(1))

    same = of(scheduler, add(1))
    other = of(scheduler, add(5))
    unknown = of(scheduler, fails(1))

    assert (same.verdict, same.job) == (Verdict.HIT, None)
    assert same.made_by is not None
    assert other.verdict is Verdict.MISS
    assert (only(other).path, only(other).old, only(other).new) == ("x", "1", "5")
    assert only(unknown).kind is ChangeKind.NEW
    assert of_run(scheduler).ran == 1, "nothing was run or recorded by asking"


def test_asking_looks_at_files_anew(scheduler: Scheduler, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one")
    source = File(path)
    scheduler.run(read(source))
    path.write_text("other")

    explained = of(scheduler, read(source))

    assert only(explained).kind is ChangeKind.FILE
    assert only(explained).name == "in.txt"
    assert only(explained).detail == "content changed"


def test_asking_about_a_call_of_calls_is_refused(scheduler: Scheduler) -> None:
    with pytest.raises(ExplanationError, match="arguments are calls"):
        scheduler.explain(add(add(1)))


def test_a_backend_without_a_history_explains_nothing() -> None:
    with (
        Scheduler(backend=MemoryBackend()) as made,
        pytest.raises(ExplanationError, match="MemoryBackend"),
    ):
        made.explain("-")


def test_what_is_not_recorded_cannot_be_explained(scheduler: Scheduler) -> None:
    with pytest.raises(UnknownRecordError):
        scheduler.explain(add)
    with pytest.raises(UnknownRecordError):
        scheduler.explain("no.such.task")


def test_records_and_files_are_explained_as_they_are(scheduler: Scheduler, tmp_path: Path) -> None:
    @task(name="write")
    def write() -> File:
        out = File(tmp_path / "out.txt")
        out.write("text")
        return out

    result = scheduler.run(write())
    job = next(each for each in _jobs(scheduler) if each.task.fullname == "explained.write")

    by_job = of(scheduler, job)

    assert by_job.task == "explained.write"
    for what in (result, tmp_path / "out.txt", job.id[:8], job.call_node, job.task, by_job.job):
        assert of(scheduler, what) == by_job, what
    assert isinstance(scheduler.explain(job.execution_id), ExecutionExplanation)


def test_an_error_is_not_replayed(scheduler: Scheduler) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="not good"):
            scheduler.run(fails(1))

    assert only(of(scheduler, fails)).kind is ChangeKind.FAILED


def test_a_result_that_could_not_be_stored_is_made_again(scheduler: Scheduler) -> None:
    scheduler.run(locked())
    scheduler.run(locked())

    assert only(of(scheduler, locked)).kind is ChangeKind.UNSTORED


def test_arguments_that_do_not_count_are_not_named(scheduler: Scheduler) -> None:
    scheduler.run(loud(1, False))
    scheduler.run(loud(2, True))

    explained = of(scheduler, loud)

    assert [change.path for change in explained.changes] == ["x"]


def test_arguments_without_a_name_and_free_ones_are_told_apart(scheduler: Scheduler) -> None:
    scheduler.run(loud(1, False, 5, 6, b=1, a=2))
    scheduler.run(loud(1, False, 5, 7, b=1, a=3))

    explained = of(scheduler, loud)

    told = [(change.path, change.old, change.new) for change in explained.changes]
    assert told == [("*3", "6", "7"), ("a", "2", "3")]


def test_an_argument_that_came_or_went_is_named(scheduler: Scheduler) -> None:
    scheduler.run(loud(1, False, 5))
    scheduler.run(loud(1, False, 5, 6))

    assert only(of(scheduler, loud)) == Change(ChangeKind.ARGUMENT, "*3", "*3", None, "6")


@pytest.mark.parametrize("changed", [0, 3, 299])
def test_one_item_of_many_is_held_against_the_one_that_it_replaced(
    scheduler: Scheduler, changed: int
) -> None:
    items = list(range(300))
    scheduler.run([add(item) for item in items])
    items[changed] += 10_000
    scheduler.run([add(item) for item in items])

    change = only(of(scheduler, add))

    # Of those that were made before, only the newest are looked at.
    if changed >= 100:
        assert (change.old, change.new) == (str(changed), str(changed + 10_000))
    assert change.path == "x"


def test_a_call_that_is_older_than_the_newest_is_found_by_its_key(scheduler: Scheduler) -> None:
    def version(number: int) -> Any:
        @task(name="many", version=str(number))
        def many(x: int) -> int:
            return x

        return many

    scheduler.run([version(1)(x) for x in range(300)])
    scheduler.run([version(2)(x) for x in range(300)])

    run = of_run(scheduler)

    assert len(run.causes) == 1
    assert run.causes[0].change.kind is ChangeKind.VERSION
    assert run.ran == 300
    assert run.explained == 200


def test_the_number_of_statements_does_not_grow_with_the_history(scheduler: Scheduler) -> None:
    def ask(runs: int) -> int:
        for _ in range(runs):
            for x in range(20):
                scheduler.run(add(next(numbers), x))
        with scheduler.reading() as reader:
            texts: list[str] = []
            event.listen(
                reader.get_bind(), "before_cursor_execute", lambda *given: texts.append(given[2])
            )
            from taskgraph.provenance.explain_runs import explain_found

            explain_found(reader, reader.find("-"), "-")
            explain_found(reader, reader.find("explained.add"), "add")
        return len(texts)

    numbers = iter(range(100_000))
    few = ask(1)
    many = ask(20)

    assert many <= few + 2
    assert few < 60


def test_of_a_branch_the_condition_is_named(scheduler: Scheduler) -> None:
    scheduler.run(cond(add(0) > 0, add(10), add(20)))
    scheduler.run(cond(add(-5) > 0, add(10), add(20)))

    run = of_run(scheduler)

    assert {cause.change.path for cause in run.causes} == {"x"}
    assert run.ran == 2


def test_misses_are_told_in_order_before_the_calls_run(scheduler: Scheduler) -> None:
    told: list[tuple[str, str]] = []

    scheduler.run(
        add(add(1), add(2)),
        explain=lambda each: told.append((each.task, str(dict(each.arguments)["x"]))),
    )

    assert told == [("explained.add", "1"), ("explained.add", "2"), ("explained.add", "2")]


def test_a_failing_explanation_does_not_fail_the_run(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskgraph.provenance import explain_calls

    def broken(*given: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(explain_calls.Explainer, "explain", broken)

    assert scheduler.run(add(1), explain=lambda each: None) == 2


def test_explain_is_a_function_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from taskgraph import run
    from taskgraph.app import scheduler_for

    run(add(1))

    found = explain(add(2))

    assert isinstance(found, Explanation)
    assert only(found).path == "x"
    scheduler_for().close()


def test_an_execution_groups_what_followed_under_what_changed(scheduler: Scheduler) -> None:
    def flow(number: int) -> Any:
        @task(name="leaf", version=str(number))
        def leaf(x: int) -> int:
            return x + number

        return add(add(leaf(1)), leaf(2))

    scheduler.run(flow(1))
    scheduler.run(flow(2))

    run = of_run(scheduler)

    (cause,) = run.causes
    assert cause.change.kind is ChangeKind.VERSION
    assert [(each.task, each.count) for each in cause.tasks] == [("explained.leaf", 2)]
    assert [(each.task, each.count) for each in cause.followed] == [("explained.add", 2)]
