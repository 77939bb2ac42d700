"""What runs now, on this machine and on others, as the records say: a view, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from taskgraph.durations import so_far
from taskgraph.provenance.page import (
    Block,
    Column,
    Facts,
    Grid,
    Heading,
    Line,
    Note,
    Span,
    clean,
    line,
)
from taskgraph.provenance.render import short_id
from taskgraph.records import ALL_CALLS, CALLS_WANTED, execution_of_holder, shown_host
from taskgraph.tasks.names import BUILT_IN

#: Executions that crashed are shown for so long.
RECENT: Final = timedelta(hours=1)
#: How long a lease lives without a heartbeat.
_LEASE: Final = timedelta(seconds=30)
_MOST_EXECUTIONS: Final = 20
_MOST_JOBS: Final = 200
_MOST_TASKS: Final = 15
_MOST_SHOWN: Final = 10
_STATUSES: Final = ("PENDING", "RUNNING", "DONE", "CACHED", "FAILED")
_COLUMNS: Final = ("queued", "running", "done", "cached", "failed")


class TopReader(Protocol):
    """What is asked of the archive: six statements, whatever runs. Any: rows of its own."""

    def clock(self) -> datetime:
        """Return the time by which leases expire."""
        ...

    def watched(self, since: datetime, limit: int) -> Sequence[Any]:
        """Return the executions that run, newest first, and those that crashed since some time."""
        ...

    def counts_of(self, executions: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return how many jobs of executions are in which status, by task."""
        ...

    def open_jobs(self, executions: Sequence[str], limit: int) -> Sequence[Any]:
        """Return the jobs of executions that run and wait for no other one, longest first."""
        ...

    def leases(self) -> Sequence[Any]:
        """Return the leases that name executions, and who leads all calls or asks for some."""
        ...

    def led_calls(self) -> dict[str, int]:
        """Return how many calls each holder leads."""
        ...


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that was handed to an executor a while ago, and has not ended."""

    id: str
    task: str
    started: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class RunningExecution:
    """An execution that runs, or crashed lately.

    Attributes:
        id: Its id.
        task: The task of its root; None before that is recorded.
        state: ``RUNNING`` or ``CRASHED``.
        started: When it began.
        seconds: How long it has been going on; of one that crashed, until it was last heard of.
        host: Where it runs; None of one that crashed.
        pid: Its process there.
        heartbeat: So many seconds ago it was last heard of.
        counts: How many of its jobs are in which status, by task.
        jobs: Those that run and wait for no other one, longest first.
        leads_all: Whether it leads all calls, being the only one that asks for any.
        leads: How many calls it leads by name, for others that want the same.
        waits: Whether it waits until another one says which calls it leads.
    """

    id: str
    task: str | None
    state: str
    started: datetime
    seconds: float
    host: str | None
    pid: int | None
    heartbeat: float | None
    counts: dict[str, dict[str, int]]
    jobs: tuple[RunningJob, ...]
    leads_all: bool = False
    leads: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Top:
    """What runs at a moment of the database's clock."""

    time: datetime
    executions: tuple[RunningExecution, ...]

    def as_record(self) -> dict[str, Any]:
        """Return it as it is written as JSON."""
        return {"type": "top", **asdict(self)}


def look_at_top(reader: TopReader) -> Top:
    """Return what runs now."""
    now = reader.clock()
    executions = reader.watched(now - RECENT, _MOST_EXECUTIONS)
    if not executions:
        return Top(now, ())
    ids = [each.id for each in executions]
    counts = reader.counts_of(ids)
    jobs: dict[str, list[RunningJob]] = {}
    for each in reader.open_jobs(ids, _MOST_JOBS):
        age = max(0.0, (now - each.start_time).total_seconds())
        found = RunningJob(each.id, each.task.fullname, each.start_time, age)
        jobs.setdefault(each.execution_id, []).append(found)
    leases = {each.key: each for each in reader.leases()}
    leader, wisher = leases.get(ALL_CALLS), leases.get(CALLS_WANTED)
    led = reader.led_calls()
    views = []
    for each in executions:
        lease = leases.get(f"execution:{each.id}")
        is_running = each.state_type == "RUNNING"
        started = each.state_time if each.job is None else each.job.start_time
        end = now if is_running else each.state_time
        views.append(
            RunningExecution(
                each.id,
                None if each.job is None else each.job.task.fullname,
                each.state_type,
                started,
                max(0.0, (end - started).total_seconds()),
                None if lease is None else shown_host(lease.host),
                None if lease is None else lease.pid,
                None if lease is None else _age(now, lease.expires),
                counts[each.id],
                tuple(jobs.get(each.id, ())),
                leader is not None and execution_of_holder(leader.holder) == each.id,
                led.get(each.id, 0),
                wisher is not None and execution_of_holder(wisher.holder) == each.id,
            )
        )
    return Top(now, tuple(views))


def _age(now: datetime, expires: datetime) -> float:
    return max(0.0, (_LEASE - (expires - now)).total_seconds())


def top_page(top: Top) -> list[Block]:
    """Return what runs as a page."""
    running = sum(each.state == "RUNNING" for each in top.executions)
    noun = "execution" if running == 1 else "executions"
    at = f"{top.time.astimezone():%H:%M:%S}"
    blocks: list[Block] = [Heading(line(Span(f"{running} {noun} running", "strong"), f"  {at}"))]
    for each in top.executions:
        blocks += _execution(each)
    if not top.executions:
        blocks.append(Note(line(Span("Nothing runs. `taskgraph log` shows what ran.", "dim"))))
    return blocks


def _execution(each: RunningExecution) -> list[Block]:
    blocks: list[Block] = [Heading(_title(each))]
    facts = list(_facts(each))
    if facts:
        blocks.append(Facts(facts))
    if each.counts:
        blocks.append(_counts(each))
    if each.jobs:
        rows = [
            [
                line(short_id(job.id)),
                line(Span(clean(job.task), "task")),
                line(so_far(job.seconds)),
            ]
            for job in each.jobs[:_MOST_SHOWN]
        ]
        columns = [Column("job"), Column("task", may_shrink=True), Column("running for", True)]
        blocks.append(Grid(columns, rows))
        rest = len(each.jobs) - _MOST_SHOWN
        if rest > 0:
            blocks.append(Note(line(Span(f"and {rest} more", "dim"))))
    return blocks


def _title(each: RunningExecution) -> Line:
    mark = Span("● ", "running") if each.state == "RUNNING" else Span("✗ ", "failed")
    task = Span(clean(each.task or "(starting)"), "task")
    parts: list[str | Span | Line] = [mark, short_id(each.id), "  ", task, "  "]
    if each.state == "RUNNING":
        return line(*parts, f"for {so_far(each.seconds)}")
    return line(*parts, Span("crashed", "failed"), f" after {so_far(each.seconds)}")


def _facts(each: RunningExecution) -> list[tuple[str, Line]]:
    facts: list[tuple[str, Line]] = []
    if each.host is not None:
        heard = "" if each.heartbeat is None else f", heard of {so_far(each.heartbeat)} ago"
        facts.append(("on", line(f"{clean(each.host)}, pid {each.pid}{heard}")))
    elif each.state != "RUNNING":
        why = "its process ended without a word; what had finished is kept"
        facts.append(("", line(Span(why, "dim"))))
    if each.leads:
        facts.append(("calls", line(f"{each.leads:,} that others wait for if they want them")))
    if each.waits:
        facts.append(("waits", line("for another execution to say which calls it runs")))
    return facts


def _counts(each: RunningExecution) -> Grid:
    named = {
        task: counts
        for task, counts in each.counts.items()
        if task.rpartition(".")[0] != BUILT_IN or counts.get("RUNNING") or counts.get("PENDING")
    }
    busiest = sorted(
        named.items(),
        key=lambda pair: (pair[1].get("RUNNING", 0) > 0, sum(pair[1].values())),
        reverse=True,
    )[:_MOST_TASKS]
    rows = []
    for task, counts in busiest:
        numbers = [counts.get(status, 0) for status in _STATUSES]
        numbers[-1] += counts.get("CRASHED", 0) + counts.get("CANCELLED", 0)
        cells = [
            line(Span(f"{number:,}" if number else "·", word.lower() if number else "dim"))
            for number, word in zip(numbers, _STATUSES, strict=True)
        ]
        rows.append([line(Span(clean(task), "task")), *cells])
    columns = [
        Column("task", may_shrink=True),
        *(Column(word, is_right=True) for word in _COLUMNS),
    ]
    return Grid(columns, rows)
