"""Progress counts what it is told, and draws little."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest
from rich.console import Console

from taskgraph.cli.progress import (
    Counts,
    LiveProgress,
    PlainProgress,
    draw_table,
    format_bytes,
)
from taskgraph.durations import so_far
from taskgraph.events import (
    Event,
    ExecutionEnded,
    ExecutionStarted,
    FilesRead,
    JobCached,
    JobDone,
    JobFailed,
    JobRetried,
    JobsSubmitted,
    JobWaits,
    Warned,
)
from taskgraph.provenance.page import Note, line
from taskgraph.records import ExecutionId, JobId, State
from tests.terminals import seen_on_a_terminal

EXECUTION = ExecutionId("ab" * 16)
JOB = JobId("cd" * 16)


def test_what_is_shown_besides_stands_between_the_lines() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.notify(ExecutionStarted(ExecutionId("e" * 32), "flow.main"))

    progress.show([Note(line("why it runs"))])
    progress.close()

    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["Running flow.main (eeeeeeee)", "why it runs"]


def test_on_a_terminal_it_stands_above_the_table() -> None:
    stream = io.StringIO()
    progress = LiveProgress(Console(file=stream, force_terminal=True, width=80))

    progress.show([Note(line("why it runs"))])
    progress.close()

    assert "why it runs" in stream.getvalue()


def events(*, failed: bool = False) -> list[Event]:
    return [
        ExecutionStarted(EXECUTION, "flow.main"),
        JobsSubmitted(("flow.main", "flow.step", "flow.step")),
        JobCached(JOB, "flow.load"),
        JobDone(JOB, "flow.step", 0.5),
        JobFailed(JOB, "flow.step", "no") if failed else JobDone(JOB, "flow.step", 1.0),
        JobFailed(JOB, "flow.main", "no") if failed else JobDone(JOB, "flow.main", 0.1),
        ExecutionEnded(EXECUTION, State.FAILED if failed else State.COMPLETED, 0.42),
    ]


def test_the_summary_is_one_line() -> None:
    counts = Counts()

    for event in events():
        counts.notify(event)

    assert counts.summary() == "4 jobs: 3 done, 1 cached, 0 failed in 0.42 s"


def test_running_calls_are_those_submitted_and_not_settled() -> None:
    counts = Counts()

    for event in events()[:4]:
        counts.notify(event)

    assert counts.total().running == 2
    assert "2 unfinished" in counts.summary()


def test_in_a_pipe_lines_are_written_at_the_ends() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, interval=3600)

    for event in events(failed=True):
        progress.notify(event)
    progress.close()
    progress.close()

    assert stream.getvalue().splitlines() == [
        "Running flow.main (abababab)",
        "task       done  cached  failed    time",
        "flow.main     0       0       1  0.00 s",
        "flow.step     1       0       1  0.50 s",
        "flow.load     0       1       0  0.00 s",
        "4 jobs: 1 done, 1 cached, 2 failed in 0.42 s",
    ]


def test_the_line_of_an_interval_says_how_things_stand() -> None:
    now = [100.0]
    progress = PlainProgress(io.StringIO(), clock=lambda: now[0])
    for event in events()[1:4]:
        progress.counts.notify(event)
    progress.counts.notify(FilesRead(1_500_000, 3_000_000))

    now[0] = 112.0

    assert progress.line() == (
        "12.0 s: 2 running, 1 done, 1 cached, 0 failed, reading files: 1.5 MB of 3.0 MB"
    )


def test_warnings_are_written_once() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)

    progress.notify(Warned("careful"))
    progress.close(summary=False)

    assert stream.getvalue() == "careful\n"


def test_a_closed_stream_does_not_stop_a_run() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    stream.close()

    for event in events():
        progress.notify(event)
    progress.close()

    assert progress.counts.total().done == 3


def drawn(counts: Counts) -> str:
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as capture:
        console.print(draw_table(counts))
    return capture.get()


def test_the_table_has_a_row_for_each_task() -> None:
    counts = Counts()
    for event in events(failed=True)[:-1]:
        counts.notify(event)

    text = drawn(counts)

    assert [name for name in ("flow.main", "flow.step", "flow.load") if name not in text] == []


def test_the_table_of_many_tasks_keeps_those_that_failed() -> None:
    counts = Counts()
    for number in range(100):
        counts.notify(JobCached(JOB, f"flow.t{number}"))
    counts.notify(JobFailed(JOB, "flow.bad", "no"))

    text = drawn(counts)

    assert "flow.bad" in text
    assert "and 81 more tasks" in text
    assert len(text.splitlines()) < 30


def test_the_live_table_ends_with_the_summary() -> None:
    stream = io.StringIO()
    progress = LiveProgress(Console(file=stream, force_terminal=True, width=90, highlight=False))

    for event in events():
        progress.notify(event)
    progress.close()
    progress.close()

    assert "4 jobs: 3 done, 1 cached, 0 failed in 0.42 s" in stream.getvalue()
    assert stream.getvalue().count("4 jobs") == 1


def test_being_told_is_cheap() -> None:
    counts = Counts()
    told = [JobDone(JOB, "flow.step", 0.5)] * 20_000

    began = time.perf_counter()
    for event in told:
        counts.notify(event)
    seconds = time.perf_counter() - began

    assert seconds < 0.2  # 10 microseconds each; about half of one on a laptop


def test_durations_and_sizes_are_for_people() -> None:
    assert [so_far(each) for each in (0.042, 12.34, 200, 7500)] == [
        "0.04 s",
        "12.3 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert [format_bytes(each) for each in (512, 1500, 2e12)] == ["512 B", "1.5 kB", "2.0 TB"]


def test_what_others_say_is_not_obeyed_by_the_terminal() -> None:
    counts = Counts()

    counts.notify(Warned("first\x1b[2J\nsecond"))
    counts.notify(JobRetried(JOB, "flow.step", "ValueError: \x1b[31mred", 1, 0.0))

    assert counts.messages[0] == "first\\x1b[2J\nsecond"
    assert counts.messages[1].endswith("ValueError: \\x1b[31mred")


def test_on_a_narrow_terminal_the_table_has_no_bars() -> None:
    counts = Counts()
    for event in events():
        counts.notify(event)

    stream = io.StringIO()
    Console(file=stream, width=60).print(draw_table(counts, is_narrow=True))

    shown = stream.getvalue()
    assert "flow.main" in shown and "cached" in shown and "failed" in shown
    assert "━" not in shown and "…" not in shown


def test_whom_calls_wait_for_is_said_at_once_and_once() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, interval=3600)

    for _ in range(3):
        progress.notify(JobWaits(JOB, "flow.align", "1234abcd" * 4, "node7", 4711))

    (line,) = stream.getvalue().splitlines()
    assert line.startswith("Now waits for call flow.align(...) that runs in execution 1234abcd")
    assert line.endswith(" on host node7, pid 4711")
    progress.close(summary=False)


def test_lines_of_many_threads_are_all_above_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    console = Console(file=stream, force_terminal=True, width=80)
    progress = LiveProgress(console, redirect_stdout=True)
    for event in events()[:3]:
        progress.notify(event)
    barrier = threading.Barrier(4)

    def print_lines(name: str) -> None:
        barrier.wait()
        for number in range(50):
            print(f"{name} line {number}")
            print(f"{name} error {number}", file=sys.stderr)

    threads = [threading.Thread(target=print_lines, args=(name,)) for name in "abcd"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    print("no end", end="")
    progress.close()

    # As a terminal would show it: what is drawn over is gone.
    lines = seen_on_a_terminal(stream.getvalue())
    for name in "abcd":
        for number in range(50):
            assert f"{name} line {number}" in lines
            assert f"{name} error {number}" in lines
    assert "no end" in lines
    assert sum(line.startswith("task ") for line in lines) == 1


def test_on_a_tiny_terminal_numbers_and_their_names_are_whole() -> None:
    counts = Counts()
    counts.notify(JobsSubmitted(("flow.align_all_the_samples",) * 3, ("a", "b", "c"), (None,) * 3))
    stream = io.StringIO()

    Console(file=stream, width=40).print(draw_table(counts, is_narrow=True, width=40))

    header, _, row, *_ = stream.getvalue().splitlines()
    assert header.split() == ["task", "running", "done", "failed"]
    assert row.split()[1:] == ["3", "·", "·"]
