"""Each value at its place has one name, and parameters are known by the source of their task."""

from __future__ import annotations

import pytest

from taskgraph_backend import models
from taskgraph_backend.dataflow.display import display_call_node, display_value
from taskgraph_backend.dataflow.naming import (
    DataflowVars,
    get_callnode_arguments,
    get_default_arg_name,
    get_task_args,
    is_internal_task,
    make_var_name,
)
from taskgraph_backend.dataflow.nodes import ArgumentValue, CallNodeValue, DataflowNode


def a_task(source: str, name: str = "f", namespace: str = "ns") -> models.Task:
    return models.Task(hash="1" * 32, name=name, namespace=namespace, source=source)


def a_call(source: str, *arguments: tuple[int | None, str | None]) -> models.CallNode:
    call = models.CallNode(call_hash="a" * 32, task_name="ns.f", task_hash="1" * 32)
    given = [
        models.Argument(arg_hash=f"{number:032x}", arg_position=position, arg_key=key)
        for number, (position, key) in enumerate(arguments)
    ]
    for each in given:
        each.__dict__["call_node"] = call
    call.__dict__.update(task=a_task(source), arguments=given)
    return call


def a_value(preview: str = "1") -> models.Value:
    return models.Value(value_hash="b" * 32, type="builtins.int", preview=preview)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(a, b=1): ...", ["a", "b"]),
        ("@task\ndef f(a, /, b, *rest, c, **more): ...", ["a", "b", "*rest", "c", "**more"]),
        ("    async def f(a): ...", ["a"]),
        ("f = task(lambda x, y: x)", ["x", "y"]),
        ("def f(): ...", []),
    ],
)
def test_parameters_are_read_from_the_source(source: str, names: list[str]) -> None:
    assert get_task_args(a_task(source)) == names


@pytest.mark.parametrize("source", ["def f(", "x = 1", ""])
def test_source_without_a_function_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        get_task_args(a_task(source))
    with pytest.raises(SyntaxError):
        DataflowVars().get_task_args(a_task(source))


def test_where_the_source_does_not_parse_arguments_are_numbered() -> None:
    call = a_call("def f(", (0, None), (1, None))

    assert display_call_node(call, {}) == "<aaaaaaaa> ns.f(arg0, arg1)"
    assert get_default_arg_name(3) == "arg3"


def test_arguments_without_a_name_go_by_their_place_in_the_source() -> None:
    call = a_call("def f(a, *rest): ...", (0, None), (1, None), (2, None))
    names = DataflowVars()

    assert [names.argument_name(each) for each in call.arguments] == ["a", "rest", "rest"]


def test_arguments_stand_in_the_order_of_the_signature() -> None:
    call = a_call("", (None, "z"), (1, "b"), (None, "y"), (0, "a"))

    assert [each.arg_key for each in get_callnode_arguments(call)] == ["a", "b", "y", "z"]


def test_many_parameters_are_cut() -> None:
    call = a_call(f"def f({', '.join(f'p{number}' for number in range(15))}): ...")

    assert display_call_node(call, {}).endswith("p11, ... 3 more)")


def test_a_name_is_given_once() -> None:
    assert make_var_name("a", set()) == "a"
    assert make_var_name("a", {"a", "a_2"}) == "a_3"
    assert make_var_name("a", {"a"}, suffix=7) == "a_7"


def test_a_node_keeps_its_name() -> None:
    call, value = a_call("def f(x): ...", (0, "x")), a_value()
    (argument,) = call.arguments
    names = DataflowVars()
    nodes: list[DataflowNode] = [
        ArgumentValue(argument, value), ArgumentValue(argument, a_value()), value
    ]  # fmt: skip

    assert [names.new_var_name(each) for each in nodes] == ["x", "x_2", "value"]
    assert names.new_var_name(CallNodeValue(call, value)) == "f_result"
    assert names.new_var_name(nodes[0], "other") == "x"


def test_a_name_that_looks_like_one_with_a_number_is_left_alone() -> None:
    call = a_call("def f(x_2, x): ...", (0, "x_2"), (1, "x"), (2, "x"))
    names = DataflowVars()

    given = [names.new_var_name(ArgumentValue(each, a_value())) for each in call.arguments]

    assert given == ["x_2", "x", "x_3"]


@pytest.mark.parametrize(
    ("namespace", "name", "is_internal"),
    [
        ("taskgraph", "cond", True),
        ("taskgraph", "map_", True),
        ("taskgraph", "script", False),
        ("taskgraph.tools", "copy_file", False),
        ("", "cond", False),
        ("mine", "cond", False),
    ],
)
def test_tasks_of_the_library_that_hand_values_on_are_known(
    namespace: str, name: str, is_internal: bool
) -> None:
    assert is_internal_task(a_task("", name, namespace)) is is_internal


def test_no_preview_moves_the_cursor_or_fills_the_screen() -> None:
    shown = display_value(a_value("one\n\x1b[2Jtwo " + "x" * 200))

    assert shown.startswith("one \\x1b[2Jtwo xxx")
    assert len(shown) == 100
