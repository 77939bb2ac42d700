"""Scheduler tasks: generators that are stepped from one value that they wait for to the next.

What a generator yields is planted below its job, and the job waits for that like one that returned
it. What it returns, or raises, is taken by the Finisher like the result of any body.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from taskgraph.engine import phases, promising
from taskgraph.engine.awaiting import OTHERWISE
from taskgraph.engine.jobs import Job
from taskgraph.engine.reduction import Graph
from taskgraph.tasks.requests import Request
from taskgraph.tasks.task import SchedulerTask
from taskgraph.worker import frames_of

if TYPE_CHECKING:
    from taskgraph.engine.answering import Answering


class Taker(promising.Taker, Protocol):
    """Takes what scheduler tasks come to."""

    def refute(self, job: Job) -> None:
        """Have the body of a call run after all."""
        ...


class Stepper:
    """Runs the generators of scheduler tasks, and those that ask again what a body had asked.

    Args:
        graph: Where what they yield is planted.
        answering: Does what they ask for besides; None where nothing is to be done.
        taker: Told what they come to.
    """

    def __init__(self, graph: Graph, answering: Answering | None, taker: Taker) -> None:
        self._graph = graph
        self._answering = answering
        self._taker = taker

    def begin(self, job: Job) -> None:
        """Start a scheduler task: it runs until it waits for something."""
        task = job.task
        if isinstance(task, SchedulerTask) and task.is_told_of_job and self._answering is not None:
            promising.Promising(self._graph, self._answering, self._taker).begin(job)
            return
        func = task.func
        assert func is not None
        try:
            made = func(*job.args, **job.kwargs)
        except Exception as error:
            job.frames = frames_of(error.__traceback__)
            self._taker.fail(job, error, job)
            return
        if isinstance(made, Generator):
            self.start(job, made)
        else:
            self._taker.take_result(job, made)

    def start(self, job: Job, generator: Generator[Any, Any, Any]) -> None:
        """Run a generator for a job until it waits for something."""
        job.generator = generator
        self._step(job, lambda: generator.send(None))

    def send(self, job: Job, value: Any) -> None:
        """Let a generator go on with what it waited for."""
        self._step(job, _sender(job.generator, value))

    def throw(self, job: Job, error: BaseException) -> None:
        """Let a generator go on with the error of what it waited for."""
        self._step(job, _raiser(job.generator, error))

    def _step(self, job: Job, resume: Callable[[], Any]) -> None:
        """Resume a generator until it waits for something that is not there yet."""
        generator = job.generator
        while True:
            try:
                wanted = resume()
            except StopIteration as stop:
                job.generator = None
                if stop.value is OTHERWISE:
                    self._taker.refute(job)
                else:
                    self._taker.take_result(job, stop.value)
                return
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt) and error is not job.error:
                    raise
                job.generator = None
                job.frames = frames_of(error.__traceback__)
                self._taker.fail(job, error, self._taker.origin_of(error, job))
                return
            if isinstance(wanted, Request):
                resume = self._answer(job, wanted)
                continue
            job.template = wanted
            job.phase = phases.REDUCING
            try:
                if self._graph.plant(wanted, job, job):
                    return
            except Exception as unplanted:
                resume = _raiser(generator, unplanted)
                continue
            resume = _sender(generator, wanted)

    def _answer(self, job: Job, request: Request) -> Callable[[], Any]:
        """Do what a generator asked for; returns what tells it."""
        generator = job.generator
        if self._answering is None:
            return _sender(generator, None)
        try:
            return _sender(generator, self._answering.answer(job, request))
        except Exception as error:
            return _raiser(generator, error)


def _sender(generator: Any, value: Any) -> Callable[[], Any]:
    return lambda: generator.send(value)


def _raiser(generator: Any, error: BaseException) -> Callable[[], Any]:
    return lambda: generator.throw(error)
