"""What a run is asked to do besides reducing its expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from taskgraph.engine.jobs import Job
from taskgraph.outputs.place import OutputPlace
from taskgraph.records import ExecutionId, HeldLeaseRecord, JobId, PackedValue, Submission
from taskgraph.tags import Tags
from taskgraph.tasks.context import NO_CONTEXT, Context
from taskgraph.tasks.options import NO_OPTIONS, POOLS, Options, merge_options

_NO_SUBMISSION = Submission()


@dataclass(frozen=True, slots=True)
class Below:
    """The job of a run that is recorded, and that more is added to.

    Attributes:
        job_id: The job.
        exported: The options that it hands to calls below.
    """

    job_id: JobId
    exported: Options


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is asked to do besides reducing its expression.

    `app` puts it together: what the settings say (`Parts`), what is asked of this run (`Running`),
    what is said of the execution (`app.submitting`), and last what is known when it begins.

    Attributes:
        execution_id: What it is recorded as.
        command_line: The command line to record, as a JSON list.
        use_cache: Whether results of earlier executions may be used.
        is_dry: Whether it ends before the first call would run.
        tells_misses: Whether observers are told of each call that is about to run, with all that is
            needed to explain why; it costs time.
        max_value_size: How many bytes a value that is stored may have.
        default_executor: Where calls run that ask for no executor.
        max_rerun: How many calls that were made before may be made again, or how long they may have
            taken; see `taskgraph.engine.budget`.
        options: They win over those of tasks and calls.
        fail_fast: Whether nothing new is started once something has failed; otherwise all goes on
            that does not depend on it.
        limits: How many calls may use something at once, by name.
        tags: Those of the execution.
        context: What its calls read.
        below: Where it goes if it is no execution of its own.
        executor_options: By the name of the executor; all others win over them.
        stand_ins: Executors by other names that tasks may use for them; "" is the default.
        scheduler: What scheduler tasks are given that ask for it.
        single_flight: Whether calls that run in other processes are waited for.
        may_wait: Whether that is possible: a run within a body may not wait.
        log: Told what calls wait for.
        output: Where what calls print is kept, if it is.
        submission: What is said of the execution in its first row.
        snapshot: The value in which that is frozen.
        in_group: Whether it is an execution of a group.
        held: What must still be held when something is written.
        writes_dataset: Whether there is a dataset that is to hold the files of its result.
        queue: The queue of calls that name none.
        serves: The queues whose calls run here; None for all. Those of others are sent to workers.
        lease_id: Whose lease says that it goes on, if it is no execution of its own.
    """

    execution_id: ExecutionId
    command_line: str = "[]"
    use_cache: bool = True
    is_dry: bool = False
    tells_misses: bool = False
    max_value_size: int | None = None
    default_executor: str = "threads"
    max_rerun: int | timedelta | None = None
    options: Options = field(default_factory=lambda: NO_OPTIONS)
    fail_fast: bool = True
    limits: Mapping[str, int] = field(default_factory=dict)
    tags: Tags = ()
    context: Context = NO_CONTEXT
    below: Below | None = None
    executor_options: Mapping[str, Options] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    scheduler: Any = None
    single_flight: bool = False
    may_wait: bool = True
    log: Callable[[str], None] | None = None
    output: OutputPlace | None = None
    submission: Submission = _NO_SUBMISSION
    snapshot: PackedValue | None = None
    in_group: bool = False
    held: Sequence[HeldLeaseRecord] = ()
    writes_dataset: bool = False
    queue: str | None = None
    serves: frozenset[str] | None = None
    lease_id: ExecutionId | None = None

    def add_executor_options(self, job: Job) -> None:
        """Add the options of the executor that a call will run on: all others go before them."""
        name = self.executor_in(job.options) or self.default_executor
        if name in self.executor_options:
            job.options = merge_options(self.executor_options[name], job.options)
            job.settle_recording()

    def executor_in(self, options: Options) -> str | None:
        """Return the name of the executor that options ask for; None if that is the default."""
        name = options.get("executor")
        if name is None:
            mode = options.get("mode")
            return None if mode is None else POOLS[mode]
        return self.stand_ins.get(name, name) or None
