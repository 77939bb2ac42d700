"""What ``taskgraph log --json`` writes has the keys that its page says, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskgraph.filters import RecordFilters
from taskgraph.outputs.reading import Output, OutputLine
from taskgraph.provenance import reading
from taskgraph.provenance.listing import Counts, view_listing
from taskgraph.provenance.printed import Printed
from taskgraph.provenance.top import RunningExecution, RunningJob, Top
from taskgraph.provenance.views import as_json
from taskgraph.tags import tag_record
from taskgraph_backend import SqlBackend
from taskgraph_backend.reader import Reader
from tests.archives import a_run, name, tasks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"
KINDS = ("execution", "job", "call", "task", "value")
TAG = tag_record("Execution", name("run", 0), "project", "x").tag_hash
RECORDS = {
    "execution": name("run", 0),
    "job": name("job", 0, 0, "count"),
    "call": name("call", 0, "main", 0),
    "task": "bio.align",
    "value": "out/0/0.vcf",
    "tag": TAG,
}


def documented() -> dict[str, list[str]]:
    """Return the keys of each form, in the order in which the page has them."""
    forms: dict[str, list[str]] = {}
    for part in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        forms[part.splitlines()[0]] = re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE)
    return forms


FORMS = documented()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    backend = SqlBackend(f"sqlite:///{tmp_path_factory.mktemp('json') / 'taskgraph.db'}")
    backend.load()
    backend.record(tasks())
    backend.record(a_run(0, 2))
    with backend.reader() as reader:
        yield reader
    backend.close()


def detail(reader: Reader, form: str) -> Any:
    return json.loads(as_json(reading.look_at(reader, reader.find(RECORDS[form]))))


@pytest.mark.parametrize("form", RECORDS)
def test_a_record_has_the_keys_that_are_documented(reader: Reader, form: str) -> None:
    assert list(detail(reader, form)) == FORMS[form]


@pytest.mark.parametrize("form", KINDS)
def test_a_listed_record_has_the_keys_that_are_documented(reader: Reader, form: str) -> None:
    listing = view_listing(
        reader.listed(RecordFilters(types=("Execution", "Job", "CallNode", "Task", "Value")), 100)
    )
    records = [each for each in json.loads(as_json(listing.records)) if each["type"] == form]

    assert records
    assert all(sorted(each) == sorted(FORMS[f"listed {form}"]) for each in records)


def test_what_lies_inside_has_the_keys_that_are_documented(reader: Reader) -> None:
    execution, job, value = (detail(reader, each) for each in ("execution", "job", "value"))
    argument = job["call"]["arguments"][0]
    step = value["story"]["steps"][0]

    assert list(execution["jobs"][0]) == list(job["trace"][0]) == FORMS["a job"]
    assert ["type", *execution["execution"], "cursor"] == FORMS["listed execution"]
    assert list(job["call"]) == list(step["call"]) == FORMS["a call"]
    assert list(argument) == ["name", "value", "upstream"]
    assert list(argument["upstream"][0]) == ["call_hash", "task"]
    assert list(argument["value"]) == list(value["value"]) == FORMS["a value"]
    assert list(argument["value"]["file"]) == FORMS["file"]
    assert list(value["story"]) == ["steps", "is_cut"]
    assert list(step) == FORMS["a step"]


def test_counts_have_the_keys_that_are_documented() -> None:
    assert list(json.loads(as_json(Counts({"job": 3})))) == FORMS["counts"]


def test_what_jobs_printed_has_the_keys_that_are_documented() -> None:
    output = Output((OutputLine(datetime.now(UTC), "stdout", "text"),))
    (printed,) = json.loads(as_json([Printed("j", "e", "t", "j", "e", output)]))

    assert list(printed) == FORMS["output"]
    assert list(printed["lines"][0]) == ["time", "stream", "text"]


def test_what_runs_has_the_keys_that_are_documented() -> None:
    now = datetime.now(UTC)
    jobs = (RunningJob("j", "t", now, 1.0),)
    execution = RunningExecution("e", "t", "RUNNING", now, 1.0, "h", 1, 0.5, {}, jobs)
    top = json.loads(as_json(Top(now, (execution,))))

    assert list(top) == FORMS["top"]
    assert list(top["executions"][0]) == FORMS["running execution"]
    assert list(top["executions"][0]["jobs"][0]) == ["id", "task", "started", "seconds"]
