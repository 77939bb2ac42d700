"""The inbox, the recorder, the lease, the trace and the environment, each by itself."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from taskgraph.engine.environment import describe_environment, describe_git, distributions
from taskgraph.engine.inbox import QueueInbox
from taskgraph.engine.leasing import ExecutionLease
from taskgraph.engine.recorder import Recorder
from taskgraph.engine.trace import TaskFrame, TaskTrace
from taskgraph.errors import DatabaseError
from taskgraph.ports import FrameRecord, Returned
from taskgraph.records import ExecutionId, ExecutionRecord, JobId, Micros, RecordBatch, State
from taskgraph.testing import MemoryBackend
from taskgraph.values.pack import pack

EXECUTION = ExecutionId("e" * 32)


class CountingBackend(MemoryBackend):
    """Notes each batch that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[RecordBatch] = []

    def record(self, batch: RecordBatch) -> None:
        self.batches.append(batch)
        super().record(batch)


def an_execution(state: State = State.RUNNING) -> ExecutionRecord:
    return ExecutionRecord(EXECUTION, "[]", None, Micros(1), state, Micros(1), None)


def test_the_inbox_gives_all_that_came_in_order() -> None:
    inbox = QueueInbox()
    outcomes = [Returned(JobId(str(n)), n, None, None, Micros(0), Micros(0)) for n in range(3)]

    inbox.deliver(outcomes)

    assert inbox.take(1.0) == outcomes
    assert inbox.take(0) == []


def test_what_arrives_from_another_thread_ends_the_wait() -> None:
    inbox = QueueInbox()

    def act() -> None: ...

    threading.Thread(target=lambda: inbox.call_soon(act)).start()

    assert inbox.take(10.0) == [act]


def test_steps_are_done_one_at_a_time_until_one_had_work() -> None:
    inbox = QueueInbox()
    done: list[str] = []
    inbox.when_idle(lambda: bool(done.append("first")))
    inbox.when_idle(lambda: not done.append("second"))
    inbox.when_idle(lambda: not done.append("third"))

    assert inbox.step()
    assert done == ["first", "second"]


def test_rows_are_written_together_at_a_flush() -> None:
    backend = CountingBackend()
    recorder = Recorder(backend, EXECUTION, None)

    recorder.add_execution(an_execution())
    recorder.add_value(pack([1]))
    recorder.add_value(pack([1]))
    assert recorder.is_dirty
    assert not backend.batches
    recorder.flush()
    recorder.flush()

    assert len(backend.batches) == 1
    assert [each.preview for each in backend.batches[0].values] == ["[1]"]
    assert not recorder.is_dirty


def test_rows_that_have_waited_long_enough_are_due(monkeypatch: Any) -> None:
    backend = CountingBackend()
    recorder = Recorder(backend, EXECUTION, None)
    clock = [100.0]
    monkeypatch.setattr("taskgraph.engine.recorder.time.monotonic", lambda: clock[0])

    recorder.add_execution(an_execution())
    recorder.flush_if_due()
    assert not backend.batches
    clock[0] += 0.021
    recorder.flush_if_due()

    assert len(backend.batches) == 1


def test_a_lease_is_taken_and_given_back() -> None:
    backend = MemoryBackend()
    lease = ExecutionLease(backend, EXECUTION, "host", 1, Micros(5))

    lease.take()
    held = list(backend.leases)
    lease.release()

    assert held == [f"execution:{EXECUTION}"]
    assert not backend.leases


def test_a_lease_that_cannot_be_given_back_ends_quietly() -> None:
    class Failing(MemoryBackend):
        def release(self, holder: str, keys: Any) -> None:
            raise DatabaseError("somewhere", "gone")

    lease = ExecutionLease(Failing(), EXECUTION, "host", 1, Micros(5))

    lease.take()
    lease.release()


def test_a_long_trace_is_cut_in_the_middle() -> None:
    tasks = tuple(TaskFrame(f"{n:032x}", f"task{n}", "x.py", n, ()) for n in range(100))
    trace = TaskTrace(tasks, (FrameRecord("x.py", 3, "f", "raise"),), "ValueError: no")

    lines = trace.format().splitlines()

    assert "  ... 70 more tasks ..." in lines
    assert sum("task task" in line or ", task " in line for line in lines) == 30
    assert lines[-1] == "ValueError: no"


def test_the_environment_names_python_distributions_and_host() -> None:
    described = describe_environment(Path.cwd())

    assert described["python"].startswith("3.")
    assert described["host"]
    assert described["distributions"]["pytest"]
    assert distributions()["hypothesis"]


def test_outside_of_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert describe_git(tmp_path) is None


def test_a_dirty_tree_is_described_by_commit_and_diff(tmp_path: Path) -> None:
    import subprocess

    def git(*words: str) -> None:
        settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
        subprocess.run(
            ["git", *settings, "-C", str(tmp_path), *words], check=True, capture_output=True
        )

    (tmp_path / "a.py").write_text("one\n")
    git("init")
    git("add", "a.py")
    git("commit", "-m", "first")
    (tmp_path / "a.py").write_text("two\n")

    described = describe_git(tmp_path)

    assert described is not None
    assert len(described["commit"]) == 40
    assert described["branch"] == "main"
    assert "+two" in described["diff"]
