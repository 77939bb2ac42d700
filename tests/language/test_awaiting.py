"""Bodies that await calls: values, records, what runs again, and how they end."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph import File, Scheduler, catch, evaluate, get_context, get_task_registry, task
from taskgraph.config import Settings
from taskgraph.errors import AwaitError, CircularCallError, TaskTimeoutError
from taskgraph.events import CacheEntryRefused, JobRetried
from taskgraph.records import State
from taskgraph.testing import MemoryBackend, RecordingObserver
from tests.language.records import backend_of
from tests.language.tasks import add, describe, inc, total

EXAMPLES = 250 if os.environ.get("TASKGRAPH_TORTURE") else 12

ran: list[str] = []
places: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _anew() -> None:
    ran.clear()
    places.clear()


def runs(scheduler: Scheduler, expr: Any, **how: Any) -> tuple[Any, Counter[str]]:
    """Return the value of an expression, and which bodies of this module's tasks ran for it."""
    ran.clear()
    value = scheduler.run(expr, **how)
    return value, Counter(ran)


def define(name: str, version: str, body: Callable[..., Any]) -> Any:
    """Define a task anew, as an edit of its code does."""

    def run(*args: Any) -> Any:
        ran.append(name)
        return body(*args)

    return task(name=name, namespace="awaiting", version=version)(run)


def latest(name: str) -> Any:
    """Return a task as it is defined now, as a module does that was loaded anew."""
    return get_task_registry().get(f"awaiting.{name}")


define("leaf", "1", lambda n: n + 1)


def leaf(n: int) -> Any:
    return latest("leaf")(n)


@task(namespace="awaiting", version="1")
async def chain(n: int) -> list[int]:
    ran.append("chain")
    one: Any = await evaluate(leaf(n))
    two, three = await asyncio.gather(evaluate(leaf(one)), evaluate(leaf(one + 1)))
    return [one, two, three]


@task(namespace="awaiting", version="1")
async def mixed(n: int) -> Any:
    ran.append("mixed")
    known = await evaluate(inc(n))
    return [known, inc(known), add(inc(known), b=known)]


# Values and records, on every executor


def test_an_expression_is_awaited_inside_of_a_task(scheduler: Scheduler) -> None:
    assert scheduler.run([mixed(1), mixed(2)]) == [[2, 3, 5], [3, 4, 7]]
    assert scheduler.run(mixed(1)) == [2, 3, 5]


def test_what_it_asks_for_are_its_children_in_the_order_of_asking(threads: Scheduler) -> None:
    assert threads.run(chain(1)) == [2, 3, 4]

    backend = backend_of(threads)
    (parent,) = [h for h, e in backend.call_nodes.items() if e.task_name == "awaiting.chain"]
    edges = sorted((e.call_order, e.child_id) for e in backend.call_edges if e.parent_id == parent)
    children = [backend.call_nodes[child] for _, child in edges]
    values = [backend.values[each.value_hash].preview for each in children]
    assert [each.task_name for each in children] == ["awaiting.leaf"] * 3
    assert values == ["2", "3", "4"]
    (owner,) = [each.id for each in backend.jobs.values() if each.call_hash == parent]
    assert sum(each.parent_id == owner for each in backend.jobs.values()) == 3


def test_values_that_it_passes_on_are_data_flow(threads: Scheduler) -> None:
    first = define("first", "1", lambda: [1_000, 2_000])
    second = define("second", "1", lambda numbers: sum(numbers))

    @task(namespace="awaiting", version="1")
    async def passing() -> Any:
        return await second(await first())

    assert threads.run(passing()) == 3_000

    backend = backend_of(threads)
    (made_by,) = [h for h, e in backend.call_nodes.items() if e.task_name == "awaiting.first"]
    assert [each.result_call_hash for each in backend.argument_results] == [made_by]


def test_any_nested_value_of_expressions_is_evaluated(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1")
    async def nested() -> Any:
        found = await evaluate({"sum": inc(1) + inc(2), "list": [inc(3), 7]})
        same = inc(1)
        return [found, await same, await same, await (same * 2), await evaluate([])]

    assert threads.run(nested()) == [{"sum": 5, "list": [4, 7]}, 2, 2, 4, []]


def test_equal_calls_are_made_once(threads: Scheduler) -> None:
    value, bodies = runs(threads, [chain(1), chain(1), chain(2)])

    assert value == [[2, 3, 4], [2, 3, 4], [3, 4, 5]]
    assert bodies == {"chain": 2, "leaf": 4}


def test_hundreds_await_each_other(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1")
    async def down(n: int) -> int:
        return 0 if n == 0 else 1 + await evaluate(down(n - 1))

    assert threads.run(down(500)) == 500
    assert threads.run(down(500)) == 500


# What runs again


def test_nothing_runs_again(threads: Scheduler) -> None:
    threads.run(chain(1))

    value, bodies = runs(threads, chain(1))

    assert value == [2, 3, 4]
    assert not bodies


def test_an_edit_below_is_seen(threads: Scheduler) -> None:
    threads.run(chain(1))
    define("leaf", "2", lambda n: n + 10)
    try:
        value, bodies = runs(threads, chain(1))
        assert value == [11, 21, 22]
        assert bodies == {"chain": 1, "leaf": 3}
        assert not runs(threads, chain(1))[1]
    finally:
        define("leaf", "1", lambda n: n + 1)
    assert runs(threads, chain(1))[0] == [2, 3, 4]


def test_an_edit_below_that_changes_no_value_goes_no_further(threads: Scheduler) -> None:
    threads.run(chain(1))
    define("leaf", "3", lambda n: n + 1)
    try:
        assert runs(threads, chain(1)) == ([2, 3, 4], {"leaf": 3})
    finally:
        define("leaf", "1", lambda n: n + 1)


def test_only_what_the_other_answers_lead_to_runs(threads: Scheduler) -> None:
    define("chosen", "1", lambda: "left")
    define("left", "1", lambda: 1)
    define("right", "1", lambda: 2)

    @task(namespace="awaiting", version="1")
    async def choose() -> Any:
        ran.append("choose")
        return await latest(await latest("chosen")())()

    assert runs(threads, choose()) == (1, {"choose": 1, "chosen": 1, "left": 1})
    define("chosen", "2", lambda: "right")
    define("left", "2", lambda: 1)
    # `left` is not made again: what was asked for after an answer that is another one now.
    assert runs(threads, choose()) == (2, {"choose": 1, "chosen": 1, "right": 1})


def test_a_change_of_context_runs_what_read_it(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1")
    def reading(value: Any = get_context("place.name")) -> str:
        ran.append("reading")
        return str(value)

    @task(namespace="awaiting", version="1")
    async def asks() -> str:
        ran.append("asks")
        return "at " + await evaluate(reading())

    def at(name: str) -> tuple[Any, Counter[str]]:
        return runs(threads, asks(), context={"place": {"name": name, "other": len(ran)}})

    assert at("a") == ("at a", {"asks": 1, "reading": 1})
    assert at("a") == ("at a", {})
    assert at("b") == ("at b", {"asks": 1, "reading": 1})
    both = [asks.update_context(place={"name": name})() for name in "abc"]
    assert runs(threads, both)[0] == ["at a", "at b", "at c"]


@pytest.mark.parametrize("how", ["full", "shallow"])
def test_an_edited_file_is_seen(tmp_path: Path, how: str) -> None:
    path = tmp_path / "in.txt"

    @task(namespace="awaiting", version="1")
    def content(file: File) -> str:
        ran.append("content")
        text: str = file.read()
        return text

    @task(namespace="awaiting", version="1", check_valid=how)
    async def upper() -> str:
        ran.append("upper")
        return (await evaluate(content(File(str(path))))).upper()

    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(Settings(tmp_path / ".taskgraph")) as scheduler:
        path.write_text("one")
        assert runs(scheduler, upper()) == ("ONE", {"upper": 1, "content": 1})
        assert runs(scheduler, upper()) == ("ONE", {})
        path.write_text("two")
        if how == "full":
            assert runs(scheduler, upper())[0] == "TWO"
        path.write_text("one")
        assert runs(scheduler, upper())[0] == "ONE"


def test_what_it_asked_with_is_kept_as_it_was(threads: Scheduler) -> None:
    measured = define("measured", "1", len)

    @task(namespace="awaiting", version="1")
    async def growing() -> list[int]:
        ran.append("growing")
        numbers = [1]
        found = [await evaluate(measured(numbers))]
        numbers.append(2)
        found.append(await evaluate(measured(numbers)))
        numbers.append(3)
        return found

    assert runs(threads, growing()) == ([1, 2], {"growing": 1, "measured": 2})
    assert runs(threads, growing()) == ([1, 2], {})


def test_a_body_that_saw_an_error_runs_again(threads: Scheduler) -> None:
    wrong = define("wrong", "1", lambda: 1 / places.get("by", 0))

    @task(namespace="awaiting", version="1")
    async def careful() -> Any:
        ran.append("careful")
        try:
            return await wrong()
        except ZeroDivisionError:
            return "none"

    assert runs(threads, careful()) == ("none", {"careful": 1, "wrong": 1})
    places["by"] = 2
    assert runs(threads, careful()) == (0.5, {"careful": 1, "wrong": 1})
    assert runs(threads, careful()) == (0.5, {})


def test_answers_without_a_hash_keep_nothing(threads: Scheduler) -> None:
    lock = define("lock", "1", lambda: threading.Lock())

    @task(namespace="awaiting", version="1")
    async def holding() -> bool:
        ran.append("holding")
        return (await evaluate(lock())).locked()

    for _ in range(2):
        assert runs(threads, holding()) == (False, {"holding": 1, "lock": 1})


def test_why_it_ran_is_told(threads: Scheduler) -> None:
    threads.run(chain(1))
    define("leaf", "4", lambda n: n + 5)
    seen = RecordingObserver()
    threads.observers.append(seen)
    try:
        threads.run(chain(1))
    finally:
        define("leaf", "1", lambda n: n + 1)

    (refused,) = [each for each in seen.events if isinstance(each, CacheEntryRefused)]
    assert refused == CacheEntryRefused(
        "awaiting.chain", "calls that it awaits give other results than when it was recorded"
    )


def test_a_plan_says_what_would_run(threads: Scheduler) -> None:
    expr = total(chain(1))
    threads.run(expr)
    assert threads.plan(expr).calls == ()
    define("leaf", "5", lambda n: n + 5)
    try:
        planned = threads.plan(expr)
        bodies = runs(threads, expr)[1]
    finally:
        define("leaf", "1", lambda n: n + 1)

    names = {each.task for each in planned.calls}
    assert names == {"awaiting.leaf", "awaiting.chain", "language.total"}
    assert {f"awaiting.{each}" for each in bodies} <= names


# How they end


def test_an_error_that_it_did_not_see_to_is_that_of_who_raised_it(threads: Scheduler) -> None:
    wrong = define("wrong", "2", lambda: 1 / 0)

    @task(namespace="awaiting", version="1")
    async def careless(n: int) -> Any:
        return await wrong() + n

    with pytest.raises(ZeroDivisionError) as caught:
        threads.run(careless(1))
    assert [each.task for each in caught.value.__taskgraph_trace__.tasks][-2:] == [
        "awaiting.careless",
        "awaiting.wrong",
    ]
    assert threads.run(catch(careless(2), ZeroDivisionError, describe)) == (
        "ZeroDivisionError division by zero"
    )


def test_a_call_holds_no_limit_while_it_waits(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1", limits=["one"])
    def inner(n: int) -> int:
        places["inside"] = places.get("inside", 0) + 1
        assert places["inside"] == 1
        places["inside"] -= 1
        return n

    @task(namespace="awaiting", version="1", limits=["one"])
    async def outer(n: int) -> int:
        one, two = await asyncio.gather(evaluate(inner(n)), evaluate(inner(n + 100)))
        assert places.get("inside", 0) == 0
        three: int = await evaluate(inner(n + 200))
        return one + two + three

    assert threads.run([outer(n) for n in range(5)]) == [3 * n + 300 for n in range(5)]


def test_it_is_tried_again_and_may_take_too_long(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1", retries=2)
    async def third_time() -> int:
        ran.append("third_time")
        value: int = await evaluate(leaf(1))
        if ran.count("third_time") < 3:
            raise OSError(value)
        return value

    assert runs(threads, third_time()) == (2, {"third_time": 3, "leaf": 1})

    @task(namespace="awaiting", version="1", timeout=0.05)
    async def too_long() -> Any:
        return await stopped.options(limits=["never"])()

    with pytest.raises(TaskTimeoutError):
        threads.run([too_long(), blocking()])


@task(namespace="awaiting", version="1", limits=["never"])
async def blocking() -> None:
    await asyncio.sleep(0.2)


@task(namespace="awaiting", version="1")
async def stopped() -> None:
    ran.append("stopped")


def test_a_call_that_awaits_itself_is_an_error(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1")
    async def ping(n: int) -> Any:
        return await pong(n)

    @task(namespace="awaiting", version="1")
    async def pong(n: int) -> Any:
        return [await ping(n)]

    with pytest.raises(CircularCallError):
        threads.run(ping(1))
    with pytest.raises(CircularCallError):
        threads.run([ping(1), pong(1)])


def test_when_a_run_ends_what_waits_is_cancelled_and_not_kept(threads: Scheduler) -> None:
    waits, begun = threading.Event(), threading.Event()

    def held() -> int:
        begun.set()
        assert waits.wait(30)
        return 1

    def fail() -> None:
        assert begun.wait(30)
        waits.set()
        raise ValueError("the run ends")

    slow, failing = define("slow", "1", held), define("failing", "1", fail)

    @task(namespace="awaiting", version="1")
    async def waiting() -> Any:
        try:
            one = await slow()
            return one + await slow.options(tags={"n": 2})() + await leaf(1)
        except asyncio.CancelledError:
            ran.append("cancelled")
            return "no result"

    with pytest.raises(ValueError, match="the run ends"):
        threads.run([waiting(), failing()])

    backend = backend_of(threads)
    states = {backend.tasks[j.task_hash].name: j.state_type for j in backend.jobs.values()}
    assert states["slow"] is State.COMPLETED
    assert states["waiting"] is State.CANCELLED
    begun.set()
    assert threads.run(waiting()) == 4


def test_where_nothing_evaluates_it_that_is_said(threads: Scheduler) -> None:
    with pytest.raises(AwaitError, match=r"Nothing evaluates awaiting.leaf\(1\) here.*arun"):
        asyncio.run(evaluate(leaf(1)))
    with pytest.raises(AwaitError, match="executor='async'"):
        threads.run(chain.options(executor="inline")(1))


def test_what_is_asked_for_and_not_awaited_is_not_waited_for(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1")
    async def hasty() -> str:
        begun = asyncio.ensure_future(evaluate(leaf(places["n"])))
        await asyncio.sleep(0)
        begun.cancel()
        return "done"

    places["n"] = 1
    assert threads.run(hasty()) == "done"
    places["n"] = 2
    assert threads.run(hasty()) == "done"


def test_with_arun_all_is_on_the_callers_loop(threads: Scheduler) -> None:
    async def main() -> Any:
        return await asyncio.gather(threads.arun(chain(1)), threads.arun(chain(2)))

    assert asyncio.run(main()) == [[2, 3, 4], [3, 4, 5]]


# Random programs: whatever was edited, the value is that of a run without a cache


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_after_any_edits_the_value_is_as_without_a_cache(data: st.DataObject) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    size = data.draw(st.integers(2, 6))
    with Scheduler(backend=MemoryBackend(), executor="threads") as scheduler:
        for _ in range(4):
            root = _program(chance, size)
            kept = scheduler.run(root)
            with Scheduler(backend=MemoryBackend(), executor="threads") as other:
                assert kept == other.run(root)


def _program(chance: random.Random, size: int) -> Any:
    """Define tasks anew, of which some give the same values, and some ask for others."""
    leaves = []
    for each in range(size):  # versions that differ give other values, or the same
        shift, version = chance.choice([0, 0, 0, 1]), chance.randrange(2)
        leaves.append(define(f"number{each}", f"{shift} {version}", partial(_number, each + shift)))
    asking: list[Any] = []
    for each in range(size):
        asking.append(_asking(each, leaves, list(asking)))
    return [each(chance.randrange(2)) for each in asking]


def _number(shift: int, n: int) -> int:
    return (n + shift) % 5


def _asking(number: int, leaves: list[Any], others: list[Any]) -> Any:
    @task(name=f"asking{number}", namespace="awaiting", version="1")
    async def ask(n: int) -> Any:
        found: Any = n
        for _ in range(1 + number % 3):
            step = (found if isinstance(found, int) else len(str(found))) + number
            func = leaves[step % len(leaves)]
            match step % 4:
                case 0:
                    found = await func(step)
                case 1:
                    pair = [evaluate(func(step)), evaluate(leaves[0](step + 1))]
                    found = sum(await asyncio.gather(*pair))
                case 2 if others:
                    found = await evaluate([others[step % len(others)](step % 3), func(1)])
                case _:
                    found = await (func(step) + 1)
        return [found, leaves[-1](number)]

    return ask


def plan_of(number: int) -> int:
    """Return how often a task asks."""
    return 1 + number % 3


def test_a_temporary_file_that_is_awaited_is_there(tmp_path: Path) -> None:
    path = tmp_path / "between.txt"

    @task(namespace="awaiting", version="1")
    def write() -> File:
        ran.append("write")
        file = File(str(path), temp=True)
        file.write("text")
        return file

    @task(namespace="awaiting", version="1")
    async def reads(n: int) -> str:
        ran.append("reads")
        return str((await evaluate(write())).read()) * n

    (tmp_path / ".taskgraph").mkdir()
    with Scheduler(Settings(tmp_path / ".taskgraph")) as scheduler:
        assert runs(scheduler, reads(1)) == ("text", {"reads": 1, "write": 1})
        path.unlink()
        assert runs(scheduler, reads(2)) == ("texttext", {"reads": 1, "write": 1})


def test_a_body_that_awaits_several_things_waits_without_its_limits(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1", limits=["api"])
    def limited(n: int) -> int:
        return n

    @task(namespace="awaiting", version="1", limits=["api"])
    async def gathers() -> Any:
        quick, slow = leaf(1), limited(held_back(2))
        return await asyncio.gather(evaluate(quick), evaluate(slow))

    @task(namespace="awaiting", version="1", limits=["api"])
    async def begins() -> Any:
        begun = asyncio.ensure_future(evaluate(limited(held_back(3))))
        await leaf(1)
        return await begun

    assert threads.run(gathers()) == [2, 2]
    assert threads.run(begins()) == 3


@task(namespace="awaiting", version="1")
async def held_back(n: int) -> int:
    await asyncio.sleep(0.05)
    return n


def test_an_attempt_that_timed_out_leaves_no_place_in_the_queue(threads: Scheduler) -> None:
    begun, over = threading.Event(), threading.Event()

    @task(namespace="awaiting", version="1", limits=["api"])
    def holding() -> int:
        begun.set()
        assert over.wait(30)
        return 1

    @task(namespace="awaiting", version="1")
    def after() -> int:
        assert begun.wait(30)  # so that the answer finds the limit taken
        return 2

    @task(namespace="awaiting", version="1", limits=["api"], timeout=0.3, retries=1)
    async def limited() -> Any:
        return await evaluate(after())

    class Releasing(RecordingObserver):
        def notify(self, event: Any) -> None:
            if isinstance(event, JobRetried):
                over.set()

    threads.observers.append(Releasing())
    assert threads.run([limited(), holding()]) == [2, 1]


def test_what_was_asked_for_and_not_waited_for_keeps_nothing(threads: Scheduler) -> None:
    places["wait"] = threading.Event()
    define("model", "1", lambda: places["wait"].wait(30) and "model")

    @task(namespace="awaiting", version="1")
    async def impatient() -> Any:
        ran.append("impatient")
        asked = asyncio.ensure_future(evaluate(latest("model")()))
        done, _ = await asyncio.wait([asked], timeout=0.05)
        places["wait"].set()
        return await asked if done else "no model"

    assert runs(threads, impatient())[0] == "no model"
    assert runs(threads, impatient()) == ("model", {"impatient": 1})


def test_a_list_may_be_changed_while_it_is_asked_for(threads: Scheduler) -> None:
    @task(namespace="awaiting", version="1")
    async def changing() -> Any:
        calls = [leaf(1), held_back(5)]
        asked = asyncio.ensure_future(evaluate(calls))
        await leaf(2)
        calls[0] = leaf(100)
        del calls[1]
        return await asked

    assert threads.run(changing()) == [2, 5]
