"""What must never be taken for something else: options, contexts and failures in keys and hits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from taskgraph import (
    File,
    Scheduler,
    catch,
    catch_all,
    get_context,
    scheduler_task,
    task,
    throw,
)
from taskgraph.config import ExecutorSettings, Settings
from taskgraph.errors import TaskOptionError, UnhashableValueError
from taskgraph.functools import force, identity, map_, starmap
from taskgraph.tasks.task import Task
from taskgraph.testing import MemoryBackend
from taskgraph.values.weigh import hash_value
from tests.language.tasks import describe, inc, number, pair

ran: list[str] = []


@task(namespace="soundness", version="1")
def read(path: Any, value: Any = get_context("x", 0)) -> Any:
    ran.append(f"read {value}")
    return value


@task(namespace="soundness", version="1")
def give(value: int) -> Any:
    return read.update_context(x=value)


@task(namespace="soundness", version="1")
def call(func: Any, *args: Any) -> Any:
    return func(*args)


# A task with something said of its calls is another value than the task


def test_tasks_as_values_count_with_their_context_and_options(inline: Scheduler) -> None:
    for _ in range(2):
        assert inline.run([give(1)("a"), give(2)("a")]) == [1, 2]
        assert inline.run([map_(read.update_context(x=n), ["a"]) for n in (5, 6)]) == [[5], [6]]

    twins = [
        read,
        read.options(cache=False),
        read.export_options(cache=False),
        read.update_context(x=1),
        read.update_context(x=2),
    ]
    assert len({hash_value(each) for each in twins}) == len(twins)
    assert hash_value(read) == read.hash
    assert hash_value(read.options(cache=False)) == hash_value(read.options(cache=False))


def test_a_call_by_a_task_that_is_never_cached_runs_each_time(inline: Scheduler) -> None:
    inline.run(call(read, "a"))
    ran.clear()

    for _ in range(2):
        inline.run(call(read.options(cache=False), "a"))

    assert ran == ["read 0", "read 0"]


def test_a_global_task_counts_with_what_is_said_of_it() -> None:
    def hashed(said: Task[..., Any]) -> str:
        names: dict[str, Any] = {"said": said}
        exec("def outer():\n    return said('a')\n", names)
        source = "def outer():\n    return said('a')\n"
        return str(task(name="outer", namespace="soundness", source=source)(names["outer"]).hash)

    said = [read, read.update_context(x=1), read.update_context(x=2), read.options(cache=False)]
    assert len({hashed(each) for each in said}) == len(said)


def test_a_map_with_something_said_of_it_is_not_joined_to_another(inline: Scheduler) -> None:
    inner = map_.update_context(x=9)

    assert inline.run(map_(identity, inner(read, ["a", "b"]))) == [9, 9]


# Whole calls


@task(namespace="soundness", version="1")
def maybe(value: int) -> int:
    if value < 5:
        raise ValueError(value)
    return value


@task(namespace="soundness", version="1")
def middle() -> Any:
    return maybe(get_context("x"))


@task(namespace="soundness", version="1", check_valid="shallow")
def recovering(how: str) -> Any:
    if how == "catch":
        return catch(middle(), ValueError, describe)
    return catch_all([middle()], ValueError, identity)


@pytest.mark.parametrize("how", ["catch", "catch_all"])
def test_who_recovered_is_not_used_as_a_whole(inline: Scheduler, how: str) -> None:
    first = inline.run(recovering(how), context={"x": 1})
    again = inline.run(recovering(how), context={"x": 7})

    assert first != again
    assert again == (7 if how == "catch" else [7])
    before = len(inline.backend.jobs)  # type: ignore[attr-defined]  # of the backend in memory
    assert inline.run(recovering(how), context={"x": 7}) == again
    assert len(inline.backend.jobs) == before + 1, "without a failure it is"  # type: ignore[attr-defined]


@pytest.mark.parametrize("lazy", [False, True])
def test_defaults_of_a_task_count_for_whole_calls_around_it(inline: Scheduler, lazy: bool) -> None:
    def define(default: int) -> Any:
        given = inc(default) if lazy else default

        def target(x: int, by: Any = given) -> list[int]:
            return [x, by]

        return task(name="defaulted", namespace="soundness", version="1")(target)

    @task(namespace="soundness", version="1")
    def between(func: Any) -> Any:
        return func(1)

    @task(namespace="soundness", version="1", check_valid="shallow")
    def outer(again: int) -> Any:
        from taskgraph import get_task_registry

        return between(get_task_registry().get("soundness.defaulted"))

    more = 1 if lazy else 0
    define(1)
    assert inline.run(outer(0)) == [1, 1 + more]
    before = len(inline.backend.jobs)  # type: ignore[attr-defined]  # of the backend in memory
    assert inline.run(outer(0)) == [1, 1 + more]
    assert len(inline.backend.jobs) == before + 1  # type: ignore[attr-defined]
    define(2)
    assert inline.run(outer(0)) == [1, 2 + more]


def test_a_failure_that_went_away_is_no_recovery_any_more(
    inline: Scheduler, tmp_path: Path
) -> None:
    flag = tmp_path / "works"

    @task(namespace="soundness", version="1")
    def connect() -> str:
        if not flag.exists():
            raise ConnectionError("down")
        return "up"

    @task(namespace="soundness", version="1", check_valid="shallow")
    def outer() -> Any:
        return [catch(connect(), ConnectionError, describe)]

    assert inline.run(outer()) == ["ConnectionError down"]
    flag.touch()
    assert inline.run(outer()) == ["up"]


def test_a_wrong_call_that_was_recovered_from_is_made_again(inline: Scheduler) -> None:
    def define(func: Any) -> Any:
        return task(name="target", namespace="soundness", version=func.__name__)(func)

    def one(x: int) -> int:
        return x

    def two(x: int, y: int) -> int:
        return x + y

    @task(namespace="soundness", version="1", check_valid="shallow")
    def outer() -> Any:
        from taskgraph import get_task_registry

        return catch(call_two(get_task_registry().get("soundness.target")), TypeError, wrong)

    @task(namespace="soundness", version="1")
    def call_two(func: Any) -> Any:
        return func(1, 2)

    @task(namespace="soundness", version="1")
    def wrong(error: TypeError) -> str:
        return "wrong"

    define(one)
    assert inline.run(outer()) == "wrong"
    define(two)
    assert inline.run(outer()) == 3


def test_an_edited_scheduler_task_counts(inline: Scheduler) -> None:
    def define(factor: int) -> Any:
        names: dict[str, Any] = {}
        source = f"def scaled(x):\n    value = yield x\n    return value * {factor}\n"
        exec(source, names)
        import linecache

        names["scaled"].__module__ = "soundness"
        linecache.cache[f"<{factor}>"] = (len(source), None, source.splitlines(True), f"<{factor}>")
        code = compile(source, f"<{factor}>", "exec")
        exec(code, names)
        return scheduler_task(name="scaled", namespace="soundness")(names["scaled"])

    assert define(2).hash != define(3).hash


# Contexts


def test_a_file_in_the_context_is_that_of_now(inline: Scheduler, tmp_path: Path) -> None:
    file = File(str(tmp_path / "ref"))
    file.write("old")

    @task(namespace="soundness", version="1")
    def content(ref: Any = get_context("ref")) -> str:
        return str(ref.read())

    assert inline.run(content(), context={"ref": file}) == "old"
    (tmp_path / "ref").write_text("newer")
    assert inline.run(content(), context={"ref": file}) == "newer"


def test_what_has_no_hash_fails_who_reads_it_and_may_be_recovered_from(inline: Scheduler) -> None:
    @task(namespace="soundness", version="1")
    def told(error: Exception) -> str:
        return type(error).__name__

    lock = threading.Lock()
    found = inline.run([catch(get_context("l"), Exception, told), inc(1)], context={"l": lock})

    assert found == ["UnhashableValueError", 2]
    assert inline.run([inc.update_context(l=lock)(1), inc(5)]) == [2, 6]
    with pytest.raises(UnhashableValueError):
        inline.run(get_context("l"), context={"l": lock})


# Options


def test_options_of_an_executor_count_before_anything_is_looked_up() -> None:
    ran.clear()
    settings = Settings(
        Path("unused"), executors={"a": ExecutorSettings("inline", options={"cache": False})}
    )
    with Scheduler(settings, backend=MemoryBackend(), executor="a") as scheduler:
        for _ in range(2):
            scheduler.run(read("a"))
        assert not scheduler.plan(read("a")).is_nothing

    assert ran == ["read 0", "read 0"]


def test_options_of_a_run_are_values(inline: Scheduler) -> None:
    with pytest.raises(TaskOptionError, match="no lazy call"):
        inline.run(inc(1), options={"retries": number(1)})


def test_a_lazy_option_that_is_handed_on_and_overridden_here(inline: Scheduler) -> None:
    @task(namespace="soundness", version="1", export_options={"retries": number(1)})
    def outer() -> Any:
        return inc(1)

    assert inline.run(outer.options(retries=0)()) == 2
    assert inline.run([outer.options(retries=0)()]) == [2]


def test_nested_options_of_an_executor() -> None:
    options = {"tags.team": "x", "memory": 2}
    settings = Settings(
        Path("unused"), executors={"a": ExecutorSettings("inline", options=options)}
    )
    backend = MemoryBackend()
    with Scheduler(settings, backend=backend, executor="a") as scheduler:
        scheduler.run(inc(1))

    assert [(each.key, each.value) for each in backend.tags.values()] == [("team", '"x"')]


def test_an_attempt_that_changed_its_argument_is_the_last(inline: Scheduler) -> None:
    @task(namespace="soundness", version="1", retries=3)
    def grow(items: list[int]) -> list[int]:
        items.append(1)
        raise ValueError(len(items))

    with pytest.raises(ValueError, match="2") as caught:
        inline.run(grow([0]))

    assert "changed its argument 'items' in place" in caught.value.__notes__[0]


def test_equal_calls_in_other_contexts_fail_with_the_attempt_that_was_the_last(
    inline: Scheduler,
) -> None:
    @task(namespace="soundness", version="1", retries=3, retry_delay=0.01)
    def grow(items: list[int]) -> list[int]:
        items.append(1)
        raise ValueError(len(items))

    calls = [catch(grow([0]), ValueError, describe), *_in_contexts(grow, 3)]

    assert inline.run(calls, fail_fast=False) == ["ValueError 2"] * 4


def _in_contexts(func: Any, count: int) -> list[Any]:
    return [catch(func.update_context(x=n)([0]), ValueError, describe) for n in range(count)]


def test_a_limit_of_time_beyond_all_clocks_is_none(scheduler: Scheduler) -> None:
    assert scheduler.run(number.options(timeout=1e10)(1)) == 1


# Errors


def test_an_exception_that_is_false_is_one(inline: Scheduler) -> None:
    class Empty(Exception):
        def __len__(self) -> int:
            return 0

    @task(namespace="soundness", version="1")
    def raise_empty() -> None:
        raise Empty

    @task(namespace="soundness", version="1")
    def kinds(values: list[Any]) -> list[str]:
        return [type(each).__name__ for each in values]

    assert inline.run(catch_all([raise_empty()], Exception, kinds)) == ["Empty"]


def test_an_error_that_is_raised_again_is_that_of_who_raised_it_first(inline: Scheduler) -> None:
    from tests.language.tasks import fail

    with pytest.raises(ValueError, match="a") as caught:
        inline.run(catch_all([fail("a"), inc(1)]))

    (told,) = caught.value.__taskgraph_failures__  # type: ignore[attr-defined]
    assert told.tasks[-1].task == "language.fail"
    assert told.is_body
    with pytest.raises(KeyError) as thrown:
        inline.run(throw(KeyError(1)))
    assert not thrown.value.__taskgraph_failures__[0].is_body  # type: ignore[attr-defined]


# Plans


@pytest.mark.parametrize(
    "expr",
    [
        lambda: throw(number(ValueError(1))),
        lambda: get_context(number("a")),
        lambda: starmap(pair, [number((1,))]),
        lambda: force(number(1)),
    ],
)
def test_a_plan_waits_where_a_value_is_not_known(inline: Scheduler, expr: Any) -> None:
    plan = inline.plan(expr())

    assert plan.error is None
    assert plan.certain == 1


def test_a_recovery_from_an_unknown_error_is_not_certain(inline: Scheduler) -> None:
    plan = inline.plan(catch(throw(number(ValueError(2))), TypeError, describe))

    assert [each.task for each in plan.bodies if each.is_certain] == ["language.number"]
