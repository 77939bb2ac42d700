"""What is shown of executions and studies as they are managed, in a pipe and on a narrow terminal.

The pages are in ``managed_pages/``; after a change that is meant, run this file with
``TASKGRAPH_WRITE_PAGES=1`` and look at what git says.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from taskgraph.catalog.rows import DependencyNode, Execution, Study, Upstream
from taskgraph.catalog.states import State, StateType
from taskgraph.provenance.managed_page import (
    execution_detail,
    executions_list,
    nothing_found,
    snapshot_blocks,
    studies_page,
    study_page,
)
from taskgraph.provenance.page import Block, plain_text, print_on

PAGES = Path(__file__).parent / "managed_pages"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


DONE = Execution(
    id="5a" * 16,
    name="first try",
    entrypoint="flows.main",
    state=State(StateType.COMPLETED, timestamp=_after(65)),
    created_at=NOW,
    parameters={"n": 3, "paths": ["a", "b"]},
    options={"retries": 2},
    tags={"team": ["ml"], "note": [{"by": "ada"}]},
    study="nightly",
    workspace="/runs/monday",
    start_time=_after(2),
    end_time=_after(65),
    run_count=2,
    total_run_time=timedelta(seconds=61.5),
    idempotency_key="monday",
    submitted_by="ada@lab",
)
WAITING = Execution(
    id="c0" * 16,
    name="zwei\x1b[31m \u00fc " + "x" * 70,
    entrypoint="flows.other",
    state=State.scheduled(_after(3600), "Late"),
    created_at=_after(1),
    next_scheduled_start_time=_after(3600),
)
STATES = [
    State(StateType.PENDING, timestamp=NOW),
    State(StateType.RUNNING, timestamp=_after(2), details={"actor": "ada", "forced": True}),
    State(StateType.COMPLETED, timestamp=_after(65), message="all well"),
]
NODES = [
    DependencyNode(
        "1b" * 16, "flows.one", STATES[2], True, None,
        (Upstream("x", "constant", None, "ab" * 16, "3"),), NOW, NOW,
    ),
    DependencyNode(
        "2c" * 16, "flows.main", STATES[2], False, None,
        (
            Upstream("left", "job", "1b" * 16, "ab" * 16, "4"),
            Upstream("right", "parameter", None, "ab" * 16, "4"),
        ), NOW, _after(2),
    ),
]  # fmt: skip
STUDY = Study("57" * 16, "nightly", NOW, {"grant": "x"}, 1200)


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    zone = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()


@pytest.mark.parametrize("width", [None, 60])
@pytest.mark.parametrize("name", ["list", "detail", "study", "studies", "waiting", "snapshot"])
def test_a_page_is_as_it_was(name: str, width: int | None) -> None:
    if width is None:
        shown = plain_text(_blocks(name))
    else:
        stream = io.StringIO()
        print_on(Console(file=stream, width=width, force_terminal=False), _blocks(name))
        shown = stream.getvalue()
    path = PAGES / f"{name}.{width or 'pipe'}.txt"
    if os.environ.get("TASKGRAPH_WRITE_PAGES"):
        path.write_text(shown, encoding="utf-8")

    assert shown == path.read_text(encoding="utf-8")
    assert "\x1b" not in shown


def _blocks(name: str) -> list[Block]:
    # Made anew: times are those of a zone that is set by then.
    match name:
        case "list":
            return executions_list([DONE, WAITING], "c3VyZQ")
        case "detail":
            return execution_detail(DONE, STATES, NODES)
        case "waiting":
            return execution_detail(WAITING, [], [])
        case "studies":
            return studies_page([STUDY])
        case "study":
            return study_page(STUDY, [DONE])
        case _:
            return snapshot_blocks({"name": "first try", "parameters": {"n": 3}})


def test_an_empty_list_says_how_many_there_are_and_what_was_asked_for() -> None:
    assert plain_text(nothing_found(0, [])) == (
        "There are no executions yet: taskgraph run SCRIPT TASK\n"
    )
    assert plain_text(nothing_found(1200, ["--state CRASHED", "--name x"])) == (
        "None of 1,200 executions is meant by --state CRASHED --name x.\n"
    )
    assert "There are no studies yet" in plain_text(studies_page([]))
