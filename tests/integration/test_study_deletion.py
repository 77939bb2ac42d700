"""Studies are deleted: what becomes of their executions is said, their datasets go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskgraph import F
from taskgraph.archive import Archive
from taskgraph.catalog.studies import StudyManager
from taskgraph.errors import (
    ConflictError,
    StillInUseError,
    StudyInUseError,
    StudyNotFoundError,
    ValidationError,
    WorkflowInUseError,
)
from taskgraph_backend.integrity import check


@pytest.fixture
def study(tg: Archive, tmp_path: Path) -> str:
    """A study with a dataset and two executions that have ended."""
    (tmp_path / "a.csv").write_text("x")
    tg.datasets.register("tas", tmp_path / "a.csv", study="nightly", facets={"model": "A"})
    for number in range(2):
        made = tg.executions.create("e", {"n": number}, study="nightly", inputs=["tas"]).execution
        tg.executions.set_state(made, "COMPLETED")
    return "nightly"


def test_executions_are_kept_without_a_study_unless_it_is_said_otherwise(
    tg: Archive, study: str
) -> None:
    planned = tg.studies.delete(study, dry_run=True)
    assert tg.studies.find(study) is not None

    gone = tg.studies.delete(study)

    assert gone == planned
    assert gone is not None
    assert (gone.name, gone.kept, gone.deleted, gone.datasets) == ("nightly", 2, 0, 1)
    assert tg.studies.list() == tg.datasets.list() == []
    assert tg.executions.count() == 2
    assert [each.study for each in tg.executions.list()] == [None, None]
    assert tg.executions.snapshot("-")["study"] == "nightly"
    assert tg.executions.datasets("-")[0].dataset_id is None
    assert check(tg.backend) == []


@pytest.mark.parametrize("executions", ["keep", "delete"])
def test_groups_go_with_it_where_that_is_said(tg: Archive, study: str, executions: str) -> None:
    tg.workflows.create("w", study="nightly", steps=["no.where"])
    tg.groups.plan("w", ["tas"], group_by=["model"])
    for is_dry in (True, False):
        with pytest.raises(WorkflowInUseError, match=r"Workflow w@1 has 1 group\. .*--groups"):
            tg.studies.delete(study, executions=executions, dry_run=is_dry)
    assert (len(tg.groups.list()), tg.executions.count()) == (1, 2)

    planned = tg.studies.delete(study, executions=executions, groups=True, dry_run=True)
    gone = tg.studies.delete(study, executions=executions, groups=True)

    assert gone == planned
    assert gone is not None and (gone.workflows, gone.groups, gone.datasets) == (1, 1, 1)
    assert tg.groups.list() == tg.workflows.list() == tg.studies.list() == []
    assert check(tg.backend) == []


def test_a_study_with_executions_is_refused_if_that_was_asked_for(tg: Archive, study: str) -> None:
    with pytest.raises(StudyInUseError, match="executions='keep' leaves them") as caught:
        tg.studies.delete(study, executions="refuse")

    assert isinstance(caught.value, ConflictError)
    assert caught.value.executions == 2
    empty = tg.studies.get_or_create("empty")
    assert tg.studies.delete(empty, executions="refuse") is not None
    assert [each.name for each in tg.studies.list()] == [study]


def test_a_study_that_is_active_is_refused(tg: Archive, study: str) -> None:
    member = tg.executions.create("e", study=study).execution
    reader = tg.executions.create("e", inputs=[tg.datasets.get("tas", study=study)]).execution

    for executions in ("keep", "delete"):
        manager = StudyManager(tg.studies._store, _refuse)
        with pytest.raises(StillInUseError, match="Wait until they have ended") as caught:
            manager.delete(study, executions=executions)
        assert set(caught.value.execution_ids) == {member.id, reader.id}
    tg.executions.set_state(member, "CANCELLED")
    with pytest.raises(StillInUseError, match="active execution "):
        tg.studies.delete(study)
    tg.executions.set_state(reader, "CANCELLED")
    assert tg.studies.delete(study) is not None


def _refuse(*_: Any) -> None:
    raise AssertionError("nothing is to be deleted")


def test_executions_are_deleted_by_whoever_deletes_them(tg: Archive, study: str) -> None:
    deleted: list[Any] = []

    def delete_many(where: Any) -> None:
        deleted.append(where)
        ids = [bytes.fromhex(each.id) for each in tg.executions.list(where)]

        def remove(driver: Any) -> None:
            for id in ids:
                for table in ("state", "execution_dataset"):
                    driver.execute(f"DELETE FROM {table} WHERE execution_id = ?", (id,))
                driver.execute("DELETE FROM execution WHERE id = ?", (id,))

        tg.backend._transact(remove)

    manager = StudyManager(tg.studies._store, delete_many)
    planned = manager.delete(study, executions="delete", dry_run=True)
    assert deleted == []

    gone = manager.delete(study, executions="delete")

    assert gone == planned
    assert gone is not None
    assert (gone.kept, gone.deleted, gone.datasets) == (0, 2, 1)
    assert deleted == [F.study("nightly")]
    assert tg.executions.count() == 0
    with pytest.raises(ValidationError, match="nothing here deletes"):
        StudyManager(tg.studies._store).delete(tg.studies.get_or_create("x"), executions="delete")


def test_executions_go_with_their_study_if_that_was_asked_for(tg: Archive, study: str) -> None:
    other = tg.executions.create("e").execution
    tg.vocabulary.define("region")
    for each in tg.executions.list(F.study(study)):
        tg.artifacts.add(each, "data", "x", value=each.name, dimensions={"region": "eu"})

    gone = tg.studies.delete(study, executions="delete")

    assert gone is not None
    assert (gone.kept, gone.deleted, gone.datasets) == (0, 2, 1)
    assert [each.id for each in tg.executions.list()] == [other.id]
    assert tg.artifacts.list() == []
    assert tg.vocabulary.remove("region")
    assert check(tg.backend) == []


def test_a_study_that_is_not_there_is_an_error_unless_it_may_be_gone(tg: Archive) -> None:
    assert tg.studies.delete("nightly", missing_ok=True) is None
    with pytest.raises(StudyNotFoundError):
        tg.studies.delete("nightly")
    with pytest.raises(ValidationError, match="there are: keep, refuse, delete"):
        tg.studies.delete("nightly", executions="burn")
