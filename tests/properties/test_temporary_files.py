"""Whatever temporary files are deleted between runs, each run gives what plain Python would."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph import File, Scheduler, task
from taskgraph.testing import MemoryBackend
from taskgraph.values.places import FilePlaces, use_places

EXAMPLES = 600 if os.environ.get("TASKGRAPH_TORTURE") else 15


class Step(NamedTuple):
    """A file: which earlier ones it is made of, whether it is temporary, and passed on."""

    inputs: tuple[int, ...]
    is_temp: bool
    is_passed_on: bool


class Round(NamedTuple):
    """What happens before a run: files are deleted, and steps change."""

    deleted: frozenset[int]
    changed: frozenset[int]


ran: list[str] = []


@task(namespace="temporary", version="1")
def join(path: str, files: list[File], word: str, is_temp: bool) -> File:
    ran.append(path)
    made = File(path, temp=is_temp)
    made.write(word + "(" + ",".join(each.read() for each in files) + ")")
    return made


@task(namespace="temporary", version="1")
def hand_on(files: dict[str, File]) -> dict[str, File]:
    return files


@task(namespace="temporary", version="1")
def read(files: list[File]) -> str:
    return " ".join(each.read() for each in files)


@st.composite
def workflows(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 5))):
        inputs = draw(st.lists(st.integers(0, number - 1), max_size=2)) if number else []
        steps.append(Step(tuple(inputs), draw(st.booleans()), draw(st.booleans())))
    return steps


numbers = st.frozensets(st.integers(0, 4))
rounds = st.lists(st.builds(Round, numbers, numbers), min_size=1, max_size=4)


def expected(steps: list[Step], words: list[str]) -> str:
    made: list[str] = []
    for step, word in zip(steps, words, strict=True):
        made.append(word + "(" + ",".join(made[each] for each in step.inputs) + ")")
    return " ".join(made[-2:])


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=workflows(), history=rounds)
def test_runs_agree_with_plain_python(steps: list[Step], history: list[Round]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Scheduler(backend=MemoryBackend(), executor="inline") as scheduler,
    ):
        before = use_places(FilePlaces(cache_dir=Path(folder, "cache")))
        try:
            check(scheduler, Path(folder), steps, history)
        finally:
            use_places(before)


def check(scheduler: Scheduler, folder: Path, steps: list[Step], history: list[Round]) -> None:
    words = ["w"] * len(steps)
    assert run(scheduler, folder, steps, words) == expected(steps, words)
    for deleted, changed in history:
        for number in deleted:
            (folder / str(number)).unlink(missing_ok=True)
        words = [word + "w" * (i in changed) for i, word in enumerate(words)]
        ran.clear()

        assert run(scheduler, folder, steps, words) == expected(steps, words)

        # Nothing is made twice, and nothing at all a second time.
        assert len(ran) == len(set(ran))
        ran.clear()
        assert run(scheduler, folder, steps, words) == expected(steps, words)
        assert ran == []


def run(scheduler: Scheduler, folder: Path, steps: list[Step], words: list[str]) -> str:
    files = []
    for number, (step, word) in enumerate(zip(steps, words, strict=True)):
        made = join(str(folder / str(number)), [files[i] for i in step.inputs], word, step.is_temp)
        files.append(hand_on({"file": made})["file"] if step.is_passed_on else made)
    return scheduler.run(read(files[-2:]))
