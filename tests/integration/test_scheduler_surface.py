"""What a scheduler tells of itself and is told: settings, limits, statuses, warnings, its log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, get_current_scheduler, get_task_registry, task
from taskgraph.config import Settings, settings_of
from taskgraph.errors import (
    ConfigError,
    DatabaseError,
    NoCurrentScheduler,
    NoCurrentSchedulerError,
    SchedulerError,
    UnknownSettingError,
)
from taskgraph.testing import MemoryBackend

taskgraph_namespace = "surface"

gates = {"go": threading.Event(), "begun": threading.Event()}


@pytest.fixture(autouse=True)
def _anew() -> None:
    for each in gates.values():
        each.clear()


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(backend=MemoryBackend()) as scheduler:
        yield scheduler


@task(version="1")
def inc(x: int) -> int:
    return x + 1


@task(version="1")
def held(x: int) -> int:
    gates["begun"].set()
    assert gates["go"].wait(30)
    return x


@task(version="1")
def fail(x: int) -> int:
    raise ValueError(x)


@task(version="1")
def around(x: int) -> list[int]:
    return [inc(held(x + 10)), inc(x)]


def report(scheduler: Scheduler) -> dict[str, list[int]]:
    lines = [each.split() for each in scheduler.get_job_status_report()]
    assert lines[0] == ["TASK", "PENDING", "RUNNING", "FAILED", "CACHED", "DONE", "TOTAL"]
    return {name: [int(each) for each in numbers] for name, *numbers in lines[1:]}


# Settings


def test_settings_may_be_nested_dicts(tmp_path: Path) -> None:
    wanted = {"backend": {"db_uri": f"sqlite:///{tmp_path}/a.db"}, "limits": {"api": 3}}

    for how in ({"settings": wanted}, {"config": wanted}, {"config": settings_of(wanted)}):
        with Scheduler(**how) as scheduler:  # type: ignore[arg-type]  # one of them
            assert scheduler.run(inc(1)) == 2
            assert scheduler.limits == {"api": 3}
            assert scheduler.config is scheduler.settings
            assert isinstance(scheduler.config, Settings)
    assert (tmp_path / "a.db").exists()


def test_dicts_are_all_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".taskgraph").mkdir()
    (tmp_path / ".taskgraph" / "config.toml").write_text("[limits]\nfile = 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKGRAPH_LIMITS__ENVIRONMENT", "2")

    assert settings_of({"limits.api": 2}).limits == {"api": 2}


def test_dicts_without_a_database_mean_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with Scheduler({"limits": {"api": 1}}) as scheduler:
        assert scheduler.run(inc(1)) == 2

    assert list(tmp_path.iterdir()) == []


def test_what_is_no_setting_is_an_error() -> None:
    with pytest.raises(UnknownSettingError, match="limit"):
        Scheduler({"limit": {"api": 1}})
    with pytest.raises(ConfigError, match=r"limits\.api"):
        Scheduler(config={"limits": {"api": "many"}})
    with pytest.raises(TypeError, match="give one of them"):
        Scheduler({}, config={})


def test_load_may_be_called_as_often_as_wanted(tmp_path: Path) -> None:
    with Scheduler(backend=f"sqlite:///{tmp_path}/a.db") as scheduler:
        scheduler.load()
        scheduler.load(migrate=False)
        assert scheduler.run(inc(1)) == 2
    with pytest.raises(SchedulerError, match="closed"):
        scheduler.load()


def test_a_backend_of_ones_own_needs_no_loading(scheduler: Scheduler) -> None:
    scheduler.load(migrate=True)

    assert scheduler.run(inc(1)) == 2


def test_a_new_database_is_not_made_without_leave(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        Scheduler(backend=f"sqlite:///{tmp_path}/a.db", migrate=False)


def test_the_registry_of_tasks_is_that_of_the_process(scheduler: Scheduler) -> None:
    assert scheduler.task_registry is get_task_registry()


def test_the_error_has_two_names() -> None:
    with pytest.raises(NoCurrentScheduler):
        get_current_scheduler()
    assert NoCurrentScheduler is NoCurrentSchedulerError


# Limits


def test_limits_in_use_are_back_at_none_after_a_run(scheduler: Scheduler) -> None:
    seen: list[dict[str, int]] = []

    def look() -> None:
        assert gates["begun"].wait(30)
        seen.append(scheduler.limits_used)
        gates["go"].set()

    looking = threading.Thread(target=look)
    looking.start()
    scheduler.run(held.options(limits=["api"])(1))
    looking.join()

    assert seen == [{"api": 1}]
    assert scheduler.limits_used == {"api": 0}


def test_limits_in_use_are_back_at_none_after_a_failure() -> None:
    with Scheduler({"limits": {"api": 2, "other": 1}}) as scheduler:
        assert scheduler.limits_used == {"api": 0, "other": 0}
        with pytest.raises(ValueError, match="1"):
            scheduler.run(fail.options(limits={"api": 2})(1))
        assert scheduler.limits_used == {"api": 0, "other": 0}


# Statuses


def test_before_the_first_run_there_are_no_jobs(scheduler: Scheduler) -> None:
    assert report(scheduler) == {"ALL": [0, 0, 0, 0, 0, 0]}


def test_the_report_counts_the_jobs_of_the_last_run(scheduler: Scheduler) -> None:
    scheduler.run([inc(1), inc(2)])
    assert report(scheduler)["surface.inc"] == [0, 0, 0, 0, 2, 2]

    scheduler.run([inc(1), inc(3)])
    assert report(scheduler)["surface.inc"] == [0, 0, 0, 1, 1, 2]
    assert report(scheduler)["ALL"][-1] == 3


def test_the_report_counts_failures(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match="1"):
        scheduler.run(inc(fail(1)))

    counts = report(scheduler)
    assert counts["surface.fail"] == [0, 0, 1, 0, 0, 1]
    assert "surface.inc" not in counts  # it was never begun
    assert scheduler.run(inc(1)) == 2
    assert "surface.fail" not in report(scheduler)


def test_the_report_is_of_now_while_a_run_goes_on(scheduler: Scheduler) -> None:
    seen: list[dict[str, list[int]]] = []

    def look() -> None:
        assert gates["begun"].wait(30)
        while (now := report(scheduler)).get("surface.inc", [0] * 6)[4] == 0:
            gates["begun"].wait(0.01)
        seen.append(now)
        gates["go"].set()

    looking = threading.Thread(target=look)
    looking.start()
    scheduler.run(around(1))
    looking.join()

    assert seen[0]["surface.around"] == [0, 1, 0, 0, 0, 1]
    assert seen[0]["surface.held"] == [0, 1, 0, 0, 0, 1]
    assert seen[0]["surface.inc"] == [1, 0, 0, 0, 1, 2]
    assert report(scheduler)["ALL"] == [0, 0, 0, 0, 4, 4]


def test_what_leaves_no_records_is_counted(scheduler: Scheduler) -> None:
    scheduler.run(inc.options(prov=False)(1))

    assert report(scheduler)["surface.inc"] == [0, 0, 0, 0, 1, 1]


# The log


class Lines(logging.Handler):
    """Keeps what is logged, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.told = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")
        self.told.set()


def logger_of(handler: Lines, level: int = logging.INFO) -> logging.Logger:
    logger = logging.Logger("of a test", level)
    logger.addHandler(handler)
    return logger


def test_messages_are_logged_on_one_line_and_lines_stay_lines() -> None:
    kept = Lines()
    with Scheduler(backend=MemoryBackend(), logger=logger_of(kept)) as scheduler:
        scheduler.log("a", 1, None)
        scheduler.log("b\nc", indent=2)
        scheduler.log("100%", level=logging.WARNING)

    assert kept.lines == ["INFO a 1 None", "INFO   b", "INFO   c", "WARNING 100%"]


def test_statuses_are_logged() -> None:
    kept = Lines()
    with Scheduler(backend=MemoryBackend(), logger=logger_of(kept)) as scheduler:
        scheduler.run(inc(1))
        kept.lines.clear()
        scheduler.log_job_statuses()

        assert kept.lines == [f"INFO {each}" for each in scheduler.get_job_status_report()]


def test_statuses_are_logged_at_an_interval_during_a_run() -> None:
    kept = Lines()
    how: dict[str, Any] = {"logger": logger_of(kept), "job_status_interval": 0.01}
    with Scheduler(backend=MemoryBackend(), **how) as scheduler:
        scheduler.ignore_warnings = frozenset({"namespace"})

        def look() -> None:
            assert kept.told.wait(30)
            gates["go"].set()

        looking = threading.Thread(target=look)
        looking.start()
        scheduler.run(held(1))
        looking.join()
        number = len(kept.lines)
        assert any("surface.held" in each for each in kept.lines)

    assert not [each for each in threading.enumerate() if each.name == "taskgraph job statuses"]
    assert len(kept.lines) == number


def test_nothing_ticks_where_nobody_would_see_it() -> None:
    kept = Lines()
    how: dict[str, Any] = {"logger": logger_of(kept, logging.WARNING), "job_status_interval": 0.01}
    with Scheduler(backend=MemoryBackend(), **how) as scheduler:
        assert scheduler._shown_interval() is None
    assert kept.lines == []


@pytest.fixture
def nameless() -> Iterator[str]:
    @task(namespace="", version="1", name="nameless_of_surface")
    def made() -> int:
        return 1

    yield made.name
    get_task_registry()._tasks.pop(made.fullname)


def test_tasks_without_a_namespace_are_warned_of_once(nameless: str) -> None:
    kept = Lines()
    with Scheduler(backend=MemoryBackend(), logger=logger_of(kept)) as scheduler:
        scheduler.run(inc(1))
        scheduler.run(inc(2))

    (line,) = kept.lines
    assert line.startswith("WARNING These tasks have no namespace: ")
    assert "taskgraph_namespace" in line


@pytest.mark.parametrize("said", ["namespace", ["namespace"]])
def test_the_warning_of_names_may_be_ignored(nameless: str, said: Any) -> None:
    kept = Lines()
    settings = {"scheduler": {"ignore_warnings": said}}
    with Scheduler(settings, logger=logger_of(kept)) as scheduler:
        assert scheduler.ignore_warnings == {"namespace"}
        scheduler.run(inc(1))

    assert kept.lines == []


# Traces


def test_the_trace_of_the_last_failure_is_kept(scheduler: Scheduler) -> None:
    assert scheduler.traceback is None
    with pytest.raises(ValueError, match="1"):
        scheduler.run(inc(fail(1)))
    scheduler.run(inc(1))

    assert scheduler.traceback is not None
    assert "surface.fail" in scheduler.traceback.format()


def test_errors_may_go_without_a_trace() -> None:
    with Scheduler(backend=MemoryBackend(), use_task_traceback=False) as scheduler:
        with pytest.raises(ValueError, match="1") as raised:
            scheduler.run(fail(1))

        assert not hasattr(raised.value, "__taskgraph_trace__")
        assert not hasattr(raised.value, "__taskgraph_failures__")
        assert scheduler.traceback is not None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "x"])
def test_an_interval_is_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(ValueError, match="job_status_interval must be a number of seconds above 0"):
        Scheduler(backend=MemoryBackend(), job_status_interval=seconds)
