"""Scheduler tasks in the style of callbacks: called once, they promise a value.

    the function is called
      asks             what it wants evaluated is planted below its job, each question by itself
    an answer is there
      told             the promise of that question is settled, and callbacks may ask for more
    what it promised
      has a value      that is its result, like what a generator returns
      has an error     the call fails with that
      has neither      and nothing that it asked for is left: an error, for it would wait for ever

All on the scheduler's thread. Promises are only looked at here, after callbacks have run: nothing
of the engine runs inside of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from taskgraph.engine import phases
from taskgraph.engine.awaiting import Question, snapshot
from taskgraph.engine.callers import Job as SeenJob
from taskgraph.engine.jobs import Job
from taskgraph.engine.reduction import Graph
from taskgraph.errors import PromiseError, SchedulerError
from taskgraph.promise import Promise
from taskgraph.worker import frames_of

if TYPE_CHECKING:
    from taskgraph.engine.answering import Answering

T = TypeVar("T")

_now_asking: ContextVar[Asking | None] = ContextVar("taskgraph_asking", default=None)


class Taker(Protocol):
    """Takes what scheduler tasks come to."""

    def take_result(self, job: Job, value: Any) -> None:
        """Take a value, or expressions that are child calls."""
        ...

    def fail(self, job: Job, error: BaseException, origin: Job) -> None:
        """Take an error."""
        ...

    def fail_after_rest(self, job: Job, error: BaseException, origin: Job) -> None:
        """Take an error; where all goes on, once the rest that the job wrote down has ended."""
        ...

    def origin_of(self, error: BaseException, job: Job) -> Job:
        """Return the call whose body raised an error that has come to a job."""
        ...


class Asking:
    """A call of such a scheduler task, which may ask for more until what it promised is settled.

    Attributes:
        job: Its job.
    """

    def __init__(self, job: Job, graph: Graph, taker: Taker) -> None:
        self.job = job
        self._graph = graph
        self._taker = taker
        self._thread = threading.get_ident()
        self._open: dict[Question, Promise[Any]] = {}
        self._promised: Promise[Any] | None = None
        self._is_over = False

    def evaluate(self, asked: T) -> Promise[T]:
        """Have something evaluated below the job.

        Raises:
            SchedulerError: The call has ended, or this is another thread.
        """
        if self._is_over or threading.get_ident() != self._thread:
            why = "has ended" if self._is_over else "runs on another thread"
            raise SchedulerError(
                f"{self.job.task.fullname} cannot ask for {asked!r}: the call {why}. Ask before "
                "its promise is settled, in the function or in a callback of a promise."
            )
        promise: Promise[T] = Promise()
        asked = snapshot(asked)
        question = Question(asked, self.job, self._take_answer)
        try:
            is_waiting = self._graph.plant(asked, self.job, question)
        except Exception as error:  # it names a task that is not defined
            promise.do_reject(error)
            return promise
        if is_waiting:
            self._open[question] = promise
        else:
            promise.do_resolve(asked)
        return promise

    def begin(self, call: Callable[[], Any]) -> None:
        """Call the function of the scheduler task."""
        self.job.phase = phases.REDUCING
        made: Any = None
        with self._its_turn():
            made = call()
        if self._is_over:
            return
        if isinstance(made, Promise):
            self._promised = made
            self._look()
        else:
            self._end()
            self._taker.take_result(self.job, made)

    def _take_answer(self, question: Question, value: Any, error: BaseException | None) -> None:
        """Settle the promise of something that was asked for, and see what comes of it."""
        promise = self._open.pop(question)
        question.phase = phases.DONE if error is None else phases.FAILED
        with self._its_turn():
            if error is None:
                promise.do_resolve(value)
            else:
                promise.do_reject(error)
        if not self._is_over:
            self._look()

    @contextmanager
    def _its_turn(self) -> Iterator[None]:
        """Let code of the user's run that may ask for more; what it raises fails the call."""
        token = _now_asking.set(self)
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(error)
        finally:
            _now_asking.reset(token)

    def _look(self) -> None:
        """See whether what the call promised is settled."""
        promised = self._promised
        assert promised is not None
        if promised.is_fulfilled:
            self._end()
            self._taker.take_result(self.job, promised.value)
        elif promised.is_rejected:
            self._fail(promised.error)
        elif not self._open:
            self._fail(PromiseError(self.job.task.fullname))

    def _fail(self, error: BaseException) -> None:
        self._end()
        self.job.frames = frames_of(error.__traceback__)
        self._taker.fail_after_rest(self.job, error, self._taker.origin_of(error, self.job))

    def _end(self) -> None:
        """Ask nothing any more, and hear nothing."""
        self._is_over = True
        for question in self._open:
            question.phase = phases.DROPPED
        self._open.clear()


class Promising:
    """Begins scheduler tasks in the style of callbacks.

    Args:
        graph: Where what they ask for is planted.
        answering: Knows the run.
        taker: Told what they come to.
    """

    def __init__(self, graph: Graph, answering: Answering, taker: Taker) -> None:
        self._graph = graph
        self._answering = answering
        self._taker = taker

    def begin(self, job: Job) -> None:
        """Call the function of a job: with the scheduler, the job that calls, and the call."""
        func = job.task.func
        assert func is not None
        asking = Asking(job, self._graph, self._taker)
        caller = SeenJob(job.owner or job, self._answering.execution_id, asking)
        scheduler = self._answering.scheduler
        asking.begin(lambda: func(scheduler, caller, job.expr, *job.args, **job.kwargs))


def evaluate_below(asked: T, caller: SeenJob | None = None) -> Promise[T]:
    """Have something evaluated for a scheduler task.

    Args:
        asked: Any nested value of expressions.
        caller: What the scheduler task was told of the job that calls it; by default this is for
            the one whose function or callback runs here.

    Raises:
        SchedulerError: None runs here, or its call has ended.
    """
    asking = _now_asking.get() if caller is None else caller._asking
    if asking is None:
        raise SchedulerError(
            f"No scheduler task runs here that could ask for {asked!r}. Call evaluate in the "
            "function of a @scheduler_task() of (scheduler, parent_job, sexpr, ...), or in a "
            "callback of its promises; elsewhere, run evaluates."
        )
    return asking.evaluate(asked)
