"""A value that lies in many others, as a reference that each of a thousand samples names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from taskgraph import File, Scheduler, task
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.dataflow.conditions import MANY
from taskgraph_backend.dataflow.nodes import ArgumentValue, CallNodeValue, DataflowNode
from taskgraph_backend.dataflow.walking import walk_dataflow
from taskgraph_backend.reader import Reader
from tests.flows.naive import keys_of, walk_naively
from tests.flows.workflows import Lab, Sample, double, total


@task(namespace="flows", version="1")
def sample(number: int, ref: File) -> Any:
    return Sample(ref, {"all": [double(number), ref]})  # type: ignore[arg-type, list-item]


@task(namespace="flows", version="1")
def first_of(sample: Sample) -> Any:
    return double(sample.index["all"][0])  # type: ignore[arg-type]


@task(namespace="flows", version="1")
def count(samples: list[Sample]) -> int:
    return len(samples)


@task(namespace="flows", version="1")
def all_samples(ref: File, number: int) -> Any:
    samples = [sample(each, ref) for each in range(number)]
    return [count(samples), total([first_of(each) for each in samples])]


@contextmanager
def _reader(folder: Path, number: int) -> Iterator[Reader]:
    backend = SqlBackend()
    with Scheduler(backend=backend, executor="inline") as scheduler:
        lab = Lab(folder, backend, scheduler)
        lab.run(all_samples(lab.file("ref"), number))
        with backend.reader() as reader:
            yield reader
    backend.close()


def _reference(reader: Reader) -> models.Value:
    return reader.scalars(select(models.Value).join(models.File)).one()


@pytest.mark.parametrize("scope", [None, f"{1:032x}"], ids=["all", "one execution"])
def test_what_lies_in_many_values_goes_by_the_rules(tmp_path: Path, scope: str | None) -> None:
    with _reader(tmp_path, MANY + 2) as reader:
        ref = _reference(reader)
        calls = list(reader.scalars(select(models.CallNode)))
        of = {call.task_name: call for call in calls}
        starts: list[DataflowNode] = [
            ref,
            CallNodeValue(of["flows.sample"], ref),
            ArgumentValue(of["flows.first_of"].arguments[0], ref),
            ArgumentValue(of["flows.count"].arguments[0], ref),
        ]

        for start in starts:
            for down in (False, True):
                asked: dict[str, Any] = {"down": down, "all": scope is None, "execution_id": scope}
                found = keys_of(walk_dataflow(reader, start, **asked))

                assert found == keys_of(walk_naively(reader, start, **asked))


def test_twice_as_many_cost_no_more_than_thrice(tmp_path: Path) -> None:
    taken = []

    for number in (100, 200):
        with _reader(tmp_path, number) as reader:
            ref = _reference(reader)
            steps = [0]

            def note(steps: list[int] = steps) -> None:
                steps[0] += 1

            connection: Any = reader.connection().connection.driver_connection
            connection.set_progress_handler(note, 1000)
            list(walk_dataflow(reader, ref, down=True, execution_id=f"{1:032x}"))
            connection.set_progress_handler(None, 0)
            taken.append(steps[0])

    assert taken[1] < 3 * taken[0], taken
