"""Temporary files that are gone: passed on as they were, made again for whoever reads them.

A recorded result may be used although a temporary file in it is gone, as long as all that wait for
it are calls that may be recorded themselves. A call whose body must run after all needs the file:
the call that gave it is made again first.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from taskgraph.engine import phases
from taskgraph.engine.cache import Hit
from taskgraph.engine.jobs import Job, Node, Operation
from taskgraph.engine.reduction import MakeJob
from taskgraph.expression import SimpleExpression
from taskgraph.records import JobId
from taskgraph.tasks.names import BUILT_IN
from taskgraph.values import walk
from taskgraph.values.files import File
from taskgraph.values.staging import StagingFile
from taskgraph.values.temporaries import find_invalid, temporaries_in

# What gives the file itself, of what a File or StagingFile has. A path would not: who is given one
# reads the file without saying so.
_GIVES_FILE = frozenset({"remote", "stage"})


# Of our own scheduler tasks, those that evaluate one expression after the other. The others take
# values as they are, each once.
_ASK_AGAIN = frozenset({f"{BUILT_IN}.cond", f"{BUILT_IN}.seq"})


class _Giver(NamedTuple):
    """A call whose recorded result was used, with what it was given."""

    job: Job
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Finder:
    """Finds in a recorded result what no longer matches the world; called in other threads.

    Attributes:
        lenient: The jobs in whose results a temporary file may be gone.
        needed: The locations of those that may not.
    """

    lenient: frozenset[JobId]
    needed: Container[str]

    def __call__(self, asked: tuple[Job, Hit]) -> Any | None:
        """Return the first value in a result that does not match; None if all do."""
        job, hit = asked
        if job.id in self.lenient:
            return find_invalid(hit.value, self.needed)
        return walk.find_invalid(hit.value)


class Temporaries:
    """The temporary files in the recorded results that this execution uses.

    Args:
        make: Makes jobs.

    Attributes:
        needed: The locations of those that must be there.
    """

    def __init__(self, make: MakeJob) -> None:
        self._make = make
        self._givers: dict[str, list[_Giver]] = {}
        self._locations: dict[JobId, list[str]] = {}
        self._again: dict[str, Job] = {}
        self.needed: set[str] = set()
        self._new: list[Job] = []

    def finder(self, asked: Sequence[tuple[Job, Hit]]) -> Finder:
        """Return what finds in these recorded results what no longer matches the world."""
        lenient = frozenset(
            job.id for job, hit in asked if temporaries_in([hit.value]) and is_passed_on(job)
        )
        return Finder(lenient, self.needed)

    def note(self, job: Job, value: Any) -> None:
        """Take note of a recorded result that is about to be used."""
        files = temporaries_in([value])
        if files:
            giver = _Giver(job, job.args, dict(job.kwargs))
            self._locations[job.id] = [each.location for each in files]
            for each in files:
                self._givers.setdefault(each.location, []).append(giver)

    def is_stale(self, first: Job, job: Job) -> bool:
        """Tell whether a result of this execution cannot be that of an equal call any more.

        Args:
            first: The call that has the result.
            job: The equal call.
        """
        locations = self._locations.get(first.id)
        if locations is None:
            return False
        if not is_passed_on(job):
            self.needed.update(locations)
        return not self.needed.isdisjoint(locations)

    def need(self, file: File, job: Job) -> Job | None:
        """Return the call that a call must wait for to be given a file, which is gone.

        Args:
            file: The file.
            job: Who needs it.

        Returns:
            The call, which may be new; None if nobody is known who gives the file.
        """
        again = self._again.get(file.location)
        if again is not None:
            # Once more would be no other time: what is gone again was deleted by somebody.
            return None if again.phase is phases.DONE else again
        givers = self._givers.get(file.location)
        if not givers or job.owner is None:
            return None
        self.needed.add(file.location)
        # Results are used in the order in which they depend on each other: the first gives the
        # file, the others pass it on.
        made = self._again[file.location] = self._make_again(givers[0], job.owner)
        self._new.append(made)
        return made

    def take_new(self) -> list[Job]:
        """Return the calls that are to be made again and were not begun with; they are then."""
        new, self._new = self._new, []
        return new

    def _make_again(self, giver: _Giver, owner: Job) -> Job:
        while owner.owner is not None:
            owner = owner.owner  # whoever asked first may fail, and others need the file as well
        before, task = giver.job, giver.job.task
        kwargs = dict(giver.kwargs)
        expr = task.expression_type(task.fullname, giver.args, kwargs, task.call_options, task=task)
        job = self._make(expr, owner)
        job.options, job.exported, job.context = before.options, before.exported, before.context
        job.lazy_options = job.lazy_exports = {}
        return job


def is_passed_on(job: Job) -> bool:
    """Tell whether all that wait for a call only pass its value on, to other calls in the end."""
    if job.owner is None or _may_be_asked_again(job.owner):
        return False
    seen: set[int] = set()
    stack: list[Node] = [job]
    while stack:
        node = stack.pop()
        for waiting in _waiting_for(node):
            if id(waiting) in seen:
                continue
            seen.add(id(waiting))
            if isinstance(waiting, Job) and waiting.phase is phases.WAITING:
                continue  # when its body runs, it is asked what it needs
            if waiting.owner is None or not _hands_on(waiting):
                return False
            stack.append(waiting)
    return True


def _may_be_asked_again(owner: Job) -> bool:
    """Tell whether a scheduler task may go on to read what it has had evaluated."""
    if owner.generator is None:
        return False
    return owner.task.namespace != BUILT_IN or owner.task.fullname in _ASK_AGAIN


def _waiting_for(node: Node) -> Iterator[Node]:
    for wait in node.waiters:
        if wait.node.wait is wait:
            yield wait.node


def _hands_on(node: Node) -> bool:
    """Tell whether what waits for a value does no more than make it part of its own."""
    if isinstance(node, Job):
        return node.generator is None or node.task.namespace == BUILT_IN
    if not isinstance(node, Operation):
        return False  # a body awaits it, and looks at it as it likes
    expr = node.expr
    if node.phase is not phases.WAITING or not isinstance(expr, SimpleExpression):
        return True
    if expr.func_name == "getitem":
        return True
    if expr.func_name == "call" and isinstance(expr.args[0], SimpleExpression):
        expr = expr.args[0]
    return expr.func_name == "getattr" and _gives_file(expr.args[1])


def _gives_file(attribute: Any) -> bool:
    """Tell whether an attribute gives the file, or is one of something that the file lies in."""
    name = str(attribute)
    return name in _GIVES_FILE or not (hasattr(File, name) or hasattr(StagingFile, name))
