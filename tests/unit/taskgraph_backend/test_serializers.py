"""Records become dicts and rows again; what is not as it must be is refused by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.config import Settings
from taskgraph.errors import InvalidRecordError, MissingRecordError, RecordVersionError
from taskgraph.hashing import digest_bytes
from taskgraph.records import CacheQuery, State
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.serializers import (
    CallNodeSerializer,
    ExecutionSerializer,
    JobSerializer,
    RecordSerializer,
    TagSerializer,
    ValueSerializer,
    deserialize_timestamp,
    serialize_timestamp,
)
from tests.rows import (
    EXECUTION,
    a_file,
    a_handle,
    a_job,
    a_task,
    a_value,
    an_alias,
    an_execution,
    key,
    together,
)

Record = dict[str, Any]


@task(namespace="records", version="1")
def double(x: int) -> int:
    return 2 * x


@task(namespace="records", version="1")
def both(x: int) -> list[int]:
    return [double(x), double(x + 1)]  # type: ignore[list-item]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """All records of a small workflow, with a tag that superseded another one."""
    folder = tmp_path_factory.mktemp("project")
    scheduler = Scheduler(Settings(config_dir=folder))
    assert scheduler.run(both(1)) == [2, 4]
    backend = SqlBackend(f"sqlite:///{folder / 'taskgraph.db'}")
    with backend:
        (execution,) = backend.session.query(models.Execution).all()
        backend.record_tags("Execution", execution.id, [("project", "x")])
        backend.record_tags("Execution", execution.id, [("project", "y")], update=True)
        ids = list(backend.iter_record_ids([execution.id]))
        return list(backend.get_records(ids))


def _one(records: list[Record], kind: str, number: int = 0) -> Record:
    # Calls that made none: of the others the hash may cover what their records do not tell.
    found = [each for each in records if each["_type"] == kind and not each.get("children")]
    copied: Record = json.loads(json.dumps(found[number]))
    return copied


def test_all_kinds_of_records_are_there(records: list[Record]) -> None:
    assert {each["_type"] for each in records} == {"Execution", "Job", "CallNode", "Value", "Tag"}


def test_records_are_put_once(sql_backend: SqlBackend, records: list[Record]) -> None:
    backend = sql_backend

    first, second = backend.put_records(records), backend.put_records(records)

    assert (first, second) == (len(records), 0)


def test_records_come_back_as_they_were(sql_backend: SqlBackend, records: list[Record]) -> None:
    backend = sql_backend
    backend.put_records(reversed(records))

    ids = [RecordSerializer().get_pk(each) for each in records]

    assert list(backend.get_records(ids)) == records
    assert sorted(map(json.dumps, backend.get_records(ids, sorted=False))) == sorted(
        map(json.dumps, records)
    )


def test_what_a_record_names_is_found_one_level_down(
    sql_backend: SqlBackend, records: list[Record]
) -> None:
    backend = sql_backend
    backend.put_records(records)
    execution = next(each for each in records if each["_type"] == "Execution")

    below = backend.get_child_record_ids([execution["id"]])

    assert {each.parent_id for each in below} == {execution["id"]}
    assert {each.child_type for each in below} == {"Job", "Tag", "Value"}
    assert {each.child_id for each in below} <= {RecordSerializer().get_pk(e) for e in records}


def test_rows_are_those_of_the_models(records: list[Record]) -> None:
    rows = RecordSerializer().deserialize(_one(records, "CallNode"))

    assert isinstance(rows[0], models.CallNode)
    assert {type(each) for each in rows} >= {models.Argument, models.Evaluation}


def test_a_row_that_was_read_becomes_its_record(
    sql_backend: SqlBackend, records: list[Record]
) -> None:
    backend = sql_backend
    backend.put_records(records)
    serializer = RecordSerializer()
    wanted = {serializer.get_pk(each): each for each in records}

    for model in (models.Execution, models.Job, models.CallNode, models.Value, models.Tag):
        for row in backend.session.query(model):
            found = serializer.serialize(row)
            assert found == wanted[serializer.get_pk(found)]
    (task_row, *_) = backend.session.query(models.Task).all()
    assert serializer.serialize(task_row)["subtype"]["_type"] == "Task"


@pytest.mark.parametrize(
    ("serializer", "model"),
    [
        (ExecutionSerializer, models.Execution),
        (JobSerializer, models.Job),
        (CallNodeSerializer, models.CallNode),
        (ValueSerializer, models.Value),
        (TagSerializer, models.Tag),
    ],
)
def test_a_query_becomes_its_records(
    sql_backend: SqlBackend, records: list[Record], serializer: Any, model: type[models.Base]
) -> None:
    backend = sql_backend
    backend.put_records(records)

    found = list(serializer().serialize_query(backend.session.query(model)))

    wanted = [each for each in records if each["_type"] == model.__name__]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, wanted))


def test_a_row_of_no_session_is_refused() -> None:
    with pytest.raises(ValueError, match="not read from a database"):
        ValueSerializer().serialize(models.Value(value_hash=key(1)))


def test_files_handles_and_aliases_are_moved(sql_backend: SqlBackend) -> None:
    source, target = SqlBackend(), sql_backend
    source.record(
        together(
            a_task(1),
            a_task(2),
            an_alias(1, 2),
            a_file(3, "../../etc/passwd", "project", inside=(4,)),
            a_handle(5),
            a_handle(6, 5, branch="#"),
        )
    )
    ids = [key(each) for each in (1, 2, 3, 4, 5, 6)]
    found = list(source.get_records(ids))
    with source.reader() as session:
        aliases = [*RecordSerializer().serialize_query(session.query(models.TaskAlias))]

    new = target.put_records([*found, *aliases])

    assert new == 7
    assert list(target.get_records(ids)) == found
    with target.reader() as session:
        (file,) = session.query(models.File).all()
        assert (file.root, file.path) == ("project", "../../etc/passwd")
        states = {each.hash: each.is_valid for each in session.query(models.Handle)}
    # Whether a service of here is in the second state is not known.
    assert states == {key(5): True, key(6): False}
    assert target.load_aliases() == []
    assert target.put_records(aliases) == 0


def test_an_alias_that_ended_elsewhere_is_new(sql_backend: SqlBackend) -> None:
    source, target = SqlBackend(), sql_backend
    for backend in (source, target):
        backend.record(together(a_task(1), a_task(2), an_alias(1, 2)))
    source.record(an_alias(1, 2, end=2_000_000_000_000_000))
    with source.reader() as session:
        aliases = [*RecordSerializer().serialize_query(session.query(models.TaskAlias))]

    assert target.put_records(aliases) == 1
    assert [each.end_time for each in target.load_aliases()] == [None]
    target.trust_origin()
    assert [each.end_time for each in target.load_aliases()] == [2_000_000_000_000_000]


def test_a_damaged_value_is_moved_as_one(sql_backend: SqlBackend) -> None:
    source, target = SqlBackend(), sql_backend
    source.record(together(a_task(1)))
    source.discard_values([key(1)])  # type: ignore[list-item]
    (found,) = source.get_records([key(1)])

    assert target.put_records([found]) == 1
    assert list(target.get_records([key(1)])) == [found]


def test_an_execution_that_runs_is_refused() -> None:
    source = SqlBackend()
    source.record(together(a_task(), an_execution(), a_job(1)))

    with pytest.raises(InvalidRecordError, match="only what has ended"):
        SqlBackend().put_records(source.get_records([key(EXECUTION)]))


def test_what_names_something_that_is_not_there_is_refused(sql_backend: SqlBackend) -> None:
    source, target = SqlBackend(), sql_backend
    source.record(
        together(a_task(), an_execution(root=1, state=State.COMPLETED), a_job(1, call=None))
    )
    found = list(source.get_records([key(EXECUTION), key(1)]))

    with pytest.raises(MissingRecordError, match=r"job to task.*Export them together"):
        target.put_records(found)
    with pytest.raises(MissingRecordError, match="job to task"):
        target.put_records(found, dry_run=True)

    assert target.has_records([key(EXECUTION), key(1)]) == set()


def test_a_dry_run_counts_and_writes_nothing(
    sql_backend: SqlBackend, records: list[Record]
) -> None:
    backend = sql_backend

    assert backend.put_records(records, dry_run=True) == len(records)
    assert backend.put_records(records) == len(records)


def test_records_of_ours_are_not_changed_by_strangers(sql_backend: SqlBackend) -> None:
    source, target = SqlBackend(), sql_backend
    target.record(together(a_task(1), a_file(2, "a")))
    source.record(together(a_task(1, name="other"), a_file(2, "b", inside=(3,))))

    target.put_records(source.get_records([key(1), key(2)]))

    with target.reader() as session:
        assert session.get_one(models.Task, key(1)).name == "f"
        assert session.get_one(models.File, key(2)).path == "a"


def test_what_is_recorded_here_takes_the_place_of_what_strangers_said(
    sql_backend: SqlBackend,
) -> None:
    source, target = SqlBackend(), sql_backend
    source.record(together(a_task(1, name="other"), a_file(2, "b"), RecordBatchOf(2, 1)))
    target.put_records(source.get_records([key(1), key(2)]))

    target.record(together(a_task(1), a_file(2, "a")))

    with target.reader() as session:
        assert session.get_one(models.Task, key(1)).name == "f"
        assert session.get_one(models.File, key(2)).path == "a"
        assert session.query(models.Subvalue).all() == []
        assert all(each.trusted for each in session.query(models.Value))
    assert target.list_origins() == []


def RecordBatchOf(parent: int, child: int) -> Any:
    from taskgraph.records import RecordBatch, SubvalueRecord

    return RecordBatch(subvalues=[SubvalueRecord(key(parent), key(child))])  # type: ignore[arg-type]


def _spoil(record: Record, name: str, value: Any) -> None:
    record[name] = value


_EVIL = base64.b64encode(b"cos\nsystem\n").decode()

_SPOILED: dict[str, tuple[str, Callable[[Record], Any], str]] = {
    "unknown type": ("Value", lambda r: _spoil(r, "_type", "Spell"), "no type of records 'Spell'"),
    "type is no text": ("Value", lambda r: _spoil(r, "_type", ["x"]), "no type of records list"),
    "no type": ("Value", lambda r: r.pop("_type"), "_type is missing"),
    "no version": ("Value", lambda r: r.pop("_version"), "_version is missing"),
    "version 0": ("Value", lambda r: _spoil(r, "_version", 0), "whole number from 1"),
    "version as text": ("Value", lambda r: _spoil(r, "_version", "1"), "whole number from 1"),
    "version true": ("Value", lambda r: _spoil(r, "_version", True), "whole number from 1"),
    "missing field": ("Value", lambda r: r.pop("preview"), "preview is missing"),
    "extra field": ("Value", lambda r: _spoil(r, "trusted", True), "not known: 'trusted'"),
    "short hash": ("Value", lambda r: _spoil(r, "value_hash", "ab"), "32 lower-case hex digits"),
    "long hash": ("Value", lambda r: _spoil(r, "value_hash", "a" * 33), "32 lower-case hex"),
    "hash of capitals": ("Value", lambda r: _spoil(r, "value_hash", "A" * 32), "32 lower-case"),
    "hash with an end of line": ("Value", lambda r: _spoil(r, "value_hash", "a" * 32 + "\n"), "32"),
    "hash is a number": ("Value", lambda r: _spoil(r, "value_hash", 7), "not 7"),
    "other bytes": ("Value", lambda r: _spoil(r, "data", _EVIL), "its size is"),
    "other bytes of the size": (
        "Value",
        lambda r: _spoil(r, "content_digest", digest_bytes(b"x")),
        "do not have its content_digest",
    ),
    "no base64": ("Value", lambda r: _spoil(r, "data", "?"), "not base64"),
    "base64 with letters of others": ("Value", lambda r: _spoil(r, "data", "é"), "not base64"),
    "negative size": ("Value", lambda r: _spoil(r, "size", -1), "negative"),
    "absurd size": ("Value", lambda r: _spoil(r, "size", 2**80), "too large"),
    "size of a fraction": ("Value", lambda r: _spoil(r, "size", 1.5), "not 1.5"),
    "half a surrogate": ("Value", lambda r: _spoil(r, "preview", "\ud800"), "surrogate"),
    "subvalues are text": ("Value", lambda r: _spoil(r, "subvalues", "x"), "a list, not 'x'"),
    "a subvalue twice": ("Value", lambda r: _spoil(r, "subvalues", ["a" * 32] * 2), "twice"),
    "unknown subtype": ("Value", lambda r: _spoil(r, "subtype", {"_type": "X"}), "not 'X'"),
    "other call_hash": ("CallNode", lambda r: _spoil(r, "call_hash", "a" * 32), "arg_hash"),
    "other eval_hash": ("CallNode", lambda r: _spoil(r, "eval_hash", "a" * 32), "eval_hash"),
    "other result": ("CallNode", lambda r: _spoil(r, "value_hash", "a" * 32), "call_hash"),
    "other argument": (
        "CallNode",
        lambda r: _spoil(r["args"][0], "value_hash", "a" * 32),
        "arg_hash",
    ),
    "argument is a list": ("CallNode", lambda r: _spoil(r, "args", [[]]), "object, not list"),
    "extra in an argument": ("CallNode", lambda r: _spoil(r["args"][0], "x", 1), "args.'x'"),
    "child is no hash": ("CallNode", lambda r: _spoil(r, "children", [1]), "32 lower-case"),
    "no time": ("CallNode", lambda r: _spoil(r, "timestamp", "yesterday"), "ISO 8601"),
    "time without offset": (
        "CallNode",
        lambda r: _spoil(r, "timestamp", "2026-01-01T00:00:00"),
        "I",
    ),
    "year 0": ("CallNode", lambda r: _spoil(r, "timestamp", "0000-01-01T00:00:00+00:00"), "time"),
    "job that runs": ("Job", lambda r: _spoil(r, "status", "RUNNING"), "has not ended"),
    "job without end": ("Job", lambda r: _spoil(r, "end_time", None), "has not ended"),
    "job that ends first": (
        "Job",
        lambda r: _spoil(r, "end_time", "1971-01-01T00:00:00+00:00"),
        "ends before",
    ),
    "unknown state": ("Job", lambda r: _spoil(r, "status", "BORED"), "not 'BORED'"),
    "cached is a number": ("Job", lambda r: _spoil(r, "cached", 1), "true or false"),
    "miss is no JSON": ("Job", lambda r: _spoil(r, "miss", "{"), "reason and detail"),
    "args are no words": ("Execution", lambda r: _spoil(r, "args", "[1]"), "words as text"),
    "args are nested": ("Execution", lambda r: _spoil(r, "args", "[" * 99999), "words as text"),
    "tag of nothing": ("Tag", lambda r: _spoil(r, "entity_type", "Moon"), "no record"),
    "other tag_hash": ("Tag", lambda r: _spoil(r, "value", "z"), "tag_hash"),
    "tag of a NUL": ("Tag", lambda r: _spoil(r, "value", "\0"), "cannot be stored"),
}


@pytest.mark.parametrize("name", _SPOILED)
def test_a_spoiled_record_is_refused_and_nothing_is_written(
    sql_backend: SqlBackend, name: str, records: list[Record]
) -> None:
    kind, spoil, message = _SPOILED[name]
    backend = sql_backend
    record = _one(records, kind)
    spoil(record)

    with pytest.raises(InvalidRecordError, match="Nothing was written") as caught:
        backend.put_records([*(each for each in records if each["_type"] == "Value"), record])

    assert message in caught.value.reason
    with backend.reader() as session:
        assert session.query(models.Value).all() == []


def test_a_newer_version_says_what_to_do(records: list[Record]) -> None:
    record = {**_one(records, "Job"), "_version": 2, "_type": "SomethingNew"}

    with pytest.raises(RecordVersionError, match="Upgrade taskgraph"):
        SqlBackend().put_records([record])


def test_a_record_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="an object, not list"):
        SqlBackend().put_records([[]])  # type: ignore[list-item]


def test_times_are_text_in_utc_with_microseconds() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))

    text = serialize_timestamp(when)

    assert text == "2026-01-02T01:04:05.000006+00:00"
    assert deserialize_timestamp(text) == when
    assert deserialize_timestamp("2026-01-02T01:04:05Z") == datetime(2026, 1, 2, 1, 4, 5, 0, UTC)
    assert serialize_timestamp(None) is deserialize_timestamp(None) is None


def test_a_value_is_not_trusted_after_it_was_put(sql_backend: SqlBackend) -> None:
    source, target = SqlBackend(), sql_backend
    source.record(together(a_task(1)))

    target.put_records(source.get_records([key(1)]), origin="lab")

    assert target.load_values([key(1)]) == {}  # type: ignore[list-item]
    assert target.find_untrusted([key(1)]) == {key(1): "lab"}
    target.trust_records([key(1)])
    assert list(target.load_values([key(1)])) == [key(1)]  # type: ignore[list-item]
    assert a_value(1).trusted


def test_records_from_elsewhere_are_used_once_they_are_trusted(
    sql_backend: SqlBackend, records: list[Record]
) -> None:
    sql_backend.put_records(records, origin="lab")
    (execution,) = (each["id"] for each in records if each["_type"] == "Execution")
    keys = [
        CacheQuery(each["eval_hash"])
        for each in records
        if each["_type"] == "CallNode" and each["evaluation"]
    ]
    before = sql_backend.check_cache(keys)

    trusted, left = sql_backend.trust_records([execution])

    after = sql_backend.check_cache(keys)
    assert [(each.evaluation, each.offered) for each in before] == [(None, "lab")] * len(keys)
    assert all(each.evaluation for each in after)
    assert (trusted.executions, trusted.evaluations, left) == (1, len(keys), {})
    assert sql_backend.list_origins() == []
