"""What a run on the command line pays for policies: one statement, as long as there are none."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph.cli.main import main
from taskgraph_backend.dialects.sqlite import SqliteDatabase
from tests.integration.test_notifications import ended

_FLOW = """
from taskgraph import task

taskgraph_namespace = "told"


@task
def whole(n: int = 1) -> int:
    if n < 0:
        raise ValueError("it is less than nothing")
    return n
"""
_ASKED = "SELECT 1 FROM notification_policy WHERE active LIMIT 1"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    Path("told_flow.py").write_text(_FLOW)
    assert main(["init", "."]) == 0
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements about policies and notifications."""
    found: list[str] = []
    connect: Callable[..., Any] = SqliteDatabase._open

    def traced(self: SqliteDatabase, *given: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(self, *given, **named)
        connection.set_trace_callback(
            lambda text: found.append(text) if "notification" in text else None
        )
        return connection

    monkeypatch.setattr(SqliteDatabase, "_open", traced)
    return found


def run(*words: str) -> int:
    return main(["run", "-q", "told_flow.py", "whole", *words])


def test_a_run_without_policies_asks_once(project: Path, asked: list[str]) -> None:
    assert (run(), asked) == (0, [_ASKED])
    asked.clear()
    assert (run("--n", "-3"), asked) == (1, [_ASKED])
    asked.clear()
    with taskgraph.open(project) as tg:
        tg.policies.create("p", target="a.b:c", active=False)
        asked.clear()
    assert (run(), asked) == (0, [_ASKED])


def test_what_runs_nothing_asks_nothing(project: Path, asked: list[str]) -> None:
    assert main(["run", "--dryrun", "told_flow.py", "whole"]) == 0
    assert main(["run", "told_flow.py", "nothing"]) == 3
    assert asked == []


def test_a_look_and_the_next_one_are_found_by_indexes(project: Path) -> None:
    from taskgraph_backend.catalog import notifications, notifying

    with taskgraph.open(project) as tg:
        tg.policies.create("p", target="a.b:c")
        ended(tg)
        look = notifying._STATES.format(types="", after="")
        queries = ((look, (1, b"0" * 16)), (notifications._NEXT.format(others=""), ()))

        def plans(driver: Any) -> list[str]:
            return [
                " ".join(str(row[-1]) for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", given))
                for sql, given in queries
            ]

        looked, next_one = tg.backend._ask(plans)

    assert "ix_state_timestamp" in looked
    assert "ix_notification_due" in next_one
