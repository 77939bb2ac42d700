"""What runs is a page that says who runs it, and whether it is still heard of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from taskgraph import Scheduler, task
from taskgraph.provenance.page import plain_text
from taskgraph.provenance.top import RunningExecution, RunningJob, Top, look_at_top, top_page
from taskgraph_backend import SqlBackend

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

taskgraph_namespace = "topped"


@task
def inner(n: int) -> int:
    return n


def execution(**changes: object) -> RunningExecution:
    fields: dict[str, object] = {
        "id": "ab" * 16,
        "task": "flow.main",
        "state": "RUNNING",
        "started": NOW - timedelta(seconds=75),
        "seconds": 75.0,
        "host": "node7",
        "pid": 4711,
        "heartbeat": 2.5,
        "counts": {"flow.step": {"DONE": 1200, "RUNNING": 2}, "taskgraph.cond": {"DONE": 1}},
        "jobs": (RunningJob("cd" * 16, "flow.step", NOW, 12.0),),
    }
    return RunningExecution(**{**fields, **changes})  # type: ignore[arg-type]  # of a test


def page(*executions: RunningExecution) -> list[str]:
    return plain_text(top_page(Top(NOW, executions))).splitlines()


def test_the_page_of_a_run() -> None:
    lines = page(execution())

    assert lines[0].startswith("1 execution running  ")
    assert lines[1:] == [
        "",
        "● abababab  flow.main  for 1 min 15 s",
        "on  node7, pid 4711, heard of 2.50 s ago",
        "task       queued  running   done  cached  failed",
        "flow.step       ·        2  1,200       ·       ·",
        "job       task       running for",
        "cdcdcdcd  flow.step       12.0 s",
    ]


def test_who_leads_calls_and_who_waits_is_said() -> None:
    text = "\n".join(page(execution(leads=3), execution(waits=True)))

    assert "calls  3 that others wait for if they want them" in text
    assert "waits  for another execution to say which calls it runs" in text


def test_many_jobs_are_cut() -> None:
    jobs = tuple(RunningJob(f"{n:032x}", "flow.step", NOW, 1.0) for n in range(40))

    assert page(execution(jobs=jobs))[-1] == "and 30 more"


def test_names_of_hosts_are_not_obeyed_by_the_terminal() -> None:
    assert "\x1b" not in "\n".join(page(execution(host="\x1b[2J", task="\x1b]0;x")))


def test_what_ended_is_not_there_and_what_crashed_is(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'top.db'}"
    with Scheduler({"backend.db_uri": uri}) as scheduler:
        scheduler.run(inner(1))
    backend = SqlBackend(uri)
    backend.load()

    with backend.reader() as reader:
        assert look_at_top(reader).executions == ()
    backend.close()
