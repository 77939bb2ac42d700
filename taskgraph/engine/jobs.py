"""The nodes of a running reduction: jobs for calls, operations for operators.

A node is always in one named phase; `engine.phases` says who moves it from which to which. Fields
that a phase does not have yet are not looked at in that phase.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from taskgraph.combinators.functions import identity
from taskgraph.engine import phases
from taskgraph.engine.aliases import Earlier
from taskgraph.engine.phases import Phase
from taskgraph.expression import (
    Expression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
    substitute,
)
from taskgraph.hashing import (
    ArgsHash,
    CallHash,
    EvalHash,
    TaskHash,
    ValueHash,
    hash_eval,
    hash_record,
)
from taskgraph.ports import FrameRecord
from taskgraph.records import JobId, Micros, PackedValue
from taskgraph.tasks.context import NO_CONTEXT
from taskgraph.tasks.options import NO_OPTIONS, Options
from taskgraph.tasks.task import Task
from taskgraph.values.handles import Handle
from taskgraph.values.weigh import Weight


class Wait:
    """What a node waits for: a number of others. A new wait makes an old one void.

    Attributes:
        node: Who waits.
        needs: For how many others.
        is_for_end: Whether it is enough that these have ended, be it with an error.
    """

    __slots__ = ("is_for_end", "needs", "node")

    def __init__(self, node: Node, is_for_end: bool = False) -> None:
        self.node = node
        self.needs = 0
        self.is_for_end = is_for_end


_NO_READS: frozenset[str] = frozenset()
_NO_DEFAULTS: Mapping[str, Expression] = {}
_NO_KWARGS: dict[str, Any] = {}  # nobody adds to it
_NO_NODES: Mapping[int, Node] = MappingProxyType({})


class Node:
    """An expression under evaluation, within the call that it was written down in.

    Attributes:
        expr: The expression; kept alive, for nodes are found by its identity.
        owner: The job whose body wrote it down; None for the root.
        phase: Where it is in its life.
        wait: What it waits for, or waited for last. None: it had nothing to wait for, so that its
            arguments are those of the expression as they stand.
        waiters: Waits of those that need this value.
        template: What the node gave before the expressions in it were evaluated.
        value: The final value, in DONE.
        value_hash: Its hash, where it is known already.
        is_unstored: Whether the value has no hash of its own, so that what uses it is not cached.
        is_reread: Whether the value was read from the records and bears code, by its name: what
            uses it uses that code as it is now, whatever the hash was that it is recorded under.
        error: In FAILED and DROPPED.
        origin: The job whose body raised it.
    """

    __slots__ = (
        "error",
        "expr",
        "is_reread",
        "is_unstored",
        "origin",
        "owner",
        "phase",
        "template",
        "value",
        "value_hash",
        "wait",
        "waiters",
    )

    def __init__(self, expr: Expression, owner: Job | None) -> None:
        self.expr = expr
        self.owner = owner
        self.phase: Phase = phases.WAITING
        self.wait: Wait | None = None
        self.waiters: list[Wait] | tuple[()] = ()
        self.template: Any = None
        self.value: Any = None
        self.value_hash: ValueHash | None = None
        self.is_unstored = self.is_reread = False
        self.error: BaseException | None = None
        self.origin: Job | None = None

    def add_waiter(self, wait: Wait) -> None:
        """Let somebody wait for this."""
        if self.waiters:
            self.waiters.append(wait)
        else:  # a node that nobody waits for has no list of its own
            self.waiters = [wait]


class Operation(Node):
    """An operator, an attribute, an index or a call on values: computed in the scheduler."""

    __slots__ = ()

    def compute(self) -> Any:
        """Apply the operation to the values of its inputs."""
        expr = self.expr
        assert self.owner is not None
        if isinstance(expr, ValueExpression):
            return self.owner.resolved(expr.value)
        assert isinstance(expr, SimpleExpression)
        args = [self.owner.resolved(each) for each in expr.args]
        kwargs = {name: self.owner.resolved(each) for name, each in expr.kwargs.items()}
        return expr._apply(args, kwargs)


class WeighedArgument:
    """An argument of a job with the hash of its value.

    Attributes:
        given: As it stands in the call; holds the expressions that it came from.
        weight: The hash of the value and what lies inside it; None for those that do not count
            and cannot be hashed.
        is_stored: Whether the value is in the store already, as the result of another call.
        packed: How it is stored, where that had to be made before the body ran.
        upstream: The calls that it came from, where no expressions say so.
    """

    __slots__ = ("given", "is_stored", "key", "packed", "position", "upstream", "value", "weight")

    def __init__(
        self,
        position: int | None,
        key: str | None,
        given: Any,
        value: Any,
        weight: Weight | None,
        is_stored: bool,
    ) -> None:
        self.position = position
        self.key = key
        self.given = given
        self.value = value
        self.weight = weight
        self.is_stored = is_stored
        self.packed: PackedValue | None = None
        self.upstream: Sequence[CallHash] = ()


class HandleUse(NamedTuple):
    """The handles of a call.

    Attributes:
        forks: Those that it was given, each with the branch that its body is given.
        states: The hashes of the states that services came to in it: its result is theirs too.
    """

    forks: tuple[tuple[Handle, Handle], ...] = ()
    states: frozenset[str] = frozenset()


class Job(Node):
    """One call in one execution, from its expression to its value.

    Attributes:
        id: What its row is named by.
        task: What is called.
        task_hash: The hash of its code: as it was when the job was looked up, or of the blessed
            version whose result it uses.
        options: The options in force, all layers merged.
        exported: Those of them that the calls below get as well.
        lazy_options: Those of them that must be evaluated before the call can be made.
        lazy_exports: Those that the calls below get and that must be evaluated before.
        context: What it and the calls below it read by path.
        is_recorded: Whether anything of it is written down: not with ``prov=False``, nor below.
        is_aftermath: Whether it is what is called after a failure, or below that.

    From READY on:

    Attributes:
        args: What its function is called with, by position: values.
        kwargs: The same, by name.
        defaults: The defaults that are calls and were not given; None until somebody asks.
        arguments: Each argument, with its hash.
        args_hash: The hash of those that count.
        eval_hash: The key of the cache. These hashes are None where nobody will ask by them.
        call_key: What equal calls of this run have in common: the same call, in the same context.
        is_uncacheable: Whether its result cannot be told from others by its key: it is used, and
            neither looked up nor kept.
        is_given_anew: Whether files that it is given were made again: the hashes of what other
            calls gave are not taken for those of now.
        note: Why it must run although a result might have been there, or that a result of earlier
            code is used: a `Miss`, as it is stored. In its row that is `miss`.
        handles: What it does with handles; None if it was given none and gave none.

    While its result is under way:

    Attributes:
        attempts: How often its body was begun, with the time that is under way.
        started: When it was begun: by its own word when it has ended, before that about.
        ended: When its body, or all of it, had ended.
        is_announced: Whether it has a row.
        generator: That of a scheduler task, between two steps.
        nodes: The nodes of the expressions written down by this job, by identity.
        children: The jobs among them, in the order in which they must be evaluated.
        broken_by: What it needed and failed, while others that it wrote down go on.
        reads: The paths that were read in it and below, as far as they are the context's.

    With its result:

    Attributes:
        is_cached: Whether no body ran for it; of a scheduler task, for none of its children.
        earlier: The blessed version of the task whose recorded result this job uses.
        reduction: The single reduction as it is stored, once the body returned.
        why_unstored: Why its value is not in the store; None if it is.
        known_call: The call that is recorded already, with its result; None if none is known.
        call_hash: The call that it was. If that is ``known_call``, nothing is to be recorded of it.
        subtree: The hashes of all tasks in this call and below, in DONE.
        frames: The user's frames, in FAILED.
    """

    __slots__ = (
        "args",
        "args_hash",
        "arguments",
        "attempts",
        "broken_by",
        "call_hash",
        "call_key",
        "children",
        "context",
        "defaults",
        "earlier",
        "ended",
        "eval_hash",
        "exported",
        "frames",
        "generator",
        "handles",
        "id",
        "is_aftermath",
        "is_announced",
        "is_cached",
        "is_given_anew",
        "is_recorded",
        "is_uncacheable",
        "known_call",
        "kwargs",
        "lazy_exports",
        "lazy_options",
        "nodes",
        "note",
        "options",
        "reads",
        "reduction",
        "started",
        "subtree",
        "task",
        "task_hash",
        "why_unstored",
    )

    def __init__(
        self,
        id: JobId,
        task: Task[..., Any],
        task_hash: TaskHash,
        expr: TaskExpression,
        owner: Job | None,
        options: Options,
    ) -> None:
        super().__init__(expr, owner)
        self.id = id
        self.task = task
        self.task_hash = task_hash
        self.options = options
        self.context = NO_CONTEXT
        self.defaults: Mapping[str, Expression] | None = None
        self.reads: frozenset[str] = _NO_READS
        self.call_key: str | None = None
        self.exported: Options = NO_OPTIONS
        self.lazy_options: Options = NO_OPTIONS
        self.lazy_exports: Options = NO_OPTIONS
        self.nodes: Mapping[int, Node] = _NO_NODES
        self.children: Sequence[Job] = ()
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = _NO_KWARGS
        self.arguments: Sequence[WeighedArgument] = ()
        self.args_hash: ArgsHash | None = None
        self.eval_hash: EvalHash | None = None
        self.call_hash: CallHash | None = None
        self.known_call: CallHash | None = None
        self.reduction: PackedValue | None = None
        self.subtree: frozenset[TaskHash] = frozenset()
        self.started: Micros | None = None
        self.ended: Micros | None = None
        self.attempts = 1
        self.broken_by: Node | None = None
        self.is_cached = False
        self.is_given_anew = False
        self.is_announced = False
        self.is_recorded = True
        self.is_aftermath = False
        self.is_uncacheable = False
        self.why_unstored: str | None = None
        self.note: str | None = None
        self.earlier: Earlier | None = None
        self.generator: Generator[Any, Any, Any] | None = None
        self.handles: HandleUse | None = None
        self.frames: tuple[FrameRecord, ...] = ()

    def add_nodes(self, nodes: Iterable[tuple[int, Node]] = ()) -> dict[int, Node]:
        """Add nodes of expressions that it wrote down; returns all of them, to be added to.

        Most jobs write none down, and have none of their own.
        """
        found = self.nodes
        if not isinstance(found, dict):
            found = self.nodes = {}
        found.update(nodes)
        return found

    def add_children(self, *jobs: Job) -> list[Job]:
        """Add calls that it wrote down, in their order; returns all of them, to be added to."""
        if not isinstance(self.children, list):
            self.children = []
        found: list[Job] = self.children
        found.extend(jobs)
        return found

    def resolved(self, given: Any) -> Any:
        """Return a nested value with the values of this job's nodes in place of expressions."""
        return substitute(given, lambda expr: self.nodes[id(expr)].value)

    def lazy_defaults(self) -> Mapping[str, Expression]:
        """Return the defaults that are calls and were not given: they are evaluated like arguments.

        They are called where the job is, and read the context of the job itself.
        """
        binder = self.task.binder
        if not binder.lazy_defaults:
            return _NO_DEFAULTS
        if self.defaults is None:
            expr = self.expr
            assert isinstance(expr, TaskExpression)
            self.defaults = binder.missing_lazy_defaults(expr.args, expr.kwargs)
            if expr._context is not None:
                inner = identity.update_context(expr._context)
                self.defaults = {name: inner(each) for name, each in self.defaults.items()}
        return self.defaults

    @property
    def child_calls(self) -> list[CallHash]:
        """The recorded calls of the children in order; those that were dropped have none."""
        return [each.call_hash for each in self.children if each.call_hash is not None]

    @property
    def made_of(self) -> list[CallHash]:
        """What counts in its hash of the calls below: those that left no rows by their code."""
        calls = self.child_calls
        if len(calls) < len(self.children):
            unrecorded = [each.subtree for each in self.children if not each.is_recorded]
            if found := sorted(frozenset[TaskHash]().union(*unrecorded)):
                calls.append(CallHash(hash_record("unrecorded", *found)))
        return calls

    def settle_recording(self) -> None:
        """Take note of an option ``prov`` that was not known when the job was made."""
        if self.owner is not None and self.options.get("prov") is False:
            self.is_recorded = False

    @property
    def recorded_name(self) -> str:
        """The full name that goes with ``task_hash``."""
        return self.task.fullname if self.earlier is None else self.earlier.fullname

    def stand_in_for(self, earlier: Earlier) -> None:
        """Become a job of a blessed version of its task: the records stay those of that version."""
        assert self.args_hash is not None
        self.earlier = earlier
        self.note = earlier.note
        self.task_hash = earlier.task_hash
        self.eval_hash = hash_eval(earlier.task_hash, self.args_hash)

    def drop_waiting(self) -> None:
        """Drop the nodes that wait for their inputs: what they were planted for is not to be."""
        for node in self.nodes.values():
            if node.phase is phases.WAITING:
                node.phase = phases.DROPPED

    def drop_inputs(self) -> None:
        """Drop what is needed no more once the job is recorded: a run may have millions."""
        if any(each.phase not in phases.SETTLED for each in self.nodes.values()):
            return  # an error was caught, and children that run still look up their inputs here
        self.nodes = _NO_NODES
        self.children = self.arguments = self.args = ()
        self.kwargs = _NO_KWARGS
        self.args_hash = self.started = self.ended = None  # the rows have them
        self.reduction = None
        self.template = None
        self.generator = None
