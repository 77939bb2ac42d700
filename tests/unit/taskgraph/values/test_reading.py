"""The pool that reads files for their hashes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from taskgraph.values.directories import Dir
from taskgraph.values.files import File
from taskgraph.values.kinds import ValueKind
from taskgraph.values.places import FilePlaces, current_places, use_places
from taskgraph.values.reading import ReadingPool, _announcement
from taskgraph.values.registry import register


@pytest.fixture(autouse=True)
def _places(tmp_path: Path) -> Iterator[None]:
    before = use_places(FilePlaces({"project": tmp_path}, cache_dir=tmp_path / "cache"))
    yield
    use_places(before)


@pytest.fixture
def pool() -> Iterator[ReadingPool]:
    pool = ReadingPool(workers=2)
    yield pool
    pool.stop()


def read_all(pool: ReadingPool, values: list[Any]) -> BaseException | None:
    answers: Queue[BaseException | None] = Queue()
    pool.submit(values, answers.put)
    return answers.get(timeout=30)


class Gate:
    """A value whose reading waits until it is let through."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.open = threading.Event()
        self.thread: str | None = None


class GateKind(ValueKind):
    name = "test.Gate"

    def read(self, value: Gate, progress: Any = None) -> None:
        value.thread = threading.current_thread().name
        value.started.set()
        while not value.open.wait(0.001):
            progress(1)


register(Gate, GateKind())


def test_files_are_read_and_one_answer_is_given(pool: ReadingPool, tmp_path: Path) -> None:
    files = []
    for i in range(20):
        (tmp_path / f"f{i}").write_text(str(i))
        files.append(File(tmp_path / f"f{i}"))

    assert read_all(pool, files) is None

    assert all(file.seen is not None for file in files)


def test_an_empty_list_is_answered(pool: ReadingPool) -> None:
    assert read_all(pool, []) is None


def test_values_that_need_no_reading_are_answered(pool: ReadingPool) -> None:
    assert read_all(pool, [1, "a"]) is None


def test_reading_is_never_on_the_callers_thread(pool: ReadingPool) -> None:
    gate = Gate()
    answered = threading.Event()

    pool.submit([gate], lambda error: answered.set())

    assert gate.started.wait(30)
    assert not answered.is_set()
    gate.open.set()
    assert answered.wait(30)
    assert gate.thread is not None and gate.thread.startswith("taskgraph-reading")


def test_an_error_is_handed_over_once_and_the_pool_goes_on(
    pool: ReadingPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied. secret")

    bad = [File(tmp_path / "bad"), File(tmp_path / "worse")]
    with monkeypatch.context() as patch:
        patch.setattr(File, "look", refuse)
        error = read_all(pool, bad)
    (tmp_path / "good").write_text("x")

    assert isinstance(error, PermissionError)
    assert read_all(pool, [File(tmp_path / "good")]) is None


def test_an_error_while_planning_is_handed_over(
    pool: ReadingPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> int:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Dir, "bytes_to_read", refuse)

    assert isinstance(read_all(pool, [Dir(tmp_path)]), PermissionError)


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 10)
    told: list[tuple[int, int]] = []
    pool = ReadingPool(workers=1, progress=lambda done, total: told.append((done, total)))

    assert read_all(pool, [File(tmp_path / "a"), File(tmp_path / "b")]) is None
    pool.stop()

    assert told[-1] == (3_000_010, 3_000_010)
    assert all(done <= total for done, total in told)


def test_much_to_read_is_announced_with_time_and_setting(tmp_path: Path) -> None:
    (tmp_path / "a.bam").write_bytes(b"x" * 3000)
    use_places(FilePlaces({}, ask_above=1000, cache_dir=tmp_path / "cache"))
    told: list[str] = []
    pool = ReadingPool(announce=told.append)

    read_all(pool, [File(tmp_path / "a.bam")])
    pool.stop()

    assert len(told) == 1
    assert "a.bam" in told[0] and '[files.policies] "*.bam" = "stat"' in told[0]


@pytest.mark.parametrize(
    ("size", "words"), [(10**9, "1 s"), (4 * 10**12, "1 h 10 min"), (10**13, "2 h 50 min")]
)
def test_the_announced_time_is_readable(size: int, words: str) -> None:
    assert f"about {words}." in _announcement(File("/data/ref"), size, 1e9)


def test_a_policy_avoids_the_announcement(tmp_path: Path) -> None:
    (tmp_path / "a.bam").write_bytes(b"x" * 3000)
    use_places(FilePlaces({}, [("*.bam", "stat")], ask_above=1000, cache_dir=tmp_path / "cache"))
    told: list[str] = []
    pool = ReadingPool(announce=told.append)

    read_all(pool, [File(tmp_path / "a.bam")])
    pool.stop()

    assert told == []


def test_stopping_ends_a_reading_in_its_middle_without_an_answer() -> None:
    pool = ReadingPool(workers=1)
    gate, later = Gate(), Gate()
    answers: list[object] = []
    pool.submit([gate, later], answers.append)
    assert gate.started.wait(30)

    pool.stop()
    pool.stop()

    assert answers == []
    assert not later.started.is_set()
    with pytest.raises(RuntimeError, match="stopped"):
        pool.submit([1], answers.append)


def test_a_callback_may_submit_again(pool: ReadingPool) -> None:
    done = threading.Event()

    pool.submit([1], lambda error: pool.submit([2], lambda error: done.set()))

    assert done.wait(30)


def test_places_are_asked_when_reading(pool: ReadingPool, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    file = File(tmp_path / "a")

    read_all(pool, [file])

    assert current_places().roots["project"] == str(tmp_path)
    assert file.place == ("project", "a")
