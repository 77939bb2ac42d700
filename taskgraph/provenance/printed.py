"""What jobs printed: found beside the records, and shown as a page or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taskgraph.errors import OutputNotFoundError
from taskgraph.outputs.place import folder_of, jobs_in, segments_of
from taskgraph.outputs.reading import Output, OutputLine, read_output, seen_of
from taskgraph.provenance.page import Block, Heading, Line, Note, Span, clean_text, line
from taskgraph.provenance.render import short_id
from taskgraph.provenance.rows import JobRow, Reader

#: Of an execution, so many jobs are shown: those that began to print first.
_MOST_JOBS: Final = 200


class PrintedReader(Reader, Protocol):
    """What is asked of the archive."""

    def jobs_behind(self, job: Any, limit: int = 20) -> Sequence[JobRow]:
        """Return the jobs that ran the call of a job."""
        ...

    def jobs_named(self, ids: Sequence[str]) -> Sequence[JobRow]:
        """Return jobs by their ids."""
        ...


@dataclass(frozen=True, slots=True)
class Printed:
    """What a job printed.

    Attributes:
        job: The job that was asked about.
        execution: Its execution.
        task: The full name of its task.
        ran: The job that printed it: another one if this one is cached.
        ran_in: That job's execution.
        output: What was printed.
    """

    job: str
    execution: str
    task: str
    ran: str
    ran_in: str
    output: Output

    def as_record(self) -> dict[str, Any]:
        """Return it as it is written as JSON."""
        return {
            "type": "output",
            "job": self.job,
            "execution": self.execution,
            "task": self.task,
            "ran": self.ran,
            "ran_in": self.ran_in,
            "left_out": self.output.left_out,
            "lines": [each._asdict() for each in self.output.lines],
        }


def printed_by(
    reader: PrintedReader, found: Any, root: str | None, days: int, limit: int | None = None
) -> list[Printed]:
    """Return what a job, a call or the jobs of an execution printed.

    Args:
        reader: Where it was found.
        found: A row. Any: of whatever table.
        root: The folder with what calls print, if it is kept.
        days: How long it is kept.
        limit: Only so many lines, the last ones, of each job.

    Raises:
        OutputNotFoundError: There is none.
    """
    kind = type(found).__name__
    what = _name_of(kind, found)
    if root is None:
        raise OutputNotFoundError(what, "it is not kept. See [logs] folder in the settings.")
    if kind == "Execution":
        printed = list(_of_execution(reader, found.id, root))
    elif kind == "Job":
        printed = [each for each in [_of_job(reader, found, root)] if each is not None]
    elif kind == "CallNode":
        jobs = reader.jobs_of_call(found.call_hash, 1)
        printed = [each for job in jobs if (each := _of_job(reader, job, root)) is not None]
    else:
        raise OutputNotFoundError(what, "only jobs, calls and executions print anything.")
    if not printed:
        raise OutputNotFoundError(
            what,
            f"it printed nothing, or that was longer ago than {days} days, or on a machine with "
            f"a folder of its own. It would be in {folder_of(root, _folder_name(found))}",
        )
    return [_cut(each, limit) for each in printed]


def printed_page(printed: Sequence[Printed]) -> list[Block]:
    """Return what was printed as a page: line by line; of several jobs with a heading for each."""
    blocks: list[Block] = []
    for each in printed:
        if len(printed) > 1:
            blocks.append(Heading(line(short_id(each.ran), "  ", Span(each.task, "task"))))
        elif each.ran != each.job:
            text = f"Job {each.job[:8]} was cached. This was printed by job {each.ran[:8]}, "
            blocks.append(Note(line(Span(f"{text}which ran it:", "dim"))))
        blocks += map(Note, _lines(each.output))
    return blocks


def note_of_output(reader: PrintedReader, job: Any, root: str | None) -> list[Block]:
    """Return how what a job printed is shown, if anything of it is kept.

    Args:
        reader: The archive.
        job: The row of the job.
        root: Where output is kept, if it is.
    """
    if root is None:
        return []
    kept = bool(segments_of(folder_of(root, job.execution_id), job.id))
    if not kept and job.status == "CACHED":
        behind = reader.jobs_behind(job)
        kept = any(segments_of(folder_of(root, each.execution_id), each.id) for each in behind)
    if not kept:
        return []
    return [
        Note(line(Span("What it printed is kept: ", "dim"), f"taskgraph log {job.id[:8]} --output"))
    ]


def last_lines(root: str, execution_id: str, job_id: str, stream: str, count: int) -> list[str]:
    """Return the last lines that a job printed, as they may be shown; none if there are none."""
    try:
        output = read_output(folder_of(root, execution_id), job_id)
    except OSError:
        return []
    lines = [] if output is None else output.tail(count, stream)
    return [clean_text(each).expandtabs() for each in lines]


def _lines(output: Output) -> Iterator[Line]:
    for number, each in enumerate(output.lines):
        if output.left_out and number == output.left_out_after:
            yield line(Span(f"... {output.left_out:,} bytes were not kept ...", "dim"))
        yield line(clean_text(seen_of(each.text)).expandtabs())


def _cut(printed: Printed, limit: int | None) -> Printed:
    output = printed.output
    if limit is None or len(output.lines) <= limit:
        return printed
    kept: tuple[OutputLine, ...] = output.lines[-limit:]
    gap = output.left_out_after - (len(output.lines) - limit)
    cut = Output(kept, output.left_out if gap > 0 else 0, max(gap, 0))
    return Printed(printed.job, printed.execution, printed.task, printed.ran, printed.ran_in, cut)


def _of_job(reader: PrintedReader, job: JobRow, root: str) -> Printed | None:
    """Return what a job printed; of one that did not run, what the one printed that did."""
    output = read_output(folder_of(root, job.execution_id), job.id)
    ran = job
    if output is None and job.status == "CACHED":
        for ran in reader.jobs_behind(job):
            output = read_output(folder_of(root, ran.execution_id), ran.id)
            if output is not None:
                break
    if output is None:
        return None
    return Printed(job.id, job.execution_id, job.task.fullname, ran.id, ran.execution_id, output)


def _of_execution(reader: PrintedReader, execution_id: str, root: str) -> Iterator[Printed]:
    folder = folder_of(root, execution_id)
    found = {
        each.id: Printed(each.id, execution_id, each.task.fullname, each.id, execution_id, output)
        for each in reader.jobs_named(jobs_in(folder)[:_MOST_JOBS])
        if (output := read_output(folder, each.id)) is not None and output.lines
    }
    yield from sorted(found.values(), key=lambda each: (each.output.lines[0].time, each.job))


def _name_of(kind: str, found: Any) -> str:
    words = {"Execution": "execution", "Job": "job", "CallNode": "call"}
    names = (getattr(found, name, None) for name in ("id", "call_hash", "hash", "value_hash"))
    name = next((each for each in names if isinstance(each, str)), "")
    return f"{words.get(kind, kind.lower())} {name[:8]}".strip()


def _folder_name(found: Any) -> str:
    names = (getattr(found, name, None) for name in ("execution_id", "id"))
    return next((name for name in names if isinstance(name, str)), "")
