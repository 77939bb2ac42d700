"""What strangers say is used for nothing: no entry, no call, no alias of theirs is a hit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph.engine.cache import Reason
from taskgraph.errors import InvalidRecordError
from taskgraph.records import CacheQuery
from taskgraph.tags import tag_record
from taskgraph_backend import SqlBackend, models
from tests.rows import a_call, a_task, an_evaluation, key, together

RAN: list[int] = []


@task(namespace="foreign", version="1")
def double(x: int) -> int:
    RAN.append(x)
    return 2 * x


@task(namespace="foreign", version="1", check_valid="shallow")
def whole(x: int) -> int:
    RAN.append(-x)
    return double(x)


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


def _scheduler(folder: Path) -> Scheduler:
    folder.mkdir(exist_ok=True)
    return Scheduler(Settings(config_dir=folder))


def _backend(folder: Path) -> SqlBackend:
    backend = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    backend.load()
    return backend


def _records(folder: Path) -> list[dict[str, Any]]:
    with _backend(folder) as backend, backend.reader() as reader:
        ids = [key for (key,) in reader.query(models.Execution.id)]
        return list(backend.get_records(list(backend.iter_record_ids(ids))))


def test_an_entry_that_names_a_value_of_ours_is_no_hit(tmp_path: Path) -> None:
    # Somebody says that double(1) gives 40, which is a value that this project made.
    assert _scheduler(tmp_path / "here").run(double(20)) == 40
    _scheduler(tmp_path / "there").run(double(1))
    records = _records(tmp_path / "there")
    with _backend(tmp_path / "here") as backend, backend.reader() as reader:
        forty = reader.query(models.Value).filter_by(preview="40").one().value_hash
    for each in records:
        if each["_type"] == "CallNode":
            each["evaluation"]["value_hash"] = forty
    with _backend(tmp_path / "here") as backend:
        backend.put_records(records, origin="mallory")

    scheduler = _scheduler(tmp_path / "here")
    RAN.clear()

    assert scheduler.run(double(1)) == 2
    assert RAN == [1]


def test_a_miss_says_whose_result_was_not_used(tmp_path: Path) -> None:
    _scheduler(tmp_path / "there").run(double(1))
    _scheduler(tmp_path / "here").run(double(2))
    with _backend(tmp_path / "here") as backend:
        backend.put_records(_records(tmp_path / "there"), origin="mallory")

    _scheduler(tmp_path / "here").run(double(1))

    with _backend(tmp_path / "here") as backend, backend.reader() as reader:
        newest = reader.newest_execution()
        assert newest is not None and newest.job is not None and newest.job.miss is not None
        assert json.loads(newest.job.miss)["reason"] == Reason.UNTRUSTED.name
        assert "mallory" in newest.job.miss


def test_a_whole_call_of_strangers_is_no_hit(tmp_path: Path) -> None:
    _scheduler(tmp_path / "there").run(whole(1))
    _scheduler(tmp_path / "here").run(double(2))
    with _backend(tmp_path / "here") as backend:
        backend.put_records(_records(tmp_path / "there"))
    RAN.clear()

    assert _scheduler(tmp_path / "here").run(whole(1)) == 2
    assert RAN == [-1, 1]


def test_a_whole_call_is_ours_after_it_ran_here(tmp_path: Path) -> None:
    _scheduler(tmp_path / "there").run(whole(1))
    _scheduler(tmp_path / "here").run(double(2))
    with _backend(tmp_path / "here") as backend:
        backend.put_records(_records(tmp_path / "there"))

    _scheduler(tmp_path / "here").run(whole(1))
    RAN.clear()

    assert _scheduler(tmp_path / "here").run(whole(1)) == 2
    assert RAN == []


def test_a_call_that_was_forged_is_ours_as_it_was_made_here(tmp_path: Path) -> None:
    # A call around others may have any hash: that of one which will be made here, say.
    _scheduler(tmp_path / "there").run(whole(1))
    records = _records(tmp_path / "there")
    values = {each["preview"]: each["value_hash"] for each in records if each["_type"] == "Value"}
    for each in records:
        if each["_type"] == "CallNode" and each["children"]:
            each["value_hash"] = values["1"]
            forged = each["call_hash"]
    _scheduler(tmp_path / "here").run(double(7))
    with _backend(tmp_path / "here") as backend:
        backend.put_records(records)

    assert _scheduler(tmp_path / "here").run(whole(1)) == 2
    RAN.clear()

    assert _scheduler(tmp_path / "here").run(whole(1)) == 2
    assert RAN == []
    with _backend(tmp_path / "here") as backend:
        (call,) = backend.get_records([forged])
    assert call["value_hash"] == values["2"]


def test_a_call_of_ours_is_not_changed_by_one_of_strangers(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(whole(1))
    (call,) = [
        each
        for each in _records(tmp_path / "here")
        if each["_type"] == "CallNode" and each["task_name"].endswith("whole")
    ]
    call["subtree_tasks"] = []

    with _backend(tmp_path / "here") as backend:
        assert backend.put_records([{**call, "subtree_tasks": [call["task_hash"]]}]) == 0
        assert backend.find_untrusted([call["call_hash"]]) == {}


def test_a_result_of_ours_is_not_said_to_be_that_of_a_call_of_strangers(tmp_path: Path) -> None:
    # It has the key and the result of ours, is newer, and says that other calls were made in it.
    _scheduler(tmp_path / "here").run(double(1))
    _scheduler(tmp_path / "here").run(double(20))
    ours, other = [each for each in _records(tmp_path / "here") if each["_type"] == "CallNode"]
    forged = {
        **ours,
        "call_hash": "0" * 31 + "1",
        "timestamp": "2099-01-01T00:00:00.000000+00:00",
        "args": [],
        "children": [other["call_hash"]],
        "subtree_tasks": [ours["task_hash"]],
        "evaluation": None,
    }
    with _backend(tmp_path / "here") as backend:
        assert backend.put_records([forged], origin="mallory") == 1

        (answer,) = backend.check_cache([CacheQuery(ours["eval_hash"], True)])

    assert answer.evaluation is not None
    assert answer.evaluation.call_hash == ours["call_hash"]
    assert [each.call_hash for each in answer.calls] == [ours["call_hash"]]


def test_calls_that_are_made_again_to_be_compared_are_ours(tmp_path: Path) -> None:
    # Of the same key, with a smaller hash, and given something else.
    _scheduler(tmp_path / "here").run(double(1))
    (ours,) = [each for each in _records(tmp_path / "here") if each["_type"] == "CallNode"]
    tasks = [ours["task_hash"]]
    forged = {**ours, "call_hash": "0" * 31 + "1", "args": [], "subtree_tasks": tasks}
    with _backend(tmp_path / "here") as backend:
        assert backend.put_records([forged], origin="mallory") == 1

        (found,) = backend.sample_calls(ours["task_hash"], 5)

    assert found.call_hash == ours["call_hash"]


def test_nobody_adds_a_job_to_an_execution_of_ours(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(double(1))
    records = _records(tmp_path / "here")
    (job,) = [each for each in records if each["_type"] == "Job"]
    added = {**job, "id": "0" * 31 + "1", "parent_id": job["id"], "status": "FAILED"}
    with _backend(tmp_path / "here") as backend:
        assert backend.put_records([added], origin="mallory") == 0

        assert list(backend.get_records([added["id"]])) == []


def test_nobody_puts_a_job_below_one_of_ours(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(double(1))
    records = _records(tmp_path / "here")
    (job,) = [each for each in records if each["_type"] == "Job"]
    (execution,) = [each for each in records if each["_type"] == "Execution"]
    other = {**execution, "id": "0" * 31 + "2", "job_id": "0" * 31 + "1"}
    added = {**job, "id": other["job_id"], "parent_id": job["id"], "execution_id": other["id"]}

    with (
        _backend(tmp_path / "here") as backend,
        pytest.raises(InvalidRecordError, match="an execution that was here before"),
    ):
        backend.put_records([added, other], origin="mallory")


def test_the_answers_to_a_run_name_nothing_that_is_not_trusted() -> None:
    source, target = SqlBackend(), SqlBackend()
    source.record(together(a_task(), a_task(1)))
    records = list(source.get_records([key(0x7A51), key(1)]))
    target.put_records(records)
    # Both an entry of ours, and a whole call, may name a value that is not trusted yet.
    target.database.connect().execute("PRAGMA foreign_keys=OFF")
    batch = together(an_evaluation(5, 1), a_call(6, 5, 1))
    batch.values.clear()
    target.record(batch)

    (answer,) = target.check_cache([CacheQuery(key(5), True)])  # type: ignore[arg-type]

    assert (answer.evaluation, answer.calls) == (None, ())
    assert target.get_eval_cache(key(5)) == (None, False)  # type: ignore[arg-type]
    assert target.get_call_cache(key(6)) == (None, False)  # type: ignore[arg-type]


def test_what_a_run_asks_is_still_answered_by_indexes() -> None:
    from taskgraph_backend import statements

    driver = SqlBackend()._connection()

    plans = [
        " ".join(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", ["x"] * 2))
        for sql in (statements.evaluations(2), statements.calls(2))
    ]

    assert "USING INDEX ix_call_node_eval_hash_timestamp" in plans[0]
    assert "SCAN" not in plans[0] + plans[1]


def _tag(kind: str, entity_id: str, name: str, value: Any, *parents: str) -> dict[str, Any]:
    return {
        "_type": "Tag",
        "_version": 1,
        "tag_hash": tag_record(kind, entity_id, name, value, parents).tag_hash,
        "entity_type": kind,
        "entity_id": entity_id,
        "key": name,
        "value": value,
        "parents": list(parents),
    }


def test_strangers_do_not_say_what_a_job_of_ours_was_told(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(double(20))
    with _backend(tmp_path / "here") as backend, backend.reader() as reader:
        job = reader.query(models.Job).one().id
        tags = [
            _tag("Job", job, "taskgraph.context", {"genome": "mallory's"}),
            _tag("Job", job, "rating", 5),
        ]

        backend.put_records(tags, origin="mallory")

        assert backend.get_tags([job]) == {job: {"rating": [5]}}


def test_a_tag_takes_the_place_of_tags_of_its_own_record_only(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(double(20))
    with _backend(tmp_path / "here") as backend, backend.reader() as reader:
        job, call = reader.query(models.Job).one().id, reader.query(models.CallNode).one().call_hash
        ((mine, *_),) = backend.record_tags("Job", job, [("rating", 5)])

        backend.put_records([_tag("CallNode", call, "rating", 1, mine)], origin="mallory")

        assert backend.get_tags([job]) == {job: {"rating": [5]}}


def test_a_deletion_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(double(20))
    with _backend(tmp_path / "here") as backend, backend.reader() as reader:
        job = reader.query(models.Job).one().id
        ((mine, *_),) = backend.record_tags("Job", job, [("rating", 5)])
        marker = {**_tag("Null", job, "rating", None, mine), "tag_hash": key(7)}

        with pytest.raises(InvalidRecordError, match="tag_hash"):
            backend.put_records([marker], origin="mallory")

        assert backend.get_tags([job]) == {job: {"rating": [5]}}


def test_a_value_with_the_id_of_a_call_of_ours_is_refused(tmp_path: Path) -> None:
    _scheduler(tmp_path / "here").run(double(20))
    _scheduler(tmp_path / "there").run(double(1))
    value = next(each for each in _records(tmp_path / "there") if each["_type"] == "Value")
    with _backend(tmp_path / "here") as backend, backend.reader() as reader:
        call = reader.query(models.CallNode).one().call_hash

        with pytest.raises(InvalidRecordError, match="CallNode here"):
            backend.put_records([{**value, "value_hash": call}], origin="mallory")
