"""Tags that workflows put on what they do: on new calls and on those whose results are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, apply_tags, get_context, task
from taskgraph.errors import TagKeyError, TaskOptionError


@task(namespace="tagging", version="1", tags={"stage": "one"})
def inc(x: int) -> int:
    return x + 1


@task(namespace="tagging", version="1")
def checked(x: int) -> int:
    return apply_tags(inc(x), {"quality": "good"}, {"step": x}, {"last": x})


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    with Scheduler(backend=f"sqlite:///{tmp_path}/tags.db") as made:
        made.load()
        yield made


def tags(scheduler: Scheduler, execution_id: str) -> dict[str, Any]:
    """Return the tags of an execution, of its jobs by task, and of the results of those."""
    found: dict[str, Any] = {}
    with scheduler.reading() as reader:
        execution = reader.find(execution_id)
        records = {"execution": execution, **{job.task.name: job for job in execution.jobs}}
        records |= {f"{job.task.name} gave": job.call_node.value for job in execution.jobs}
        for name, record in records.items():
            current = {each.key: each.value for each in record.tags if each.is_current}
            if current:
                found[name] = current
    return found


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_calls_are_tagged_whether_they_run_or_not(scheduler: Scheduler, runs: int) -> None:
    for number in range(runs):
        scheduler.run(checked(1), execution_id=f"{number:032x}", tags={"number": number})

    found = tags(scheduler, f"{runs - 1:032x}")

    assert found["execution"] == {"number": runs - 1, "last": 1}
    assert found["inc"] == {"stage": "one"}
    assert found["checked"] == {"step": 1}
    assert found["checked gave"] == found["inc gave"] == {"quality": "good"}


def test_the_keys_of_the_library_are_refused_wherever_tags_are_given(scheduler: Scheduler) -> None:
    own = {"taskgraph.user": "eve"}

    with pytest.raises(TaskOptionError, match="taskgraph's own"):
        task(namespace="tagging", name="bad", tags=own)(lambda: 1)
    with pytest.raises(TaskOptionError, match="taskgraph's own"):
        inc.options(tags=own)
    with pytest.raises(TagKeyError, match="taskgraph's own"):
        scheduler.run(inc(1), tags=own)
    with pytest.raises(TaskOptionError, match="taskgraph's own"):
        scheduler.run(inc(1), options={"tags": own})
    for where in ("tags", "job_tags", "execution_tags"):
        with pytest.raises(TagKeyError, match="taskgraph's own"):
            scheduler.run(apply_tags(inc(1), **{where: own}))


@pytest.mark.parametrize("key", ["a b", "a=b", ""])
def test_what_is_no_key_is_refused(scheduler: Scheduler, key: str) -> None:
    with pytest.raises(TagKeyError):
        scheduler.run(inc(1), tags={key: 1})


@task(namespace="tagging", version="1")
def where() -> str:
    return get_context("place", "nowhere")


@pytest.mark.parametrize("key", ["taskgraph.context", "context"])
def test_a_call_is_made_again_in_its_context_also_from_older_records(
    scheduler: Scheduler, tmp_path: Path, key: str
) -> None:
    scheduler.run(where(), context={"place": "here"}, execution_id="1" * 32)
    with closing(sqlite3.connect(tmp_path / "tags.db")) as driver:
        driver.execute("UPDATE tag SET key = ? WHERE key = 'taskgraph.context'", (key,))
        driver.commit()
    with scheduler.reading() as reader:
        job = reader.find("1" * 32).job_id

    assert scheduler.run(scheduler.recorded_call(job)) == "here"
