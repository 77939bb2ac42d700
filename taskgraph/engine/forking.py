"""Calls that go on beside those that began them: what `fork_thread` and `join_thread` ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.awaiting import Question
from taskgraph.engine.jobs import Job
from taskgraph.engine.reduction import Graph
from taskgraph.events import Event, Warned
from taskgraph.tasks.requests import Forked
from taskgraph.worker import describe_error


class Forks:
    """What was forked in a run. True while any of it has not ended: the run waits for it.

    Args:
        graph: Where it is planted.
        notify: Told of errors, for it may be that nobody joins.
    """

    def __init__(self, graph: Graph, notify: Callable[[Event], None]) -> None:
        self._graph = graph
        self._notify = notify
        self._known: dict[int, tuple[Forked[Any], Job]] = {}
        self._open: set[Question] = set()

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def are_after(self) -> bool:
        """Whether any of it that has not ended was forked after a failure."""
        return any(each.owner is not None and each.owner.is_aftermath for each in self._open)

    def begin(self, job: Job, forked: Forked[Any]) -> None:
        """Have it evaluated below a job, which does not wait for it.

        Raises:
            UnknownTaskError: An expression names a task that is not defined here.
        """
        owner = _stand_in_for(job)
        question = Question(forked.expr.eval(), owner, self._settle)
        self._known[id(forked)] = forked, owner  # held, so that no other object has its id
        self._open.add(question)
        try:
            if not self._graph.plant(question.asked, owner, question):
                self._settle(question, question.asked, None)
        except Exception:
            self._open.discard(question)
            raise

    def join(self, job: Job, forked: Forked[Any]) -> None:
        """Let a job wait for just these calls, if they were forked in this run."""
        _, owner = self._known.get(id(forked), (None, None))
        if owner is not None:
            job.add_nodes(owner.nodes.items())
            job.add_children(*owner.children)

    def forget(self) -> None:
        """Wait for nothing any more: what is left will never end."""
        self._open.clear()

    def _settle(self, question: Question, value: Any, error: BaseException | None) -> None:
        question.phase = phases.DONE if error is None else phases.FAILED
        self._open.discard(question)
        if error is not None:
            self._notify(
                Warned(
                    f"What was forked failed: {describe_error(error)}. Who joins it gets the error."
                )
            )


def _stand_in_for(job: Job) -> Job:
    """Return what owns the calls in place of a job, which may have ended before they do."""
    owner = Job(job.id, job.task, job.task_hash, job.expr, job.owner, job.options)  # type: ignore[arg-type]  # a job's is a call
    owner.context, owner.exported = job.context, job.exported
    owner.is_recorded, owner.is_aftermath = job.is_recorded, job.is_aftermath
    owner.phase = phases.REDUCING
    owner.is_announced = True  # the row is the job's own, and written before any of theirs
    return owner
