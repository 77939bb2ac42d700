"""Each small workflow on each executor: what it gives, what it calls, and what runs again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from taskgraph import Scheduler
from taskgraph.hashing import CallHash
from taskgraph.tasks.registry import get_task_registry
from taskgraph.tasks.task import SchedulerTask
from taskgraph.testing import MemoryBackend
from taskgraph.worker import describe_error
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.language.conftest import ALL
from tests.language.workflows import WORKFLOWS, Workflow

# A call on these takes a second: what is run there goes each way that a call can go.
_SOME = frozenset({"catch recovers"})
_MORE = _SOME | {
    "a call of a call",
    *(
        "a default",
        "a container as argument",
        "a dataclass as result",
        "calls of calls in a result",
    ),
    *("recursion", "equal calls run once", "a task as argument", "a task as result"),
    *("a partial task as argument", "cond takes one branch", "an error below"),
    *("catch_all recovers", "map_ of a call", "maps of maps are one", "map_ of a failing task"),
    *("prov=False around calls", "no_prov", "as_task of a lambda", "apply_func of a function here"),
    *("eval_", "a generator catches", "seq"),
}
REMOTE = {"loky": _MORE, "dask": _MORE, "submitit": _SOME}


def short(name: str) -> str:
    return name.removeprefix("taskgraph.").removeprefix("language.")


def graph_of(backend: MemoryBackend, call: CallHash) -> str:
    """Return a call with the calls within it, in their order, as text."""
    edges = sorted(
        (e for e in backend.call_edges if e.parent_id == call), key=lambda e: e.call_order
    )
    inside = ", ".join(graph_of(backend, each.child_id) for each in edges)
    name = short(backend.call_nodes[call].task_name)
    return f"{name}({inside})" if inside else name


def bodies_that_ran(backend: MemoryBackend, before: set[str]) -> Counter[str]:
    find = get_task_registry().get
    names = []
    for job in backend.jobs.values():
        task = backend.tasks[job.task_hash]
        name = f"{task.namespace}.{task.name}"
        if job.id not in before and not job.cached and not isinstance(find(name), SchedulerTask):
            names.append(short(name))
    return Counter(names)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda each: each.name)
def test_a_workflow_gives_and_calls_what_it_should(
    scheduler: Scheduler, backend: MemoryBackend, workflow: Workflow
) -> None:
    assert_is_as_it_should(scheduler, backend, workflow)


# A job of submitit takes a second: a recursion of 200 of them, one after the other, minutes.
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda each: each.name)
def test_a_workflow_is_the_same_where_others_run_its_calls(
    remote_scheduler: Scheduler, workflow: Workflow
) -> None:
    if not ALL and workflow.name not in REMOTE[remote_scheduler.default_executor]:
        pytest.skip("all of them with TASKGRAPH_TORTURE=1")
    backend = remote_scheduler.backend = MemoryBackend()

    assert_is_as_it_should(remote_scheduler, backend, workflow)


def assert_is_as_it_should(
    scheduler: Scheduler, backend: MemoryBackend, workflow: Workflow
) -> None:
    if workflow.raises:
        for _ in range(2):  # errors are never taken from the records
            with pytest.raises(BaseException) as caught:
                scheduler.run(workflow.write())
            assert describe_error(caught.value).startswith(workflow.raises)
        return

    assert scheduler.run(workflow.write()) == workflow.gives
    (root,) = [each for each in backend.jobs.values() if each.parent_id is None]
    assert root.call_hash is not None
    if workflow.calls:
        assert graph_of(backend, root.call_hash) == workflow.calls

    before = set(backend.jobs)
    assert scheduler.run(workflow.write()) == workflow.gives
    assert bodies_that_ran(backend, before) == Counter(workflow.again)


@pytest.fixture(scope="module")
def on_a_database() -> Iterator[Scheduler]:
    """One scheduler, which is given one database after the other."""
    with Scheduler(backend=MemoryBackend(), executor="inline") as made:
        yield made


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda each: each.name)
def test_a_workflow_is_recorded_alike_in_each_database(
    on_a_database: Scheduler, sql_backend: SqlBackend, workflow: Workflow
) -> None:
    on_a_database.backend = sql_backend
    for _ in range(2):
        if workflow.raises:
            with pytest.raises(BaseException) as caught:
                on_a_database.run(workflow.write())
            assert describe_error(caught.value).startswith(workflow.raises)
        else:
            assert on_a_database.run(workflow.write()) == workflow.gives

    assert check(sql_backend) == []
    if workflow.calls:
        driver = sql_backend._connection()
        names = [
            short(name)
            for (name,) in driver.execute(
                "SELECT c.task_name FROM call_node c WHERE EXISTS (SELECT 1 FROM job j"
                " WHERE j.call_hash = c.call_hash)"
            )
        ]
        assert set(re.findall(r"[\w.]+", workflow.calls)) <= {*names, ""}


def test_there_are_many_workflows_each_with_a_name_of_its_own() -> None:
    names = [each.name for each in WORKFLOWS]

    assert len(names) >= 100
    assert len(set(names)) == len(names)
