"""Executions are deleted: what only they need goes, and what anything else needs stays."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import F, File, Scheduler, task
from taskgraph.archive import Archive
from taskgraph.errors import (
    ActiveExecutionError,
    ExecutionNotFoundError,
    UnsafePathError,
    ValidationError,
)
from taskgraph.records import LeaseRecord, Micros, execution_lease
from taskgraph_backend.growth import deleting, reach
from taskgraph_backend.holders import this_process
from taskgraph_backend.integrity import check
from taskgraph_backend.models import Base

taskgraph_namespace = "deletion"


@task
def load(n: int) -> list[int]:
    """Return what others are made of."""
    return list(range(n))


@task
def total(numbers: list[int]) -> int:
    """Return the sum."""
    return sum(numbers)


@task
def scaled(number: int, by: int) -> int:
    """Return a product."""
    return number * by


@task
def report(n: int, by: int) -> list[Any]:
    """Make three calls, each given to the next one."""
    found = total(load(n))
    return [found, scaled(found, by)]


@task
def same(x: int) -> int:
    """Return what it is given."""
    return x


@task
def again(x: int) -> int:
    """Return what it is given, too."""
    return x


@task
def fails(x: int) -> int:
    """Raise."""
    raise ValueError(x)


@task
def content(file: File) -> list[Any]:
    """Return a file with what is in it."""
    return [file, file.read()]


_reached, _gate = threading.Event(), threading.Event()


@task(executor="threads", cache=False)
def waits(given: list[Any]) -> list[Any]:
    """Return what it is given, once somebody says so."""
    _reached.set()
    assert _gate.wait(60)
    return given


# What a deleted run never takes along: code, and what says which schema this is.
_STAYS = {"task", "part", "task_part", "taskgraph_version", "study", "lease"}


def counts(tg: Archive) -> dict[str, int]:
    """Return how many rows each table has that has any."""
    driver = tg.backend._connection()
    found = {}
    for table in Base.metadata.sorted_tables:
        (number,) = driver.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        if number and table.name not in _STAYS:
            found[table.name] = int(number)
    return found


def tasks(tg: Archive) -> int:
    """Return how many values are code."""
    (number,) = tg.backend._connection().execute("SELECT count(*) FROM task").fetchone()
    return int(number)


def lineage(tg: Archive, call_hash: str) -> Any:
    """Return all that is known of how a call came about."""
    driver = tg.backend._connection()
    made = (
        "SELECT lower(hex(a.call_hash)), a.arg_position, a.arg_key, lower(hex(r.result_call_hash)),"
        " v.preview, v.type FROM argument a JOIN value v ON v.value_hash = a.value_hash"
        " LEFT JOIN argument_result r ON r.arg_hash = a.arg_hash WHERE a.call_hash = ?"
    )
    seen: dict[str, Any] = {}
    wanted = [call_hash]
    while wanted:
        call = wanted.pop()
        if call in seen:
            continue
        key = bytes.fromhex(call)
        rows = sorted(map(tuple, driver.execute(made, (key,)).fetchall()), key=str)
        children = [
            bytes(child).hex()
            for (child,) in driver.execute(
                "SELECT child_id FROM call_edge WHERE parent_id = ? ORDER BY call_order", (key,)
            ).fetchall()
        ]
        result = driver.execute(
            "SELECT v.preview, v.type FROM call_node c JOIN value v ON v.value_hash = c.value_hash"
            " WHERE c.call_hash = ?",
            (key,),
        ).fetchone()
        assert result is not None, call
        seen[call] = rows, children, tuple(result)
        wanted += children + [row[3] for row in rows if row[3]]
    return seen


def root_call(tg: Archive, execution_id: str) -> str:
    """Return the call of the root of an execution."""
    row = (
        tg.backend._connection()
        .execute(
            "SELECT j.call_hash FROM execution e JOIN job j ON j.id = e.job_id WHERE e.id = ?",
            (bytes.fromhex(execution_id),),
        )
        .fetchone()
    )
    return bytes(row[0]).hex()


def ids(tg: Archive) -> list[str]:
    """Return all executions, the oldest first."""
    return [each.id for each in tg.executions.list(descending=False)]


def test_the_only_execution_leaves_nothing_but_code(tg: Archive, recording: Scheduler) -> None:
    recording.run(report(4, 2), tags={"team": "ml"})
    before = counts(tg)

    done = tg.executions.delete("-")

    assert counts(tg) == {"value": tasks(tg)}
    assert done and (done.jobs, done.calls, done.entries) == (
        before["job"],
        before["call_node"],
        before["evaluation"],
    )
    assert done.values == before["value"] - tasks(tg)
    assert check(tg.backend, deep=True) == []


def test_a_later_cached_run_keeps_its_results_and_lineage(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(report(4, 2))
    recording.run(report(4, 2))
    first, second = ids(tg)
    root = root_call(tg, second)
    before = lineage(tg, root)

    done = tg.executions.delete(first)

    assert done and (done.calls, done.values) == (0, 0)
    assert done.kept == 4
    assert lineage(tg, root) == before
    assert check(tg.backend, deep=True) == []
    assert recording.run(report(4, 2)) == [6, 12]
    assert tg.executions.list()[0].id != second
    (cached,) = [each.cached for each in tg.executions.dependencies("-")][:1]
    assert cached


def test_the_last_user_of_calls_leaves_no_orphan(tg: Archive, recording: Scheduler) -> None:
    for _ in range(3):
        recording.run(report(4, 2))
    recording.run(report(4, 3))

    for each in ids(tg):
        assert tg.executions.delete(each)
        assert check(tg.backend, deep=True) == []

    assert counts(tg) == {"value": tasks(tg)}


def test_what_a_surviving_result_was_made_of_survives(tg: Archive, recording: Scheduler) -> None:
    """It has no job of its own in the execution that stays, nor a parent there."""
    recording.run(report(4, 2))
    recording.run(scaled(6, 2))  # the same call, which was given the sum of another one before
    first, second = ids(tg)
    call = root_call(tg, second)
    before = lineage(tg, call)
    assert len(before) == 3

    done = tg.executions.delete(first)

    assert done and done.calls == 1
    assert lineage(tg, call) == before
    assert check(tg.backend, deep=True) == []
    tg.executions.delete(second)
    assert counts(tg) == {"value": tasks(tg)}


def test_a_run_on_its_way_names_what_it_took_from_the_cache(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(report(4, 2))
    (first,) = ids(tg)
    _reached.clear()
    _gate.clear()
    results: list[Any] = []
    runner = threading.Thread(target=lambda: results.append(recording.run(waits(report(4, 2)))))
    runner.start()
    try:
        assert _reached.wait(30)
        done = tg.executions.delete(first)
        collected = tg.storage.gc(max_size=0)
    finally:
        _gate.set()
        runner.join()

    assert done and (done.calls, done.values) == (0, 0)
    assert collected.calls == 0
    assert results == [[6, 12]]
    assert check(tg.backend, deep=True) == []
    known = lineage(tg, root_call(tg, "".join(ids(tg))))
    assert {"[6, 12]"} <= {result[0] for _, _, result in known.values()}
    assert tg.storage.gc().calls == 0
    assert tg.executions.delete("-")
    assert counts(tg) == {"value": tasks(tg)}


def test_calls_that_were_given_each_others_results_go_together(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(same(again(1)))
    recording.run(again(same(1)))

    report_of_plan = tg.executions.delete_many(all=True, dry_run=True)
    first, second = ids(tg)
    tg.executions.delete(first)
    assert check(tg.backend, deep=True) == []
    tg.executions.delete(second)

    assert report_of_plan.calls == 4  # both tasks, and the root of each run
    assert counts(tg) == {"value": tasks(tg)}


def test_failed_runs_and_files_leave_nothing(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("x")
    with pytest.raises(ValueError, match="3"):
        recording.run(fails(3))
    recording.run(content(File(str(path))))

    done = tg.executions.delete_many(F.status("FAILED"))

    assert len(done.executions) == 1
    assert counts(tg)["execution"] == 1
    tg.executions.delete_many(all=True)
    assert counts(tg) == {"value": tasks(tg)}
    assert path.exists()


def test_a_dry_run_says_what_goes_and_does_nothing(tg: Archive, recording: Scheduler) -> None:
    recording.run(report(4, 2))
    recording.run(report(5, 2))
    before = counts(tg)

    planned = tg.executions.delete_many(all=True, dry_run=True)

    assert counts(tg) == before
    done = tg.executions.delete_many(all=True)
    assert planned.is_dry_run and not done.is_dry_run
    names = ("jobs", "calls", "entries", "values", "size")
    assert [getattr(planned, each) for each in names] == [getattr(done, each) for each in names]
    assert set(planned.executions) == set(done.executions)


def test_a_large_one_goes_piece_by_piece(
    tg: Archive, recording: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "TOGETHER", 3)
    monkeypatch.setattr(reach, "MOST_KEYS", 2)
    recording.run([report(n, 2) for n in range(6)])
    recording.run(report(3, 2))
    before = counts(tg)
    planned = tg.executions.delete(ids(tg)[0], dry_run=True)

    done = tg.executions.delete(ids(tg)[0])

    assert planned and done
    assert (done.jobs, done.calls, done.entries) == (planned.jobs, planned.calls, planned.entries)
    assert (done.values, done.size, done.kept) == (planned.values, planned.size, planned.kept)
    assert before["call_node"] - done.calls == counts(tg)["call_node"] == 4
    assert check(tg.backend, deep=True) == []
    tg.executions.delete("-")
    assert counts(tg) == {"value": tasks(tg)}


def test_results_stay_in_the_cache_if_asked(tg: Archive, recording: Scheduler) -> None:
    recording.run(report(4, 2))

    done = tg.executions.delete("-", keep_cache=True)

    assert done and (done.calls, done.entries) == (0, 0)
    assert "job" not in counts(tg)
    assert check(tg.backend, deep=True) == []
    recording.run(report(4, 2))
    assert all(each.cached for each in tg.executions.dependencies("-"))
    tg.storage.gc()
    assert counts(tg)["evaluation"] == done.kept


def test_what_a_retracted_call_has_filled_goes_with_it(tg: Archive, recording: Scheduler) -> None:
    found = iter([1, 2, 3])

    @task(namespace="deletion", name="drawn", version="1")
    def drawn(sample: str) -> int:
        return next(found)

    recording.run(drawn("a"))
    recording.run(drawn("a"), cache=False)
    tg.retract("-", reason="the second one was wrong")

    tg.executions.delete(tg.executions.list(include_retracted=True)[0])

    # The first call has the same key; the entry of the cache was that of the second one.
    assert recording.run(drawn("a")) == 3
    assert check(tg.backend, deep=True) == []


def test_a_tag_keeps_a_call_with_all_that_it_is_made_of(tg: Archive, recording: Scheduler) -> None:
    recording.run(report(4, 2))
    call = root_call(tg, ids(tg)[0])
    before = lineage(tg, call)
    tg.backend.record_tags("CallNode", call, [("keep", "for ada")])

    tg.executions.delete("-")

    assert lineage(tg, call) == before
    assert check(tg.backend, deep=True) == []
    tg.backend.delete_tags(call, [], ["keep"])
    tg.storage.gc()
    # The cache has it still: what was deleted by a tag's leave is nobody's execution's.
    assert check(tg.backend, deep=True) == []


def test_datasets_and_artifacts_of_others_keep_values(tg: Archive, recording: Scheduler) -> None:
    recording.run(report(4, 2))
    driver = tg.backend._connection()
    (value,) = driver.execute(
        "SELECT value_hash FROM call_node WHERE task_name = 'deletion.load'"
    ).fetchone()
    row = (b"d" * 16, "numbers", "Any", bytes(value), 0, json.dumps({}), 0, 1, 1)
    driver.executemany(
        "INSERT INTO dataset (id, name, type, value_hash, read_only, meta, retracted, created_at,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [row],
    )

    tg.executions.delete("-")

    assert tg.backend.get_value(bytes(value).hex())[0] == [0, 1, 2, 3]
    assert counts(tg)["value"] == tasks(tg) + 1
    assert check(tg.backend, deep=True) == []


def test_one_that_is_active_is_refused_unless_forced(tg: Archive) -> None:
    made = tg.executions.create("deletion.report", {"n": 1}).execution

    with pytest.raises(ActiveExecutionError, match=f"cancel {made.id[:8]}.*--force") as caught:
        tg.executions.delete(made)
    with pytest.raises(ActiveExecutionError):
        tg.executions.delete_many(all=True, dry_run=True)

    assert caught.value.state == "Pending"
    assert tg.executions.find(made.id) is not None
    assert tg.executions.delete(made, force=True)
    assert counts(tg) == {}


def test_one_that_was_cancelled_and_is_on_its_way_is_active(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(report(4, 2))
    (each,) = ids(tg)
    place = this_process()
    tg.backend.take(
        [
            LeaseRecord(
                execution_lease(each),  # type: ignore[arg-type]
                each,
                place.host,
                place.pid,
                place.started,
                Micros(tg.backend.clock() + 60_000_000),
            )
        ]
    )

    with pytest.raises(ActiveExecutionError, match="still running"):
        tg.executions.delete(each)


def test_while_something_runs_calls_are_left_for_a_collection(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(report(4, 2))
    (each,) = ids(tg)
    place = this_process()
    other = "ab" * 16
    lease = LeaseRecord(
        execution_lease(other),  # type: ignore[arg-type]
        other,
        place.host,
        place.pid,
        place.started,
        Micros(tg.backend.clock() + 60_000_000),
    )
    tg.backend.take([lease])

    done = tg.executions.delete(each)

    assert done and (done.calls, done.left, done.values) == (0, 4, 0)
    assert "evaluation" not in counts(tg)
    assert tg.storage.gc().left == 4
    tg.backend.release(other, [lease.key])
    found = tg.storage.gc()
    assert (found.calls, found.left) == (4, 0)
    assert counts(tg) == {"value": tasks(tg)}


def test_there_must_be_one_unless_that_is_no_matter(tg: Archive) -> None:
    with pytest.raises(ExecutionNotFoundError, match="execution list"):
        tg.executions.delete("abc")

    assert tg.executions.delete("abc", missing_ok=True) is False


def test_without_a_filter_all_must_be_said(tg: Archive) -> None:
    for each in range(3):
        tg.executions.create("deletion.report", {"n": each}, state="COMPLETED")

    with pytest.raises(ValidationError, match="all=True"):
        tg.executions.delete_many()
    with pytest.raises(ValidationError, match="no filter"):
        tg.executions.delete_many(F.name("x"), all=True)
    assert tg.executions.count() == 3
    assert len(tg.executions.delete_many(F.name("nobody")).executions) == 0
    assert len(tg.executions.delete_many(all=True).executions) == 3


def test_only_folders_inside_of_roots_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "runs" / "monday").mkdir(parents=True)
    (project / ".taskgraph").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(project)
    with taskgraph.open(project, migrate=True) as tg:
        inside = tg.executions.create(
            "x", workspace=project / "runs" / "monday", state="COMPLETED"
        ).execution
        for bad in (elsewhere, project, project / ".taskgraph"):
            made = tg.executions.create("x", workspace=bad, state="COMPLETED").execution
            with pytest.raises(UnsafePathError, match="not removed"):
                tg.executions.delete(made, remove_workspace=True)
            assert tg.executions.delete(made)
            assert bad.is_dir()

        planned = tg.executions.delete(inside, remove_workspace=True, dry_run=True)
        assert (project / "runs" / "monday").is_dir()
        done = tg.executions.delete(inside, remove_workspace=True)

    assert planned and done
    assert planned.workspaces == done.workspaces == (str(project / "runs" / "monday"),)
    assert not (project / "runs" / "monday").exists()
    assert (project / "runs").is_dir()


def test_a_folder_in_which_another_execution_has_its_own_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "monday" / "again").mkdir(parents=True)
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)
    with taskgraph.open(tmp_path, migrate=True) as tg:
        outer, inner, beside = (
            tg.executions.create("x", workspace=tmp_path / "runs" / each, state="COMPLETED")
            for each in ("monday", "monday/again", "monday-2")
        )

        with pytest.raises(UnsafePathError, match="another execution"):
            tg.executions.delete(outer.execution, remove_workspace=True)
        with pytest.raises(UnsafePathError, match="another execution"):
            both = F.id(outer.execution.id, beside.execution.id)
            tg.executions.delete_many(both, remove_workspace=True)
        assert tg.executions.count() == 3
        both = F.id(outer.execution.id, inner.execution.id)
        tg.executions.delete_many(both, remove_workspace=True)

        assert not (tmp_path / "runs" / "monday").exists()
        assert tg.executions.count() == 1


def test_a_folder_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "monday").mkdir()
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)

    def refuse(path: str | Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", str(path))

    with taskgraph.open(tmp_path, migrate=True) as tg:
        made = tg.executions.create("x", workspace=tmp_path / "monday", state="COMPLETED").execution
        monkeypatch.setattr("shutil.rmtree", refuse)

        with pytest.raises(UnsafePathError, match=r"monday: .*Permission denied.* by hand"):
            tg.executions.delete(made, remove_workspace=True)
        monkeypatch.undo()
        assert tg.executions.find(made.id) is None
