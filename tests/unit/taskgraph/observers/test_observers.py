"""Who is told of runs is told all of it, and stops none."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from taskgraph import Scheduler, task
from taskgraph.config import settings_of
from taskgraph.errors import ConfigError, ObserverError, SchedulerError
from taskgraph.events import Event, ExecutionEnded, ExecutionStarted, JobDone, JobsSubmitted, Warned
from taskgraph.observers import jsonlines
from taskgraph.observers.given import as_observer, observer_named
from taskgraph.observers.jsonlines import JsonLines, line_of
from taskgraph.observers.opentelemetry import OpenTelemetry
from taskgraph.records import ExecutionId
from taskgraph.testing import MemoryBackend

taskgraph_namespace = "observed"


@task
def leaf(n: int) -> int:
    return n + 1


@task
def branch(n: int) -> list[int]:
    return [leaf(i) for i in range(n)]


@task
def breaks(n: int) -> int:
    raise ValueError(f"no {n}")


def seen_in(settings: dict[str, Any], expr: Any, *observers: Any) -> Any:
    with Scheduler(settings, observers=observers) as scheduler:
        scheduler.ignore_warnings = frozenset({"namespace"})
        return scheduler.run(expr)


def test_a_function_is_called_with_each_event() -> None:
    events: list[Event] = []

    assert seen_in({}, branch(2), events.append) == [1, 2]

    kinds = [type(event) for event in events if not isinstance(event, Warned)]
    assert kinds[0] is ExecutionStarted
    assert kinds[-1] is ExecutionEnded
    assert kinds.count(JobDone) == 3


def test_events_say_who_called_whom_and_when() -> None:
    events: list[Event] = []

    seen_in({}, branch(2), events.append)

    done = {event.job_id: event for event in events if isinstance(event, JobDone)}
    (root,) = (each for each in done.values() if each.caller is None)
    leaves = [each for each in done.values() if each.caller == root.job_id]
    assert len(leaves) == 2
    for each in done.values():
        assert each.started is not None
        assert each.ended is not None
        assert each.seconds == (each.ended - each.started) / 1e6
    jobs = [job for event in events if isinstance(event, JobsSubmitted) for job in event.jobs]
    assert set(jobs) == set(done)


def test_one_that_raises_is_dropped_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Event] = []
    others: list[Event] = []

    def bad(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("broken observer")

    with caplog.at_level(logging.WARNING, "taskgraph"):
        assert seen_in({}, branch(3), bad, others.append) == [1, 2, 3]

    told = [each for each in caplog.records if "broken observer" in each.getMessage()]
    assert len(told) == 1
    assert "It is told nothing more" in told[0].getMessage()
    assert len([each for each in calls if not isinstance(each, Warned)]) <= 1
    assert any(isinstance(each, ExecutionEnded) for each in others)


def test_what_is_no_observer_is_refused() -> None:
    with pytest.raises(TypeError, match="a function of an event"):
        as_observer(3)


def test_a_class_is_made_an_observer_of() -> None:
    class Watcher:
        def notify(self, event: Event) -> None:
            """Take note."""

    assert isinstance(as_observer(Watcher), Watcher)


def test_settings_name_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "watch_named.py").write_text("seen = []\ndef on_event(event): seen.append(event)\n")
    monkeypatch.syspath_prepend(tmp_path)

    seen_in({"observers": {"python": "watch_named:on_event"}}, leaf(1))

    assert any(isinstance(each, JobDone) for each in sys.modules["watch_named"].seen)
    assert settings_of({"observers": {"python": ["a:b", "c:d"]}}).observers.python == ("a:b", "c:d")


@pytest.mark.parametrize("name", ["nothing", "no_such_module:x", "json:no_such_name", "sys:path"])
def test_a_name_that_leads_nowhere_is_an_error_of_the_settings(name: str) -> None:
    with pytest.raises(ObserverError) as raised:
        observer_named(name)

    assert isinstance(raised.value, ConfigError)
    assert "observers.python" in str(raised.value)


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.jsonl"
    for _ in range(2):
        seen_in({"observers": {"jsonl": str(path)}}, branch(2))

    lines = [json.loads(each) for each in path.read_text().splitlines()]

    runs = dict.fromkeys(each["execution"] for each in lines if each["execution"])
    assert len(runs) == 2
    first = [each for each in lines if each["execution"] == next(iter(runs))]
    assert first[0]["event"] == "execution_started"
    assert first[0]["task"] == "observed.branch"
    assert first[0]["version"] == 1
    assert first[-1]["event"] == "execution_ended"
    assert first[-1]["state"] == "COMPLETED"
    done = [each for each in first if each["event"] == "job_done"]
    assert {each["task"] for each in done} == {"observed.branch", "observed.leaf"}
    assert all(each["started"].endswith("+00:00") for each in done)


def test_a_file_that_cannot_be_written_is_an_error_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ObserverError, match=r"observers\.jsonl"):
        JsonLines(tmp_path)


def test_a_named_pipe_that_nobody_reads_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ObserverError, match="nobody reads this named pipe"):
        JsonLines(pipe)


def test_a_named_pipe_that_is_open_and_not_read_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jsonlines, "_PATIENCE", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    observer = JsonLines(pipe)

    assert seen_in({}, branch(1000), observer) == list(range(1, 1001))

    told = [each.getMessage() for each in caplog.records if "JsonLines" in each.getMessage()]
    assert len(told) == 1
    assert "nothing could be written for 0.2 s" in told[0]
    writer = observer._thread
    assert writer is not None
    os.close(reader)  # which ends the thread that writes
    writer.join(60)


def test_a_named_pipe_that_somebody_reads_gets_all_lines(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    lines: list[str] = []

    def read() -> None:
        with open(reader) as stream:
            lines.extend(stream)

    observer = JsonLines(pipe)
    thread = threading.Thread(target=read)
    thread.start()
    seen_in({}, branch(300), observer)
    thread.join(60)

    events = [json.loads(line)["event"] for line in lines]
    assert events.count("execution_started") == 1
    assert events.count("job_done") == 301
    assert events[-1] == "execution_ended"


def test_what_cannot_be_written_any_more_is_told_of_once_and_the_runs_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tmp_path / "events"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    settings = {"observers": {"jsonl": str(pipe)}}

    with Scheduler(settings, backend=MemoryBackend(), executor="inline") as scheduler:
        os.close(reader)
        assert scheduler.run(branch(3)) == [1, 2, 3]
        assert scheduler.run(branch(4)) == [1, 2, 3, 4]

    told = [each.getMessage() for each in caplog.records if "JsonLines" in each.getMessage()]
    assert len(told) == 1
    assert f"JsonLines('{pipe}') raised BrokenPipeError" in told[0]


def test_one_that_closes_its_scheduler_is_refused_and_the_run_is_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    settings = {"backend": {"db_uri": uri}}

    def close(event: Event) -> None:
        if isinstance(event, JobDone):
            scheduler.close()

    with Scheduler(settings, observers=[close], executor="inline") as scheduler:
        assert scheduler.run(branch(3)) == [1, 2, 3]

    assert "SchedulerError" in caplog.text and "cannot close it" in caplog.text
    # It would wait for the lease of a run that was cut off.
    began = time.monotonic()
    with Scheduler(settings, executor="inline") as scheduler:
        assert scheduler.run(branch(3)) == [1, 2, 3]
    assert time.monotonic() - began < 20


def test_a_task_that_closes_its_scheduler_fails_by_itself() -> None:
    with Scheduler(backend=MemoryBackend(), executor="threads") as scheduler:
        _schedulers[:] = [scheduler]
        with pytest.raises(SchedulerError, match=r"observed\.closing is part of a run"):
            scheduler.run(closing())
        assert scheduler.run(branch(1)) == [1]


_schedulers: list[Scheduler] = []


@task(namespace="observed")
def closing() -> None:
    _schedulers[0].close()


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    text = line_of(0.0, "e", Warned("two\nlines \u2028"))

    assert text.count("\n") == 1
    assert json.loads(text) == {
        "event": "warned",
        "time": "1970-01-01T00:00:00.000000+00:00",
        "execution": "e",
        "message": "two\nlines \u2028",
    }


@pytest.fixture
def spans() -> tuple[OpenTelemetry, InMemorySpanExporter]:
    """An observer, and where its spans go."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OpenTelemetry(provider.get_tracer("test")), exporter


def by_name(exporter: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for each in exporter.get_finished_spans():
        found.setdefault(each.name, []).append(each)
    return found


def test_jobs_are_spans_below_that_of_the_job_that_called_them(
    spans: tuple[OpenTelemetry, InMemorySpanExporter],
) -> None:
    observer, exporter = spans

    seen_in({}, branch(2), observer)

    found = by_name(exporter)
    (run,), (root,) = found["run observed.branch"], found["observed.branch"]
    assert run.parent is None
    assert root.parent is not None
    assert root.parent.span_id == run.context.span_id
    assert len(found["observed.leaf"]) == 2
    for each in found["observed.leaf"]:
        assert each.parent is not None
        assert each.parent.span_id == root.context.span_id
        assert each.attributes is not None
        assert each.attributes["taskgraph.job.cached"] is False
        assert each.start_time is not None
        assert root.start_time is not None
        assert root.end_time is not None
        assert root.start_time <= each.start_time <= root.end_time
    assert run.attributes is not None
    assert run.attributes["taskgraph.execution.state"] == "COMPLETED"


def test_cached_jobs_are_spans_that_say_so(
    spans: tuple[OpenTelemetry, InMemorySpanExporter],
) -> None:
    observer, exporter = spans
    with Scheduler({"backend.db_uri": "sqlite:///:memory:"}, observers=[observer]) as scheduler:
        scheduler.run(leaf(1))
        exporter.clear()
        scheduler.run(leaf(1))

    (span,) = by_name(exporter)["observed.leaf"]
    assert span.attributes is not None
    assert span.attributes["taskgraph.job.cached"] is True


def test_a_failure_is_the_status_of_job_and_run(
    spans: tuple[OpenTelemetry, InMemorySpanExporter],
) -> None:
    observer, exporter = spans

    with pytest.raises(ValueError, match="no 1"):
        seen_in({}, breaks(1), observer)

    found = by_name(exporter)
    for name in ("observed.breaks", "run observed.breaks"):
        assert found[name][0].status.status_code is StatusCode.ERROR
    assert found["observed.breaks"][0].status.description == "ValueError: no 1"


def test_without_opentelemetry_the_setting_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("taskgraph.observers.opentelemetry.find_spec", lambda name: None)

    with pytest.raises(ObserverError, match=r"pip install 'taskgraph\[opentelemetry\]'"):
        seen_in({"observers": {"opentelemetry": True}}, leaf(1))


def test_an_end_without_a_beginning_is_nothing(
    spans: tuple[OpenTelemetry, InMemorySpanExporter],
) -> None:
    from taskgraph.records import State

    observer, exporter = spans

    observer.notify(ExecutionEnded(ExecutionId("e" * 32), State.COMPLETED, 0.1))

    assert exporter.get_finished_spans() == ()
