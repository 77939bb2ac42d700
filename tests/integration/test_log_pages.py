"""What the log shows of each kind of record, in a pipe and on terminals of 80 and 200 columns.

The pages are in ``log_pages/``; after a change that is meant, run this file with
``TASKGRAPH_WRITE_PAGES=1`` and look at what git says.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from taskgraph.filters import RecordFilters
from taskgraph.provenance import reading
from taskgraph.provenance.listing import listing_page, view_listing
from taskgraph.provenance.page import Block, plain_text, print_on
from taskgraph.records import RecordBatch, State
from taskgraph.tags import tag_record
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.reader import Reader
from tests.archives import a_run, name, tasks

PAGES = Path(__file__).parent / "log_pages"
OLD_TAG = tag_record("Job", name("job", 0), "note", {"by": "ann"})._replace(is_current=False)
NEW_TAG = tag_record("Job", name("job", 0), "note", {"by": "bob"}, [OLD_TAG.tag_hash])
RECORDS = {
    "execution": name("run", 1),
    "job": name("job", 0, 0, "count"),
    "call": name("call", 0, "main", 0),
    "task": "bio.align",
    "value": name("result", 0, "main", 0),
    "file": "out/0/1.vcf",
    "tag": NEW_TAG.tag_hash,
}
LISTS = {
    "executions": RecordFilters(types=("Execution",)),
    "jobs": RecordFilters(tasks=("align",)),
    "all": RecordFilters(ids=("bio.align", name("job", 0)[:6]), types=()),
    "records": RecordFilters(
        types=("Execution", "Job", "CallNode", "Task", "Value"), executions=(name("run", 0),)
    ),
    "nothing": RecordFilters(tasks=("nobody",)),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    zone = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    backend = SqlBackend(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'taskgraph.db'}")
    backend.load()
    backend.record(tasks())
    backend.record(a_run(0, 2))
    backend.record(a_run(1, 3, State.FAILED))
    backend.record(RecordBatch(tags=[OLD_TAG, NEW_TAG]))
    with backend.reader() as writer:
        writer.add(models.TagEdit(parent_id=OLD_TAG.tag_hash, child_id=NEW_TAG.tag_hash))
        writer.commit()
    with backend.reader() as reader:
        yield reader
    backend.close()
    os.environ.pop("TZ")
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()


def drawn(blocks: list[Block], width: int) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False
    )
    print_on(console, blocks)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(f"{each.rstrip()}\n" for each in text.splitlines())


def check(form: str, blocks: list[Block]) -> None:
    forms = {
        "in a pipe": plain_text(blocks),
        "80 columns": drawn(blocks, 80),
        "200 columns": drawn(blocks, 200),
    }
    shown = "\n".join(f"=== {each}\n{text}" for each, text in forms.items())
    page = PAGES / f"{form}.txt"
    if os.environ.get("TASKGRAPH_WRITE_PAGES"):
        page.write_text(shown, encoding="utf-8")
    assert shown == page.read_text(encoding="utf-8")
    assert all(len(each) <= 80 for each in forms["80 columns"].splitlines())


@pytest.mark.parametrize("form", RECORDS)
def test_a_record_is_shown_so(reader: Reader, form: str) -> None:
    view = reading.look_at(reader, reader.find(RECORDS[form]))

    assert view is not None
    check(form, reading.page_of(view))


@pytest.mark.parametrize("form", LISTS)
def test_a_list_is_shown_so(reader: Reader, form: str) -> None:
    listing = view_listing(reader.listed(LISTS[form], 20))

    check(f"list_{form}", listing_page(listing))
