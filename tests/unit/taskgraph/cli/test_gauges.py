"""What is told of a run besides counts: its rate, what is left of it, and memory."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

from rich.console import Console

from taskgraph.cli.gauges import Gauges, History, format_rate
from taskgraph.cli.memory import memory_used
from taskgraph.cli.progress import Counts, PlainProgress, TaskCounts, draw_table, format_bytes
from taskgraph.durations import about


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def counts(task: str, submitted: int, done: int = 0, seconds: float = 0.0) -> TaskCounts:
    found = TaskCounts(task)
    found.submitted, found.done, found.seconds = submitted, done, seconds
    return found


def known(**seconds: float) -> History:
    history = History(lambda tasks: seconds)
    history.expect(seconds)
    history.close()
    return history


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    gauges = Gauges(memory=lambda: None, clock=clock)
    gauges.look([counts("a", 1000, done=0)])
    for _ in range(20):
        clock.now += 1
        gauges.look([counts("a", 1000, done=400)])

    clock.now += 1
    rate = gauges.look([counts("a", 1000, done=410)]).rate

    assert rate is not None
    assert 0.9 < rate < 1.1


def test_what_is_left_goes_by_earlier_runs_until_this_one_knows_better() -> None:
    clock = Clock()
    gauges = Gauges(known(a=10.0), lambda: None, clock, workers=2)

    first = gauges.look([counts("a", 8)]).left
    clock.now += 4
    later = gauges.look([counts("a", 8, done=4, seconds=8.0)]).left

    assert first == 8 * 10.0 / 2
    assert later == 4 * 2.0 / 2


def test_what_is_left_is_counted_down_and_never_below_nothing() -> None:
    clock = Clock()
    gauges = Gauges(known(a=10.0), lambda: None, clock, workers=4)

    assert gauges.look([counts("a", 1)]).left == 10.0
    clock.now += 6
    assert gauges.look([counts("a", 1)]).left == 4.0
    clock.now += 60
    assert gauges.look([counts("a", 1)]).left is None


def test_of_what_was_never_made_nothing_is_said() -> None:
    gauges = Gauges(known(), lambda: None, Clock())

    readings = gauges.look([counts("new", 5)])

    assert (readings.rate, readings.left, readings.memory) == (None, None, None)
    assert readings.words(format_bytes) == []


def test_history_is_asked_once_for_each_task_and_only_in_runs_that_last() -> None:
    asked: list[Sequence[str]] = []
    clock = Clock()

    def load(tasks: Sequence[str]) -> dict[str, float]:
        asked.append(tasks)
        return dict.fromkeys(tasks, 5.0)

    history = History(load)
    gauges = Gauges(history, lambda: None, clock)
    tasks = [counts("a", 5), counts("b", 5)]
    gauges.look(tasks)
    assert asked == []

    for _ in range(3):
        clock.now += 2
        gauges.look(tasks)
        history.close()

    assert asked == [["a", "b"]]


def test_records_that_cannot_be_read_cost_a_run_nothing() -> None:
    def load(tasks: Sequence[str]) -> dict[str, float]:
        raise OSError("gone")

    history = History(load)
    history.expect(["a"])
    history.close()

    assert history.seconds == {}


def test_who_draws_does_not_wait_for_the_records() -> None:
    allowed = threading.Event()

    def load(tasks: Sequence[str]) -> dict[str, float]:
        allowed.wait(60)
        return {"a": 1.0}

    history = History(load)
    history.expect(["a"])
    history.expect(["b"])

    assert history.seconds == {}
    allowed.set()
    history.close()
    assert history.seconds == {"a": 1.0}


def test_memory_is_that_of_this_process_and_those_below() -> None:
    used = memory_used()

    assert used is not None
    assert used > 10_000_000


def test_the_line_in_a_pipe_has_all_of_it() -> None:
    clock = Clock()
    gauges = Gauges(known(**{"flow.step": 60.0}), lambda: 250_000_000, clock, workers=1)
    progress = PlainProgress(io.StringIO(), clock=clock, gauges=gauges)
    progress.counts._of("flow.step").submitted = 10
    progress.line()
    clock.now += 10
    progress.counts._of("flow.step").done = 5
    progress.counts._of("flow.step").seconds = 10 * 60.0

    assert progress.line() == (
        "10.0 s: 5 running, 5 done, 0 cached, 0 failed, 30/min, about 2 min left, 250.0 MB"
    )


def drawn(width: int, task: str) -> list[str]:
    shown = Counts()
    shown.root = "flow.main"
    one = shown._of(task)
    one.submitted, one.done, one.seconds = 1_200_000, 1_000_000, 7_500.0
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False)
    console.print(draw_table(shown, said=["30/min", "about 10 s left"], width=width))
    return [each.rstrip() for each in stream.getvalue().splitlines()]


def test_on_80_columns_names_are_cut_and_numbers_are_not() -> None:
    lines = drawn(80, "flow.a_task_with_quite_a_long_name")

    assert lines[0].split() == ["task", "running", "done", "cached", "failed", "time"]
    assert "200,000" in lines[2]
    assert "1,000,000" in lines[2]
    assert lines[2].endswith("2 h 5 min")
    assert lines[2].startswith("flow.a_task")
    assert lines[3].endswith("30/min  about 10 s left")
    assert max(map(len, lines)) <= 80


def test_on_200_columns_there_is_room_for_all() -> None:
    lines = drawn(200, "flow.a_task_with_quite_a_long_name")

    assert "flow.a_task_with_quite_a_long_name" in lines[2]
    assert "━" * 20 in lines[2]


def test_rates_and_times_are_for_people() -> None:
    assert [format_rate(each) for each in (1234.5, 2.5, 0.2, 0.001)] == [
        "1,234/s",
        "2.5/s",
        "12/min",
        "4/h",
    ]
    assert [about(each) for each in (3.2, 41, 61, 7300, 3600)] == [
        "4 s",
        "45 s",
        "2 min",
        "2 h 5 min",
        "1 h",
    ]
