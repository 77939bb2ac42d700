"""What runs on Dask's workers: one call, weighed where it ran.

It never decides by itself: whether a call must run is known to the process that submitted it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distributed import Worker, WorkerPlugin

from taskgraph.errors import WorkerCodeError, WorkerProjectError
from taskgraph.executors.carried import PartKeys
from taskgraph.executors.code import differing
from taskgraph.executors.dask.talk import Talk
from taskgraph.fingerprint.project import Project, current_project, use_project
from taskgraph.outputs.place import OutputPlace, reached
from taskgraph.outputs.streams import captured
from taskgraph.ports import Call, Raised, Returned
from taskgraph.records import JobId
from taskgraph.tasks.functions import task_of
from taskgraph.values import codec
from taskgraph.values.pack import pack_or_name
from taskgraph.values.places import FilePlaces, current_places, use_places
from taskgraph.values.stored import PackedValue
from taskgraph.values.valuestore import ValueStore
from taskgraph.values.weigh import weigh
from taskgraph.worker import run_call


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is told of a call besides function and arguments.

    Attributes:
        topic: Where the process that submitted it listens.
        job_id: The call, as that process knows it.
        fullname: What is called.
        max_size: How many bytes a result may have that is stored.
        store: Where large values are put.
        host: The machine of who submits it.
        parts: Hash, name and kind of what another process may have otherwise.
        surroundings: How files and code are known there.
        is_decided: Whether it is known already that the call must run.
        output: Where what it prints is kept.
    """

    topic: str
    job_id: JobId
    fullname: str
    max_size: int | None
    store: ValueStore | None
    host: str
    parts: PartKeys
    surroundings: tuple[FilePlaces, Project]
    is_decided: bool
    output: OutputPlace | None = None


class Surroundings(WorkerPlugin):
    """Has each worker see files and code as the process that submits calls does."""

    name = "taskgraph"

    def __init__(self, places: FilePlaces, project: Project) -> None:
        self.places = places
        self.project = project

    def setup(self, worker: Worker) -> None:
        """Begin to."""
        use_places(self.places)
        use_project(self.project)


def as_sent(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return what of a function travels: itself by its name, where a worker can import that."""
    function = task_of(func).func
    assert function is not None
    is_named = hasattr(func, "__taskgraph_task__") and "<" not in func.__qualname__
    return func if is_named and func.__module__ != "__main__" else function


def run_order(
    order: Order,
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    unweighed: Sequence[Any],
) -> Any:
    """Run a call, or return what an equal one returned; raises what the function raises."""
    talk = Talk(order.topic, order.fullname)
    others = _check(order, talk.worker.address, func)
    inputs: list[PackedValue] = []
    store = None if order.store is None else order.store.across(order.host)
    if not order.is_decided:
        weights = [weigh(each) for each in unweighed]
        answer = talk.ask([each.value_hash for each in weights])
        if answer.word == "value":
            return codec.loads(answer.content)
        # Now, for the function may change them in place.
        pairs = zip(unweighed, weights, strict=True)
        inputs = [pack_or_name(each, weight, order.max_size, store) for each, weight in pairs]
    function = task_of(func).func
    assert function is not None
    call = Call(order.job_id, order.fullname, function, tuple(args), dict(kwargs), order.max_size)
    call = call._replace(value_store=store, output=reached(order.output))
    with captured():
        outcome = run_call(call)
    if others and isinstance(outcome, Returned):
        outcome = replace(outcome, packed=None, unstored=others)
    talk.tell(outcome, inputs)
    if isinstance(outcome, Raised):
        raise outcome.error
    return outcome.value


def _check(order: Order, address: str, func: Callable[..., Any]) -> str:
    """Refuse to run other code, or with other files, than the call is known by.

    Returns:
        Why the result is not to be kept all the same; "" for nothing.
    """
    if (current_places(), current_project()) != order.surroundings:
        raise WorkerProjectError(order.fullname, address)
    others = differing(func, order.parts)
    if others.code:
        raise WorkerCodeError(order.fullname, address, others.code)
    if not others.values:
        return ""
    return f"{', '.join(others.values)} holds something else on the worker {address} than here"
