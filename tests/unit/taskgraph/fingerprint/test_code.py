"""Fingerprints: the function's own source, its closure, and what is done without a source."""

from __future__ import annotations

import importlib.util
import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from taskgraph.fingerprint.code import Code, fingerprint, read_source
from taskgraph.values.weigh import hash_value


def load(path: Path, text: str) -> ModuleType:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(amount: Any) -> Any:
    def add(x: int) -> int:
        return x + amount  # type: ignore[no-any-return]

    return add


def test_the_parts_are_the_body_and_what_the_closure_holds() -> None:
    found = fingerprint(make(5))

    assert [(each.kind, each.source) for each in found.parts][1:] == [("closure", "5")]
    assert found.parts[0].kind == "function"
    assert found.code_hash != fingerprint(make(6)).code_hash
    assert found.code_hash == fingerprint(make(5)).code_hash


def test_what_cannot_be_hashed_in_a_closure_is_named_and_not_followed() -> None:
    unfollowed = fingerprint(make(threading.Lock())).unfollowed

    assert [each.name.rpartition(": ")[2] for each in unfollowed] == ["amount"]
    assert "lock" in unfollowed[0].source


def test_a_function_that_calls_itself_has_a_fingerprint() -> None:
    def factorial(n: int) -> int:
        return 1 if n == 0 else n * factorial(n - 1)

    assert len(fingerprint(factorial).parts) == 1


def test_the_source_starts_at_def_without_decorators() -> None:
    def identity(function: Any) -> Any:
        return function

    @identity
    async def decorated() -> None: ...

    assert read_source(decorated) == "    async def decorated() -> None: ...\n"


def test_without_a_source_the_compiled_code_counts() -> None:
    texts = ("lambda x: x + 1", "lambda x: x + 1", "lambda x: x + 2", "lambda y: abs(y)")
    made = [eval(text) for text in texts]

    one, same, other, third = (fingerprint(each).code_hash for each in made)

    assert one == same
    assert len({one, other, third}) == 3


def test_a_file_that_was_edited_after_loading_does_not_lend_its_text(tmp_path: Path) -> None:
    path = tmp_path / "edited_module.py"
    old = load(path, "def f():\n    return 1\n").f
    code = Code(old)
    path.write_text("def f():\n    return 2  # edited\n")
    os.utime(path, ns=(1, 1))

    assert code.source == ""
    assert code.fingerprint.parts[0].kind == "code"
    assert code.fingerprint.code_hash != Code(load(path, path.read_text()).f).fingerprint.code_hash


def test_functions_are_hashed_by_code_closure_and_defaults() -> None:
    def with_default(x: int = 1) -> int:
        return x

    before = hash_value(with_default)
    with_default.__defaults__ = (2,)

    assert hash_value(with_default) != before
    assert hash_value(make(1)) == hash_value(make(1))
    assert hash_value(make(1)) != hash_value(make(2))
    assert hash_value(len) != hash_value(abs)
    assert hash_value([1].append) == hash_value([1].append)
    assert hash_value([1].append) != hash_value([2].append)
    assert hash_value("a".upper) != hash_value("b".upper)
