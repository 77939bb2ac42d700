"""Small workflows that say, each, what they give, what they call, and what runs a second time.

A call graph is written as the tasks in the order of their calls: ``add(inc, double)`` is a call of
``add`` within which ``inc`` and ``double`` were called. A call that is made twice is a child twice.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

from taskgraph import catch, catch_all, cond, seq, throw
from taskgraph.functools import (
    apply_func,
    as_task,
    compose,
    const,
    delay,
    eval_,
    flat_map,
    flatten,
    force,
    identity,
    map_,
    no_prov,
    quote,
    starmap,
    zip_,
)
from tests.language.tasks import (
    Box,
    Point,
    add,
    adder,
    boxed,
    call_with,
    choose_task,
    countdown,
    describe,
    describe_all,
    double,
    doubled_later,
    factorial,
    fail,
    fail_later,
    fail_on,
    fan,
    first_even,
    inc,
    is_even,
    join,
    keys_of,
    norm,
    numbers,
    pair,
    plain_record,
    retry_with,
    sum_of_fan,
    total,
    twice_later,
    unbox,
    unrecorded,
    with_lazy_default,
)


@dataclasses.dataclass(frozen=True)
class Workflow:
    """A workflow and what is expected of it.

    Attributes:
        name: What it is about.
        write: Writes it down.
        gives: Its value.
        calls: Its call graph; "" where that is not looked at.
        raises: The error that it ends with, as text: class and message.
        again: The tasks whose bodies run in a second run, by name, in any order.
    """

    name: str
    write: Callable[[], Any]
    gives: Any = None
    calls: str = ""
    raises: str = ""
    again: tuple[str, ...] = ()


def _square(x: int) -> int:
    return x * x


WORKFLOWS: list[Workflow] = [
    # Calls and their arguments
    Workflow("a call", lambda: inc(1), 2, "inc"),
    Workflow("a call of a call", lambda: inc(inc(1)), 3, "root_task(inc, inc)"),
    Workflow("a default", lambda: add(1), 11, "add"),
    Workflow("by name", lambda: add(b=1, a=2), 3, "add"),
    Workflow(
        "the same call in two forms",
        lambda: [add(1), add(1, b=10), add(a=1)],
        [11, 11, 11],
        "root_task(add, add, add)",
    ),
    Workflow("any arguments", lambda: join(1, inc(1), z=3, y=inc(3)), "1 2 y=4 z=3"),
    Workflow(
        "a lazy default", lambda: with_lazy_default(1), 102, "root_task(inc, with_lazy_default)"
    ),
    Workflow(
        "a lazy default that is given", lambda: with_lazy_default(1, 2), 3, "with_lazy_default"
    ),
    Workflow("no call at all", lambda: [1, {"a": (2,)}], [1, {"a": (2,)}], "root_task"),
    Workflow("a quoted call is a value", lambda: identity(quote(1)).eval(), 1),
    # Containers
    Workflow("a list", lambda: [inc(1), [inc(2)]], [2, [3]], "root_task(inc, inc)"),
    Workflow("a tuple", lambda: (inc(1), 5), (2, 5), "root_task(inc)"),
    Workflow("a set", lambda: {inc(1), inc(2)}, {2, 3}),
    Workflow("a dict", lambda: {"a": inc(1), "b": {"c": inc(2)}}, {"a": 2, "b": {"c": 3}}),
    Workflow("a dict's key", lambda: {inc(1): "x"}, {2: "x"}),
    Workflow("a named tuple", lambda: norm(Point(inc(1), -3)), 5, "root_task(inc, norm)"),
    Workflow("a dataclass", lambda: unbox(Box(inc(1))), 2, "root_task(inc, unbox)"),
    Workflow("a dataclass as result", lambda: boxed(1), Box(2, "box 1"), "boxed(inc)"),
    Workflow("a container as argument", lambda: total([inc(1), 2, inc(3)]), 8),
    Workflow("a lazy dict as argument", lambda: keys_of({inc(1): 0, 1: inc(1)}), [1, 2]),
    # Operators
    Workflow("adding", lambda: inc(1) + inc(2), 5, "root_task(inc, inc)"),
    Workflow("reflected", lambda: 10 - inc(1), 8),
    Workflow("all of arithmetic", lambda: (inc(1) * 6 / 4 // 1) ** 2 % 5, 4.0),
    Workflow("negation", lambda: -inc(1) + abs(-inc(2)), 1),
    Workflow(
        "comparing",
        lambda: [inc(1) == 2, inc(1) != 2, inc(1) < 3, inc(1) <= 3],
        [True, False, True, True],
    ),
    Workflow("and", lambda: (inc(-1) & fail("x")) if False else inc(-1) & 5, 0),
    Workflow("or", lambda: inc(-1) | 5, 5),
    Workflow("an index", lambda: numbers(3)[inc(1)], 2, "root_task(numbers, inc)"),
    Workflow("a key", lambda: plain_record(1)["items"][1], 2),
    Workflow("a slice", lambda: numbers(5)[1:3], [1, 2]),
    Workflow("an attribute", lambda: boxed(1).label, "box 1"),
    Workflow("a method", lambda: join("a", "b").upper(), "A B"),
    Workflow("unpacking", lambda: list(reversed(list(pair(4)))), ["4", 4]),
    Workflow(
        "a matrix product that is none", lambda: inc(1) @ 2, raises="TypeError: unsupported operand"
    ),
    # Bodies that write calls down
    Workflow("a call as result", lambda: twice_later(2), 4, "twice_later(double)"),
    Workflow("calls in a result", lambda: fan(3), [1, 2, 3], "fan(inc, inc, inc)"),
    Workflow(
        "calls of calls in a result",
        lambda: sum_of_fan(3),
        6,
        "sum_of_fan(fan(inc, inc, inc), total)",
    ),
    Workflow(
        "recursion",
        lambda: factorial(3),
        6,
        "factorial(factorial(factorial, times), times)",
    ),
    Workflow("deep recursion", lambda: countdown(300), 0),
    Workflow(
        "equal calls run once",
        lambda: [twice_later(2), double(2)],
        [4, 4],
        "root_task(twice_later(double), double)",
    ),
    # Tasks as values
    Workflow("a task as argument", lambda: call_with(inc, 1), 2, "call_with(inc)"),
    Workflow(
        "a task as result", lambda: choose_task("double")(4), 8, "root_task(choose_task, double)"
    ),
    Workflow("a partial task", lambda: add.partial(1)(b=2), 3, "add"),
    Workflow("a partial task twice", lambda: add.partial(1).partial(2)(), 3, "add"),
    Workflow(
        "a partial task as argument", lambda: call_with(add.partial(5), 1), 6, "call_with(add)"
    ),
    Workflow("a partial task as result", lambda: adder(3)(4), 7, "root_task(adder, add)"),
    Workflow("a partial task with a call", lambda: add.partial(inc(1))(inc(2)), 5),
    # cond
    Workflow(
        "cond takes one branch",
        lambda: cond(is_even(2), inc(1), fail("x")),
        2,
        "cond(is_even, inc)",
    ),
    Workflow(
        "cond takes the other", lambda: cond(is_even(1), fail("x"), inc(1)), 2, "cond(is_even, inc)"
    ),
    Workflow("cond with more", lambda: cond(is_even(1), 1, is_even(3), 2, is_even(4), 3, 4), 3),
    Workflow("cond without else", lambda: cond(is_even(1), 1), None),
    Workflow("cond on a value", lambda: cond(True, inc(1), inc(2)), 2, "cond(inc)"),
    Workflow(
        "cond as argument", lambda: inc(cond(is_even(2), 1, 2)), 2, "root_task(cond(is_even), inc)"
    ),
    # Errors
    Workflow("an error", lambda: fail("broken"), raises="ValueError: broken"),
    Workflow("an error below", lambda: fail_later("broken"), raises="ValueError: broken"),
    Workflow("an error in an argument", lambda: inc(fail("broken")), raises="ValueError: broken"),
    Workflow("an error in a list", lambda: [inc(1), fail("broken")], raises="ValueError: broken"),
    Workflow(
        "an error of an operator", lambda: inc(1) / 0, raises="ZeroDivisionError: division by zero"
    ),
    Workflow(
        "an error of an index", lambda: numbers(2)[5], raises="IndexError: list index out of range"
    ),
    Workflow("an error in a predicate", lambda: cond(fail("p"), 1, 2), raises="ValueError: p"),
    Workflow(
        "an error that is thrown", lambda: throw(ValueError("thrown")), raises="ValueError: thrown"
    ),
    Workflow("an error class that is thrown", lambda: throw(KeyError), raises="KeyError"),
    Workflow(
        "no error is thrown",
        lambda: throw(inc(1)),
        raises="TypeError: throw takes an exception, not a int",
    ),
    # catch
    Workflow(
        "catch without an error", lambda: catch(inc(1), ValueError, describe), 2, "catch(inc)"
    ),
    Workflow(
        "catch recovers",
        lambda: catch(fail("a"), ValueError, describe),
        "ValueError a",
        "catch(fail, describe)",
        again=("fail",),
    ),
    Workflow(
        "catch of a class that does not fit",
        lambda: catch(fail("a"), KeyError, describe),
        raises="ValueError: a",
    ),
    Workflow(
        "catch by a base class",
        lambda: catch(fail_on(1, 1), Exception, describe),
        "KeyError 1",
        again=("fail_on",),
    ),
    Workflow(
        "catch by a tuple",
        lambda: catch(fail("a"), (KeyError, ValueError), describe),
        "ValueError a",
        again=("fail",),
    ),
    Workflow(
        "catch with more clauses",
        lambda: catch(fail("a"), KeyError, inc, ValueError, describe),
        "ValueError a",
        again=("fail",),
    ),
    Workflow(
        "catch below",
        lambda: catch(fail_later("a"), ValueError, describe),
        "ValueError a",
        "catch(fail_later(fail), describe)",
        again=("fail",),
    ),
    Workflow(
        "catch as argument",
        lambda: join(catch(fail("a"), ValueError, describe)),
        "ValueError a",
        again=("fail",),
    ),
    Workflow(
        "catch in catch",
        lambda: catch(catch(fail("a"), ValueError, fail), TypeError, describe),
        raises="ValueError: a",
    ),
    Workflow(
        "catch throws on",
        lambda: catch(fail("a"), ValueError, lambda error: throw(KeyError(1))),
        raises="KeyError: 1",
    ),
    # catch_all
    Workflow(
        "catch_all without an error",
        lambda: catch_all([inc(1), {"a": inc(2)}]),
        [2, {"a": 3}],
        "catch_all(attempt(inc), attempt(inc))",
    ),
    Workflow(
        "catch_all recovers",
        lambda: catch_all([inc(1), fail("a"), fail_on(3, 3)], Exception, describe_all),
        [2, "ValueError", "KeyError"],
        "catch_all(attempt(inc), attempt(fail), attempt(fail_on), describe_all)",
        again=("fail", "fail_on"),
    ),
    Workflow(
        "catch_all raises the first",
        lambda: catch_all([inc(1), fail("a"), fail("b")]),
        raises="ValueError: a",
    ),
    Workflow(
        "catch_all of one class",
        lambda: catch_all([fail("a"), fail_on(1, 1)], ValueError, describe_all),
        raises="KeyError: 1",
    ),
    # seq
    Workflow("seq", lambda: seq([inc(1), double(2)]), [2, 4], "seq(inc, double)"),
    Workflow("seq stops at an error", lambda: seq([fail("a"), inc(1)]), raises="ValueError: a"),
    Workflow("seq of containers", lambda: seq([[inc(1)], {"a": inc(2)}]), [[2], {"a": 3}]),
    # Mapping
    Workflow("map_", lambda: map_(inc, [1, 2, 3]), [2, 3, 4], "map_(inc, inc, inc)"),
    Workflow(
        "map_ of a call", lambda: map_(inc, numbers(3)), [1, 2, 3], "map_(numbers, inc, inc, inc)"
    ),
    Workflow("map_ of lazy items", lambda: map_(inc, [inc(1), 5]), [3, 6], "map_(inc, inc, inc)"),
    Workflow("map_ of nothing", lambda: map_(inc, []), [], "map_"),
    Workflow("map_ of a tuple", lambda: map_(inc, (1, 2)), [2, 3]),
    Workflow(
        "map_ of a lazy task",
        lambda: map_(choose_task("double"), [1, 2]),
        [2, 4],
        "map_(choose_task, double, double)",
    ),
    Workflow("map_ with a partial task", lambda: map_(add.partial(1), [1, 2]), [2, 3]),
    Workflow(
        "maps of maps are one",
        lambda: map_(inc, map_(double, [1, 2])),
        [3, 5],
        "map_(map_(compose_apply(double, inc), compose_apply(double, inc)))",
    ),
    Workflow("three maps", lambda: map_(inc, map_(double, map_(inc, numbers(2)))), [3, 5]),
    Workflow(
        "map_ of a failing task",
        lambda: map_(fail_on.partial(bad=2), [1, 2, 3]),
        raises="KeyError: 2",
    ),
    Workflow(
        "starmap by name",
        lambda: starmap(add, [{"a": 1}, {"a": 2, "b": inc(2)}]),
        [11, 5],
        "starmap(add, inc, add)",
    ),
    Workflow("starmap by position", lambda: starmap(add, [(1, 2), (inc(2),)]), [3, 13]),
    Workflow(
        "starmap of a call",
        lambda: starmap(add, [pair(1)]),
        raises="TypeError",
    ),
    Workflow(
        "starmap of what is no set of arguments",
        lambda: starmap(add, [5]),
        raises="TypeError: starmap takes dicts",
    ),
    Workflow("flatten", lambda: flatten([[1], numbers(2), []]), [1, 0, 1], "flatten(numbers)"),
    Workflow(
        "flat_map",
        lambda: flat_map(numbers, [2, 3]),
        [0, 1, 0, 1, 2],
        "flat_map(flatten(map_(numbers, numbers)))",
    ),
    Workflow("zip_", lambda: zip_(numbers(2), ["a", "b"], [inc(1), 5]), [(0, "a", 2), (1, "b", 5)]),
    Workflow("zip_ of unequal lists", lambda: zip_([1, 2, 3], numbers(2)), [(1, 0), (2, 1)]),
    # Composing and holding back
    Workflow("compose", lambda: compose(inc, double)(3), 7, "compose_apply(double, inc)"),
    Workflow(
        "compose of composed",
        lambda: compose(inc, compose(double, add))(1, 2),
        7,
        "compose_apply(add, double, inc)",
    ),
    Workflow("compose of nothing", lambda: compose()(3), 3),
    Workflow("compose as argument", lambda: call_with(compose(inc, inc), 1), 3),
    Workflow("identity", lambda: identity(inc(1)), 2, "identity(inc)"),
    Workflow("const", lambda: const(inc(1), double(2)), 2, "const(inc, double)"),
    Workflow("const waits for both", lambda: const(1, fail("a")), raises="ValueError: a"),
    Workflow("delay does not evaluate", lambda: const(1, delay(fail("a"))), 1, "const(delay)"),
    Workflow("force evaluates", lambda: force(delay(inc(1))), 2, "force(delay, inc)"),
    Workflow("force of a value", lambda: force(inc(1)), raises="TypeError: force takes what delay"),
    # What leaves no records
    Workflow("prov=False", lambda: inc(double.options(prov=False)(1)), 3, "root_task(inc)"),
    Workflow("prov=False of a decorator", lambda: [unrecorded(1)], [2], "root_task"),
    Workflow(
        "prov=False around calls", lambda: [sum_of_fan.options(prov=False)(3)], [6], "root_task"
    ),
    Workflow("no_prov", lambda: no_prov(sum_of_fan(3)), 6, "no_prov"),
    Workflow("no_prov of a value", lambda: no_prov([1]), [1], "no_prov"),
    Workflow(
        "no_prov as argument", lambda: inc(no_prov(inc(inc(1)))), 4, "root_task(no_prov, inc)"
    ),
    Workflow("no_prov in no_prov", lambda: no_prov([no_prov(inc(1)), 1]), [2, 1], "no_prov"),
    # Plain functions
    Workflow(
        "apply_func", lambda: apply_func(operator.add, inc(1), 2), 4, "root_task(inc, apply_func)"
    ),
    Workflow("apply_func of a function here", lambda: apply_func(_square, 3), 9, "apply_func"),
    Workflow("as_task", lambda: as_task(_square)(inc(1)), 4, "root_task(inc, apply_func)"),
    Workflow("as_task of a lambda", lambda: map_(as_task(lambda x: x + 5), [1, 2]), [6, 7]),
    Workflow("as_task of a task", lambda: as_task(inc)(1), 2, "inc"),
    Workflow("eval_", lambda: eval_("x + y", x=inc(1), y=3), 5, "root_task(inc, eval_)"),
    Workflow("eval_ by position", lambda: eval_("x * y", 2, inc(2), pos_args=["x", "y"]), 6),
    Workflow("eval_ of indented code", lambda: eval_("\n    len(items)\n", items=[1, 2]), 2),
    Workflow(
        "eval_ with too few values",
        lambda: eval_("x", pos_args=["x"]),
        raises="TypeError: eval_ got 0 values for 1 names",
    ),
    Workflow("eval_ of what is no expression", lambda: eval_("x = 1"), raises="SyntaxError"),
    # Scheduler tasks of users
    Workflow(
        "a generator stops early",
        lambda: first_even([inc(2), inc(3), fail("x")]),
        4,
        "first_even(inc, inc)",
    ),
    Workflow(
        "a generator catches",
        lambda: retry_with(fail_on, [0, 5]),
        5,
        "retry_with(fail_on, fail_on)",
        again=("fail_on",),
    ),
    Workflow(
        "a generator raises", lambda: retry_with(fail_on, [0]), raises="LookupError: all failed"
    ),
    Workflow(
        "a plain scheduler task", lambda: doubled_later(inc(1)), 4, "doubled_later(inc, double)"
    ),
]
