"""A result that was retracted is used no more, nor what came from it; what only equals it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import File, Scheduler, cond, task
from taskgraph.archive import Archive
from taskgraph.catalog.retractions import Retraction
from taskgraph.errors import (
    AmbiguousIdError,
    InvalidRecordError,
    NotRetractableError,
    RetractionNotFoundError,
    TagKeyError,
    UnknownRecordError,
    ValidationError,
)
from taskgraph.events import Warned
from taskgraph.tags import RETRACTED, tag_record
from taskgraph.testing import RecordingObserver
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check, repair

taskgraph_namespace = "retracting"


@task
def is_fine(sample: str) -> bool:
    return bool(sample)


@task
def pick(fine: bool, name: str) -> str:
    return f"{name} {fine}"


@task
def trap() -> list[Any]:
    return [pick(is_fine("a"), "first"), pick(is_fine("b"), "second"), pick(True, "third")]


@task
def write(folder: str, name: str) -> File:
    file = File(f"{folder}/{name}.txt")
    file.write(name)
    return file


@task
def writes(folder: str) -> dict[str, Any]:
    return {"a": write(folder, "a"), "b": write(folder, "b")}


@task
def length(file: File) -> int:
    return len(str(file.read()))


@task
def lengths(files: list[File]) -> list[Any]:
    return [length(each) for each in files]


@task
def twice(n: int) -> int:
    return 2 * n


@task
def sum_of(n: int) -> Any:
    return twice(n) + twice(n + 1)


@task(check_valid="shallow")
def whole(n: int) -> Any:
    return sum_of(n)


def _names(tg: Archive, ref: str = "-") -> list[str]:
    """Return the tasks of this module whose bodies ran in an execution."""
    detail = tg.get(ref)
    return sorted(
        each.task.removeprefix("retracting.")  # type: ignore[union-attr]
        for each in detail.jobs  # type: ignore[union-attr]
        if each.status == "DONE" and each.task.startswith("retracting.")
    )


def _call(tg: Archive, name: str, *arguments: Any) -> str:
    """Return the call of a task whose first arguments are shown so."""
    with tg.query() as query:
        found = {
            each.call_hash
            for each in query.filter_types(["CallNode"]).all()
            if each.task_name == f"retracting.{name}"
            and [one.value.preview for one in each.arguments][: len(arguments)]
            == [repr(one) for one in arguments]
        }
    (only,) = found
    return only


def _marked(tg: Archive, made: Retraction) -> list[str]:
    """Return the tasks of the calls that were marked, but for those of the library."""
    return sorted(
        name.removeprefix("retracting.")
        for name, count in made.tasks
        for _ in range(count)
        if name.startswith("retracting.")
    )


# What is meant


def test_equal_values_have_nothing_to_do_with_each_other(tg: Archive, recording: Scheduler) -> None:
    recording.run(trap())

    made = tg.retract(_call(tg, "is_fine", "a"), reason="the sample was swapped")
    recording.run(trap())

    # The others were given True as well: from another call, and from nobody.
    assert _marked(tg, made) == ["is_fine", "pick", "trap"]
    assert _names(tg) == ["is_fine", "pick", "trap"]


def test_a_file_leads_from_one_execution_to_another(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(writes(str(tmp_path)))
    a, b = File(f"{tmp_path}/a.txt"), File(f"{tmp_path}/b.txt")
    recording.run(lengths([a, b]))
    recording.run(length(b))

    made = tg.retract(_call(tg, "write", str(tmp_path), "a"), reason="a disk was broken")

    assert _marked(tg, made) == ["length", "lengths", "write", "writes"]
    kept, *_ = tg.executions.list()
    assert [each.id for each in tg.executions.list()] == [kept.id]
    assert kept.id not in made.executions
    # What lies beside it in the result of the workflow is fine.
    assert recording.run(length(b)) == 1
    assert _names(tg) == []
    recording.run(lengths([a, b]))
    assert _names(tg) == ["length", "lengths"]


def test_a_path_means_what_made_the_file_and_what_read_it(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(writes(str(tmp_path)))
    recording.run(length(File(f"{tmp_path}/a.txt")))

    made = tg.retract(tmp_path / "a.txt", reason="it was cut")

    assert (made.entity_type, _marked(tg, made)) == ("Value", ["length", "write", "writes"])


def test_a_file_from_outside_means_what_read_it(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("abc")
    recording.run(length(File(f"{tmp_path}/in.txt")))
    recording.run(twice(3))

    made = tg.retract(tmp_path / "in.txt", reason="a wrong delivery")
    (tmp_path / "in.txt").write_text("abcd")

    assert _marked(tg, made) == ["length"]
    # Other content is another file.
    assert recording.run(length(File(f"{tmp_path}/in.txt"))) == 4
    assert recording.run(length(File(f"{tmp_path}/in.txt"))) == 4
    assert _names(tg) == []


def test_an_execution_means_what_it_computed_itself(tg: Archive, recording: Scheduler) -> None:
    recording.run(twice(1))
    recording.run(sum_of(1))

    made = tg.retract(tg.executions.get("-"), reason="the machine was too hot")
    recording.run(sum_of(1))

    assert _marked(tg, made) == ["sum_of", "twice"]
    # The first call was made by the run before.
    assert _names(tg) == ["sum_of", "twice"]
    recording.run(twice(1))
    assert _names(tg) == []


def test_without_cascade_only_the_call_itself_is_meant(tg: Archive, recording: Scheduler) -> None:
    recording.run(sum_of(1))

    made = tg.retract(_call(tg, "twice", 1), reason="wrong", cascade=False)

    assert _marked(tg, made) == ["twice"]
    assert len(tg.executions.list()) == 1


def test_a_job_means_its_call(tg: Archive, recording: Scheduler) -> None:
    recording.run(twice(1))
    (job,) = tg.get("-").jobs  # type: ignore[union-attr]

    made = tg.retract(job, reason="wrong")

    assert (made.entity_type, made.entity_id) == ("CallNode", _call(tg, "twice", 1))


def test_a_dry_run_says_what_would_be_and_writes_nothing(tg: Archive, recording: Scheduler) -> None:
    recording.run(sum_of(1))

    would = tg.retract(_call(tg, "twice", 1), reason="wrong", dry_run=True)
    did = tg.retract(_call(tg, "twice", 1), reason="wrong")

    assert (would.calls, would.executions) == (did.calls, did.executions)
    assert would.is_dry and not did.is_dry
    assert [each.id for each in tg.retractions.list()] == [did.id]


# What is looked up


@pytest.mark.parametrize("expr", [twice(1), sum_of(1), whole(1)], ids=["single", "parts", "whole"])
def test_no_look_up_finds_what_was_retracted(tg: Archive, recording: Scheduler, expr: Any) -> None:
    recording.run(expr)
    recording.run(expr)
    assert _names(tg) == []

    made = tg.retract(_call(tg, "twice", 1), reason="wrong")
    recording.run(expr)
    after = _names(tg)
    tg.unretract(made)
    recording.run(expr)

    assert after == _marked(tg, made)
    assert _names(tg) == []


def test_what_was_put_into_the_same_place_later_is_used(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    there = tmp_path / "number.txt"
    there.write_text("1")

    @task(namespace="retracting", name="number", version="1")
    def number(path: str) -> int:
        return int(Path(path).read_text())

    recording.run(number(str(there)))
    made = tg.retract("-", reason="the number was wrong")
    there.write_text("2")

    assert recording.run(number(str(there))) == 2
    assert recording.run(number(str(there))) == 2
    assert _names(tg) == []
    tg.unretract(made)
    assert recording.run(number(str(there))) == 2


def test_an_equal_call_in_a_running_execution_is_not_shared_any_more(
    tg: Archive, recording: Scheduler, database_uri: str
) -> None:
    @task(namespace="retracting", cache=False)
    def retract_it(uri: str, after: int) -> int:
        with taskgraph.open(uri) as archive:
            (call,) = _calls_of(archive, "retracting.twice")
            archive.retract(call, reason="found meanwhile")
        return after

    @task(namespace="retracting", cache=False)
    def workflow(uri: str) -> Any:
        done = retract_it(uri, twice(7))
        return cond(done == 14, twice(7), 0)

    assert recording.run(workflow(database_uri)) == 14

    statuses = [
        each.status
        for each in tg.get("-").jobs  # type: ignore[union-attr]
        if each.task == "retracting.twice"
    ]
    assert statuses == ["DONE", "DONE"]


def _calls_of(archive: Archive, fullname: str) -> list[str]:
    with archive.query() as query:
        return [
            each.call_hash
            for each in query.filter_types(["CallNode"]).all()
            if each.task_name == fullname
        ]


def test_who_gives_the_same_again_stays_retracted_and_is_told(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(sum_of(1))
    made = tg.retract(_call(tg, "twice", 1), reason="wrong")
    seen = RecordingObserver()

    Scheduler(backend=recording.backend, observers=[seen]).run(sum_of(1))
    recording.run(sum_of(1))

    # Said once, of the call that it began with.
    (said,) = [each.message for each in seen.events if isinstance(each, Warned)]
    assert said.startswith("retracting.twice: it gave the same result again")
    assert "taskgraph unretract" in said
    assert _names(tg) == ["sum_of", "twice"]
    assert len(tg.executions.list()) == 0
    assert len(tg.executions.list(include_retracted=True)) == 3
    tg.unretract(made)
    assert len(tg.executions.list()) == 3


def test_an_execution_that_looks_up_nothing_stays_retracted_as_well(
    tg: Archive, recording: Scheduler
) -> None:
    @task(namespace="retracting", name="unkept", version="1", cache=False)
    def unkept(n: int) -> Any:
        return twice(n)

    recording.run(sum_of(1))
    recording.run(unkept(1))
    tg.retract(_call(tg, "twice", 1), reason="the probe was broken")
    assert tg.executions.count() == 0

    recording.run(sum_of(1), cache=False)
    recording.run(unkept(1))
    assert tg.executions.count() == 0
    recording.run(twice(2), cache=False)
    assert tg.executions.count() == 1


def test_an_explanation_says_who_retracted_it_when_and_why(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(twice(1))
    tg.retract(_call(tg, "twice", 1), reason="the probe was broken", by="ada")
    recording.run(twice(1))

    explained = tg.explain("-")

    text = str(explained)
    assert "its result was retracted by ada on 20" in text
    assert "'the probe was broken'" in text


# Taking back


def test_of_overlapping_retractions_each_takes_back_its_own(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(sum_of(1))
    first = tg.retract(_call(tg, "twice", 1), reason="one")
    second = tg.retract(_call(tg, "twice", 2), reason="two")

    tg.unretract(first)
    recording.run(twice(1))
    assert _names(tg) == []
    recording.run(sum_of(1))
    assert _names(tg) == ["sum_of", "twice"]
    tg.unretract(second)
    recording.run(sum_of(1))

    assert _names(tg) == []
    assert tg.retractions.list() == []
    assert [each.ended_at is None for each in tg.retractions.list(include_ended=True)] == [
        False,
        False,
    ]


def test_saying_it_again_is_one_retraction_that_takes_more_with_it(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(twice(1))
    call = _call(tg, "twice", 1)
    first = tg.retract(call, reason="wrong", by="ada")
    tg.unretract(first)
    first = tg.retract(call, reason="wrong", by="ada")
    again = tg.retract(call, reason="wrong", by="bob")
    recording.run(sum_of(1))

    more = tg.retract(call, reason="wrong")

    assert (first.is_new, again.is_new, more.is_new) == (True, False, False)
    assert first.id == again.id == more.id
    assert (again.by, again.at) == ("ada", first.at)
    assert [each.id for each in tg.retractions.list()] == [first.id]
    assert set(more.calls) >= {call}


def test_taking_back_twice_changes_nothing(tg: Archive, recording: Scheduler) -> None:
    recording.run(twice(1))
    made = tg.retract(_call(tg, "twice", 1), reason="wrong")

    tg.unretract(made.id)
    again = tg.unretract(made.id[:8])

    assert again.ended_at is not None
    assert (again.calls, again.executions) == ((), ())


# What is asked wrongly


def test_what_cannot_be_retracted_is_refused_with_what_can(
    tg: Archive, recording: Scheduler
) -> None:
    recording.run(twice(1))
    with tg.query() as query:
        values = list(query.filter_types(["Value"]).all())
        (value_hash,) = (each.value_hash for each in values if each.preview == "2")

    with pytest.raises(NotRetractableError, match="equal ones have nothing to do with each other"):
        tg.retract(value_hash, reason="wrong")
    with pytest.raises(NotRetractableError, match="it is a task"):
        tg.retract("retracting.twice", reason="wrong")
    with pytest.raises(UnknownRecordError, match="taskgraph log"):
        tg.retract("nowhere.txt", reason="wrong")
    for nothing in (None, 5, b"-", ["-"]):
        with pytest.raises(NotRetractableError, match="of the type"):
            tg.retract(nothing, reason="wrong")
        with pytest.raises(RetractionNotFoundError):
            tg.unretract(nothing)  # type: ignore[arg-type]
    for no_reason in (" ", "a\0b", "x" * 20_000, None):
        with pytest.raises(ValidationError, match="reason"):
            tg.retract("-", reason=no_reason)  # type: ignore[arg-type]
    with pytest.raises(RetractionNotFoundError, match="taskgraph retractions"):
        tg.unretract("0123")
    assert tg.retractions.list(include_ended=True) == []


def test_what_is_deleted_before_it_is_marked_is_unknown(
    tg: Archive, recording: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.run(twice(1))
    (tmp_path / "in.txt").write_text("1")
    dataset = tg.datasets.register("rain", [tmp_path / "in.txt"])
    store = tg.retractions._store
    retract = store.retract

    def late(wanted: Any) -> Retraction:
        tg.executions.delete_many(all=True)
        tg.datasets.delete(dataset, missing_ok=True)
        return retract(wanted)

    monkeypatch.setattr(store, "retract", late)
    call = tg.find(_call(tg, "twice", 1))
    for what in ("rain", call):
        with pytest.raises(UnknownRecordError):
            tg.retract(what, reason="wrong")
    assert tg.retractions.list() == []
    assert check(tg.backend) == []


def test_a_start_that_two_retractions_share_is_refused(tg: Archive, recording: Scheduler) -> None:
    recording.run(sum_of(1))
    ids: list[str] = []
    while len({each[0] for each in ids}) == len(ids):
        ids.append(tg.retract("-", reason=f"number {len(ids)}").id)

    shared = next(each[0] for each in ids if sum(one[0] == each[0] for one in ids) > 1)
    with pytest.raises(AmbiguousIdError):
        tg.retractions.get(shared)


# Datasets and groups


def test_a_dataset_means_what_read_its_files_and_the_executions_that_were_given_it(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("abc")
    file = File(f"{tmp_path}/in.txt")
    content = recording.backend.record_value([file])  # type: ignore[attr-defined]
    recording.run(length(file))
    recording.run(twice(1))
    given = tg.executions.create("flows.main").execution
    other = tg.executions.create("flows.main").execution
    _add_dataset(tg.backend, content, given.id)

    made = tg.retract("rain", reason="a wrong delivery")

    assert (made.entity_type, made.target) == ("Dataset", "rain")
    assert _marked(tg, made) == ["length"]
    assert given.id in made.executions and other.id not in made.executions
    assert _flag(tg.backend, "dataset") == [True]
    tg.unretract(made)
    assert _flag(tg.backend, "dataset") == [False]
    assert _flag(tg.backend, "execution") == [False] * 4


def test_the_name_of_a_dataset_may_be_that_of_a_task_or_the_start_of_an_id(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(twice(1))
    start = tg.executions.get("-").id[:4]
    (tmp_path / "in.txt").write_text("1")
    for name in ("twice", start):
        tg.datasets.register(name, [tmp_path / "in.txt"])

    assert tg.retract("twice", reason="wrong", dry_run=True).entity_type == "Dataset"
    with pytest.raises(AmbiguousIdError, match="Execution"):
        tg.retract(start, reason="wrong", dry_run=True)
    by_itself = tg.retract(tg.datasets.get(start), reason="wrong", dry_run=True)
    assert (by_itself.entity_type, by_itself.target) == ("Dataset", start)


def test_new_content_of_a_dataset_is_not_retracted_whatever_is_taken_back(
    tg: Archive, tmp_path: Path
) -> None:
    for name in ("rain", "wind"):
        (tmp_path / name).write_text("1")
        tg.datasets.register(name, [tmp_path / name])
    tg.retract("rain", reason="a wrong delivery")
    made = tg.retract("wind", reason="a wrong delivery")

    (tmp_path / "rain").write_text("the right one")
    tg.datasets.register("rain", [tmp_path / "rain"])
    tg.unretract(made)

    assert [each.name for each in tg.datasets.list()] == ["rain", "wind"]


def test_groups_of_retracted_executions_are_dirty(tg: Archive, recording: Scheduler) -> None:
    execution = tg.executions.create("flows.main").execution
    _add_group(tg.backend, execution.id)

    made = tg.retract(execution, reason="wrong")

    assert len(made.groups) == 1
    with _changing(tg.backend) as driver:
        (row,) = driver.execute("SELECT dirty, dirty_reason FROM execution_group").fetchall()
    assert (bool(row[0]), row[1]) == (True, "retracted")


def _add_dataset(backend: SqlBackend, value_hash: str, execution_id: str) -> None:
    key, when = bytes(16), 1
    with _changing(backend) as driver:
        driver.execute(
            "INSERT INTO dataset (id, name, type, value_hash, read_only, meta, retracted,"
            " created_at, updated_at) VALUES (?, 'rain', 'Any', ?, FALSE, '{}', FALSE, ?, ?)",
            (key, bytes.fromhex(value_hash), when, when),
        )
        driver.execute(
            "INSERT INTO execution_dataset (execution_id, dataset_id, role, name, value_hash,"
            " in_use) VALUES (?, ?, 'input', 'rain', ?, FALSE)",
            (bytes.fromhex(execution_id), key, bytes.fromhex(value_hash)),
        )


def _add_group(backend: SqlBackend, execution_id: str) -> None:
    key, when = bytes(16), 1
    with _changing(backend) as driver:
        driver.execute(
            "INSERT INTO workflow (id, namespace, name, version, promoted, enabled, meta,"
            " created_at) VALUES (?, '', 'w', 1, TRUE, TRUE, '{}', ?)",
            (key, when),
        )
        driver.execute(
            "INSERT INTO execution_group (id, workflow_id, key, selectors, dirty, recompute,"
            " created_at, updated_at) VALUES (?, ?, 'k', '{}', FALSE, FALSE, ?, ?)",
            (key, key, when, when),
        )
        driver.execute(
            "UPDATE execution SET group_id = ? WHERE id = ?", (key, bytes.fromhex(execution_id))
        )


@contextmanager
def _changing(backend: SqlBackend) -> Iterator[Any]:
    with backend._writing() as driver:
        yield driver


def _flag(backend: SqlBackend, table: str) -> list[bool]:
    with _changing(backend) as driver:
        return [bool(each) for (each,) in driver.execute(f"SELECT retracted FROM {table}")]


# Elsewhere


def test_retractions_travel_and_are_taken_back_where_they_came_to(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(sum_of(1))
    with SqlBackend(f"sqlite:///{tmp_path / 'other.db'}") as other:
        _move(tg.backend, other)
        assert not any(_flag(other, "call_node"))
        made = tg.retract(_call(tg, "twice", 1), reason="wrong", by="ada")
        _move(tg.backend, other)
        marked = sum(_flag(other, "call_node"))
        with taskgraph.open(f"sqlite:///{tmp_path / 'other.db'}") as there:
            (known,) = there.retractions.list()
            assert (known.id, known.reason, known.by, known.at) == (
                made.id,
                "wrong",
                "ada",
                made.at,
            )
            assert (known.calls, known.executions) == (made.calls, made.executions)
            there.unretract(known)
        assert not any(_flag(other, "call_node"))
        _move(other, tg.backend)

    assert marked == len(made.calls)
    assert not any(_flag(tg.backend, "call_node"))
    assert not any(_flag(tg.backend, "execution"))
    assert tg.retractions.list() == []
    recording.run(sum_of(1))
    assert _names(tg) == []


def test_what_was_retracted_elsewhere_makes_its_group_dirty_here(
    tg: Archive, recording: Scheduler, tmp_path: Path
) -> None:
    recording.run(sum_of(1))
    _add_group(tg.backend, tg.executions.get("-").id)
    with SqlBackend(f"sqlite:///{tmp_path / 'other.db'}") as other:
        _move(tg.backend, other)
        with taskgraph.open(f"sqlite:///{tmp_path / 'other.db'}") as there:
            there.retract("-", reason="wrong")
        _move(other, tg.backend)

    assert tg.executions.count() == 0
    with _changing(tg.backend) as driver:
        (row,) = driver.execute("SELECT dirty, dirty_reason FROM execution_group").fetchall()
    assert (bool(row[0]), row[1]) == (True, "retracted")


def _move(source: SqlBackend, target: SqlBackend) -> None:
    from taskgraph_backend.moving import Mover

    Mover(source, target, "elsewhere").move()


def test_the_records_are_sound_whatever_was_retracted(tg: Archive, recording: Scheduler) -> None:
    recording.run(sum_of(1))
    first = tg.retract("-", reason="one")
    tg.retract(_call(tg, "twice", 1), reason="two")
    recording.run(sum_of(1))
    tg.unretract(first)

    assert check(tg.backend) == []


def test_a_mark_that_no_tag_has_is_found_and_mended(tg: Archive, recording: Scheduler) -> None:
    recording.run(sum_of(1))
    made = tg.retract(_call(tg, "twice", 1), reason="wrong")
    with _changing(tg.backend) as driver:
        driver.execute("UPDATE call_node SET retracted = NOT retracted")
        driver.execute("UPDATE execution SET retracted = NOT retracted")

    found, left = repair(tg.backend)

    assert {each.rule for each in found} == {
        "a call is retracted if a tag says so",
        "an execution is retracted if a tag says so",
    }
    assert left == []
    assert sum(_flag(tg.backend, "call_node")) == len(made.calls)
    assert sum(_flag(tg.backend, "execution")) == len(made.executions)


@pytest.mark.parametrize("value", ["wrong", {"id": "0" * 32}, None, {"id": 1, "reason": []}])
def test_a_stranger_who_says_nonsense_of_a_retraction_is_refused(
    tg: Archive, recording: Scheduler, value: Any
) -> None:
    recording.run(twice(1))
    call = _call(tg, "twice", 1)
    tag = tag_record("CallNode", call, RETRACTED, value)
    record = {
        "_version": 1,
        "_type": "Tag",
        "tag_hash": tag.tag_hash,
        "entity_type": "CallNode",
        "entity_id": call,
        "key": RETRACTED,
        "value": value,
        "parents": [],
    }

    with pytest.raises(InvalidRecordError, match="who retracted what, when and why"):
        tg.backend.put_records([record], origin="mallory")

    assert not any(_flag(tg.backend, "call_node"))


def test_nobody_else_writes_the_tags_of_retractions(tg: Archive, recording: Scheduler) -> None:
    recording.run(twice(1))
    call = _call(tg, "twice", 1)
    tg.retract(call, reason="wrong")

    with pytest.raises(TagKeyError):
        tg.backend.record_tags("CallNode", call, [(RETRACTED, "x")])
    with pytest.raises(TagKeyError):
        tg.backend.delete_tags(call, [], [RETRACTED])


@pytest.mark.parametrize("version", ["1.8", "1.7"])
def test_a_database_that_went_back_a_version_and_came_again_knows_its_retractions(
    tmp_path: Path, version: str
) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    with SqlBackend(uri) as backend:
        Scheduler(backend=backend).run(sum_of(1))
    with taskgraph.open(uri) as archive:
        made = archive.retract("-", reason="wrong", by="ada")

    with SqlBackend(uri) as backend:
        backend.migrate(version)
    with SqlBackend(uri) as backend:
        backend.migrate()
        assert sum(_flag(backend, "call_node")) == len(made.calls)
        assert _flag(backend, "execution") == [True]

    with taskgraph.open(uri) as archive:
        (known,) = archive.retractions.list()
        assert (known.id, known.reason, known.by, known.at) == (made.id, "wrong", "ada", made.at)
        assert known.calls == made.calls
        archive.unretract(known)
        assert not any(_flag(archive.backend, "call_node"))
