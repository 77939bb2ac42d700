"""Workflows are stored in versions; one of a name at most is the one that is meant."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import taskgraph
from taskgraph import task
from taskgraph.archive import Archive
from taskgraph.catalog.uses import WantedUses
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.errors import (
    AmbiguousIdError,
    ConflictError,
    DuplicateVersionError,
    NotFoundError,
    ReservedArgumentError,
    ValidationError,
    WorkflowNotFoundError,
)


@task(namespace="stored", version="1")
def read(files: list[Any], unit: str = "K", limit: int | None = None, how: Any = object) -> int:
    return len(files)


@task(namespace="stored", version="1")
def scale(number: int, by: int, **others: Any) -> int:
    return number * by


def test_a_workflow_is_found_by_name_version_and_id(tg: Archive) -> None:
    made = tg.workflows.create(
        "mean", namespace="climate", study="nightly", steps=[read, (scale, {"by": 3})]
    )

    assert (made.fullname, made.label) == ("climate.mean", "climate.mean@1")
    assert (made.version, made.promoted, made.enabled) == (1, True, True)
    assert (made.study, tg.studies.get("nightly").id) == ("nightly", made.study_id)
    for ref in ("climate.mean", "climate.mean@1", made.id, made.id[:8], made):
        assert tg.workflows.get(ref) == made
    assert tg.workflows.get("climate.mean", 1) == made
    assert tg.workflows.list() == [made]
    assert made.to_json()["steps"][1]["args"] == {"by": 3}


def test_steps_keep_their_order_and_the_defaults_of_their_tasks(tg: Archive) -> None:
    made = tg.workflows.create(
        "w",
        steps=[
            read,
            {"task": "stored.read", "args": {"unit": "C"}, "options": {"retries": 2}},
            ("another.task", {"x": [1, {"y": None}]}),
            "another.task",
        ],
    )

    found = tg.workflows.get("w").steps
    assert [each.position for each in found] == [0, 1, 2, 3]
    assert [each.task for each in found] == [
        "stored.read", "stored.read", "another.task", "another.task",
    ]  # fmt: skip
    assert [each.args for each in found] == [
        {"unit": "K"}, {"unit": "C"}, {"x": [1, {"y": None}]}, None,
    ]  # fmt: skip
    assert [dict(each.options) for each in found] == [{}, {"retries": 2}, {}, {}]
    copied = tg.workflows.create("copy", steps=made.steps)
    assert [(e.task, e.args) for e in copied.steps] == [(e.task, e.args) for e in found]


def test_a_version_is_there_once(tg: Archive) -> None:
    tg.workflows.create("w", version=1)
    tg.workflows.create("w", version=7)

    with pytest.raises(DuplicateVersionError, match="Create version 8") as caught:
        tg.workflows.create("w", version=1)
    tg.workflows.create("w", namespace="elsewhere", version=1)

    assert isinstance(caught.value, ConflictError)
    assert (caught.value.name, caught.value.version) == ("w", 1)


def test_the_first_version_is_promoted_and_others_when_somebody_says_so(tg: Archive) -> None:
    def promoted() -> list[str]:
        return [each.label for each in tg.workflows.list()]

    tg.workflows.create("w", version=3)
    later = tg.workflows.create("w", version=4)
    assert (promoted(), later.promoted) == (["w@3"], False)
    assert tg.workflows.promote("w", 4).promoted
    assert (promoted(), tg.workflows.get("w").version) == (["w@4"], 4)
    tg.workflows.promote(later)
    tg.workflows.promote(later, 3)
    assert promoted() == ["w@3"]
    every = tg.workflows.list(include_superseded=True)
    assert [(each.label, each.promoted) for each in every] == [("w@3", True), ("w@4", False)]
    with pytest.raises(WorkflowNotFoundError, match="w@5"):
        tg.workflows.promote("w", 5)


def test_what_is_not_there_is_said(tg: Archive) -> None:
    made = tg.workflows.create("w")

    assert tg.workflows.find("v") is None
    assert tg.workflows.find("w@2") is None
    with pytest.raises(NotFoundError):
        tg.workflows.get("f" * 32)
    with pytest.raises(WorkflowNotFoundError, match="'w@9'"):
        tg.workflows.get("w", 9)
    with pytest.raises(ValidationError, match="a name, an id"):
        tg.workflows.get(3)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="expected a number"):
        tg.workflows.get("w", "1")  # type: ignore[arg-type]
    assert isinstance(made, Workflow)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"name": " "}, "expected a name"),
        ({"name": "w@2"}, "what follows an @"),
        ({"name": "a.b"}, "before a dot"),
        ({"version": 0}, "1 or more"),
        ({"version": True}, "expected a whole number"),
        ({"steps": [3]}, "expected a task"),
        ({"steps": "abc"}, "a list of steps"),
        ({"steps": 3}, "a list of steps"),
        ({"steps": {"task": "a"}}, "a list of steps"),
        ({"steps": [{"task": "a", "arg": {}}]}, "no arg"),
        ({"steps": [("a", {"x": object()})]}, "arguments of step a"),
        ({"steps": [(read, {"units": "K"})]}, "There are: files, unit, limit, how"),
        ({"steps": [{"task": "a", "options": {"retry": 1}}]}, "no such option"),
        ({"meta": [1]}, "names with values"),
    ],
)
def test_what_is_none_is_refused_before_anything_is_written(
    tg: Archive, said: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValidationError, match=match):
        tg.workflows.create(**{"name": "w", **said})
    assert tg.workflows.list() == []


def test_what_a_step_is_given_when_it_runs_cannot_be_said_before(tg: Archive) -> None:
    with pytest.raises(ReservedArgumentError, match="Name the parameter otherwise") as caught:
        tg.workflows.create("w", steps=[("a", {"metadata": {}})])

    assert (caught.value.task, caught.value.argument) == ("a", "metadata")


def test_of_many_that_create_one_version_at_once_one_does(database_uri: str, tg: Archive) -> None:
    gate = threading.Barrier(8)
    made: list[bool] = []

    def create(number: int) -> None:
        with taskgraph.open(database_uri) as mine:
            gate.wait()
            try:
                mine.workflows.create("w", version=1 + number % 2)
            except DuplicateVersionError:
                made.append(False)
            else:
                made.append(True)

    threads = [threading.Thread(target=create, args=[number]) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(made) == [False] * 6 + [True] * 2
    assert [each.promoted for each in tg.workflows.list(include_superseded=True)].count(True) == 1


def test_an_id_is_that_of_the_workflow_whatever_others_are_called(tg: Archive) -> None:
    first, other = tg.workflows.create("first"), tg.workflows.create("other")
    tg.backend._transact(
        lambda driver: driver.execute("UPDATE workflow SET name = ? WHERE name = 'other'",
                                      (first.id,))
    )  # fmt: skip

    for ref in (first, first.id, first.id.upper()):
        assert tg.workflows.get(ref).id == first.id
        made = tg.executions.create("x", workflow=ref).execution
        assert made.workflow_id == first.id
    assert tg.workflows.get(other).id == other.id


@pytest.mark.parametrize("name", ["f" * 32, "0123456789ABCDEF" * 2])
def test_what_could_be_an_id_is_no_name(tg: Archive, name: str) -> None:
    for namespace in ("", "climate"):
        with pytest.raises(ValidationError, match="32 hex digits are an id"):
            tg.workflows.create(name, namespace=namespace)
        with pytest.raises(ValidationError, match="32 hex digits are an id"):
            tg.workflows.import_({"name": name, "namespace": namespace, "steps": []})
    assert tg.workflows.create(name[:31]).name == name[:31]


_NAMES = ["a/b", "a b", "mean ü", "日本", "a:b", "100%", "add", "7", "-", "'; --", "\u2603"]


def test_names_are_whatever_people_like(tg: Archive) -> None:
    made = [tg.workflows.create(name, namespace=space) for name in _NAMES for space in ("", "n/s")]
    found = {tg.workflows.get(ref).id: ref for each in made for ref in (each.fullname, each.label)}
    pinned = [tg.workflows._store.pin(WantedUses(workflow=each.label)) for each in made]

    assert list(found) == [each.id for each in made]
    assert [each.workflow.id for each in pinned if each.workflow is not None] == list(found)
    assert tg.workflows.find(".add") is None
    with pytest.raises(WorkflowNotFoundError):
        tg.executions.create("x", workflow=".add")


def test_a_group_is_found_by_a_workflow_and_a_key_that_have_slashes(tg: Archive) -> None:
    tg.datasets.register("d", [], facets={"path": "x/y"})
    for name in ("a/b", "c"):
        tg.workflows.create(name)
        tg.groups.plan(name, ["d"], group_by=["path"])

    assert tg.groups.get("a/b/path=x/y").workflow == "a/b"
    assert tg.groups.get("c/path=x/y").workflow == "c"
    with pytest.raises(AmbiguousIdError):
        tg.groups.get("path=x/y")


def test_after_the_highest_version_there_is_none(tg: Archive) -> None:
    highest = tg.workflows.create("w", version=2**31 - 1)

    with pytest.raises(ValidationError, match="no higher one"):
        tg.workflows.new_version(highest)
    with pytest.raises(ValidationError, match="no higher one"):
        tg.workflows.import_({"name": "w", "steps": []}, version="next")
    assert tg.workflows.get("w@2147483647") == highest
    assert tg.workflows.find("w@2147483648") is None
    assert tg.workflows.find("w", 2**70) is tg.workflows.find("w@0") is None
