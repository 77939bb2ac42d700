"""Temporary files that were deleted: nobody misses them until somebody must read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, Scheduler, catch, cond, scheduler_task
from taskgraph.events import CacheEntryRefused
from taskgraph.functools import const, identity
from taskgraph.testing import MemoryBackend, RecordingObserver
from taskgraph.values.places import FilePlaces, use_places
from tests.language.file_tasks import (
    content,
    derive,
    fail_the_second_time,
    length,
    lengths,
    pass_on,
    write_inside,
    write_random,
    write_temp,
)
from tests.language.tasks import inc


@pytest.fixture(autouse=True)
def places(tmp_path: Path) -> Iterator[None]:
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    yield
    use_places(before)


class Space:
    """A folder for files, and a list of what ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = str(folder / "log")
        Path(self.log).touch()

    def path(self, name: str = "a") -> str:
        return str(self.folder / name)

    def remove(self, *names: str) -> None:
        for name in names or ("a",):
            (self.folder / name).unlink()

    def exists(self, name: str = "a") -> bool:
        return (self.folder / name).exists()

    def ran(self) -> list[str]:
        """Return what ran since the last time."""
        words = Path(self.log).read_text().splitlines()
        Path(self.log).write_text("")
        return words


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path)


def test_a_deleted_temporary_file_is_not_missed_while_all_is_recorded(
    scheduler: Scheduler, space: Space
) -> None:
    call = lambda: length(write_temp(space.path(), "xyz", space.log), 1, space.log)  # noqa: E731
    assert (scheduler.run(call()), space.ran()) == (3, ["temp xyz", "length 1"])

    space.remove()

    assert (scheduler.run(call()), space.ran()) == (3, [])
    assert not space.exists()


def test_a_plain_file_is_missed(scheduler: Scheduler, space: Space) -> None:
    made = write_temp(space.path(), "xyz", space.log)
    scheduler.run(length(made, 1, space.log))
    Path(space.path()).write_text("edited")
    space.ran()

    scheduler.run(length(made, 1, space.log))

    assert space.ran() == ["temp xyz"]


def test_it_is_made_again_for_a_call_that_must_read_it(scheduler: Scheduler, space: Space) -> None:
    def run(times: int) -> int:
        made = write_temp(space.path(), "xyz", space.log)
        return scheduler.run(length(made, times, space.log))

    run(1)
    space.remove()
    space.ran()

    assert (run(2), space.ran()) == (6, ["temp xyz", "length 2"])
    assert space.exists()
    assert (run(1), run(2), space.ran()) == (3, 6, [])


def test_a_chain_of_them_is_made_again_from_the_first_that_is_missing(
    scheduler: Scheduler, space: Space
) -> None:
    def run(times: int) -> int:
        first = write_temp(space.path("a"), "xyz", space.log)
        second = derive(first, space.path("b"), space.log)
        third = derive(second, space.path("c"), space.log)
        return scheduler.run(length(third, times, space.log))

    assert run(1) == 5
    space.ran()
    space.remove("a", "b", "c")

    assert (run(1), space.ran()) == (5, [])
    assert run(2) == 10
    assert space.ran() == ["temp xyz", "derive b", "derive c", "length 2"]
    space.remove("a", "c")
    assert (run(3), space.ran()) == (15, ["derive c", "length 3"])
    assert not space.exists("a")


def test_what_several_calls_need_is_made_again_once(scheduler: Scheduler, space: Space) -> None:
    def run(*times: int) -> list[int]:
        made = write_temp(space.path(), "xyz", space.log)
        return scheduler.run([length(made, each, space.log) for each in times])

    run(1)
    space.remove()
    space.ran()

    assert run(1, 2, 3) == [3, 6, 9]
    assert sorted(space.ran()) == ["length 2", "length 3", "temp xyz"]


@pytest.mark.parametrize("shape", ["passed on", "inside", "listed", "twice passed on"])
def test_it_is_made_again_whatever_way_it_came(
    scheduler: Scheduler, space: Space, shape: str
) -> None:
    def run(times: int) -> int:
        path, log = space.path(), space.log
        match shape:
            case "passed on":
                return scheduler.run(length(pass_on(write_temp(path, "xyz", log), log), times, log))
            case "inside":
                return scheduler.run(length(write_inside(path, "xyz", log), times, log))
            case "listed":
                return scheduler.run(lengths([write_temp(path, "xyz", log)], times, log))
            case _:
                made = pass_on(pass_on(write_inside(path, "xyz", log), log), log)
                return scheduler.run(lengths([made, made], times, log))

    first = run(1)
    space.ran()
    space.remove()

    assert (run(1), space.ran()) == (first, [])
    assert run(2) == 2 * first
    assert space.ran()[0] == "temp xyz" and len(space.ran()) == 0
    space.remove()
    assert (run(1), run(2), space.ran()) == (first, 2 * first, [])


def test_it_is_made_again_for_whole_calls_that_were_reused(
    scheduler: Scheduler, space: Space
) -> None:
    shallow = write_inside.options(check_valid="shallow")

    def run(times: int) -> int:
        return scheduler.run(length(shallow(space.path(), "xyz", space.log), times, space.log))

    run(1)
    space.remove()
    space.ran()

    assert (run(1), space.ran()) == (3, [])
    assert run(2) == 6
    assert space.ran() == ["inside", "temp xyz", "length 2"]


def test_what_a_run_returns_is_needed(scheduler: Scheduler, space: Space) -> None:
    def run() -> list[File]:
        return scheduler.run([write_temp(space.path(), "xyz", space.log)])

    run()
    space.remove()
    space.ran()

    assert run()[0].read() == "xyz"
    assert space.ran() == ["temp xyz"]


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda made: made.read(), "xyz"),
        (lambda made: made.exists(), True),
        (lambda made: made.stage("b").stage().read(), "xyz"),
        (lambda made: const(made.path, 1), None),
        (lambda made: {"a": [made]}, None),
    ],
)
def test_operators_that_may_read_it_need_it(
    scheduler: Scheduler,
    space: Space,
    use: Callable[[Any], Any],
    expected: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(space.folder)
    scheduler.run(write_temp(space.path(), "xyz", space.log))
    space.ran()
    space.remove()

    given = scheduler.run(use(write_temp(space.path(), "xyz", space.log)))

    assert space.ran() == ["temp xyz"]
    assert space.exists()
    assert expected is None or given == expected


def test_operators_that_only_pass_it_on_do_not_need_it(
    scheduler: Scheduler, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(space.folder)

    def run(times: int) -> int:
        both = identity([write_temp(space.path(), "xyz", space.log), 1])
        return scheduler.run(length(both[0].stage("b").remote, times, space.log))

    run(1)
    space.ran()
    space.remove()

    assert (run(1), space.ran()) == (3, [])
    assert (run(2), space.ran()) == (6, ["temp xyz", "length 2"])


@scheduler_task(namespace="temporary", version="1")
def measure_and_read(file: Any, log: str) -> Any:
    found = yield length(file, 1, log)
    return found, (yield file).read()


@scheduler_task(namespace="temporary", version="1")
def look_inside(file: Any) -> Any:
    found = yield file
    return found.read()


def test_scheduler_tasks_that_may_read_it_need_it(scheduler: Scheduler, space: Space) -> None:
    def made() -> Any:
        return write_temp(space.path(), "xyz", space.log)

    scheduler.run(look_inside(made()))
    space.remove()
    space.ran()

    assert scheduler.run(look_inside(made())) == "xyz"
    assert space.ran() == ["temp xyz"]


@pytest.mark.parametrize("is_chosen", [False, True])
def test_what_a_scheduler_task_asked_for_may_be_read_by_it_later(
    scheduler: Scheduler, space: Space, is_chosen: bool
) -> None:
    def run() -> Any:
        made = write_temp(space.path(), "xyz", space.log)
        if is_chosen:
            return scheduler.run(cond(length(made, 1, space.log) == 3, made.read(), "other"))
        return scheduler.run(measure_and_read(made, space.log))

    first = run()
    space.remove()
    space.ran()

    assert run() == first
    assert space.ran() == ["temp xyz"]


def test_catching_only_passes_it_on(scheduler: Scheduler, space: Space) -> None:
    def run(times: int) -> int:
        made = write_temp(space.path(), "xyz", space.log)
        return scheduler.run(catch(length(made, times, space.log), ValueError, inc))

    run(1)
    space.remove()
    space.ran()

    assert (run(1), space.ran()) == (3, [])
    assert (run(2), space.ran()) == (6, ["temp xyz", "length 2"])


def test_choosing_only_passes_it_on(scheduler: Scheduler, space: Space) -> None:
    def run(times: int) -> int:
        made = cond(True, write_temp(space.path(), "xyz", space.log), None)
        return scheduler.run(length(made, times, space.log))

    run(1)
    space.remove()
    space.ran()

    assert (run(1), space.ran()) == (3, [])
    assert (run(2), space.ran()) == (6, ["temp xyz", "length 2"])


def test_an_equal_call_that_is_needed_is_not_answered_by_one_that_is_not(
    scheduler: Scheduler, space: Space
) -> None:
    def made() -> Any:
        return write_temp(space.path(), "xyz", space.log)

    def run() -> Any:
        recorded = length(made(), 1, space.log)
        return scheduler.run(cond(recorded == 3, made().read(), "other"))

    run()
    space.remove()
    space.ran()

    assert run() == "xyz"
    assert space.ran() == ["temp xyz"]


def test_a_call_is_recorded_with_what_it_was_given_if_that_came_out_differently(
    scheduler: Scheduler, space: Space
) -> None:
    def run(times: int) -> str:
        made = write_random(space.path(), space.log)
        return scheduler.run(content(pass_on(made, space.log), times, space.log))

    before = run(1)
    space.remove()
    space.ran()

    after = run(2)
    assert after != 2 * before
    assert after == 2 * Path(space.path()).read_text()
    space.ran()
    assert 2 * run(1) == run(2) == after
    assert space.ran() == ["pass on", "content 1"]


def test_an_edited_one_is_made_again(scheduler: Scheduler, space: Space) -> None:
    call = length(write_temp(space.path(), "xyz", space.log), 1, space.log)
    scheduler.run(call)
    space.ran()

    Path(space.path()).write_text("edited")

    assert scheduler.run(call) == 3
    assert space.ran() == ["temp xyz"]
    assert Path(space.path()).read_text() == "xyz"


def test_a_call_that_cannot_be_made_again_fails_the_one_that_needs_it(
    scheduler: Scheduler, space: Space
) -> None:
    def run(times: int) -> int:
        made = fail_the_second_time(space.path(), space.log)
        return scheduler.run(length(made, times, space.log))

    run(1)
    space.remove()

    assert run(1) == 1
    with pytest.raises(RuntimeError, match="not again"):
        run(2)
    assert space.ran() == ["maybe", "length 1", "maybe"]


def test_one_that_the_caller_wrote_down_and_is_gone_is_a_file_that_is_not_there(
    scheduler: Scheduler, space: Space
) -> None:
    file = File(space.path(), temp=True)
    file.write("xyz")
    assert scheduler.run(length(file, 1, space.log)) == 3
    space.remove()

    assert scheduler.run(length(file, 1, space.log)) == 3
    with pytest.raises(FileNotFoundError):
        scheduler.run(length(file, 2, space.log))
    with pytest.raises(FileNotFoundError):
        scheduler.run(length(File(space.path(), temp=True), 1, space.log))
    Path(space.path()).write_text("four")
    assert scheduler.run(length(File(space.path(), temp=True), 1, space.log)) == 4


def test_it_is_another_value_than_a_plain_file(
    scheduler: Scheduler, backend: MemoryBackend, space: Space
) -> None:
    Path(space.path()).write_text("xyz")
    scheduler.run(length(File(space.path(), temp=True), 1, space.log))
    scheduler.run(length(File(space.path()), 1, space.log))

    assert space.ran() == ["length 1", "length 1"]
    assert {each.path for each in backend.files.values()} == {space.path()}


def test_a_plan_names_the_calls_that_would_be_made_again(
    scheduler: Scheduler, space: Space
) -> None:
    def chain(times: int) -> Any:
        first = write_temp(space.path("a"), "xyz", space.log)
        return length(derive(first, space.path("b"), space.log), times, space.log)

    def planned(times: int) -> list[tuple[str, str]]:
        return [(each.task, each.reason) for each in scheduler.plan(chain(times)).calls]

    scheduler.run(chain(1))
    space.remove("a", "b")

    assert planned(1) == []
    again = [("files.write_temp", "INVALID"), ("files.derive", "INVALID")]
    assert planned(2) == [*again, ("files.length", "ABSENT")]
    assert scheduler.plan(chain(2)).cached == {}
    scheduler.run(chain(2))
    space.remove("a")
    assert planned(3) == [("files.length", "ABSENT")]
    space.ran()
    scheduler.run(chain(3))
    assert space.ran() == ["length 3"]


def test_why_a_call_was_made_again_is_told(
    scheduler: Scheduler, seen: RecordingObserver, space: Space
) -> None:
    made = write_temp(space.path(), "xyz", space.log)
    scheduler.run(length(made, 1, space.log))
    space.remove()

    scheduler.run(length(made, 2, space.log))

    refused = [each for each in seen.events if isinstance(each, CacheEntryRefused)]
    assert [each.task for each in refused] == ["files.write_temp"]
    assert refused[0].reason.endswith(f"{space.path()}: it is not there any more")
