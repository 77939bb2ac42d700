"""Context: who reads what, and what runs again when it changes."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskgraph import Scheduler, cond, get_context, task
from taskgraph.config import Settings, load_settings
from taskgraph.errors import ConfigError, UnhashableValueError
from taskgraph.functools import map_
from taskgraph.tasks.context import Context, context_of_paths, get_context_value, merge_context
from taskgraph.testing import MemoryBackend
from tests.language.tasks import add, inc, number

EXAMPLES = 1500 if os.environ.get("TASKGRAPH_TORTURE") else 35

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> None:
    ran.clear()


@pytest.fixture
def inline() -> Any:
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        yield scheduler


@task(namespace="context", version="1")
def scaled(x: int, factor: int = get_context("scale.factor", 1)) -> int:
    ran.append(f"scaled {x} {factor}")
    return x * factor


@task(namespace="context", version="1")
def plain(x: int) -> int:
    ran.append(f"plain {x}")
    return x


@task(namespace="context", version="1")
def both(x: int) -> Any:
    ran.append(f"both {x}")
    return [scaled(x), plain(x)]


@task(namespace="context", version="1")
def named(x: int) -> Any:
    ran.append(f"named {x}")
    return [get_context("name", "nobody"), scaled(x)]


# Reading


def test_a_value_is_read_by_path_on_every_executor(scheduler: Scheduler) -> None:
    read = [get_context("a"), get_context("a.b"), get_context("a.c", 5), get_context("a.b.c")]

    assert scheduler.run(read, context={"a": {"b": 1}}) == [{"b": 1}, 1, 5, None]


def test_the_default_is_evaluated_only_where_it_is_needed(inline: Scheduler) -> None:
    expr = [get_context("a", plain(1)), get_context("b", plain(2))]

    assert inline.run(expr, context={"a": 7}) == [7, 2]
    assert ran == ["plain 2"]


def test_path_and_default_may_be_calls(scheduler: Scheduler) -> None:
    read = get_context(number("a"), inc(1))

    assert scheduler.run([read, get_context(number("b"), inc(1))], context={"a": 7}) == [7, 2]


def test_a_path_is_text(scheduler: Scheduler) -> None:
    with pytest.raises(TypeError, match="text, not 3"):
        scheduler.run(get_context(3))


def test_none_in_the_context_is_a_value(scheduler: Scheduler) -> None:
    assert scheduler.run(get_context("a", 5), context={"a": None}) is None


def test_calls_below_an_update_read_it(scheduler: Scheduler) -> None:
    inner = number.update_context(scale={"factor": 3})

    @task(namespace="context", version="1")
    def outer() -> Any:
        return get_context("scale")

    given = {"scale": {"factor": 2, "unit": "m"}}
    assert scheduler.run([outer(), outer.update_context(scale={"factor": 3})()], context=given) == [
        {"factor": 2, "unit": "m"},
        {"factor": 3, "unit": "m"},
    ]
    # Arguments are the caller's.
    assert scheduler.run(inner(get_context("scale.factor")), context=given) == 2


def test_a_lazy_default_reads_the_context_of_the_call_that_it_belongs_to(
    inline: Scheduler,
) -> None:
    tripled = scaled.update_context(scale={"factor": 3})

    result = inline.run([scaled(2), tripled(2), tripled(3)], context={"scale": {"factor": 2}})

    assert result == [4, 6, 9]


def test_equal_calls_in_other_contexts_are_other_calls(inline: Scheduler) -> None:
    calls = [both(1), both.update_context(scale={"factor": 5})(1), both(1)]

    assert inline.run(calls) == [[1, 1], [5, 1], [1, 1]]
    assert Counter(ran)["plain 1"] == Counter(ran)["both 1"] == 1, "bodies know of no context"
    assert Counter(ran)["scaled 1 1"] == Counter(ran)["scaled 1 5"] == 1


def test_a_partial_task_and_a_stored_call_keep_their_context(inline: Scheduler) -> None:
    @task(namespace="context", version="1")
    def outer() -> Any:
        return map_(scaled.update_context({"scale": {"factor": 4}}).partial(), [1, 2])

    assert inline.run(outer()) == [4, 8]
    ran.clear()
    assert inline.run(outer()) == [4, 8]
    assert ran == []


def test_updates_of_updates_are_merged(inline: Scheduler) -> None:
    once = scaled.update_context(scale={"factor": 4}, other=1)

    assert once.call_context == {"scale": {"factor": 4}, "other": 1}
    twice = once.update_context({"scale": {"unit": "m"}})
    assert twice.call_context == {"scale": {"factor": 4, "unit": "m"}, "other": 1}
    assert scaled.call_context is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"a.b": 1}, "without dots"),
        ({1: 1}, "without dots"),
        ({"a": {"": 1}}, "without dots"),
        ({"a": inc(1)}, "no lazy calls"),
        ([1], "is a dict"),
    ],
)
def test_what_is_no_context_is_refused(inline: Scheduler, wrong: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        inline.run(inc(1), context=wrong)
    with pytest.raises(TypeError, match=says):
        inc.update_context(wrong)


def test_a_value_without_a_hash_fails_who_reads_it(inline: Scheduler) -> None:
    import threading

    lock = {"lock": threading.Lock()}

    assert inline.run(plain(1), context=lock) == 1
    with pytest.raises(UnhashableValueError):
        inline.run(get_context("lock"), context=lock)


# What runs again


def test_a_change_runs_what_read_it_and_nothing_else(inline: Scheduler) -> None:
    inline.run(both(3), context={"scale": {"factor": 2}, "other": 1})
    ran.clear()

    assert inline.run(both(3), context={"scale": {"factor": 2}, "other": 2}) == [6, 3]
    assert ran == []
    assert inline.run(both(3), context={"scale": {"factor": 4}}) == [12, 3]
    assert ran == ["scaled 3 4"]


def test_a_whole_call_is_used_only_if_what_was_read_in_it_is_as_it_was(
    inline: Scheduler,
) -> None:
    shallow = both.options(check_valid="shallow")
    inline.run(shallow(3), context={"scale": {"factor": 2}})
    ran.clear()

    assert inline.run(shallow(3), context={"scale": {"factor": 4}}) == [12, 3]
    assert ran == ["scaled 3 4"]
    backend = inline.backend
    assert isinstance(backend, MemoryBackend)
    before = len(backend.jobs)
    assert inline.run(shallow(3), context={"scale": {"factor": 2, "unit": 1}}) == [6, 3]
    assert len(backend.jobs) == before + 1, "nothing below was looked at"
    assert inline.run(shallow(3)) == [3, 3], "a value that is gone is a change"
    assert inline.run(shallow(3)) == [3, 3]
    assert ran == ["scaled 3 4", "scaled 3 1"]


def test_what_an_update_hides_is_no_read_of_the_callers_context(inline: Scheduler) -> None:
    @task(namespace="context", version="1", check_valid="shallow")
    def outer() -> Any:
        return both.update_context({"scale": {"factor": 7}})(1)

    inline.run(outer(), context={"scale": {"factor": 2}})
    backend = inline.backend
    assert isinstance(backend, MemoryBackend)
    before = len(backend.jobs)

    assert inline.run(outer(), context={"scale": {"factor": 3}}) == [7, 1]
    assert len(backend.jobs) == before + 1


def test_part_of_a_value_that_comes_from_outside_is_a_read(inline: Scheduler) -> None:
    @task(namespace="context", version="1")
    def whole() -> Any:
        return get_context("scale")

    @task(namespace="context", version="1", check_valid="shallow")
    def outer() -> Any:
        return whole.update_context({"scale": {"factor": 7}})()

    first = inline.run(outer(), context={"scale": {"unit": "m"}})
    second = inline.run(outer(), context={"scale": {"unit": "s"}})

    assert (first, second) == ({"unit": "m", "factor": 7}, {"unit": "s", "factor": 7})


def test_reads_are_recorded_with_their_values(inline: Scheduler) -> None:
    inline.run(named(1), context={"name": "x"})

    backend = inline.backend
    assert isinstance(backend, MemoryBackend)
    reads = {
        (backend.call_nodes[call].task_name, path, backend.values[value].preview)
        for call, found in backend._reads_of.items()
        for path, value in found.items()
    }
    absent = "(not in the context)"
    defaults = "{'factor': taskgraph.get_context('scale.factor', 1)}"
    assert reads == {
        ("taskgraph.get_context", "name", "'x'"),
        ("taskgraph.get_context", "scale.factor", absent),
        ("context.named", "name", "'x'"),
        ("context.named", "scale.factor", absent),
        ("context.named", "(defaults of context.scaled)", defaults),
    }


OPS = ["plain", "scaled", "read", "cond", "sub", "update"]


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> Any:
    """A workflow: each node has a number, some read a path of the context."""
    kind = draw(st.sampled_from(OPS if depth else ["plain", "read"]))
    inner = [draw(trees(depth - 1)) for _ in range(draw(st.integers(1, 2)))] if depth else []
    return kind, draw(st.integers(0, 3)), draw(st.sampled_from(["a", "b", "c.d", "c"])), inner


@task(namespace="random", version="1")
def step(number: int, *values: Any) -> Any:
    ran.append(f"step {number} {values!r}")
    return [number, *values]


@task(namespace="random", version="1")
def reading(number: int, path: str, value: Any) -> Any:
    ran.append(f"reading {number} {path} {value!r}")
    return [number, value]


@task(namespace="random", version="1")
def sub(number: int, tree: Any) -> Any:
    ran.append(f"sub {number} {tree!r}")  # one of another tree is another call
    return write(tree)


def write(tree: Any) -> Any:
    kind, number, path, inner = tree
    match kind:
        case "read":
            return reading(number, path, get_context(path, "none"))
        case "scaled":
            return scaled(number)
        case "cond":
            return cond(get_context("a"), [write(each) for each in inner], number)
        case "sub":
            return sub.options(check_valid="shallow")(number, inner[0])
        case "update":
            return sub.update_context({"c": {"e": number}})(number, inner[0])
        case _:
            return step(number, *[write(each) for each in inner])


_LEAF: Any = ("plain", 0, "a", [])
_SUB: Any = ("sub", 0, "a", [_LEAF])

contexts = st.fixed_dictionaries(
    {},
    optional={
        "a": st.integers(0, 1),
        "b": st.integers(0, 2),
        "c": st.fixed_dictionaries({}, optional={"d": st.integers(0, 2), "x": st.just(1)}),
        "scale": st.fixed_dictionaries({"factor": st.integers(1, 2)}),
    },
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(trees(), contexts, contexts)
@example(
    ("plain", 0, "a", [("cond", 0, "a", [_SUB]), ("sub", 0, "a", [("plain", 0, "a", [_LEAF])])]),
    {},
    {"a": 1},
)
def test_on_random_workflows_a_change_runs_exactly_what_reads_it(
    tree: Any, first: Any, second: Any
) -> None:
    """With what was recorded under the first, the second runs what it would not share with it."""
    ran.clear()
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        scheduler.run([write(tree)], context=first)
        known = set(ran)
        ran.clear()
        again = scheduler.run([write(tree)], context=second)
        here = list(ran)
    ran.clear()
    with Scheduler(backend=MemoryBackend(), executor="inline") as fresh:
        assert again == fresh.run([write(tree)], context=second)

    assert set(here) == set(ran) - known, "neither more nor less than what is new"


# Where it comes from


def test_settings_file_run_and_command_line_are_merged(tmp_path: Path) -> None:
    config = tmp_path / ".taskgraph"
    config.mkdir()
    (config / "config.toml").write_text(
        '[scheduler]\ncontext_file = "more.json"\n[scheduler.context]\na.x = 1\nb = "section"\n'
    )
    (config / "more.json").write_text(json.dumps({"a": {"x": 0, "y": 0}, "c": [1]}))

    with Scheduler(load_settings(config), executor="inline") as scheduler:
        found = scheduler.run(
            [get_context(each) for each in "abcd"], context={"a": {"x": 2}, "d": None}
        )

    assert found == [{"x": 2, "y": 0}, "section", [1], None]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("gone.toml", None, "no such file"),
        ("gone.json", None, "cannot be read as JSON"),
        ("list.json", "[1]", "expected an object"),
        ("bad.toml", "a =", "not TOML"),
    ],
)
def test_a_context_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, text: str | None, says: str
) -> None:
    config = tmp_path / ".taskgraph"
    config.mkdir()
    if text is not None:
        (config / name).write_text(text)

    with pytest.raises(ConfigError, match=says) as caught:
        Scheduler(load_settings(config, {"scheduler.context_file": name}))
    assert name in str(caught.value)


def test_a_context_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKGRAPH_SCHEDULER__CONTEXT__DEPTH", "30")
    with Scheduler(load_settings(tmp_path / ".taskgraph"), backend=MemoryBackend()) as scheduler:
        assert scheduler.run(add(get_context("depth"), 1)) == 31


def test_plans_read_the_context(inline: Scheduler) -> None:
    inline.run(both(3), context={"scale": {"factor": 2}})

    assert inline.plan(both(3), context={"scale": {"factor": 2}}).is_nothing
    (planned,) = inline.plan(both(3), context={"scale": {"factor": 4}}).calls
    assert planned.task == "context.scaled"


def test_on_a_database_too(tmp_path: Path) -> None:
    config = tmp_path / ".taskgraph"
    config.mkdir()
    shallow = both.options(check_valid="shallow")
    for factor in (2, 2, 4, 2):
        with Scheduler(Settings(config), executor="inline") as scheduler:
            assert scheduler.run(shallow(3), context={"scale": {"factor": factor}}) == [
                3 * factor,
                3,
            ]

    assert Counter(ran) == {"both 3": 1, "plain 3": 1, "scaled 3 2": 1, "scaled 3 4": 1}


# Contexts as values


def test_paths_and_merging() -> None:
    assert context_of_paths({"a.b": 1, "a.c.d": 2, "e": 3}) == {
        "a": {"b": 1, "c": {"d": 2}},
        "e": 3,
    }
    assert merge_context({"a": {"b": 1}}, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert merge_context({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert get_context_value({"a": {"b": 1}}, "a.b") == 1
    assert get_context_value({"a": {"b": 1}}, "a.b.c", 9) == 9


def test_what_comes_from_outside() -> None:
    context = Context({"a": 0, "c": {"d": 0}}).updated({"a": 1, "c": {"e": {"f": 2}}})

    outside = {p: context.comes_from_outside(p) for p in ["a", "a.b", "b", "c", "c.d", "c.e.f"]}
    assert outside == {"a": False, "a.b": False, "b": True, "c": True, "c.d": True, "c.e.f": False}
