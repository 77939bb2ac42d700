"""What a task may be given by name is derived from its signature; it counts in no hash."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from taskgraph import JobInfo, Scheduler, Task, task
from taskgraph.errors import TaskOptionError
from taskgraph.tasks import schemas
from taskgraph.tasks.schemas import DRAFT, defaults_of, find_problem, is_simple, with_whole_numbers
from taskgraph.testing import MemoryBackend
from taskgraph.values.weigh import hash_value

taskgraph_namespace = "schemas"


@task
def plain(
    files: list[Any],
    unit: str,
    times: int = 2,
    share: float | None = None,
    kind: Literal["mean", "max"] = "mean",
    names: list[str] = ["a"],  # noqa: B006 - a default that is a list
    by_name: dict[str, int] | None = None,
    is_deep: bool = False,
    where: Path = Path("x"),
    how: Any = object,
    job: JobInfo = JobInfo(),
) -> int:
    return len(files)


@task
def open_ended(first: int, *more: int, by: int = 1, **others: Any) -> int:
    return first


def test_a_schema_has_all_parameters_but_the_first() -> None:
    assert plain.args_schema == {
        "$schema": DRAFT,
        "type": "object",
        "properties": {
            "unit": {"type": "string"},
            "times": {"type": "integer", "default": 2},
            "share": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "kind": {"enum": ["mean", "max"], "default": "mean"},
            "names": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
            "by_name": {
                "anyOf": [
                    {"type": "object", "additionalProperties": {"type": "integer"}},
                    {"type": "null"},
                ]
            },
            "is_deep": {"type": "boolean", "default": False},
            "where": {},
            "how": {},
        },
        "required": ["unit"],
        "additionalProperties": False,
    }
    assert plain.default_args == {"times": 2, "kind": "mean", "names": ["a"], "is_deep": False}


def test_a_default_is_allowed_whatever_its_annotation_says() -> None:
    @task(namespace="schemas")
    def loose(
        files: list[Any],
        a: int = None,  # type: ignore[assignment]  # noqa: RUF013 - as people write it
        b: float = "auto",  # type: ignore[assignment]  # the same
        c: Literal["x", "y"] = "z",  # type: ignore[assignment]  # the same
        d: str | int = 1.5,  # type: ignore[assignment]  # the same
        e: int = 2,
        f: list[int] = [None],  # type: ignore[list-item]  # noqa: B006 - the same
        g: str = Path("x"),  # type: ignore[assignment]  # no JSON
    ) -> int:
        return len(files)

    assert loose.args_schema["properties"] == {
        "a": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "b": {"anyOf": [{"type": "number"}, {"enum": ["auto"]}], "default": "auto"},
        "c": {"anyOf": [{"enum": ["x", "y"]}, {"enum": ["z"]}], "default": "z"},
        "d": {
            "anyOf": [{"type": "string"}, {"type": "integer"}, {"enum": [1.5]}],
            "default": 1.5,
        },
        "e": {"type": "integer", "default": 2},
        "f": {
            "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"enum": [[None]]}],
            "default": [None],
        },
        "g": {"type": "string"},
    }
    assert find_problem(loose.args_schema, loose.default_args) is None
    assert find_problem(loose.args_schema, {"a": None, "b": 2}) is None
    assert find_problem(loose.args_schema, {"a": "x"}) is not None


def test_what_takes_any_name_has_an_open_schema() -> None:
    assert open_ended.args_schema["properties"] == {"by": {"type": "integer", "default": 1}}
    assert open_ended.args_schema["additionalProperties"] is True
    assert find_problem(open_ended.args_schema, {"by": 2, "whatever": [1]}) is None


def test_who_changes_a_schema_changes_a_copy() -> None:
    plain.args_schema["properties"].clear()
    plain.default_args["names"].append("b")

    assert plain.default_args["names"] == ["a"]


def test_annotations_that_mean_nothing_here_say_nothing() -> None:
    @task(namespace="schemas")
    def lost(x: int, y: Missing, z: int = 3) -> int:  # type: ignore[name-defined]  # noqa: F821
        return x

    assert lost.args_schema["properties"] == {"y": {}, "z": {"default": 3}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"unit": "K"}, None),
        ({"unit": "K", "share": None, "times": 3.0}, None),
        ({"unit": "K", "by_name": {"a": 1}}, None),
        ({}, "'unit' is missing"),
        ({"unit": 3}, "unit: 3 is not of type 'string'"),
        ({"unit": "K", "times": True}, "times: True is not of type 'integer'"),
        ({"unit": "K", "times": 2.5}, "times: 2.5 is not of type 'integer'"),
        ({"unit": "K", "kind": "min"}, "'min' is not one of"),
        ({"unit": "K", "names": ["a", 1]}, r"names\[1\]: 1 is not of type"),
        ({"unit": "K", "by_name": {"a": "b"}}, "by_name: .* is nothing that is allowed"),
        ({"unit": "K", "share": "much"}, "allowed: number or null"),
        ({"unit": "K", "unot": 1}, "no parameter 'unot'. There are: unit, times"),
    ],
)
def test_arguments_are_held_against_it_without_a_library(
    given: dict[str, Any], problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)  # as if it were not installed
    found = find_problem(plain.args_schema, given)

    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(problem, found), found


NUMBERS = {
    "type": "object",
    "properties": {
        "whole": {"type": "integer"},
        "any": {"type": "number"},
        "said": {},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "both": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
        "level": {"enum": [1, 2]},
        "share": {"enum": [1.0, 0.5]},
        "many": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
        "named": {"type": "object", "additionalProperties": {"type": "integer"}},
        "listed": {"type": ["integer", "null"], "minimum": 0},
        "loose": {"type": ["integer", "number"]},
    },
}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("whole", 2.0, 2),
        ("whole", -0.0, 0),
        ("whole", 1e22, 10**22),
        ("whole", True, True),  # which it does not allow
        ("any", 2.0, 2.0),
        ("any", 2, 2),
        ("said", 2.0, 2.0),
        ("maybe", 2.0, 2),
        ("maybe", None, None),
        ("both", 2.0, 2.0),
        ("level", 2.0, 2),
        ("share", 1.0, 1.0),
        ("many", [1.0, 2], [1, 2]),
        ("named", {"a": 1.0}, {"a": 1}),
        ("listed", 3.0, 3),
        ("loose", 3.0, 3.0),
        ("unknown", 3.0, 3.0),
    ],
)
def test_whole_numbers_are_such_where_the_schema_wants_it(
    name: str, given: Any, expected: Any
) -> None:
    found = with_whole_numbers(NUMBERS, {name: given})
    assert repr(found) == repr({name: expected})


OWN = {
    "type": "object",
    "properties": {
        "level": {"$ref": "#/$defs/Level", "default": "low"},
        "sizes": {"type": "array", "items": {"type": "integer", "minimum": 1}, "default": [1]},
        "nothing": {"default": None},
    },
    "$defs": {"Level": {"enum": ["low", "high"]}},
    "required": ["level"],
}


def test_a_schema_of_its_own_is_used_as_it_is() -> None:
    pytest.importorskip("jsonschema")

    @task(namespace="schemas", args_schema=OWN)
    def own(files: list[Any], **rest: Any) -> int:
        return len(files)

    assert own.args_schema == OWN
    assert own.default_args == {"level": "low", "sizes": [1]}
    assert not is_simple(own.args_schema)
    assert find_problem(own.args_schema, {"level": "high", "sizes": [3]}) is None
    assert str(find_problem(own.args_schema, {"level": "middle"})).startswith("level: 'middle'")
    assert str(find_problem(own.args_schema, {"level": "low", "sizes": [0]})).startswith("sizes[0]")
    assert find_problem({**OWN, "type": "no type"}, {}) is not None


def test_without_the_library_who_needs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)

    with pytest.raises(ImportError):
        find_problem(OWN, {"level": "low"})


@pytest.mark.parametrize(
    ("schema", "match"),
    [
        ("all", "must be 'auto' or a JSON schema"),
        ([], "must be 'auto' or a JSON schema"),
        ({"type": "array"}, "schema of an object"),
        ({"type": "object", "properties": []}, "schema of an object"),
        ({"type": "object", "default": object()}, "no JSON"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}, "definitions of its own"),
        (
            {"type": "object", "allOf": [{"$ref": "https://example.org/schema"}]},
            "definitions of its own",
        ),
    ],
)
def test_what_is_no_schema_of_an_object_is_refused(schema: Any, match: str) -> None:
    with pytest.raises(TaskOptionError, match=match):
        task(name="wrong", namespace="schemas", args_schema=schema)(len)


def of(defs: Any = None, **said: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", **said, **({} if defs is None else {"$defs": defs})}


@pytest.mark.parametrize(
    ("schema", "match"),
    [
        (of({"A": {}}, properties={"a": {"$ref": "#/$defs/A/properties/b"}}), "no such one"),
        (of({"A": {}}, allOf=[{"$ref": "#/$defs/"}]), "no such one"),
        (of({"A": {"enum": []}}, properties={"a": {"$ref": "#/$defs/A/enum/0"}}), "no such one"),
        (of([], properties={"a": {"$ref": "#/$defs/0"}}), "no such one"),
        (of({"A": {"$ref": "#/$defs/A"}}), "refers to itself"),
        (of({"A": {"anyOf": [{"not": {"$ref": "#/$defs/A"}}]}}), "refers to itself"),
        (of({"A": {"$ref": "#/$defs/B"}, "B": {"if": {"$dynamicRef": "#/$defs/A"}}}), "to itself"),
        (of({"A": {"x": {"$ref": "else"}}}, properties={"a": {"$ref": "#/$defs/A/x"}}), "its own"),
        (of(items=[[]] * 3, patternProperties={"a": {"$ref": "#/x"}}), "definitions of its own"),
        (of(properties={"a": {"default": {1: 2}}}), "no JSON"),
    ],
)
def test_what_refers_to_nothing_or_to_itself_is_refused(schema: Any, match: str) -> None:
    with pytest.raises(TaskOptionError, match=match):
        task(name="wrong", namespace="schemas", args_schema=schema)(len)


def test_what_is_nested_without_end_is_refused() -> None:
    deep: dict[str, Any] = of()
    deep["properties"] = {"a": deep}

    with pytest.raises(TaskOptionError, match="nested too deeply"):
        task(name="wrong", namespace="schemas", args_schema=deep)(len)


@pytest.mark.parametrize("key", ["default", "const", "enum", "examples", "x-of-ours"])
def test_what_is_data_refers_to_nothing(key: str) -> None:
    data: Any = {"$ref": "https://example.org/schema", "more": [{"$ref": "#/nowhere"}]}
    inside = {key: [data] if key in ("enum", "examples") else data}
    schema = of(properties={"a": inside, "default": {"type": "integer"}})

    made: Task[..., Any] = Task(len, name="data", namespace="schemas", args_schema=schema)

    assert made.args_schema == schema


TREE = of(
    {
        "Tree/": {"properties": {"below": {"items": {"$ref": "#/$defs/Tree~1"}}}, "type": "object"},
        "a b": {"type": "integer"},
    },
    properties={"tree": {"$ref": "#/$defs/Tree~1"}, "n": {"$ref": "#/$defs/a%20b"}},
)


def test_what_refers_to_itself_of_what_lies_inside_is_judged_by() -> None:
    pytest.importorskip("jsonschema")
    made: Task[..., Any] = Task(len, name="tree", namespace="schemas", args_schema=TREE)

    assert find_problem(made.args_schema, {"tree": {"below": [{"below": []}]}, "n": 1}) is None
    wrong = {"tree": {"below": [{"below": [1]}]}}
    assert str(find_problem(TREE, wrong)).startswith("tree.below[0].below[0]: 1 is not of type")
    assert find_problem(TREE, {"n": "x"}) == "n: 'x' is not of type 'integer'"


@pytest.mark.parametrize(
    "schema",
    [
        of(properties={"a": {"pattern": "["}}),
        of(patternProperties={"(": {}}),
        of(properties={"a": {"type": 3}}),
        of(properties={"a": {"type": "object", "properties": []}}),
        of(required=[{}]),
        of(required=5),
        of(properties={"a": {"items": 5}}),
        of(properties=[]),
        of(properties={"a": {"$ref": "https://127.0.0.1:9/schema"}}),
        of(properties={"a": {"$ref": "#/$defs/Missing"}}),
        of({"A": {"$ref": "#/$defs/A"}}, properties={"a": {"$ref": "#/$defs/A"}}),
        of(properties={"a": {"multipleOf": 0}}),
    ],
)
def test_what_is_wrong_with_a_schema_of_others_is_a_problem_and_no_error(schema: Any) -> None:
    """A package may say whatever it likes of its tasks."""
    pytest.importorskip("jsonschema")

    problem = find_problem(schema, {"a": "x"})

    assert problem is not None
    assert "the schema of the task " in problem
    assert defaults_of(schema) == {}


def test_lists_may_be_given_as_tuples() -> None:
    pytest.importorskip("jsonschema")
    schema = of(properties={"sizes": {"type": "array", "minItems": 2}})

    assert find_problem(schema, {"sizes": (1, 2)}) is None
    assert find_problem(schema, {"sizes": (1,)}) is not None


def test_a_property_may_be_called_like_a_reference() -> None:
    schema = {"type": "object", "properties": {"$ref": {"type": "string"}}}
    made: Task[..., Any] = Task(len, name="ref", namespace="schemas", args_schema=schema)

    assert made.args_schema == schema


@pytest.mark.parametrize("option", ["input_type", "output_type"])
def test_a_type_is_a_name(option: str) -> None:
    said: Any = {option: " "}
    with pytest.raises(TaskOptionError, match="name of a type"):
        task(name="wrong", namespace="schemas", **said)(len)
    assert (plain.input_type, plain.output_type) == ("Any", "Any")


def _two() -> tuple[Task[..., Any], Task[..., Any]]:
    """Return one function as two tasks of one name: with all that can be said, and without."""

    def body(files: list[Any], x: int = 1) -> int:
        return len(files) + x

    said: Any = {"args_schema": OWN, "input_type": "cmip6", "output_type": "plot"}
    bare = task(name="twice", namespace="schemas")(body)
    full = task(name="twice", namespace="schemas", **said)(body)
    return bare, full


def test_schema_and_types_count_in_no_hash() -> None:
    bare, full = _two()

    assert full.input_type == "cmip6"
    assert bare.hash == full.hash
    assert [each.part_hash for each in bare.parts] == [each.part_hash for each in full.parts]
    assert hash_value(bare) == hash_value(full)
    assert hash_value(bare([1])) == hash_value(full([1]))
    assert full.options(retries=1).output_type == "plot"


def test_a_result_is_found_again_whatever_is_said_of_types() -> None:
    ran: list[int] = []

    def count(files: list[Any], x: int = 1) -> int:
        ran.append(len(files))
        return len(files) + x

    said: Any = {"args_schema": OWN, "input_type": "cmip6", "output_type": "plot"}
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        for more in ({}, said):
            made = task(name="counted", namespace="schemas", version="1", **more)(count)
            assert scheduler.run(made([1, 2])) == 3

    assert ran == [2]


def test_a_call_costs_no_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("nobody has asked for a schema")

    monkeypatch.setattr("taskgraph.tasks.task.derive", refuse)

    @task(namespace="schemas", version="1")
    def quick(x: int, y: int = 2) -> int:
        return x + y

    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        assert scheduler.run(quick(1)) == 3
    with pytest.raises(AssertionError):
        _ = quick.args_schema


def test_defaults_are_those_on_top_that_are_not_null() -> None:
    assert defaults_of(
        {"properties": {"a": {"default": 0}, "b": {"default": None}, "c": True}}
    ) == {"a": 0}
    assert defaults_of({}) == {}
    assert schemas.type_of(None) == {"type": "null"}
