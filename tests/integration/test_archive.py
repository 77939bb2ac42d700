"""`taskgraph.open`: the records without a scheduler; nothing runs, and nothing is made unasked."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import Archive, File, Scheduler, task
from taskgraph.config import load_settings
from taskgraph.errors import (
    AmbiguousIdError,
    ClosedArchiveError,
    DatabaseError,
    DatabaseVersionError,
    ExplanationError,
    FilterError,
    ForeignDatabaseError,
    UnknownRecordError,
)
from taskgraph.provenance.explain import ExecutionExplanation, Explanation
from taskgraph.provenance.reading import Lineage
from taskgraph.provenance.tag_detail import TagDetail
from taskgraph.provenance.views import (
    CallDetail,
    ExecutionDetail,
    JobDetail,
    TaskDetail,
    ValueDetail,
)


@task(namespace="archived", version="1")
def write(path: str, text: str) -> File:
    file = File(path)
    file.write(text)
    return file


@task(namespace="archived", version="1")
def measure(file: File) -> int:
    return len(file.read())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one run in its records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(load_settings(tmp_path / ".taskgraph")) as scheduler:
        scheduler.run(measure(write("out.txt", "so much depends")))
    return tmp_path


@pytest.fixture
def archive(project: Path) -> Iterator[Archive]:
    with taskgraph.open() as archive:
        yield archive


def test_executions_are_listed_newest_first(project: Path, archive: Archive) -> None:
    with Scheduler(load_settings(project / ".taskgraph")) as scheduler:
        scheduler.run(write("more.txt", "upon"))

    listed = archive.history()

    assert [each.task for each in listed] == ["archived.write", "taskgraph.root_task"]
    assert archive.history(1) == listed[:1]
    assert archive.get(listed[1].id[:12]).execution == listed[1]


def test_an_execution_has_its_jobs(archive: Archive) -> None:
    found = archive.get("-")

    assert [each.task for each in found.jobs][1:] == ["archived.write", "archived.measure"]
    assert len(archive.get("-", limit=1).jobs) == 1


def test_each_record_is_found_as_what_it_is(archive: Archive) -> None:
    execution = archive.get("-")
    assert isinstance(execution, ExecutionDetail)
    job = archive.get(execution.jobs[-1].id)
    assert isinstance(job, JobDetail)
    assert job.call is not None

    call = archive.get(job.call.call_hash)
    value = archive.get("out.txt")

    assert isinstance(call, CallDetail)
    assert isinstance(value, ValueDetail)
    assert isinstance(archive.get("archived.measure"), TaskDetail)
    assert call.call.task == "archived.measure"
    assert value.value.file is not None
    assert value.value.file.path == "out.txt"


def test_what_was_found_finds_itself(archive: Archive) -> None:
    for name in ("-", "out.txt", "archived.measure"):
        found = archive.get(name)
        assert archive.get(found) == found


def test_what_is_not_there_is_none_for_find_and_an_error_for_get(archive: Archive) -> None:
    assert archive.find("absent.txt") is None
    assert archive.executions.find("absent") is None
    assert archive.executions.find("out.txt") is None  # a value, and no execution
    with pytest.raises(UnknownRecordError, match="absent"):
        archive.get("absent.txt")
    with pytest.raises(UnknownRecordError):
        archive.executions.get("out.txt")
    with pytest.raises(UnknownRecordError):
        archive.lineage("absent.txt")


def test_a_prefix_of_many_is_no_answer(project: Path, archive: Archive) -> None:
    with Scheduler(load_settings(project / ".taskgraph")) as scheduler:
        for last in "12":
            scheduler.run(write(f"{last}.txt", last), execution_id="ab" * 15 + f"c{last}")

    with pytest.raises(AmbiguousIdError):
        archive.find("abababab")


def test_lineage_and_explanations_are_those_of_the_functions(archive: Archive) -> None:
    story = archive.lineage(File("out.txt"))
    why = archive.explain(measure)

    assert isinstance(story, Lineage)
    assert [step.call.task for step in story.story.steps] == ["archived.write"]
    assert str(story) == str(taskgraph.lineage("out.txt"))
    assert isinstance(why, Explanation)
    assert why == archive.explain("archived.measure")
    assert isinstance(archive.explain("-"), ExecutionExplanation)
    assert isinstance(archive.explain("out.txt"), Explanation)


def test_a_lazy_call_is_no_record(archive: Archive) -> None:
    with pytest.raises(ExplanationError, match=r"taskgraph\.explain"):
        archive.explain(measure(File("out.txt")))


def test_pages_are_those_of_the_command(archive: Archive) -> None:
    assert "archived.measure" in archive.page("-")
    assert "taskgraph.root_task" in archive.page()
    assert "archived.write" in archive.page("out.txt")
    with pytest.raises(UnknownRecordError):
        archive.page("absent")


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: folder,
        lambda folder: str(folder / ".taskgraph"),
        lambda folder: folder / ".taskgraph" / "taskgraph.db",
        lambda folder: f"sqlite:///{folder / '.taskgraph' / 'taskgraph.db'}",
    ],
    ids=["folder", "config", "file", "url"],
)
def test_it_is_opened_by_folder_file_or_url_from_anywhere(
    place: Any, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    with taskgraph.open(place(project)) as archive:
        assert [each.task for each in archive.history()] == ["taskgraph.root_task"]
        assert archive.find("archived.write") is not None


def test_nothing_is_made_unless_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="migrate=True"):
        taskgraph.open(tmp_path)
    with pytest.raises(DatabaseError, match="migrate=True"):
        taskgraph.open(f"sqlite:///{tmp_path}/a.db")

    assert list(tmp_path.iterdir()) == []
    with taskgraph.open(f"sqlite:///{tmp_path}/a.db", migrate=True) as archive:
        assert archive.history() == []
        assert archive.page() == "Nothing was run yet: taskgraph run SCRIPT TASK\n"


def test_an_older_schema_is_left_alone_if_that_is_said(project: Path) -> None:
    with taskgraph.open() as archive:
        archive.backend.migrate("1.0")

    with pytest.raises(DatabaseVersionError, match="too old"):
        taskgraph.open(migrate=False)
    with taskgraph.open() as archive:
        assert len(archive.history()) == 1


def test_a_strange_file_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE cats (name)")
    other.close()

    with pytest.raises(ForeignDatabaseError):
        taskgraph.open(path)


def test_a_closed_archive_answers_nothing(project: Path) -> None:
    with taskgraph.open() as archive:
        pass
    archive.close()

    with pytest.raises(ClosedArchiveError, match=r"taskgraph\.open"):
        archive.history()


def test_the_builtin_is_what_it_was() -> None:
    assert builtins.open is open
    assert taskgraph.open is not builtins.open


def test_executions_are_filtered(project: Path, archive: Archive) -> None:
    with Scheduler(load_settings(project / ".taskgraph")) as scheduler:
        scheduler.run(write("other.txt", "upon"), tags=[("project", "x")])
    listed = archive.history

    assert [each.task for each in listed(task="write")] == ["archived.write"]
    assert listed(task=["archived.write", "nobody"]) == listed(task="write")
    assert len(listed(status="DONE", since="1h")) == 2
    assert listed(status=["FAILED", "RUNNING"]) == listed(until="2001-01-01") == []
    assert [each.task for each in listed(tags={"project": "x"})] == ["archived.write"]
    assert listed(1, tags=["project"]) == listed(tags=[("project", "x")])
    with pytest.raises(FilterError, match="There are: RUNNING"):
        listed(status="BROKEN")


def test_a_query_is_over_all_records(archive: Archive) -> None:
    with archive.query() as query:
        jobs = query.filter_types(["Job"]).filter_task_names(["measure"])

        assert dict(query.count())["Execution"] == 1
        assert [job.call_node.args_display for job in jobs.all()] == [  # type: ignore[attr-defined]
            "file=File(path=out.txt, hash=" + _content_of("out.txt") + ")"
        ]


def _content_of(path: str) -> str:
    return File(path).hash[:8]


def test_a_tag_is_found_by_its_id(project: Path, archive: Archive) -> None:
    with Scheduler(load_settings(project / ".taskgraph")) as scheduler:
        scheduler.run(write("other.txt", "upon"), tags=[("project", "x")])
    with archive.query() as query:
        run: Any = query.filter_types(["Execution"]).filter_tags([("project", "x")]).one()
        (tag_hash,) = [each.tag_hash for each in run.tags if each.key == "project"]

    found = archive.get(tag_hash[:12])

    assert isinstance(found, TagDetail)
    assert (found.value, found.entity) == ("x", "archived.write")
    assert archive.get(found) == found


def test_a_closed_archive_opens_no_query(project: Path) -> None:
    archive = taskgraph.open()
    archive.close()

    with pytest.raises(ClosedArchiveError), archive.query():
        raise AssertionError("it was opened")


@pytest.mark.parametrize("place", ["x" * 300, "a\0b", b"bytes", 5], ids=str)
def test_what_can_be_no_place_of_records_is_refused(place: Any) -> None:
    with pytest.raises(DatabaseError, match="no records can be there"):
        taskgraph.open(place)
