"""Handles on their way through calls: forked where they are given, advanced where they are left.

    a call that is given a handle
      enter    the handle is forked: its branch is told by the place of the call among others
      look up  a recorded result is good if the state is valid that the call would leave behind
      begin    all that ever came from the branch is marked as left, and committed
      its body runs with the fork, in whatever process
      leave    the state after the call is valid again, in the same commit as its result

The key of the call is made of the handle, not of the fork, so that equal calls are one. A body that
dies, or fails, never gets to `leave`: nothing that came from its branch is used after that.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Any

from taskgraph.engine.jobs import HandleUse, Job, WeighedArgument
from taskgraph.engine.places import BranchKeys, visible_handles
from taskgraph.engine.recorder import Recorder
from taskgraph.errors import HandleError, HandleOutsideError
from taskgraph.expression import (
    ExpressionKind,
    QuotedKind,
    SchedulerExpression,
    replace_inside,
)
from taskgraph.hashing import ATOMIC_TYPES
from taskgraph.ports import Backend, Outcome, Raised, Returned
from taskgraph.records import JobId
from taskgraph.tasks.registry import PartialTaskKind
from taskgraph.values import handles, walk
from taskgraph.values.handles import Handle, find_handles
from taskgraph.values.kinds import ValueKind, class_name


class Branches:
    """The handles of one execution.

    Args:
        backend: What knows which states are valid.
        recorder: Where states are added.

    Attributes:
        spared: States that were valid when another branch of a handle was begun, and that no call
            of this execution has asked for since: they are good for those that still do, while the
            records have them as left, for nobody may ever ask.
    """

    def __init__(self, backend: Backend, recorder: Recorder) -> None:
        self._backend = backend
        self._recorder = recorder
        self.spared: set[str] = set()
        self._used: set[str] = set()
        self._swept: set[str] = set()
        self._taken: dict[str, JobId] = {}
        self._keys = BranchKeys()

    def enter(self, job: Job) -> None:
        """Fork the handles in the arguments of a job that was weighed.

        Raises:
            HandleError: One of them lies where it cannot be followed.
        """
        if isinstance(job.expr, SchedulerExpression):
            return
        forks: dict[str, tuple[Handle, Handle]] = {}
        ignored = job.task.binder.ignored
        for argument in job.arguments:
            if type(argument.value) in ATOMIC_TYPES or argument.key in ignored:
                continue
            for each in _followed(argument.value):
                if not job.is_recorded:
                    raise HandleError(
                        each.__handle__.fullname,
                        f"{job.task.fullname} leaves no records (prov=False), so that nobody would "
                        "know what it did to the service. Let it be recorded",
                    )
                if each.__handle__.hash not in forks:
                    forks[each.__handle__.hash] = (each, self._fork(job, argument, each))
        if forks:
            job.handles = HandleUse(tuple(forks.values()))

    def use(self, states: frozenset[str]) -> None:
        """Take note of the states that a recorded result rests on: they are states of this run."""
        self._used |= states
        spared = self.spared & states
        if spared:
            self.spared -= spared
            self._recorder.reach_handles(sorted(spared))

    def begin(self, jobs: Sequence[Job]) -> None:
        """Write down that calls take their handles on, before their bodies can use them.

        All that ever came from their branches is left from now on. What came from other branches of
        the same handles is left too, unless this execution has used it, or does so later: a branch
        is known by its place, and an earlier program may have had something else there.
        """
        recorder = self._recorder
        recorder.flush()  # what was reached until now is asked for
        for job in jobs:
            assert job.handles is not None
            pairs = [
                (given.__handle__.hash, fork.__handle__.hash) for given, fork in job.handles.forks
            ]
            forks = [fork for _, fork in pairs]
            recorder.add_handles([fork for _, fork in job.handles.forks])
            below = self._backend.find_handles_below(forks)
            self.spared -= below
            for given in dict.fromkeys(given for given, _ in pairs):
                if given not in self._swept:
                    self._sweep(given, below)
            recorder.roll_back_handles(forks)
            recorder.reach_handles(forks)
            self._used.update(forks)
        recorder.flush()

    def _sweep(self, given: str, below: Set[str]) -> None:
        # A call may have stood elsewhere in the tree of branches: all of it that is not used now.
        every = {given, *self._backend.find_handles_above([given])} - self._swept
        self._swept |= every
        others = self._backend.find_handles_below(sorted(every)) - below
        valid = self._backend.find_valid_handles(sorted(others)) if others else set()
        self.spared |= valid - self._used
        for each in sorted(every):
            self._recorder.sweep_handle(each)
        self._recorder.reach_handles(sorted(valid & self._used))

    def leave(self, job: Job, outcome: Returned, has_awaited: bool = False) -> Outcome:
        """Return what came of a body with its handles as they are after the call; records these.

        Handles in calls that it wrote down are left as they are: these calls are made from there.

        Args:
            job: Its call.
            outcome: What it returned.
            has_awaited: Whether calls were made from there already, while it ran.
        """
        try:
            found = _returned(outcome)
        except HandleError as error:
            return Raised(outcome.job_id, error, (), outcome.started, outcome.ended)
        if not found and job.handles is None:
            return outcome
        after = {id(each): _after(job, each) for each in found}
        self._reach(job, list(after.values()), has_awaited)
        if not found:
            return outcome
        made = replace_inside(outcome.value, Handle, lambda each: after[id(each)].recorded())
        packed, unstored = self._recorder.pack_result(made)
        return replace(outcome, value=made, packed=packed, unstored=unstored)

    def share(self, twin: Job, job: Job) -> frozenset[str]:
        """Let a call that has the result of another one's body leave its handles as that one did.

        Returns:
            The states that its result rests on.
        """
        states = frozenset[str]() if job.handles is None else job.handles.states
        if twin.handles is not None:
            self._reach(twin, ())
            states |= twin.handles.states
        return states

    def _reach(self, job: Job, returned: Sequence[Handle], has_awaited: bool = False) -> None:
        assert job.eval_hash is not None
        forks = [] if job.handles is None else [fork for _, fork in job.handles.forks]
        after = [*(fork.apply_call(job.eval_hash) for fork in forks), *returned]
        before = [parent for each in after for parent in each.__handle__.parents]
        begun = list(dict.fromkeys(each.__handle__.hash for each in before))
        reached = dict.fromkeys(each.__handle__.hash for each in after)
        self._recorder.add_handles(after)
        if not has_awaited:
            self._recorder.roll_back_handles(begun)
        self._recorder.reach_handles([*begun, *reached])
        states = frozenset(reached)
        self._used.update(begun, states)
        job.handles = HandleUse(() if job.handles is None else job.handles.forks, states)

    # Which branch

    def _fork(self, job: Job, argument: WeighedArgument, handle: Handle) -> Handle:
        key = self._keys.key(job, argument, handle)
        number = 0
        while True:
            # Where two calls of one run come by themselves to the same handle, at the same place,
            # they are branches too, in the order in which they came.
            forked = handle._fork(key if number == 0 else f"{key}+{number}")
            if self._taken.setdefault(forked.__handle__.hash, job.id) == job.id:
                return forked
            number += 1


# Where handles are


def _followed(value: Any) -> list[Handle]:
    """Return the handles in a value, but those in calls that are not made yet.

    Raises:
        HandleError: One of them lies in something that cannot be made anew with another in it.
    """
    every = find_handles(value)
    if not every:
        return []
    visible = visible_handles(value)
    known = {id(each) for each in visible}
    if not all(id(each) in known for each in every):
        for later in walk.find_kind(value, _is_for_later):
            known.update(id(each) for each in find_handles(later))
        hidden = next((each for each in every if id(each) not in known), None)
        if hidden is not None:
            raise HandleError(
                hidden.__handle__.fullname,
                f"it lies inside of a {class_name(type(value))}, where it cannot be followed. Give"
                " it by itself, or in a list, tuple, set, dict or dataclass",
            )
    return visible


def _is_for_later(kind: ValueKind) -> bool:
    return isinstance(kind, ExpressionKind | QuotedKind | PartialTaskKind)


# What bodies are given, and what they return


def given_to(job: Job) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a body is given: its own forks, each without a connection."""
    if job.handles is None or not job.handles.forks:
        return job.args, job.kwargs
    forks = {given.__handle__.hash: fork for given, fork in job.handles.forks}

    def fork_of(handle: Handle) -> Handle:
        fork = forks.get(handle.__handle__.hash)
        return handle if fork is None else fork.recorded()

    args = tuple([replace_inside(each, Handle, fork_of) for each in job.args])
    kwargs = {name: replace_inside(each, Handle, fork_of) for name, each in job.kwargs.items()}
    # A default is a value of the task's own, which must be forked like any other.
    given = {id(each) for each in (*job.args, *job.kwargs.values())}
    for argument in job.arguments:
        if argument.key is not None and id(argument.value) not in given:
            forked = replace_inside(argument.value, Handle, fork_of)
            if forked is not argument.value:
                kwargs[argument.key] = forked
    return args, kwargs


def _returned(outcome: Returned) -> list[Handle]:
    if outcome.packed is None:  # it may be anything: only what is plain to see is looked at
        return visible_handles(outcome.value)
    is_one = isinstance(outcome.value, Handle)
    return _followed(outcome.value) if is_one or outcome.packed.subvalues else []


def _after(job: Job, handle: Handle) -> Handle:
    """Return what a handle that a body returned is after the call."""
    assert job.eval_hash is not None
    forks = {fork.__handle__.hash for _, fork in job.handles.forks} if job.handles else set()
    waiting, is_given = [handle], False
    while waiting and not is_given:
        each = waiting.pop()
        is_given = each.__handle__.hash in forks
        waiting += each.__handle__.parents
    # One that the body made itself is a branch of the task's own.
    before = handle if is_given else handle.fork(job.task.fullname)
    return before.apply_call(job.eval_hash)


# Calls that are made one at a time


def refuse_handles(job: Job) -> None:
    """Check that a call by itself, outside of any workflow, is given no handle.

    Raises:
        HandleOutsideError: It is: nobody follows what it does to the service.
    """
    if not handles.met:
        return
    for argument in job.arguments:
        for each in find_handles(argument.value):
            name = argument.key or f"*{argument.position}"
            raise HandleOutsideError(f"args.{name}", class_name(type(each)), _NOT_FOLLOWED)


def without_handles(outcome: Returned) -> Returned:
    """Return what came of a call by itself; what holds a handle is not to be kept."""
    if not handles.met or not find_handles(outcome.value):
        return outcome
    return replace(outcome, packed=None, unstored=f"it holds a handle: {_NOT_FOLLOWED}")


_NOT_FOLLOWED = "what its service goes through is followed within workflows only"
