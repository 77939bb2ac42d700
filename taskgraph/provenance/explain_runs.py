"""From what a person names to its explanation: a job, a call, a task, a file, an execution.

Each answer reads a number of rows and runs a number of statements that do not grow with the
history; of an execution that ran more calls than `MOST_MISSES`, the first ones are explained.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from taskgraph.errors import NoCallError, UnknownRecordError
from taskgraph.events import JobMissed, WeighedCall
from taskgraph.provenance.explain import (
    AnyExplanation,
    Cause,
    Change,
    ChangeKind,
    CodeExplanation,
    ExecutionExplanation,
    ExplainedJob,
    Explanation,
    MadeBy,
    RootCause,
    TaskRuns,
    Verdict,
)
from taskgraph.provenance.explain_calls import (
    MOST_CALLS,
    Explainer,
    Given,
    LivePart,
    Question,
    name_of,
)
from taskgraph.provenance.explain_code import explain_code
from taskgraph.provenance.explain_words import SWITCHED_OFF, brief
from taskgraph.provenance.rows import ExecutionRow, GiverRow, HistoryReader, PastJobRow
from taskgraph.tasks.task import Task
from taskgraph.values.preview import preview

#: How many calls of one execution are explained.
MOST_MISSES: Final = 200
#: What the engine notes with a job that uses a result of earlier code.
EARLIER: Final = "EARLIER"
_MOST_BELOW: Final = 50
_MOST_ROOTS_BELOW: Final = 5
_MOST_GIVERS: Final = 2_000
_MOST_JOB_IDS: Final = 3
_OF_ONE_TASK: Final = frozenset(
    {
        ChangeKind.ARGUMENT,
        ChangeKind.SCOPE,
        ChangeKind.VERSION,
        ChangeKind.INCLUDE,
        ChangeKind.OPTION,
    }
)
# Scheduler tasks of the library that may stand between a call and its caller.
_MOST_LEVELS: Final = 5


def explain_found(reader: HistoryReader, found: Any, name: str) -> AnyExplanation:
    """Return the explanation of what a reader found.

    Args:
        reader: Where it was found.
        found: A row, or a file with a job and the part that it played there. Any: which kind of
            row it is is what this function finds out.
        name: What a person called it, for the error.

    Raises:
        NoCallError: It is a record that no call is behind.
    """
    if isinstance(found, tuple):
        return explain_job(reader, found[1].id)
    match type(found).__name__:
        case "Execution":
            return explain_execution(reader, found)
        case "Job":
            return explain_job(reader, found.id)
        case "Task":
            return explain_task(reader, found.fullname)
        case "CallNode":
            jobs = reader.jobs_of_call(found.call_hash, 1)
        case "Value" | "File":
            makers = reader.makers(found.value_hash, 1)
            jobs = reader.jobs_of_call(makers[0].call_hash, 1) if makers else []
        case _:
            jobs = []
    if not jobs:
        raise NoCallError(name)
    return explain_job(reader, jobs[0].id)


def explain_task(reader: HistoryReader, fullname: str) -> Explanation:
    """Explain the newest job of a task; of its newest execution, the first that ran.

    Raises:
        UnknownRecordError: It was never called.
    """
    job = reader.newest_job(fullname, MOST_CALLS)
    if job is None:
        raise UnknownRecordError(fullname)
    return _explain_jobs(reader, [job])[0]


def explain_job(reader: HistoryReader, job_id: str) -> Explanation:
    """Explain one job.

    Raises:
        UnknownRecordError: There is none with this id.
    """
    job = reader.past_jobs([job_id]).get(job_id)
    if job is None:
        raise UnknownRecordError(job_id)
    return _explain_jobs(reader, [job])[0]


def _explain_jobs(reader: HistoryReader, jobs: Sequence[PastJobRow]) -> list[Explanation]:
    """Explain jobs of one execution."""
    missed = [job for job in jobs if not job.cached]
    explained = dict(zip((job.id for job in missed), _explain_missed(reader, missed), strict=True))
    return [
        _explain_hit(reader, job) if job.cached else _with_children(reader, job, explained[job.id])
        for job in jobs
    ]


def _explain_missed(reader: HistoryReader, jobs: Sequence[PastJobRow]) -> list[Explanation]:
    if not jobs:
        return []
    execution_id = jobs[0].execution_id
    started = reader.started(execution_id) or jobs[0].start_time
    explainer = Explainer(reader, started, execution_id)
    return explainer.explain(questions_of(reader, jobs))


# Questions from records


def questions_of(reader: HistoryReader, jobs: Sequence[PastJobRow]) -> list[Question]:
    """Return what is to be explained of jobs of one execution."""
    callers = _callers(reader, jobs)
    calls = [job.call_hash for job in (*jobs, *callers.values()) if job.call_hash is not None]
    arguments = {
        call_hash: tuple(Given(each.position, each.key, each.value_hash) for each in given)
        for call_hash, given in reader.arguments_of(calls).items()
    }
    givers = reader.givers_of(
        [job.call_hash for job in jobs if job.call_hash is not None],
        jobs[0].execution_id,
        _MOST_GIVERS,
    )
    orders = reader.orders_in(
        [
            (caller.call_hash, job.call_hash)
            for job in jobs
            if job.call_hash is not None
            and (caller := callers.get(job.id)) is not None
            and caller.call_hash is not None
        ]
    )
    asked_callers = {job.id: _question(job, arguments) for job in callers.values()}
    questions = []
    for job in jobs:
        caller = callers.get(job.id)
        order = None
        if caller is not None and caller.call_hash is not None and job.call_hash is not None:
            order = orders.get((caller.call_hash, job.call_hash))
        questions.append(
            _question(
                job,
                arguments,
                caller=None if caller is None else asked_callers[caller.id],
                called_by=None if caller is None else _cause("called", caller),
                order=order,
                givers=_by_argument(givers.get(job.call_hash or "", ())),
            )
        )
    return questions


def _callers(reader: HistoryReader, jobs: Sequence[PastJobRow]) -> dict[str, PastJobRow]:
    """Return the caller of each job that has one: the nearest that is no task of the library.

    Those (``cond``, the root of an expression) are stepped through in each run and write nothing
    down by themselves.
    """
    callers: dict[str, PastJobRow] = {}
    waiting = {job.id: job for job in jobs}
    for _ in range(_MOST_LEVELS):
        ids = [each.parent_id for each in waiting.values() if each.parent_id is not None]
        above = reader.past_jobs(ids)
        found = {
            key: above[each.parent_id]
            for key, each in waiting.items()
            if each.parent_id is not None and each.parent_id in above
        }
        callers |= {key: each for key, each in found.items() if not _is_internal(each)}
        waiting = {key: each for key, each in found.items() if _is_internal(each)}
        if not waiting:
            break
    return callers


def _is_internal(job: PastJobRow) -> bool:
    return job.task_name.startswith("taskgraph.")


def _question(job: PastJobRow, arguments: Mapping[str, tuple[Given, ...]], **more: Any) -> Question:
    reason, detail = read_miss(job.miss)
    return Question(
        job.task_name,
        job.task_hash,
        job.eval_hash,
        job.args_hash,
        arguments.get(job.call_hash or ""),
        explained_job(job),
        reason,
        detail,
        **more,
    )


def read_miss(note: str | None) -> tuple[str, str]:
    """Return the name of the reason and its detail, as they are recorded with a job."""
    if note is None:
        return "", ""
    fields = json.loads(note)
    return str(fields.get("reason", "")), str(fields.get("detail", ""))


def explained_job(job: PastJobRow) -> ExplainedJob:
    """Return what is shown of a job."""
    return ExplainedJob(job.id, job.execution_id, job.state, job.start_time, _seconds(job))


def _seconds(job: PastJobRow) -> float | None:
    return None if job.end_time is None else (job.end_time - job.start_time).total_seconds()


def _cause(relation: str, job: PastJobRow) -> Cause:
    return Cause(relation, job.task_name, job.id, not job.cached)


def _by_argument(givers: Iterable[GiverRow]) -> dict[str, list[Cause]]:
    found: dict[str, list[Cause]] = {}
    for each in givers:
        cause = Cause("gave", each.task_name, each.job_id, not each.cached)
        found.setdefault(name_of(Given(each.position, each.key, "")), []).append(cause)
    return found


# Questions about calls that run now, or would


def question_of_miss(event: JobMissed, job: ExplainedJob | None) -> Question:
    """Return what is to be explained of a call that is about to run.

    Args:
        event: What the engine told of it.
        job: The job that it will be recorded as; None if it is only asked about.
    """
    reason, detail = read_miss(event.miss)
    called_by = None
    if event.caller is not None:
        caller = event.caller
        called_by = Cause("called", caller.task.fullname, caller.job_id, event.caller_ran)
    question = _question_of(event.call, job)
    return replace(
        question,
        reason=reason,
        detail=detail,
        caller=None if event.caller is None else _question_of(event.caller, None),
        called_by=called_by,
        order=event.order,
        made=event.made,
    )


def _question_of(call: WeighedCall, job: ExplainedJob | None) -> Question:
    return Question(
        call.task.fullname,
        call.task_hash,
        call.eval_hash,
        call.args_hash,
        tuple(Given(each.position, each.key, each.value_hash) for each in call.arguments),
        job,
        givers={
            name_of(Given(each.position, each.key, "")): [
                Cause("gave", giver.task, giver.job_id, giver.ran) for giver in each.given_by
            ]
            for each in call.arguments
        },
        values={each.value_hash: each.value for each in call.arguments},
        parts=tuple(LivePart(*part) for part in call.task.parts_of(call.task_hash)),
    )


def explain_asked(reader: HistoryReader, event: JobMissed, is_hit: bool) -> Explanation:
    """Explain what would become of a call now.

    Args:
        reader: Where to look.
        event: What the engine told of the call.
        is_hit: Whether a recorded result would be used.
    """
    now = datetime.now(UTC)
    question = question_of_miss(event, None)
    if not is_hit:
        return Explainer(reader, now).explain([question])[0]
    return Explanation(
        question.task,
        question.task_hash,
        Verdict.HIT,
        tuple(
            (name_of(given), preview(question.values[given.value_hash]))
            for given in question.given or ()
        ),
        made_by=_made_by(reader, question.eval_hash, now),
        earlier=_earlier_of(event.miss),
    )


# Calls that did not run, and what ran below calls


def _explain_hit(reader: HistoryReader, job: PastJobRow) -> Explanation:
    given = reader.arguments_of([job.call_hash]).get(job.call_hash, ()) if job.call_hash else ()
    values = reader.values_of([each.value_hash for each in given])
    below = _below(reader, job)
    return Explanation(
        job.task_name,
        job.task_hash,
        Verdict.HIT,
        tuple((name_of(each), values[each.value_hash].preview) for each in given),
        explained_job(job),
        changes=below[:_MOST_ROOTS_BELOW],
        is_cut=len(below) > _MOST_ROOTS_BELOW,
        made_by=_made_by(reader, job.eval_hash, job.start_time),
        earlier=_earlier_of(job.miss),
    )


def _earlier_of(note: str | None) -> str | None:
    """Return who says that the result of earlier code counts, where such a one was used."""
    reason, detail = read_miss(note)
    return detail if reason == EARLIER else None


def _made_by(reader: HistoryReader, eval_hash: str | None, until: datetime) -> MadeBy | None:
    maker = None if eval_hash is None else reader.jobs_that_ran(eval_hash, until)
    if maker is None:
        return None
    source = reader.sources_of([maker.task_hash]).get(maker.task_hash, "")
    return MadeBy(
        maker.id, maker.execution_id, maker.start_time, _seconds(maker), maker.task_hash, source
    )


def _with_children(reader: HistoryReader, job: PastJobRow, explained: Explanation) -> Explanation:
    """Add what ran below a call that is stepped through in every run."""
    if not explained.changes or explained.changes[0].kind is not ChangeKind.STEPPED:
        return explained
    below = _below(reader, job)[:_MOST_ROOTS_BELOW]
    return replace(explained, changes=(*below, *explained.changes))


def _below(reader: HistoryReader, job: PastJobRow) -> tuple[Change, ...]:
    """Return the calls below a job that ran for a reason of their own."""
    missed = reader.missed_below(job.id, _MOST_BELOW)
    explained = _explain_missed(reader, missed)
    roots = [
        (each, why)
        for each, why in zip(missed, explained, strict=True)
        if why.is_root and why.changes[0].kind is not ChangeKind.STEPPED
    ]
    return tuple(
        Change(
            ChangeKind.CHILD,
            each.task_name,
            detail=brief(why.changes[0]),
            causes=(_cause("below", each),),
        )
        for each, why in roots
    )


# Executions


def explain_execution(reader: HistoryReader, row: ExecutionRow) -> ExecutionExplanation:
    """Explain why calls of an execution ran: what changed, and what followed from that."""
    every = reader.job_counts(row.id)
    counts = {task: each for task, each in every.items() if not task.startswith("taskgraph.")}
    cached = sum(each.get("CACHED", 0) for each in counts.values())
    total = sum(sum(each.values()) for each in counts.values())
    missed = reader.missed_jobs(row.id, MOST_MISSES)
    explained = _explain_missed(reader, missed)
    # A scheduler task below which nothing ran is counted as cached, and is no news else.
    told = [each for each in explained if each.changes[0].kind is not ChangeKind.STEPPED]
    return ExecutionExplanation(
        row.id,
        next(iter(counts), row.entrypoint or None),
        ran=total - cached,
        cached=cached,
        explained=len(explained),
        causes=tuple(_root_causes(told)),
        status=row.status,
        message=row.message,
    )


# What tells a change from others in one execution.
_Key = tuple[ChangeKind, str, str]


def _root_causes(explained: Sequence[Explanation]) -> list[RootCause]:
    """Group calls by what made them run."""
    roots: dict[str, tuple[_Key, ...]] = {}
    changes: dict[tuple[_Key, ...], tuple[Change, ...]] = {}
    ran: dict[tuple[_Key, ...], list[Explanation]] = {}
    followed: dict[tuple[_Key, ...], list[Explanation]] = {}
    for each in explained:
        assert each.job is not None
        own = tuple(change for change in each.changes if change.is_own)
        if own:
            keys = tuple(dict.fromkeys(_key(each.task, change) for change in own))
            changes.setdefault(keys, own)
            ran.setdefault(keys, []).append(each)
            roots[each.job.id] = keys
            continue
        causes = [cause for change in each.changes for cause in change.causes if cause.ran]
        found = next((roots[cause.job_id] for cause in causes if cause.job_id in roots), None)
        if found is not None:
            roots[each.job.id] = found
            followed.setdefault(found, []).append(each)
    grouped = [
        RootCause(own, _by_task(ran[keys]), _by_task(followed.get(keys, [])))
        for keys, own in changes.items()
    ]
    return sorted(grouped, key=_weight, reverse=True)


def _key(task: str, change: Change) -> _Key:
    if change.detail == SWITCHED_OFF:
        return change.kind, change.detail, ""
    # What belongs to no task alone (a helper, a file, a package) is one cause for all of them.
    return change.kind, change.name, task if change.kind in _OF_ONE_TASK else ""


def _by_task(explained: Iterable[Explanation]) -> tuple[TaskRuns, ...]:
    ids: dict[str, list[str]] = {}
    for each in explained:
        assert each.job is not None
        ids.setdefault(each.task, []).append(each.job.id)
    return tuple(
        TaskRuns(task, len(jobs), tuple(jobs[:_MOST_JOB_IDS])) for task, jobs in ids.items()
    )


def _weight(cause: RootCause) -> int:
    return sum(each.count for each in (*cause.tasks, *cause.followed))


# Code


def explain_recorded_code(reader: HistoryReader, fullname: str) -> CodeExplanation:
    """Return all that counts of the newest recorded code of a task.

    Raises:
        UnknownRecordError: No task of this name is recorded.
    """
    versions = reader.task_versions(fullname, 1)
    if not versions:
        raise UnknownRecordError(fullname)
    task_hash = versions[0]
    parts = reader.parts_of([task_hash])[task_hash]
    texts = reader.texts_of_parts([each.part_hash for each in parts])
    return explain_code(
        fullname,
        task_hash,
        reader.sources_of([task_hash]).get(task_hash, ""),
        [(each.kind, each.name, texts[each.part_hash]) for each in parts],
    )


def explain_current_code(task: Task[..., Any]) -> CodeExplanation:
    """Return all that counts of a task's code as it is now."""
    parts = [(each.kind, each.name, each.source) for each in task.parts]
    return explain_code(task.fullname, task.hash, task.source, parts)


__all__ = [
    "MOST_MISSES",
    "explain_asked",
    "explain_current_code",
    "explain_execution",
    "explain_found",
    "explain_job",
    "explain_recorded_code",
    "explain_task",
    "question_of_miss",
    "questions_of",
    "read_miss",
]
