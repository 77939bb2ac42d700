from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from taskgraph.errors import TagKeyError, UnknownRecordError, UnknownTagError
from taskgraph.records import RecordBatch, State
from taskgraph.tags import tag_record
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.integrity import check
from tests.rows import (
    EXECUTION,
    TASK,
    a_call,
    a_job,
    a_task,
    an_execution,
    key,
    together,
)

ONE_OF_EACH = [
    ("Execution", EXECUTION),
    ("Job", 1),
    ("CallNode", 7),
    ("Task", TASK),
    ("Value", 9),
]


@pytest.fixture
def tagged(sql_backend: SqlBackend) -> SqlBackend:
    """A backend with one record of each kind, and a second job."""
    sql_backend.record(
        together(
            a_task(),
            a_call(7, 8, 9),
            an_execution(root=1, state=State.COMPLETED),
            a_job(1, call=7),
            a_job(2, parent=1),
        )
    )
    return sql_backend


def tags(backend: SqlBackend, number: int = 1) -> dict[str, list[Any]]:
    return backend.get_tags([key(number)])[key(number)]


def sound(backend: SqlBackend) -> bool:
    return check(backend, contents=False) == []


@pytest.mark.parametrize(("kind", "number"), ONE_OF_EACH)
def test_each_kind_of_record_can_be_tagged(tagged: SqlBackend, kind: str, number: int) -> None:
    tagged.record_tags(kind, key(number), [("user", "ada")])

    assert tags(tagged, number) == {"user": ["ada"]}


@pytest.mark.parametrize(("kind", "number"), ONE_OF_EACH)
def test_a_tag_knows_its_record(tagged: SqlBackend, kind: str, number: int) -> None:
    tagged.record_tags(kind, key(number), [("by.user", "ada")])

    with tagged.reader() as reader:
        tag = reader.scalars(select(models.Tag)).one()

        assert type(tag.entity).__name__ == kind
        assert (tag.namespace, tag.base_key, tag.value_parsed) == ("by", "user", "ada")
        lists = (tag.executions, tag.jobs, tag.call_nodes, tag.tasks, tag.values)
        assert [len(each) for each in lists].count(1) == 1
        assert tag in tag.entity.tags  # type: ignore[union-attr]  # it has one


def test_tags_are_kept_with_all_their_values(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada"), ("user", "bob"), ("n", 1.0)])

    found = tagged.get_tags([key(1), key(2)])

    assert found == {key(1): {"user": ["ada", "bob"], "n": [1]}, key(2): {}}


def test_updated_tag_supersedes_the_one_before(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada")])

    tagged.record_tags("Job", key(1), [("user", "bob")], update=True)

    assert tags(tagged) == {"user": ["bob"]}


def test_several_values_can_take_the_place_of_one(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada")])

    tagged.record_tags("Job", key(1), [("user", "bob"), ("user", "eve")], update=True)

    assert tags(tagged) == {"user": ["bob", "eve"]}
    assert sound(tagged)


def test_superseded_tag_comes_back_only_as_a_new_one(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada")])
    tagged.record_tags("Job", key(1), [("user", "bob")], update=True)

    tagged.record_tags("Job", key(1), [("user", "ada")])
    before = tags(tagged)
    tagged.record_tags("Job", key(1), [("user", "ada")], new=True)

    assert before == {"user": ["bob"]}
    assert tags(tagged) == {"user": ["ada", "bob"]}


@pytest.mark.parametrize("how", [{}, {"update": True}, {"new": True}])
def test_saying_the_same_again_changes_nothing(tagged: SqlBackend, how: dict[str, bool]) -> None:
    first = tagged.record_tags("Job", key(1), [("user", "ada")])

    again = tagged.record_tags("Job", key(1), [("user", "ada")], **how)

    assert again == first
    with tagged.reader() as reader:
        assert len(reader.scalars(select(models.Tag)).all()) == 1


def test_tag_of_a_batch_is_that_of_the_verb(tagged: SqlBackend) -> None:
    tagged.record(RecordBatch(tags=[tag_record("Job", key(1), "n", {"b": 1.0, "a": 2})]))

    ((tag_hash, *_),) = tagged.record_tags("Job", key(1), [("n", {"a": 2, "b": 1})])

    assert tag_hash == tag_record("Job", key(1), "n", {"a": 2.0, "b": 1}).tag_hash
    assert tags(tagged) == {"n": [{"a": 2, "b": 1}]}


def test_tags_can_be_updated_under_another_key(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada"), ("user", "bob"), ("n", 1)])

    tagged.update_tags("Job", key(1), ["user"], [("author", "eve")])

    assert tags(tagged) == {"author": ["eve"], "n": [1]}


def test_deleting_a_key_deletes_all_its_values(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada"), ("user", "bob"), ("n", 1)])

    gone = tagged.delete_tags(key(1), [], ["user"])

    assert [(name, value) for _, _, name, value in gone] == [("user", "ada"), ("user", "bob")]
    assert tags(tagged) == {"n": [1]}
    assert sound(tagged)


def test_one_of_several_values_can_be_deleted(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada"), ("user", "bob")])

    tagged.delete_tags(key(1), [("user", "ada")])

    assert tags(tagged) == {"user": ["bob"]}


def test_a_deletion_leaves_a_marker(tagged: SqlBackend) -> None:
    ((tag_hash, *_),) = tagged.record_tags("Job", key(1), [("user", "ada")])

    tagged.delete_tags(key(1), [], ["user"])

    with tagged.reader() as reader:
        tag = reader.get_one(models.Tag, tag_hash)
        (marker,) = tag.children
        assert (tag.is_current, marker.is_current) == (False, False)
        assert (marker.entity_type, marker.entity, marker.is_deletion) == ("Null", None, True)
        assert marker.tag_hash == tag.get_delete_tag().tag_hash
        assert marker.parents == [tag]
        assert [edit.parent for edit in marker.parent_edits] == [tag]
        assert [edit.child for edit in tag.child_edits] == [marker]


def test_a_deleted_tag_can_be_given_again(tagged: SqlBackend) -> None:
    for _ in range(3):
        tagged.record_tags("Job", key(1), [("user", "ada")], new=True)
        tagged.delete_tags(key(1), [], ["user"])

    tagged.record_tags("Job", key(1), [("user", "ada")], new=True)

    assert tags(tagged) == {"user": ["ada"]}
    assert sound(tagged)


@pytest.mark.parametrize("entity_id", [key(404), "", "what", "a" * 30])
def test_what_is_not_recorded_cannot_be_tagged(tagged: SqlBackend, entity_id: str) -> None:
    with pytest.raises(UnknownRecordError):
        tagged.record_tags("Job", entity_id, [("user", "ada")])


def test_a_record_of_another_kind_is_not_tagged(tagged: SqlBackend) -> None:
    with pytest.raises(UnknownRecordError):
        tagged.record_tags("Execution", key(1), [("user", "ada")])
    with pytest.raises(ValueError, match="'Null' has no tags; these have: Execution"):
        tagged.record_tags("Null", key(1), [("user", "ada")])


def test_a_parent_must_be_a_tag(tagged: SqlBackend) -> None:
    with pytest.raises(UnknownRecordError):
        tagged.record_tags("Job", key(1), [("user", "ada")], parents=[key(404)])


def test_what_is_not_there_is_neither_updated_nor_deleted(tagged: SqlBackend) -> None:
    tagged.record_tags("Job", key(1), [("user", "ada")])

    with pytest.raises(UnknownTagError, match="has no tag author"):
        tagged.update_tags("Job", key(1), ["author"], [("author", "eve")])
    with pytest.raises(UnknownTagError, match="has no tag user=bob"):
        tagged.delete_tags(key(1), [("user", "ada"), ("user", "bob")])
    with pytest.raises(UnknownTagError):
        tagged.delete_tags(key(1), [], ["user", "n"])

    assert tags(tagged) == {"user": ["ada"]}, "all of it or nothing"


def test_keys_of_the_library_are_only_read(tagged: SqlBackend) -> None:
    own = "taskgraph.attempts"
    tagged.record(RecordBatch(tags=[tag_record("Job", key(1), own, 2)]))

    for write in (
        lambda: tagged.record_tags("Job", key(1), [(own, 3)]),
        lambda: tagged.update_tags("Job", key(1), [own], [("n", 3)]),
        lambda: tagged.update_tags("Job", key(1), ["n"], [(own, 3)]),
        lambda: tagged.delete_tags(key(1), [(own, 2)]),
        lambda: tagged.delete_tags(key(1), [], [own]),
    ):
        with pytest.raises(TagKeyError, match="taskgraph's own"):
            write()

    assert tags(tagged) == {own: [2]}


def test_a_value_that_is_not_json_writes_nothing(tagged: SqlBackend) -> None:
    with pytest.raises(ValueError, match="not a JSON value"):
        tagged.record_tags("Job", key(1), [("user", "ada"), ("what", object())])

    assert tags(tagged) == {}


_words = st.sampled_from(["a", "b"])
_step = st.tuples(st.sampled_from(["add", "update", "rm", "rm value"]), _words, st.integers(0, 2))


@given(steps=st.lists(_step, max_size=12))
def test_the_current_tags_are_those_of_a_plain_multimap(
    steps: list[tuple[str, str, int]],
) -> None:
    with SqlBackend() as backend:
        backend.record(together(a_task(), an_execution(root=1), a_job(1)))
        plain: dict[str, set[int]] = {}
        for verb, name, value in steps:
            has = plain.get(name, set())
            match verb:
                case "add":
                    backend.record_tags("Job", key(1), [(name, value)], new=True)
                    plain[name] = has | {value}
                case "update" if has:
                    backend.record_tags("Job", key(1), [(name, value)], update=True, new=True)
                    plain[name] = {value}
                case "rm" if has:
                    backend.delete_tags(key(1), [], [name])
                    plain[name] = set()
                case "rm value" if value in has:
                    backend.delete_tags(key(1), [(name, value)])
                    plain[name] = has - {value}

        found = {name: set(values) for name, values in tags(backend).items()}

        assert found == {name: values for name, values in plain.items() if values}
