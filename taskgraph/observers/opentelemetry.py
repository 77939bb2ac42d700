"""Executions and jobs as spans of OpenTelemetry.

A span of a job begins when its call is handed to an executor and ends when its value is final, so
that those of the calls that it makes lie in it. One that was cached has no length.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from taskgraph._version import __version__
from taskgraph.errors import ObserverError
from taskgraph.events import (
    Event,
    ExecutionEnded,
    ExecutionStarted,
    JobCached,
    JobDone,
    JobFailed,
    JobRetried,
    JobsSubmitted,
    Warned,
)
from taskgraph.records import JobId, Micros, State

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


class OpenTelemetry:
    """Makes spans of what happens.

    Args:
        tracer: What makes them; by default that of the provider that this process was set up with.

    Raises:
        ObserverError: OpenTelemetry is not installed.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        if tracer is None:
            if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
                raise ObserverError(
                    "observers.opentelemetry",
                    "it is not installed. Install it: pip install 'taskgraph[opentelemetry]'",
                )
            from opentelemetry import trace

            tracer = trace.get_tracer("taskgraph", __version__)
        self._tracer = tracer
        self._run: Span | None = None
        self._open: dict[JobId, Span] = {}

    def notify(self, event: Event) -> None:
        """Begin and end spans."""
        match event:
            case ExecutionStarted():
                self._run = self._begin(
                    f"run {event.task}",
                    {"taskgraph.execution.id": event.execution_id, "taskgraph.task": event.task},
                )
            case JobsSubmitted():
                jobs = zip(event.tasks, event.jobs, event.callers, strict=True)
                for task, job_id, caller in jobs:
                    if job_id not in self._open:
                        self._open[job_id] = self._job(task, job_id, caller)
            case JobCached():
                span = self._job(event.task, event.job_id, event.caller)
                span.set_attribute("taskgraph.job.cached", True)
                span.end()
            case JobDone():
                self._end(event, event.started, event.ended)
            case JobFailed():
                self._fail(event)
            case JobRetried():
                above = self._open.get(event.job_id) or self._run
                if above is not None:
                    above.add_event("retried", {"attempt": event.attempt, "error": event.error})
            case Warned() if self._run is not None:
                self._run.add_event("warned", {"message": event.message})
            case ExecutionEnded():
                self._end_run(event)

    def _job(self, task: str, job_id: JobId, caller: JobId | None) -> Span:
        above = self._run if caller is None else self._open.get(caller, self._run)
        attributes: dict[str, Any] = {
            "taskgraph.job.id": job_id,
            "taskgraph.task": task,
            "taskgraph.job.cached": False,
        }
        if caller is not None:
            attributes["taskgraph.job.caller"] = caller
        return self._begin(task, attributes, above)

    def _begin(self, name: str, attributes: dict[str, Any], above: Span | None = None) -> Span:
        from opentelemetry.trace import set_span_in_context

        context = None if above is None else set_span_in_context(above)
        return self._tracer.start_span(name, context, attributes=attributes)

    def _end(
        self, event: JobDone | JobFailed, started: Micros | None, ended: Micros | None
    ) -> None:
        span = self._open.pop(event.job_id, None)
        if span is None:  # a scheduler task: no executor has it
            span = self._job(event.task, event.job_id, event.caller)
        if started is not None and ended is not None:
            span.set_attribute("taskgraph.job.seconds", (ended - started) / 1e6)
        span.end()

    def _fail(self, event: JobFailed) -> None:
        from opentelemetry.trace import Status, StatusCode

        span = self._open.get(event.job_id)
        if span is None:
            span = self._open[event.job_id] = self._job(event.task, event.job_id, event.caller)
        span.set_status(Status(StatusCode.ERROR, event.error))
        self._end(event, event.started, event.ended)

    def _end_run(self, event: ExecutionEnded) -> None:
        from opentelemetry.trace import Status, StatusCode

        for span in self._open.values():  # calls that were stopped
            span.set_attribute("taskgraph.job.state", State.CANCELLED.value)
            span.end()
        self._open.clear()
        run, self._run = self._run, None
        if run is None:
            return
        run.set_attribute("taskgraph.execution.state", event.state.value)
        if event.state is not State.COMPLETED:
            run.set_status(Status(StatusCode.ERROR, event.state.value))
        run.end()
