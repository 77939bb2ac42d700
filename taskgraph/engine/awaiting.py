"""Bodies that await calls: what they ask for while they run, and how that is kept.

    a coroutine awaits an expression
      asked            planted below its job, like what a body returns
      its value        goes to the loop that the coroutine runs on
    the coroutine returns
      kept             what it asked for, what it was answered, and what it made of that
    the call is made again
      asked again      what it had asked for, in that order, looked up and run like any call
        same answers   what it returned stands
        others         its body runs again

So such a call is as good as its parts: an edit below it is seen, and goes no further if it changes
no value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from taskgraph.engine import phases
from taskgraph.engine.jobs import Job, Node
from taskgraph.engine.limits import Limits
from taskgraph.engine.origins import Origins
from taskgraph.engine.reduction import Graph, inputs_of
from taskgraph.errors import (
    CircularCallError,
    SchedulerError,
    UnhashableValueError,
    UnstorableValueError,
)
from taskgraph.expression import Expression, ValueExpression, find_expressions, substitute
from taskgraph.hashing import ValueHash, digest_bytes
from taskgraph.records import JobId
from taskgraph.values import codec
from taskgraph.values.weigh import hash_value

#: Told the value of what was asked for, or the error; on the scheduler's thread.
Answer = Callable[[Any, BaseException | None], None]

#: What is said in the place of a result: the answers are others now.
OTHERWISE = object()


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a body asked for; it is stored, under this name.

    Attributes:
        asked: Expressions, or a nested value of them, as they were then: how they are encoded, and
            that. Files in them are those of whenever they are asked for again.
        value_hash: That of the answer.
        after: How many answers the body had been given when it asked.
    """

    asked: tuple[str, bytes]
    value_hash: ValueHash
    after: int

    def decoded(self) -> Any:
        """Return what was asked for."""
        format, payload = self.asked
        return codec.decode(ValueHash(""), "", format, payload, digest_bytes(payload))


@dataclass(frozen=True, slots=True)
class Awaited:
    """What is kept of a body that awaited calls, in the place of what it returned.

    Attributes:
        steps: What it asked for, in that order.
        result: What it returned, which may hold expressions.
    """

    steps: tuple[Step, ...]
    result: Any


def replay(job: Job, kept: Awaited) -> Generator[Any, Any, Any]:
    """Ask for what a body had asked for; returns its result, or `OTHERWISE`.

    What it asked for before it was answered is asked for together.
    """
    for _, together in groupby(kept.steps, lambda step: step.after):
        steps = list(together)
        try:
            asked = [step.decoded() for step in steps]
            values = yield asked
        except Exception:
            return OTHERWISE  # an error is for the body to see
        each = zip(steps, asked, values, strict=True)
        if any(_hash_of(wanted, value, job) != step.value_hash for step, wanted, value in each):
            return OTHERWISE
    return kept.result


class Question(Node):
    """Something that a body which runs has asked for, and waits for; or what goes on by itself.

    Attributes:
        asked: Expressions, or a nested value of them.
        kept: What is kept of them, as in a step; None if that cannot be.
        after: How many answers the body had been given when it asked.
        settle: Told the value, or the error.
    """

    __slots__ = ("after", "answer", "asked", "kept", "settle")

    def __init__(self, asked: Any, owner: Job, settle: Settle) -> None:
        super().__init__(ValueExpression(None), owner)
        self.asked = self.template = asked
        self.phase = phases.REDUCING
        self.settle = settle
        self.kept: tuple[str, bytes] | None = None
        self.after = 0
        self.answer: Answer = _tell_nobody


Settle = Callable[[Question, Any, BaseException | None], None]


class Asker:
    """A body that has asked for something.

    Attributes:
        job: Its call.
        questions: All that it asked for, in order.
        waits_for: How many of them have no value yet.
        told: How many answers it was given.
        is_kept: Whether what it returns can be kept: none of the answers was an error.
        late: Questions whose values it is told when its call has its limits again.
    """

    __slots__ = ("is_kept", "job", "late", "questions", "told", "waits_for")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.questions: list[Question] = []
        self.waits_for = 0
        self.told = 0
        self.is_kept = True
        self.late: list[Question] = []

    @property
    def open(self) -> list[Question]:
        """What it waits for."""
        return [each for each in self.questions if each.phase is phases.REDUCING] + self.late

    def tell(self, question: Question) -> None:
        """Tell the body a value."""
        self.told += 1
        question.answer(question.value, None)

    def steps(self) -> tuple[Step, ...] | None:
        """Return what it asked for and was told, in the order of asking; None if it is not kept."""
        if not self.is_kept:
            return None
        steps = []
        for each in self.questions:
            if each.phase is not phases.DONE or each in self.late:
                return None  # it went on without: another time the answer may come before that
            if each.kept is None or each.value_hash is None:
                return None
            steps.append(Step(each.kept, each.value_hash, each.after))
        return tuple(steps)


class Awaiting:
    """The bodies that run and have asked for something.

    While a body waits for anything, its call gives back the units of limits that it holds, for what
    it waits for may want them; it is told the last answer when it has them again.

    Args:
        graph: Where what they ask for is planted.
        limits: Those of the run.
        submitted: The calls whose bodies run.
        calls: The calls of this execution by ``call_key``.

    Attributes:
        askers: Who waits, by the ids of their jobs. Looked at for each call of a run: while nobody
            waits it is empty.
        stopped: The jobs of those that were told that they will get no answer.
    """

    def __init__(
        self,
        graph: Graph,
        limits: Limits,
        submitted: Mapping[JobId, Job],
        calls: Mapping[str, Job],
    ) -> None:
        self._graph = graph
        self._limits = limits
        self._submitted = submitted
        self._calls = calls
        self.askers: dict[JobId, Asker] = {}
        self._origins = Origins()
        self.stopped: set[JobId] = set()

    def __contains__(self, job: object) -> bool:
        return isinstance(job, Job) and job.id in self.askers

    def ask(self, job_id: JobId, asked: Any, answer: Answer) -> None:
        """Have something evaluated for a body that runs."""
        job = self._submitted.get(job_id)
        if job is None:
            answer(None, SchedulerError("The call that awaits this has ended."))
            return
        asker = self.askers.get(job_id)
        if asker is None:
            asker = self.askers[job_id] = Asker(job)
        # A body may change the list that it asked with while it waits.
        asked = snapshot(asked)
        question = Question(asked, job, self._settle)
        question.kept, question.after, question.answer = _encoded(asked), asker.told, answer
        asker.questions.append(question)
        asker.waits_for += 1
        try:
            is_waiting = self._graph.plant(asked, job, question)
        except Exception as error:  # it names a task that is not defined
            self._settle(question, None, error)
            return
        if not is_waiting:
            self._settle(question, asked, None)
        elif question.phase is phases.REDUCING:
            self._limits.release(job)

    def _settle(self, question: Question, value: Any, error: BaseException | None) -> None:
        """Take the value of what was asked for, or its error."""
        assert question.owner is not None
        asker = self.askers.get(question.owner.id)
        if asker is None or question.phase is not phases.REDUCING:
            return  # its body has ended meanwhile
        job = asker.job
        asker.waits_for -= 1
        if error is not None:
            question.phase, question.error = phases.FAILED, error
            asker.is_kept = False
            question.answer(None, error)
            return
        question.phase, question.value = phases.DONE, value
        question.value_hash = _hash_of(question.asked, value, job)
        node = job.nodes.get(id(question.asked))
        if isinstance(node, Job) and node.call_hash and question.value_hash:
            self._origins.remember(value, question.value_hash, node.call_hash, 0)
        if self._get_limits_back(asker):
            asker.tell(question)
        else:
            asker.late.append(question)

    def _get_limits_back(self, asker: Asker) -> bool:
        """Give a body its limits again; False if it is to wait. Who awaits more goes without."""
        if asker.waits_for:
            return True
        if self._limits.holds_all(asker.job):
            return True
        return not asker.late and self._limits.let_through(asker.job)

    def go_on(self, job: Job) -> bool:
        """Tell a body what it waited for, now that it has its limits; False if it is none."""
        asker = self.askers.get(job.id)
        if asker is None:
            return False
        late, asker.late = asker.late, []
        for question in late:
            asker.tell(question)
        return True

    def trace_arguments(self, job: Job) -> None:
        """Note which calls the arguments of a call came from, that a body made of answers."""
        for argument in job.arguments:
            if argument.weight is not None and argument.given is argument.value:
                found = self._origins.find(argument.value, argument.weight.value_hash)
                argument.upstream = list(dict.fromkeys([*argument.upstream, *found]))

    # The end of a body

    def end(self, job: Job) -> Asker | None:
        """Let go of a body that has ended; returns it if it had asked for anything."""
        asker = self.askers.pop(job.id, None)
        if asker is not None:
            if asker.late:
                self._limits.leave(job)
            for each in asker.questions:
                if each.phase is phases.REDUCING:
                    each.phase = phases.DROPPED
        return asker

    @property
    def all_wait(self) -> bool:
        """Whether all bodies that run wait for answers; so too if none runs."""
        return all(
            (asker := self.askers.get(each)) is not None and asker.open for each in self._submitted
        )

    def stop(self) -> None:
        """Tell all that wait that they will get no answer: nothing new is started any more."""
        if self.askers:
            import asyncio  # only here: it takes as long to load as the rest of the engine

        for asker in self.askers.values():
            self.stopped.add(asker.job.id)
            for question in asker.open:
                question.phase = phases.DROPPED
                question.answer(None, asyncio.CancelledError())
            asker.late.clear()

    def break_circle(self) -> bool:
        """Fail a question that waits for the very body that asked it; False if there is none."""
        for asker in self.askers.values():
            for question in asker.open:
                if question.phase is phases.REDUCING and self._leads_to(question, asker.job):
                    job = asker.job
                    error = CircularCallError(job.task.fullname, job.eval_hash or "")
                    self._settle(question, None, error)
                    return True
        return False

    def _leads_to(self, start: Node, wanted: Job) -> bool:
        seen: set[int] = set()
        stack = list(self._needs_of(start))
        while stack:
            node = stack.pop()
            if node is wanted:
                return True
            if id(node) not in seen and node.phase not in phases.SETTLED:
                seen.add(id(node))
                stack += self._needs_of(node)
        return False

    def _needs_of(self, node: Node) -> Iterable[Node]:
        """Return what a node waits for."""
        if isinstance(node, Job):
            if node.phase is phases.FOLLOWING:
                assert node.call_key is not None
                return [self._calls[node.call_key]]
            if node.phase is phases.REDUCING:
                return node.nodes.values()
            if node.phase is phases.AWAY:
                asker = self.askers.get(node.id)
                return [] if asker is None else asker.open
        owner = node.owner
        assert owner is not None
        given = inputs_of(node) if node.phase is phases.WAITING else find_expressions(node.template)
        return [owner.nodes[id(each)] for each in given]


def snapshot(asked: Any) -> Any:
    """Return a nested value in containers of our own: a body may change its own while it waits."""
    if isinstance(asked, Expression):
        return asked
    stand_ins: dict[int, ValueExpression] = {}
    once = substitute(asked, lambda expr: stand_ins.setdefault(id(expr), ValueExpression(expr)))
    return substitute(once, lambda expr: expr.value if isinstance(expr, ValueExpression) else expr)


def _tell_nobody(value: Any, error: BaseException | None) -> None:
    """No body waits for it."""


def _encoded(asked: Any) -> tuple[str, bytes] | None:
    """Return what would be stored; a body may change what it gave as soon as it goes on."""
    try:
        return codec.encode(asked)
    except UnstorableValueError:
        return None


def _hash_of(asked: Any, value: Any, job: Job) -> ValueHash | None:
    """Return the hash of an answer; None if something in it has none."""
    nodes = [job.nodes[id(each)] for each in find_expressions(asked)]
    if any(each.is_unstored for each in nodes):
        return None
    if isinstance(asked, Expression) and not nodes[0].is_reread:
        known = nodes[0].value_hash
        if known is not None:
            return known
    try:
        return hash_value(value)
    except UnhashableValueError:
        return None
