"""Making jobs: which task an expression calls, its hash in this execution, and its options."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from taskgraph.engine.aliases import Aliases
from taskgraph.engine.jobs import Job
from taskgraph.expression import TaskExpression
from taskgraph.hashing import TaskHash
from taskgraph.records import JobId
from taskgraph.tasks.context import NO_CONTEXT, Context
from taskgraph.tasks.names import CARRIER
from taskgraph.tasks.options import (
    NO_OPTIONS,
    Options,
    lazy_options,
    merge_options,
    options_of_script,
)
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.tasks.task import Task

# How far apart rows of 1,024 ids begin, in rows: odd, so that each of the 2**22 is used once before
# any is used again, and by the golden ratio, so that they are spread evenly.
_APART: Final = 2_592_223


class JobMaker:
    """Makes the jobs of one execution: a task's code is read once, whatever happens meanwhile.

    What variables hold is looked at again when a job is looked up.

    Args:
        options: Those of the run, which win over all others.
        aliases: Where a task that is not defined any more may be found under a later name.
        context: What the calls read that are not called in another one.
        handed_on: The options that these calls are handed.
        queue: The queue of calls that name none.
    """

    def __init__(
        self,
        options: Options,
        aliases: Aliases,
        context: Context = NO_CONTEXT,
        handed_on: Options = NO_OPTIONS,
        queue: str | None = None,
    ) -> None:
        self._handed_on = handed_on
        self._context = context
        self._options = options
        # All others win over it, though the other options of a run win over all.
        self._queue: Options = NO_OPTIONS if queue is None else {"queue": queue}
        self._has_options = bool(options or queue)
        self._aliases = aliases
        self._hashes: dict[int, tuple[Task[..., Any], TaskHash, object]] = {}
        self._new_id = _id_maker()

    def __call__(self, expr: TaskExpression, owner: Job | None) -> Job:
        """Return a new job for a call.

        Raises:
            UnknownTaskError: The expression names a task that is not defined here.
        """
        task = expr._task
        if not isinstance(task, Task):
            task = self.find(expr.task_name) or get_task_registry().get(expr.task_name)
            if expr._options or expr._export_options:
                task = task.as_called(expr._options, expr._export_options)
        # Whether that is still its hash is asked once its inputs are there.
        known = self._hashes.get(id(task))
        return self.make(task, self.hash_of(task) if known is None else known[1], expr, owner)

    def make(
        self, task: Task[..., Any], task_hash: TaskHash, expr: TaskExpression, owner: Job | None
    ) -> Job:
        """Return a new job for a call of a task whose hash is known.

        Its options are those of the task, of callers that hand some on, of the call, and of the
        run: what is later in that order wins. Only the queue of a run is the first of them.
        """
        handed_on = owner.exported if owner is not None else self._handed_on
        if (handed_on or self._has_options) and task.fullname != CARRIER:
            options = merge_options(
                self._queue,
                task.base_options,
                task.base_exports,
                handed_on,
                task.call_options,
                task.call_exports,
                self._options,
            )
        else:
            options = task.all_options
        job = Job(self._new_id(), task, task_hash, expr, owner, options)
        if owner is None:
            job.context = self._context
        else:
            job.context = owner.context
            job.is_recorded = owner.is_recorded
            job.is_aftermath = owner.is_aftermath
        if expr._context is not None:
            job.context = job.context.updated(expr._context)
        if handed_on or task.base_exports or task.call_exports:
            job.exported = merge_options(handed_on, task.base_exports, task.call_exports)
        if options:
            if options.get("prov") is False:
                job.is_recorded = False
            if "script" in options and task.script:
                job.exported = options_of_script(options)
            job.lazy_options = lazy_options(options) or NO_OPTIONS
        if job.exported:
            job.lazy_exports = lazy_options(job.exported) or NO_OPTIONS
        return job

    def find(self, name: str) -> AnyTask | None:
        """Return the task of a name that was read from the store: perhaps it has another now."""
        find = get_task_registry().find
        found = find(name)
        if found is None:
            later = map(find, self._aliases.names_after(name))
            found = next((each for each in later if each is not None), None)
        return found

    def hash_of(self, task: Task[..., Any]) -> TaskHash:
        """Return a task's hash as it is now: code that changes meanwhile counts next time."""
        known = self._hashes.get(id(task))
        if known is None or known[2] is not task.hash_token():
            known = self._hashes[id(task)] = (task, task.get_hash(), task.hash_token())
        return known[1]


def _id_maker() -> Callable[[], JobId]:
    """Return a maker of random ids, for any thread; seeded from the system, which is slow to ask.

    A thousand at a time stand in a row, for rows that are written together then lie together in the
    indexes of a database. The first eight digits are others for each of four billion jobs.
    """
    bits = random.Random(os.urandom(32)).getrandbits
    number = count(bits(32)).__next__

    def make() -> JobId:
        n = number()
        row = (n >> 10) * _APART & 0x3FFFFF
        return JobId(f"{row << 106 | (n & 1023) << 96 | bits(96):032x}")

    return make
