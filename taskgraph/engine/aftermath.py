"""What is called after a failure: the tasks that ``on_failure`` names.

a call failed for good     whoever waits for it is told at once
  its on_failure           is called below it, by a job of its own, beside all that goes on
    failed as well         that is told; the first error stays the one that counts
the run is over            when these have ended too, be it that nothing else is started
"""

from __future__ import annotations

from collections.abc import Callable

from taskgraph.combinators.control import after_failure
from taskgraph.combinators.functions import as_task
from taskgraph.engine import phases
from taskgraph.engine.jobs import Job
from taskgraph.engine.making import JobMaker
from taskgraph.engine.trace import traces_of
from taskgraph.events import Event, Warned
from taskgraph.expression import TaskExpression
from taskgraph.records import ExecutionId
from taskgraph.tasks.failing import FailedCall
from taskgraph.tasks.options import Options
from taskgraph.values.failures import ErrorValue
from taskgraph.values.weigh import hash_value
from taskgraph.worker import describe_error


class Aftermath:
    """The calls that failures ask for.

    Args:
        make_job: Makes jobs.
        execution_id: That of the run.
        notify: Tells the observers.

    Attributes:
        due: Calls that have failed and whose aftermath is to be begun: with the error, and the call
            that it arose in.
    """

    def __init__(
        self, make_job: JobMaker, execution_id: ExecutionId, notify: Callable[[Event], None]
    ) -> None:
        self._make_job = make_job
        self._execution_id = execution_id
        self._notify = notify
        self.due: list[tuple[Job, BaseException, Job]] = []
        self._open: list[Job] = []
        self._is_closed = False

    def on_failed(self, job: Job, error: BaseException, origin: Job) -> None:
        """Take note of a call that failed.

        What is handed on is called where the error arose; what is said of a task itself, also where
        something below it failed. What is called after a failure has no aftermath of its own.
        """
        if job.is_aftermath:
            if any(each is job for each in self._open):
                assert job.owner is not None
                self._notify(
                    Warned(
                        f"on_failure of {job.owner.task.fullname} failed as well: "
                        f"{describe_error(error)}"
                    )
                )
            return
        if self._is_closed or job.options.get("on_failure") is None:
            return
        if origin is job or _is_own(job):
            self.due.append((job, error, origin))

    def begin(self) -> list[Job]:
        """Return new jobs that call what is due."""
        due, self.due = self.due, []
        begun = [self._call_after(*each) for each in due]
        self._open = [*(each for each in self._open if each.phase not in phases.SETTLED), *begun]
        return begun

    def first_open(self) -> Job | None:
        """Return a job that has not ended, if there is one."""
        return next((each for each in self._open if each.phase not in phases.SETTLED), None)

    def close(self) -> None:
        """Begin nothing any more."""
        self._is_closed = True
        self.due = []

    def _call_after(self, job: Job, error: BaseException, origin: Job) -> Job:
        (trace,) = traces_of([(origin, error)])
        (own,) = traces_of([(job, error)]) if origin is not job else (trace,)
        call = FailedCall(
            job.task.fullname,
            own.tasks[-1].arguments,
            describe_error(error),
            trace.format(),
            job.attempts,
            self._execution_id,
            job.id,
        )
        expr = after_failure(as_task(job.options["on_failure"]), _as_argument(error), call)
        assert isinstance(expr, TaskExpression)
        made = self._make_job(expr, job)
        made.is_aftermath = True
        # What was to be handed on and is not known yet never will be.
        made.exported = _without(made.exported, job.lazy_exports)
        made.options, made.lazy_options, made.lazy_exports = {}, {}, {}
        return made


def _is_own(job: Job) -> bool:
    """Tell whether the task itself, or the call, says what is to be done."""
    return "on_failure" in job.task.base_options or "on_failure" in job.task.call_options


def _as_argument(error: BaseException) -> BaseException:
    """Return an error, or what stands for one that has no hash or cannot be sent anywhere."""
    given = ErrorValue(error).error
    try:
        hash_value(given)
    except Exception:
        return Exception(describe_error(error))
    return given


def _without(options: Options, names: Options) -> Options:
    return {name: value for name, value in options.items() if name not in names}
