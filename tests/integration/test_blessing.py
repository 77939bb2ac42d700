"""Blessed code in the engine, on a backend in memory that tests may look into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File, Scheduler, task
from taskgraph.engine import blessing
from taskgraph.errors import (
    AmbiguousIdError,
    BlessCheckError,
    BlessRefusedError,
    UnknownAliasError,
    UnknownTaskError,
)
from taskgraph.events import CacheEntryRefused
from taskgraph.records import CacheAnswer
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.testing import MemoryBackend, RecordingObserver
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check as check_soundness

ran: list[str] = []


class CountingBackend(MemoryBackend):
    """Counts the questions that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def check_cache(self, queries: Any) -> list[CacheAnswer]:
        """Answer, and take note."""
        self.asked.append(f"cache {len(queries)}")
        return super().check_cache(queries)

    def load_aliases(self) -> Any:
        """Answer, and take note."""
        self.asked.append("aliases")
        return super().load_aliases()


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> None:
    ran.clear()


@pytest.fixture
def backend() -> CountingBackend:
    return CountingBackend()


@pytest.fixture
def scheduler(backend: CountingBackend) -> Iterator[Scheduler]:
    with Scheduler(backend=backend, executor="inline") as scheduler:
        yield scheduler


def define(name: str, func: Callable[..., Any], **options: Any) -> AnyTask:
    """Define a task whose code is its version: what is said to change does, and nothing else."""
    return task(name=name, namespace="bl", **options)(func)


def bless(backend: Any, old: AnyTask, new: AnyTask) -> None:
    blessing.bless(backend, blessing.defined(old), blessing.defined(new), "me@here", "")


def inc(x: int) -> int:
    ran.append(f"inc {x}")
    return x + 1


def test_a_hit_under_earlier_code_is_a_job_of_that_code(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    second = define("f", inc, version="2")
    bless(backend, first, second)

    assert scheduler.run(second(1)) == 2

    assert ran == ["inc 1"]
    last = list(backend.jobs.values())[-1]
    assert (last.task_hash, last.cached) == (first.hash, True)
    assert {each.task_hash for each in backend.evaluations.values()} == {first.hash}
    assert {each.task_hash for each in backend.call_nodes.values()} == {first.hash}


def test_what_is_there_under_its_own_hash_is_never_looked_up_under_another(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first, second = define("f", inc, version="1"), define("f", inc, version="2")
    scheduler.run([first(1), second(1)])
    bless(backend, first, second)
    backend.asked.clear()

    scheduler.run(second(1))

    assert backend.asked == ["cache 1"]


def test_aliases_cost_one_more_question_for_all_calls_of_a_tick(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    scheduler.run([first(n) for n in range(20)])
    second, third = define("f", inc, version="2"), define("f", inc, version="3")
    bless(backend, first, second)
    bless(backend, second, third)
    backend.asked.clear()

    scheduler.run([third(n) for n in range(20)])

    assert len(ran) == 20
    assert backend.asked == ["cache 20", "aliases", "cache 40"]


def test_equal_calls_of_one_run_are_all_jobs_of_the_earlier_code(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    second = define("f", inc, version="2")
    bless(backend, first, second)
    before = len(backend.jobs)

    scheduler.run([second(1), second(1), second(first(0))])

    new = [each for each in list(backend.jobs.values())[before:] if each.parent_id is not None]
    assert {each.task_hash for each in new} == {first.hash}
    assert ran == ["inc 1", "inc 0"]


def test_a_whole_call_is_trusted_if_all_below_it_is_blessed(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    top = define("top", lambda x: first(x), version="1", check_valid="shallow")
    scheduler.run(top(1))
    second = define("f", inc, version="2")
    bless(backend, first, second)
    before = len(backend.jobs)

    scheduler.run(top(1))
    blessed = len(backend.jobs) - before
    blessing.unbless(backend, "bl.f", None, "me")
    scheduler.run(top(1))
    unblessed = len(backend.jobs) - before - blessed

    # Only the whole call, and then the call with the one below it.
    assert (blessed, unblessed) == (1, 2)
    assert ran == ["inc 1", "inc 1"]


def test_a_call_below_blessed_code_that_changed_is_made_anew(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    inner = define("inner", inc, version="1")
    first = define("f", lambda x: inner(x), version="1")
    assert scheduler.run(first(1)) == 2
    second = define("f", lambda x: inner(x), version="2")
    define("inner", lambda x: x + 100, version="2")
    bless(backend, first, second)

    assert scheduler.run(second(1)) == 101

    names = {each.task_hash: each.task_name for each in backend.call_nodes.values()}
    assert names[first.hash] == "bl.f"
    assert second.hash not in names


def test_an_earlier_result_that_is_no_longer_valid_is_made_by_the_later_code(
    scheduler: Scheduler, backend: CountingBackend, tmp_path: Path
) -> None:
    path = tmp_path / "out.txt"

    def write(x: int) -> File:
        ran.append("write")
        file = File(str(path))
        file.write("content")
        return file

    observer = RecordingObserver()
    scheduler.observers.append(observer)
    first, second = define("w", write, version="1"), define("w", write, version="2")
    scheduler.run(first(1))
    bless(backend, first, second)
    path.unlink()

    scheduler.run(second(1))

    assert ran == ["write", "write"]
    assert list(backend.jobs.values())[-1].task_hash == second.hash
    assert observer.of(CacheEntryRefused)


def test_a_renamed_task_is_found_by_the_results_that_call_it(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    old = define("old", inc, version="1")
    top = define("top", lambda x: old(x) * 10, version="1")
    scheduler.run(top(1))
    new = define("new", inc, version="1")
    bless(backend, old, new)
    del get_task_registry()._tasks["bl.old"]

    assert scheduler.run(top(1)) == 20
    assert ran == ["inc 1"]


def test_a_database_is_sound_with_blessed_results_in_it(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'x.db'}"
    with SqlBackend(uri) as backend, Scheduler(backend=backend, executor="inline") as scheduler:
        old = define("old", inc, version="1")
        top = define("top", lambda x: [old(x), old(x + 1)], version="1", check_valid="shallow")
        scheduler.run(top(1))
        new = define("new", inc, version="2")
        bless(backend, old, new)
        del get_task_registry()._tasks["bl.old"]
        results = [scheduler.run(top(1)), scheduler.run([new(1), new(5)])]
        problems = check_soundness(backend)

    assert results == [[2, 3], [2, 6]]
    assert ran == ["inc 1", "inc 2", "inc 5"]
    assert problems == []


# Making aliases, and checking them


def test_blessing_twice_is_once(scheduler: Scheduler, backend: CountingBackend) -> None:
    first, second = define("f", inc, version="1"), define("f", inc, version="2")
    scheduler.run(first(1))

    bless(backend, first, second)
    bless(backend, first, second)

    assert len(backend.load_aliases()) == 1


def test_the_same_code_is_not_blessed(backend: CountingBackend) -> None:
    first = define("f", inc, version="1")

    with pytest.raises(BlessRefusedError, match="same code already"):
        bless(backend, first, first)


def test_an_alias_that_is_not_there_cannot_be_taken_back(backend: CountingBackend) -> None:
    with pytest.raises(UnknownAliasError, match=r"bl\.f is not blessed for bl\.g"):
        blessing.unbless(backend, "bl.f", "bl.g", "me")


def test_a_version_is_the_last_run_one_and_digits_must_mean_one(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first, second = define("f", inc, version="1"), define("f", inc, version="2")
    scheduler.run(first(1))
    scheduler.run(second(1))
    scheduler.run(first(1))

    assert blessing.recorded(backend, "bl.f").hash == first.hash
    assert blessing.recorded(backend, "bl.f", first.hash).hash == second.hash
    assert blessing.recorded(backend, second.hash[:8]).fullname == "bl.f"
    with pytest.raises(UnknownTaskError):
        blessing.recorded(backend, "bl.g")


def test_digits_that_several_begin_with_are_refused(backend: CountingBackend) -> None:
    from tests.rows import a_task

    backend.record(a_task(1))
    backend.record(a_task(2))

    with pytest.raises(AmbiguousIdError):
        blessing.recorded(backend, "0000")


def check(backend: Any, old: AnyTask, new: AnyTask, count: int = 3) -> blessing.Checked:
    return blessing.check(backend, blessing.defined(old), blessing.defined(new), count)


def test_a_check_passes_all_kinds_of_arguments(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    def every(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> list[Any]:
        return [a, b, rest, c, sorted(more.items())]

    first, second = define("f", every, version="1"), define("f", every, version="2")
    scheduler.run([first(1, 2), first(1, 2, 8, 9, c=4, z=5, y=6), first(1, b=2, c=1)])

    assert check(backend, first, second) == (blessing.Checked(3, ()))


def test_a_check_names_the_call_and_both_results(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    second = define("f", lambda x: x + 2, version="2")
    scheduler.run(first(1))

    with pytest.raises(BlessCheckError) as caught:
        check(backend, first, second)

    assert (caught.value.call, caught.value.before, caught.value.after) == ("bl.f(x=1)", "2", "3")


def test_code_that_raises_or_takes_other_arguments_is_refused(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))

    with pytest.raises(BlessCheckError, match="ZeroDivisionError"):
        check(backend, first, define("f", lambda x: x // 0, version="2"))
    with pytest.raises(BlessCheckError, match=r"unexpected keyword|missing a required"):
        check(backend, first, define("f", lambda y: y + 1, version="3"))


def test_calls_whose_inputs_changed_are_left_out(
    scheduler: Scheduler, backend: CountingBackend, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_text(path.name)

    def read(file: File) -> str:
        return str(file.read())

    first, second = define("f", read, version="1"), define("f", read, version="2")
    scheduler.run([first(File(str(path))) for path in paths])
    paths[0].write_text("other")

    checked = check(backend, first, second)

    assert checked.calls == 1
    assert len(checked.skipped) == 1
    assert "a: its content changed" in checked.skipped[0]


def test_a_check_of_nothing_blesses_nothing(scheduler: Scheduler, backend: CountingBackend) -> None:
    def use(x: int, connection: Any) -> int:
        return x

    first = define("f", use, version="1", config_args=["connection"])
    second = define("f", use, version="2", config_args=["connection"])
    scheduler.run(first(1, lambda: None))
    scheduler.run(first(1, (each for each in [1])))

    backend.arguments = {
        key: each for key, each in backend.arguments.items() if each.arg_key != "connection"
    }

    with pytest.raises(BlessRefusedError, match="was given for connection was not recorded"):
        check(backend, first, second)


def test_child_calls_are_compared_by_what_their_names_stand_for(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    old, new = define("old", inc, version="1"), define("new", inc, version="1")
    first = define("f", lambda x: [old(x), old(old(x)) + 1], version="1")
    second = define("f", lambda x: [new(x), new(new(x)) + 1], version="2")
    scheduler.run(first(1))

    with pytest.raises(BlessCheckError):
        check(backend, first, second)
    bless(backend, old, new)

    assert check(backend, first, second).calls == 1
