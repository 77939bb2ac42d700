"""`taskgraph.lineage` and `Archive.lineage`: where a value came from, in each form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import taskgraph
from taskgraph import Archive, File, Scheduler, task
from taskgraph.config import load_settings
from taskgraph.errors import LineageError, UnknownRecordError
from taskgraph.provenance.reading import chart_of, lineage_of
from taskgraph_backend import models


@task(namespace="lineages", version="1")
def write(path: str, text: str) -> File:
    file = File(path)
    file.write(text)
    return file


@task(namespace="lineages", version="1")
def join(first: File, second: File, out: str) -> File:
    file = File(out)
    file.write(first.read() + second.read())
    return file


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(load_settings(tmp_path / ".taskgraph")) as scheduler:
        scheduler.run(join(write("a.txt", "a"), write("<b>.txt", "b"), "out.txt"))
    with taskgraph.open() as archive:
        yield archive


def test_it_has_the_chart_as_text_and_data(archive: Archive) -> None:
    found = archive.lineage("out.txt")

    lines = found.text.splitlines()
    assert [line[: line.index("<-") + 2].split()[-3:][0] for line in lines] == [
        "out.txt", "a.txt", "<b>.txt",
    ]  # fmt: skip
    assert {each.name for each in found.edges if each.kind == "argument"} == {"first", "second"}
    assert json.loads(found.to_json())["nodes"][0]["label"] == "out.txt"
    assert found.to_dot().startswith("digraph lineage {")
    assert found.to_mermaid().startswith("flowchart LR")


def test_a_notebook_shows_it_with_all_text_escaped(archive: Archive) -> None:
    shown = archive.lineage("out.txt")._repr_html_()

    assert "&lt;b&gt;.txt" in shown
    assert "<b>" not in shown


def test_it_keeps_what_it_had_before(archive: Archive) -> None:
    found = archive.lineage("a.txt")

    assert found.value.file is not None
    assert found.value.file.path == "a.txt"
    assert [step.call.task for step in found.story.steps] == ["lineages.write"]
    assert [job.task for job in found.used_by] == ["lineages.join"]
    assert str(found).startswith("File a.txt")


def test_it_goes_down_and_only_so_far(archive: Archive) -> None:
    down = archive.lineage("a.txt", down=True)
    near = archive.lineage("out.txt", depth=1)
    files = archive.lineage("out.txt", types=["File"])

    assert [node.label for node in down.chart.nodes] == ["a.txt", "lineages.join", "out.txt"]
    assert "lineages.write" not in near.text
    assert {node.kind for node in files.chart.nodes} == {"file", "call"}


def test_the_function_gives_the_same(archive: Archive) -> None:
    assert taskgraph.lineage("out.txt").to_json() == archive.lineage("out.txt").to_json()
    assert taskgraph.lineage("a.txt", down=True, all=True).chart.execution_id is None


def test_what_has_no_value_is_an_error(archive: Archive) -> None:
    with archive.reading() as reader:
        row = reader.find("lineages.join")
        with pytest.raises(LineageError, match="it is a task, no value"):
            chart_of(reader, row, "lineages.join")
    with pytest.raises(UnknownRecordError):
        archive.lineage("absent.txt")


def test_the_text_of_a_task_came_from_no_call(archive: Archive) -> None:
    assert archive.lineage("lineages.join").text.endswith("It came from no call.\n")


def test_a_value_is_found_by_its_id_as_in_the_log(archive: Archive) -> None:
    value = archive.get("out.txt").value

    for text in (value.value_hash, value.value_hash[:8]):
        assert archive.lineage(text).text == archive.lineage("out.txt").text


def test_of_a_tag_it_says_that_it_is_no_value(archive: Archive) -> None:
    with archive.reading() as reader, pytest.raises(LineageError, match="it is a tag, no value"):
        lineage_of(reader, models.Tag(), "a tag")
