"""Progress of a run on stderr: a live table on a terminal, a line now and then in a pipe.

Being told costs a count and nothing else: drawing is done by a thread of its own, a few times a
second at most, so that a hundred thousand events a second do not slow a run down.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

from taskgraph.cli.above import Streams
from taskgraph.durations import so_far
from taskgraph.events import (
    CacheEntryRefused,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    FilesRead,
    JobCached,
    JobDone,
    JobFailed,
    JobMissed,
    JobRetried,
    JobsSubmitted,
    JobWaits,
    ResultNotKept,
    ResultUnstored,
    RunStopping,
    Warned,
)
from taskgraph.provenance.page import Block, clean, clean_text, plain_text, print_on
from taskgraph.records import State

if TYPE_CHECKING:
    # rich takes 60 ms to import: for a terminal only.
    from rich.console import Console, RenderableType
    from rich.text import Text

    from taskgraph.cli.gauges import Gauges

_FRAMES_PER_SECOND: Final = 8
_MOST_ROWS: Final = 20
_BAR_WIDTH: Final = 24  # half of that on a terminal that is not wide
_WIDE: Final = 100
_GAP: Final = 3  # between two columns
_TINY: Final = 50  # below that there is none for what was cached either
_LEAST_WIDTH: Final = 72  # of a terminal with room for bars and times
_MOST_MESSAGES: Final = 5


class TaskCounts:
    """How many calls of a task are where."""

    __slots__ = ("cached", "done", "failed", "seconds", "submitted", "task")

    def __init__(self, task: str) -> None:
        self.task = task
        self.submitted = 0
        self.cached = 0
        self.done = 0
        self.failed = 0
        self.seconds = 0.0

    @property
    def running(self) -> int:
        """Calls that were handed out and are not settled; those that wait for others count."""
        return max(0, self.submitted - self.done - self.failed)


class Counts:
    """What a run has come to so far: an observer that only counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tasks: dict[str, TaskCounts] = {}
        self.messages: list[str] = []
        self._told: Final[dict[type, Callable[[Any], None]]] = {
            JobsSubmitted: self._submitted,
            JobCached: self._cached,
            JobDone: self._done,
            JobFailed: self._failed,
            JobRetried: self._retried,
            JobWaits: self._waits,
            FilesRead: self._files_read,
            ExecutionStarted: self._started,
            ExecutionEnded: self._ended,
            Warned: self._warned,
            RunStopping: self._stopping,
            ResultUnstored: self._unstored,
            ResultNotKept: self._not_kept,
            CacheEntryRefused: self._refused,
            JobMissed: _skip,
        }
        self.root = ""
        self.began = clock()
        self.bytes_done = 0
        self.bytes_total = 0
        self.ended: ExecutionEnded | None = None

    def notify(self, event: Event) -> None:
        """Count an event."""
        self._told[type(event)](event)

    @property
    def seconds(self) -> float:
        """How long the run takes so far, or took."""
        return self.ended.seconds if self.ended else self._clock() - self.began

    def tasks(self) -> list[TaskCounts]:
        """Return the counts of each task, in the order in which they were first met."""
        # One step under the interpreter's lock: the scheduler may add tasks meanwhile.
        return list(self._tasks.values())

    def total(self) -> TaskCounts:
        """Return the counts of all tasks together."""
        total = TaskCounts("total")
        for each in self.tasks():
            total.submitted += each.submitted
            total.cached += each.cached
            total.done += each.done
            total.failed += each.failed
            total.seconds += each.seconds
        return total

    def summary(self) -> str:
        """Return the run in one line."""
        total = self.total()
        jobs = total.done + total.cached + total.failed
        parts = f"{total.done:,} done, {total.cached:,} cached, {total.failed:,} failed"
        if total.running:
            parts += f", {total.running:,} unfinished"
            jobs += total.running
        noun = "job" if jobs == 1 else "jobs"
        return f"{jobs:,} {noun}: {parts} in {so_far(self.seconds)}"

    def _of(self, task: str) -> TaskCounts:
        found = self._tasks.get(task)
        if found is None:
            found = self._tasks[task] = TaskCounts(task)
        return found

    def _submitted(self, event: JobsSubmitted) -> None:
        for task in event.tasks:
            self._of(task).submitted += 1

    def _cached(self, event: JobCached) -> None:
        self._of(event.task).cached += 1

    def _done(self, event: JobDone) -> None:
        counts = self._of(event.task)
        counts.done += 1
        counts.seconds += event.seconds

    def _failed(self, event: JobFailed) -> None:
        self._of(event.task).failed += 1

    def _retried(self, event: JobRetried) -> None:
        when = f"in {event.seconds:.3g} s" if event.seconds else "at once"
        error = clean(event.error.partition("\n")[0])
        self.messages.append(
            f"{event.task} failed (attempt {event.attempt}) and is tried again {when}: {error}"
        )

    def _waits(self, event: JobWaits) -> None:
        message = clean_text(f"Now {event.text}")
        if message not in self.messages:  # a thousand calls may wait for one process
            self.messages.append(message)

    def _files_read(self, event: FilesRead) -> None:
        self.bytes_done, self.bytes_total = event.bytes_done, event.bytes_total

    def _started(self, event: ExecutionStarted) -> None:
        self.root = event.task
        self.began = self._clock()

    def _ended(self, event: ExecutionEnded) -> None:
        self.ended = event

    def _warned(self, event: Warned) -> None:
        self.messages.append(clean_text(event.message))

    def _stopping(self, event: RunStopping) -> None:
        self.messages.append(event.text)

    def _unstored(self, event: ResultUnstored) -> None:
        self.messages.append(f"The result of {event.task} was not stored: {clean(event.reason)}")

    def _not_kept(self, event: ResultNotKept) -> None:
        message = f"The result of {event.task} is not used again: {clean(event.reason)}"
        if message not in self.messages:  # one variable is enough for thousands of calls
            self.messages.append(message)

    def _refused(self, event: CacheEntryRefused) -> None:
        self.messages.append(f"A stored result of {event.task} was not used: {clean(event.reason)}")


def _skip(event: JobMissed) -> None:
    """Count nothing: it is told again when it is submitted."""


class Progress(Protocol):
    """An observer that shows what it is told."""

    def notify(self, event: Event) -> None:
        """Take note of an event."""
        ...

    def show(self, blocks: Sequence[Block]) -> None:
        """Show something besides the progress, at once."""
        ...

    def close(self, *, summary: bool = True) -> None:
        """Stop drawing and write the summary. A second call does nothing."""
        ...


class PlainProgress:
    """Lines for a log: one at the start, one in each interval, and the counts at the end.

    Args:
        stream: Where to write.
        interval: Seconds between two lines.
        clock: Tells the time in seconds.
        gauges: Tells what there is to say besides counts.
    """

    def __init__(
        self,
        stream: TextIO,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        gauges: Gauges | None = None,
    ) -> None:
        self.counts = Counts(clock)
        self._gauges = gauges
        self._stream = stream
        self._interval = interval
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._messages_written = 0

    def notify(self, event: Event) -> None:
        """Count an event; the first one of a run starts the lines."""
        self.counts.notify(event)
        if type(event) in {RunStopping, JobWaits}:
            self._write(self._new_messages())
        if type(event) is ExecutionStarted:
            self._write([f"Running {event.task} ({event.execution_id[:8]})"])
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._write_now_and_then, name="taskgraph-progress", daemon=True
                )
                self._thread.start()

    def show(self, blocks: Sequence[Block]) -> None:
        """Write something besides the counts, at once."""
        self._write(plain_text(blocks).splitlines())

    def close(self, *, summary: bool = True) -> None:
        """Write the counts of each task, and the summary."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        if self._gauges is not None:
            self._gauges.close()
        self._write(self._new_messages())
        if summary:
            if len(self.counts.tasks()) > 1:
                self._write(self.table())
            self._write([self.counts.summary()])

    def line(self) -> str:
        """Return how things stand in one line."""
        total = self.counts.total()
        text = (
            f"{so_far(self.counts.seconds)}: {total.running:,} running, "
            f"{total.done:,} done, {total.cached:,} cached, {total.failed:,} failed"
        )
        if self.counts.bytes_done < self.counts.bytes_total:
            text += f", reading files: {_of_bytes(self.counts)}"
        if self._gauges is not None:
            said = self._gauges.look(self.counts.tasks()).words(format_bytes)
            text = ", ".join([text, *said])
        return text

    def table(self) -> list[str]:
        """Return the counts of each task, aligned."""
        rows: list[tuple[str, ...]] = [("task", "done", "cached", "failed", "time")]
        for each in _busiest(self.counts.tasks()):
            numbers = (f"{each.done:,}", f"{each.cached:,}", f"{each.failed:,}")
            rows.append((each.task, *numbers, so_far(each.seconds)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
        hidden = len(self.counts.tasks()) - _MOST_ROWS
        if hidden > 0:
            lines.append(f"and {hidden} more tasks")
        return lines

    def _new_messages(self) -> list[str]:
        new = self.counts.messages[self._messages_written :]
        self._messages_written += len(new)
        return new

    def _write_now_and_then(self) -> None:
        while not self._closed.wait(self._interval):
            self._write([*self._new_messages(), self.line()])

    def _write(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads stderr any more: the run is worth more than its progress.
            self._closed.set()


class LiveProgress:
    """A table on a terminal that is drawn anew several times a second.

    Args:
        console: The terminal.
        redirect_stdout: Whether to put what tasks print above the table: where stdout is the same
            terminal.
        gauges: Tells what there is to say besides counts.
    """

    def __init__(
        self, console: Console, *, redirect_stdout: bool = False, gauges: Gauges | None = None
    ) -> None:
        from rich.live import Live

        self.counts = Counts()
        self._console = console
        self._gauges = gauges
        self._closed = False
        self._live = Live(
            get_renderable=self.table,
            console=console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._streams = Streams(self._live, console, with_stdout=redirect_stdout)
        self._live.start(refresh=False)
        self._streams.begin()

    def notify(self, event: Event) -> None:
        """Count an event."""
        self.counts.notify(event)

    def show(self, blocks: Sequence[Block]) -> None:
        """Draw something above the table."""
        with self._live._lock:  # as of `Above`
            print_on(self._console, blocks)

    def close(self, *, summary: bool = True) -> None:
        """Draw the table for the last time, and the summary below it."""
        if self._closed:
            return
        self._closed = True
        self._streams.end()
        # A table of one row says no more than the summary.
        self._live.transient = not summary or len(self.counts.tasks()) <= 1
        self._live.stop()
        if self._gauges is not None:
            self._gauges.close()
        if self._live.transient:
            for message in self.counts.messages:
                self._console.print(_styled_message(message))
        if summary:
            self._console.print(_styled_summary(self.counts))

    def table(self) -> RenderableType:
        """Return what is drawn now."""
        said: Sequence[str] = ()
        if self._gauges is not None and self.counts.ended is None:
            said = self._gauges.look(self.counts.tasks()).words(format_bytes)
        width = self._console.width
        return draw_table(self.counts, is_narrow=width < _LEAST_WIDTH, said=said, width=width)


def draw_table(
    counts: Counts,
    *,
    is_narrow: bool = False,
    said: Sequence[str] = (),
    width: int = 100,
) -> RenderableType:
    """Return the live table: a row for each task, and a line for the files that are read.

    Args:
        counts: What is shown.
        is_narrow: Whether there is no room for bars and times.
        said: What there is to say besides counts.
        width: Of the terminal; what does not fit is cut from the names, never from the numbers.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [
        _styled_message(message) for message in counts.messages[-_MOST_MESSAGES:]
    ]
    tasks = counts.tasks()
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="dim",
        padding=(0, 1),
    )
    places: tuple[int, ...] = (0, 1, 2, 3) if is_narrow else (0, 1, 2, 3, 4)
    if width < _TINY:  # a number that is cut is worse than none
        places = (0, 1, 3)
    # What has no end when the run has one was stopped, and runs no more.
    is_stopped = counts.ended is not None and any(each.running for each in tasks)
    first = "unfinished" if is_stopped and not is_narrow else "running"
    columns = [(first, "done", "cached", "failed", "time")[each] for each in places]
    bar_width = 0 if is_narrow else _BAR_WIDTH if width >= _WIDE else _BAR_WIDTH // 2
    shown = [(each, [_numbers(each)[place] for place in places]) for each in _busiest(tasks)]
    widths = [
        max([len(column), *(len(numbers[place]) for _, numbers in shown)])
        for place, column in enumerate(columns)
    ]
    room = width - sum(widths) - bar_width - _GAP * (len(columns) + 1)
    table.add_column("task", no_wrap=True, overflow="ellipsis", max_width=min(48, max(8, room)))
    if not is_narrow:
        table.add_column("", no_wrap=True, width=bar_width)
    for column, needed in zip(columns, widths, strict=True):
        table.add_column(column, justify="right", no_wrap=True, width=needed)
    for each, numbers in shown:
        bar = () if is_narrow else (_bar(each, bar_width),)
        table.add_row(Text(each.task), *bar, *numbers)
    if len(tasks) > _MOST_ROWS:
        table.add_row(Text(f"and {len(tasks) - _MOST_ROWS} more tasks", style="dim"))
    if tasks:
        parts.append(table)
    state = Text.assemble((counts.root or "starting", "bold"), "  ")
    state.append(so_far(counts.seconds), style="dim")
    if counts.bytes_done < counts.bytes_total:
        state.append(f"  reading files: {_of_bytes(counts)}", style="cyan")
    for words in said:
        state.append(f"  {words}", style="dim")
    if counts.ended is None:
        parts.append(state)
    return Group(*parts)


def _numbers(counts: TaskCounts) -> list[Text]:
    from rich.text import Text

    def number(count: int, style: str) -> Text:
        return Text(f"{count:,}" if count else "·", style=style if count else "dim")

    return [
        number(counts.running, "yellow"),
        number(counts.done, "green"),
        number(counts.cached, "cyan"),
        number(counts.failed, "bold red"),
        Text(so_far(counts.seconds) if counts.done else "·", style="dim"),
    ]


def _bar(counts: TaskCounts, width: int) -> RenderableType:
    """Return a bar of what is settled, in the colours of the columns."""
    from rich.text import Text

    parts = (
        (counts.cached, "cyan", "━"),
        (counts.done, "green", "━"),
        (counts.failed, "red", "━"),
        (counts.running, "dim", "─"),
    )
    whole = sum(count for count, _, _ in parts) or 1
    bar = Text()
    filled = 0
    seen = 0
    for count, style, mark in parts:
        seen += count
        until = round(seen * width / whole)
        # What is there at all is seen, if only as one mark: a single failure above all.
        until = min(width, max(until, filled + (1 if count else 0)))
        bar.append(mark * (until - filled), style=style)
        filled = until
    return bar


def _busiest(tasks: list[TaskCounts]) -> list[TaskCounts]:
    """Return the tasks to show: all of them, or those with failures and most calls, in order."""
    if len(tasks) <= _MOST_ROWS:
        return tasks
    by_weight = sorted(
        tasks,
        key=lambda each: (each.failed > 0, each.running > 0, each.submitted + each.cached),
        reverse=True,
    )
    chosen = {id(each) for each in by_weight[:_MOST_ROWS]}
    return [each for each in tasks if id(each) in chosen]


def _styled_message(message: str) -> RenderableType:
    from rich.text import Text

    return Text.assemble(("! ", "yellow"), message)


def _styled_summary(counts: Counts) -> RenderableType:
    from rich.text import Text

    is_good = counts.ended is not None and counts.ended.state is State.COMPLETED
    mark, style = ("✓", "green") if is_good else ("✗", "red")
    return Text.assemble((f"{mark} ", style), counts.summary())


def format_bytes(size: float) -> str:
    """Return a size for people: ``512 B``, ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _of_bytes(counts: Counts) -> str:
    return f"{format_bytes(counts.bytes_done)} of {format_bytes(counts.bytes_total)}"


def make_progress(
    interval: float = 10.0, stream: TextIO | None = None, gauges: Gauges | None = None
) -> Progress:
    """Return the progress that fits stderr: live on a terminal, lines elsewhere.

    Args:
        interval: Seconds between two lines, where it is no terminal.
        stream: Where to write; stderr by default.
        gauges: Tells what there is to say besides counts.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        return PlainProgress(stream, interval, gauges=gauges)
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        return PlainProgress(stream, interval, gauges=gauges)
    return LiveProgress(console, redirect_stdout=sys.stdout.isatty(), gauges=gauges)
