"""Weighing: from a ready job to its arguments' hashes, args_hash and eval_hash.

Values that come from other calls are not hashed again. Files that must be looked at first are
named to the caller, who has a pool for that; nothing here blocks.
"""

from __future__ import annotations

from typing import Any

from taskgraph.engine.jobs import Job, WeighedArgument
from taskgraph.errors import UnhashableValueError
from taskgraph.expression import Expression, SchedulerExpression, TaskExpression, find_expressions
from taskgraph.hashing import ATOMIC_TYPES, ValueHash, hash_args, hash_eval, hash_record
from taskgraph.tasks.context import key_in
from taskgraph.tasks.options import with_known
from taskgraph.tasks.signature import BoundArgument
from taskgraph.tasks.task import SchedulerTask
from taskgraph.values import walk
from taskgraph.values.pack import pack_unstored
from taskgraph.values.remote import Remote, remotes_in, weight_of
from taskgraph.values.weigh import Weight
from taskgraph.values.weigh import weigh as weigh_value


def evaluate_inputs(job: Job) -> None:
    """Put the values of its inputs into a ready job: what its function will be called with."""
    expr = job.expr
    assert isinstance(expr, TaskExpression)
    if job.lazy_options or job.lazy_exports:
        _evaluate_options(job)
    given = expr.kwargs
    if isinstance(expr, SchedulerExpression):
        job.args, job.kwargs = expr.args, given
        return
    if job.task.binder.lazy_defaults:
        given = {**given, **job.lazy_defaults()}
    if job.wait is None:  # there is no expression in its arguments
        job.args, job.kwargs = expr.args, given
        return
    assert job.owner is not None
    resolved = job.owner.resolved
    job.args = tuple([resolved(each) for each in expr.args])
    job.kwargs = {name: resolved(each) for name, each in given.items()}


def _evaluate_options(job: Job) -> None:
    assert job.owner is not None
    resolved, name = job.owner.resolved, job.task.fullname
    known = {option: resolved(each) for option, each in job.lazy_options.items()}
    job.options = with_known(name, job.options, known)
    job.settle_recording()
    # The calls below get what it came to: they must not wait for what they are needed for.
    handed_on = {option: resolved(each) for option, each in job.lazy_exports.items()}
    job.exported = with_known(name, job.exported, handed_on)


def find_live_arguments(job: Job) -> list[Any]:
    """Return the files and the like in the arguments of a job, to be looked at before weighing.

    They may have changed since anybody looked, also those that other calls gave. What a call gave
    as a whole keeps the hash that it had there all the same.
    """
    live: list[Any] = []
    if not job.kwargs and ATOMIC_TYPES.issuperset(map(type, job.args)):
        return live
    for value in (*job.args, *job.kwargs.values()):
        if type(value) not in ATOMIC_TYPES:
            live += walk.find_live(value)
    return live


def weigh(job: Job) -> None:
    """Hash a job's arguments and make its args_hash, eval_hash and call_key.

    Those of a call that leaves no rows need no hash: nobody will ask for it by them.

    Raises:
        UnhashableValueError: An argument has no stable hash; names the path to it.
        TypeError: The arguments do not fit the signature.
    """
    expr = job.expr
    assert isinstance(expr, TaskExpression)
    binder = job.task.binder
    values = binder.bind(job.args, job.kwargs)
    job_infos = binder.job_infos
    if not job.is_recorded:
        job.arguments = [_unrecorded(job, e) for e in values if e[0].label not in job_infos]
        return
    given = values
    if job.wait is not None:  # what was written down is something else than the values
        given = binder.bind(expr.args, {**job.lazy_defaults(), **expr.kwargs})
    ignored = binder.ignored
    weighed: list[WeighedArgument] = []
    labels: list[tuple[str, str]] = []
    for ((label, position, key), value), (_, raw) in zip(values, given, strict=True):
        if label in job_infos:
            continue
        argument = WeighedArgument(position, key, raw, value, None, False)
        weighed.append(argument)
        if label in ignored:
            _weigh_ignored(argument)
        elif raw is value and type(value) in ATOMIC_TYPES:
            argument.weight = weigh_value(value)
            labels.append((label, argument.weight.value_hash))
            continue
        else:
            argument.weight = _weigh_argument(job, argument, label)
            labels.append((label, argument.weight.value_hash))
        _note_remotes(job, argument)
    job.arguments = weighed
    job.args_hash = hash_args(labels)
    job.eval_hash = hash_eval(job.task_hash, job.args_hash)
    context = job.context
    job.call_key = key_in(job.eval_hash, context) if context.is_inner else job.eval_hash
    if isinstance(job.task, SchedulerTask) and job.task.is_told_of_job:
        # It may look at who calls it: calls of others are not equal to its own.
        job.call_key += f" for {job.id if job.owner is None else job.owner.id}"
    if job.is_aftermath:  # what it is equal to may have been given up because of the failure
        job.call_key = f"after a failure {job.call_key}"


def _unrecorded(job: Job, bound: BoundArgument) -> WeighedArgument:
    (_, position, key), value = bound
    argument = WeighedArgument(position, key, value, value, None, False)
    if "retries" in job.options:  # whether an attempt changed it is to be seen
        _weigh_ignored(argument)
    return argument


def _weigh_argument(job: Job, argument: WeighedArgument, label: str) -> Weight:
    raw = argument.given
    if argument.value is not raw and job.owner is not None:
        nodes = [job.owner.nodes[id(each)] for each in find_expressions(raw)]
        if isinstance(raw, Expression):
            node = nodes[0]
            if node.value_hash is not None and not node.is_reread and not job.is_given_anew:
                argument.is_stored = isinstance(node, Job)  # one that leaves no rows has no hash
                job.is_uncacheable |= node.is_unstored
                return Weight(node.value_hash)
        if any(node.is_unstored for node in nodes):
            # What is made of a value without a hash has none either: it is named by this job.
            job.is_uncacheable = True
            name = ValueHash(hash_record("unstored argument", job.id, label))
            argument.packed = pack_unstored(argument.value, name)
            return Weight(name)
    try:
        return weight_of(argument.value, f"args.{label.lstrip('*')}")
    except Exception:
        if not isinstance(job.expr, SchedulerExpression):
            raise
        # A scheduler task is given calls and not values. What has no hash in them is the calls'
        # own affair: config_args do not count there, and `catch` may recover from the rest.
        job.is_uncacheable = True
        name = ValueHash(hash_record("unstored argument", job.id, label))
        argument.packed = pack_unstored(argument.value, name)
        return Weight(name)


def _weigh_ignored(argument: WeighedArgument) -> None:
    try:
        argument.weight = weight_of(argument.value)
    except UnhashableValueError:
        argument.weight = None


def _note_remotes(job: Job, argument: WeighedArgument) -> None:
    """Take note of the calls that gave the values elsewhere that stand in an argument."""
    weight, is_one = argument.weight, type(argument.value) is Remote
    if weight is None or not (is_one or weight.subvalues):
        return
    remotes = list(remotes_in(argument.value, weight))
    job.is_uncacheable |= any(each.is_unstored or each.value_hash is None for each in remotes)
    calls = [each.call_hash for each in remotes if each.call_hash is not None]
    argument.upstream = list(dict.fromkeys(calls))
    # Under its own hash is the value itself: nothing may be stored there for what stands for it.
    argument.is_stored |= is_one
