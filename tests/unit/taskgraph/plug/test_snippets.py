"""Snippets that run in names: what they do to them."""

from __future__ import annotations

import sys
from codeop import Compile
from textwrap import dedent
from typing import Any

import pytest

from taskgraph.fingerprint.snippets import Snippet
from taskgraph.plug.snippets import Effects, SnippetRun, changed_in_place
from taskgraph.values.weigh import hash_value


def run_of(
    source: str, names: dict[str, Any], *, is_shown: bool = True, compiler: Compile | None = None
) -> SnippetRun:
    snippet = Snippet(dedent(source))
    return SnippetRun(snippet, names, is_shown=is_shown, filename="<snippet>", compiler=compiler)


def effects_of(source: str, **names: Any) -> tuple[Effects, dict[str, Any]]:
    """Run a snippet; returns what it did, and the names afterwards."""
    return run_of(source, names).run(), {
        name: value for name, value in names.items() if name != "__builtins__"
    }


@pytest.mark.parametrize(
    ("source", "bound", "deleted"),
    [
        ("y = x + 1", {"y": 2}, []),
        ("x = x", {"x": 1}, []),
        ("y = 1; del y", {}, []),
        ("del x", {}, ["x"]),
        ("import sys; y = 1", {"y": 1}, []),
        ("def f(): return x\ny = f()", {"y": 1}, []),
        ("def f():\n  global z\n  z = 3\nf()", {"z": 3}, []),
        ("_hidden = 1\nglobals()['_other'] = 2", {"_hidden": 1}, []),
        ("for x in [5, 6]:\n  y = x", {"x": 6, "y": 6}, []),
        ("for x in []:\n  pass", {}, []),
        ("for x in [5]:\n  pass\ndel x", {}, ["x"]),
    ],
)
def test_what_it_binds_and_deletes(source: str, bound: dict[str, Any], deleted: list[str]) -> None:
    effects, _ = effects_of(source, x=1)

    assert effects == (bound, deleted)


def test_a_name_of_a_loop_that_did_not_run_is_as_it_was() -> None:
    _, names = effects_of("for x in []:\n  pass", x=1)

    assert names == {"x": 1}


def test_a_name_of_a_loop_that_did_not_run_is_unbound_after_it() -> None:
    names: dict[str, Any] = {"x": 1}

    with pytest.raises(NameError) as caught:
        run_of("for x in []:\n  pass\nprint(x)", names).run()

    assert "write `x = x` above the loop" in caught.value.__notes__[0]
    assert names["x"] == 1


def test_the_same_is_done_without_running_it() -> None:
    names = {"x": 1, "y": 2}

    Effects({"z": 3}, ["x", "unknown"]).apply(names)

    assert names == {"y": 2, "z": 3}


def test_definitions_run_alone() -> None:
    names: dict[str, Any] = {}

    failed = run_of("import math\nx = 1 / 0\ndef f(): return math.pi", names).define()

    assert failed is None
    assert names["f"]() > 3 and "x" not in names


def test_a_definition_that_fails_alone_is_told() -> None:
    failed = run_of("x = 1\nimport no_such_module_at_all", {}).define()

    assert failed is not None
    assert failed[0] == "import no_such_module_at_all"
    assert isinstance(failed[1], ImportError)


@pytest.mark.parametrize(
    ("source", "is_shown", "shown"),
    [("1\n40 + 2", True, [42]), ("40 + 2", False, []), ("x = 1", True, []), ("", True, [])],
)
def test_the_value_at_its_end_is_shown(
    source: str, is_shown: bool, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "displayhook", seen.append)

    run_of(source, {}, is_shown=is_shown).run()

    assert seen == shown


def test_the_future_imports_of_other_code_hold() -> None:
    compiler, names = Compile(), dict[str, Any]()
    compiler("from __future__ import annotations", "<other>", "exec")

    run_of("def f(x: unknown): pass", names, compiler=compiler).run()

    assert names["f"].__annotations__ == {"x": "unknown"}


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x.append(1)", {"x": [0, 1]}),
        ("len(x)", {}),
        ("x.append(1); x.pop()", {}),
        ("x = [*x, 1]", {}),
        ("x.append(1); x = x", {}),
        ("x.append(1); del x", {}),
    ],
)
def test_what_it_changes_in_place(source: str, changed: dict[str, Any]) -> None:
    inputs = {"x": [0]}
    hashes = {"x": hash_value(inputs["x"])}
    effects, names = effects_of(source, **inputs)

    assert changed_in_place(hashes, inputs, effects, names) == changed


def test_an_input_that_is_given_something_without_a_hash_has_changed() -> None:
    inputs: dict[str, Any] = {"x": []}
    hashes = {"x": hash_value(inputs["x"])}
    effects, names = effects_of("import threading; x.append(threading.Lock())", **inputs)

    assert changed_in_place(hashes, inputs, effects, names) == inputs
